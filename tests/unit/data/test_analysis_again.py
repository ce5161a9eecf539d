"""The findings of one pass over a data set: found again, and counted again after a change or a damage."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.data import analysis
from core.data.analysis import analyse, files_key, find, job_dir
from core.data.doctor import diagnosis
from core.data.images import write_mask
from tests.faulty_data import examine
from tests.small_data import DOG, replace_quietly, with_last_bit_flipped, write_list, write_pairs
from tests.unit.data.analysed import assert_equal


@pytest.mark.usefixtures("no_reading")
def test_nothing_is_stored_before_the_first_time(tiny_voc: Path) -> None:
    assert find(tiny_voc) is None


def test_the_second_time_reads_no_photo(tiny_voc: Path, request: pytest.FixtureRequest) -> None:
    first = analyse(tiny_voc)
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


def replace_a_mask_quietly(root: Path) -> None:
    mask = root / "SegmentationClass" / "photo_0.png"
    replace_quietly(mask, with_last_bit_flipped(mask))


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
    [change_a_mask, touch_a_photo, replace_a_mask_quietly, add_a_pair, rename_a_photo, change_a_list, add_a_list,
     name_the_classes, add_augmented_masks],
)  # fmt: skip
def test_a_change_counts_anew(tiny_voc: Path, change: Callable[[Path], None]) -> None:
    analyse(tiny_voc)
    key = files_key(tiny_voc)
    change(tiny_voc)
    assert files_key(tiny_voc) != key
    assert find(tiny_voc) is None
    anew = analyse(tiny_voc)
    assert anew.report == examine(tiny_voc)
    assert find(tiny_voc) == anew


def test_a_changed_mask_is_seen_in_the_numbers(tiny_voc: Path) -> None:
    assert analyse(tiny_voc).stats("train").classes[DOG].images == 2
    change_a_mask(tiny_voc)
    assert analyse(tiny_voc).stats("train").classes[DOG].images == 3


def test_a_file_that_changes_while_it_is_read_counts_anew(tiny_voc: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read_pairs = diagnosis.read_pairs

    def read_and_change(*arguments: Any) -> Any:
        examined = read_pairs(*arguments)
        change_a_mask(tiny_voc)
        return examined

    monkeypatch.setattr(diagnosis, "read_pairs", read_and_change)
    analyse(tiny_voc)
    assert find(tiny_voc) is None


def test_what_was_read_beside_a_file_that_came_and_went_is_not_stored(
    tiny_voc: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was stored for the folder as it was before, and once the file was gone again shown as what is in it."""
    read_contents, guest = analysis.read_contents, tiny_voc / "ImageSets" / "Segmentation" / "guest.txt"

    def be_joined(root: Path) -> Any:
        guest.write_text("photo_0\n")
        return read_contents(root)

    monkeypatch.setattr(analysis, "read_contents", be_joined)
    assert "guest" in analyse(tiny_voc).splits
    guest.unlink()
    assert find(tiny_voc) is None


def edited(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    def edit(file: Path) -> None:
        document = json.loads(file.read_text())
        change(document)
        file.write_text(json.dumps(document))

    return edit


DAMAGES: dict[str, Callable[[Path], object]] = {
    "cut off": lambda file: os.truncate(file, 300),
    "empty": lambda file: os.truncate(file, 0),
    "no text": lambda file: file.write_bytes(b"\xff\xfe\x00"),
    "another document": lambda file: file.write_text("[1, 2]"),
    "older": edited(lambda document: document.update(schema=analysis.SCHEMA - 1)),
    "newer": edited(lambda document: document.update(schema=analysis.SCHEMA + 1, facts=[])),
    "no facts": edited(lambda document: document.pop("facts")),
    "odd facts": edited(lambda document: document["facts"]["photo_0"].update(size=[1])),
    "half the heat": edited(lambda document: document["facts"]["photo_0"].update(heat={"0": "AAAA"})),
    "odd findings": edited(lambda document: document["report"].update(findings=[["a"]])),
    "odd classes": edited(lambda document: document["classes"].update(names=["one"])),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_stored_and_damaged_or_of_another_version_is_counted_anew(tiny_voc: Path, damage: str) -> None:
    first = analyse(tiny_voc)
    DAMAGES[damage](job_dir(tiny_voc) / "analysis.json")
    assert find(tiny_voc) is None
    assert analyse(tiny_voc) == first
    assert find(tiny_voc) == first
