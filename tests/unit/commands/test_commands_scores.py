"""The commands that score checkpoints: one JSON document with the promised keys, and each evaluated once."""

import json
import re
import shlex
import shutil
from html import unescape
from pathlib import Path

import numpy as np
from PIL import Image

from core import api
from core.commands import evaluation
from core.data.corruptions import CORRUPTIONS
from core.data.dataset import open_dataset
from core.model.architectures import MOBILENET
from core.training.run import openings
from core.training.trust import read
from tests.unit.commands.calls import Command, files_under


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


def test_evaluate_under_corruptions_prints_the_promised_keys(core: Command, checkpoint: Path, tiny_voc: Path) -> None:
    ended = core("evaluate", checkpoint, "--data", tiny_voc, "--corruptions", "--photos", 1, "--json")
    document = ended.document()
    assert "36 versions of 1 photo of val: 36 predictions to go" in ended.err
    promised = "checkpoint split images split_images longest_px clean corruptions stored_in"
    assert set(document) == set(promised.split())
    assert (document["images"], document["split_images"]) == (1, 2)
    assert {len(each["levels"]) for each in document["corruptions"]} == {5}
    shown = evaluation.show_evaluate(document).splitlines()
    assert [line.split()[0] for line in shown[2:9]] == list(CORRUPTIONS)


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
    assert document["sentence"].startswith(f"same.pt and {checkpoint.name} cannot be told apart on 2 photos")
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


def test_compare_says_that_an_evaluation_counted_photos_by_size_and_does_it_again(
    core: Command, checkpoint: Path, tiny_voc: Path, tmp_path: Path
) -> None:
    """Every photo of val could be replaced by a black one of the same size, and compare printed the old scores."""
    from tests.app.stored import by_size

    run = tmp_path / "run"
    run.mkdir()
    (run / "config.json").write_text("{}")
    file = run / "epoch_001.pt"
    file.write_bytes(checkpoint.read_bytes())
    core("evaluate", file, "--data", tiny_voc)
    (kept,) = (run / "eval").glob("val-*")
    about = json.loads((kept / "scores.json").read_text())
    about["fingerprint"] = by_size(open_dataset(tiny_voc).split("val"))
    (kept / "scores.json").write_text(json.dumps(about))
    kept.rename(kept.with_name(f"val-{about['checkpoint_hash'][:12]}-{about['fingerprint'][:12]}"))
    ended = core("compare", file, file, "--data", tiny_voc, "--json")
    assert ended.document()["delta_miou"] == 0
    assert ended.err == "epoch_001.pt was evaluated before photos were compared by content: evaluating it again.\n"
    assert len(list((run / "eval").glob("val-*"))) == 2, "the old one stays"
    assert core("compare", file, file, "--data", tiny_voc, "--json").err == ""


def test_a_folder_without_lists_has_one_validation_split_whatever_the_seed(
    core: Command, checkpoint: Path, tmp_path: Path
) -> None:
    """The trainer split a folder without lists by the run's seed, and evaluate by 0: val held training photos."""
    from core.data.dataset import open_dataset
    from core.training.loop.trainer import train
    from core.training.run.folders import create_run
    from core.training.settings.config import TrainingConfig
    from tests.small_data import write_pairs

    names = [f"p{number}" for number in range(10)]
    write_pairs(tmp_path / "own" / "images", tmp_path / "own" / "masks", names)
    config = TrainingConfig(
        architecture=MOBILENET, output_stride=16, image_size=32, batch_size=4, epochs=1, seed=5, precision="fp32"
    )
    run = create_run("own", tmp_path / "own", "report", config)
    for _ in train(run):
        pass
    evaluated = {file.stem for file in run.eval_dir.glob("val-*/masks/*.png")}
    assert evaluated == {sample.name for sample in open_dataset(tmp_path / "own").split("val")}


def test_report_evaluates_what_is_missing_and_writes_one_file(
    core: Command, checkpoint: Path, tiny_voc: Path, tmp_path: Path
) -> None:
    from core.training.run.folders import create_run
    from core.training.settings.config import TrainingConfig

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
    assert files_under(tmp_path) - {Path("cache")} == before - {Path("cache")}

    written = [core("report", run.path, "--json") for _ in range(2)]
    assert [ended.err for ended in written] == ["", ""], "it is evaluated once"
    assert [ended.document() for ended in written] == [
        {"file": str(run.path / f"{run.path.name}-report-en{number}.html")} for number in ("", "-2")
    ]
    assert core("report", run.path, "--language", "fr").code == 2

    asked = ("--language", "pt", "--title", "It's 50 > 10", "--author", "A. Student", "--date=-May-")
    first = Path(core("report", run.path / "epoch_001.pt", *asked, "--json").document()["file"])
    (command,) = [line for line in unescape(first.read_text(encoding="utf-8")).split("\n") if "core report" in line]
    again = shlex.split(command.replace("checkpoints/RUN", str(run.path)).removesuffix("</code></pre>"))[3:]
    second = Path(core(*again, "--json").document()["file"])
    said, said_again = (re.sub("(Gerado em)[^<]*", "", file.read_text(encoding="utf-8")) for file in (first, second))
    assert said == said_again
    assert '<p class="byline">A. Student · -May-</p>' in said
    assert "is not a run folder" in core("report", checkpoint).sentence()


def test_each_evaluation_on_test_is_recorded_before_it_is_shown(
    core: Command, checkpoint: Path, tiny_voc: Path
) -> None:
    """On the command line and from Python; val and train open nothing, and a refused record shows no score."""
    (tiny_voc / "ImageSets" / "Segmentation" / "test.txt").write_text("photo_0\n")
    evaluate = ("evaluate", checkpoint, "--data", tiny_voc, "--split")
    for split in ("val", "train"):
        core(*evaluate, split, "--json").document()
    assert openings.openings() == []
    for times in ("1 time", "2 times"):
        ended = core(*evaluate, "test", "--json")
        assert ended.document()["split"] == "test"
        assert f"The test split was opened {times}, for 1 checkpoint" in ended.err
    said: list[str] = []
    api.evaluate(checkpoint, tiny_voc, "test", on_note=said.append)
    assert [each.by for each in openings.openings()] == ["command", "command", "python"]
    assert "opened 3 times" in said[-1]
    openings.path().write_text("damaged")
    assert "Line 1 of" in core(*evaluate, "test").sentence()


def test_trust_prints_the_promised_keys(core: Command, checkpoint: Path, tiny_voc: Path, tmp_path: Path) -> None:
    out, of_checkpoint = tmp_path / "trust.npz", (checkpoint, "--data", tiny_voc, "--trained-on", tiny_voc)
    document = core("trust", *of_checkpoint, "--out", out, "--json").document()
    promised = """checkpoint checkpoint_hash split fingerprint class_names number_format num_trained_on schema photos
        promises no_promise_for calibration distance"""
    assert set(document) == set(promised.split())
    assert (document["photos"], document["num_trained_on"]) == (2, 4)
    assert [each["aim"] for each in document["promises"]] == [0.9, 0.95, 0.99]
    assert document["promises"][1]["promise"] == 0.95 - 0.95 / 3, "two photos allow no more"
    assert read(out).as_dict() == document
    assert "trust.npz" in core("trust", *of_checkpoint, "--out", out).sentence()
    assert "does not exist" in core("trust", *of_checkpoint, "--out", tmp_path / "none" / "trust.npz").sentence()
    assert "2 photos of val, held out" in core("trust", *of_checkpoint).out
