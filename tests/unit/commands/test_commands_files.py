"""The commands that say what data and checkpoints are, and make another file of one."""

import shutil
from pathlib import Path

import pytest
import torch

from core import jobs
from core.data.importers import incoming
from core.data.labelling import mark_done
from core.model.architectures import MOBILENET
from core.model.checkpoint.checkpoint_file import open_checkpoint
from core.training.run.milestones import CHOSEN_ON_VAL
from core.voc import CLASS_NAMES
from tests.small_data import write_pairs
from tests.unit.commands.calls import Command
from tests.unit.data.labelling.labelled import new_set


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


def test_classes_that_nothing_names_are_numbers_and_that_is_said(core: Command, tmp_path: Path) -> None:
    """Cats were "aeroplane" in stats, and the doctor found nothing."""
    write_pairs(tmp_path / "images", tmp_path / "masks", ["a", "b", "c"])
    shown = core("stats", tmp_path)
    assert f"Nothing says what the classes of {tmp_path} are called" in shown.err
    assert "class 8" in shown.out
    assert "absent" not in shown.out
    assert not set(CLASS_NAMES[1:]) & set(shown.out.split())
    assert "unnamed classes" in core("doctor", tmp_path).out
    (tmp_path / "val.txt").write_text("a\n")
    assert "val.txt: This list is not read" in core("stats", tmp_path).err


def test_doctor_ends_with_0_whatever_it_finds(core: Command, places: dict[str, str]) -> None:
    document = core("doctor", places["damaged"], "--json").document()
    assert set(document) == {"images", "masks", "findings", "counts"}
    assert set(document["findings"][0]) == {"file", "split", "kind", "detail", "severity"}
    assert document["counts"] == {"unreadable photo": 2, "few validation photos": 1}
    shown = core("doctor", places["damaged"])
    assert (shown.code, shown.out.splitlines()[:2]) == (0, ["6 photos and 6 masks examined.", "2 errors"])
    few = core("doctor", places["voc"]).out.splitlines()
    assert few[:2] == ["6 photos and 6 masks examined.", "1 warning"]
    assert few[2].split() == ["few", "validation", "photos", "ImageSets/Segmentation/val.txt", "(val)"]


def test_a_split_anew_without_a_repair_is_refused(core: Command, tiny_voc: Path, tmp_path: Path) -> None:
    refused = core("doctor", tiny_voc, "--split-anew")
    assert refused.code == 1
    assert "give --repair OUT too" in refused.err
    core("doctor", tiny_voc, "--repair", tmp_path / "out", "--split-anew")
    assert "split anew" in (tmp_path / "out" / "repair.csv").read_text()


def test_an_import_of_the_dashboard_leaves_its_notes_and_no_upload(core: Command, home: Path, tmp_path: Path) -> None:
    write_pairs(tmp_path / "set" / "images", tmp_path / "set" / "masks", ["a", "b", "c"])
    (home / "cache" / "uploads").mkdir(parents=True)
    packed = Path(shutil.make_archive(str(home / "cache" / "uploads" / "x"), "zip", tmp_path / "set"))
    out, job = home / "datasets" / "cats", incoming.job_dir("cats")
    failed = core("import", "id-masks", packed, "--out", out, "--classes=3=dog", "--job", job)
    assert "--classes 8=NAME" in failed.sentence()
    assert jobs.error(job) in failed.err
    assert packed.exists()
    document = core(
        "import", "id-masks", packed, "--out", out, "--classes=8=cat,12=dog", "--job", job, "--json"
    ).document()
    assert document["classes"] == ["background", "cat", "dog"]
    assert jobs.has_ended(job)
    assert incoming.notes_of(out) == tuple(document["notes"])
    assert not packed.exists()


def test_the_command_writes_a_file_and_says_what_to_do_with_it(core: Command, home: Path) -> None:
    label_set = new_set(home)
    mark_done(label_set, "b")
    document = core(
        "export-labels", label_set.root, "--format", "label-studio", "--out", home / "tasks.json", "--json"
    ).document()
    assert document["file"] == str(home / "tasks.json")
    assert (document["photos"], document["classes"]) == (1, ["background", "leaf", "stem"])
    assert '<Label value="stem" background="#8b5a2b"/>' in document["next"]
    assert (
        "has no proposals"
        in core("export-labels", label_set.root, "--format", "cvat", "--out", home / "x.zip", "--proposals").sentence()
    )
    assert not (home / "x.zip").exists()
    assert "1 photo in" in core("export-labels", label_set.root, "--format", "cvat", "--out", home / "x.zip").out


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


