"""VOC on a disk that is full, cannot be written, or holds what a killed process left."""

import tarfile
from pathlib import Path
from typing import IO, Any

import pytest

from core.data.voc2012 import unpack_voc, voc_dir
from tests.unit.download.mirrors import NAME, Fetch, Mirror, left_in, refused

FULL_DISK = Path("/dev/full")
needs_full_disk = pytest.mark.skipif(not FULL_DISK.exists(), reason="this system has no /dev/full")


def test_too_little_room_is_said_before_anything_is_written(
    fetch: Fetch, mirror: Mirror, root: Path, packed: bytes, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    usage = type("Usage", (), {"free": 12_000})
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    sentence = refused(lambda: fetch(mirror))
    assert f"needs 2 MB in {root}, where 1 MB are free" in sentence
    (tmp_path / "own.tar").write_bytes(packed)
    assert "make room" in refused(lambda: unpack_voc(tmp_path / "own.tar"))
    assert left_in(root) == set()


@needs_full_disk
def test_a_disk_that_fills_up_while_downloading(fetch: Fetch, mirror: Mirror, part: Path, root: Path) -> None:
    part.symlink_to(FULL_DISK)
    sentence = refused(lambda: fetch(mirror))
    assert f"The disk is full: VOC 2012 needs 2 MB more in {root}" in sentence
    assert "goes on where it stopped" in sentence
    assert left_in(root) == {part.name}
    part.unlink()
    assert fetch(mirror) == voc_dir()


@needs_full_disk
def test_a_disk_that_fills_up_while_unpacking(
    fetch: Fetch, mirror: Mirror, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The third photo is written to /dev/full, which answers as a full disk does."""

    def open_third_elsewhere(path: str, mode: str = "r") -> IO[Any]:
        return (FULL_DISK if Path(path).name == "photo_2.jpg" else Path(path)).open(mode)

    with monkeypatch.context() as patch:
        patch.setattr(tarfile, "bltn_open", open_third_elsewhere)
        sentence = refused(lambda: fetch(mirror))
    assert (
        f"The disk is full: VOC 2012 needs 1 MB more in {root}; make room and start again, {root / NAME} stays"
        in sentence
    )
    assert left_in(root) == {NAME}, "the tar is whole: it need not be fetched again"
    num_requests = len(mirror.ranges)
    assert fetch(mirror) == voc_dir()
    assert len(mirror.ranges) == num_requests


def test_a_home_that_cannot_be_written_is_one_sentence(
    fetch: Fetch, mirror: Mirror, tmp_path: Path, root: Path
) -> None:
    (tmp_path / "datasets").write_text("a file where the folder would be")
    assert "cannot be written" in refused(lambda: fetch(mirror))


def test_what_a_killed_process_left_half_unpacked_is_swept_away(fetch: Fetch, mirror: Mirror, root: Path) -> None:
    stale = root / ".VOCdevkit.abc.part"
    (stale / "VOC2012").mkdir(parents=True)
    fetch(mirror)
    assert not stale.exists()
