"""Pairs that are decoded once: the same pixels as from their files, and never those of a file that has changed."""

import os
import pickle
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from core.data.dataset import open_dataset
from core.data.geometry import FIT
from core.data.images import read_mask, read_photo, write_mask
from core.data.loading import array_cache
from core.data.loading.decoded_pairs import SquarePairs
from core.data.loading.transforms import mask_in_square, photo_in_square
from core.errors import DataError
from tests.small_data import replace_quietly

SIZE = 33


@pytest.fixture
def pairs(tiny_voc: Path) -> SquarePairs:
    return SquarePairs(open_dataset(tiny_voc).split("train"), 21, SIZE)


def again(pairs: SquarePairs) -> SquarePairs:
    return SquarePairs(pairs.samples, 21, SIZE)


def kept_folders(home: Path) -> list[Path]:
    return list((home / "cache" / "pixels").iterdir())


def check(pairs: SquarePairs) -> None:
    """Compare every pair with its files, resized here and now."""
    for index, sample in enumerate(pairs.samples):
        truth_HW = read_mask(sample.mask, 21)
        photo_3SS, mask_SS = pairs[index]
        assert torch.equal(photo_3SS, photo_in_square(read_photo(sample.photo), SIZE, pairs.geometry))
        assert torch.equal(mask_SS, mask_in_square(truth_HW, SIZE, pairs.geometry))
        whole = pairs.with_truth(index)
        assert torch.equal(whole.photo_3SS, photo_3SS)
        assert torch.equal(whole.mask_SS, mask_SS)
        np.testing.assert_array_equal(whole.truth_HW, truth_HW)


def test_kept_pairs_are_what_their_files_hold(pairs: SquarePairs) -> None:
    check(pairs)
    counts_NK = list(pairs.cache())
    for counts_K, sample in zip(counts_NK, pairs.samples, strict=True):
        assert counts_K.tolist() == np.bincount(read_mask(sample.mask, 21).ravel(), minlength=256)[:21].tolist()
    check(pairs)
    opened = again(pairs)
    assert opened.open_cached()
    check(opened)
    np.testing.assert_array_equal(list(opened.cache()), counts_NK)


def test_held_in_memory_they_are_the_same(pairs: SquarePairs, home: Path) -> None:
    pairs.hold()
    check(pairs)
    assert not (home / "cache").exists()


def test_a_second_pass_reads_no_photo(pairs: SquarePairs, monkeypatch: pytest.MonkeyPatch) -> None:
    counts_NK = [counts_K.tolist() for counts_K in pairs.cache()]
    monkeypatch.setattr("core.data.loading.decoded_pairs.read_pair", lambda *_: pytest.fail("read a pair that is kept"))
    assert [counts_K.tolist() for counts_K in again(pairs).cache()] == counts_NK


@pytest.mark.parametrize("what", ["photo", "mask"])
def test_a_file_of_the_same_size_and_time_is_read_again(pairs: SquarePairs, what: str) -> None:
    """A mask that was changed and given its old time back (`cp -p` of a mended copy) was served as it had been."""
    files = [sample.photo if what == "photo" else sample.mask for sample in pairs.samples]
    longest = max(file.stat().st_size for file in files)
    for file in files:
        file.write_bytes(file.read_bytes().ljust(longest, b"\0"))  # which no decoder looks at
    list(pairs.cache())
    replace_quietly(files[0], files[2].read_bytes())
    changed = again(pairs)
    assert not changed.open_cached()
    check(changed)


@pytest.mark.parametrize("what", ["photo", "mask"])
def test_a_file_that_changes_is_read_again(pairs: SquarePairs, what: str) -> None:
    list(pairs.cache())
    sample = pairs.samples[0]
    if what == "photo":
        sample.photo.write_bytes(pairs.samples[2].photo.read_bytes())
    else:
        write_mask(sample.mask, np.full((40, 48), 3, dtype=np.uint8))
    changed = again(pairs)
    assert not changed.open_cached()
    check(changed)
    list(changed.cache())
    check(changed)


def test_what_is_kept_is_of_an_image_size_a_geometry_and_classes(pairs: SquarePairs) -> None:
    list(pairs.cache())
    fitted = SquarePairs(pairs.samples, 21, SIZE, FIT)
    assert not fitted.open_cached()
    list(fitted.cache())
    check(fitted)
    check(pairs)
    assert not torch.equal(fitted[0][1], pairs[0][1])
    assert not SquarePairs(pairs.samples, 21, SIZE + 1).open_cached()
    assert not SquarePairs(pairs.samples, 22, SIZE).open_cached()
    assert not SquarePairs(pairs.samples[:3], 21, SIZE).open_cached()


