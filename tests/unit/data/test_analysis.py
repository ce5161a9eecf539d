"""One pass over a data set: what it tells, and when it is stored, found again and counted anew."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from core import jobs
from core.data import analysis, checks, doctor
from core.data.analysis import _seal, analyse, files_key, find, job_dir
from core.data.dataset import Sample, open_dataset
from core.data.images import write_mask
from core.data.stats import SplitStats, split_stats
from core.errors import DataError
from core.home import PROJECT_ROOT
from core.voc import CLASS_NAMES
from tests.small_data import CAT, DOG, write_list, write_pairs, write_voc


@pytest.fixture
def no_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail whoever reads a photo or mask."""

    def refuse(path: Path, what: str) -> Image.Image:
        pytest.fail(f"the {what} {path} is read")

    monkeypatch.setattr(checks, "load_picture", refuse)


def stored_in(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir()) if folder.exists() else []


def assert_equal(stats: SplitStats, expected: SplitStats) -> None:
    assert stats == expected
    np.testing.assert_array_equal(stats.co_occurrence_KK, expected.co_occurrence_KK)
    np.testing.assert_array_equal(stats.heat_KGG, expected.heat_KGG)


# --- what it tells --------------------------------------------------------------------------------------------------


def test_one_pass_tells_what_statistics_and_doctor_tell(tiny_voc: Path) -> None:
    write_list(tiny_voc, "trainval", ["photo_4", "photo_0"])
    told: list[tuple[int, int]] = []
    found = analyse(tiny_voc, lambda done, total: told.append((done, total)))
    dataset = open_dataset(tiny_voc)
    for split, samples in dataset.splits.items():
        assert_equal(found.stats(split), split_stats(samples, CLASS_NAMES))
    assert found.stats().images == 6
    assert found.report == doctor.examine(tiny_voc)
    assert found.classes == dataset.classes
    assert found.splits == {name: tuple(each.name for each in samples) for name, samples in dataset.splits.items()}
    assert told == [(done, 6) for done in range(1, 7)]
    assert found.facts["photo_1"].objects == {DOG: 1}
    assert found.class_ids["photo_1"] == {0, DOG}
    with pytest.raises(DataError, match="no split 'test'"):
        found.stats("test")


def test_folders_without_lists_are_split_as_open_dataset_does(tmp_path: Path) -> None:
    root = tmp_path / "plain"
    write_pairs(root / "images", root / "masks", [f"p{number}" for number in range(10)])
    found = analyse(root)
    for split, samples in open_dataset(root).splits.items():
        assert_equal(found.stats(split), split_stats(samples, CLASS_NAMES))


def test_broken_pairs_are_left_out_and_named(tiny_voc: Path) -> None:
    (tiny_voc / "JPEGImages" / "photo_1.jpg").write_bytes(b"no photo")
    (tiny_voc / "SegmentationClass" / "photo_5.png").unlink()
    write_mask(tiny_voc / "SegmentationClass" / "photo_2.png", np.full((40, 48), 99, dtype=np.uint8))
    found = analyse(tiny_voc)
    train = found.stats("train")
    assert (train.names, train.left_out) == (("photo_0", "photo_3"), ("photo_1", "photo_2"))
    assert found.stats("val").left_out == ("photo_5",)
    assert {"unreadable photo", "missing mask", "stray ids"} <= set(found.report.counts)
    again = find(tiny_voc)
    assert again == found
    assert again is not None
    assert again.stats("train") == train


def test_a_photo_that_is_listed_twice_counts_twice_in_its_split_alone(tiny_voc: Path) -> None:
    write_list(tiny_voc, "train", ["photo_0", "photo_0", "photo_1"])
    found = analyse(tiny_voc)
    assert found.stats("train").classes[CAT].images == 2
    assert found.stats().images == 4


@pytest.mark.parametrize("damage", ["no folder", "no masks", "not there"])
def test_what_is_no_data_set_is_told(tmp_path: Path, damage: str) -> None:
    root = tmp_path / "data"
    if damage != "not there":
        (root / "images").mkdir(parents=True)
    if damage == "no masks":
        (root / "masks").mkdir()
    with pytest.raises(DataError, match=str(root)):
        analyse(root)


