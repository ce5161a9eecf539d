"""Files from a browser: kept by content, few of them, and nothing of their names but a known ending."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import DataError
from core.uploads import MAX_FILES, bring

SUFFIXES = (".zip", ".tar.gz", ".gz")


def test_the_same_content_is_kept_once_and_the_oldest_goes(tmp_path: Path) -> None:
    first = bring(tmp_path, "mine.pth", b"0", SUFFIXES)
    assert bring(tmp_path, "other name.pth", b"0", SUFFIXES) == first
    os.utime(first, (0, 0))
    for number in range(1, MAX_FILES + 2):
        path = bring(tmp_path, "mine.pth", str(number).encode(), SUFFIXES)
        os.utime(path, (number, number))
    assert not first.exists()
    assert len(list(tmp_path.iterdir())) == MAX_FILES
    assert path.read_bytes() == str(MAX_FILES + 1).encode()


@given(st.text(max_size=60))
def test_no_name_leads_out_of_the_folder(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    folder = tmp_path_factory.getbasetemp() / "brought"
    path = bring(folder, name, b"weights", SUFFIXES)
    assert path.parent == folder
    assert path.name.endswith(SUFFIXES)


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DataError, match="make room and try again"):
        bring(tmp_path / "file" / "folder", "mine.pt", b"weights", SUFFIXES)
