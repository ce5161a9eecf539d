"""Finding photos, masks and splits in a folder, in every layout."""

import os
import shutil
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from core.classes import NUMBERED, VOC_CLASSES
from core.data import pair_names
from core.data.dataset import fingerprint, open_dataset
from core.data.pair_names import files_by_stem
from core.data.splits import write_lists
from core.voc import CLASS_NAMES
from tests.faulty_data import examine
from tests.small_data import replace_quietly, with_last_bit_flipped, write_list, write_pairs, write_voc


def names_of(dataset: object, split: str) -> list[str]:
    return [sample.name for sample in dataset.split(split)]  # type: ignore[attr-defined]


@pytest.mark.parametrize("given", ["devkit's parent", "VOCdevkit", "VOC2012"])
def test_a_voc_folder_is_found_from_every_level(tmp_path: Path, given: str) -> None:
    root = write_voc(tmp_path / "VOCdevkit" / "VOC2012")
    folder = {"devkit's parent": tmp_path, "VOCdevkit": tmp_path / "VOCdevkit", "VOC2012": root}[given]
    dataset = open_dataset(folder)
    assert dataset.root == root.resolve()
    assert dataset.class_names == CLASS_NAMES
    assert names_of(dataset, "train") == ["photo_0", "photo_1", "photo_2", "photo_3"]
    assert names_of(dataset, "val") == ["photo_4", "photo_5"]
    sample = dataset.split("val")[0]
    assert (sample.photo.name, sample.mask.name) == ("photo_4.jpg", "photo_4.png")
    assert "ImageSets/Segmentation" in dataset.split_source


def test_images_and_masks_without_lists_are_split_80_to_20_by_seed(tmp_path: Path) -> None:
    write_pairs(tmp_path / "images", tmp_path / "masks", [f"p{number:02d}" for number in range(10)])
    splits = [open_dataset(tmp_path, seed=seed).splits for seed in (0, 0, 1)]
    assert {name: len(samples) for name, samples in splits[0].items()} == {"train": 8, "val": 2}
    assert splits[0] == splits[1] != splits[2]
    both = splits[0]["train"] + splits[0]["val"]
    assert sorted(sample.name for sample in both) == [f"p{number:02d}" for number in range(10)]
    assert "80/20" in open_dataset(tmp_path).split_source


def test_photos_without_a_mask_are_no_pairs_but_harmless(tmp_path: Path) -> None:
    write_pairs(tmp_path / "images", tmp_path / "masks", ["a", "b", "c", "d", "e"])
    Image.new("RGB", (8, 8)).save(tmp_path / "images" / "unlabelled.jpg")
    splits = open_dataset(tmp_path).splits
    assert "unlabelled" not in {sample.name for samples in splits.values() for sample in samples}


def test_one_more_pair_moves_at_most_one_other_between_the_splits(tmp_path: Path) -> None:
    """The shuffle began anew: of 100 pairs, one more put 5 training photos among the 20 of validation."""
    names = [f"p{index:03d}" for index in range(101)]
    write_pairs(tmp_path / "images", tmp_path / "masks", names[:-1])
    before = set(names_of(open_dataset(tmp_path), "train"))
    write_pairs(tmp_path / "images", tmp_path / "masks", names[-1:])
    assert len(before & set(names_of(open_dataset(tmp_path), "val"))) <= 1


def test_a_list_decides_order_and_may_carry_a_second_column(tiny_voc: Path) -> None:
    write_list(tiny_voc, "val", ["photo_5  1", "", "photo_4 -1"])
    assert names_of(open_dataset(tiny_voc), "val") == ["photo_5", "photo_4"]


def test_a_list_from_notepad_begins_with_a_mark_that_is_skipped(tiny_voc: Path) -> None:
    """Its byte order mark became part of the first name, whose photo was then "missing"."""
    write_list(tiny_voc, "val", []).write_bytes("photo_5\r\nphoto_4\r\n".encode("utf-8-sig"))
    assert names_of(open_dataset(tiny_voc), "val") == ["photo_5", "photo_4"]


