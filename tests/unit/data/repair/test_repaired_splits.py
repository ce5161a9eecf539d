"""What the repair does to splits: copies across them, lists that are empty or wrong."""

import shutil
from pathlib import Path

import pytest

from core.classes import VOC_CLASSES, write_classes
from core.data.dataset import LISTS, open_dataset
from core.data.images import write_mask
from core.data.repair.repaired_copy import repair
from tests.faulty_data import BIRD, Patient, cat_mask, examine, photo_of, show_a_bird
from tests.small_data import write_list, write_pairs
from tests.unit.data.repair.repaired import check_copy, mask_in, names_in


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


def without_lists(patient: Patient) -> None:
    """Take the lists away, and show a bird in two photos that the random split has in train."""
    shutil.rmtree(patient.root / "ImageSets")
    for sample in open_dataset(patient.root).splits["train"][:2]:
        show_a_bird(patient, sample.mask)


def birds_in(out: Path) -> dict[str, int]:
    """Count the photos with a bird in train and val of a copy."""
    return {split: sum(BIRD in mask_in(out, sample.name) for sample in open_dataset(out).split(split))
            for split in ("train", "val")}  # fmt: skip


def test_a_split_that_nobody_chose_is_stratified(patient: Patient, tmp_path: Path) -> None:
    """The random split was frozen into lists: a class of two photos was in train only, so that nothing scored it."""
    without_lists(patient)
    report = repair(patient.root, tmp_path / "out")
    check_copy(tmp_path / "out", report)
    assert birds_in(tmp_path / "out") == {"train": 1, "val": 1}
    assert [change.action for change in report.changes] == ["split anew"]
    again = repair(patient.root, tmp_path / "again")
    assert (again.changes, names_in(tmp_path / "again")) == (report.changes, names_in(tmp_path / "out"))


def test_lists_that_somebody_chose_are_kept_unless_a_split_is_asked_for(patient: Patient, tmp_path: Path) -> None:
    for name in patient.train[:2]:
        show_a_bird(patient, patient.mask(name))
    before = {file.name: file.read_bytes() for file in (patient.root / LISTS).iterdir()}
    assert repair(patient.root, tmp_path / "out").changes == ()
    assert {file.name: file.read_bytes() for file in (tmp_path / "out" / LISTS).iterdir()} == before
    assert examine(tmp_path / "out").counts == {"class missing in val": 1}
    report = repair(patient.root, tmp_path / "anew", split_anew=True)
    check_copy(tmp_path / "anew", report)
    assert birds_in(tmp_path / "anew") == {"train": 1, "val": 1}
    assert [change.action for change in report.changes] == ["split anew"]


def test_a_folder_with_one_list_called_otherwise_is_split(patient: Patient, tmp_path: Path) -> None:
    """CVAT lists all photos in default.txt, and the repair said "Only 0 of the 8 pairs can be used"."""
    without_lists(patient)
    write_list(patient.root, "default", [*patient.train, *patient.val])
    check_copy(tmp_path / "out", repair(patient.root, tmp_path / "out"))
    assert birds_in(tmp_path / "out") == {"train": 1, "val": 1}
    names = names_in(tmp_path / "out")
    assert names["default"] == names["train"] | names["val"] == {*patient.train, *patient.val}


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
    write_classes(tmp_path / "in", VOC_CLASSES)
    check_copy(tmp_path / "out", repair(tmp_path / "in", tmp_path / "out"))
    found = {file.stem for file in (tmp_path / "out" / "JPEGImages").iterdir()}
    assert found == {"a_b", "a_b_2", "e", "e_2", "photo_1", "photo_2", "x1", "x2", "x3"}


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
