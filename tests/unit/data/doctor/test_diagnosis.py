"""What the doctor says of a folder with every fault there is, and of folders without one."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.data.dataset import open_dataset, read_contents
from core.data.demo import write_demo
from core.data.doctor.diagnosis import Report, names_by_split, report_csv
from core.data.images import write_mask
from core.errors import DataError
from tests.faulty_data import (
    FAULTS,
    OWN_PALETTE,
    SIZE,
    Fault,
    Patient,
    cat_mask,
    examine,
    grey,
    luminance,
    photo_of,
    show_a_bird,
)
from tests.small_data import write_list, write_pairs, write_voc


def found_in(report: Report) -> set[tuple[str, str, str | None, str]]:
    return {(found.kind, found.severity, found.split, found.file) for found in report.findings}


def test_every_planted_fault_is_found_and_nothing_else(patient: Patient) -> None:
    for fault in FAULTS:
        fault.plant_in(patient)
    report = examine(patient.root)
    assert found_in(report) == {fault.expected for fault in FAULTS}
    assert (report.images, report.masks) == (50, 50), "one of each is missing, and one pair is in no list"
    assert sum(report.counts.values()) == len(report.findings) == len(FAULTS)
    assert [found.severity for found in report.findings] == sorted(found.severity for found in report.findings)


@pytest.mark.parametrize("fault", FAULTS, ids=[f"{fault.kind} {fault.name}" for fault in FAULTS])
def test_a_fault_alone_is_found_and_nothing_else(patient: Patient, fault: Fault) -> None:
    fault.plant_in(patient)
    assert found_in(examine(patient.root)) == {fault.expected}


def test_every_detail_is_one_sentence_without_a_line_break(patient: Patient) -> None:
    for fault in FAULTS:
        fault.plant_in(patient)
    for found in examine(patient.root).findings:
        assert "\n" not in found.detail
        assert found.detail.endswith(".")
        assert ";" in found.detail or ":" in found.detail, "what it does, and the remedy"


def test_a_sound_folder_is_clean_and_progress_is_told(patient: Patient) -> None:
    steps: list[tuple[int, int]] = []
    report = examine(patient.root, lambda done, total: steps.append((done, total)))
    assert report.as_dict() == {"images": 52, "masks": 52, "findings": [], "counts": {}}
    assert steps == [(done, 52) for done in range(1, 53)]


def test_drawn_scenes_are_clean(tmp_path: Path) -> None:
    """With 20 scenes each, train and val show the same classes; photos of one artist are not taken for copies."""
    report = examine(write_demo(tmp_path, num_train=20, num_val=20))
    assert found_in(report) == set()
    assert (report.images, report.masks) == (40, 40)


def test_real_photos_have_no_error(voc_animals: Path) -> None:
    report = examine(voc_animals)
    assert (report.images, report.masks) == (1200, 1200)
    assert [found for found in report.findings if found.severity == "error"] == []


def test_without_lists_an_orphan_mask_is_told_and_a_copy_across_the_random_split(tmp_path: Path) -> None:
    names = [f"p{number}" for number in range(10)]
    write_pairs(tmp_path / "images", tmp_path / "masks", names)
    photos = {name: tmp_path / "images" / f"{name}.jpg" for name in names}
    for number, name in enumerate(names):
        photo_of(number).save(photos[name])
        write_mask(tmp_path / "masks" / f"{name}.png", cat_mask())
    dataset = open_dataset(tmp_path)
    dataset_split = next(split for split, samples in dataset.splits.items() if samples[0].name == "p0")
    learned, scored = dataset.split("train")[0].name, dataset.split("val")[0].name
    photos[scored].write_bytes(photos[learned].read_bytes())
    only_learned = next(sample.name for sample in dataset.split("train")[1:])
    for name in (learned, only_learned):
        write_mask(tmp_path / "masks" / f"{name}.png", np.full_like(cat_mask(), 12))
    photo_of(10).save(tmp_path / "images" / "unlabelled.jpg")
    assert any("(Splits on the Dataset page" in found.detail for found in examine(tmp_path).findings)
    write_mask(tmp_path / "masks" / "z.png", cat_mask())
    report = examine(tmp_path)
    details = {found.kind: found.detail for found in report.findings}
    assert details["missing photo"].endswith("add the photo or remove the mask."), "there is no list to take it off"
    assert "make a repaired copy" in details["class missing in val"], "Splits is closed"
    assert details["no mask"].startswith("1 photo has no mask and is not used;")
    assert found_in(report) == {
        ("missing photo", "error", None, "images/z.jpg"),
        ("no mask", "warning", None, "images/unlabelled.jpg"),
        ("class missing in val", "warning", "train", f"masks/{learned}.png"),
        ("duplicate photo", "error", "val", f"images/{scored}.jpg"),
        ("few validation photos", "warning", "val", "masks"),
        ("unnamed classes", "warning", dataset_split, "masks/p0.png"),
    }


def test_a_single_pair_leaves_val_empty(tmp_path: Path) -> None:
    write_pairs(tmp_path / "images", tmp_path / "masks", ["only"])
    assert found_in(examine(tmp_path)) == {
        ("empty split", "error", "val", "masks"),
        ("unnamed classes", "warning", "train", "masks/only.png"),
    }


def test_a_set_just_begun_on_label_has_no_error(tmp_path: Path) -> None:
    """One photo was done, and Dataset called it an error that val was empty."""
    write_pairs(tmp_path / "images", tmp_path / "masks", ["a", "b", "c"])
    (tmp_path / "labelling").mkdir()
    write_list(tmp_path, "train", ["a"])
    write_list(tmp_path, "val", [])
    found = next(each for each in examine(tmp_path).findings if each.kind == "labelling begun")
    assert found.detail == "1 of 3 photos is labelled; press Done on 2 more on the page Label to train."
    assert "error" not in {each.severity for each in examine(tmp_path).findings}
    write_list(tmp_path, "train", ["a", "b", "c"])
    assert ("empty split", "error", "val", "ImageSets/Segmentation/val.txt") in found_in(examine(tmp_path))


def test_a_name_in_both_splits_or_twice_in_one_is_a_duplicate(patient: Patient) -> None:
    patient.val.append("t2")
    patient.train.append("t5")
    patient.write_lists()
    assert found_in(examine(patient.root)) == {
        ("duplicate photo", "error", "train", "JPEGImages/t2.jpg"),
        ("duplicate photo", "warning", "train", "JPEGImages/t5.jpg"),
    }


def test_a_missing_list_is_an_empty_split_and_photos_without_truth_are_none(patient: Patient) -> None:
    (patient.root / "ImageSets" / "Segmentation" / "val.txt").unlink()
    write_list(patient.root, "test", ["unseen_1", "unseen_2"])
    assert found_in(examine(patient.root)) == {("empty split", "error", "val", "ImageSets/Segmentation/val.txt")}


@pytest.mark.parametrize(("num_val", "kinds"), [(10, {}), (9, {"few validation photos": 1, "unlisted pairs": 1})])
def test_fewer_than_ten_validation_photos_are_told(patient: Patient, num_val: int, kinds: dict[str, int]) -> None:
    """A val of two photos was frozen into lists, and the doctor found nothing wrong."""
    patient.train += patient.val[10:]
    patient.val = patient.val[:num_val]
    patient.write_lists()
    assert examine(patient.root).counts == kinds


def test_a_class_of_several_photos_that_val_lacks_is_told_once_with_the_remedy(patient: Patient) -> None:
    """Nothing was said of a class without a score; one that only the classes name is none that is missing."""
    for name in patient.train[:3]:
        show_a_bird(patient, patient.mask(name))
    (found,) = examine(patient.root).findings
    assert (found.kind, found.file) == ("class missing in val", "SegmentationClass/t0.png")
    assert found.detail.startswith("'bird' is in train but never in val")
    assert "--split-anew" in found.detail
    show_a_bird(patient, patient.mask("v3"))
    assert examine(patient.root).findings == ()


def flat_photos() -> Iterator[Image.Image]:
    return (Image.new("RGB", SIZE, (value, value, value)) for value in (20, 120, 220))


def test_flat_photos_of_other_brightness_are_not_similar(patient: Patient) -> None:
    """A flat photo has the same difference hash as any other one."""
    for name, photo in zip(("t0", "v0", "v1"), flat_photos(), strict=True):
        photo.save(patient.photo(name))
    assert found_in(examine(patient.root)) == set()


def test_damaged_exif_is_reported_and_not_raised(patient: Patient) -> None:
    """Pillow reads the pixels of such a file, and raises struct.error once it is turned upright."""
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "maker", 6
    photo_of(1).save(patient.photo("t1"), exif=exif)
    whole = patient.photo("t1").read_bytes()
    patient.photo("t1").write_bytes(whole.replace(b"\x01\x0f\x00\x02", b"\x01\x00\x00\x02"))  # a width of "maker"
    assert found_in(examine(patient.root)) == {("unreadable photo", "error", "train", "JPEGImages/t1.jpg")}


@pytest.mark.parametrize("layout", ["nothing", "photos only", "no masks", "missing"])
def test_a_folder_that_is_no_data_set_raises(tmp_path: Path, layout: str) -> None:
    root = tmp_path / "data"
    if layout != "missing":
        root.mkdir()
    if layout in ("photos only", "no masks"):
        (root / "images").mkdir()
        photo_of(0).save(root / "images" / "a.jpg")
    if layout == "no masks":
        (root / "masks").mkdir()
    with pytest.raises(DataError, match="data"):
        examine(root)


def test_a_list_in_which_no_photo_has_a_mask_is_told_for_train(tmp_path: Path) -> None:
    root = write_voc(tmp_path / "VOC2012")
    for number in range(4):
        (root / "SegmentationClass" / f"photo_{number}.png").unlink()
    assert examine(root).counts["missing mask"] == 4


def test_grey_masks_without_a_palette_are_sound_where_all_are(patient: Patient) -> None:
    for name in [*patient.train, *patient.val]:
        Image.fromarray(cat_mask()).save(patient.mask(name))
    assert found_in(examine(patient.root)) == set()


def test_luminances_that_pass_for_ids_are_told_where_most_masks_are_such_pictures(patient: Patient) -> None:
    """A cat's red turns into grey 19, the id of a train; only void's 220 gives the other masks away."""
    for name in [*patient.train, *patient.val]:
        luminance().save(patient.mask(name))
    Image.fromarray(grey(19)).save(patient.mask("t3"))
    report = examine(patient.root)
    assert report.counts == {"grey mask": 52}
    assert all(found.severity == "error" for found in report.findings)


def test_masks_with_a_palette_of_their_own_are_told_once(patient: Patient) -> None:
    for name in [*patient.train, *patient.val]:
        write_mask(patient.mask(name), grey(1), OWN_PALETTE)
    assert found_in(examine(patient.root)) == {("unnamed classes", "warning", "train", "SegmentationClass/t0.png")}
    (patient.root / "classes.txt").write_text("background\napple\n")
    assert found_in(examine(patient.root)) == set()


def test_photos_of_any_lower_case_extension_are_sound_outside_of_voc_s_layout(tmp_path: Path) -> None:
    names = [f"p{number}" for number in range(5)]
    write_pairs(tmp_path / "images", tmp_path / "masks", names)
    for number, (name, suffix) in enumerate(zip(names, (".bmp", ".jpeg", ".png", ".webp", ".TIF"), strict=True)):
        (tmp_path / "images" / f"{name}.jpg").unlink()
        photo_of(number).save(tmp_path / "images" / f"{name}{suffix}")
    found = [found for found in examine(tmp_path).findings if found.kind == "odd extension"]
    assert [finding.file for finding in found] == ["images/p4.TIF"]


def test_a_list_may_name_anything_at_all(patient: Patient) -> None:
    """A name that is a path was joined to the folder, and the report ended in a traceback."""
    patient.list_as("t1", "/etc/hostname")
    patient.list_as("t2", "../../t2")
    assert examine(patient.root).counts == {"odd name": 2, "unlisted pairs": 1}


@pytest.mark.parametrize("line", ["../../outside/secret", "/etc/secret", "..\\secret", ".."])
def test_a_line_that_is_a_path_is_told_at_its_list_and_leads_nowhere(patient: Patient, line: str) -> None:
    """The finding named the file outside of the data set, and the page drew its picture."""
    outside = patient.root.parent / "outside" / "secret.jpg"
    outside.parent.mkdir()
    photo_of(99).save(outside)
    patient.train.append(line)
    patient.val.append(line)
    patient.write_lists()
    report = examine(patient.root)
    assert ("odd name", "error", "train", "ImageSets/Segmentation/train.txt") in found_in(report)
    for found in report.findings:
        assert (report.root / found.file).resolve().is_relative_to(report.root)


def test_names_that_are_no_text_are_told_and_can_be_written(patient: Patient) -> None:
    """A name in Latin-1 holds bytes that are no UTF-8; writing the report of it was a traceback."""
    photo_of(99).save(patient.root / "JPEGImages" / "plain.jpg")
    (patient.root / "JPEGImages" / "plain.jpg").rename(
        os.fsdecode(os.fsencode(patient.root) + b"/JPEGImages/caf\xe9.jpg")
    )
    report = examine(patient.root)
    assert found_in(report) == {("odd name", "warning", None, r"JPEGImages/caf\udce9.jpg")}
    assert report_csv(report).encode()


def test_val_within_another_list_to_train_on_is_told_once_for_that_list(patient: Patient) -> None:
    """A trainaug.txt that held all of val was nothing to the doctor; VOC's own trainval holds it by definition."""
    write_list(patient.root, "trainaug", [*patient.train, *patient.val])
    report = examine(patient.root)
    assert found_in(report) == {("leak", "error", "trainaug", "ImageSets/Segmentation/trainaug.txt")}
    assert report.findings[0].detail.startswith("12 photos of val are in trainaug too")