def test_a_list_of_photos_without_any_truth_is_no_split(tiny_voc: Path) -> None:
    """VOC's own test.txt names photos whose masks are secret; it made the whole data set unusable."""
    Image.new("RGB", (8, 8)).save(tiny_voc / "JPEGImages" / "secret.jpg")
    write_list(tiny_voc, "test", ["secret"])
    assert "test" not in open_dataset(tiny_voc).splits


def test_train_and_val_come_first_whatever_lists_there_are(tiny_voc: Path) -> None:
    write_list(tiny_voc, "all", ["photo_0"])
    assert list(open_dataset(tiny_voc).splits) == ["train", "val", "all"]
    for number in (10, 2, 1):
        write_list(tiny_voc, f"fold_{number}", ["photo_0"])
    assert list(open_dataset(tiny_voc).splits)[2:] == ["all", "fold_1", "fold_2", "fold_10"]


def test_trainaug_takes_augmented_masks_only_where_voc_has_none(tiny_voc: Path) -> None:
    augmented = tiny_voc / "SegmentationClassAug"
    write_pairs(tiny_voc / "JPEGImages", augmented, ["photo_0", "extra"])
    write_list(tiny_voc, "trainaug", ["photo_0", "extra"])
    masks = [sample.mask for sample in open_dataset(tiny_voc).split("trainaug")]
    assert [mask.parent.name for mask in masks] == ["SegmentationClass", "SegmentationClassAug"]


def test_classes_txt_names_other_classes(tiny_voc: Path) -> None:
    (tiny_voc / "classes.txt").write_bytes("ground\nroad sign\n\n".encode("utf-8-sig"))
    dataset = open_dataset(tiny_voc)
    assert dataset.class_names == ("ground", "road sign")
    assert dataset.num_classes == 2


def test_the_fingerprint_is_equal_for_copies_and_different_once_a_pair_changes(tiny_voc: Path, tmp_path: Path) -> None:
    """Photos counted by their size alone: every BMP of a split replaced by black kept its fingerprint and its scores.

    This very test compared the changed photo with a fingerprint from before the mask had changed, and so saw nothing.
    """
    copy = shutil.copytree(tiny_voc, tmp_path / "copy")
    samples, copied = open_dataset(tiny_voc).split("train"), open_dataset(copy).split("train")
    assert fingerprint(samples) == fingerprint(copied)
    assert fingerprint(samples) != fingerprint(samples[:-1])
    assert fingerprint(samples) != fingerprint(samples[::-1])
    seen = [fingerprint(copied)]
    for file in (copied[0].mask, copied[1].photo, copied[2].mask, copied[3].photo):
        replace_quietly(file, with_last_bit_flipped(file))
        seen.append(fingerprint(copied))
    assert len(set(seen)) == 5, "each change counts by itself"
    assert fingerprint(samples) == seen[0]


def test_the_real_photos_have_the_splits_their_readme_tells(voc_animals: Path) -> None:
    dataset = open_dataset(voc_animals)
    sizes = {name: len(samples) for name, samples in dataset.splits.items()}
    assert sizes == {"train": 530, "val": 150, "trainval": 680, "trainaug": 1050}
    augmented = [s for s in dataset.split("trainaug") if s.mask.parent.name == "SegmentationClassAug"]
    assert len(augmented) == 520


def test_augmented_masks_make_a_split_without_the_validation_photos(tiny_voc: Path) -> None:
    write_pairs(tiny_voc / "JPEGImages", tiny_voc / "SegmentationClassAug", ["extra_1", "photo_0", "photo_4"])
    data = open_dataset(tiny_voc)
    assert names_of(data, "trainaug") == ["extra_1", "photo_0"]
    folders = [sample.mask.parent.name for sample in data.split("trainaug")]
    assert folders == ["SegmentationClassAug", "SegmentationClass"], "VOC's own mask where there is one"


