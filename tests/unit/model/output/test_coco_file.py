"""Objects as COCO: every annotation, read by pycocotools, is the mask's own pixels; our importer reads it back."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from pycocotools import mask as run_lengths
from pycocotools.coco import COCO
from scipy import ndimage

from core.classes import VOC_CLASSES
from core.model.output.coco import CocoFile, find_contours
from core.voc import VOID
from tests.small_data import draw_pair

# pycocotools 2.0.11 decodes through an `__array__` of before NumPy 2; what comes out is right.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

SIZES = st.tuples(st.integers(1, 9), st.integers(1, 9))
SMALL_MASKS = arrays.arrays(np.uint8, SIZES, elements=st.sampled_from([0, 1, 2, VOID]))


def collected(mask_HW: NDArray[np.uint8], confidence_HW: NDArray[np.float32] | None = None) -> CocoFile:
    coco = CocoFile(VOC_CLASSES)
    coco.add("photo.jpg", mask_HW, confidence_HW)
    return coco


def pixels_of(annotation: dict, size: tuple[int, int]) -> NDArray[np.bool_]:
    segmentation = annotation["segmentation"]
    if isinstance(segmentation, list):
        segmentation = run_lengths.merge(run_lengths.frPyObjects(segmentation, *size))
    return run_lengths.decode(segmentation).astype(bool)


def check(mask_HW: NDArray[np.uint8]) -> None:
    """Check every annotation of a mask against its pixels, and that together they are the mask."""
    document = collected(mask_HW).document()
    painted_HW = np.zeros_like(mask_HW)
    for annotation in document["annotations"]:
        found_HW = pixels_of(annotation, mask_HW.shape)
        assert (mask_HW[found_HW] == annotation["category_id"]).all()
        assert not painted_HW[found_HW].any(), "no pixel twice"
        assert ndimage.label(found_HW, np.ones((3, 3)))[1] == 1
        y, x = np.nonzero(found_HW)
        assert annotation["area"] == len(y)
        assert annotation["bbox"] == [x.min(), y.min(), np.ptp(x) + 1, np.ptp(y) + 1]
        assert annotation["iscrowd"] == 0
        painted_HW[found_HW] = annotation["category_id"]
    np.testing.assert_array_equal(painted_HW, np.where(mask_HW == VOID, 0, mask_HW))
    count = sum(ndimage.label(mask_HW == class_id, np.ones((3, 3)))[1] for class_id in (1, 2, 8, 12))
    assert len(document["annotations"]) == count
    assert [annotation["id"] for annotation in document["annotations"]] == list(range(1, count + 1))


@given(SMALL_MASKS)
def test_every_annotation_is_exact_to_the_pixel(mask_HW: NDArray[np.uint8]) -> None:
    check(mask_HW)


@pytest.mark.parametrize("seed", range(3))
def test_large_objects_with_ragged_edges_are_exact(seed: int) -> None:
    rng = np.random.default_rng(seed)
    field_HW = ndimage.gaussian_filter(rng.standard_normal((211, 320)), 9) + 0.004 * rng.standard_normal((211, 320))
    check(np.digitize(field_HW, [-0.02, 0.02]).astype(np.uint8))


def test_a_hole_makes_run_lengths_and_an_open_bay_a_polygon() -> None:
    ring_HW, bay_HW = np.ones((2, 5, 5), dtype=np.uint8)
    ring_HW[2, 2] = 0
    bay_HW[2, 2:] = 0
    ring, bay = (collected(mask_HW).document()["annotations"][0]["segmentation"] for mask_HW in (ring_HW, bay_HW))
    assert set(ring) == {"size", "counts"}
    assert isinstance(ring["counts"], str)
    assert len(bay) == 1
    assert len(bay[0]) == 2 * 8


def test_parts_that_touch_in_a_corner_are_one_object_of_two_polygons() -> None:
    mask_HW = np.zeros((6, 6), dtype=np.uint8)
    mask_HW[:3, :3] = mask_HW[3:, 3:] = 8
    (annotation,) = collected(mask_HW).document()["annotations"]
    assert annotation["segmentation"] == [[0, 0, 3, 0, 3, 3, 0, 3], [3, 3, 6, 3, 6, 6, 3, 6]]


def test_nothing_and_everything() -> None:
    assert find_contours(np.zeros((4, 5), dtype=bool)) == []
    (whole,) = find_contours(np.ones((4, 5), dtype=bool))
    assert whole.corners == [(0, 0), (5, 0), (5, 4), (0, 4)]
    assert not whole.is_hole


def test_scores_are_means() -> None:
    mask_HW = np.zeros((5, 9), dtype=np.uint8)
    mask_HW[:2, :2] = 12
    confidence_HW = np.linspace(0, 1, 45, dtype=np.float32).reshape(5, 9)
    coco = CocoFile(VOC_CLASSES)
    coco.add("a.jpg", mask_HW, confidence_HW)
    (annotation,) = coco.document()["annotations"]
    assert annotation["score"] == pytest.approx(confidence_HW[:2, :2].mean())


def test_pycocotools_opens_the_file(tmp_path: Path) -> None:
    coco = CocoFile(VOC_CLASSES)
    masks = [draw_pair(number)[1] for number in range(3)]
    for number, mask_HW in enumerate(masks):
        coco.add(f"photo_{number}.jpg", mask_HW)
    (tmp_path / "objects.json").write_bytes(coco.to_bytes())
    opened = COCO(tmp_path / "objects.json")
    assert [image["file_name"] for image in opened.loadImgs(opened.getImgIds())] == [f"photo_{n}.jpg" for n in range(3)]
    assert [category["name"] for category in opened.loadCats([8, 12])] == ["cat", "dog"]
    assert len(opened.getCatIds()) == 20
    for annotation in opened.loadAnns(opened.getAnnIds()):
        mask_HW = masks[annotation["image_id"] - 1]
        np.testing.assert_array_equal(opened.annToMask(annotation), mask_HW == annotation["category_id"])


def test_our_own_importer_reads_it_back(tmp_path: Path) -> None:
    from core.data.dataset import open_dataset
    from core.data.images import read_mask
    from core.data.importers.formats import import_data

    photo, mask_HW = draw_pair(0)
    mask_HW[mask_HW == VOID] = 0
    (tmp_path / "in").mkdir()
    photo.save(tmp_path / "in" / "photo.jpg")
    coco = CocoFile(VOC_CLASSES)
    coco.add("photo.jpg", mask_HW)
    (tmp_path / "in" / "objects.json").write_bytes(coco.to_bytes())
    imported = import_data("coco", tmp_path / "in" / "objects.json", tmp_path / "out")
    dataset = open_dataset(imported.root)
    (sample,) = dataset.split("train")
    names = np.array(dataset.class_names)[read_mask(sample.mask, dataset.num_classes)]
    np.testing.assert_array_equal(names == "cat", mask_HW == VOC_CLASSES.names.index("cat"))


def test_noise_is_written_within_seconds() -> None:
    """A mask of random weights falls into specks: outlines are found all at once, not object by object."""
    mask_HW = np.random.default_rng(0).integers(0, 3, (400, 500), dtype=np.uint8)
    document = json.loads(collected(mask_HW).to_bytes())
    assert sum(annotation["area"] for annotation in document["annotations"]) == (mask_HW > 0).sum()
