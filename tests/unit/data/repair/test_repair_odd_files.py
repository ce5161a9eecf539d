"""What the repair makes of files that cannot be read, and of names and lists that hardly can."""

import os
from pathlib import Path

import pytest
from PIL import Image

from core.data.repair.repaired_copy import repair
from tests.faulty_data import Patient, cat_mask, photo_of
from tests.unit.data.repair.repaired import check_copy, names_in


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
