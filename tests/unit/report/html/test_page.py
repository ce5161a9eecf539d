"""The report as somebody reads it: every section with its numbers, whole, alone, in both languages."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jinja2 import UndefinedError

from core.data.corruptions import CORRUPTIONS
from core.explain import tracing
from core.explain.tracing import explainable
from core.home import demo_dir
from core.metrics.calibration import BINS
from core.metrics.risk import LEVELS
from core.metrics.temperature import TEMPERATURES
from core.metrics.unlikeness import Reference
from core.model.checkpoint.checkpoint_file import open_checkpoint
from core.model.predict.predictor import open_predictor
from core.report import exports
from core.report.content import Content, evaluated_checkpoints, gather
from core.report.html import why
from core.report.html.page import SECTIONS, TEMPLATES, render
from core.report.html.sections import commands
from core.report.language.words import LANGUAGES, Words
from core.report.tables import SCORE_NAMES
from core.report.verdicts import decide
from core.training import trust
from core.training.demo_run import _FIRST_SETTINGS
from core.training.run import evaluations
from core.training.run.folders import Run
from core.training.settings.config import TrainingConfig, with_settings
from core.training.settings.presets import preset
from core.voc import CLASS_NAMES
from tests.app.stored import store_corrupted
from tests.small_models import save_lively_model
from tests.unit.report.conftest import NOW, MakeRun
from tests.unit.report.reading import Element, read, table


def numbers_of(content: Content) -> Any:
    return json.loads(exports.report_json(content, decide(content)))


# --- structure ------------------------------------------------------------------------------------------------------


def test_it_has_the_sections_of_a_report_in_order(page: Element) -> None:
    shown = [each for each in SECTIONS if each not in ("study", "trust")]  # of a study, and where it is asked for
    assert [section.attributes["id"] for section in page.all("section")] == shown
    assert [heading.text for heading in page.all("h2")] == [
        "1 Data", "2 Model", "3 Training", "4 Evaluation", "5 Input, output, mask", "6 Verdict", "7 Definitions",
        "8 Reproduction",
    ]  # fmt: skip
    assert [link.attributes["href"] for link in page.all("a")] == [f"#{key}" for key in shown]
    assert page.all("h1")[0].text == "first"
    assert "7 March 2026, 09:05" in page.all("header")[0].text


@pytest.mark.parametrize("language", LANGUAGES)
def test_both_languages_have_the_same_structure(content: Content, page: Element, language: Any) -> None:
    other = read(render(content, language, now=NOW))
    names = [element.name for element in page.all()]
    assert [element.name for element in other.all()] == names
    assert other.all("html")[0].attributes["lang"] == language
    assert [each.attributes["value"] for each in other.all("data")] == [
        each.attributes["value"] for each in page.all("data")
    ]


def test_portuguese_speaks_portuguese(content: Content) -> None:
    page = read(render(content, "pt", now=NOW))
    assert [heading.text for heading in page.all("h2")][:4] == ["1 Dados", "2 Modelo", "3 Treino", "4 Avaliação"]
    assert "7 de março de 2026, 09:05" in page.text
    assert "4 épocas contra 2 épocas:" in page.all("header")[0].text
    said = " ".join(page.with_id(key).text for key in ("data", "evaluation", "figures", "verdict"))
    assert re.findall(r"\b(?:cat|dog|person|background)\b", said) == [], "the classes are named in Portuguese too"
    assert "gato" in said
    shown = [cell.text for cell in page.with_id("evaluation").all("data")]
    assert shown
    assert all(re.fullmatch(r"\d{1,3},\d|–", text) for text in shown)


def test_the_same_content_gives_the_same_file(content: Content) -> None:
    assert render(content, now=NOW) == render(content, now=NOW)


def test_a_value_that_a_template_lacks_is_an_error_and_not_an_empty_text() -> None:
    with pytest.raises(UndefinedError, match="'label' is undefined"):
        TEMPLATES.from_string("<p>{{ label }}</p>").render()


def test_it_is_accessible(page: Element) -> None:
    assert page.all("html")[0].attributes["lang"] == "en"
    assert all(picture.attributes["alt"] for picture in page.all("img"))
    drawn = [svg for svg in page.all("svg") if svg.attributes.get("aria-hidden") != "true"]
    assert len(drawn) == 3
    assert all(svg.all("title")[0].text and svg.attributes["role"] == "img" for svg in drawn)
    for each in page.all("table"):
        assert each.all("caption")[0].text
        assert all(head.attributes.get("scope") in ("row", "col", "colgroup") for head in each.all("th"))
        assert all(row.children[0].name == "th" for row in each.all("tbody")[0].all("tr"))


def test_it_needs_nothing_from_elsewhere_and_runs_no_script(page: Element) -> None:
    assert not {"script", "link", "iframe", "object", "embed", "base", "form"} & {each.name for each in page.all()}
    policy = next(each for each in page.all("meta") if each.attributes.get("http-equiv") == "Content-Security-Policy")
    assert policy.attributes["content"] == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    for element in page.all():
        for key, value in element.attributes.items():
            assert not key.startswith("on"), key
            assert "//" not in value or value.startswith("data:"), f"{key}={value}"
        for key in ("src", "href"):
            assert element.attributes.get(key, "#").startswith(("#", "data:image/"))
    css = page.all("style")[0].text
    assert "url(" not in css
    assert "@import" not in css
    assert "@font-face" not in css


# --- numbers --------------------------------------------------------------------------------------------------------


def test_its_scores_are_those_of_the_json_and_of_the_stored_evaluations(content: Content, page: Element) -> None:
    document = numbers_of(content)
    sides = [*document["checkpoints"], document["floor"]]
    shown = table(page, "Scores on val (photos: 12)")
    assert shown.rows()[0] == ["", "2 epochs", "4 epochs", "Floor"]
    values = shown.values()
    for name in SCORE_NAMES:
        assert values[Words()(name)] == [side[name] for side in sides if side[name] is not None]
    assert document["checkpoints"][1]["miou"] == content.checkpoints[1].evaluation.scores.miou
    for row, cells in zip(shown.all("tbody")[0].all("tr"), shown.rows()[1:], strict=True):
        for data, text in zip(row.all("data"), cells[1:], strict=False):
            assert text == f"{100 * float(data.attributes['value']):.1f}"


def test_the_classes_have_their_scores_beside_the_floor(content: Content, page: Element) -> None:
    document = numbers_of(content)
    values = table(page, "Scores by class").values()
    assert set(values) == {"background", "cat", "dog"}
    for name, numbers in values.items():
        a, b, floor = (
            next(entry for entry in side["classes"] if entry["name"] == name)
            for side in (*document["checkpoints"], document["floor"])
        )
        expected = [side[key] for side in (a, b) for key in ("iou", "precision", "recall", "f1")]
        assert numbers == [*expected, floor["iou"]]


def test_the_floor_is_that_of_the_evaluations(content: Content) -> None:
    for checkpoint in content.checkpoints:
        assert checkpoint.scores.floor.miou == content.floor.miou
        assert checkpoint.scores.floor.pixel_accuracy == content.floor.pixel_accuracy


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_floor_stands_in_every_table_of_scores(make_run: MakeRun, language: Any) -> None:
    page = read(render(gather(evaluated_checkpoints([make_run(), make_run("second")], "val")), language))
    floor = Words(language)("floor").lower()
    tables = [each for key in ("evaluation", "verdict", "definitions") for each in page.with_id(key).all("table")]
    tables += [each for each in page.with_id("training").all("table") if "IoU" in each.text]
    assert len(tables) == 9
    assert [each.all("caption")[0].text for each in tables if floor not in each.text.lower()] == []
    assert floor in page.all("header")[0].text.lower()
    bars = page.with_id("evaluation").all("svg")[0]
    assert [line for line in bars.all("line") if line.attributes["class"] == "floor"]


def test_it_says_why_an_older_evaluation_has_no_boundary_scores(run: Run) -> None:
    """Boundary scores of earlier versions were counted by another rule; the table shows a dash for them."""
    (about,) = (file for file in run.eval_dir.glob("*/scores.json") if json.loads(file.read_text())["epoch"] == 4)
    about.write_text(json.dumps(json.loads(about.read_text()) | {"schema": 2}))
    said = read(render(gather(evaluated_checkpoints([run], "val")), now=NOW)).text
    assert said.count("Its boundary scores are left out") == 1


def test_the_data_section_counts_images_classes_void_and_floor(content: Content, page: Element) -> None:
    data = page.with_id("data")
    about = dict(row[:2] for row in table(data, "Data").rows())
    assert about["Source"] == content.checkpoints[0].evaluation.data
    assert about["Origin of the splits"] == "lists of names in the data set"
    assert about["Fingerprint of the scored split (SHA-256)"] == content.checkpoints[0].evaluation.fingerprint
    assert about["Floor, mean IoU"] == Words().percent(content.floor.miou)
    assert about["Void, share of all pixels"] == Words().percent(content.checkpoints[0].scores.void_share)
    assert table(data, "Photos by split").rows()[1:] == [["train", "4"], ["val", "12"]]
    classes = table(data, "Classes in the scored photos (12)").rows()[1:]
    assert [(row[0].strip(), row[1]) for row in classes] == [("background", "12"), ("cat", "6"), ("dog", "6")]
    assert "Not in the scored photos: aeroplane, bicycle" in data.text


def test_the_model_section_says_what_was_trained(page: Element) -> None:
    about = dict(row[:2] for row in table(page, "The model").rows())
    assert about["Architecture"] == "deeplabv3_mobilenet_v3_large"
    assert about["Parameters"] == "11,025,477"
    assert about["Output stride"] == "16"
    assert about["Starting weights"] == "random"
    assert "256 × 256 px" in about["Preprocessing"]
    assert "0.485; 0.456; 0.406" in about["Preprocessing"]


def test_the_preprocessing_says_how_photos_became_squares(content: Content) -> None:
    (reported,) = content.runs
    run = replace(reported.run, config=with_settings(reported.run.config, {"geometry": "fit"}))
    fitted = replace(content, runs=(replace(reported, run=run),))
    for language, said in (("en", "256 px on the longer side"), ("pt", "256 px no lado maior, sem distorção")):
        assert said in read(render(fitted, language, now=NOW)).with_id("model").text


def test_the_training_section_has_legs_settings_and_every_epoch(page: Element) -> None:
    legs = table(page, "The stretches").rows()[1:]
    assert [(row[0], row[2], row[3], row[4], row[5]) for row in legs] == [
        ("1", "1 to 2", "40\N{NO-BREAK SPACE}s", "20.0", "12.5"),
        ("2", "3 to 4", "40\N{NO-BREAK SPACE}s", "20.0", "12.5"),
    ]
    settings = dict(row[:2] for row in table(page, "Settings").rows())
    assert (settings["Epochs"], settings["Learning rate"], settings["Optimizer"]) == ("4", "0.001", "adam")
    epochs = table(page, "first, epoch by epoch; the floor’s mean IoU is 25.0")
    assert epochs.rows()[1] == ["1", "2.000", "2.500", "10.0", "75.0", "20.0"]
    assert len(epochs.rows()) == 1 + 4
    best = [cell.text for cell in epochs.all("td") if "best" in cell.attributes.get("class", "")]
    assert best == ["40.0"]
    loss, miou = [svg for svg in page.with_id("training").all("svg") if svg.attributes.get("role") == "img"]
    for chart, paths, marks in ((loss, 2, 0), (miou, 1, 2)):
        drawn = [line.attributes["class"] for line in chart.all("line")]
        assert (drawn.count("divider"), drawn.count("floor")) == (1, chart is miou)
        assert (len(chart.all("path")), len(chart.all("circle"))) == (paths, marks)


def test_the_verdict_is_that_of_the_comparison(content: Content, page: Element) -> None:
    verdicts = decide(content)
    headline = verdicts.headline
    assert headline.verdict == "better"
    sentence = Words().verdict(headline, "2 epochs", "4 epochs")
    assert [each.text for each in page.all("p") if each.attributes.get("class") == "lead"] == [sentence, sentence]
    rows = table(page, "Differences in mean IoU")
    assert [row[0] for row in rows.rows()[1:]] == [
        "4 epochs against 2 epochs", "2 epochs against the floor", "4 epochs against the floor",
    ]  # fmt: skip
    assert rows.values()["4 epochs against 2 epochs"] == [headline.delta_miou]
    assert headline.a_miou is not None
    assert verdicts.against_floor[0].a_miou == content.floor.miou
    classes = table(page, "IoU by class").values()
    assert classes["cat"][2] == pytest.approx(classes["cat"][1] - classes["cat"][0])


def test_the_commands_make_it_again(content: Content, page: Element) -> None:
    commands = page.all("pre")[0].text.splitlines()
    data = content.checkpoints[0].evaluation.data
    assert commands[0].startswith(f"python -m core train --new first --data {data} --preset report --set epochs=2 ")
    assert commands[1:] == [
        "python -m core train checkpoints/RUN --extend 4",
        f"python -m core evaluate checkpoints/RUN/epoch_002.pt --data {data} --split val",
        f"python -m core evaluate checkpoints/RUN/epoch_004.pt --data {data} --split val",
        "python -m core report checkpoints/RUN/epoch_002.pt checkpoints/RUN/epoch_004.pt --language en",
    ]
    about = dict(row[:2] for row in table(page, "Versions and machine").rows())
    assert about["Versions, first"] == "torch 2.15.0"
    assert about["Device"] == "Test CPU (2 threads), fp32"
    assert about["Checkpoint 4 epochs (SHA-256)"] == content.checkpoints[1].evaluation.checkpoint_hash


def test_an_old_demo_run_is_made_again_with_the_settings_it_had(content: Content) -> None:
    """The demo has other settings today, and the report of an old run said `python -m core demo` makes it again."""

    def commands_of(config: TrainingConfig) -> list[str]:
        runs = tuple(
            replace(each, run=replace(each.run, made_as="demo", preset="demo", data=str(demo_dir()), config=config))
            for each in content.runs
        )
        evaluations = [replace(each.evaluation, data=str(demo_dir())) for each in content.checkpoints]
        checkpoints = zip(content.checkpoints, evaluations, strict=True)
        old = replace(content, runs=runs, checkpoints=tuple(replace(each, evaluation=e) for each, e in checkpoints))
        return commands(old, Words("en"))

    assert commands_of(preset("demo"))[0] == "python -m core demo"
    draw, train, *_ = commands_of(_FIRST_SETTINGS)
    assert draw.startswith("python -m core demo   # draws the data")
    assert train.startswith(f"python -m core train --new first --data {demo_dir()} --preset demo ")
    assert "--set image_size=96" in train


def test_every_score_is_defined_with_a_formula(page: Element) -> None:
    definitions = page.with_id("definitions")
    named = [each.text for each in definitions.all("dt")]
    assert named == ["IoU", *(Words()(name) for name in SCORE_NAMES), "Floor", "Difference"]
    assert len(definitions.all("math")) == len(named)
    conventions = table(definitions, "The same predictions").values()
    assert conventions["this report"] == conventions["mmsegmentation"]


# --- robustness and trust -------------------------------------------------------------------------------------------


def store_figures(run: Run, epoch: int) -> None:
    """Store figures of 40 held-out photos: 90 of 100 pixels at confidence 1 and right, 5 of 10 at 100 / 255."""
    checkpoint = run.path / f"epoch_{epoch:03d}.pt"
    (found,) = (e for path in evaluations.stored(run.eval_dir) if (e := evaluations.load(path)).epoch == epoch)
    counts_2L = np.zeros((2, LEVELS), dtype=np.int64)
    counts_2L[:, 255], counts_2L[:, 100] = 90, (10, 5)
    bins_3B = np.zeros((3, BINS))
    bins_3B[:, 13] = 100, 90, 80
    digest = evaluations.file_hash(checkpoint)
    figures = trust.Trust(
        trust.About(checkpoint.name, digest, "val", found.fingerprint, CLASS_NAMES, "fp32", 9),
        names=tuple(map(str, range(40))), truth_K=np.array([1] * 20 + [0]), counts_N2L=np.stack([counts_2L] * 40),
        nll_2T=np.ones((2, len(TEMPERATURES))), bins_2T3B=np.tile(bins_3B, (2, len(TEMPERATURES), 1, 1)),
        distance_NR=np.zeros((40, 2)), references=(Reference.of(np.eye(3, dtype=np.float32)),) * 2,
    )  # fmt: skip
    trust.write(trust.place(run.eval_dir, digest, "val", found.fingerprint), figures)


@pytest.mark.parametrize("language", LANGUAGES)
def test_robustness_and_promises_are_shown_where_asked_for_or_the_commands_that_count_them(
    run: Run, language: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoints, words = evaluated_checkpoints([run], "val"), Words(language)

    def section() -> Element:
        page = read(render(gather(checkpoints, with_trust=True), language, now=NOW))
        return next(each for each in page.all("section") if each.attributes["id"] == "trust")

    def values(table: Element) -> list[list[float]]:
        return [[float(each.attributes["value"]) for each in row.all("data")] for row in table.all("tr")[1:]]

    lacking = section()
    assert words("evidence missing") in lacking.text, "the checkpoint is no file that opens"
    assert words("robustness missing") in lacking.text
    assert words("promises missing") in lacking.text
    assert [each.text.count("python -m core") for each in lacking.all("pre")] == [2, 2]
    for made, (epoch, level) in enumerate(((2, 1), (4, 4)), 1):
        store_corrupted(run, epoch, level)
        store_figures(run, epoch)
        of_all = commands(gather(checkpoints, with_trust=True), words)
        assert sum("python -m core trust" in each for each in of_all) == made, "of what has figures alone"
    opened = open_checkpoint(save_lively_model(tmp_path / "lively.pt"))
    monkeypatch.setattr(why, "explainable_of", lambda _: explainable(opened, open_predictor(opened)[0]))
    with monkeypatch.context() as full:
        full.setattr(tracing, "free_bytes", lambda: 0)
        assert words("evidence no room") in section().text
    whole = section()
    translated = [name for name in CLASS_NAMES if words.class_name(name) != name]
    said = [each.text for each in whole.all("figcaption")] + [each.attributes["alt"] for each in whole.all("img")]
    assert not [text for text in said for name in translated if re.search(rf"\b{name}\b", text)]
    assert not whole.all("pre")
    assert len(whole.all("img")) >= 2 * why.NUM_PHOTOS
    assert words("evidence note") in whole.text
    titles = [*(words(name) for name in CORRUPTIONS), words("risk figure")]
    assert [each.attributes["aria-label"] for each in whole.all("svg") if "aria-label" in each.attributes] == titles
    means, differences, promises, temperatures = whole.all("table")
    rows = values(means)
    assert rows[0][:2] == [1, 1]
    assert all(a == floor and b > a for a, b, floor in rows[1:])
    assert len(values(differences)) == len(CORRUPTIONS)
    # 40 photos: (40 x 0.05 + 1) / 41 is below 0.1; (0 + 1) / 41 is below 0.05 but not 0.01: 0.99 x 40 / 41 is promised.
    wanted = [[0.9, 0.9, 0, 1, 0.95], [0.95, 0.95, 100.5 / 255, 0.9, 1], [0.99, 0.99 * 40 / 41, 100.5 / 255, 0.9, 1]]
    assert values(promises) == [pytest.approx(row) for row in wanted] * 2
    assert [row[1:] for row in values(temperatures)] == [pytest.approx([0.1, 0.1])] * 2
    label = words.labels(gather(checkpoints))[0]
    assert words("no promise", label=label, names=words.class_name("tvmonitor")) in whole.text
