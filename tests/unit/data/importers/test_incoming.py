"""Imports of the dashboard: uploaded archives, names of new data sets, and what the job leaves."""

import json
from pathlib import Path

import pytest

from core import jobs
from core.data.importers import incoming
from core.errors import DataError
from core.home import datasets_dir


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("Apples.v3i.coco.zip", "Apples.v3i.coco"), ("my export.TAR.GZ", "my-export"), ("plants", "plants"),
        ("../../x.zip", "x"), ("...zip", "imported"), ("树.zip", "树"), ("demo.zip", "demo-2"),
        ("a" * 90 + ".zip", "a" * 50),
    ],
)  # fmt: skip
def test_a_name_is_proposed_that_a_folder_can_have(home: Path, file: str, name: str) -> None:
    assert incoming.proposed_name(file) == name
    assert incoming.place_of(name) == datasets_dir() / name


def test_names_that_are_taken_are_not_proposed_and_refused(home: Path) -> None:
    (datasets_dir() / "plants").mkdir(parents=True)
    assert incoming.proposed_name("plants.zip") == "plants-2"
    incoming.job_dir("plants-2").mkdir(parents=True)
    with jobs.hold(incoming.job_dir("plants-2")):
        assert incoming.proposed_name("plants.zip") == "plants-3"
        for name in ("plants", "plants-2", "Demo"):
            with pytest.raises(DataError, match="choose another name"):
                incoming.place_of(name)


@pytest.mark.parametrize("name", ["", "..", ".x", "a/b", "a\\b", "a\0", "x" * 61, "a ", "a."])
def test_names_that_lead_elsewhere_are_refused(home: Path, name: str) -> None:
    with pytest.raises(DataError, match="cannot name a data set"):
        incoming.place_of(name)


def test_an_uploaded_archive_is_deleted_and_nothing_else(home: Path, tmp_path: Path) -> None:
    stored = incoming.store_upload("../Apples.TAR.GZ", b"x")
    assert stored.parent == home / "cache" / "uploads"
    assert stored.name.endswith(".tar.gz")
    (tmp_path / "own.zip").write_bytes(b"x")
    incoming.forget_upload(stored)
    incoming.forget_upload(stored)
    incoming.forget_upload(tmp_path / "own.zip")
    assert (stored.exists(), (tmp_path / "own.zip").exists()) == (False, True)


def test_notes_are_those_of_the_folder_that_was_imported(home: Path) -> None:
    root = datasets_dir() / "plants"
    assert incoming.notes_of(root) == ()
    incoming.job_dir("plants").mkdir(parents=True)
    document = {"data": str(root), "notes": ["One photo was left out."]}
    (incoming.job_dir("plants") / incoming.DOCUMENT).write_text(json.dumps(document))
    assert incoming.notes_of(root) == ("One photo was left out.",)
    assert incoming.notes_of(home / "elsewhere" / "plants") == ()
