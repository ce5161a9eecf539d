"""The command line as a contract: exit codes, one line for a wrong input, one JSON document, nothing left behind."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from core.__main__ import main
from core.home import PROJECT_ROOT
from core.model.architectures import MOBILENET, build_model
from core.model.checkpoint import CheckpointMeta, save_checkpoint
from core.voc import CLASS_NAMES, VOID
from tests.small_data import draw_pair

COMMANDS = (
    "demo", "doctor", "train", "estimate", "stats", "download", "import", "evaluate", "inspect", "segment", "bench",
    "report", "export", "models",
)  # fmt: skip
MOBILE = ["--set", f"architecture={MOBILENET}", "--set", "output_stride=16", "--set", "image_size=32"]


class Ended:
    """How a command ended, and what it said."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    def document(self) -> Any:
        """Return the one JSON document on stdout."""
        assert self.code == 0, self.err
        assert self.out.count("\n") == 1
        return json.loads(self.out, parse_constant=lambda text: pytest.fail(f"{text} is no JSON"))

    def sentence(self) -> str:
        """Return the one line that a wrong input is answered with."""
        assert self.code == 1, self.out + self.err
        assert self.out == ""
        assert len(self.err.splitlines()) == 1, self.err
        assert "Traceback" not in self.err
        return self.err.strip()


Command = Callable[..., Ended]


