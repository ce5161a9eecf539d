"""The demo data set: drawn the same every time, a true VOC folder, all there or not there at all."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.data.demo import draw_scene, write_demo
from core.data.demo.scene import FIGURES
from core.errors import ConfigError, DataError
from core.voc import BACKGROUND, CLASS_NAMES, PALETTE, VOID

DEMO_CLASSES = {CLASS_NAMES.index(figure.class_name) for figure in FIGURES.values()}


@pytest.fixture(scope="module")
def voc2012(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight training scenes and four for validation."""
    return write_demo(tmp_path_factory.mktemp("demo"), num_train=8, num_val=4)


@cache
def small_masks(seeds: range) -> np.ndarray:
    return np.stack([draw_scene(seed, (160, 120))[1] for seed in seeds])


def images_by_class(seeds: range) -> dict[str, int]:
    masks = small_masks(seeds)
    return {CLASS_NAMES[class_id]: int((masks == class_id).any(axis=(1, 2)).sum()) for class_id in DEMO_CLASSES}


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_seed_gives_the_same_bytes_whatever_numpy_global_state_is() -> None:
    first, first_mask = draw_scene(7)
    np.random.seed(1)
    second, second_mask = draw_scene(7)
    assert first.tobytes() == second.tobytes()
    assert np.array_equal(first_mask, second_mask)


def test_another_seed_gives_another_picture() -> None:
    (first, first_mask), (second, second_mask) = draw_scene(7), draw_scene(17)
    assert first.tobytes() != second.tobytes()
    assert not np.array_equal(first_mask, second_mask)


@pytest.mark.parametrize("size", [(320, 240), (96, 96), (121, 77)])
def test_picture_and_mask_have_the_size_asked_for(size: tuple[int, int]) -> None:
    picture, mask_HW = draw_scene(3, size)
    assert picture.mode == "RGB"
    assert picture.size == size
    assert mask_HW.shape == size[::-1]
    assert mask_HW.dtype == np.uint8


def test_masks_hold_demo_classes_only_and_a_thin_void_border_between_any_two_labels() -> None:
    """VOC's own rule: no two different labels touch; and the border is thin, so that void never eats an object."""
    for seed in range(10):
        _, mask_HW = draw_scene(seed)
        assert set(np.unique(mask_HW).tolist()) <= DEMO_CLASSES | {BACKGROUND, VOID}
        for one, other in ((mask_HW[:, 1:], mask_HW[:, :-1]), (mask_HW[1:], mask_HW[:-1])):
            assert ((one == other) | (one == VOID) | (other == VOID)).all()
        assert 0.01 < (mask_HW == VOID).mean() < 0.09


def test_the_mask_lies_on_the_figures() -> None:
    """Where the mask puts its borders, the picture has its strongest edges."""
    picture, mask_HW = draw_scene(7)
    edges = np.abs(np.diff(np.asarray(picture.convert("L"), dtype=int), axis=1))
    border = (mask_HW == VOID)[:, 1:]
    assert edges[border].mean() > 2.5 * edges[~border].mean()


def test_twenty_training_scenes_in_a_row_show_every_class_at_least_four_times() -> None:
    """So every class is in a fifth of the training scenes or more."""
    assert min(images_by_class(range(20)).values()) >= 4


def test_validation_scenes_show_every_class_and_are_a_quarter_to_a_third_foreground() -> None:
    """Scenes 160 to 199 are the validation split of the default data set."""
    masks = small_masks(range(160, 200))
    assert 0.24 < (masks[masks != VOID] != BACKGROUND).mean() < 0.36
    assert min(images_by_class(range(160, 200)).values()) >= 5


def test_layout_is_that_of_voc(voc2012: Path) -> None:
    assert voc2012.parts[-2:] == ("VOCdevkit", "VOC2012")
    lists = {
        split: (voc2012 / f"ImageSets/Segmentation/{split}.txt").read_text().split()
        for split in ("train", "val", "trainval")
    }
    assert len(lists["train"]) == 8
    assert len(lists["val"]) == 4
    assert lists["trainval"] == lists["train"] + lists["val"]
    assert {path.stem for path in (voc2012 / "JPEGImages").iterdir()} == set(lists["trainval"])
    assert {path.stem for path in (voc2012 / "SegmentationClass").iterdir()} == set(lists["trainval"])


