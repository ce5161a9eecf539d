"""Label errors: what counts as one, which photos a model has seen, and what was decided, in the repaired copy."""

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from core.__main__ import main
from core.data.dataset import Dataset, fingerprint, open_dataset
from core.data.images import read_mask, write_mask
from core.data.repair.label_decisions import decide, decided, decisions_file, pair_keys, read_decisions, region_of
from core.data.repair.repaired_copy import repair
from core.data.seeding import fraction_of
from core.data.split_view import write_view
from core.errors import DataError
from core.review import label_review
from core.review.label_errors import SelfConfidence, Suspicion, suspicions
from core.review.label_review import read_review, review_labels
from core.review.unseen import unseen_by
from core.training.run.folders import create_run
from core.training.run.log import LogWriter
from core.training.run.records import RunEnded
from core.training.settings.presets import preset
from core.voc import VOID
from tests.small_data import CAT, DOG, write_list, write_voc
from tests.small_models import save_lively_model
from tests.unit.ui.made_logs import leg

NAMES = ("background", "cat", "dog")


def probabilities(seen_HW: NDArray[np.uint8], confidence: float = 0.9) -> NDArray[np.float32]:
    other = (1 - confidence) / (len(NAMES) - 1)
    return np.where(np.arange(len(NAMES))[:, None, None] == seen_HW, confidence, other).astype(np.float32)


def scene() -> NDArray[np.uint8]:
    """A cat of 40 x 40 px in 100 x 100 px, with a void border."""
    mask_HW = np.zeros((100, 100), np.uint8)
    mask_HW[28:72, 28:72] = VOID
    mask_HW[30:70, 30:70] = 1
    return mask_HW


def doubted(mask_HW: NDArray[np.uint8], seen: NDArray[np.uint8], confidence: float = 0.9) -> list[Suspicion]:
    seen_HW = np.where(seen == VOID, 0, seen)
    sure = SelfConfidence(len(NAMES))
    sure.add(scene(), probabilities(np.where(scene() == VOID, 0, scene())))
    return suspicions(("a", "key"), mask_HW, probabilities(seen_HW, confidence), sure.thresholds(), NAMES)[0]


def erased() -> NDArray[np.uint8]:
    return np.where(scene() == 1, 0, scene()).astype(np.uint8)


@pytest.mark.parametrize(
    ("mask_HW", "seen_HW", "classes", "box"),
    [
        (erased(), scene(), ("background", "cat"), (30, 30, 70, 70)),
        (np.where(scene() == 1, 2, scene()).astype(np.uint8), scene(), ("dog", "cat"), (30, 30, 70, 70)),
        (np.roll(scene(), 15, axis=1), scene(), ("background", "cat"), (30, 30, 43, 70)),
    ],
    ids=["erased", "swapped", "shifted"],
)
def test_a_fault_is_found_with_its_place_and_its_class(
    mask_HW: NDArray[np.uint8], seen_HW: NDArray[np.uint8], classes: tuple[str, str], box: tuple[int, ...]
) -> None:
    found = {(each.region.class_given, each.region.class_suggested): each for each in doubted(mask_HW, seen_HW)}
    assert found[classes].region.box == box
    assert found[classes].score > 0.3
    assert found[classes].pixels == np.count_nonzero(found[classes].region.is_inside_HW)


def test_what_is_no_error() -> None:
    """An outline off by a pixel or two, a photo that agrees, void, and a model that is not sure."""
    grown = np.where(scene() == VOID, 1, scene()).astype(np.uint8)
    assert doubted(scene(), scene()) == []
    assert doubted(scene(), grown) == []
    assert doubted(np.full((100, 100), VOID, np.uint8), scene()) == []
    assert doubted(erased(), scene(), confidence=0.5) == []
    bare = np.where(scene() == VOID, 0, scene()).astype(np.uint8)
    outline = [each.score for each in doubted(bare, np.roll(bare, 2, axis=1))]
    assert max(outline, default=0) < 0.3


def quality(mask_HW: NDArray[np.uint8], seen_HW: NDArray[np.uint8]) -> float:
    sure = SelfConfidence(len(NAMES))
    sure.add(seen_HW, probabilities(seen_HW))
    return suspicions(("a", "key"), mask_HW, probabilities(seen_HW), sure.thresholds(), NAMES)[1]


