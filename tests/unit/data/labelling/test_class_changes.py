"""Changing the classes of a data set whose masks use them: nothing lost, and done whole or finished later."""

import errno
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock, Timeout

from core import jobs
from core.classes import VOC_CLASSES, read_classes
from core.data.dataset import UNFINISHED, open_dataset
from core.data.images import read_mask
from core.data.labelling import (
    LabelSet,
    Usage,
    add_class,
    class_changes,
    history,
    kept_masks,
    mark_done,
    open_label_set,
    read_entry,
    read_label,
    recolor_class,
    remove_class,
    rename_class,
    restore,
    save_label,
    usage_of,
    version_of,
)
from core.data.labelling.proposals import make_folder, proposals_folder, read_proposal, write_proposal
from core.errors import DataError, RunError
from core.files import write_json
from core.voc import BACKGROUND, VOID
from tests.small_data import write_voc
from tests.unit.data.labelling.labelled import LEAF, drawn, new_set, on_disk

IDS = (0, 1, 2, 255)
NAMES = ("a", "b", "c")


@pytest.fixture
def leaves(home: Path) -> LabelSet:
    """Three photos: two that show leaf and stem, one of background alone."""
    label_set = new_set(home)
    for seed, name in enumerate(NAMES):
        save_label(label_set, name, drawn(seed, ids=IDS if name != "c" else (0,)), base_version="")
        mark_done(label_set, name)
    return label_set


def test_a_class_is_added_renamed_and_recoloured(leaves: LabelSet) -> None:
    before = [on_disk(leaves, name) for name in NAMES]
    label_set = recolor_class(rename_class(add_class(leaves, "  old   root "), 1, "blade"), 2, "#FF0000")
    assert label_set.classes.names == ("background", "blade", "stem", "old root")
    assert label_set.classes.colors == ("#000000", "#22aa22", "#ff0000", VOC_CLASSES.colors[3])
    assert read_classes(label_set.root / "classes.txt") == label_set.classes
    assert read_classes(label_set.root / "classes-before.txt") == LEAF
    assert open_label_set(label_set.root).classes == label_set.classes
    for name, mask_HW in zip(NAMES, before, strict=True):
        np.testing.assert_array_equal(on_disk(label_set, name), mask_HW)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda s: add_class(s, "leaf"), "2 to 255 different"),
        (lambda s: add_class(s, " \n "), "cannot name a class"),
        (lambda s: add_class(s, "void"), "cannot name a class"),
        (lambda s: add_class(s, "x", "red"), "is not a colour"),
        (lambda s: rename_class(s, 1, "stem"), "2 to 255 different"),
        (lambda s: rename_class(s, 9, "x"), "has no class 9"),
        (lambda s: remove_class(s, 0), "background .* cannot be removed"),
        (lambda s: remove_class(remove_class(s, 1), 1), "last class beside it cannot be removed"),
        (lambda s: remove_class(s, 1, into=1), "need another class"),
        (lambda s: remove_class(s, 1, into=7), "has no class 7"),
        (lambda s: (add_class(s, "x"), add_class(s, "y")), "changed in another tab"),
    ],
)
def test_an_impossible_change_is_one_sentence(
    leaves: LabelSet, change: Callable[[LabelSet], object], says: str
) -> None:
    with pytest.raises(DataError, match=says):
        change(leaves)


def test_the_255th_class_is_one_too_many(home: Path) -> None:
    label_set = new_set(home)
    for number in range(252):
        label_set = add_class(label_set, f"class {number}")
    assert len(label_set.classes) == 255
    with pytest.raises(DataError, match="has 254 classes already"):
        add_class(label_set, "one more")
    save_label(label_set, "a", drawn(1, ids=(0, 254, 255)), base_version="")
    assert set(np.unique(read_label(open_label_set(label_set.root), "a").mask_HW)) == {0, 254, 255}


def test_what_a_removal_would_affect_is_counted_first(leaves: LabelSet) -> None:
    seen = []
    pixels = sum(int((on_disk(leaves, name) == 1).sum()) for name in NAMES)
    assert usage_of(leaves, 1, lambda done, total: seen.append((done, total))) == Usage(2, pixels)
    assert seen == [(1, 3), (2, 3), (3, 3)]
    assert usage_of(add_class(leaves, "root"), 3) == Usage(0, 0)