def test_a_palette_of_its_own_gives_numbered_classes_in_its_colours(tmp_path: Path) -> None:
    """A folder of fruit was read as aeroplanes and bicycles, in VOC's colours."""
    write_pairs(tmp_path / "images", tmp_path / "masks", ["a", "b"])
    for name in ("a", "b"):
        mask = Image.fromarray(np.eye(40, 48, dtype=np.uint8), mode="L")
        mask.putpalette([0, 0, 0, 200, 10, 10, 10, 200, 10])
        mask.save(tmp_path / "masks" / f"{name}.png")
    data = open_dataset(tmp_path)
    assert data.classes.names == ("background", "class 1", "class 2")
    assert data.classes.colors[1:] == ("#c80a0a", "#0ac80a")
    assert not data.has_named_classes
    (tmp_path / "classes.txt").write_text("background\napple\nleaf #00ff00\n")
    named = open_dataset(tmp_path)
    assert named.has_named_classes
    assert named.classes.names == ("background", "apple", "leaf")


@pytest.mark.parametrize(
    ("layout", "names", "palette", "is_voc"),
    [
        ("images+masks", ("a", "b"), "greys", False),
        ("images+masks", ("a", "b"), "VOC's", False),
        ("JPEGImages+SegmentationClass", ("a", "b"), "VOC's", False),
        ("JPEGImages+SegmentationClass", ("2007_000032", "2011_003271"), "VOC's", True),
        ("JPEGImages+SegmentationClass", ("2007_000032", "2011_003271"), "greys", True),
        ("VOC2012/JPEGImages+VOC2012/SegmentationClass", ("a", "b"), "VOC's", True),
        ("VOCdevkit/VOC2012/JPEGImages+VOCdevkit/VOC2012/SegmentationClass", ("a", "b"), "greys", True),
        ("VOC2012/images+VOC2012/masks", ("a", "b"), "VOC's", False),
    ],
)
def test_only_a_folder_that_says_voc_has_voc_s_names(
    tmp_path: Path, layout: str, names: tuple[str, ...], palette: str, is_voc: bool
) -> None:
    """Own ids 0, 1, 2 in VOC's palette, as labelme writes them, or in greys, were called aeroplane and bicycle."""
    photos, masks = (tmp_path / folder for folder in layout.split("+"))
    write_pairs(photos, masks, list(names))
    for name in names if palette == "greys" else ():
        Image.fromarray(np.eye(40, 48, dtype=np.uint8), mode="L").save(masks / f"{name}.png")
    data = open_dataset(tmp_path)
    assert (data.classes, data.has_named_classes) == ((VOC_CLASSES, True) if is_voc else (NUMBERED, False))
    found = examine(tmp_path).counts.get("unnamed classes", 0)
    assert found == (not is_voc)
    assert data.is_of(CLASS_NAMES), "what was trained when such data had VOC's names is of it still"
    assert data.is_of(("other", *CLASS_NAMES[1:])) is not is_voc


def test_the_file_that_may_name_the_classes_is_told(tmp_path: Path) -> None:
    write_pairs(tmp_path / "images", tmp_path / "masks", ["a", "b"])
    (tmp_path / "class_names.txt").write_text("_background_\nleaf\nstem\n")
    details = [found.detail for found in examine(tmp_path).findings if found.kind == "unnamed classes"]
    assert len(details) == 1
    assert "class_names.txt" in details[0]


def test_a_name_with_spaces_can_be_listed(tmp_path: Path) -> None:
    """`my photo 1` was written to the lists and read back as `my`, and the folder did not open any more."""
    names = [f"my photo {number}" for number in range(5)]
    write_pairs(tmp_path / "images", tmp_path / "masks", names)
    splits = open_dataset(tmp_path).splits
    write_lists(tmp_path, splits)
    listed = open_dataset(tmp_path)
    assert listed.splits == splits
    assert "lists" in listed.split_source


def test_a_list_with_a_second_column_still_takes_the_first_word(tiny_voc: Path) -> None:
    write_list(tiny_voc, "val", ["photo_4  1", "photo_5 -1"])
    assert names_of(open_dataset(tiny_voc), "val") == ["photo_4", "photo_5"]


def test_lists_that_are_there_are_kept_beside_each_time_they_are_replaced(tiny_voc: Path) -> None:
    lists = tiny_voc / "ImageSets" / "Segmentation"
    states = []
    for _ in range(3):
        states.append({file.name: file.read_bytes() for file in lists.iterdir()})
        splits = open_dataset(tiny_voc).splits
        write_lists(tiny_voc, {"train": splits["val"], "val": splits["train"]})
    kept = [lists.with_name(f"Segmentation-before{number}") for number in ("", "-2", "-3")]
    assert [{file.name: file.read_bytes() for file in folder.iterdir()} for folder in kept] == states
    assert states[0] == states[2] != states[1]


