"""Stored evaluations: whole, found again by the file's hash, and refused in words once damaged."""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.data.hashing import BY_CONTENT
from core.data.images import mask_image, png_bytes
from core.errors import RunError
from core.metrics.calibration import calibration_bins
from core.metrics.image_scores import ImageResult, image_result, summarize
from core.training.run import evaluations
from core.training.run.evaluations import Evaluation
from core.voc import VOID

NAMES = ("background", "cat", "dog")
Store = Callable[..., Evaluation]


def result(name: str, seed: int) -> ImageResult:
    truth_HW, predicted_HW = np.random.default_rng(seed).integers(0, 3, (2, 12, 10)).astype(np.uint8)
    truth_HW[0, :7] = VOID
    return image_result(
        name,
        truth_HW,
        predicted_HW,
        3,
        loss=0.5,
        mask_png=png_bytes(mask_image(predicted_HW)),
        bins_3B=calibration_bins(np.array([0.9, 0.4], dtype=np.float32), np.array([True, False])),
    )


RESULTS = [result("a", 0), result("b", 1)]


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    file = tmp_path / "epoch_010.pt"
    file.write_bytes(b"weights")
    return file


@pytest.fixture
def store(tmp_path: Path, checkpoint: Path) -> Store:
    def _store(**changes: object) -> Evaluation:
        values = {
            "checkpoint": checkpoint.name, "checkpoint_hash": evaluations.file_hash(checkpoint), "epoch": 10,
            "split": "val", "data": "/data", "fingerprint": "f" * 64,
            "results": RESULTS, "class_names": NAMES,
        }  # fmt: skip
        return evaluations.store(tmp_path / "eval", **values | changes)  # type: ignore[arg-type]

    return _store


def test_what_was_stored_comes_back(store: Store, checkpoint: Path) -> None:
    kept = store(images_per_second=2.5, number_format="bf16")
    found = evaluations.load(kept.path)
    assert found == kept
    assert found.scores == summarize(RESULTS, NAMES)
    assert found.scores.void_share == 14 / 240
    names, counts_NKK = found.counts()
    assert names == ["a", "b"]
    np.testing.assert_array_equal(counts_NKK, [each.counts_KK for each in RESULTS])
    assert counts_NKK.dtype == np.int64
    details = found.details()
    assert details is not None
    np.testing.assert_array_equal(
        details.errors_N4.sum(axis=1), [(r.counts_KK.sum() - np.trace(r.counts_KK)) for r in RESULTS]
    )
    np.testing.assert_array_equal(details.bins_N3B, [result.bins_3B for result in RESULTS])
    assert found.mask_path("b").read_bytes() == RESULTS[1].mask_png
    assert (found.as_dict()["split"], found.as_dict()["number_format"]) == ("val", "bf16")
    assert json.loads(json.dumps(found.as_dict(), allow_nan=False))["images_per_second"] == 2.5
    assert found.checkpoint_hash == evaluations.file_hash(checkpoint)


def test_scores_do_not_depend_on_the_order_of_the_images() -> None:
    first, second = (summarize(results, NAMES) for results in (RESULTS, RESULTS[::-1]))
    # Others' means over images or batches are rounded in another order.
    assert first.conventions == pytest.approx(second.conventions)
    assert replace(first, conventions={}) == replace(second, conventions={})


def test_the_same_evaluation_again_replaces_the_first(store: Store, tmp_path: Path) -> None:
    store()
    kept = store(results=RESULTS[:1])
    assert kept.scores.images == 1
    assert [path.name for path in (tmp_path / "eval").iterdir()] == [kept.path.name]
    assert sorted(file.name for file in (kept.path / "masks").iterdir()) == ["a.png"]


