"""Stored scores on corrupted photos: found by hashes, whole or resumed, and refused in words once damaged."""

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.data.corruptions import CELLS, CORRUPTIONS
from core.data.dataset import TEST
from core.data.images import mask_image, png_bytes
from core.errors import RunError
from core.training.run import evaluations, robustness
from core.training.run.robustness import Robustness

ABOUT = Robustness(
    path=Path(), checkpoint="epoch_010.pt", checkpoint_hash="c" * 64, epoch=10, split="val", data="/data",
    fingerprint="f" * 64, class_names=("background", "cat"), names=("a", "b"), split_images=9,
)  # fmt: skip
RIGHT, WRONG = np.array([[6, 0], [0, 2]]), np.array([[6, 0], [2, 0]])
"""Counts of a photo of 6 background and 2 cat pixels: IoU 1 and 1, or 6 / 8 and 0."""


def mask_png(value: int) -> bytes:
    return png_bytes(mask_image(np.full((2, 4), value, dtype=np.uint8)))


def fill(stored: Robustness, cells: Any = CELLS) -> Robustness:
    """Store cells; a rotation by 45 degrees moves the cat out of the frame."""
    for name, level in cells:
        if (name, level) == ("rotation", 5):
            stored.store(name, level, np.array([[[6, 0], [0, 0]]] * 2), [mask_png(0)] * 2)
            continue
        stored.store(name, level, np.stack([RIGHT, WRONG if level > 3 else RIGHT]), [mask_png(0), mask_png(level)])
    return stored


@pytest.fixture
def eval_dir(tmp_path: Path) -> Path:
    (tmp_path / "run").mkdir()
    return tmp_path / "run" / "eval"


def test_what_was_stored_is_found_by_its_hashes_and_scored_by_level(eval_dir: Path) -> None:
    stored = fill(robustness.open_store(eval_dir, ABOUT))
    (found,) = robustness.find(eval_dir, ABOUT.checkpoint_hash, "val", ABOUT.fingerprint)
    assert found == stored
    assert found.is_complete
    assert [found.mask("jpeg", 2, index).tolist() for index in (0, 1)] == [[[0] * 4] * 2, [[2] * 4] * 2]
    document = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    # Half of the photos wrong: background 12 / 14, cat 2 / 4; the floor: 12 / 16 and 0.
    right, half = {"miou": 1.0}, {"miou": pytest.approx((12 / 14 + 2 / 4) / 2)}
    shared = {"floor": {"pixel_accuracy": 12 / 16, "miou": 12 / 16 / 2}}
    assert document["clean"] == right | shared
    assert (document["images"], document["split_images"]) == (2, 9)
    assert [each["name"] for each in document["corruptions"]] == list(CORRUPTIONS)
    turned = document["corruptions"][5]["levels"].pop()
    assert (turned["miou"], turned["floor"]) == (1, {"pixel_accuracy": 1, "miou": 1})
    for each in document["corruptions"]:
        if each["name"] == "rotation":
            continue
        scores = [{key: level[key] for key in ("miou", "floor")} for level in each["levels"]]
        assert scores == [right | shared] * 3 + [half | shared] * 2
        assert each["mean_miou"] == pytest.approx((3 + 12 / 14 + 2 / 4) / 5)
    for other in ({"checkpoint_hash": "d" * 64}, {"fingerprint": "e" * 64}, {"split": "train"}):
        about = replace(ABOUT, **other)  # type: ignore[arg-type]
        assert not robustness.find(eval_dir, about.checkpoint_hash, about.split, about.fingerprint)


def test_what_was_stopped_goes_on_and_another_version_begins_anew(eval_dir: Path) -> None:
    begun = fill(robustness.open_store(eval_dir, ABOUT), CELLS[:3])
    assert not begun.is_complete
    assert robustness.on_same_photos([[begun], [begun]]) == []
    moved = replace(ABOUT, data="/elsewhere", checkpoint="best.pt")  # the same bytes
    assert robustness.open_store(eval_dir, moved).done == list(CELLS[:3])
    about = json.loads((begun.path / "about.json").read_text())
    (begun.path / "about.json").write_text(json.dumps(about | {"schema": robustness.SCHEMA + 1}))
    assert not robustness.find(eval_dir, ABOUT.checkpoint_hash, "val", ABOUT.fingerprint)
    assert robustness.open_store(eval_dir, ABOUT).done == []


def test_two_checkpoints_are_compared_on_as_many_shared_photos_as_there_are(eval_dir: Path) -> None:
    small, large, other = (
        fill(robustness.open_store(eval_dir, replace(ABOUT, names=names, checkpoint_hash=of * 64)))
        for names, of in ((("a", "b"), "c"), (("a", "b", "c"), "c"), (("a", "b"), "d"))
    )
    found = robustness.find(eval_dir, "c" * 64, "val", ABOUT.fingerprint)
    assert found == [large, small]
    assert robustness.on_same_photos([found, [other]]) == [small, other]
    assert robustness.on_same_photos([found]) == [large]
    assert robustness.on_same_photos([found, []]) == robustness.on_same_photos([]) == []


def test_a_run_keeps_the_newest_evaluations_and_the_one_at_work(
    eval_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each checkpoint that was trained anew, and each other number of photos, left a folder for ever."""
    monkeypatch.setattr(robustness, "STORED", 2)
    (eval_dir.parent / "best.pt").write_bytes(b"weights")
    present = evaluations.file_hash(eval_dir.parent / "best.pt")
    hashes = ("a" * 64, present, "b" * 64, "c" * 64)
    first, *others = (robustness.open_store(eval_dir, replace(ABOUT, checkpoint_hash=each)) for each in hashes)
    for age, each in enumerate((first, *others)):
        os.utime(each.path, (age, age))
    robustness.forget_others(first)
    kept = {each.path for each in (first, others[0], others[2])}
    assert kept == set(eval_dir.iterdir()), "the present checkpoint's is older than the one that went"


def test_scores_on_a_test_split_need_a_recorded_opening(eval_dir: Path) -> None:
    fill(robustness.open_store(eval_dir, replace(ABOUT, split=TEST)))
    assert robustness.find(eval_dir, ABOUT.checkpoint_hash, TEST, ABOUT.fingerprint) == []


def test_damage_and_a_deleted_run_are_said(eval_dir: Path) -> None:
    stored = robustness.open_store(eval_dir, ABOUT)
    with pytest.raises(RunError, match=r"blur-3.npz cannot be read"):
        stored.counts("blur", 3)
    (stored.path / "blur-3.npz").write_bytes(b"torn")
    with pytest.raises(RunError, match=r"blur-3.npz cannot be read"):
        stored.counts("blur", 3)
    assert robustness.open_store(eval_dir, ABOUT).done == []
    with pytest.raises(RunError, match="cannot be written"):
        fill(replace(stored, path=eval_dir / "gone"))
    with pytest.raises(RunError, match="cannot be written"):
        robustness.open_store(eval_dir.parent.with_name("gone") / "eval", ABOUT)
    assert not eval_dir.parent.with_name("gone").exists()