def test_a_mask_in_the_wrong_place_is_worse_than_an_outline_drawn_wide() -> None:
    """Both differ by strips of 4 px; the shifted one differs in less than half as many pixels."""
    bare = np.where(scene() == VOID, 0, scene()).astype(np.uint8)
    wide = ndimage.binary_dilation(bare, iterations=4).astype(np.uint8)
    shifted = [quality(np.roll(bare, 4, axis=axis), bare) for axis in (0, 1, (0, 1))]
    assert max(shifted) < quality(wide, bare) - 0.1
    assert quality(bare, bare) == 1


def test_a_class_that_has_the_wrong_name_everywhere_is_worse_than_one_that_is_wrong_in_part() -> None:
    """By the peak of the evidence alone both were about as bad."""
    mask_HW, seen_HW = np.zeros((2, 100, 100), np.uint8)
    mask_HW[10:90, 10:90], seen_HW[10:90, 10:90] = 2, 1
    partly_HW = seen_HW.copy()
    partly_HW[10:90, 10:45] = 2
    assert quality(mask_HW, seen_HW) < quality(mask_HW, partly_HW) - 0.05


def test_a_small_part_that_is_surely_wrong_outranks_a_large_one_that_is_hardly_doubted() -> None:
    """By sums over pixels whatever a model knows badly came first, such as all sofas."""
    mask_HW, seen_HW = np.zeros((2, 100, 100), np.uint8)
    seen_HW[10:26, 10:26], seen_HW[40:90, 40:90] = 2, 1
    sure = np.where(seen_HW == 1, 0.72, 0.999)
    other = (1 - sure) / 2
    p_Khw = np.where(np.arange(3)[:, None, None] == seen_HW, sure, other).astype(np.float32)
    found, _ = suspicions(("a", ""), mask_HW, p_Khw, np.full(3, 0.9), NAMES)
    assert [each.region.class_suggested for each in found] == ["dog", "cat"]


