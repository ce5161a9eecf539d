"""Masks are saved whole, what they replace is kept, and nobody overwrites what they have not seen."""

import shutil
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.data.dataset import open_dataset
from core.data.images import read_pair, write_mask
from core.data.importers import import_data
from core.data.labelling import (
    KeptInHistoryError,
    LabelConflictError,
    LabelSet,
    TakenOverError,
    accept_proposal,
    claim,
    history,
    mark_done,
    open_label_set,
    read_entry,
    read_label,
    remove_label,
    restore,
    save_label,
    version_of,
)
from core.data.labelling.proposals import write_proposal
from core.errors import DataError
from tests.small_data import write_voc
from tests.unit.data.labelling.labelled import LEAF, drawn, new_set, on_disk, photos


@pytest.fixture
def leaves(home: Path) -> LabelSet:
    return new_set(home)


def test_an_unlabelled_photo_has_a_mask_of_background(leaves: LabelSet) -> None:
    label = read_label(leaves, "a")
    assert label.mask_HW.shape == (17, 31)
    assert not label.mask_HW.any()
    assert label.version == ""


def test_a_saved_mask_is_what_was_drawn_with_the_colours_of_its_classes(leaves: LabelSet) -> None:
    version = save_label(leaves, "a", drawn(1), base_version="")
    assert read_label(leaves, "a").version == version_of(leaves, "a") == version
    assert version_of(leaves, "b") == ""
    np.testing.assert_array_equal(read_label(leaves, "a").mask_HW, drawn(1))
    np.testing.assert_array_equal(on_disk(leaves, "a"), drawn(1))
    with Image.open(leaves.mask_dir / "a.png") as mask:
        assert bytes(mask.getpalette()[:9]) == LEAF.palette[:3].tobytes()
    assert leaves.states() == {"a": "started", "b": "unlabelled", "c": "unlabelled"}


def test_an_equal_mask_is_not_written_again(leaves: LabelSet) -> None:
    version = save_label(leaves, "a", drawn(1), base_version="")
    before = (leaves.mask_dir / "a.png").stat().st_ino
    assert save_label(leaves, "a", drawn(1), base_version="") == version, "a save that is sent again is no conflict"
    assert (leaves.mask_dir / "a.png").stat().st_ino == before
    assert history(leaves, "a") == []


def test_who_has_not_seen_the_mask_on_the_disk_does_not_replace_it(leaves: LabelSet) -> None:
    save_label(leaves, "a", drawn(1), base_version="", tab="one")
    with pytest.raises(LabelConflictError, match="changed elsewhere"):
        save_label(leaves, "a", drawn(2), base_version="", tab="two")
    np.testing.assert_array_equal(on_disk(leaves, "a"), drawn(1))
    (unsaved,) = history(leaves, "a")
    assert unsaved.kind == "unsaved"
    restore(leaves, "a", unsaved)
    np.testing.assert_array_equal(on_disk(leaves, "a"), drawn(2))
    assert [entry.kind for entry in history(leaves, "a")] == ["replaced", "unsaved"], "the first is kept in turn"


def test_a_tab_that_lost_a_photo_to_another_saves_nothing_into_its_place(leaves: LabelSet) -> None:
    """It saved one more stroke before it said that the photo was taken over."""
    version = save_label(leaves, "a", drawn(1), base_version="", tab="one")
    claim(leaves, "a", "two", take_over=True)
    with pytest.raises(TakenOverError, match="taken over in another tab"):
        save_label(leaves, "a", drawn(2), base_version=version, tab="one", is_open=True)
    np.testing.assert_array_equal(on_disk(leaves, "a"), drawn(1))
    (unsaved,) = history(leaves, "a")
    np.testing.assert_array_equal(read_entry(leaves, "a", unsaved), drawn(2))
    save_label(leaves, "a", drawn(3), base_version=version, tab="two", is_open=True)
    assert save_label(leaves, "a", drawn(3), base_version=version, tab="one", is_open=True), "what is there already"


def test_a_tab_replaces_its_own_mask_before_it_hears_of_the_last_save(leaves: LabelSet) -> None:
    save_label(leaves, "a", drawn(1), base_version="", tab="one")
    again = save_label(leaves, "a", drawn(2), base_version="", tab="one")
    assert version_of(leaves, "a") == again
    np.testing.assert_array_equal(on_disk(leaves, "a"), drawn(2))


