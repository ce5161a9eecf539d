"""Archives: read as the folder that they hold; whatever is wrong with one is a sentence, and nothing is written."""

import io
import shutil
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.data.importers import import_data
from core.data.importers.archive import MAX_SMALL_BYTES


@pytest.fixture
def folder(tmp_path: Path, draw_photo: Callable[..., Path]) -> Path:
    for number, name in enumerate(["ä", "b"]):
        draw_photo(tmp_path / "export" / "images" / f"{name}.jpg", number)
        (tmp_path / "export" / "masks").mkdir(exist_ok=True)
        Image.fromarray(np.ones((8, 12), dtype=np.uint8)).save(tmp_path / "export" / "masks" / f"{name}.png")
    return tmp_path / "export"


@pytest.mark.parametrize("kind", ["zip", "tar", "gztar", "xztar"])
@pytest.mark.parametrize("is_wrapped", [True, False])
def test_an_archive_is_read_as_the_folder_in_it(folder: Path, tmp_path: Path, kind: str, is_wrapped: bool) -> None:
    base = {"base_dir": folder.name, "root_dir": tmp_path} if is_wrapped else {"root_dir": folder}
    archive = Path(shutil.make_archive(str(tmp_path / "packed"), kind, **base))  # type: ignore[arg-type]
    imported = import_data("auto", archive, tmp_path / "out")
    assert imported.pixels == (0, 192)
    assert {photo.stem for photo in (imported.root / "JPEGImages").iterdir()} == {"ä", "b"}


def zipped(file: Path, *members: tuple[str | zipfile.ZipInfo, bytes]) -> Path:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return file


@pytest.mark.parametrize("name", ["../a.txt", "/a.txt", "x/../../a.txt", "C:/a.txt", "..\\a.txt"])
def test_a_name_that_leads_out_is_refused(tmp_path: Path, refused: Callable[..., str], name: str) -> None:
    assert "leads out of it" in refused("auto", zipped(tmp_path / "in.zip", (name, b"x")))
    with tarfile.open(tmp_path / "in.tar", "w") as archive:
        info = tarfile.TarInfo(name)
        info.size = 1
        archive.addfile(info, io.BytesIO(b"x"))
    assert "leads out of it" in refused("auto", tmp_path / "in.tar")


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_links_and_devices_are_refused(tmp_path: Path, refused: Callable[..., str], kind: bytes) -> None:
    with tarfile.open(tmp_path / "in.tar", "w") as archive:
        info = tarfile.TarInfo("link")
        info.type, info.linkname = kind, "/etc/passwd"
        archive.addfile(info)
    assert "holds a link or a device" in refused("auto", tmp_path / "in.tar")
    link = zipfile.ZipInfo("link")
    link.external_attr = 0o120777 << 16
    assert "holds a link or a device" in refused("auto", zipped(tmp_path / "in.zip", (link, b"/etc/passwd")))


def test_a_password_a_bomb_and_a_broken_archive_are_one_sentence(tmp_path: Path, refused: Callable[..., str]) -> None:
    file = zipped(tmp_path / "in.zip", ("a.txt", b"x" * 100))
    data = bytearray(file.read_bytes())
    sound = bytes(data)
    for header, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):  # where the flags are, in both headers
        data[data.index(header) + at] |= 1
    file.write_bytes(data)
    assert "protected by a password" in refused("auto", file)
    bomb = bytearray(sound)
    at = bomb.index(b"PK\x01\x02") + 24  # the size that the directory states
    bomb[at : at + 4] = (2 * MAX_SMALL_BYTES).to_bytes(4, "little")
    file.write_bytes(bomb)
    assert "would unpack to 2.0 GB" in refused("auto", file)
    for wrong in (b"", b"no zip", sound[:-10], sound[:60]):
        file.write_bytes(wrong)
        assert "cannot be unpacked" in refused("auto", file)
    wrong_sum = bytearray(sound)
    wrong_sum[wrong_sum.index(b"PK\x01\x02") + 16] ^= 1
    file.write_bytes(wrong_sum)
    assert "cannot be unpacked" in refused("auto", file)


def test_too_many_files_are_refused(
    tmp_path: Path, refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.data.importers.archive.MAX_FILES", 2)
    members = [(f"{number}.txt", b"") for number in range(3)]
    assert "more than 2 files" in refused("auto", zipped(tmp_path / "in.zip", *members))


def test_no_room_is_a_sentence(tmp_path: Path, refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    file = zipped(tmp_path / "in.zip", ("a.txt", b"x" * 100))
    full = shutil.disk_usage(tmp_path)._replace(free=1)
    monkeypatch.setattr("core.data.importers.archive.shutil.disk_usage", lambda _folder: full)
    assert "There is no room" in refused("auto", file)


def test_the_archive_is_named_not_the_folder_it_was_unpacked_to(
    folder: Path, tmp_path: Path, refused: Callable[..., str]
) -> None:
    (folder / "masks" / "b.png").write_bytes(b"")
    archive = Path(shutil.make_archive(str(tmp_path / "packed"), "zip", folder))
    assert f"{archive}/masks/b.png cannot be read" in refused("id-masks", archive)
