"""One pass over a data set: what it finds, and where that is stored."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from core import jobs
from core.data.analysis import analyse, find, job_dir
from core.data.dataset import Sample, open_dataset
from core.data.images import write_mask
from core.data.importers.photo_folder import files_in
from core.data.repair.repaired_copy import repair
from core.errors import DataError
from core.home import PROJECT_ROOT
from core.voc import CLASS_NAMES
from tests.faulty_data import examine
from tests.small_data import CAT, DOG, write_list, write_pairs, write_voc
from tests.unit.data.analysed import assert_equal, split_stats

# --- what it finds --------------------------------------------------------------------------------------------------


def test_one_pass_tells_what_statistics_and_doctor_tell(tiny_voc: Path) -> None:
    write_list(tiny_voc, "trainval", ["photo_4", "photo_0"])
    calls: list[tuple[int, int]] = []
    found = analyse(tiny_voc, lambda done, total: calls.append((done, total)))
    dataset = open_dataset(tiny_voc)
    for split, samples in dataset.splits.items():
        assert_equal(found.stats(split), split_stats(samples, CLASS_NAMES))
    assert found.stats().images == 6
    assert found.report == examine(tiny_voc)
    assert found.classes == dataset.classes
    assert found.splits == {name: tuple(each.name for each in samples) for name, samples in dataset.splits.items()}
    assert calls == [(done, 6) for done in range(1, 7)]
    assert found.facts["photo_1"].objects == {DOG: 1}
    assert found.class_ids["photo_1"] == {0, DOG}
    with pytest.raises(DataError, match="no split 'test'"):
        found.stats("test")


def test_folders_without_lists_are_split_as_open_dataset_does(tmp_path: Path) -> None:
    root = tmp_path / "plain"
    write_pairs(root / "images", root / "masks", [f"p{number}" for number in range(10)])
    found = analyse(root)
    dataset = open_dataset(root)
    for split, samples in dataset.splits.items():
        assert_equal(found.stats(split), split_stats(samples, dataset.class_names))


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
def test_real_counts_agree_with_looking_at_every_mask(voc_animals: Path) -> None:
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


# --- where it is stored ---------------------------------------------------------------------------------------------


def test_nothing_is_written_into_the_data(tiny_voc: Path, home: Path) -> None:
    """The analysis lay in `.atrous` of the data, which commands wrote that change nothing."""
    before = sorted(tiny_voc.rglob("*"))
    assert find(tiny_voc) is None
    analyse(tiny_voc)
    assert sorted(tiny_voc.rglob("*")) == before
    assert [file.relative_to(home / "cache") for file in (home / "cache").rglob("*.json")] == [
        Path(job_dir(tiny_voc).name, "analysis.json")
    ]


def test_what_an_earlier_version_left_in_the_data_is_neither_read_nor_deleted(tiny_voc: Path, tmp_path: Path) -> None:
    clean, leavings = analyse(tiny_voc), tiny_voc / ".atrous"
    left = {leavings / "analysis.json": "0" * 64 + '\n{"schema":7}', leavings / "heat.npz": "zip"}
    leavings.mkdir()
    for file, text in left.items():
        file.write_text(text)
    assert find(tiny_voc) == clean, "they are no part of the data"
    assert examine(tiny_voc) == clean.report
    assert not list(repair(tiny_voc, tmp_path / "mended").root.rglob("*atrous*"))
    assert files_in(tiny_voc, (".json",)) == [], "no importer sees them"
    assert {file: file.read_text() for file in sorted(leavings.iterdir())} == left


def test_where_nothing_can_be_stored_it_is_still_told(tiny_voc: Path, home: Path) -> None:
    (home / "cache").write_text("in the way")
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
    assert found.report.counts == {"unreadable photo": 1, "few validation photos": 1}


def test_a_moved_data_set_is_counted_anew(tiny_voc: Path, tmp_path: Path) -> None:
    first = analyse(tiny_voc)
    moved = tiny_voc.rename(tmp_path / "elsewhere")
    assert find(moved) is None
    assert analyse(moved).stats().sizes == first.stats().sizes