@pytest.mark.slow
def test_real_counts_agree_with_looking_at_every_mask(voc_animals: Path, home: Path) -> None:
    found = analyse(voc_animals)
    for split in ("train", "trainaug"):
        samples = open_dataset(voc_animals).split(split)
        pixels, images = counted_by_hand(samples)
        stats = found.stats(split)
        assert stats.images == len(samples)
        assert [entry.pixels for entry in stats.classes] == pixels[:21].tolist()
        assert [entry.images for entry in stats.classes] == images[:21].tolist()
        assert stats.co_occurrence_KK.diagonal().tolist() == images[:21].tolist()
        assert stats.pixels == pixels.sum()
    assert not (open_dataset(voc_animals).root / ".atrous").exists(), "it is marked read-only"
    assert stored_in(job_dir(voc_animals)) == ["analysis.json", "heat.npz"]
    assert job_dir(voc_animals).is_relative_to(home)
    assert find(voc_animals) == found


def counted_by_hand(samples: tuple[Sample, ...]) -> tuple[Any, Any]:
    """Return pixels and photos by id."""
    pixels_256, images_256 = np.zeros(256, dtype=np.int64), np.zeros(256, dtype=np.int64)
    for sample in samples:
        with Image.open(sample.mask) as mask:
            ids, counts = np.unique(np.array(mask), return_counts=True)
        pixels_256[ids] += counts
        images_256[ids] += 1
    return pixels_256, images_256


# --- stored, and found again ----------------------------------------------------------------------------------------


@pytest.mark.usefixtures("no_reading")
def test_nothing_is_stored_before_the_first_time(tiny_voc: Path) -> None:
    assert find(tiny_voc) is None
    assert not (tiny_voc / ".atrous").exists()


def test_the_second_time_reads_no_photo(tiny_voc: Path, request: pytest.FixtureRequest) -> None:
    first = analyse(tiny_voc)
    assert stored_in(tiny_voc / ".atrous") == ["analysis.json", "heat.npz"]
    request.getfixturevalue("no_reading")
    (tiny_voc / "README.txt").write_text("not part of the data")
    (tiny_voc / "JPEGImages" / "Thumbs.db").write_text("neither is this")
    for again in (analyse(tiny_voc), find(tiny_voc), find(tiny_voc.parent)):
        assert again == first
        assert again is not None
        assert_equal(again.stats("train"), first.stats("train"))


def change_a_mask(root: Path) -> None:
    write_mask(root / "SegmentationClass" / "photo_0.png", np.full((40, 48), DOG, dtype=np.uint8))


def touch_a_photo(root: Path) -> None:
    os.utime(root / "JPEGImages" / "photo_0.jpg", ns=(1, 1))


def add_a_pair(root: Path) -> None:
    write_pairs(root / "JPEGImages", root / "SegmentationClass", ["added"])


def rename_a_photo(root: Path) -> None:
    (root / "JPEGImages" / "photo_0.jpg").rename(root / "JPEGImages" / "photo_9.jpg")


def change_a_list(root: Path) -> None:
    write_list(root, "val", ["photo_4"])


def add_a_list(root: Path) -> None:
    write_list(root, "test", ["photo_4"])


def name_the_classes(root: Path) -> None:
    (root / "classes.txt").write_text("".join(f"class {number}\n" for number in range(30)))


def add_augmented_masks(root: Path) -> None:
    write_pairs(root / "unused", root / "SegmentationClassAug", ["photo_5"])


@pytest.mark.parametrize(
    "change",
    [change_a_mask, touch_a_photo, add_a_pair, rename_a_photo, change_a_list, add_a_list, name_the_classes,
     add_augmented_masks],
)  # fmt: skip
def test_a_change_counts_anew(tiny_voc: Path, change: Callable[[Path], None]) -> None:
    analyse(tiny_voc)
    key = files_key(tiny_voc)
    change(tiny_voc)
    assert files_key(tiny_voc) != key
    assert find(tiny_voc) is None
    anew = analyse(tiny_voc)
    assert anew.report == doctor.examine(tiny_voc)
    assert find(tiny_voc) == anew


def test_a_changed_mask_is_seen_in_the_numbers(tiny_voc: Path) -> None:
    assert analyse(tiny_voc).stats("train").classes[DOG].images == 2
    change_a_mask(tiny_voc)
    assert analyse(tiny_voc).stats("train").classes[DOG].images == 3