def test_a_restored_mask_is_not_replaced_by_a_stale_tab(leaves: LabelSet) -> None:
    first = save_label(leaves, "a", drawn(1), base_version="", tab="one")
    save_label(leaves, "a", drawn(2), base_version=first, tab="two")
    restore(leaves, "a", history(leaves, "a")[0])
    with pytest.raises(LabelConflictError):
        save_label(leaves, "a", drawn(3), base_version="", tab="two")
    np.testing.assert_array_equal(on_disk(leaves, "a"), drawn(1))


def test_a_tab_that_saves_often_fills_no_history(leaves: LabelSet) -> None:
    version = ""
    for seed in range(5):
        version = save_label(leaves, "a", drawn(seed), base_version=version, tab="one")
    assert [entry.kind for entry in history(leaves, "a")] == ["replaced"]


class Clock:
    """The time of day, which a test sets."""

    def __init__(self, at: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_ns = int(at.timestamp()) * 10**9
        monkeypatch.setattr(time, "time_ns", lambda: self.now_ns)
        monkeypatch.setattr(time, "time", lambda: self.now_ns / 10**9)


def test_days_of_drawing_keep_the_newest_masks_and_the_first_of_each_hour_and_day(
    leaves: LabelSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(datetime(2026, 11, 2, 9, tzinfo=UTC), monkeypatch)
    version = save_label(leaves, "a", drawn(0), base_version="", tab="one")  # the finished mask of the first day
    for day in (3, 4):
        for minute in range(90):
            clock.now_ns = (
                int(datetime(2026, 11, day, 9 + minute // 60, minute % 60, 1, tzinfo=UTC).timestamp()) * 10**9
            )
            version = save_label(leaves, "a", drawn(day * 100 + minute), base_version=version, tab="one")
    kept = history(leaves, "a")
    times = [f"{entry.at:%d %H:%M}" for entry in kept]
    assert times == [
        *(f"04 10:{minute}" for minute in range(29, 9, -1)),
        "04 10:00",
        "04 09:00",
        "03 10:00",
        "03 09:00",
    ]
    restore(leaves, "a", kept[-1])
    np.testing.assert_array_equal(on_disk(leaves, "a"), drawn(0))


def test_a_tab_that_goes_on_after_a_conflict_has_one_entry_and_drives_out_no_other(leaves: LabelSet) -> None:
    first = save_label(leaves, "a", drawn(1), base_version="", tab="two")
    save_label(leaves, "a", drawn(2), base_version=first, tab="one")
    for tab, base_version in (("two", first), ("three", ""), ("two", "")):
        for seed in range(30):
            with pytest.raises(LabelConflictError):
                save_label(leaves, "a", drawn(100 + seed), base_version=base_version, tab=tab)
    assert [entry.kind for entry in history(leaves, "a")] == ["unsaved"] * 3 + ["replaced"]
    for entry in history(leaves, "a")[:3]:
        np.testing.assert_array_equal(read_entry(leaves, "a", entry), drawn(129))


def test_who_has_seen_the_other_mask_replaces_it(leaves: LabelSet) -> None:
    """Keep mine: what is drawn has the ids of one version, and replaces another."""
    others = save_label(leaves, "a", drawn(1), base_version="", tab="one")
    save_label(leaves, "a", drawn(2), base_version="", seen=others, tab="two")
    np.testing.assert_array_equal(on_disk(leaves, "a"), drawn(2))
    with pytest.raises(LabelConflictError):
        save_label(leaves, "a", drawn(3), base_version="", seen=others, tab="three")
    assert [entry.kind for entry in history(leaves, "a")] == ["unsaved", "replaced"]


def test_the_mask_that_came_with_the_data_set_stays_in_the_history_to_the_byte(tmp_path: Path) -> None:
    root = write_voc(tmp_path / "came" / "VOC2012")
    label_set = open_label_set(root)
    original = (root / "SegmentationClass" / "photo_1.png").read_bytes()
    version = read_label(label_set, "photo_1").version
    for seed in range(30):
        version = save_label(label_set, "photo_1", drawn(seed, (48, 40)), base_version=version)
    oldest = history(label_set, "photo_1")[-1]
    assert oldest.kind == "original"
    restore(label_set, "photo_1", oldest)
    assert (root / "SegmentationClass" / "photo_1.png").read_bytes() == original


def test_another_program_changes_a_mask_meanwhile(leaves: LabelSet) -> None:
    version = save_label(leaves, "a", drawn(1), base_version="", tab="one")
    write_mask(leaves.mask_dir / "a.png", drawn(2))
    with pytest.raises(LabelConflictError):
        save_label(leaves, "a", drawn(3), base_version=version, tab="one")
    save_label(leaves, "a", drawn(3), base_version=read_label(leaves, "a").version, tab="one")
    assert [entry.kind for entry in history(leaves, "a")] == ["original", "unsaved"]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photo_turned_by_exif_has_a_mask_as_it_is_seen(home: Path, orientation: int) -> None:
    (photo,) = photos(home / "turned", ["a.jpg"])
    exif = Image.Exif()
    exif[0x0112] = orientation
    with Image.open(photo) as plain:
        plain.save(photo, exif=exif)
    label_set = open_label_set(_voc_of(home / "turned set", photo))
    shape = (17, 31) if orientation < 5 else (31, 17)
    assert read_label(label_set, "a").mask_HW.shape == shape
    save_label(label_set, "a", drawn(1, shape[::-1]), base_version="")
    upright, mask_HW = read_pair(label_set.photos["a"], label_set.mask_dir / "a.png", len(LEAF))
    assert upright.size == mask_HW.shape[::-1]


def _voc_of(root: Path, photo: Path) -> Path:
    (root / "JPEGImages").mkdir(parents=True)
    shutil.copy2(photo, root / "JPEGImages" / photo.name)
    return root


def test_done_photos_go_to_train_and_val_and_stay_there(home: Path) -> None:
    label_set = new_set(home, [f"p{number}.jpg" for number in range(40)])
    given = {}
    for number, name in enumerate(label_set.photos):
        save_label(label_set, name, drawn(number), base_version="")
        given[name] = mark_done(label_set, name)
        if number >= 1:
            dataset = open_dataset(label_set.root)
            assert {s.name: part for part in ("train", "val") for s in dataset.split(part)} == given
    assert mark_done(label_set, "p0") == given["p0"]
    assert set(label_set.states().values()) == {"done"}
    # Of 40 names a fifth is expected in val: 8, with a standard deviation of 2.5.
    assert 3 <= list(given.values()).count("val") <= 13


def test_drafts_are_no_truth(home: Path) -> None:
    label_set = new_set(home)
    with pytest.raises(DataError, match="page Label"):
        open_dataset(label_set.root)
    save_label(label_set, "a", drawn(1), base_version="")
    with pytest.raises(DataError, match="done yet"):
        open_dataset(label_set.root)
    save_label(label_set, "b", drawn(2), base_version="")
    mark_done(label_set, "b")
    assert [s.name for samples in open_dataset(label_set.root).splits.values() for s in samples] == ["b"]


def test_an_accepted_proposal_is_a_draft(leaves: LabelSet) -> None:
    write_proposal(leaves, "a", drawn(1), {})
    assert leaves.states()["a"] == "proposed"
    assert not read_label(leaves, "a").mask_HW.any(), "a proposal is no mask"
    assert accept_proposal(leaves, "a") == read_label(leaves, "a").version
    np.testing.assert_array_equal(on_disk(leaves, "a"), drawn(1))
    assert leaves.states()["a"] == "started"
    with pytest.raises(DataError, match="no proposal for 'a'"):
        accept_proposal(leaves, "a")
    write_proposal(leaves, "a", drawn(2), {})
    with pytest.raises(LabelConflictError):
        accept_proposal(leaves, "a")
    np.testing.assert_array_equal(on_disk(leaves, "a"), drawn(1))


def test_a_photo_without_anything_is_done_as_background(leaves: LabelSet) -> None:
    mark_done(leaves, "c")
    assert not on_disk(leaves, "c").any()
    assert leaves.states()["c"] == "done"


def test_a_set_without_lists_gets_its_split_written_before_the_first_draft(tmp_path: Path) -> None:
    root = write_voc(tmp_path / "bare" / "VOC2012")
    shutil.rmtree(root / "ImageSets")
    (root / "SegmentationClass" / "photo_2.png").unlink()
    before = {name: [s.name for s in samples] for name, samples in open_dataset(root).splits.items()}
    label_set = open_label_set(root)
    assert label_set.states()["photo_2"] == "unlabelled"
    save_label(label_set, "photo_2", drawn(1, (48, 40), (0, 8)), base_version="")
    assert {name: [s.name for s in samples] for name, samples in open_dataset(root).splits.items()} == before
    assert label_set.states()["photo_2"] == "started"
    assert label_set.states()["photo_1"] == "done"


@pytest.mark.parametrize("has_folder", [False, True])
def test_done_without_lists_writes_the_split_of_all_masks_first(tmp_path: Path, has_folder: bool) -> None:
    root = write_voc(tmp_path / "bare" / "VOC2012")
    shutil.rmtree(root / "ImageSets")
    if has_folder:
        (root / "ImageSets" / "Segmentation").mkdir(parents=True)
    before = {name: [s.name for s in samples] for name, samples in open_dataset(root).splits.items()}
    label_set = open_label_set(root)
    split = mark_done(label_set, "photo_1")
    assert "photo_1" in before[split]
    assert {name: [s.name for s in samples] for name, samples in open_dataset(root).splits.items()} == before
    assert set(label_set.states().values()) == {"done"}


def test_photos_of_a_test_list_go_back_to_it_and_the_lists_are_kept_once(tiny_voc: Path) -> None:
    lists = tiny_voc / "ImageSets" / "Segmentation"
    names = ["photo_0", "photo_1", "photo_2"]
    for file in (lists / "train.txt", lists / "val.txt"):
        file.write_text("".join(f"{line}\n" for line in file.read_text().split() if line not in names))
    (lists / "test.txt").write_text("".join(f"{name}\n" for name in names))
    (lists / "trainval.txt").write_text((lists / "train.txt").read_text() + (lists / "val.txt").read_text())
    for name in names:
        (tiny_voc / "SegmentationClass" / f"{name}.png").unlink()
    before = {file.name: file.read_bytes() for file in lists.iterdir()}
    label_set = open_label_set(tiny_voc)
    for number, name in enumerate(names):
        save_label(label_set, name, drawn(number, (48, 40), (0, 8)), base_version="")
        assert label_set.states()[name] == "started"
    assert [mark_done(label_set, name) for name in names] == ["test"] * 3
    assert {file.name: file.read_bytes() for file in lists.iterdir()} == before
    assert {folder.name for folder in lists.parent.iterdir()} == {"Segmentation", "Segmentation-before"}
    (tiny_voc / "labelling" / "planned_splits.json").write_text('{"photo_1": ["../../x"], "photo_2": 3}')
    remove_label(label_set, "photo_1")
    assert mark_done(label_set, "photo_1") in ("train", "val"), "what the file says is only looked up among the lists"


def test_drafts_are_not_imported(home: Path) -> None:
    label_set = new_set(home, [f"p{number}.jpg" for number in range(5)])
    for number, name in enumerate(label_set.photos):
        save_label(label_set, name, drawn(number), base_version="")
    with pytest.raises(DataError, match="labelled and done yet"):
        import_data("auto", label_set.root, home / "none")
    done = {name: mark_done(label_set, name) for name in ("p0", "p1", "p2")}
    imported = import_data("auto", label_set.root, home / "back")
    found = {s.name: part for part, samples in open_dataset(imported.root).splits.items() for s in samples}
    assert found == done
    assert "Drafts that are not done on the page Label left out" in " ".join(imported.notes)


def test_photos_that_are_listed_without_a_mask_are_taken_off_before_they_are_drawn(tiny_voc: Path) -> None:
    """Lists may be written ahead: train of photos that nobody has labelled yet, and VOC's test, which has no masks."""
    (tiny_voc / "SegmentationClass" / "photo_1.png").unlink()
    (tiny_voc / "SegmentationClass" / "photo_2.png").unlink()
    lists = tiny_voc / "ImageSets" / "Segmentation"
    (lists / "test.txt").write_text("photo_1\nphoto_2\n")
    (lists / "trainval.txt").write_text((lists / "train.txt").read_text() + (lists / "val.txt").read_text())
    label_set = open_label_set(tiny_voc)
    save_label(label_set, "photo_1", drawn(1, (48, 40), (0, 8)), base_version="")
    assert label_set.states()["photo_1"] == "started"
    dataset = open_dataset(tiny_voc)
    assert not {"photo_1", "photo_2"} & {s.name for samples in dataset.splits.values() for s in samples}
    assert (lists / "test.txt").read_text() == ""
    assert (lists.parent / "Segmentation-before" / "train.txt").read_text().split()[1] == "photo_1"
    split = mark_done(label_set, "photo_1")
    assert {"photo_1"} <= {s.name for s in open_dataset(tiny_voc).split(split)}
    assert {"photo_1"} <= {s.name for s in open_dataset(tiny_voc).split("trainval")}


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda file: file.write_bytes(b"junk"), "cannot be read"),
        (lambda file: write_mask(file, drawn(1, (5, 5))), "5 x 5 px, but its photo is 31 x 17 px"),
        (lambda file: write_mask(file, drawn(1, ids=(0, 7))), "holds id 7, but the classes go from 0 to 2"),
        (lambda file: Image.new("RGB", (31, 17)).save(file), "not a mask of class ids"),
    ],
)
def test_a_mask_that_cannot_be_drawn_on_is_one_sentence_and_can_be_started_over(
    leaves: LabelSet, spoil: object, says: str
) -> None:
    mark_done(leaves, "b")
    file = leaves.mask_dir / "a.png"
    spoil(file)  # type: ignore[operator]
    spoilt = file.read_bytes()
    mark_done(leaves, "a")
    with pytest.raises(DataError, match=says):
        read_label(leaves, "a")
    remove_label(leaves, "a")
    assert leaves.states()["a"] == "unlabelled"
    assert not read_label(leaves, "a").mask_HW.any()
    (kept,) = history(leaves, "a")
    assert kept.file.read_bytes() == spoilt
    assert [s.name for samples in open_dataset(leaves.root).splits.values() for s in samples] == ["b"]


@pytest.mark.parametrize("spoil", [Path.unlink, lambda photo: Image.new("RGB", (9, 9)).save(photo)])
def test_what_was_drawn_on_a_photo_that_is_gone_or_another_is_in_the_history(leaves: LabelSet, spoil: object) -> None:
    version = save_label(leaves, "a", drawn(1), base_version="")
    spoil(leaves.photos["a"])  # type: ignore[operator]
    with pytest.raises(KeptInHistoryError, match="What was drawn is in the history of 'a'"):
        save_label(leaves, "a", drawn(2), base_version=version)
    np.testing.assert_array_equal(on_disk(leaves, "a"), drawn(1))
    assert [entry.kind for entry in history(leaves, "a")] == ["unsaved"]


@pytest.mark.parametrize("name", ["../a", "a/../b", "", "nobody", "x" * 4000])
def test_a_name_from_the_browser_is_only_looked_up(leaves: LabelSet, name: str) -> None:
    with pytest.raises(DataError, match="no photo called"):
        save_label(leaves, name, drawn(1), base_version="")


def test_a_file_that_cannot_be_written_whole_leaves_the_old_mask(leaves: LabelSet) -> None:
    """As on a full disk: the system refuses to let files grow beyond a size."""
    resource = pytest.importorskip("resource")
    version = save_label(leaves, "a", drawn(1), base_version="")
    before = {file: file.read_bytes() for file in leaves.root.rglob("*") if file.is_file()}
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        with pytest.raises(DataError, match="cannot be written: File too large; make room") as caught:
            save_label(leaves, "a", drawn(2), base_version=version)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "\n" not in str(caught.value)
    assert {file: file.read_bytes() for file in leaves.root.rglob("*") if file.is_file()} == before


def test_a_drawn_id_that_is_no_class_is_refused(leaves: LabelSet) -> None:
    with pytest.raises(DataError, match="holds id 3"):
        save_label(leaves, "a", drawn(1, ids=(0, 3)), base_version="")
    assert leaves.states()["a"] == "unlabelled"


def test_a_mask_that_is_a_link_is_replaced_and_its_target_is_not(leaves: LabelSet, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere.png"
    write_mask(elsewhere, drawn(1))
    (leaves.mask_dir / "a.png").symlink_to(elsewhere)
    before = elsewhere.read_bytes()
    save_label(leaves, "a", drawn(2), base_version=read_label(leaves, "a").version)
    assert elsewhere.read_bytes() == before
    assert [entry.kind for entry in history(leaves, "a")] == ["original"]
    np.testing.assert_array_equal(on_disk(leaves, "a"), drawn(2))


def test_an_augmented_mask_is_kept_and_drawn_on(tiny_voc: Path) -> None:
    """VOC's trainaug: masks in SegmentationClassAug, used where SegmentationClass has none."""
    (tiny_voc / "SegmentationClassAug").mkdir()
    (tiny_voc / "SegmentationClass" / "photo_0.png").rename(tiny_voc / "SegmentationClassAug" / "photo_0.png")
    for split in ("train", "val"):
        file = tiny_voc / "ImageSets" / "Segmentation" / f"{split}.txt"
        file.write_text(file.read_text().replace("photo_0\n", ""))
    label_set = open_label_set(tiny_voc)
    assert label_set.states()["photo_0"] == "done"
    label = read_label(label_set, "photo_0")
    assert label.mask_HW.any()
    save_label(label_set, "photo_0", drawn(1, (48, 40), (0, 8)), base_version=label.version)
    np.testing.assert_array_equal(read_label(label_set, "photo_0").mask_HW, drawn(1, (48, 40), (0, 8)))
    assert [entry.kind for entry in history(label_set, "photo_0")] == ["original"]
