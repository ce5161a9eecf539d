"""Files and folders that several write, read and delete at once; names in the order of their numbers."""

import errno
import json
import os
import random
import shutil
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from core.errors import DataError
from core.files import (
    by_number,
    delete_folder,
    entries,
    new_folder,
    read_folder,
    regular,
    replacing,
    replacing_folder,
    take_name,
    write_all_new,
    write_json,
    write_new,
)


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("has_links", [True, False])
def test_of_two_who_write_a_file_once_the_first_one_s_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_links: bool
) -> None:
    """Two who began at once each wrote the file, and what the first had based on its own counted for nothing."""
    if not has_links:

        def refuse(*_: object) -> None:
            raise OSError(errno.EPERM, "no links on this disk")

        monkeypatch.setattr(os, "link", refuse)
    first, second, file = (tmp_path / name for name in ("first", "second", "once"))
    for draft in (first, second):
        draft.write_text(draft.name)
    assert take_name(first, file)
    assert not take_name(second, file)
    assert file.read_text() == "first"
    assert names_in(tmp_path) == ["once", "second"]


def test_a_named_file_that_appears_meanwhile_is_not_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both had looked before they wrote; the later one took the earlier one's place."""
    file, given = tmp_path / "report.html", tmp_path / "given"

    def be_late(_path: Path) -> None:
        monkeypatch.undo()
        file.write_bytes(b"somebody else's")

    monkeypatch.setattr("core.files.refuse_existing", be_late)
    with pytest.raises(DataError, match="exists already"):
        write_new(file, b"mine")
    given.touch()
    assert not take_name(given, file)
    assert file.read_bytes() == b"somebody else's"