def test_a_checkpoint_is_found_by_what_it_holds_and_the_newest_counts(
    store: Store, tmp_path: Path, checkpoint: Path
) -> None:
    newer, older = store(fingerprint="0" * 64), store(fingerprint="9" * 64, results=RESULTS[:1])
    os.utime(older.path / "scores.json", (1, 1))
    store(split="train")
    assert evaluations.find(tmp_path / "eval", newer.checkpoint_hash, "val", None) == newer
    assert evaluations.find(tmp_path / "eval", newer.checkpoint_hash, "val", older.fingerprint) == older
    assert evaluations.find(tmp_path / "eval", newer.checkpoint_hash, "val", "5" * 64) is None, "other data"
    assert evaluations.find(tmp_path / "eval", newer.checkpoint_hash, "test", None) is None
    scores = evaluations.scores_of(tmp_path / "eval", checkpoint, "val", newer.fingerprint)
    assert scores is not None
    assert scores["images"] == 2
    checkpoint.write_bytes(b"other weights")
    assert evaluations.scores_of(tmp_path / "eval", checkpoint, "val", newer.fingerprint) is None
    checkpoint.unlink()
    assert evaluations.scores_of(tmp_path / "eval", checkpoint, "val", newer.fingerprint) is None


def test_an_evaluation_of_photos_by_size_is_neither_believed_nor_dropped(store: Store, tmp_path: Path) -> None:
    """Photos counted by their size alone, so that scores of other photos were served; the commands say so."""
    by_content = BY_CONTENT + "7" * 64
    old = store(fingerprint="7" * 64)
    asked = tmp_path / "eval", old.checkpoint_hash, "val"
    assert evaluations.find(*asked, by_content) is None, "the same digits are no reason to believe it"
    assert (evaluations.is_by_size(*asked), old.is_by_content) == (True, False)
    assert evaluations.find(*asked, None) == old, "where the data is gone, it is all there is"
    new = store(fingerprint=BY_CONTENT + "8" * 64)
    os.utime(new.path / "scores.json", (1, 1))
    assert evaluations.find(*asked, new.fingerprint) == evaluations.find(*asked, None) == new
    assert not evaluations.is_by_size(*asked)
    assert evaluations.load(old.path) == old, "it stays where it is"


def test_of_two_evaluations_the_damaged_one_hides_nothing(store: Store, tmp_path: Path) -> None:
    whole, damaged = store(fingerprint=BY_CONTENT + "8" * 64), store(fingerprint=BY_CONTENT + "9" * 64)
    (damaged.path / "scores.json").write_text("{")
    asked = tmp_path / "eval", whole.checkpoint_hash, "val"
    assert evaluations.find(*asked, whole.fingerprint) == evaluations.find(*asked, None) == whole
    with pytest.raises(RunError, match="delete it and evaluate again"):
        evaluations.find(*asked, damaged.fingerprint)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", "null", '"x"', b"\xff\xfe"])
def test_a_damaged_evaluation_is_one_sentence(store: Store, text: str | bytes) -> None:
    kept = store()
    (kept.path / "scores.json").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(RunError, match="delete it and evaluate again") as caught:
        evaluations.load(kept.path)
    assert str(kept.path) in str(caught.value)


@pytest.mark.parametrize("change", [{"miou": 1.5}, {"recall": 112}, {"miou": "high"}, {"classes": None}])
def test_an_impossible_score_is_refused_on_reading(store: Store, change: dict[str, object]) -> None:
    """The report that this project starts from printed a recall of 112."""
    kept = store()
    about = json.loads((kept.path / "scores.json").read_text())
    about["scores"] |= change
    (kept.path / "scores.json").write_text(json.dumps(about))
    with pytest.raises(RunError):
        evaluations.load(kept.path)


