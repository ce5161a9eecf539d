"""Statistics of a split, against counting pixel by pixel."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.data.dataset import Sample, open_dataset
from core.data.images import write_mask
from core.data.stats import split_stats
from core.errors import DataError
from core.voc import CLASS_NAMES, VOID
from tests.small_data import CAT, DOG


def counted_one_by_one(samples: tuple[Sample, ...]) -> tuple[Counter[int], Counter[int]]:
    """Count pixels and photos of every id with PIL alone."""
    pixels: Counter[int] = Counter()
    photos: Counter[int] = Counter()
    for sample in samples:
        with Image.open(sample.mask) as mask:
            of_this = Counter({value: count for value, count in enumerate(mask.histogram()) if count})
        pixels += of_this
        photos.update(of_this.keys())
    return pixels, photos


def check_against_counting(samples: tuple[Sample, ...]) -> None:
    pixels, photos = counted_one_by_one(samples)
    stats = split_stats(samples, CLASS_NAMES)
    total = sum(pixels.values())
    counted = total - pixels[VOID]
    assert (stats.images, stats.pixels) == (len(samples), total)
    assert stats.void_share == pytest.approx(pixels[VOID] / total, abs=1e-12)
    assert [entry.pixels for entry in stats.classes] == [pixels[class_id] for class_id in range(21)]
    assert [entry.images for entry in stats.classes] == [photos[class_id] for class_id in range(21)]
    assert [entry.share for entry in stats.classes] == pytest.approx([pixels[k] / counted for k in range(21)])
    assert stats.floor.pixel_accuracy == pytest.approx(pixels[0] / counted)
    present = sum(pixels[class_id] > 0 for class_id in range(21))
    assert stats.floor.miou == pytest.approx(pixels[0] / counted / present)


def test_counts_agree_with_counting_one_by_one(tiny_voc: Path) -> None:
    check_against_counting(open_dataset(tiny_voc).split("train"))


def test_the_real_validation_split_agrees_with_counting_one_by_one(voc_animals: Path) -> None:
    check_against_counting(open_dataset(voc_animals).split("val"))


def test_sizes_and_the_classes_of_each_photo_are_told(tiny_voc: Path) -> None:
    samples = open_dataset(tiny_voc).split("train")
    Image.new("RGB", (30, 20)).save(samples[1].photo)
    write_mask(samples[1].mask, np.full((20, 30), VOID, dtype=np.uint8))
    stats = split_stats(samples, CLASS_NAMES)
    assert stats.sizes == {(48, 40): 3, (30, 20): 1}
    assert stats.class_ids == ({0, CAT}, set(), {0, CAT}, {0, DOG})
    document = stats.as_dict()
    assert document["sizes"][0] == {"width": 48, "height": 40, "images": 3}
    assert list(document) == ["images", "pixels", "void_share", "floor", "classes", "sizes"]


def test_void_alone_has_no_shares_and_no_floor(tiny_voc: Path) -> None:
    samples = open_dataset(tiny_voc).split("val")
    for sample in samples:
        write_mask(sample.mask, np.full((40, 48), VOID, dtype=np.uint8))
    stats = split_stats(samples, CLASS_NAMES)
    assert stats.void_share == 1
    assert stats.floor.miou is None
    assert {entry.share for entry in stats.classes} == {None}


def test_progress_counts_up_to_all_photos(tiny_voc: Path) -> None:
    told: list[tuple[int, int]] = []
    split_stats(open_dataset(tiny_voc).split("train"), CLASS_NAMES, lambda done, total: told.append((done, total)))
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_a_pair_that_cannot_be_used_is_named(tiny_voc: Path) -> None:
    samples = open_dataset(tiny_voc).split("train")
    samples[2].photo.write_bytes(b"no photo")
    with pytest.raises(DataError, match=r"photo_2\.jpg"):
        split_stats(samples, CLASS_NAMES)