def test_a_copy_of_a_photo_of_val_in_another_list_to_train_on_is_a_leak(patient: Patient) -> None:
    patient.add(99, "more")
    patient.photo("more").write_bytes(patient.photo("v3").read_bytes())
    write_list(patient.root, "train_more", [*patient.train, "more"])
    assert found_in(examine(patient.root)) == {("leak", "error", "train_more", "ImageSets/Segmentation/train_more.txt")}


def test_every_split_of_the_data_set_is_one_of_the_doctor_s(patient: Patient) -> None:
    """A list whose names differ from the files' in case was a split to one of them alone, and the statistics failed."""
    write_list(patient.root, "shouted", [name.upper() for name in patient.val])
    write_list(patient.root, "test", ["unseen"])
    write_list(patient.root, "none", [])
    contents = read_contents(patient.root)
    splits = names_by_split(contents)
    assert set(splits) == {"train", "val", "trainval", "shouted", "none"}
    assert set(open_dataset(patient.root).splits) <= set(splits)
    assert all(contents.lists[file] == splits[file.stem] for file in contents.lists if file.stem in splits)


def test_a_link_that_leads_nowhere_and_a_folder_in_the_place_of_a_photo_are_told(patient: Patient) -> None:
    patient.photo("t1").unlink()
    patient.photo("t1").symlink_to(patient.root / "gone.jpg")
    patient.photo("t2").unlink()
    patient.photo("t2").mkdir()
    details = {found.file: (found.kind, found.detail) for found in examine(patient.root).findings}
    assert {kind for kind, _ in details.values()} == {"unreadable photo"}
    assert "it is a broken link" in details["JPEGImages/t1.jpg"][1]
    assert "Is a directory" in details["JPEGImages/t2.jpg"][1]


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (
            [(0, 0, 0), (9, 0, 0), (0, 9, 0)],
            [(0, 0, 0), (0, 9, 0), (9, 0, 0)],
            "shows id 1 as #000900, and t0 as #090000",
        ),
        ([(0, 0, 0), (9, 0, 0), (0, 9, 0)], [(0, 0, 0), (9, 0, 0), (0, 9, 0)], ""),
        ([(0, 0, 0), (0, 128, 0), (128, 0, 0)], None, "shows id 1 in the colour of class 2"),
        ([(2, 2, 2), (0, 0, 0), (1, 1, 1)], None, "holds greys out of order"),
        ([(0, 0, 0), (255, 255, 255), (0, 0, 0)], None, ""),
    ],
)
def test_a_palette_that_contradicts_the_ids_is_told(
    tmp_path: Path, first: list[tuple[int, ...]], second: list[tuple[int, ...]] | None, expected: str
) -> None:
    """Programs that choose a palette for each mask, or sort it, number the classes anew: nothing was said."""
    (tmp_path / "classes.txt").write_text("background\nleaf\nstem\n")
    for number, palette in enumerate([first, second or first]):
        for folder in ("images", "masks"):
            (tmp_path / folder).mkdir(exist_ok=True)
        photo_of(number).save(tmp_path / "images" / f"t{number}.png")
        mask = Image.fromarray(np.arange(SIZE[0] * SIZE[1], dtype=np.uint8).reshape(SIZE[::-1]) % 3)
        mask.putpalette([channel for color in palette for channel in color])
        mask.save(tmp_path / "masks" / f"t{number}.png")
    details = [found.detail for found in examine(tmp_path).findings if found.kind == "other palette"]
    assert (expected in details[0]) if expected else not details
