"""Every way in which a data folder can be wrong: one sentence that names the file."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from core.data.dataset import fingerprint, open_dataset
from core.errors import DataError
from tests.small_data import write_list

Check = Callable[[object, Path], str]


@pytest.mark.parametrize("names", ["", "only one\n", "twice\ntwice\n", "\n".join(map(str, range(256)))])
def test_impossible_classes_are_one_sentence(tiny_voc: Path, names: str, one_sentence: Check) -> None:
    (tiny_voc / "classes.txt").write_text(names)
    with pytest.raises(DataError) as caught:
        open_dataset(tiny_voc)
    one_sentence(caught.value, tiny_voc / "classes.txt")


def no_folder(root: Path) -> Path:
    shutil.rmtree(root)
    return root


def no_masks_folder(root: Path) -> Path:
    shutil.rmtree(root / "SegmentationClass")
    return root / "SegmentationClass"


def nothing_known(root: Path) -> Path:
    shutil.rmtree(root / "SegmentationClass")
    shutil.rmtree(root / "JPEGImages")
    return root


def bare_photos(root: Path) -> Path:
    (root / "JPEGImages" / "photo_1.jpg").rename(root / "photo_1.jpg")
    return nothing_known(root)


def converted_photos(root: Path) -> Path:
    (root / "JPEGImages" / "photo_1.jpg").rename(root / "photo_1.HEIC")
    return nothing_known(root)


def missing_photo(root: Path) -> Path:
    (root / "JPEGImages" / "photo_1.jpg").unlink()
    return root / "ImageSets" / "Segmentation" / "train.txt"


def missing_mask(root: Path) -> Path:
    (root / "SegmentationClass" / "photo_1.png").unlink()
    return root / "ImageSets" / "Segmentation" / "train.txt"


def orphan_mask(root: Path) -> Path:
    shutil.rmtree(root / "ImageSets")
    (root / "JPEGImages" / "photo_3.jpg").unlink()
    return root / "SegmentationClass" / "photo_3.png"


def empty_masks(root: Path) -> Path:
    shutil.rmtree(root / "ImageSets")
    for mask in (root / "SegmentationClass").iterdir():
        mask.unlink()
    return root / "SegmentationClass"


def latin_list(root: Path) -> Path:
    file = write_list(root, "val", [])
    file.write_bytes("Mädchen\n".encode("latin-1"))
    return file


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (no_folder, "There is no folder"),
        (no_masks_folder, "no folder of masks"),
        (nothing_known, "is not a data set"),
        (bare_photos, "holds photos without masks"),
        (converted_photos, "holds photos without masks"),
        (missing_photo, "photo_1, but its photo is missing"),
        (missing_mask, "photo_1, but its mask is missing"),
        (orphan_mask, "has no photo of that name"),
        (empty_masks, "holds no masks"),
        (latin_list, "UTF-8"),
    ],
)
def test_a_folder_that_cannot_be_used_is_one_sentence_naming_the_file(
    tiny_voc: Path, spoil: Callable[[Path], Path], says: str, one_sentence: Check
) -> None:
    named = spoil(tiny_voc)
    with pytest.raises(DataError) as caught:
        open_dataset(tiny_voc)
    assert says in one_sentence(caught.value, named)


@pytest.mark.parametrize("part", ["JPEGImages", "SegmentationClass"])
def test_a_part_of_a_data_set_names_the_whole(tiny_voc: Path, part: str) -> None:
    with pytest.raises(DataError, match=f"is a part of the data set {tiny_voc}; choose that folder"):
        open_dataset(tiny_voc / part)


def test_a_split_that_is_empty_or_unknown_is_one_sentence(tiny_voc: Path, one_sentence: Check) -> None:
    write_list(tiny_voc, "val", [])
    dataset = open_dataset(tiny_voc)
    with pytest.raises(DataError) as empty:
        dataset.split("val")
    assert "'val'" in one_sentence(empty.value, tiny_voc)
    with pytest.raises(DataError) as unknown:
        dataset.split("test")
    assert "train, val" in one_sentence(unknown.value, tiny_voc)


def test_a_photo_that_vanishes_later_is_named(tiny_voc: Path, one_sentence: Check) -> None:
    samples = open_dataset(tiny_voc).split("train")
    samples[0].photo.unlink()
    with pytest.raises(DataError) as caught:
        fingerprint(samples)
    one_sentence(caught.value, samples[0].photo)
