"""Proposals for the photos without a mask, and what to label next: files, order, resumption, refusals."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from core import jobs
from core.classes import Classes, classes_of, write_classes
from core.data.images import read_photo
from core.data.labelling import LabelSet, State, open_label_set
from core.data.labelling import proposals as store
from core.errors import ConfigError, CoreError, RunError
from core.home import PROJECT_ROOT
from core.model.predict.predictor import open_predictor
from core.review import proposing
from core.voc import CLASS_NAMES
from tests.processes import until
from tests.small_data import draw_pair, write_list
from tests.small_models import save_lively_model
from tests.unit.commands.calls import Command

pytestmark = pytest.mark.usefixtures("thin_networks")

VOC_CLASSES = classes_of(CLASS_NAMES)
TWO = classes_of(("background", "thing"))


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_lively_model(tmp_path_factory.mktemp("models") / "small.pt", seed=2)


def write_set(root: Path, names: list[str], classes: Classes = VOC_CLASSES, labelled: int = 1) -> LabelSet:
    """Write photos of several sizes, the first ones with masks, and open them for labelling."""
    for folder in ("JPEGImages", "SegmentationClass"):
        (root / folder).mkdir(parents=True)
    for number, name in enumerate(names):
        photo, mask_HW = draw_pair(number, (48 + 3 * number, 40 + number))
        photo.save(root / "JPEGImages" / f"{name}.jpg")
        if number < labelled:
            Image.fromarray(np.minimum(mask_HW, 1)).save(root / "SegmentationClass" / f"{name}.png")
    write_list(root, "train", names[:labelled])
    write_classes(root, classes)
    return open_label_set(root)


NAMES = ["d", "b", "e", "a", "c"]


def proposed(label_set: LabelSet) -> set[str]:
    return {name for name, state in label_set.states().items() if state == State.PROPOSED}


def masks_of(label_set: LabelSet) -> dict[str, bytes]:
    return {name: store.proposal_file(label_set, name).read_bytes() for name in proposed(label_set)}


def test_every_photo_without_a_mask_gets_what_the_model_sees(tmp_path: Path, checkpoint: Path) -> None:
    label_set = write_set(tmp_path / "set", NAMES)
    document = proposing.propose(label_set, checkpoint)
    assert proposed(label_set) == {"a", "b", "c", "e"}
    assert label_set.states() == {
        "a": State.PROPOSED, "b": State.PROPOSED, "c": State.PROPOSED, "d": State.DONE, "e": State.PROPOSED
    }  # fmt: skip
    predictor, _ = open_predictor(checkpoint)
    for name in ("a", "b", "c", "e"):
        proposed_HW = store.read_proposal(label_set, name)
        assert proposed_HW is not None
        assert np.array_equal(proposed_HW, predictor.predict(read_photo(label_set.photos[name])).mask_HW)
    assert sorted(each["file"] for each in document["photos"]) == ["a.jpg", "b.jpg", "c.jpg", "e.jpg"]
    assert list(store.read_ranking(label_set)) == [each["name"] for each in document["photos"]]
    about = store.proposals_about(label_set) or {}
    assert about["hash"] == document["hash"]
    assert about["mapping"][8] == {"model": "cat", "class": "cat"}


def test_objects_become_the_one_class_where_they_are_likelier_than_the_background(
    tmp_path: Path, checkpoint: Path
) -> None:
    """Together: where cat and dog have 0.3 each and the background 0.4, there is an object."""
    label_set = write_set(tmp_path / "set", NAMES[:2], TWO)
    proposer = proposing.Proposer(checkpoint, label_set)
    assert len(proposer.mapping.notes) == 1
    logits_Khw = torch.full((21, 64, 64), -20.0)
    logits_Khw[0] = 0.4
    logits_Khw[0, :32] = 2.0
    logits_Khw[[8, 12]] = 0.1
    proposer._predictor.described = lambda _photo: (logits_Khw, torch.ones(4))  # type: ignore[method-assign]
    mask_HW, seen = proposer.propose(Image.new("RGB", (40, 60)))
    assert mask_HW.shape == (60, 40)
    assert not mask_HW[:28].any()
    assert mask_HW[32:].all()
    assert seen.between == (0, 1)


def test_the_order_of_the_files_changes_nothing(tmp_path: Path, checkpoint: Path) -> None:
    one = proposing.propose(write_set(tmp_path / "one", NAMES), checkpoint)
    other_set = write_set(tmp_path / "other", NAMES)
    turned = LabelSet(**vars(other_set) | {"photos": dict(reversed(other_set.photos.items()))})
    other = proposing.propose(turned, checkpoint, first=["c"])
    assert other["photos"] == one["photos"]
    ranked = proposing.rank(turned, checkpoint)
    assert [each["name"] for each in ranked["photos"]] == [each["name"] for each in one["photos"]]
    assert set(ranked["photos"][0]) == {"file", "name", "score", "reason"}


def test_the_queue_s_next_photos_come_first(tmp_path: Path, checkpoint: Path) -> None:
    label_set = write_set(tmp_path / "set", NAMES)
    seen: list[set[str]] = []
    proposing.propose(label_set, checkpoint, first=["e", "c"], on_progress=lambda *_: seen.append(proposed(label_set)))
    assert seen[1:3] == [{"e"}, {"e", "c"}]


def test_stopped_and_started_again_it_makes_what_is_missing_alone(tmp_path: Path, checkpoint: Path) -> None:
    whole = proposing.propose(write_set(tmp_path / "whole", NAMES), checkpoint)
    label_set = write_set(tmp_path / "set", NAMES)

    def stop(done: int, _total: int) -> None:
        if done == 2:
            raise RunError("It was stopped.")

    with pytest.raises(RunError):
        proposing.propose(label_set, checkpoint, on_progress=stop)
    before = masks_of(label_set)
    assert len(before) == 2
    stamps = {name: store.proposal_file(label_set, name).stat().st_mtime_ns for name in before}
    document = proposing.propose(label_set, checkpoint)
    assert (document["made"], document["kept"]) == (2, 2)
    assert {name: store.proposal_file(label_set, name).stat().st_mtime_ns for name in before} == stamps
    assert document["photos"] == whole["photos"]


def test_another_checkpoint_or_class_makes_all_of_them_again(tmp_path: Path, checkpoint: Path) -> None:
    label_set = write_set(tmp_path / "set", NAMES, classes_of(("background", "thing", "pet")))
    proposing.propose(label_set, checkpoint, object_class="thing")
    assert proposing.propose(label_set, checkpoint, object_class="thing")["kept"] == 4
    assert proposing.propose(label_set, checkpoint, object_class="pet")["kept"] == 0
    other = save_lively_model(tmp_path / "other.pt", seed=1)
    assert proposing.propose(label_set, other, object_class="pet")["kept"] == 0


def test_a_photo_that_was_replaced_gets_another_proposal(tmp_path: Path, checkpoint: Path) -> None:
    label_set = write_set(tmp_path / "set", NAMES)
    proposing.propose(label_set, checkpoint)
    Image.new("RGB", (33, 21), "green").save(label_set.photos["b"])
    assert proposing.propose(label_set, checkpoint)["kept"] == 3
    replaced_HW = store.read_proposal(label_set, "b")
    assert replaced_HW is not None
    assert replaced_HW.shape == (21, 33)


def test_a_photo_that_cannot_be_read_is_named_and_left_out(tmp_path: Path, checkpoint: Path) -> None:
    label_set = write_set(tmp_path / "set", NAMES)
    label_set.photos["b"].write_bytes(b"\xff\xd8 cut")
    said: list[str] = []
    document = proposing.propose(label_set, checkpoint, on_note=said.append)
    assert [each["file"] for each in document["skipped"]] == ["b.jpg"]
    assert "b.jpg" in said[-1]
    assert set(store.read_ranking(label_set)) == {"a", "c", "e"}


def test_classes_that_change_meanwhile_end_it(tmp_path: Path, checkpoint: Path) -> None:
    """A proposal with the ids of before would show other classes."""
    label_set = write_set(tmp_path / "set", NAMES)

    def change(done: int, _total: int) -> None:
        if done == 1:
            write_classes(label_set.root, classes_of(("background", *reversed(CLASS_NAMES[1:]))), replace=True)

    with pytest.raises(CoreError, match="classes"):
        proposing.propose(label_set, checkpoint, on_progress=change)
    assert len(proposed(label_set)) == 1


def test_a_run_s_folder_stands_for_its_best_checkpoint(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    assert proposing.checkpoint_of(run) == run
    (run / "config.json").write_text("{}")
    assert proposing.checkpoint_of(run) == run / "best.pt"


# --- the commands -----------------------------------------------------------------------------------------------------


def test_the_commands_print_one_json_document(core: Command, tmp_path: Path, checkpoint: Path) -> None:
    label_set = write_set(tmp_path / "set", NAMES)
    document = core("rank", label_set.root, "--checkpoint", checkpoint, "--json").document()
    assert {"photos", "checkpoint", "hash", "data", "skipped"} == set(document)
    assert {"file", "score", "reason"} < set(document["photos"][0])
    assert not (label_set.root / "labelling").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--first", "x"], "There is no photo x"),
        (["--class", "unicorn"], "There is no class 'unicorn'"),
        (["--map", "unicorn=cat"], "The model has no class 'unicorn'"),
    ],
)
def test_what_a_user_gets_wrong_is_one_sentence(tmp_path: Path, checkpoint: Path, words: list[str], said: str) -> None:
    label_set = write_set(tmp_path / "set", NAMES)
    options = {"first": words[1:] if words[0] == "--first" else []}
    options |= {"object_class": words[1]} if words[0] == "--class" else {}
    options |= {"chosen": dict([words[1].split("=")])} if words[0] == "--map" else {}
    with pytest.raises(ConfigError, match=said):
        proposing.propose(label_set, checkpoint, **options)
    assert proposed(label_set) == set()


HANGING = """
import sys, time
from pathlib import Path
from core import jobs
from core.data.labelling import open_label_set
from core.data.labelling.proposals import proposals_folder
from core.review import proposing
from tests.programs.thin import build_thin

