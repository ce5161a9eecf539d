"""Files are read once, found again only while nothing changed, and counted again where the cache is damaged."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from core.data import hashing
from core.data.dataset import fingerprint, open_dataset
from core.errors import DataError
from core.home import PROJECT_ROOT
from tests.reads import counted_reads
from tests.small_data import replace_quietly, with_last_bit_flipped, write_voc

Check = Callable[[object, Path], str]


@pytest.fixture
def files(tiny_voc: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The photos of a folder, which count as settled although they were written just now."""
    monkeypatch.setattr(hashing, "SETTLED_NS", -(10**12))
    return sorted((tiny_voc / "JPEGImages").iterdir())


def forget(monkeypatch: pytest.MonkeyPatch) -> None:
    """Be a process that has just begun."""
    monkeypatch.setattr(hashing, "_memory", {})


def read_again(files: list[Path]) -> tuple[list[str], set[str]]:
    """Return the hashes, and the names of the files among these that were read for them."""
    with counted_reads() as reads:
        found = hashing.hashes(files)
    return found, {file.name for file in files} & reads.keys()


def stored(home: Path) -> list[Path]:
    return sorted((home / "cache" / "content").glob("*.json"))


def test_each_file_is_read_once_in_this_process_and_in_the_next(
    files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, read = read_again(files)
    assert read == {file.name for file in files}
    assert read_again(files) == (first, set())
    forget(monkeypatch)
    assert read_again(files) == (first, set())


def test_only_what_changed_is_read_again(files: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    first = hashing.hashes(files)
    replace_quietly(files[2], with_last_bit_flipped(files[2]))
    second, read = read_again(files)
    assert read == {files[2].name}
    assert [a == b for a, b in zip(first, second, strict=True)] == [True, True, False, True, True, True]
    forget(monkeypatch)
    assert read_again(files) == (second, set())


def test_a_file_that_changed_just_now_is_read_each_time(tiny_voc: Path, home: Path) -> None:
    """Within a tick of the file system's clock a second change leaves the same stamp, as git found with its index."""
    files = sorted((tiny_voc / "JPEGImages").iterdir())
    for _ in range(2):
        assert read_again(files)[1] == {file.name for file in files}
    assert stored(home) == []


@pytest.mark.parametrize("damage", ["empty", "torn", "a digit", "other JSON", "no text"])
def test_a_damaged_cache_is_as_good_as_none(
    files: list[Path], home: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    first = hashing.hashes(files)
    (cache,) = stored(home)
    whole = cache.read_bytes()
    changed = whole.replace(first[0].encode(), first[1].encode())
    cache.write_bytes(
        {"empty": b"", "torn": whole[:-20], "a digit": changed, "other JSON": b"x\n[]", "no text": b"\xff\xfe"}[damage]
    )
    forget(monkeypatch)
    assert read_again(files) == (first, {file.name for file in files})
    assert cache.read_bytes() == whole, "and is whole again"


def test_a_cache_that_cannot_be_written_costs_speed_alone(
    files: list[Path], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "cache").write_text("no folder")
    first = hashing.hashes(files)
    forget(monkeypatch)
    assert read_again(files)[0] == first


def test_what_is_kept_is_bounded_and_names_that_are_gone_are_dropped(
    files: list[Path], tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashing.hashes(files)
    gone = files.pop()
    gone.unlink()
    replace_quietly(files[0], with_last_bit_flipped(files[0]))
    hashing.hashes(files)
    (cache,) = stored(home)
    assert gone.name not in cache.read_text()
    monkeypatch.setattr(hashing, "MAX_FOLDERS", 2)
    for number in range(3):
        root = write_voc(tmp_path / str(number), num_train=1, num_val=1)
        hashing.hashes(list((root / "JPEGImages").iterdir()))
    assert len(stored(home)) == len(hashing._memory) == 2


def test_what_another_process_wrote_meanwhile_is_kept(
    files: list[Path], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashing.hashes(files[:1])
    program = "import sys; from core.data import hashing; hashing.SETTLED_NS = -(10**12)\n"
    program += "from pathlib import Path; hashing.hashes([Path(name) for name in sys.argv[1:]])"
    environment = os.environ | {"ATROUS_HOME": str(home)}
    command = [sys.executable, "-c", program, *map(str, files[1:3])]
    subprocess.run(command, env=environment, cwd=PROJECT_ROOT, check=True)
    hashing.hashes(files[3:4])
    forget(monkeypatch)
    assert read_again(files[:4])[1] == set()


def test_a_file_that_is_gone_is_one_sentence(files: list[Path], one_sentence: Check) -> None:
    hashing.hashes(files)
    files[1].unlink()
    with pytest.raises(DataError) as caught:
        hashing.hashes(files)
    assert "restore it" in one_sentence(caught.value, files[1])


def test_fingerprints_say_whether_they_are_by_content(tiny_voc: Path) -> None:
    assert hashing.is_by_content(fingerprint(open_dataset(tiny_voc).split("val")))
    assert not hashing.is_by_content("f" * 64)