def test_what_macos_leaves_and_names_that_are_no_text_are_no_pairs(tmp_path: Path) -> None:
    """`._p1.png` beside `p1.png` counted as a mask, and stopped the training as one that cannot be read."""
    write_pairs(tmp_path / "images", tmp_path / "masks", ["p1", "p2"])
    for folder, ending in (("images", "jpg"), ("masks", "png")):
        (tmp_path / folder / f"._p1.{ending}").write_bytes(b"Mac OS X")
        Path(os.fsdecode(os.fsencode(tmp_path / folder) + b"/caf\xe9." + ending.encode())).write_bytes(b"latin-1")
    data = open_dataset(tmp_path)
    assert sorted(sample.name for split in data.splits.values() for sample in split) == ["p1", "p2"]


def test_of_two_pairs_one_is_left_to_validate(tmp_path: Path) -> None:
    write_pairs(tmp_path / "images", tmp_path / "masks", ["a", "b"])
    assert {name: len(split) for name, split in open_dataset(tmp_path).splits.items()} == {"train": 1, "val": 1}


def test_palettes_cut_to_the_colours_a_mask_uses_are_one_palette(tmp_path: Path) -> None:
    """The first masks used two of six colours: all later ones were said to hold ids without a class."""
    write_pairs(tmp_path / "images", tmp_path / "masks", [f"p{number}" for number in range(7)])
    colors = [0, 0, 0, 200, 10, 10, 10, 200, 10, 10, 10, 200]
    for number in range(7):
        mask = Image.fromarray(np.zeros((40, 48), dtype=np.uint8), mode="L")
        mask.putpalette(colors if number == 6 else colors[:6])
        mask.save(tmp_path / "masks" / f"p{number}.png")
    assert open_dataset(tmp_path).class_names == ("background", "class 1", "class 2", "class 3")


def wait_for_a_tick(folder: Path) -> None:
    """Wait until a change of the folder gets a later time than its last one: a few milliseconds."""
    probe = folder.with_name(f"{folder.name}.probe")
    while True:
        probe.touch()
        if probe.stat().st_ctime_ns > folder.stat().st_ctime_ns:
            return


def test_a_settled_folder_is_listed_once_and_a_changed_one_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page of Label with 10,000 photos listed them nine times and took 0.6 s of the processor each time."""
    for name in ("b.jpg", "a.jpg", "note.txt"):
        (tmp_path / name).touch()
    listdir, listed = os.listdir, []
    monkeypatch.setattr(os, "listdir", lambda folder: listed.append(folder) or listdir(folder))
    assert [list(files_by_stem(tmp_path, (".jpg",))) for _ in range(2)] == [["a", "b"]] * 2
    assert len(listed) == 2, "a second change within the same tick of the clock would not be seen"
    clock = SimpleNamespace(time_ns=lambda: time.time_ns() + 10**11, monotonic=lambda: 0.0)
    monkeypatch.setattr(pair_names, "time", clock)
    found = [files_by_stem(tmp_path, (".jpg",)) for _ in range(3)]
    if os.name == "posix":  # elsewhere nothing is remembered
        assert len(listed) == 3
        clock.monotonic = lambda: 30.0
        found.append(files_by_stem(tmp_path, (".jpg",)))
        assert len(listed) == 4, "a network mount may change no stamp"
    found[0].clear()  # each caller has its own
    assert found[1] == found[-1] == {"a": tmp_path / "a.jpg", "b": tmp_path / "b.jpg"}
    wait_for_a_tick(tmp_path)  # by the clock above all is settled: changes have to differ in time
    (tmp_path / "c.jpg").touch()
    assert list(files_by_stem(tmp_path, (".jpg",))) == ["a", "b", "c"]
    wait_for_a_tick(tmp_path)
    (tmp_path / "a.jpg").unlink()
    assert list(files_by_stem(tmp_path, (".jpg",))) == ["b", "c"]
