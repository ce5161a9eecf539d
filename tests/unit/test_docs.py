"""What the pages say: links lead somewhere, commands parse, numbers are those that the code computes."""

import re
import shlex
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from core.__main__ import _parser
from core.commands import training
from core.errors import ConfigError
from core.home import PROJECT_ROOT
from core.metrics.boundary import boundary_counts, contour_counts
from core.metrics.confusion import confusion_counts
from core.metrics.conventions import conventions
from core.metrics.guard import explain
from core.metrics.scores import Floor, Scores, score
from core.training.settings.config import with_settings
from core.training.settings.presets import parse_settings, preset
from core.voc import CLASS_NAMES, VOID
from tests.unit.metrics.toy import PREDICTED_NHW, TRUTH_NHW, K, count

PAGES = [
    page
    for page in sorted(PROJECT_ROOT.rglob("*.md"))
    if not any(part.startswith(".") or part in ("datasets", "cache") for part in page.relative_to(PROJECT_ROOT).parts)
    and page.parent.parent.name != "checkpoints"
]
CODE = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
METRICS = PROJECT_ROOT / "docs" / "metrics.md"


def named(page: Path) -> str:
    return str(page.relative_to(PROJECT_ROOT))


@lru_cache(maxsize=32)
def prose(page: Path) -> str:
    """Return a page without its blocks of code."""
    return CODE.sub("", page.read_text(encoding="utf-8"))


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    found: list[str] = []
    for heading in re.findall(r"^#{1,6} (.*)$", prose(page), re.M):
        slug = re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")
        found.append(slug if slug not in found else f"{slug}-{found.count(slug)}")
    return set(found)


def links() -> Iterator[tuple[Path, str]]:
    """Give every page with every target in it that is no address elsewhere."""
    for page in PAGES:
        text = re.sub(r"`[^`\n]*`", "", prose(page))
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            if not re.match(r"[a-z]+:", target):
                yield page, target


def test_every_relative_link_and_anchor_leads_somewhere() -> None:
    wrong = []
    assert {named(page) for page, _ in links()} >= {"README.md", "docs/how-it-works.md"}, "the check would see it"
    for page, target in links():
        path, _, anchor = target.partition("#")
        file = (page.parent / unquote(path)).resolve() if path else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            wrong.append(f"{named(page)}: {target}")
    assert wrong == []


def test_readme_leads_to_every_page_of_the_docs() -> None:
    linked = {target.partition("#")[0] for page, target in links() if page.name == "README.md"}
    assert {named(page) for page in PAGES if page.parent.name == "docs"} <= linked


def test_modules_and_files_that_the_pages_name_exist() -> None:
    """A page that says where to add a setting is worth nothing once the file has moved."""
    for page in PAGES:
        if page.parent.name in ("docs", PROJECT_ROOT.name) and page.name != "CHANGELOG.md":
            for name in re.findall(r"`((?:core|ui|pages|tests|dev|docs)/[\w./-]+\.\w+)`", prose(page)):
                assert (PROJECT_ROOT / name).exists(), f"{named(page)}: {name}"


# --- commands -------------------------------------------------------------------------------------------------------


def commands() -> Iterator[tuple[str, str]]:
    """Give every command line that a page shows, in a block or in a line, with where it is."""
    for page in PAGES:
        if page.parent.name == "dev":  # what was called then, with what there was then
            continue
        text = page.read_text(encoding="utf-8")
        lines = [line for language, code in CODE.findall(text) if language == "sh" for line in code.splitlines()]
        for line in [*lines, *re.findall(r"`([^`\n]+)`", CODE.sub("", text))]:
            yield named(page), line.partition("  #")[0].strip().removesuffix(" ...")


def core_commands() -> list[tuple[str, str]]:
    """Return the command lines of `python -m core`, under torchrun or not, without those that only name it."""
    found = [(page, line.partition("-m core ")[2]) for page, line in commands() if "-m core " in line]
    return [(page, line) for page, line in found if line not in ("train", "") and not line.startswith("COMMAND")]


