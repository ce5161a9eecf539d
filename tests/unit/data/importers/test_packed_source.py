"""Archives: read as the folder that they hold; whatever is wrong with one is a sentence, and nothing is written."""

import io
import os
import shutil
import struct
import subprocess
import sys
import tarfile
import tracemalloc
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.data.importers import import_data
from core.data.importers.archive import MAX_SMALL_BYTES
from core.home import PROJECT_ROOT


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
    assert "leads out of it" in refused("auto", tarred(tmp_path / "in.tar", member(name)))


def tarred(file: Path, *infos: tarfile.TarInfo) -> Path:
    """Write a tar of files that hold zeros, as many as their headers say."""
    with tarfile.open(file, "w") as archive:
        for info in infos:
            archive.addfile(info, io.BytesIO(bytes(info.size)))
    return file


def member(name: str, size: int = 1, kind: bytes = tarfile.REGTYPE) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.type, info.linkname = size, kind, "/etc/passwd"
    return info


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, b"Z"]
)
def test_links_and_devices_are_refused(tmp_path: Path, refused: Callable[..., str], kind: bytes) -> None:
    assert "holds a link or a device" in refused("auto", tarred(tmp_path / "in.tar", member("link", 0, kind)))
    link = zipfile.ZipInfo("link")
    link.external_attr = 0o120777 << 16
    assert "holds a link or a device" in refused("auto", zipped(tmp_path / "in.zip", (link, b"/etc/passwd")))


def with_size(data: bytes, size: bytes) -> bytes:
    """Return a tar whose first header states another size, with a sum that fits."""
    header = bytearray(data[:512])
    header[124:136] = size
    header[148:156] = b" " * 8
    header[148:156] = f"{sum(header):06o}".encode() + b"\0 "
    return bytes(header) + data[512:]


def test_a_broken_tar_is_one_sentence_and_never_half_read(tmp_path: Path, refused: Callable[..., str]) -> None:
    """A tar cut between two files, or with a damaged header, was read as if it ended there."""
    file = tarred(tmp_path / "in.tar", member("a.txt", 1000), member("b.txt", 1000), member("c.txt", 1000))
    sound = file.read_bytes()
    damaged = bytearray(sound)
    damaged[3 * 512 + 5] ^= 1
    negative = [with_size(each, b"\xff" * 10 + b"\xfe\0") for each in (sound, with_kind(sound, tarfile.XHDTYPE))]
    for wrong in (b"", b"x", sound[:700], sound[: 3 * 512], sound[: 4 * 512], bytes(damaged), *negative):
        file.write_bytes(wrong)
        assert "cannot be unpacked" in refused("auto", file)
    for suffix in (".tar.gz", ".tgz", ".tar.xz", ".tar.bz2"):
        (tmp_path / f"in{suffix}").write_bytes(b"no archive")
        assert "cannot be unpacked" in refused("auto", tmp_path / f"in{suffix}")
    noise = np.random.default_rng(0).integers(0, 8, 400_000, dtype=np.uint8).tobytes()  # packed, not stored as it is
    with tarfile.open(tmp_path / "in.tar.xz", "w:xz") as archive:
        archive.addfile(member("a.bin", len(noise)), io.BytesIO(noise))
    packed = bytearray((tmp_path / "in.tar.xz").read_bytes())
    packed[100_000:100_100] = bytes(100)
    (tmp_path / "in.tar.xz").write_bytes(packed)
    assert "cannot be unpacked" in refused("auto", tmp_path / "in.tar.xz")
    file.write_bytes(with_size(sound, b"\x80" + b"\0" * 3 + b"\x7f" * 8))
    assert "far more than photos do" in refused("auto", file)


