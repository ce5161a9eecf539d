"""The folders that a person clicks through."""

from pathlib import Path

import pytest

from core.errors import DataError
from ui.sources import MAX_SHOWN, folders_in


def test_folders_stand_by_number_without_hidden_ones_files_and_broken_links(tmp_path: Path) -> None:
    for name in ("set 10", "set 9", ".cache", "b", "two\nlines"):
        (tmp_path / name).mkdir()
    (tmp_path / "photo.jpg").touch()
    (tmp_path / "circle").symlink_to("circle")
    (tmp_path / "gone").symlink_to("nowhere")
    (tmp_path / "elsewhere").symlink_to(tmp_path / "b")
    found, are_all = folders_in(tmp_path)
    assert [each.name for each in found] == ["b", "elsewhere", "set 9", "set 10"]
    assert are_all


def test_a_crowded_folder_is_cut_and_one_that_cannot_be_opened_says_so(tmp_path: Path) -> None:
    for number in range(MAX_SHOWN + 1):
        (tmp_path / f"{number}").mkdir()
    (tmp_path / "photo.jpg").touch()
    found, are_all = folders_in(tmp_path)
    assert (len(found), are_all) == (MAX_SHOWN, False)
    with pytest.raises(DataError, match="cannot be opened: Not a directory"):
        folders_in(tmp_path / "photo.jpg")
    with pytest.raises(DataError, match="cannot be opened: No such file"):
        folders_in(tmp_path / "gone")