def test_a_file_that_changes_while_it_is_read_counts_anew(tiny_voc: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read_pairs = doctor.read_pairs

    def read_and_change(*arguments: Any) -> Any:
        examined = read_pairs(*arguments)
        change_a_mask(tiny_voc)
        return examined

    monkeypatch.setattr(doctor, "read_pairs", read_and_change)
    analyse(tiny_voc)
    assert find(tiny_voc) is None


def edited(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        document = json.loads((folder / "analysis.json").read_text().partition("\n")[2])
        change(document)
        text = json.dumps(document)
        (folder / "analysis.json").write_text(f"{_seal(text.encode())}\n{text}")

    return edit


DAMAGES: dict[str, Callable[[Path], object]] = {
    "cut off": lambda folder: os.truncate(folder / "analysis.json", 300),
    "empty": lambda folder: os.truncate(folder / "analysis.json", 0),
    "no text": lambda folder: (folder / "analysis.json").write_bytes(b"\xff\xfe\x00"),
    "another document": lambda folder: (folder / "analysis.json").write_text("[1, 2]"),
    "older": edited(lambda document: document.update(schema=analysis.SCHEMA - 1)),
    "newer": edited(lambda document: document.update(schema=analysis.SCHEMA + 1, facts=[])),
    "no facts": edited(lambda document: document.pop("facts")),
    "odd facts": edited(lambda document: document["facts"]["photo_0"].update(size=[1])),
    "ids without a class": edited(lambda document: document["facts"]["photo_0"].update(pixels={"77": 48 * 40})),
    "odd findings": edited(lambda document: document["report"].update(findings=[["a"]])),
    "odd classes": edited(lambda document: document["classes"].update(names=["one"])),
    "no heat": lambda folder: (folder / "heat.npz").unlink(),
    "half the heat": lambda folder: os.truncate(folder / "heat.npz", 100),
    "other heat": lambda folder: (folder / "heat.npz").write_bytes(other_heat()),
}


def other_heat() -> bytes:
    file = io.BytesIO()
    np.savez(file, pair=np.zeros(0, dtype=np.int32))
    return file.getvalue()


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_stored_and_damaged_or_of_another_version_is_counted_anew(tiny_voc: Path, damage: str) -> None:
    first = analyse(tiny_voc)
    DAMAGES[damage](tiny_voc / ".atrous")
    assert find(tiny_voc) is None
    assert analyse(tiny_voc) == first
    assert find(tiny_voc) == first


# --- where it is stored ---------------------------------------------------------------------------------------------


def test_a_read_only_folder_is_never_written(tiny_voc: Path, home: Path, request: pytest.FixtureRequest) -> None:
    """The tests may run as root, who may write anywhere: the mark alone must be enough."""
    tiny_voc.chmod(0o555)
    first = analyse(tiny_voc)
    assert not (tiny_voc / ".atrous").exists()
    assert stored_in(home / "cache" / job_dir(tiny_voc).name) == ["analysis.json", "heat.npz"]
    request.getfixturevalue("no_reading")
    assert find(tiny_voc) == first


def test_where_nothing_can_be_stored_it_is_still_told(tiny_voc: Path, home: Path) -> None:
    (home / "cache").write_text("in the way")
    (tiny_voc / ".atrous").write_text("in the way")
    assert analyse(tiny_voc).stats().images == 6
    assert find(tiny_voc) is None


def test_a_job_is_never_within_the_data_and_one_per_data_set(tmp_path: Path, home: Path) -> None:
    first, second = (write_voc(tmp_path / name / "VOC2012") for name in "ab")
    assert job_dir(first).parent == home / "cache"
    assert job_dir(first) == job_dir(first.parent) != job_dir(second)


def test_a_job_stores_what_can_be_counted_though_a_pair_is_broken(tiny_voc: Path) -> None:
    (tiny_voc / "JPEGImages" / "photo_1.jpg").write_bytes(b"no photo")
    folder = job_dir(tiny_voc)
    folder.mkdir(parents=True)
    command = [sys.executable, "-m", "core", "stats", str(tiny_voc), "--job", str(folder)]
    subprocess.run(command, cwd=PROJECT_ROOT, check=True, capture_output=True)
    assert jobs.error(folder) is None
    found = find(tiny_voc)
    assert found is not None
    assert found.stats("train").left_out == ("photo_1",)
    assert found.report.counts == {"unreadable photo": 1}


def test_a_moved_data_set_keeps_its_analysis(tiny_voc: Path, tmp_path: Path) -> None:
    first = analyse(tiny_voc)
    moved = find(tiny_voc.rename(tmp_path / "elsewhere"))
    assert moved is not None
    assert moved.stats() == first.stats()
    assert moved.root == tmp_path / "elsewhere"


def test_findings_that_came_with_a_data_set_count_for_nothing(tiny_voc: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A data set could bring an analysis of its own and so declare itself clean."""
    analyse(tiny_voc)
    assert find(tiny_voc) is not None
    file = tiny_voc / ".atrous" / "analysis.json"
    whole = file.read_bytes()
    file.write_bytes(whole.replace(b'"images":6', b'"images":9'))
    assert find(tiny_voc) is None
    file.write_bytes(whole)
    assert find(tiny_voc) is not None
    monkeypatch.setenv("ATROUS_HOME", str(tiny_voc.parent / "another-home"))
    assert find(tiny_voc) is None, "another home did not write it"