@pytest.mark.parametrize("fails", ["fsync", "link"])
def test_several_named_files_are_all_written_or_none(
    fails: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that was full at the third of four pictures left two of them."""
    contents = {tmp_path / name: name.encode() for name in ("a.png", "b.png", "c.png")}
    real, calls = getattr(os, fails), list[object]()

    def full(*arguments: object) -> None:
        calls.append(arguments)
        if len(calls) == 3:
            raise DataError("the disk is full") if fails == "link" else OSError(errno.ENOSPC, "No space left on device")
        real(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(os, fails, full)
        with pytest.raises(DataError):
            write_all_new(contents)
    assert names_in(tmp_path) == []
    write_all_new(contents)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == contents


def test_a_folder_that_appears_meanwhile_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "data"

    def be_late() -> None:
        with new_folder(path) as draft:
            (draft / "mine").touch()
            with new_folder(path) as faster:
                (faster / "theirs").touch()

    with pytest.raises(FileExistsError):
        be_late()
    assert names_in(path) == ["theirs"]
    assert names_in(path.parent) == ["data"]


def test_of_two_who_replace_a_folder_the_last_one_s_stays(tmp_path: Path) -> None:
    """The second found the folder filled by the first: "Directory not empty", or removed: "No such file"."""
    path = tmp_path / "kept"
    for name in ("old", "newer"):
        with replacing_folder(path) as draft:
            (draft / name).touch()
            assert name == "old" or names_in(path) == ["old"], "until it is whole"
    with replacing_folder(path) as last:
        (last / "last").touch()
        with replacing_folder(path) as faster:
            (faster / "faster").touch()
    assert names_in(path) == ["last"]
    assert names_in(tmp_path) == ["kept"]


def test_a_folder_is_read_while_another_takes_its_place(tmp_path: Path) -> None:
    """Between two renames there is nothing under its name; a reader said that it was never evaluated."""
    (tmp_path / "kept.replaced-1").mkdir()
    (tmp_path / "kept.replaced-1" / "text").write_text("old")
    assert read_folder(tmp_path / "kept", lambda place: (place / "text").read_text()) == "old"
    with pytest.raises(FileNotFoundError):
        read_folder(tmp_path / "none", lambda place: (place / "text").read_text())


def test_a_folder_that_is_deleted_while_it_is_listed_holds_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run was deleted between the look whether its folder was there and its listing: Home ended in a traceback."""
    (tmp_path / "run" / "eval").mkdir(parents=True)
    scandir = os.scandir

    def be_overtaken(path: Path) -> Any:
        monkeypatch.undo()
        (tmp_path / "run").rename(tmp_path / ".deleting-run")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", be_overtaken)
    assert not entries(tmp_path / "run", "*")
    assert names_in(tmp_path) == [".deleting-run"]
    assert not entries(tmp_path / "run", "*")


def test_nothing_is_made_below_a_folder_that_is_gone(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), replacing_folder(tmp_path / "deleted" / "eval" / "val"):
        pytest.fail("the run's folder was made anew")
    assert not names_in(tmp_path)


def test_a_folder_that_goes_while_another_is_put_into_it_is_not_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run was deleted while its evaluation was stored: `mkdir` met a folder that was then none, "File exists"."""
    (tmp_path / "eval").mkdir()
    is_folder = Path.is_dir

    def be_overtaken(path: Path) -> bool:
        monkeypatch.undo()
        (tmp_path / "eval").rmdir()
        return is_folder(path)

    monkeypatch.setattr(Path, "is_dir", be_overtaken)
    with pytest.raises(FileNotFoundError), replacing_folder(tmp_path / "eval" / "val"):
        pytest.fail("the run's folder was made anew")
    assert not names_in(tmp_path)


def test_what_somebody_else_deletes_meanwhile_is_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list in another tab sweeps what is being deleted: in 12 of 12 attempts the one who deleted met an error."""
    (tmp_path / "run" / "eval").mkdir(parents=True)
    remove = shutil.rmtree

    def be_overtaken(path: Path, **options: Any) -> None:
        monkeypatch.undo()
        remove(path / "eval")
        raise FileNotFoundError(errno.ENOENT, "No such file or directory", str(path / "eval"))

    monkeypatch.setattr(shutil, "rmtree", be_overtaken)
    delete_folder(tmp_path / "run")
    delete_folder(tmp_path / "run")
    assert not names_in(tmp_path)


def test_names_are_sorted_by_their_numbers() -> None:
    """As text, 1000 comes before 200, and fold_10 before fold_2."""
    names = [
        "",
        "7",
        "07",
        "007_b",
        "10",
        "a",
        "a1",
        "a1_2",
        "a1_10",
        "a2",
        "a999",
        "a1000",
        "b",
        "b²",
        "fold_2",
        "fold_10",
    ]
    assert sorted(random.Random(0).sample(names, len(names)), key=by_number) == [
        "", "07", "7", "007_b", "10", "a", "a1", "a1_2", "a1_10", "a2", "a999", "a1000", "b", "b²", "fold_2", "fold_10",
    ]  # fmt: skip


def test_a_number_of_any_length_is_sorted() -> None:
    """Python turns no text of more than 4,300 digits into a number."""
    assert sorted(["x" + "9" * 5000, "x" + "1" * 5001, "x3"], key=by_number) == [
        "x3",
        "x" + "9" * 5000,
        "x" + "1" * 5001,
    ]


# --- rights and what is read ------------------------------------------------------------------------------------------

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="rights and pipes of POSIX")


@pytest.fixture(params=[0o022, 0o027, 0o077, 0o002], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


@POSIX
def test_what_is_written_beside_gets_the_rights_that_the_umask_leaves(tmp_path: Path, umask: int) -> None:
    """Every file was 0644 and every folder 0755, whatever the person had asked of the system."""
    write_json(tmp_path / "document.json", {})
    with new_folder(tmp_path / "folder") as folder:
        (folder / "file").touch()
    for name, usual in (("document.json", 0o666), ("folder", 0o777), ("folder/file", 0o666)):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == usual & ~umask


def test_when_the_block_raises_the_file_before_stays_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"old")
    with pytest.raises(TypeError), replacing(tmp_path / "file") as file:
        file.write("no bytes")  # type: ignore[arg-type]
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_bytes() == b"old"


def test_a_name_that_is_no_utf_8_comes_back_from_json(tmp_path: Path) -> None:
    """Data in a folder with such a name ended *train --new* with a traceback."""
    document = {"data": "/photos/\udcff \u00e9", "note": "\\udcff"}
    write_json(tmp_path / "config.json", document)
    assert json.loads((tmp_path / "config.json").read_text(encoding="utf-8")) == document


@POSIX
def test_what_has_no_end_is_not_read(tmp_path: Path) -> None:
    """A pipe was waited for, and /dev/zero filled the memory."""
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero"), Path("/dev/null")):
        with pytest.raises(OSError, match="a device, a pipe or a socket"):
            regular(path)
    for path in (tmp_path, Path(__file__)):
        assert regular(path) == path
    with pytest.raises(FileNotFoundError):
        regular(tmp_path / "none")