def with_kind(data: bytes, kind: bytes) -> bytes:
    return data[:156] + kind + data[157:]


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
    with zipfile.ZipFile(file, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("a.txt", bytes(range(256)) * 9)
    damaged = bytearray(file.read_bytes())
    damaged[60:120] = bytes(60)
    file.write_bytes(damaged)
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


def test_a_million_files_are_refused_before_they_are_listed(tmp_path: Path, refused: Callable[..., str]) -> None:
    """The directory of a million empty files took Python half a minute and a gigabyte."""
    sound = zipped(tmp_path / "in.zip", ("a", b"")).read_bytes()
    start, end = sound.index(b"PK\x01\x02"), sound.index(b"PK\x05\x06")
    entries, number = sound[start:end] * 1_000_000, 1_000_000
    record = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, number, number, len(entries), start)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, start + len(entries), 1)
    last = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    (tmp_path / "in.zip").write_bytes(sound[:start] + entries + record + locator + last)
    tracemalloc.start()
    try:
        assert "more than 500,000 files" in refused("auto", tmp_path / "in.zip")
        assert tracemalloc.get_traced_memory()[1] < 4 * len(entries), "of which `refused` reads the file twice"
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("names", [("a.txt", "a.txt"), ("a.txt", "a.txt/b.txt"), ("x/" * 500 + "a.txt",)])
def test_files_in_each_other_s_place_are_refused(
    tmp_path: Path, refused: Callable[..., str], names: tuple[str, ...]
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # zipfile's, of a name that is there twice
        text = refused("auto", zipped(tmp_path / "in.zip", *((name, b"x") for name in names)))
    assert "twice" in text or "cannot be unpacked" in text or "deep" in text
    text = refused("auto", tarred(tmp_path / "in.tar", *map(member, names)))
    assert "twice" in text or "cannot be unpacked" in text or "deep" in text


@pytest.mark.parametrize(
    ("encoding", "name"), [("cp437", "M\u00fcller.jpg"), ("gb2312", "\u7167\u7247.jpg"), ("utf-8", "\u7167\u7247.jpg")]
)
def test_names_in_old_encodings_are_read_and_said(folder: Path, tmp_path: Path, encoding: str, name: str) -> None:
    """Windows in China packs names in GB2312, and other programs those of DOS, and say nothing about it."""
    archive = tmp_path / "in.zip"
    raw = name.encode(encoding)
    plain = "x" * len(raw)
    mask = (folder / "masks" / "b.png").read_bytes()
    photo = (folder / "images" / "b.jpg").read_bytes()
    ending = raw[: -len(".jpg")]
    zipped(archive, (f"images/{plain}", photo), (f"masks/{'x' * len(ending)}.png", mask))
    data = archive.read_bytes().replace(plain.encode(), raw).replace(b"x" * len(ending) + b".png", ending + b".png")
    archive.write_bytes(data)
    imported = import_data("auto", archive, tmp_path / "out")
    assert [photo.name for photo in (imported.root / "JPEGImages").iterdir()] == [name]
    assert any(encoding.upper() in note for note in imported.notes) == (encoding != "utf-8")


def test_names_that_differ_in_case_alone_are_two_files(folder: Path, tmp_path: Path) -> None:
    for part, suffix in (("images", ".jpg"), ("masks", ".png")):
        (folder / part / f"B{suffix}").write_bytes((folder / part / f"b{suffix}").read_bytes())
    archive = Path(shutil.make_archive(str(tmp_path / "packed"), "zip", folder))
    assert import_data("auto", archive, tmp_path / "out").images == 3


def test_aes_parts_and_archives_in_archives_say_what_to_do(
    folder: Path, tmp_path: Path, refused: Callable[..., str]
) -> None:
    file = zipped(tmp_path / "in.zip", ("a.txt", b"x" * 100))
    data = bytearray(file.read_bytes())
    for header, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        start = data.index(header) + at
        data[start : start + 4] = b"\x01\x00\x63\x00"  # encrypted, by AES
    file.write_bytes(data)
    assert "protected by a password" in refused("auto", file)
    packed = Path(shutil.make_archive(str(tmp_path / "packed"), "zip", folder))
    assert "unpack it first" in refused("auto", zipped(file, ("inner.zip", packed.read_bytes()), ("README.txt", b"")))
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "in.zip.001").write_bytes(packed.read_bytes()[:1000])
    assert "join the parts" in refused("auto", tmp_path / "parts" / "in.zip.001")


@pytest.mark.skipif(sys.platform == "win32", reason="has no such limits")
@pytest.mark.parametrize("what", ["packed.zip", "export"])
def test_a_disk_that_fills_up_leaves_nothing(folder: Path, tmp_path: Path, what: str) -> None:
    """A file that grows too large stands for a full disk: the limit is in the kernel, as that of a disk is."""
    noise = np.random.default_rng(0).integers(0, 256, (200, 300, 3)).astype(np.uint8)
    Image.fromarray(noise).save(folder / "images" / "b.png")
    (folder / "images" / "b.jpg").unlink()
    Image.fromarray(np.ones((200, 300), dtype=np.uint8)).save(folder / "masks" / "b.png")
    shutil.make_archive(str(tmp_path / "packed"), "zip", folder)
    (tmp_path / "temporary").mkdir()
    before = sorted(tmp_path.rglob("*"))
    program = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
from core.__main__ import main
sys.exit(main())
"""
    command = [
        sys.executable,
        "-c",
        program,
        "import",
        "auto",
        str(tmp_path / what),
        "--out",
        str(tmp_path / "new" / "out"),
    ]
    environment = os.environ | {"TMPDIR": str(tmp_path / "temporary")}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=PROJECT_ROOT, check=False)
    assert (done.returncode, done.stderr.strip().count("\n")) == (1, 0), done.stderr
    assert "no room" in done.stderr if what == "packed.zip" else "cannot be written: File too large" in done.stderr
    assert sorted(tmp_path.rglob("*")) == before


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
