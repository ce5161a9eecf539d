"""Statistics of a split, against counting pixel by pixel."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.data.dataset import Sample, open_dataset
from core.data.images import write_mask
from core.data.statistics.split_stats import VOC_SHARES, ClassStats, summarize
from core.voc import CLASS_NAMES, VOID
from tests.small_data import CAT, DOG
from tests.unit.data.analysed import split_stats


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
    check_co_occurrence(samples, stats.co_occurrence_KK.tolist())


def check_co_occurrence(samples: tuple[Sample, ...], co_occurrence: list[list[int]]) -> None:
    together: Counter[tuple[int, int]] = Counter()
    for sample in samples:
        with Image.open(sample.mask) as mask:
            ids = np.unique(np.array(mask)).tolist()
        together.update((first, second) for first in ids for second in ids)
    assert co_occurrence == [[together[first, second] for second in range(21)] for first in range(21)]
    assert co_occurrence == [list(column) for column in zip(*co_occurrence, strict=True)]


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


def test_without_photos_there_are_no_means() -> None:
    stats = summarize((), (), CLASS_NAMES, left_out=["gone"])
    assert (stats.images, stats.brightness, stats.color, stats.left_out) == (0, None, (), ("gone",))
    assert not stats.heat_KGG.any()
    assert stats.as_dict()["classes"][0]["share"] is None


def test_objects_are_counted_by_class_and_by_photo(tiny_voc: Path) -> None:
    samples = open_dataset(tiny_voc).split("train")
    mask_HW = np.zeros((40, 48), dtype=np.uint8)
    mask_HW[2:8, 2:8] = mask_HW[20:30, 20:30] = CAT
    mask_HW[30:38, 2:8] = DOG
    write_mask(samples[0].mask, mask_HW)
    write_mask(samples[1].mask, np.zeros_like(mask_HW))
    stats = split_stats(samples, CLASS_NAMES)
    assert {entry.name: entry.objects for entry in stats.classes if entry.objects} == {"cat": 3, "dog": 2}
    assert stats.objects_per_image == {3: 1, 0: 1, 1: 2}
    assert stats.names == tuple(sample.name for sample in samples)
    assert stats.facts[0].objects == {CAT: 2, DOG: 1}
    assert stats.co_occurrence_KK[CAT, DOG] == 1


def test_heat_is_the_mean_over_the_photos_that_show_the_class(tiny_voc: Path) -> None:
    samples = open_dataset(tiny_voc).split("train")
    for sample, (top, left) in zip(samples, [(0, 0), (0, 24), (20, 24), (40, 48)], strict=True):
        mask_HW = np.zeros((40, 48), dtype=np.uint8)
        mask_HW[top : top + 20, left : left + 24] = CAT
        write_mask(sample.mask, mask_HW)
    stats = split_stats(samples, CLASS_NAMES)
    assert (stats.heat_KGG.shape, stats.heat_KGG.dtype) == ((21, 16, 16), np.float32)
    quarters_22 = stats.heat_KGG[CAT].reshape(2, 8, 2, 8).mean(axis=(1, 3))
    np.testing.assert_allclose(quarters_22, [[1 / 3, 1 / 3], [0, 1 / 3]], atol=0.03)
    assert stats.heat_KGG[0].mean() == pytest.approx(13 / 16, abs=0.01), "four photos, three with a quarter of cat"
    assert not stats.heat_KGG[DOG].any()


def test_light_and_colour_vary_over_photos(tiny_voc: Path) -> None:
    samples = open_dataset(tiny_voc).split("val")
    for sample, color in zip(samples, [(0, 0, 0), (255, 102, 0)], strict=True):
        Image.new("RGB", (48, 40), color).save(sample.photo, quality=100, subsampling=0)
    stats = split_stats(samples, CLASS_NAMES)
    assert stats.brightness
    assert stats.contrast
    assert [(each.mean, each.std) for each in stats.color] == [
        pytest.approx((level, level), abs=0.01) for level in (0.5, 0.2, 0.0)
    ]
    assert stats.brightness.mean == pytest.approx((0.299 + 0.587 * 0.4) / 2, abs=0.01)
    assert stats.contrast.mean == pytest.approx(0, abs=0.01)


def test_the_classes_of_the_command_line_have_their_objects(tiny_voc: Path) -> None:
    document = split_stats(open_dataset(tiny_voc).split("train"), CLASS_NAMES).as_dict()
    assert set(document["classes"][0]) == {"id", "name", "images", "pixels", "share", "objects"}
    assert ClassStats(**document["classes"][CAT]).objects == 2


def test_voc_s_own_shares_are_fractions_of_everything() -> None:
    assert tuple(VOC_SHARES) == CLASS_NAMES
    assert sum(entry.pixels for entry in VOC_SHARES.values()) == pytest.approx(1)
    assert VOC_SHARES["background"].pixels == pytest.approx(0.73, abs=0.01), "73 to 75 % is what others quote"
    assert VOC_SHARES["person"].images == pytest.approx(888 / 2913)
