"""What the repair makes of a folder with every fault there is, of each fault alone, and of sets of one odd form."""

import csv
import hashlib
import json
import os
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from core.__main__ import main
from core.classes import Classes
from core.data.checks import ExaminedPair, PhotoFacts
from core.data.color_counts import ColorCount
from core.data.dataset import open_dataset
from core.data.doctor import examine
from core.data.images import mask_image, read_mask, read_photo, write_mask
from core.data.problems import Entry
from core.data.repair import RepairReport, repair
from core.data.repair_splits import Splits, settle
from core.data.stats import split_stats
from core.errors import DataError, RunError
from core.voc import VOID
from tests.faulty_data import (
    BIRD,
    FAULTS,
    OWN_PALETTE,
    SIZE,
    Fault,
    Patient,
    cat_mask,
    grey,
    levels,
    luminance,
    photo_of,
)
from tests.small_data import CAT, DOG, write_list, write_pairs

ASIDE = {  # what only a guess could mend, and copies
    "t1", "v1", "t2", "t3", "v3", "t4", "t6", "t7", "t20", "t22", "t10", "v0", "t14",
}  # fmt: skip


@pytest.fixture
def patient(tmp_path: Path) -> Patient:
    return Patient(tmp_path / "VOC2012")


def hashes(root: Path) -> dict[str, str]:
    files = (file for file in sorted(root.rglob("*")) if file.is_file())
    return {str(file.relative_to(root)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def names_in(out: Path) -> dict[str, set[str]]:
    return {split: {sample.name for sample in samples} for split, samples in open_dataset(out).splits.items()}


def check_copy(out: Path, report: RepairReport, may_stay: tuple[str, ...] = ("empty mask",)) -> None:
    """The doctor finds nothing but what may be meant, every pair can be read, and what was done is in the file."""
    assert [found for found in examine(out).findings if found.kind not in may_stay] == []
    dataset = open_dataset(out)
    assert (dataset.root, report.root) == (out, out)
    for split in ("train", "val"):
        assert split_stats(dataset.split(split), dataset.class_names).images == len(dataset.split(split)) > 0
    assert report.images == len(set().union(*names_in(out).values()))
    with (out / "repair.csv").open(newline="") as file:
        assert list(csv.DictReader(file)) == [vars(change) for change in report.changes]
    assert not list(out.parent.glob(".*part"))


def mend_all(patient: Patient, mask_of: "dict[str, Image.Image]", out: Path) -> RepairReport:
    """Give every pair one of these masks by the letter of its number, and repair."""
    pictures = list(mask_of.values())
    for number, name in enumerate([*patient.train, *patient.val]):
        pictures[number % len(pictures)].save(patient.mask(name))
    report = repair(patient.root, out)
    check_copy(out, report)
    return report


def mask_in(out: Path, name: str) -> NDArray[np.uint8]:
    return read_mask(out / "SegmentationClass" / f"{name}.png", open_dataset(out).num_classes)


def test_a_copy_of_a_folder_with_every_fault_is_sound_and_the_originals_untouched(
    patient: Patient, tmp_path: Path
) -> None:
    for fault in FAULTS:
        fault.plant_in(patient)
    before, out = hashes(patient.root), tmp_path / "repaired"
    steps: list[tuple[int, int]] = []
    report = repair(patient.root, out, lambda done, total: steps.append((done, total)))
    check_copy(out, report)
    assert hashes(patient.root) == before
    assert report.source == examine(patient.root)
    assert steps == sorted(steps)
    assert steps[-1] == (51, 51)
    names = names_in(out)
    kept = {f"{split}{n}" for split, count in (("t", 40), ("v", 12)) for n in range(count)} - ASIDE - {"t15", "t30"}
    assert names["train"] | names["val"] == kept | {"t15e"}
    assert ({"v4"} <= names["train"], len(names["train"]), len(names["val"])) == (True, 31, 7)
    assert len({"t16", "v2"} & names["train"]) != 1, "they look alike"
    assert names["trainval"] == names["train"] | names["val"]


@pytest.mark.parametrize("fault", FAULTS, ids=[f"{fault.kind} {fault.name}" for fault in FAULTS])
def test_a_copy_of_a_folder_with_one_fault_is_sound(patient: Patient, tmp_path: Path, fault: Fault) -> None:
    fault.plant_in(patient)
    report = repair(patient.root, tmp_path / "out")
    check_copy(tmp_path / "out", report)
    assert report.changes or fault.kind == "empty mask", "something was told of it"
    is_aside = fault.name in ASIDE or fault.kind == "unlisted pairs"
    assert report.images == 52 - is_aside
    aside = [change for change in report.changes if change.action in ("set aside", "left out")]
    hidden = fault.kind in ("two photos of one name", "empty split")
    assert len(aside) == (is_aside or hidden)


def test_a_sound_folder_is_copied_byte_for_byte(patient: Patient, tmp_path: Path) -> None:
    report = repair(patient.root, tmp_path / "out")
    assert report.changes == ()
    copied = hashes(tmp_path / "out")
    assert copied.pop("repair.csv")
    assert copied == hashes(patient.root)


@pytest.mark.parametrize("name", ["t5", "v5", "t18", "t8", "t19", "t21", "t17", "t12", "v6", "v7", "t26"])
def test_a_mended_mask_is_what_it_was_before_the_fault(patient: Patient, tmp_path: Path, name: str) -> None:
    for fault in FAULTS:
        fault.plant_in(patient)
    repair(patient.root, tmp_path / "out")
    expected = np.rot90(cat_mask(), -1) if name == "t12" else cat_mask()
    assert (mask_in(tmp_path / "out", name) == expected).all()


def test_photos_keep_their_bytes_unless_they_must_be_turned_or_are_of_other_formats(
    patient: Patient, tmp_path: Path
) -> None:
    for fault in FAULTS:
        fault.plant_in(patient)
    repair(patient.root, tmp_path / "out")
    photos = tmp_path / "out" / "JPEGImages"
    assert (photos / "t23.jpg").read_bytes() == patient.photo("t23").with_suffix(".JPG").read_bytes()
    assert (photos / "t24.png").read_bytes() == patient.photo("t24").read_bytes(), "a PNG that was named .jpg"
    assert (photos / "t15e.jpg").read_bytes() == (patient.root / "JPEGImages" / "t15é.jpg").read_bytes()
    assert (np.asarray(read_photo(photos / "t25.png")) == np.asarray(photo_of(25))).all(), "a BMP becomes a PNG"
    assert read_photo(photos / "t11.jpg").size == SIZE[::-1]
    with Image.open(photos / "t11.jpg") as photo:
        assert dict(photo.getexif()) == {}


def test_what_is_set_aside_lies_there_with_its_reason(patient: Patient, tmp_path: Path) -> None:
    for fault in FAULTS:
        fault.plant_in(patient)
    out = tmp_path / "out"
    report = repair(patient.root, out)
    reasons = {change.file: change.detail for change in report.changes if change.action == "set aside"}
    assert {Path(file).stem for file in reasons} == ASIDE | {"t28"}
    assert {file.stem for file in (out / "set_aside" / "masks").iterdir()} == ASIDE - {"v3"}
    assert {file.stem for file in (out / "set_aside" / "photos").iterdir()} == ASIDE - {"t3"} | {"t28"}
    assert reasons["JPEGImages/t4.jpg"] == "its 50 x 40 px have another shape than the photo's 48 x 40 px"
    assert reasons["JPEGImages/v0.jpg"] == "duplicate photo: a copy of t0"
    kept = {file.stem for file in (out / "JPEGImages").iterdir()}
    assert kept == {file.stem for file in (out / "SegmentationClass").iterdir()}
    assert len(kept) == report.images


# --- sets of one form -----------------------------------------------------------------------------------------------


def test_a_set_of_0_255_masks_becomes_background_and_object(patient: Patient, tmp_path: Path) -> None:
    mend_all(patient, {"a": Image.fromarray(grey(255))}, tmp_path / "out")
    assert open_dataset(tmp_path / "out").class_names == ("background", "object")
    assert (mask_in(tmp_path / "out", "t3") == grey(1)).all()


def test_a_0_255_mask_is_the_second_of_two_named_classes(patient: Patient, tmp_path: Path) -> None:
    (patient.root / "classes.txt").write_text("background\nleaf #00ff00\n")
    mend_all(patient, {"a": Image.fromarray(grey(255)), "b": Image.fromarray(grey(1))}, tmp_path / "out")
    assert open_dataset(tmp_path / "out").classes == Classes(("background", "leaf"), ("#000000", "#00ff00"))
    assert (mask_in(tmp_path / "out", "t4") == grey(1)).all()


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA", "I;16"])
def test_grey_levels_of_any_depth_are_numbered_over_the_whole_set(patient: Patient, tmp_path: Path, mode: str) -> None:
    """No mask but one shows all four levels; 170 is class 2 in all of them."""

    def picture(*values: int) -> Image.Image:
        mask_HW = levels(*values)
        if mode == "I;16":
            return Image.fromarray(mask_HW.astype(np.uint16) * 257)
        return Image.fromarray(mask_HW).convert(mode)

    pictures = {"a": picture(0, 170), "b": picture(0, 85, 170, 255), "c": picture(0, 255), "d": picture(0, 85)}
    mend_all(patient, pictures, tmp_path / "out")
    assert open_dataset(tmp_path / "out").class_names == ("background", "class 1", "class 2", "class 3")
    for name, expected in (("t0", (0, 2)), ("t1", (0, 1, 2, 3)), ("t2", (0, 3)), ("t3", (0, 1))):
        assert (mask_in(tmp_path / "out", name) == levels(*expected)).all()


def test_grey_levels_follow_named_classes_and_255_may_be_void(patient: Patient, tmp_path: Path) -> None:
    (patient.root / "classes.txt").write_text("background\nleaf\nstem\n")
    mend_all(patient, {"a": Image.fromarray(levels(0, 60, 120, 255))}, tmp_path / "out")
    assert (mask_in(tmp_path / "out", "t0") == levels(0, 1, 2, VOID)).all()


def test_luminances_of_voc_s_colours_are_recognised(patient: Patient, tmp_path: Path) -> None:
    dog = mask_image(np.where(cat_mask() == CAT, DOG, cat_mask()).astype(np.uint8)).convert("RGB").convert("L")
    mend_all(patient, {"a": luminance(), "b": dog, "c": Image.fromarray(grey(19))}, tmp_path / "out")
    assert not (tmp_path / "out" / "classes.txt").exists()
    assert set(np.unique(mask_in(tmp_path / "out", "t1"))) == {0, DOG, VOID}
    assert (mask_in(tmp_path / "out", "t2") == grey(CAT)).all()


def test_colours_of_voc_s_palette_are_its_classes(patient: Patient, tmp_path: Path) -> None:
    bird = mask_image(grey(BIRD)).convert("RGB")
    mend_all(patient, {"a": mask_image(cat_mask()).convert("RGB"), "b": bird}, tmp_path / "out")
    assert (mask_in(tmp_path / "out", "t0") == cat_mask()).all()
    assert (mask_in(tmp_path / "out", "t1") == grey(BIRD)).all()
    assert not (tmp_path / "out" / "classes.txt").exists()


def colored(mask_HW: NDArray[np.uint8], *colors: tuple[int, int, int]) -> Image.Image:
    return Image.fromarray(np.array(colors, dtype=np.uint8)[mask_HW])


def test_unknown_colours_are_numbered_by_frequency_with_black_as_background(patient: Patient, tmp_path: Path) -> None:
    pictures = {"a": colored(levels(0, 1, 2, 2), (0, 0, 0), (250, 1, 2), (3, 240, 4))}
    mend_all(patient, pictures, tmp_path / "out")
    classes = open_dataset(tmp_path / "out").classes
    assert classes == Classes(("background", "class 1", "class 2"), ("#000000", "#03f004", "#fa0102"))
    assert (mask_in(tmp_path / "out", "t0") == levels(0, 2, 1, 1)).all()


def test_a_table_tells_what_colours_mean(patient: Patient, tmp_path: Path) -> None:
    table = Classes(("ground", "leaf", "stem"), ("#010101", "#fa0102", "#03f004"))
    for name in [*patient.train, *patient.val]:
        colored(levels(0, 1, 2), (1, 1, 1), (250, 1, 2), (3, 240, 4)).save(patient.mask(name))
    colored(levels(0, 1, 2), (1, 1, 1), (250, 1, 2), (9, 9, 90)).save(patient.mask("t1"))
    report = repair(patient.root, tmp_path / "out", table=table)
    check_copy(tmp_path / "out", report)
    assert open_dataset(tmp_path / "out").classes == table
    assert (mask_in(tmp_path / "out", "t0") == levels(0, 1, 2)).all()
    aside = {change.file: change.detail for change in report.changes if change.action == "set aside"}
    assert aside == {"JPEGImages/t1.jpg": "33.3 % of its pixels have colours without a known class"}


def test_a_palette_of_its_own_gives_numbered_classes_a_file(patient: Patient, tmp_path: Path) -> None:
    for name in [*patient.train, *patient.val]:
        write_mask(patient.mask(name), levels(0, 1, 1), OWN_PALETTE)
    check_copy(tmp_path / "out", repair(patient.root, tmp_path / "out"))
    classes = open_dataset(tmp_path / "out").classes
    assert (classes.names[:2], classes.colors[1]) == (("background", "class 1"), "#c80a3c")
    assert (mask_in(tmp_path / "out", "t0") == levels(0, 1, 1)).all()


def test_sound_ids_are_kept_in_any_number_of_colours(patient: Patient, tmp_path: Path) -> None:
    """A palette of 150 colours was taken for one of pictures, and the ids were numbered by their frequency."""
    palette = np.zeros((256, 3), dtype=np.uint8)
    palette[1:150] = np.random.default_rng(0).integers(1, 256, (149, 3))
    masks = [levels(0, 149, 3, 3), levels(0, 77, 77, 3), levels(2, 3)]
    names = [*patient.train, *patient.val]
    for number, name in enumerate(names):
        write_mask(patient.mask(name), masks[number % 3], palette)
    check_copy(tmp_path / "out", repair(patient.root, tmp_path / "out"))
    classes = open_dataset(tmp_path / "out").classes
    assert classes.names == ("background", *(f"class {class_id}" for class_id in range(1, 150)))
    assert (classes.palette[:150] == palette[:150]).all()
    for number, name in enumerate(names):
        assert (mask_in(tmp_path / "out", name) == masks[number % 3]).all()


def test_palettes_that_contradict_each_other_are_read_by_their_colours(patient: Patient, tmp_path: Path) -> None:
    """A program that gives every picture a palette of its own numbers the same colours in another order each time."""
    colors = np.array([[0, 0, 0], [250, 1, 2], [3, 240, 4], [9, 8, 200]], dtype=np.uint8)
    names = [*patient.train, *patient.val]
    for number, name in enumerate(names):
        order = np.random.default_rng(number).permutation(4)
        palette = np.zeros((256, 3), dtype=np.uint8)
        palette[:4] = colors[order]
        write_mask(patient.mask(name), np.argsort(order).astype(np.uint8)[levels(0, 1, 1, 2, 2, 2, 3)], palette)
    check_copy(tmp_path / "out", repair(patient.root, tmp_path / "out"))
    assert open_dataset(tmp_path / "out").classes.colors[:2] == ("#000000", "#03f004")
    for name in names:
        assert (mask_in(tmp_path / "out", name) == levels(0, 2, 2, 1, 1, 1, 3)).all()


def test_one_mask_in_another_palette_keeps_its_ids_and_that_is_said(patient: Patient, tmp_path: Path) -> None:
    """A warning set the pair aside."""
    write_mask(patient.mask("t1"), levels(0, 1, 1), OWN_PALETTE)
    report = repair(patient.root, tmp_path / "out")
    check_copy(tmp_path / "out", report)
    assert (mask_in(tmp_path / "out", "t1") == levels(0, 1, 1)).all()
    assert ["the ids kept" in change.detail for change in report.changes] == [True]


def test_photos_of_background_alone_stay(patient: Patient, tmp_path: Path) -> None:
    """Photos without any object, which teach what is none, were set aside for a warning that says "unless meant"."""
    for name in ("t1", "t2", "v1"):
        write_mask(patient.mask(name), grey(0))
    report = repair(patient.root, tmp_path / "out")
    check_copy(tmp_path / "out", report)
    assert (report.images, report.changes) == (52, ())


def test_the_colour_at_most_borders_is_the_background_where_none_is_black(patient: Patient, tmp_path: Path) -> None:
    """White masks with coloured objects became masks without any background, white one class of many."""
    mask_HW = grey(1)
    mask_HW[30:, :] = 2
    colors = (255, 255, 255), (250, 1, 2), (3, 240, 4)
    report = mend_all(patient, {"a": colored(grey(1), *colors), "b": colored(mask_HW, *colors)}, tmp_path / "out")
    assert open_dataset(tmp_path / "out").classes.colors == ("#ffffff", "#fa0102", "#03f004")
    assert (mask_in(tmp_path / "out", "t0") == grey(1)).all()
    guess = [change.detail for change in report.changes if change.action == "background guessed"]
    assert len(guess) == 1
    assert "#ffffff" in guess[0]


def test_pictures_among_colour_masks_are_set_aside_and_the_others_numbered(patient: Patient, tmp_path: Path) -> None:
    """Every colour of every mask was kept: a set of photos in the place of masks took all memory."""
    for name in [*patient.train, *patient.val]:
        colored(levels(0, 1, 1, 2), (0, 0, 0), (250, 1, 2), (3, 240, 4)).save(patient.mask(name))
    photo_of(50).save(patient.mask("t1"))
    report = repair(patient.root, tmp_path / "out")
    check_copy(tmp_path / "out", report)
    assert (mask_in(tmp_path / "out", "t0") == levels(0, 1, 1, 2)).all()
    aside = {change.file: change.detail for change in report.changes if change.action == "set aside"}
    assert aside == {"JPEGImages/t1.jpg": "more than 64 colours, so it is a picture and no mask"}


def test_no_more_colours_are_counted_than_can_be_of_use() -> None:
    count = ColorCount()
    for number in range(200):
        count.add(f"photo {number}", photo_of(number))
        colors = np.random.default_rng(number).integers(0, 256, (40, 3)).astype(np.uint8)
        count.add(f"mask {number}", Image.fromarray(colors[levels(*range(40))]))
    assert len(count.pictures) == 200
    assert len(count.pixels) <= 2 * 64


def test_a_few_stray_pixels_become_void_and_that_is_said(patient: Patient, tmp_path: Path) -> None:
    mask_HW = cat_mask()
    mask_HW[0, :5] = 99
    write_mask(patient.mask("t3"), mask_HW)
    report = repair(patient.root, tmp_path / "out")
    check_copy(tmp_path / "out", report)
    assert [vars(change) for change in report.changes] == [
        {
            "file": "SegmentationClass/t3.png",
            "action": "mask mended",
            "detail": "0.26 % of pixels of unknown ids made void",
        }
    ]
    assert (mask_in(tmp_path / "out", "t3")[0, :6] == [VOID] * 5 + [0]).all()


# --- splits ---------------------------------------------------------------------------------------------------------


def test_where_all_of_val_is_copied_train_gives_the_copies_up(patient: Patient, tmp_path: Path) -> None:
    for number, name in enumerate(patient.val):
        patient.photo(name).write_bytes(patient.photo(f"t{number}").read_bytes())
    report = repair(patient.root, tmp_path / "out")
    check_copy(tmp_path / "out", report)
    assert names_in(tmp_path / "out")["val"] == set(patient.val)
    assert len(names_in(tmp_path / "out")["train"]) == 40 - 12
    assert "which val would be empty without" in report.changes[0].detail


@pytest.mark.parametrize("val", [[], ["t1"], [f"t{number}" for number in range(40)]])
def test_an_empty_val_or_one_that_is_train_gets_pairs_of_its_own(
    patient: Patient, tmp_path: Path, val: list[str]
) -> None:
    patient.val = val
    patient.write_lists()
    check_copy(tmp_path / "out", repair(patient.root, tmp_path / "out"))
    names = names_in(tmp_path / "out")
    assert names["train"] | names["val"] == set(patient.train)
    assert not names["train"] & names["val"]


def test_the_only_photo_of_val_is_swapped_for_one_that_train_can_spare(patient: Patient, tmp_path: Path) -> None:
    patient.val = ["v4"]
    patient.write_lists()
    write_mask(patient.mask("v4"), grey(BIRD))
    check_copy(tmp_path / "out", repair(patient.root, tmp_path / "out"))
    names = names_in(tmp_path / "out")
    assert "v4" in names["train"]
    assert len(names["val"]) == 1


def test_repeated_lines_and_photos_without_truth_leave_the_lists(patient: Patient, tmp_path: Path) -> None:
    patient.train.append("t5")
    patient.write_lists()
    write_list(patient.root, "test", ["unseen"])
    report = repair(patient.root, tmp_path / "out")
    check_copy(tmp_path / "out", report)
    assert [(change.file.rpartition("/")[2], change.action) for change in report.changes] == [
        ("test.txt", "left out"),
        ("train.txt", "line removed"),
        ("trainval.txt", "line removed"),
    ]


def test_names_are_made_plain_and_stay_apart(tmp_path: Path) -> None:
    names = ["a b", "a_b", "é", "e", "кот", "狗", "x1", "x2", "x3"]
    write_pairs(tmp_path / "in" / "images", tmp_path / "in" / "masks", names)
    for number, name in enumerate(names):
        photo_of(number).save(tmp_path / "in" / "images" / f"{name}.jpg")
        write_mask(tmp_path / "in" / "masks" / f"{name}.png", cat_mask())
    check_copy(tmp_path / "out", repair(tmp_path / "in", tmp_path / "out"))
    found = {file.stem for file in (tmp_path / "out" / "JPEGImages").iterdir()}
    assert found == {"a_b", "a_b_2", "e", "e_2", "photo_1", "photo_2", "x1", "x2", "x3"}


def frame_of(scene: int, number: int) -> Image.Image:
    """Return a photo of a scene with some noise: no two frames have the same bytes."""
    photo_HW3 = np.asarray(photo_of(scene)).astype(int)
    noise_HW3 = np.random.default_rng(number).integers(-2, 3, photo_HW3.shape)
    return Image.fromarray((photo_HW3 + noise_HW3).clip(0, 255).astype(np.uint8))


def write_frames(root: Path, scenes: list[int]) -> list[str]:
    """Write a folder of photos and masks without lists: one frame of each of these scenes; return the names."""
    names = [f"scene_{scene}_{number:03}" for number, scene in enumerate(scenes)]
    write_pairs(root / "images", root / "masks", names)
    for number, (scene, name) in enumerate(zip(scenes, names, strict=True)):
        frame_of(scene, number).save(root / "images" / f"{name}.jpg", quality=95)
        write_mask(root / "masks" / f"{name}.png", cat_mask())
    return names


def test_frames_of_one_scene_all_stay_and_that_is_said(tmp_path: Path) -> None:
    """The warning that photos look alike set 39 of 40 aside, and the repair failed: "Only 1 of the 40 pairs"."""
    write_frames(tmp_path / "in", [0] * 40)
    before = {name: {s.name for s in samples} for name, samples in open_dataset(tmp_path / "in").splits.items()}
    report = repair(tmp_path / "in", tmp_path / "out")
    check_copy(tmp_path / "out", report, may_stay=("similar photo",))
    assert names_in(tmp_path / "out") == before
    assert [(change.file, change.action) for change in report.changes] == [
        ("ImageSets/Segmentation", "left as they are")
    ]


def test_scenes_stay_together_and_no_photo_is_lost(tmp_path: Path) -> None:
    """Of five scenes with 12 frames each, 48 of 60 photos were set aside and val was filled from train twice."""
    written = write_frames(tmp_path / "in", [scene for scene in range(5) for _ in range(12)])
    report = repair(tmp_path / "in", tmp_path / "out")
    check_copy(tmp_path / "out", report)
    names = names_in(tmp_path / "out")
    assert names["train"] | names["val"] == set(written)
    assert (len(names["train"]), len({name[:7] for name in names["val"]})) == (48, 1)
    again = repair(tmp_path / "in", tmp_path / "again")
    assert again.changes == report.changes
    assert {change.action for change in report.changes} == {"moved"}


def test_a_scene_that_would_leave_a_part_too_small_is_parted(tmp_path: Path) -> None:
    """All but one photo are of one scene: kept together they would leave that one photo to judge by."""
    written = write_frames(tmp_path / "in", [0] * 39 + [1])
    report = repair(tmp_path / "in", tmp_path / "out")
    check_copy(tmp_path / "out", report, may_stay=("similar photo",))
    assert len(names_in(tmp_path / "out")["train"]) == 32
    assert report.images == len(written)


def settled(scene_of_each: list[int], in_val: set[int], class_of: "dict[int, int] | None" = None) -> Splits:
    """Settle pairs as if read, in train unless their number is in val, of scenes and with classes by number."""
    rng = np.random.default_rng(0)
    greys = {scene: rng.integers(0, 256, (8, 9)).astype(np.int16) for scene in dict.fromkeys(scene_of_each)}
    names: dict[str, list[str]] = {"train": [], "val": []}
    pairs = []
    for number, scene in enumerate(scene_of_each):
        split = "val" if number in in_val else "train"
        names[split].append(f"p{number}")
        entry = Entry(f"p{number}", (split,), Path(f"p{number}.jpg"), Path(f"p{number}.png"))
        photo = PhotoFacts("JPEG", SIZE, SIZE, 1, str(number).encode(), greys[scene])
        pairs.append(ExaminedPair(entry, (), photo, None, frozenset((0, (class_of or {}).get(number, 1))), None))
    return settle(pairs, names)


@pytest.mark.parametrize("is_one_scene", [True, False])
@pytest.mark.parametrize("num_val", [0, 2000])
def test_ten_thousand_photos_are_settled_in_seconds(*, is_one_scene: bool, num_val: int) -> None:
    """Val was filled photo by photo, all of train sorted for each: 71 s for 10,000; 2,000 of one scene took 105 s."""
    scene_of_each = [0 if is_one_scene else number for number in range(10_000)]
    began_s = time.process_time()
    splits = settled(scene_of_each, set(range(num_val)))
    assert time.process_time() - began_s < 10
    assert (len(splits.names["train"]), len(splits.names["val"]), splits.aside) == (8000, 2000, {})


def test_a_scene_goes_to_train_whole_for_a_class_that_it_alone_shows() -> None:
    splits = settled([0] * 4 + [1] * 4 + list(range(10, 42)), set(range(8)), class_of={0: 7})
    assert {f"p{number}" for number in range(4)} <= set(splits.names["train"])
    assert {f"p{number}" for number in range(4, 8)} <= set(splits.names["val"])
    assert splits.aside == {}


def test_another_list_to_train_on_loses_the_names_of_val(patient: Patient, tmp_path: Path) -> None:
    patient.add(99, "more")
    patient.add(98, "twin")
    patient.photo("twin").write_bytes(patient.photo("v3").read_bytes())
    write_list(patient.root, "trainaug", [*patient.train, *patient.val, "more", "twin"])
    report = repair(patient.root, tmp_path / "out")
    check_copy(tmp_path / "out", report)
    names = names_in(tmp_path / "out")
    assert names["trainaug"] == {*patient.train, "more"}
    assert names["val"] == set(patient.val)
    assert [(change.file, change.action) for change in report.changes] == [
        ("JPEGImages/twin.jpg", "set aside"),
        ("ImageSets/Segmentation/trainaug.txt", "lines removed"),
    ]


# --- odd files ------------------------------------------------------------------------------------------------------


def test_files_that_cannot_be_read_are_no_fault_of_the_new_folder(patient: Patient, tmp_path: Path) -> None:
    """A link that leads nowhere, or a folder called t2.jpg, ended the repair: "The folder OUT cannot be written"."""
    patient.photo("t1").unlink()
    patient.photo("t1").symlink_to(patient.root / "gone.jpg")
    patient.photo("t2").unlink()
    patient.photo("t2").mkdir()
    for file in (patient.photo("t3"), patient.mask("t3")):
        file.unlink()
        file.symlink_to(patient.root / "gone")
    (patient.root / "JPEGImages" / "t4.bmp").symlink_to(patient.root / "gone.bmp")
    report = repair(patient.root, tmp_path / "out")
    check_copy(tmp_path / "out", report)
    assert {change.file: (change.action, change.detail) for change in report.changes} == {
        "JPEGImages/t1.jpg": ("set aside", "unreadable photo (No such file or directory)"),
        "JPEGImages/t2.jpg": ("set aside", "unreadable photo (Is a directory)"),
        "JPEGImages/t3.jpg": ("left out", "unreadable photo (No such file or directory)"),
        "JPEGImages/t4.bmp": ("left out", "two photos of one name (No such file or directory)"),
    }


def test_a_name_that_is_no_text_can_be_told_of(patient: Patient, tmp_path: Path) -> None:
    """Writing repair.csv with a name in Latin-1 in it was a traceback."""
    photo_of(99).save(patient.photo("odd"))
    patient.photo("odd").rename(patient.photo("odd").parent / os.fsdecode(b"caf\xe9.jpg"))
    report = repair(patient.root, tmp_path / "out")
    check_copy(tmp_path / "out", report)
    assert [(change.file, change.action) for change in report.changes] == [(r"JPEGImages/caf\udce9.jpg", "left out")]


@pytest.mark.parametrize("length", [245, 251])
def test_the_longest_names_there_can_be_are_copied(patient: Patient, tmp_path: Path, length: int) -> None:
    """A temporary file beside it had a longer name yet: "File name too long"."""
    patient.train.append("x" * length)
    patient.write_lists()
    patient.add(99, "x" * length)
    Image.fromarray(cat_mask()).save(patient.mask("x" * length))
    report = repair(patient.root, tmp_path / "out")
    check_copy(tmp_path / "out", report)
    assert "x" * 240 in names_in(tmp_path / "out")["train"]


def test_a_list_of_paths_is_mended_where_they_name_photos_of_the_set(patient: Patient, tmp_path: Path) -> None:
    patient.list_as("t1", "JPEGImages/t1.jpg")
    patient.train.append("../../outside/secret")
    patient.write_lists()
    (tmp_path / "outside").mkdir()
    photo_of(99).save(tmp_path / "outside" / "secret.jpg")
    report = repair(patient.root, tmp_path / "out")
    check_copy(tmp_path / "out", report)
    assert "t1" in names_in(tmp_path / "out")["train"]
    assert not list((tmp_path / "out").rglob("secret*"))
    assert ("left out", "a list names it by a path") in [(change.action, change.detail) for change in report.changes]


# --- what is refused ------------------------------------------------------------------------------------------------


def test_a_copy_within_the_data_or_over_something_is_refused(patient: Patient, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="lies in the data set itself"):
        repair(patient.root, patient.root / "JPEGImages" / "out")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    with pytest.raises(DataError, match="nothing is overwritten"):
        repair(patient.root, tmp_path / "out")
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["mine.txt"]


def test_nothing_is_left_where_nothing_can_be_used(patient: Patient, tmp_path: Path) -> None:
    for name in [*patient.train, *patient.val[1:]]:
        patient.mask(name).unlink()
    with pytest.raises(DataError, match="Only 1 of the 52 pairs"):
        repair(patient.root, tmp_path / "out")
    assert [file.name for file in tmp_path.iterdir()] == ["VOC2012"]


@pytest.mark.parametrize("at", [60, 100])
def test_a_stop_on_the_way_leaves_nothing(patient: Patient, tmp_path: Path, at: int) -> None:
    calls = 0

    def stop(_done: int, _total: int) -> None:
        nonlocal calls
        calls += 1
        if calls == at:
            raise RunError("It was stopped on request.")

    with pytest.raises(RunError):
        repair(patient.root, tmp_path / "out", stop)
    assert [file.name for file in tmp_path.iterdir()] == ["VOC2012"]


def test_the_report_is_json(patient: Patient, tmp_path: Path) -> None:
    patient.mask("t1").unlink()
    document = repair(patient.root, tmp_path / "out").as_dict()
    assert json.loads(json.dumps(document)) == {
        "data": str(tmp_path / "out"),
        "images": 51,
        "changes": [{"file": "JPEGImages/t1.jpg", "action": "set aside", "detail": "missing mask"}],
    }


def test_the_command_tells_what_was_found_and_what_was_changed(
    patient: Patient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    patient.mask("t1").unlink()
    before = hashes(patient.root)
    arguments = ["core", "doctor", str(patient.root), "--repair", str(tmp_path / "out")]
    monkeypatch.setattr(sys, "argv", [*arguments, "--json"])
    assert main() == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["counts"], document["repaired"]["images"]) == ({"missing mask": 1}, 51)
    assert document["repaired"]["data"] == str(tmp_path / "out")
    assert hashes(patient.root) == before, "no stored analysis either"
    monkeypatch.setattr(sys, "argv", arguments)
    assert main() == 1
    assert "nothing is overwritten" in capsys.readouterr().err
    monkeypatch.setattr(sys, "argv", [*arguments[:-1], str(tmp_path / "two"), "--job", str(tmp_path / "job")])
    assert main() == 0
    assert "  set aside         JPEGImages/t1.jpg: missing mask\n" in capsys.readouterr().out
    assert json.loads((tmp_path / "job" / "progress.json").read_text())["is_over"]