@pytest.fixture
def core(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run a command in this process."""

    monkeypatch.setattr(os, "nice", lambda _: 0)
    # A proxy that nobody runs: no command of these tests gets out.
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")

    def run(*arguments: object) -> Ended:
        monkeypatch.setattr(sys, "argv", ["core", *map(str, arguments)])
        capsys.readouterr()
        try:
            code = main()
        except SystemExit as ending:
            code = int(ending.code or 0)
        said = capsys.readouterr()
        return Ended(code, said.out, said.err)

    return run


def core_process(*arguments: object, cwd: Path = PROJECT_ROOT) -> Ended:
    """Run a command as a person does."""
    environment = os.environ | {"PYTHONPATH": str(PROJECT_ROOT)}
    ended = subprocess.run(
        [sys.executable, "-m", "core", *map(str, arguments)],
        capture_output=True, text=True, cwd=cwd, env=environment, stdin=subprocess.DEVNULL, check=False,
    )  # fmt: skip
    return Ended(ended.returncode, ended.stdout, ended.stderr)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model with random weights and VOC's classes."""
    torch.manual_seed(0)
    file = tmp_path_factory.mktemp("models") / "epoch_001.pt"
    meta = CheckpointMeta(
        architecture=MOBILENET, class_names=CLASS_NAMES, output_stride=16, has_aux_head=False, image_size=64
    )
    save_checkpoint(file, build_model(MOBILENET, 21, output_stride=16), meta)
    return file


def files_under(folder: Path) -> set[Path]:
    return {path.relative_to(folder) for path in folder.rglob("*")}


# --- usage ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_s_help_has_an_example(core: Command, command: str) -> None:
    ended = core(command, "--help")
    assert ended.code == 0
    assert f"python -m core {command}" in ended.out.split("Example:")[1]
    assert "--json" in ended.out


def test_the_help_names_every_command(core: Command) -> None:
    ended = core("--help")
    assert ended.code == 0
    assert set(COMMANDS) <= set(ended.out.replace("\n", " ").split())


@pytest.mark.parametrize(
    "arguments",
    [
        [], ["dance"], ["stats"], ["stats", "a", "b"], ["evaluate", "c.pt"], ["segment", "p.jpg", "--out", "o"],
        ["segment", "p.jpg", "--checkpoint", "c.pt", "--out", "o", "--scales", "a,b"],
        ["segment", "p.jpg", "--checkpoint", "c.pt", "--out", "o", "--abstain", "2"],
        ["segment", "p.jpg", "--checkpoint", "c.pt", "--out", "o", "--palette", "pastel"],
        ["train"], ["train", "run", "--new", "n"], ["train", "--new", "n"], ["train", "run", "--data", "d"],
        ["train", "run", "--set", "epochs=1"], ["train", "run", "--preset", "demo"],
        ["train", "--new", "n", "--data", "d", "--extend", "5"], ["train", "run", "--extend", "ten"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_wrong_usage_ends_with_2(core: Command, arguments: list[str]) -> None:
    ended = core(*arguments)
    assert ended.code == 2
    assert ended.out == ""
    assert "usage:" in ended.err


def test_it_runs_as_a_program_from_any_folder(tiny_voc: Path) -> None:
    ended = core_process("stats", tiny_voc, "--split", "val", "--json", cwd=tiny_voc)
    assert ended.document()["images"] == 2
    assert ended.err == ""
    assert "no folder" in core_process("stats", tiny_voc / "none", cwd=tiny_voc).sentence()
    assert core_process("stats").code == 2


# --- wrong inputs ---------------------------------------------------------------------------------------------------


WRONG = [
    "stats {none}",
    "stats {text}",
    "stats {voc} --split test",
    "stats {empty}",
    "doctor {none}",
    "doctor {text}",
    "doctor {empty}",
    "train --new ../n --data {voc}",
    "train --new n --data {none}",
    "train --new n --data {voc} --preset fastest",
    "train --new n --data {voc} --set epoch=3",
    "train --new n --data {voc} --set epochs",
    "train --new n --data {voc} --set batch_size=1",
    "train --new n --data {voc} {mobile} --set train_fraction=0.1",
    "train --new n --data {voc} {mobile} --set init=imagenet",
    "train --new n --data {damaged} {mobile}",
    "estimate --data {none}",
    "estimate --data {voc} --preset nothing",
    "estimate --data {voc} {mobile} --set train_fraction=0.1",
    "train {empty}",
    "train {text}",
    "train {none}",
    "inspect {none}",
    "inspect {text}",
    "inspect {photo}",
    "inspect {empty}",
    "inspect coco-voc-mobilenet",
    "export {none} --format state-dict --out {out}",
    "export {checkpoint} --format tflite --out {out}",
    "export {checkpoint} --format state-dict --out {text}",
    "export {checkpoint} --format safetensors --out {none}/out.safetensors",
    "models --download resnet50",
    "models --download coco-voc-resnet101",
    "evaluate {text} --data {voc}",
    "evaluate {checkpoint} --data {voc} --split test",
    "evaluate {checkpoint} --data {none} --masks {out}",
    "evaluate {checkpoint} --data {damaged} --masks {out}",
    "evaluate {checkpoint} --data {two_classes} --masks {out}",
    "evaluate {checkpoint} --data {voc} --masks {full}",
    "evaluate {checkpoint} --data {voc} --masks {text}",
    "evaluate {checkpoint} --data {voc} --masks {text}/a/b",
    "report {none}",
    "report {empty}",
    "report {text} --out {out}",
    "segment {none} --checkpoint {checkpoint} --out {out}",
    "segment {photo} {text} --checkpoint {checkpoint} --out {out}",
    "segment {empty} --checkpoint {checkpoint} --out {out}",
    "segment {photo} --checkpoint {text} --out {out}",
    "segment {photo} --checkpoint coco-voc-resnet50 --out {out}",
    "segment {photo} --checkpoint {checkpoint} --out {full}",
    "segment {photo} --checkpoint {checkpoint} --out {text}",
    "segment {photo} --checkpoint {checkpoint} --out {text}/a/b",
    "segment {photo} --checkpoint {checkpoint} --out {out} --scales 9",
    "segment {photo} --checkpoint {checkpoint} --out {out} --tiles 9",
    "segment {photo} --checkpoint {checkpoint} --out {out} --zip {text}",
    "segment {photo} --checkpoint {checkpoint} --out {out} --zip {none}/all.zip",
    "segment {photo} {damaged}/JPEGImages/photo_0.jpg --checkpoint {checkpoint} --out {out} --cutouts --csv",
    "bench nothing",
]


@pytest.fixture
def places(tmp_path: Path, tiny_voc: Path, checkpoint: Path) -> dict[str, str]:
    """Make what the wrong inputs name."""
    (tmp_path / "text").write_text("no photo, no checkpoint, no folder")
    (tmp_path / "empty").mkdir()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "photo_mask.png").write_text("mine")
    draw_pair(0)[0].save(tmp_path / "photo.png")
    damaged = shutil.copytree(tiny_voc, tmp_path / "damaged")
    (damaged / "JPEGImages" / "photo_0.jpg").write_bytes(b"no photo")
    (damaged / "JPEGImages" / "photo_5.jpg").write_bytes(b"no photo")
    two_classes = shutil.copytree(tiny_voc, tmp_path / "two_classes")
    (two_classes / "classes.txt").write_text("ground\nobject\n")
    names = ("none", "text", "empty", "full", "out", "photo.png", "damaged", "two_classes")
    found = {name.removesuffix(".png"): str(tmp_path / name) for name in names}
    return found | {"voc": str(tiny_voc), "checkpoint": str(checkpoint), "mobile": " ".join(MOBILE)}


@pytest.mark.parametrize("line", WRONG)
def test_a_wrong_input_is_one_sentence_and_leaves_nothing_behind(
    core: Command, places: dict[str, str], home: Path, line: str
) -> None:
    before = files_under(home)
    sentence = core(*line.format(**places).split()).sentence()
    assert len(sentence) > 20
    assert sentence[-1] == "."
    kept = ("torch-home", ".training")  # what was downloaded, and the lock of the one who trains
    folders = {Path("checkpoints"), Path("cache"), Path("cache/pixels")}  # which may stay, empty
    left = {path for path in files_under(home) - before - folders if path.parts[0] not in kept}
    assert left == set()
    assert (home / "full" / "photo_mask.png").read_text() == "mine"


def test_with_json_a_wrong_input_is_still_one_line_on_stderr(core: Command, places: dict[str, str]) -> None:
    for line in ("stats {none} --json", "inspect {text} --json", "evaluate {text} --data {voc} --json"):
        core(*line.format(**places).split()).sentence()


def test_a_pickled_checkpoint_is_one_line_and_no_warning_of_torch(tmp_path: Path) -> None:
    """torch printed a warning about the pickle protocol above the sentence."""
    import pickle

    file = tmp_path / "model.pkl"
    file.write_bytes(pickle.dumps({"weights": [1, 2, 3]}))
    assert "pickled Python objects" in core_process("inspect", file).sentence()


# --- results --------------------------------------------------------------------------------------------------------


def test_stats_counts_every_photo_once_over_all_splits(core: Command, tiny_voc: Path) -> None:
    (tiny_voc / "ImageSets" / "Segmentation" / "trainval.txt").write_text("photo_0\nphoto_4\n")
    document = core("stats", tiny_voc, "--json").document()
    assert document["images"] == 6
    assert document["pixels"] == 6 * 48 * 40
    assert set(document) == {"images", "pixels", "void_share", "floor", "classes", "sizes"}
    assert [entry["name"] for entry in document["classes"]] == list(CLASS_NAMES)
    table = core("stats", tiny_voc, "--split", "train").out
    assert "background everywhere" in table
    assert "cat" in table


def test_doctor_ends_with_0_whatever_it_finds(core: Command, places: dict[str, str]) -> None:
    document = core("doctor", places["damaged"], "--json").document()
    assert set(document) == {"images", "masks", "findings", "counts"}
    assert set(document["findings"][0]) == {"file", "split", "kind", "detail", "severity"}
    assert document["counts"] == {"unreadable photo": 2}
    shown = core("doctor", places["damaged"])
    assert (shown.code, shown.out.splitlines()[:2]) == (0, ["6 photos and 6 masks examined.", "2 errors"])
    assert core("doctor", places["voc"]).out == "6 photos and 6 masks examined: nothing found.\n"


def test_inspect_tells_what_a_file_is(core: Command, checkpoint: Path, tmp_path: Path) -> None:
    document = core("inspect", checkpoint, "--json").document()
    promised = "format architecture classes meta problems repairs missing unexpected misshaped dropped"
    assert set(document) == set(promised.split())
    assert (document["format"], document["architecture"], document["problems"]) == (
        "atrous-checkpoint 1",
        MOBILENET,
        [],
    )
    bare = tmp_path / "bare.pt"
    torch.save({f"module.{key}": value for key, value in torch.load(checkpoint)["model"].items()}, bare)
    shown = core("inspect", bare).out
    assert "'module.' is taken off" in shown


def test_inspect_lists_what_is_missing_and_dropped(core: Command, checkpoint: Path, tmp_path: Path) -> None:
    state = dict(torch.load(checkpoint)["model"])
    del state["backbone.0.1.num_batches_tracked"]
    torch.save({"state_dict": state, "optimizer": {}}, tmp_path / "foreign.pt")
    document = core("inspect", tmp_path / "foreign.pt", "--json").document()
    lists = {name: document[name] for name in ("missing", "unexpected", "misshaped", "dropped")}
    assert lists == {
        "missing": ["backbone.0.1.num_batches_tracked"], "unexpected": [], "misshaped": [], "dropped": ["optimizer"],
    }  # fmt: skip
    shown = core("inspect", tmp_path / "foreign.pt").out
    assert "missing: backbone.0.1.num_batches_tracked\ndropped: optimizer" in shown


def test_export_writes_a_file_that_opens_again(core: Command, checkpoint: Path, tmp_path: Path) -> None:
    out = tmp_path / "best.safetensors"
    document = core("export", checkpoint, "--format", "safetensors", "--out", out, "--json").document()
    about = "file format size_bytes difference tolerance architecture classes image_size image_mean image_std"
    assert set(document) == set(about.split())
    assert (document["file"], document["size_bytes"], document["difference"]) == (str(out), out.stat().st_size, 0)
    again = core("inspect", out, "--json").document()
    assert (again["format"], again["meta"]["image_size"], again["problems"]) == (
        "atrous-checkpoint as safetensors", 64, [],
    )  # fmt: skip
    shown = core("export", out, "--format", "state-dict", "--out", tmp_path / "weights.pt").out
    assert "logits compared: bit for bit the same" in shown


def test_a_model_on_offer_is_listed_and_segments_by_its_name(core: Command, tmp_path: Path) -> None:
    document = core("models", "--json").document()
    assert [model["name"] for model in document["models"]] == [
        "coco-voc-mobilenet", "coco-voc-resnet50", "coco-voc-resnet101",
    ]  # fmt: skip
    assert not any(model["is_downloaded"] for model in document["models"])
    file = Path(document["models"][0]["file"])
    file.parent.mkdir(parents=True, exist_ok=True)
    torch.save(build_model(MOBILENET, 21, output_stride=16, has_aux_head=True).state_dict(), file)
    assert str(file) in core("models", "--download", "coco-voc-mobilenet").out
    draw_pair(0, (48, 40))[0].save(tmp_path / "photo.png")
    ended = core(
        "segment", tmp_path / "photo.png", "--checkpoint", "coco-voc-mobilenet", "--out", tmp_path / "out", "--json"
    )
    assert ended.document()["photos"][0]["size"] == [48, 40]
    assert ended.err == "", "nothing about it had to be assumed"


def test_evaluate_prints_the_promised_keys_and_writes_a_mask_for_every_photo(
    core: Command, checkpoint: Path, tiny_voc: Path, tmp_path: Path
) -> None:
    ended = core("evaluate", checkpoint, "--data", tiny_voc, "--split", "val", "--masks", tmp_path / "masks", "--json")
    document = ended.document()
    promised = """checkpoint split images void_share floor miou pixel_accuracy mean_accuracy precision recall f1 fw_iou
        boundary_iou boundary_f classes confusion conventions images_per_second number_format"""
    assert set(document) == set(promised.split())
    assert (document["images"], document["split"]) == (2, "val")
    assert np.array(document["confusion"]).shape == (21, 21)
    for name in ("photo_4", "photo_5"):
        with Image.open(tmp_path / "masks" / f"{name}.png") as mask:
            assert (mask.mode, mask.size) == ("P", (48, 40))
    assert not list(checkpoint.parent.glob("eval")), "the checkpoint lies in no run"


def test_compare_tells_whether_b_is_better(core: Command, checkpoint: Path, tiny_voc: Path, tmp_path: Path) -> None:
    same = tmp_path / "same.pt"
    same.write_bytes(checkpoint.read_bytes())
    document = core("compare", checkpoint, same, "--data", tiny_voc, "--split", "val", "--json").document()
    promised = {"a", "b", "delta_miou", "interval", "confidence", "verdict", "winners", "losers"}
    assert promised <= set(document)
    single = core("evaluate", same, "--data", tiny_voc, "--split", "val", "--json").document()
    speed = {"images_per_second": 0}
    assert document["b"] | speed == single | speed
    assert (document["delta_miou"], document["interval"], document["verdict"]) == (0, [0, 0], "undecided")
    assert document["winners"] == document["losers"] == []
    assert document["sentence"].startswith(f"same.pt and {checkpoint.name} cannot be told apart on 2 images")
    shown = core("compare", checkpoint, same, "--data", tiny_voc)
    assert shown.out.splitlines()[0] == document["sentence"] + "."


def test_compare_evaluates_once(core: Command, checkpoint: Path, tiny_voc: Path, tmp_path: Path) -> None:
    """What lies in a run keeps its evaluation, and it is used until the checkpoint or the data changes."""
    run = tmp_path / "run"
    run.mkdir()
    (run / "config.json").write_text("{}")
    files = [run / "epoch_001.pt", run / "epoch_002.pt"]
    for file in files:
        file.write_bytes(checkpoint.read_bytes())
    first = core("compare", *files, "--data", tiny_voc, "--json").document()
    (kept,) = (run / "eval").glob("val-*")  # the two files are the same, and so is their evaluation
    made = (kept / "scores.json").stat().st_mtime_ns
    assert core("compare", *files, "--data", tiny_voc, "--json").document() == first
    assert (kept / "scores.json").stat().st_mtime_ns == made
    mask = next((tiny_voc / "SegmentationClass").glob("photo_4.png"))
    with Image.open(mask) as image:
        changed = image.copy()
    changed.putpixel((0, 0), 5)
    changed.save(mask)
    again = core("compare", *files, "--data", tiny_voc, "--json").document()
    assert again["a"]["confusion"] != first["a"]["confusion"]


def test_a_folder_without_lists_has_one_validation_split_whatever_the_seed(
    core: Command, checkpoint: Path, tmp_path: Path
) -> None:
    """The trainer split a folder without lists by the run's seed, and evaluate by 0: val held training photos."""
    from core.data.dataset import open_dataset
    from core.training.config import TrainingConfig
    from core.training.runs import create_run
    from core.training.trainer import train
    from tests.small_data import write_pairs

    names = [f"p{number}" for number in range(10)]
    write_pairs(tmp_path / "own" / "images", tmp_path / "own" / "masks", names)
    config = TrainingConfig(
        architecture=MOBILENET, output_stride=16, image_size=32, batch_size=4, epochs=1, seed=5, precision="fp32"
    )
    run = create_run("own", tmp_path / "own", "report", config)
    for _ in train(run):
        pass
    judged = {file.stem for file in run.eval_dir.glob("val-*/masks/*.png")}
    assert judged == {sample.name for sample in open_dataset(tmp_path / "own").split("val")}


def test_segment_writes_masks_and_overlays_at_the_photos_own_sizes(
    core: Command, checkpoint: Path, tmp_path: Path
) -> None:
    photos = []
    for number, size in enumerate([(48, 40), (31, 97)]):
        photos.append(tmp_path / f"photo_{number}.png")
        draw_pair(number, size)[0].save(photos[-1])
    document = core("segment", *photos, "--checkpoint", checkpoint, "--out", tmp_path / "out", "--json").document()
    assert [photo["size"] for photo in document["photos"]] == [[48, 40], [31, 97]]
    for photo in document["photos"]:
        assert set(photo) == {"file", "size", "mask", "overlay", "classes", "seconds"}
        assert sum(entry["share"] for entry in photo["classes"]) == pytest.approx(1)
        for kind, mode in (("mask", "P"), ("overlay", "RGB")):
            with Image.open(photo[kind]) as image:
                assert (image.mode, list(image.size)) == (mode, photo["size"])


def test_photos_of_one_name_get_files_of_their_own(core: Command, checkpoint: Path, tmp_path: Path) -> None:
    """a-3.png, a.png and b/a.png: the third was called a-3 as well, and its mask replaced that of the first."""
    photos = [tmp_path / name for name in ("a-3.png", "a.png", "b/a.png", "c/a.png", "a-2.png")]
    for number, photo in enumerate(photos):
        photo.parent.mkdir(exist_ok=True)
        draw_pair(number, (32 + number, 32))[0].save(photo)
    document = core("segment", *photos, "--checkpoint", checkpoint, "--out", tmp_path / "out", "--json").document()
    masks = [Path(photo["mask"]) for photo in document["photos"]]
    assert len(set(masks)) == 5
    for photo, mask in zip(document["photos"], masks, strict=True):
        with Image.open(mask) as image:
            assert list(image.size) == photo["size"]


def test_segment_writes_what_else_is_asked_for(core: Command, checkpoint: Path, tmp_path: Path) -> None:
    photos = [tmp_path / "a" / "cat.png", tmp_path / "b" / "cat.png"]
    for number, photo in enumerate(photos):
        photo.parent.mkdir()
        draw_pair(number, (150, 90))[0].save(photo)
    out, archive = tmp_path / "out", tmp_path / "all.zip"
    ended = core(
        "segment", *photos, "--checkpoint", checkpoint, "--out", out, "--json", "--flip", "--scales", "1,1.25",
        "--tiles", 70, "--abstain", 0.01, "--cutouts", "--polygons", "--csv", "--zip", archive, "--palette", "safe",
    )  # fmt: skip
    document = ended.document()
    assert set(document) == {"photos", "polygons", "csv", "zip"}
    written = {Path(document["polygons"]), Path(document["csv"])}
    for photo in document["photos"]:
        assert photo["passes"] == 4 * 3 * 2
        written |= {Path(photo["mask"]), Path(photo["overlay"]), *map(Path, photo["cutouts"])}
        assert len(photo["cutouts"]) == sum(entry["id"] not in (0, VOID) for entry in photo["classes"])
    assert {path.name for path in written} >= {"cat_mask.png", "cat-2_mask.png", "objects.json", "classes.csv"}
    assert {out / path for path in files_under(out)} == written
    with zipfile.ZipFile(archive) as opened:
        assert {name: opened.read(name) for name in opened.namelist()} == {f.name: f.read_bytes() for f in written}
    objects = json.loads(Path(document["polygons"]).read_text())
    assert [image["file_name"] for image in objects["images"]] == ["cat.png", "cat.png"]
    lines = Path(document["csv"]).read_text().splitlines()
    assert len(lines) == 1 + sum(len(photo["classes"]) for photo in document["photos"])

    said = core("segment", photos[0], "--checkpoint", checkpoint, "--out", tmp_path / "again", "--cutouts")
    assert said.code == 0
    assert "cat_overlay.png" in said.out
    once_more = core("segment", photos[0], "--checkpoint", checkpoint, "--out", tmp_path / "again", "--csv")
    assert "nothing is overwritten" in once_more.sentence()


def test_a_model_that_is_never_sure_enough_leaves_void(core: Command, checkpoint: Path, tmp_path: Path) -> None:
    draw_pair(0)[0].save(tmp_path / "photo.png")
    arguments = ("segment", tmp_path / "photo.png", "--checkpoint", checkpoint, "--out", tmp_path / "out")
    (photo,) = core(*arguments, "--abstain", 1, "--json").document()["photos"]
    assert [entry["name"] for entry in photo["classes"]] == ["void"]
    with Image.open(photo["mask"]) as mask:
        assert (np.asarray(mask) == VOID).all()


def test_what_is_decided_about_a_photo_is_said_beside_the_document(
    core: Command, checkpoint: Path, tmp_path: Path
) -> None:
    Image.new("RGBA", (30, 20), (200, 0, 0, 0)).save(tmp_path / "cut.png")
    ended = core("segment", tmp_path / "cut.png", "--checkpoint", checkpoint, "--out", tmp_path / "out", "--json")
    assert ended.document()["photos"]
    assert "cut.png: What is transparent in it is laid on white." in ended.err


def test_report_evaluates_what_is_missing_and_writes_one_file(
    core: Command, checkpoint: Path, tiny_voc: Path, tmp_path: Path
) -> None:
    from core.training.config import TrainingConfig
    from core.training.runs import create_run

    run = create_run("reported", tiny_voc, "report", TrainingConfig(epochs=1))
    shutil.copy(checkpoint, run.path / "epoch_001.pt")
    out = tmp_path / "mine.html"
    ended = core("report", run.path, "--out", out, "--tables", tmp_path / "tables", "--language", "pt", "--json")
    assert ended.document() == {"file": str(out), "tables": str(tmp_path / "tables")}
    assert "epoch_001.pt is not evaluated on val yet" in ended.err
    assert '<html lang="pt">' in out.read_text(encoding="utf-8")
    names = {"scores.csv", "classes.csv", "epochs.csv", "report.json", "tables.tex"}
    assert {file.name for file in (tmp_path / "tables").iterdir()} == names

    before = files_under(tmp_path)
    assert "exists already" in core("report", run.path, "--out", out).sentence()
    assert "holds files already" in core("report", run.path, "--tables", tmp_path / "tables").sentence()
    assert "cannot be written" in core("report", run.path, "--out", tmp_path / "no" / "a.html").sentence()
    assert files_under(tmp_path) == before

    written = [core("report", run.path, "--json") for _ in range(2)]
    assert [ended.err for ended in written] == ["", ""], "it is evaluated once"
    assert [ended.document() for ended in written] == [
        {"file": str(run.path / "report.html")}, {"file": str(run.path / "report-2.html")},
    ]  # fmt: skip
    assert core("report", run.path, "--language", "fr").code == 2