def test_files_are_jpeg_photos_and_palette_masks_that_equal_the_drawn_ones(voc2012: Path) -> None:
    with (
        Image.open(voc2012 / "JPEGImages/demo_0003.jpg") as photo,
        Image.open(voc2012 / "SegmentationClass/demo_0003.png") as mask,
    ):
        assert (photo.format, photo.mode, photo.size) == ("JPEG", "RGB", (320, 240))
        assert (mask.format, mask.mode) == ("PNG", "P")
        assert bytes(mask.getpalette()) == PALETTE.tobytes()
        picture, mask_HW = draw_scene(2)
        assert np.array_equal(np.asarray(mask), mask_HW)
        assert np.abs(np.asarray(photo, dtype=int) - np.asarray(picture, dtype=int)).mean() < 6


def test_every_scene_is_reported(tmp_path: Path) -> None:
    seen = []
    write_demo(tmp_path, num_train=2, num_val=1, on_progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_an_interrupted_write_leaves_no_data_set_and_the_next_one_succeeds(tmp_path: Path) -> None:
    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_demo(tmp_path, num_train=2, num_val=1, on_progress=interrupt)
    assert not (tmp_path / "VOCdevkit/VOC2012").exists()
    folder = write_demo(tmp_path, num_train=2, num_val=1)
    assert [path.name for path in folder.parent.iterdir()] == ["VOC2012"]


def test_of_two_who_draw_the_demo_at_once_both_have_it(tmp_path: Path) -> None:
    """They drew into the same folder, and the second one swept away what the first had drawn."""

    def be_overtaken(done: int, total: int) -> None:
        if done == total:
            write_demo(tmp_path, num_train=2, num_val=1)

    folder = write_demo(tmp_path, num_train=2, num_val=1, on_progress=be_overtaken)
    assert len(list((folder / "JPEGImages").iterdir())) == 3
    assert [path.name for path in folder.parent.iterdir()] == ["VOC2012"]


def test_a_complete_demo_is_returned_untouched(voc2012: Path) -> None:
    before = files_of(voc2012)
    times = {path: path.stat().st_mtime_ns for path in voc2012.rglob("*")}
    assert write_demo(voc2012.parents[1], num_train=8, num_val=4) == voc2012
    assert files_of(voc2012) == before
    assert {path: path.stat().st_mtime_ns for path in voc2012.rglob("*")} == times


@pytest.mark.parametrize("change", [{"seed": 1}, {"num_train": 9}, {"num_val": 5}])
def test_another_demo_in_the_same_place_is_refused_and_kept(voc2012: Path, change: dict[str, int]) -> None:
    before = files_of(voc2012)
    with pytest.raises(DataError, match="delete") as refusal:
        write_demo(voc2012.parents[1], **{"num_train": 8, "num_val": 4, **change})
    assert str(voc2012) in str(refusal.value)
    assert files_of(voc2012) == before


@pytest.mark.parametrize("content", ["photo.jpg", "demo.json"])
def test_a_folder_that_is_not_ours_is_never_touched(tmp_path: Path, content: str) -> None:
    """A real VOC2012, or one with a file that only looks like our mark, stays as it is."""
    folder = tmp_path / "VOCdevkit/VOC2012"
    folder.mkdir(parents=True)
    (folder / content).write_text("not ours")
    with pytest.raises(DataError, match="not a demo"):
        write_demo(tmp_path, num_train=1, num_val=1)
    assert files_of(folder) == {content: b"not ours"}


@pytest.mark.parametrize("counts", [{"num_train": 0}, {"num_val": 0}, {"seed": -1}])
def test_impossible_counts_and_seeds_are_refused_in_words(tmp_path: Path, counts: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match="at least"):
        write_demo(tmp_path, **counts)
    assert not any(tmp_path.iterdir())


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "VOCdevkit").write_text("a file where a folder should be")
    with pytest.raises(DataError, match="cannot be written to"):
        write_demo(tmp_path, num_train=1, num_val=1)