def test_a_store_that_fails_leaves_nothing(store: Store, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        store(images_per_second=float("nan"))
    assert not (tmp_path / "eval").exists()


@pytest.mark.parametrize(
    ("schema", "kept_counts"),
    [
        (1, ["names", "counts_NKK", "boundary_N3K"]),
        (2, ["names", "counts_NKK", "boundary_N3K", "errors_N4", "bins_N3B"]),
    ],
)
def test_an_older_evaluation_is_opened_and_scored_anew(store: Store, schema: int, kept_counts: list[str]) -> None:
    """Version 1 knew neither boundary F nor kinds of errors nor calibration; version 2 lost true contours in void.

    The confusion counts of both are right, so everything but the boundary scores can be had from them.
    """
    kept = store()
    assert not kept.is_old
    about = json.loads((kept.path / "scores.json").read_text())
    about["schema"] = schema
    if schema == 1:
        del about["scores"]["boundary_f"], about["number_format"]
        for entry in about["scores"]["classes"]:
            del entry["boundary_iou"], entry["boundary_f"]
    (kept.path / "scores.json").write_text(json.dumps(about))
    with np.load(kept.path / "counts.npz") as counts:
        old = {name: counts[name] for name in kept_counts}
    np.savez_compressed(kept.path / "counts.npz", **old)
    found = evaluations.load(kept.path)
    assert found.is_old
    assert kept.scores.boundary_f is not None
    classes = tuple(replace(entry, boundary_iou=None, boundary_f=None) for entry in kept.scores.classes)
    assert found.scores == replace(kept.scores, boundary_iou=None, boundary_f=None, classes=classes)
    assert (found.details() is None) == (schema == 1)
    (kept.path / "counts.npz").write_bytes(b"cut short")
    with pytest.raises(RunError, match="delete it and evaluate again"):
        evaluations.load(kept.path)


def test_an_evaluation_of_a_newer_version_is_refused(store: Store) -> None:
    kept = store()
    about = json.loads((kept.path / "scores.json").read_text())
    (kept.path / "scores.json").write_text(json.dumps(about | {"schema": evaluations.SCHEMA + 1}))
    with pytest.raises(RunError, match=f"by the rules of version {evaluations.SCHEMA + 1}, not {evaluations.SCHEMA}"):
        evaluations.load(kept.path)


def test_two_who_store_the_same_evaluation_at_once_both_succeed(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two tabs that evaluated the same checkpoint: FileExistsError, FileNotFoundError or "Directory not empty"."""
    write = evaluations._write

    def be_overtaken(*arguments: Any) -> None:
        monkeypatch.undo()
        store(results=RESULTS[:1])
        write(*arguments)

    monkeypatch.setattr(evaluations, "_write", be_overtaken)
    kept = store()
    assert kept.scores.images == 2
    assert evaluations.stored(kept.path.parent) == [kept.path]
    assert [path.name for path in kept.path.parent.iterdir()] == [kept.path.name]


def test_an_evaluation_is_found_while_another_takes_its_place(store: Store) -> None:
    """Between the removal of the old one and the renaming of the new one it was "not evaluated yet"."""
    kept = store()
    kept.path.rename(kept.path.with_name(f"{kept.path.name}.replaced-1"))
    found = evaluations.find(kept.path.parent, kept.checkpoint_hash, "val", kept.fingerprint)
    assert found == kept
    assert found.counts()[0] == ["a", "b"]
    assert evaluations.stored(kept.path.parent) == [kept.path]


def test_what_is_being_written_is_not_listed_and_what_was_deleted_is_not_found(store: Store, tmp_path: Path) -> None:
    kept = store()
    (tmp_path / "eval" / ".val-1.x.part").mkdir()
    (tmp_path / "eval" / ".val-1.x.part" / "scores.json").touch()
    assert evaluations.stored(tmp_path / "eval") == [kept.path]
    shutil.rmtree(tmp_path / "eval")
    assert evaluations.find(tmp_path / "eval", kept.checkpoint_hash, "val", kept.fingerprint) is None
    with pytest.raises(RunError, match="cannot be read"):
        kept.counts()


def test_a_run_that_is_deleted_while_it_is_evaluated_is_not_made_anew(tmp_path: Path, store: Store) -> None:
    kept = store()
    with pytest.raises(RunError, match="was deleted while it was evaluated"):
        evaluations.store(
            tmp_path / "gone" / "eval", checkpoint="last.pt", checkpoint_hash=kept.checkpoint_hash, epoch=1,
            split="val", data="", fingerprint=kept.fingerprint, results=RESULTS, class_names=NAMES,
        )  # fmt: skip
    assert not (tmp_path / "gone").exists()