@pytest.mark.parametrize(
    ("class_id", "into", "ids"),
    [
        (1, BACKGROUND, {0: 0, 1: 0, 2: 1, 255: 255}),
        (1, VOID, {0: 0, 1: 255, 2: 1, 255: 255}),
        (1, 2, {0: 0, 1: 1, 2: 1, 255: 255}),
        (2, 1, {0: 0, 1: 1, 2: 1, 255: 255}),
    ],
)
def test_the_pixels_of_a_removed_class_become_what_was_chosen(
    leaves: LabelSet, class_id: int, into: int, ids: dict[int, int]
) -> None:
    before = {name: on_disk(leaves, name) for name in NAMES}
    c_before = (leaves.mask_dir / "c.png").read_bytes()
    label_set = remove_class(leaves, class_id, into)
    assert label_set.classes.names == tuple(n for at, n in enumerate(LEAF.names) if at != class_id)
    for name, mask_HW in before.items():
        np.testing.assert_array_equal(on_disk(label_set, name), np.vectorize(ids.get)(mask_HW))
    assert (leaves.mask_dir / "c.png").read_bytes() == c_before, "what does not change is not written"
    assert open_label_set(leaves.root) == label_set
    assert set(open_dataset(leaves.root).splits) == {"train", "val"}
    assert [entry.kind for entry in history(label_set, "a")] == ["replaced"]
    np.testing.assert_array_equal(read_mask(history(label_set, "a")[0].file, 3), before["a"])


def test_a_removal_that_is_refused_at_the_last_moment_changes_nothing(leaves: LabelSet) -> None:
    """A run that starts meanwhile has opened the data set before it cannot be opened, or cannot open it."""
    before = {name: (leaves.mask_dir / f"{name}.png").read_bytes() for name in NAMES}

    def refuse() -> None:
        with pytest.raises(DataError):
            open_dataset(leaves.root)
        raise RunError("a run trains on it")

    with pytest.raises(RunError, match="a run trains"):
        remove_class(leaves, 1, refuse=refuse)
    assert open_label_set(leaves.root) == leaves
    assert {name: (leaves.mask_dir / f"{name}.png").read_bytes() for name in NAMES} == before
    assert remove_class(leaves, 1).classes.names == ("background", "stem")


def test_masks_are_decoded_before_the_lock_is_taken(leaves: LabelSet, monkeypatch: pytest.MonkeyPatch) -> None:
    """Others wait for the lock while they save: under it only what changed meanwhile is decoded again."""
    read: list[tuple[str, bool]] = []

    def noted(file: Path, num_classes: int) -> np.ndarray:
        lock = FileLock(leaves.root / "labelling" / "lock", timeout=0, is_singleton=False)
        try:
            lock.acquire()
            lock.release()
        except Timeout:
            read.append((file.name, True))
        else:
            read.append((file.name, False))
            if len(read) == 3:
                save_label(leaves, "a", drawn(7, ids=IDS), base_version=version_of(leaves, "a"))
        return read_mask(file, num_classes)

    monkeypatch.setattr(class_changes, "read_mask", noted)
    label_set = remove_class(leaves, 1)
    assert read == [("a.png", False), ("b.png", False), ("c.png", False), ("a.png", True)]
    expected_HW = np.vectorize({0: 0, 1: 0, 2: 1, 255: 255}.get)(drawn(7, ids=IDS))
    np.testing.assert_array_equal(on_disk(label_set, "a"), expected_HW)


def test_what_was_drawn_before_a_removal_gets_the_ids_of_today(leaves: LabelSet) -> None:
    """A mask of the history, and one that a tab with the old classes saves: stem is 1 now and was 2."""
    opened = read_label(leaves, "c")
    label_set = remove_class(leaves, 1, VOID)
    expected_HW = np.vectorize({0: 0, 1: 255, 2: 1, 255: 255}.get)(drawn(9))
    save_label(label_set, "c", drawn(9), base_version=opened.version)
    np.testing.assert_array_equal(on_disk(label_set, "c"), expected_HW)
    label_set = remove_class(add_class(label_set, "root"), 1)
    restore(label_set, "c", history(label_set, "c")[0])
    np.testing.assert_array_equal(on_disk(label_set, "c"), np.where(expected_HW == 1, 0, expected_HW))
    with pytest.raises(DataError, match="not the version"):
        save_label(label_set, "c", drawn(9, ids=(0, 1)), base_version="junk@x")