@pytest.mark.parametrize(("page", "line"), dict.fromkeys(core_commands()))
def test_a_command_that_a_page_shows_parses(page: str, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = shlex.split(line)
    if "--help" in words:
        return
    try:
        arguments = _parser().parse_args(words)
    except SystemExit:
        pytest.fail(f"{page}: {capsys.readouterr().err}")
    assert training.misuse(arguments) is None
    if settings := getattr(arguments, "set", None):
        with_settings(preset(arguments.preset or "report"), parse_settings(settings))
    if getattr(arguments, "preset", None):
        preset(arguments.preset)


def test_there_are_commands_to_check() -> None:
    shown = {line.split()[0] for _, line in core_commands() if line}
    wanted = {"doctor", "stats", "download", "import", "train", "estimate", "evaluate", "compare", "inspect", "segment"}
    assert shown >= wanted


def test_a_setting_that_a_page_shows_exists() -> None:
    for page, line in commands():
        for assignment in re.findall(r"--set (\w+=\S+)", line):
            try:
                parse_settings([assignment])
            except ConfigError as error:
                pytest.fail(f"{page}: {error}")


def test_a_target_of_make_that_a_page_shows_exists() -> None:
    targets = set(re.findall(r"^([a-z0-9]+):", (PROJECT_ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    shown = [(page, word) for page, line in commands() if line.startswith("make ") for word in shlex.split(line)[1:]]
    wanted = [(page, word) for page, word in shown if re.fullmatch(r"[a-z0-9]+", word)]
    assert wanted
    assert [f"{page}: make {word}" for page, word in wanted if word not in targets] == []


# --- numbers --------------------------------------------------------------------------------------------------------


def table(heading: str) -> dict[str, list[str]]:
    """Return a table of metrics.md by its first column; `heading` is what its first cell says."""
    block = re.search(
        rf"^\| {re.escape(heading)} \|.*\n\|[- |]+\n((?:\|.*\n)+)", METRICS.read_text(encoding="utf-8"), re.M
    )
    assert block, heading
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in block[1].splitlines()]
    return {row[0]: row[1:] for row in rows}


def written(value: float | None) -> str:
    return "none" if value is None else f"{value:.4f}"


def toy() -> Scores:
    pairs = list(zip(TRUTH_NHW, PREDICTED_NHW, strict=True))
    return score(
        count(),
        [f"class {k}" for k in range(K)],
        void_pixels=int((TRUTH_NHW == VOID).sum()),
        boundary_N3K=np.stack([boundary_counts(*pair, K) for pair in pairs]),
        contour_N4K=np.stack([contour_counts(*pair, K) for pair in pairs]),
    )


def test_the_toy_of_the_page_is_the_one_that_is_scored() -> None:
    drawing = next(code for _, code in CODE.findall(METRICS.read_text(encoding="utf-8")) if code.startswith("truth"))
    rows = [line.removeprefix("truth").removeprefix("predicted").split() for line in drawing.splitlines() if line]
    read = np.array([[VOID if sign == "." else int(sign) for sign in row] for row in rows]).reshape(2, 3, 3, 4)
    assert (read.transpose(0, 2, 1, 3) == np.stack([TRUTH_NHW, PREDICTED_NHW])).all()


def test_the_conventions_of_the_page() -> None:
    shown = {cells[0].strip("`"): cells[1] for cells in table("rule").values()}
    assert shown == {name: written(value) for name, value in conventions(count()).items()}


def test_the_scores_of_the_page() -> None:
    scores, floor = toy(), toy().floor
    names = {
        "F1": "f1",
        "mIoU": "miou",
        "frequency-weighted IoU": "fw_iou",
        "boundary IoU": "boundary_iou",
        "boundary F": "boundary_f",
    }
    for name, (value, of_floor) in table("other scores of the same prediction").items():
        field = names.get(name, name.replace(" ", "_"))
        assert value == written(getattr(scores, field)), name
        assert of_floor == (written(getattr(floor, field)) if field in vars(floor) else ""), name


def test_what_a_class_missed_invented_or_in_neither_is_worth_to_a_mean_as_the_page_says() -> None:
    """A class that "counts 0" is one more to divide by; one that is "left out" or "weighs 0" is not."""
    scores, shown = toy(), table("score")
    background, thing = scores.classes[:2]
    for name, field, each in (("**mIoU**", "miou", "iou"), ("mean accuracy", "mean_accuracy", "recall")):
        num_zeros = shown[name][1:].count("counts 0")
        assert num_zeros + shown[name][1:].count("left out") == 3, name
        expected = (getattr(background, each) + getattr(thing, each)) / (2 + num_zeros)
        assert getattr(scores, field) == pytest.approx(expected), name
    assert shown["frequency-weighted IoU"][1:] == ["counts 0", "weighs 0", "weighs 0"]
    pixels = [entry.truth_pixels for entry in scores.classes]
    weighted = [(entry.iou or 0) * count / sum(pixels) for entry, count in zip(scores.classes, pixels, strict=True)]
    assert scores.fw_iou == pytest.approx(sum(weighted))
    assert pixels[3] == pixels[4] == 0


def test_the_means_are_over_the_classes_that_the_page_says() -> None:
    scores = toy()
    in_truth = [entry for entry in scores.classes if entry.truth_pixels]
    for name in ("precision", "recall", "f1"):
        assert getattr(scores, name) == pytest.approx(sum(getattr(entry, name) for entry in in_truth) / 3), name
    for name in ("boundary_iou", "boundary_f"):
        found = [value for entry in scores.classes if (value := getattr(entry, name)) is not None]
        assert len(found) == 4
        assert getattr(scores, name) == pytest.approx(sum(found) / 4), name


def test_a_class_missed_invented_or_in_neither_as_the_page_says() -> None:
    _, _, missed, invented, nowhere = toy().classes
    fields = {"IoU": "iou", "recall": "recall", "precision": "precision", "F1 = Dice": "f1"}
    fields |= {"boundary IoU": "boundary_iou", "boundary F": "boundary_f"}
    shown = table("score")
    for name, field in fields.items():
        values = [getattr(entry, field) for entry in (missed, invented, nowhere)]
        assert shown[name][1:] == ["none" if value is None else f"{value:g}" for value in values], name


def test_the_report_s_numbers() -> None:
    """0.6985 is the floor, 0.00086 would need 813 classes, 112 is nothing: as page and guard say."""
    text = METRICS.read_text(encoding="utf-8")
    truth_HW = np.repeat(np.arange(21), [6985, *[151] * 15, *[150] * 5]).reshape(100, 100)
    scores = score(confusion_counts(truth_HW, np.zeros_like(truth_HW), 21)[None], CLASS_NAMES)
    assert scores.floor == Floor(pixel_accuracy=0.6985, miou=scores.miou)
    assert f"Pixel accuracy is 0.6985 and mIoU {scores.miou:.4f}" in text
    assert (
        f"0.6985 / 21 = {0.6985 / 21:.4f}. For 0.00086 there would have to be {-(-0.6985 // 0.00086):.0f} classes"
        in text
    )
    shown = table("number")
    floors = {"0.00086": scores.floor.miou, "112": None, "0.6985": scores.floor.pixel_accuracy}
    assert set(shown) == set(floors)
    for number, (cause,) in shown.items():
        odd = explain(float(number), floors[number])
        assert odd is not None
        assert cause == odd.cause


@given(
    arrays(np.int64, st.tuples(st.just(1), *[st.shared(st.integers(2, 7), key="K")] * 2), elements=st.integers(0, 50))
)
def test_mean_iou_is_at_least_accuracy_over_the_number_of_classes(counts_NKK: np.ndarray) -> None:
    """Why the report's 0.00086 and 0.6985 cannot be of one prediction: a union is at most all pixels."""
    num_classes = counts_NKK.shape[-1]
    scores = score(counts_NKK, [f"class {k}" for k in range(num_classes)])
    if scores.pixel_accuracy is not None:
        assert scores.miou is not None
        assert scores.miou >= scores.pixel_accuracy / num_classes - 1e-12