def test_a_large_mask_is_compared_small_and_its_region_is_of_its_own_size() -> None:
    large = np.kron(erased(), np.ones((12, 12), np.uint8))
    seen = np.where(scene() == VOID, 0, scene())[np.arange(512) * 100 // 512][:, np.arange(512) * 100 // 512]
    [found] = suspicions(("a", ""), large, probabilities(seen), np.full(3, 0.9), NAMES)[0]
    assert found.region.size == (1200, 1200)
    assert np.allclose(found.region.box, (360, 360, 840, 840), atol=4)


# --- which photos a model has seen ------------------------------------------------------------------------------------


@pytest.fixture
def data(tmp_path: Path) -> Dataset:
    return open_dataset(write_voc(tmp_path / "VOC2012", num_train=6, num_val=3))


def run_on(
    data: Dataset, folder: Path | None = None, *, outcome: str = "finished", init: str = "random", **settings: float
) -> Path:
    """Make a run with a checkpoint, and a log that ends with this outcome."""
    config = preset("own-photos")
    config = type(config)(**(config.as_dict() | settings))
    run = create_run("seen", data.root, "own-photos", config, folder=folder)
    some = fraction_of(data.split("train"), config.train_fraction, config.seed)
    log = LogWriter(run.log_path)
    log.write(leg(config=config.as_dict(), fingerprint=fingerprint((*some, *data.split("val"))), init=init))
    log.write(RunEnded(outcome=outcome, reason="", epochs_done=10, best_epoch=None, best_miou=None))
    log.close()
    return save_lively_model(run.path / "epoch_010.pt").parent


def test_a_run_is_asked_about_the_photos_that_it_did_not_train_on(data: Dataset) -> None:
    notes: list[str] = []
    [unseen] = unseen_by(data, run_on(data), notes.append)
    assert {sample.name for sample in unseen.samples} == {"photo_6", "photo_7", "photo_8"}
    assert notes == ["6 photos left out, since every model given trained on them."]
    [of_half] = unseen_by(data, run_on(data, train_fraction=0.5), notes.append)
    assert len(of_half.samples) == 6
    [file] = unseen_by(data, of_half.checkpoint, notes.append)
    assert file.samples == of_half.samples, "a checkpoint in a run's folder is that run's"


def test_photos_that_the_log_does_not_confirm_are_not_known(data: Dataset) -> None:
    """The lists of today were taken for those of the training: three photos that it trained on counted as unseen."""
    run = run_on(data)
    names = [f"photo_{number}" for number in range(9)]
    write_list(data.root, "train", names[3:])
    write_list(data.root, "val", names[:3])
    notes: list[str] = []
    [unseen] = unseen_by(open_dataset(data.root), run, notes.append)
    assert len(unseen.samples) == 9
    assert ["trained on is not known" in note for note in notes] == [True]


def test_a_finished_run_of_a_study_comes_first_and_another_with_a_note(data: Dataset, tmp_path: Path) -> None:
    """Each fold is one photo set that its run did not train on; of fold 2 there is an interrupted run alone."""
    names = sorted(sample.name for split in data.splits.values() for sample in split)
    folds = []
    for number, kept in enumerate((names[:4], names[4:]), 1):
        view = tmp_path / "study" / f"fold-{number}"
        write_view(view, data.root, {"train": [name for name in names if name not in kept], "val": kept})
        folds.append(open_dataset(view))
    (tmp_path / "study" / "study.json").write_text("{}")
    runs = tmp_path / "study" / "runs"
    broken = run_on(folds[0], runs, outcome="failed", seed=0)
    whole = run_on(folds[0], runs, init="starter", seed=1)
    alone = run_on(folds[1], runs, outcome="stopped")
    notes: list[str] = []
    found = unseen_by(data, tmp_path / "study", notes.append)
    assert [each.checkpoint.parent for each in found] == [whole, alone]
    assert broken not in {each.checkpoint.parent for each in found}
    assert ["may have seen" in note for note in notes] == [True, False]
    assert ["is not finished" in note for note in notes] == [False, True]


def test_it_is_said_when_nobody_knows_or_nothing_is_left(data: Dataset, tmp_path: Path) -> None:
    notes: list[str] = []
    [unseen] = unseen_by(data, save_lively_model(tmp_path / "alone.pt"), notes.append)
    assert len(unseen.samples) == 9
    assert "trained on is not known" in notes[0]
    write_list(data.root, "val", ["photo_0"])
    run = run_on(open_dataset(data.root))
    with pytest.raises(DataError, match="finds no errors in labels that it learned"):
        unseen_by(open_dataset(data.root), run, notes.append)
    write_list(data.root, "test", ["photo_7"])
    with pytest.raises(DataError, match="finds no errors"):
        unseen_by(open_dataset(data.root), run, notes.append)


def test_the_command_prints_findings_and_the_page_reads_them(
    data: Dataset, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_on(data)
    monkeypatch.setattr(label_review, "LEAST_SCORE", 0.05)  # the model has drawn weights, and is sure of little
    monkeypatch.setattr("sys.argv", ["core", "doctor", str(data.root), "--labels", str(run), "--json"])
    assert main() == 0
    document = json.loads(capsys.readouterr().out)
    review = read_review(data.root)
    assert review
    assert review.suspicions == review_labels(data, run).suspicions
    labels = [each for each in document["findings"] if each["kind"] == "label"]
    assert [each["score"] for each in labels] == [round(each.score, 4) for each in review.suspicions]
    assert document["counts"].get("label", 0) == len(labels) > 0
    keys = {"file", "split", "kind", "detail", "severity", "box", "class_given", "class_suggested", "score"}
    assert {frozenset(each) for each in labels} == {frozenset(keys)}
    assert {each["file"] for each in labels} <= {f"SegmentationClass/photo_{n}.png" for n in (6, 7, 8)}
    assert {each["file"] for each in document["labels"]["photos"]} == {"photo_6", "photo_7", "photo_8"}


# --- decisions --------------------------------------------------------------------------------------------------------


def test_decisions_are_applied_to_the_copy_and_survive_damage(data: Dataset, tmp_path: Path) -> None:
    sample = data.split("train")[0]
    before, key = sample.mask.read_bytes(), pair_keys([sample])[sample.name]
    mask_HW = read_mask(sample.mask, data.num_classes)
    whole = region_of(sample.name, key, ("cat", "dog"), mask_HW == CAT)
    left_HW = (mask_HW == 0) & (np.arange(48) < 3)
    left = region_of(sample.name, key, ("background", "cat"), left_HW)
    for region, action in ((whole, "void"), (whole, "take"), (left, "void"), (left, "take"), (left, "void")):
        decide(region, action, data.root)  # type: ignore[arg-type]
    with decisions_file().open("ab") as file:
        file.write(b'{"schema": 1, "torn')
    decide(region_of("photo_1", "other", ("dog", "cat"), mask_HW == CAT), "take", data.root)
    with decisions_file().open("ab") as file:
        file.write(b'{"schema": 2}\n')
    decisions, notes = read_decisions()
    assert [each.action for each in decisions] == ["take", "void", "take"]
    assert len(notes) == 2
    report = repair(data.root, tmp_path / "copy")
    copied_HW = read_mask(tmp_path / "copy" / "SegmentationClass" / sample.mask.name, data.num_classes)
    expected_HW = mask_HW.copy()
    expected_HW[mask_HW == CAT], expected_HW[left_HW] = DOG, VOID
    assert (copied_HW == expected_HW).all()
    assert sample.mask.read_bytes() == before
    details = [change.detail for change in report.changes]
    assert any("cat to dog as decided" in detail for detail in details)
    assert any("changed since a region was decided" in detail for detail in details), "photo_1 is another pair"
    assert b"torn" in decisions_file().read_bytes()


def test_a_decision_holds_for_nearly_the_same_region_and_not_for_a_mask_drawn_anew(data: Dataset) -> None:
    sample = data.split("train")[0]
    mask_HW = read_mask(sample.mask, data.num_classes)
    is_cat_HW = mask_HW == CAT
    region = region_of(sample.name, "key", ("cat", "dog"), is_cat_HW)
    decide(region, "keep", data.root)
    decisions, _ = read_decisions()
    smaller_HW = is_cat_HW & (np.arange(40)[:, None] > np.flatnonzero(is_cat_HW.any(axis=1))[2])
    assert decided(region_of(sample.name, "key", ("cat", "dog"), smaller_HW), decisions) == "keep"
    assert decided(region_of(sample.name, "key", ("cat", "background"), is_cat_HW), decisions) == "open"
    assert decided(region_of(sample.name, "new", ("cat", "dog"), is_cat_HW), decisions) == "open"
    decide(region, "open", data.root)
    assert decided(region, read_decisions()[0]) == "open"
    write_mask(sample.mask, mask_HW)


@pytest.mark.parametrize("last", ["keep", "open"])
def test_a_later_decision_about_nearly_the_same_region_holds_in_the_copy_too(
    data: Dataset, tmp_path: Path, last: str
) -> None:
    """Another model draws the region a row smaller: the page said *keep*, and the copy took the first decision."""
    sample = data.split("train")[0]
    mask_HW, key = read_mask(sample.mask, data.num_classes), pair_keys([sample])[sample.name]
    is_cat_HW = mask_HW == CAT
    smaller_HW = is_cat_HW & (np.arange(40)[:, None] > np.flatnonzero(is_cat_HW.any(axis=1))[1])
    decide(region_of(sample.name, key, ("cat", "dog"), is_cat_HW), "take", data.root)
    decide(region_of(sample.name, key, ("cat", "dog"), smaller_HW), last, data.root)  # type: ignore[arg-type]
    repair(data.root, tmp_path / "copy")
    copied_HW = read_mask(tmp_path / "copy" / "SegmentationClass" / sample.mask.name, data.num_classes)
    assert (copied_HW == mask_HW).all()


@pytest.mark.parametrize(
    "damage",
    [
        {"size": [10**9, 10**9]}, {"box": [0, 0, 10**9, 10**9]}, {"box": [0, 0, float("inf"), 3]},
        {"runs": "0 99999999999999999999"}, {"runs": "5"}, {"runs": "-1 2"}, {"size": [1, 1]},
    ],
)  # fmt: skip
def test_a_line_whose_region_cannot_be_is_said(data: Dataset, damage: dict[str, object]) -> None:
    is_inside_HW = np.zeros((3, 4), dtype=np.bool_)
    is_inside_HW[1:, 2:] = True
    decide(region_of("photo_0", "key", ("cat", "dog"), is_inside_HW), "take", data.root)
    whole = json.loads(decisions_file().read_text())
    decisions_file().write_text(json.dumps(whole | damage) + "\n")
    found, notes = read_decisions()
    if damage == {"size": [10**9, 10**9]}:  # may be, but no array of that size is made to read it
        assert [each.region.pixels for each in found] == [4]
    else:
        assert (found, len(notes)) == ([], 1)