def test_a_tab_with_the_ids_of_old_is_translated_at_every_save(leaves: LabelSet) -> None:
    """It has a mask without the class that goes, draws the class behind it, and is saved every few seconds."""
    mine = read_label(leaves, "c").version
    remove_class(leaves, 1)
    label_set = open_label_set(leaves.root)
    for seed in range(3):
        drawn_HW = drawn(seed, ids=(0, 2))
        mine = save_label(label_set, "c", drawn_HW, base_version=mine, tab="one")
        assert save_label(label_set, "c", drawn_HW, base_version=mine, tab="one") == mine, "sent again"
        np.testing.assert_array_equal(on_disk(label_set, "c"), np.where(drawn_HW == 2, 1, 0))
    others = save_label(label_set, "c", drawn(8, ids=(0, 1)), base_version=version_of(label_set, "c"), tab="two")
    save_label(label_set, "c", drawn(9, ids=(0, 2)), base_version=mine, seen=others, tab="one")
    np.testing.assert_array_equal(on_disk(label_set, "c"), np.where(drawn(9, ids=(0, 2)) == 2, 1, 0))


@pytest.mark.parametrize("read", [read_label, version_of])
def test_a_mask_that_is_read_while_a_class_goes_has_no_version_of_before(
    leaves: LabelSet, read: Callable[[LabelSet, str], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The masks have new ids before the list of changes says so."""
    write, seen = class_changes.write_json, []

    def refused() -> None:
        with pytest.raises(DataError, match="were changed in another tab; open it again"):
            read(leaves, "a")
        seen.append(True)

    def written(file: Path, document: object) -> None:
        if file.name == "changes.json":
            refused()
        write(file, document)
        if file.name == "changes.json":
            refused()

    monkeypatch.setattr(class_changes, "write_json", written)
    label_set = remove_class(leaves, 1)
    refused()
    assert len(seen) == 3
    assert version_of(label_set, "a") == read_label(open_label_set(leaves.root), "a").version


def test_a_mask_of_the_history_is_read_with_the_ids_of_today(leaves: LabelSet) -> None:
    before_HW = on_disk(leaves, "a")
    label_set = remove_class(leaves, 2, into=1)
    (entry,) = history(label_set, "a")
    np.testing.assert_array_equal(read_entry(label_set, "a", entry), np.where(before_HW == 2, 1, before_HW))
    entry.file.unlink()
    with pytest.raises(DataError, match="does not hold this mask any more"):
        read_entry(label_set, "a", entry)


def test_a_removal_deletes_proposals_and_waits_for_the_model_that_makes_them(leaves: LabelSet) -> None:
    make_folder(leaves)
    write_proposal(leaves, "a", drawn(1), {})
    with jobs.hold(proposals_folder(leaves.root)), pytest.raises(DataError, match="A model proposes masks"):
        remove_class(leaves, 1)
    assert read_proposal(leaves, "a") is not None
    assert read_proposal(remove_class(leaves, 1), "a") is None


def test_a_removal_keeps_the_masks_that_came_with_the_data_set(tmp_path: Path) -> None:
    label_set = open_label_set(write_voc(tmp_path / "came" / "VOC2012"))
    before = {name: (label_set.mask_dir / f"{name}.png").read_bytes() for name in label_set.photos}
    remove_class(label_set, 3)
    for name, data in before.items():
        (entry,) = history(label_set, name)
        assert (entry.kind, entry.file.read_bytes()) == ("original", data)


def test_a_removal_in_a_folder_of_masks_that_is_a_link_is_finished(leaves: LabelSet, tmp_path: Path) -> None:
    leaves.mask_dir.rename(tmp_path / "elsewhere")
    leaves.mask_dir.symlink_to(tmp_path / "elsewhere")
    before_HW = on_disk(leaves, "a")
    label_set = remove_class(open_label_set(leaves.root), 1, VOID)
    np.testing.assert_array_equal(on_disk(label_set, "a"), np.vectorize({0: 0, 1: 255, 2: 1, 255: 255}.get)(before_HW))


def test_a_mask_that_cannot_be_read_stops_a_removal_before_it_begins(leaves: LabelSet) -> None:
    (leaves.mask_dir / "b.png").write_bytes(b"junk")
    before = on_disk(leaves, "a")
    with pytest.raises(DataError, match=r"b\.png cannot be read"):
        remove_class(leaves, 1)
    np.testing.assert_array_equal(on_disk(leaves, "a"), before)
    assert read_classes(leaves.root / "classes.txt") == LEAF


class PowerCut(BaseException):
    """What nothing in the code may catch."""


def cut_after(steps: int, monkeypatch: pytest.MonkeyPatch, error: BaseException = PowerCut()) -> None:  # noqa: B008
    """Let the power go, or another error come, after so many files were renamed into place."""
    left, replace = [steps], Path.replace

    def renamed(source: Path, target: Path) -> None:
        replace(source, target)
        left[0] -= 1
        if not left[0]:
            raise error

    monkeypatch.setattr(Path, "replace", renamed)


def test_a_removal_that_the_disk_stops_says_where_it_goes_on(leaves: LabelSet, monkeypatch: pytest.MonkeyPatch) -> None:
    before = on_disk(leaves, "b")
    with monkeypatch.context() as patch:
        cut_after(4, patch, OSError(errno.ENOSPC, "No space left on device"))
        with pytest.raises(DataError, match=r"make room and open .* again, where the change of its classes goes on"):
            remove_class(leaves, 1)
    assert open_label_set(leaves.root).classes.names == ("background", "stem")
    np.testing.assert_array_equal(on_disk(leaves, "b"), np.vectorize({0: 0, 1: 0, 2: 1, 255: 255}.get)(before))


# The steps: two masks into the history, the plan, twice a mask and the note of it, classes.txt, the list of changes.
@pytest.mark.parametrize("steps", range(1, 10))
def test_a_removal_that_is_cut_off_is_not_begun_or_is_finished(
    leaves: LabelSet, steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {name: on_disk(leaves, name) for name in NAMES}
    with monkeypatch.context() as patch:
        cut_after(steps, patch)
        with pytest.raises(PowerCut):
            remove_class(leaves, 1, VOID)
    is_begun = steps >= 3
    assert (leaves.root / UNFINISHED).exists() == is_begun
    if is_begun:
        with pytest.raises(DataError, match="was interrupted; open it on the page Label"):
            open_dataset(leaves.root)
        with pytest.raises(DataError, match="was interrupted; open the data set again"):
            save_label(leaves, "a", drawn(3), base_version="")
    label_set = open_label_set(leaves.root)
    assert label_set.classes.names == (("background", "stem") if is_begun else LEAF.names)
    ids = {0: 0, 1: 255, 2: 1, 255: 255} if is_begun else dict(zip(IDS, IDS, strict=True))
    for name, mask_HW in before.items():
        np.testing.assert_array_equal(on_disk(label_set, name), np.vectorize(ids.get)(mask_HW))
        if name != "c" and is_begun:
            np.testing.assert_array_equal(read_mask(history(label_set, name)[0].file, 3), mask_HW)
    remove_class(add_class(label_set, "root"), len(label_set.classes))
    assert len(kept_masks.changes(label_set.root)) == 1 + is_begun, "no change is counted twice"


OUTSIDE = "../../outside.png"


@pytest.mark.parametrize(
    "change",
    [
        {"masks": {"a": OUTSIDE}},
        {"masks": {"../../outside": "SegmentationClass/../../../outside.png"}},
        {"masks": {"a": "JPEGImages/a.png"}},
        {"masks": {"a": 3}},
        {"masks": ["a"]},
        {"masks": {}, "ids": [0, 1]},
        {"masks": {}, "ids": [999] * 256},
        {"masks": {}, "names": 3},
        {"masks": {}, "generation": None},
    ],
)
def test_a_plan_of_a_foreign_data_set_writes_nothing_outside_its_masks(
    leaves: LabelSet, change: dict[str, object]
) -> None:
    outside = (leaves.root / OUTSIDE).resolve()
    outside.write_bytes((leaves.mask_dir / "a.png").read_bytes())
    kept_masks.keep(leaves.root, "a", outside.read_bytes(), "replaced", 0)
    plan = {"generation": 0, "ids": list(range(256)), "names": ["background", "x"], "colors": ["#000000", "#ff0000"]}
    write_json(leaves.root / UNFINISHED, plan | change)
    before = {file: file.read_bytes() for file in outside.parent.rglob("*") if file.is_file()}
    with pytest.raises(DataError, match=r"unfinished_change\.json is damaged"):
        open_label_set(leaves.root)
    assert {file: file.read_bytes() for file in outside.parent.rglob("*") if file.is_file()} == before
