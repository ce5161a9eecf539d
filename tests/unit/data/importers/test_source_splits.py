"""Which split a name means, and what becomes of splits that are not whole."""

from pathlib import Path

import pytest

from core.data.dataset import Sample
from core.data.importers.notes import Notes
from core.data.importers.source_splits import (
    MASKS_OF_SPLIT,
    are_frames,
    choose_splits,
    split_called,
    split_in_name,
    split_of,
)


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("train", "train"), ("Training", "train"), ("train_extra", "train"), ("train2017", "train"),
        ("val", "val"), ("valid", "val"), ("validation", "val"), ("val_images", "val"),
        ("test", "test"), ("testing", "test"),
        ("trains", None), ("trainval", None), ("images", None), ("testannot", None), ("", None),
    ],
)  # fmt: skip
def test_which_split_a_folder_is_called_after(name: str, split: str | None) -> None:
    assert split_called(name) == split
    assert split_of(Path("/data/test") / name / "train" / "a.jpg", Path("/data/test")) == (split or "train")
    assert split_of(Path("/train/a.jpg"), Path("/train")) is None


def test_other_names_that_hold_a_split() -> None:
    assert [split_called(name, MASKS_OF_SPLIT) for name in ("trainannot", "val_labels", "train")] == [
        "train",
        "val",
        None,
    ]
    assert split_in_name("instances_val2017") == "val"
    assert split_in_name("instances_default") is None


@pytest.mark.parametrize(
    ("names", "answer"),
    [
        ([f"frame_{number:04}" for number in range(5)], True),
        (["a_10_L", "a_20_L", "a_30_L"], True),
        (["a1", "a2"], False),
        (["a1", "a2", "a3", "b", "c", "d", "e"], False),
        (["a1", "a20", "a33", "a90"], False),
        (["9" * 5000, "x"], False),
        ([], False),
    ],
)
def test_frames_are_numbered_in_equal_steps(names: list[str], answer: bool) -> None:
    assert are_frames(names) is answer


@pytest.mark.parametrize(
    ("given", "sizes", "expected"),
    [
        ({"a": "train", "b": "val"}, (1, 1, 0), "are kept: 1 photo in train, 1 photo in val."),
        ({"a": "train", "b": None, "c": "val"}, (2, 1, 0), "put into train: 1"),
        (dict.fromkeys("abcde", "train") | {"f": "test"}, (4, 1, 1), "no val, so its photos outside test were"),
        (dict.fromkeys("abcde", "val"), (4, 1, 0), "no train, so its photos were"),
        (dict.fromkeys("abcde", "test"), (4, 1, 0), "no train or val, so its photos were"),
        (dict.fromkeys("abcde"), (4, 1, 0), "no splits, so its photos were"),
    ],
)
def test_splits_are_kept_as_far_as_they_can_be_trained_with(
    given: dict[str, str | None], sizes: tuple[int, int, int], expected: str
) -> None:
    notes, samples = Notes(), [Sample(name, Path(name), Path(name)) for name in given]
    splits = choose_splits(samples, given, notes)
    assert tuple(len(splits.get(split, ())) for split in ("train", "val", "test")) == sizes
    assert sorted(sample.name for part in splits.values() for sample in part) == sorted(given)
    assert any(expected in note for note in notes.sentences())