build_thin()

def hang(done, total):
    note(done, total)
    if done == 3:
        print("ready", flush=True)
        time.sleep(600)

label_set = open_label_set(Path(sys.argv[1]))
with jobs.running(proposals_folder(label_set.root)) as note:
    proposing.propose(label_set, Path(sys.argv[2]), on_progress=hang)
"""


@pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning")  # a job outlives its starter
def test_two_at_once_are_refused_and_a_killed_one_goes_on(
    tmp_path: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "PROGRAM", "tests.programs.thin")
    label_set = write_set(tmp_path / "set", NAMES)
    folder = store.proposals_folder(label_set.root)
    with subprocess.Popen(
        [sys.executable, "-c", HANGING, str(label_set.root), str(checkpoint)], cwd=PROJECT_ROOT, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == b"ready\n"
        with pytest.raises(RunError, match="being worked on by another process"), jobs.running(folder):
            pass
        process.kill()
    before = masks_of(label_set)
    assert len(before) == 3
    assert "was killed" in (jobs.error(folder) or "")
    proposing.start(label_set, checkpoint, first=["c"])
    until(lambda: not jobs.is_held(folder), "its end")
    assert jobs.has_ended(folder), jobs.output_of(folder)
    assert len(masks_of(label_set)) == 4
    assert {name: content for name, content in masks_of(label_set).items() if name in before} == before