@pytest.mark.parametrize(
    ("epoch", "step", "said"),
    [(14, 3, "in epoch 15, not evaluated, from "), (14, 0, "epoch 14, from "), (None, 3, "epoch None, from ")],
)
def test_inspect_says_in_which_epoch_a_file_was_saved(
    core: Command, checkpoint: Path, tmp_path: Path, epoch: int | None, step: int, said: str
) -> None:
    """Saved by a stop in epoch 15, it was one of epoch 14."""
    document = torch.load(checkpoint)
    document["meta"] |= {"epoch": epoch, "step_in_epoch": step}
    torch.save(document, tmp_path / "last.pt")
    assert core("inspect", tmp_path / "last.pt").out.splitlines()[1].startswith(said)


def test_the_val_score_of_a_best_pt_is_said_to_be_chosen(
    core: Command, checkpoint: Path, tmp_path: Path, tiny_voc: Path
) -> None:
    document = torch.load(checkpoint)
    document["meta"]["scores"] = {"miou": 0.4321}
    for name in ("best.pt", "epoch_001.pt"):
        torch.save(document, tmp_path / name)
        ended = core("inspect", tmp_path / name)
        assert "mIoU on val 43.2 %" in ended.out
        evaluated = core("evaluate", tmp_path / name, "--data", tiny_voc)
        assert (CHOSEN_ON_VAL in ended.err, CHOSEN_ON_VAL in evaluated.err) == ((name == "best.pt"),) * 2


def test_what_a_foreign_file_does_not_say_is_said_by_options(
    core: Command, checkpoint: Path, places: dict[str, str], tmp_path: Path
) -> None:
    raw = torch.load(checkpoint)["model"]
    averaged = {**raw, "classifier.4.bias": raw["classifier.4.bias"] + 1}
    torch.save({"model": raw, "model_ema": averaged}, tmp_path / "foreign.pt")
    unnamed = core("inspect", tmp_path / "foreign.pt").out
    assert "--classes voc" in unnamed
    assert "--weights ema" in unnamed
    options = ("--image-size", "64", "--classes", "voc", "--weights", "ema")
    document = core("inspect", tmp_path / "foreign.pt", *options, "--json").document()
    assert (document["classes"], document["meta"]["image_size"]) == (list(CLASS_NAMES), 64)
    out = tmp_path / "out.safetensors"
    core("export", tmp_path / "foreign.pt", "--format", "safetensors", "--out", out, *options)
    again = open_checkpoint(out)
    assert again.meta.class_names == CLASS_NAMES
    assert torch.equal(again.state["classifier.4.bias"], averaged["classifier.4.bias"])
    scores = core("evaluate", tmp_path / "foreign.pt", "--data", places["voc"], *options, "--json").document()
    assert scores["images"] == 2
    wrong = core(
        "evaluate", tmp_path / "foreign.pt", "--data", places["voc"], "--classes", ",".join(map(str, range(21)))
    )
    assert wrong.code == 1
    assert "evaluate it on data with its own classes" in wrong.err


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
    about = """file format size_bytes difference tolerance agreement architecture classes image_size geometry image_mean
        image_std"""
    assert set(document) == set(about.split())
    assert (document["file"], document["size_bytes"], document["difference"]) == (str(out), out.stat().st_size, 0)
    again = core("inspect", out, "--json").document()
    assert (again["format"], again["meta"]["image_size"], again["problems"]) == (
        "atrous-checkpoint as safetensors", 64, [],
    )  # fmt: skip
    shown = core("export", out, "--format", "state-dict", "--out", tmp_path / "weights.pt").out
    assert "logits compared: bit for bit the same" in shown
    assert "takes photos in RGB, normalized, both sides resized to 64 px" in shown
    core("export", out, "--format", "safetensors", "--half", "--out", tmp_path / "half.safetensors")
    assert core("inspect", tmp_path / "half.safetensors").out.startswith("atrous-checkpoint as safetensors, fp16:")