def test_a_pair_that_cannot_be_used_is_named_and_nothing_is_left(pairs: SquarePairs, home: Path) -> None:
    write_mask(pairs.samples[1].mask, np.full((40, 48), 77, dtype=np.uint8))
    with pytest.raises(DataError, match=r"photo_1\.png holds id 77"):
        list(pairs.cache())
    assert kept_folders(home) == []


def test_a_pass_that_is_broken_off_leaves_nothing(pairs: SquarePairs, home: Path) -> None:
    reading = pairs.cache()
    next(reading)
    reading.close()  # type: ignore[attr-defined]
    assert kept_folders(home) == []
    assert not pairs.open_cached()


def test_a_disk_that_fills_up_in_the_middle_costs_speed_alone(
    pairs: SquarePairs, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = [counts_K.tolist() for counts_K in SquarePairs(pairs.samples, 21, SIZE + 1).cache()]
    write_rows = array_cache.write_rows

    def fill_up(*arguments: object) -> Iterator[None]:
        for number, nothing in enumerate(write_rows(*arguments)):  # type: ignore[arg-type]
            if number == 2:
                raise OSError(28, "No space left on device")
            yield nothing

    monkeypatch.setattr(array_cache, "write_rows", fill_up)
    assert [counts_K.tolist() for counts_K in pairs.cache()] == whole
    assert len(kept_folders(home)) == 1, "that of the other size"
    check(pairs)


def test_a_home_that_may_not_be_written_costs_speed_alone(pairs: SquarePairs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(array_cache, "make_room", lambda *_: False)
    assert len(list(pairs.cache())) == len(pairs)
    assert not pairs.open_cached()
    check(pairs)


@pytest.mark.parametrize("is_held", [True, False])
def test_a_loader_process_opens_them_for_itself(pairs: SquarePairs, is_held: bool) -> None:
    """Pickled with the mapped file in it, every process would get a copy of all photos."""
    if is_held:
        pairs.hold()
    else:
        list(pairs.cache())
    pickled = pickle.dumps(pairs)
    assert is_held or len(pickled) < pairs.nbytes
    sent = pickle.loads(pickled)
    check(sent)


def test_what_was_not_used_for_longest_gives_way(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(array_cache, "MAX_BYTES", 1000)
    folder = home / "cache" / "pixels"
    for age, name in enumerate(("new", "middle", "old")):
        (folder / name).mkdir(parents=True)
        (folder / name / "pixels.npy").write_bytes(b"x" * 300)
        os.utime(folder / name, (1000 - age, 1000 - age))
    assert array_cache.make_room(folder, 100)
    assert sorted(each.name for each in folder.iterdir()) == ["middle", "new", "old"]
    assert array_cache.could_hold(folder, 500)
    assert not array_cache.could_hold(folder / "none yet", 2000)
    assert sorted(each.name for each in folder.iterdir()) == ["middle", "new", "old"], "asking deletes nothing"
    assert array_cache.make_room(folder, 500)
    assert [each.name for each in folder.iterdir()] == ["new"]
    assert not array_cache.make_room(folder, 2000)
    assert [each.name for each in folder.iterdir()] == ["new"], "what cannot fit costs nobody else's room"


def test_what_another_process_removes_meanwhile_takes_no_room(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two that made room at once: the second met "No such file", and kept nothing for the rest of its training."""
    folder = home / "cache" / "pixels"
    for name in ("a", "b"):
        (folder / name).mkdir(parents=True)
    sizes = array_cache._bytes_of

    def be_overtaken(each: Path) -> int:
        if each.exists():
            each.rmdir()
        return sizes(each)

    monkeypatch.setattr(array_cache, "_bytes_of", be_overtaken)
    assert array_cache.make_room(folder, 100)


def test_pairs_that_had_to_make_room_are_read_from_their_files(pairs: SquarePairs) -> None:
    """A loader process that began after another training had made room ended the training."""
    counts = [counts_K.tolist() for counts_K in pairs.cache()]
    pickled = pickle.dumps(pairs)
    (pairs.place() / "counts.npy").unlink()
    assert [counts_K.tolist() for counts_K in pairs.cache()] == counts
    shutil.rmtree(pairs.place())
    assert torch.equal(pickle.loads(pickled)[0][0], pairs[0][0])
