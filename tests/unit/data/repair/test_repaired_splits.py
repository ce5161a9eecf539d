"""What the repair makes of splits: copies across them, scenes, lists that are empty or wrong."""

import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.classes import VOC_CLASSES, write_classes
from core.data.dataset import LISTS, open_dataset
from core.data.doctor.pair_checks import ExaminedPair, PhotoFacts
from core.data.doctor.problems import Entry
from core.data.images import write_mask
from core.data.repair.repaired_copy import repair
from core.data.repair.repaired_splits import Splits, settle
from tests.faulty_data import BIRD, SIZE, Patient, cat_mask, examine, grey, photo_of, show_a_bird
from tests.small_data import write_list, write_pairs
from tests.unit.data.repair.repaired import check_copy, mask_in, names_in


def test_where_all_of_val_is_copied_train_gives_the_copies_up(patient: Patient, tmp_path: Path) -> None:
    for number, name in enumerate(patient.val):
        patient.photo(name).write_bytes(patient.photo(f"t{number}").read_bytes())
    report = repair(patient.root, tmp_path / "out")
    check_copy(tmp_path / "out", report)
    assert names_in(tmp_path / "out")["val"] == set(patient.val)
    assert len(names_in(tmp_path / "out")["train"]) == 40 - 12
    assert "which val would be empty without" in report.changes[0].detail


@pytest.mark.parametrize("val", [[], ["t1"], [f"t{number}" for number in range(40)]])
def test_an_empty_val_or_one_that_is_train_gets_pairs_of_its_own(
    patient: Patient, tmp_path: Path, val: list[str]
) -> None:
    patient.val = val
    patient.write_lists()
    check_copy(tmp_path / "out", repair(patient.root, tmp_path / "out"))
    names = names_in(tmp_path / "out")
    assert names["train"] | names["val"] == set(patient.train)
    assert not names["train"] & names["val"]


def test_the_only_photo_of_val_is_swapped_for_one_that_train_can_spare(patient: Patient, tmp_path: Path) -> None:
    patient.val = ["v4"]
    patient.write_lists()
    write_mask(patient.mask("v4"), grey(BIRD))
    check_copy(tmp_path / "out", repair(patient.root, tmp_path / "out"))
    names = names_in(tmp_path / "out")
    assert "v4" in names["train"]
    assert len(names["val"]) == 1


def without_lists(patient: Patient) -> None:
    """Take the lists away, and show a bird in two photos that the random split has in train."""
    shutil.rmtree(patient.root / "ImageSets")
    for sample in open_dataset(patient.root).splits["train"][:2]:
        show_a_bird(patient, sample.mask)


def birds_in(out: Path) -> dict[str, int]:
    """Count the photos with a bird in train and val of a copy."""
    return {split: sum(BIRD in mask_in(out, sample.name) for sample in open_dataset(out).split(split))
            for split in ("train", "val")}  # fmt: skip


def test_a_split_that_nobody_chose_is_stratified(patient: Patient, tmp_path: Path) -> None:
    """The random split was frozen into lists: a class of two photos was in train only, so that nothing scored it."""
    without_lists(patient)
    report = repair(patient.root, tmp_path / "out")
    check_copy(tmp_path / "out", report)
    assert birds_in(tmp_path / "out") == {"train": 1, "val": 1}
    assert [change.action for change in report.changes] == ["split anew"]
    again = repair(patient.root, tmp_path / "again")
    assert (again.changes, names_in(tmp_path / "again")) == (report.changes, names_in(tmp_path / "out"))


def test_lists_that_somebody_chose_are_kept_unless_a_split_is_asked_for(patient: Patient, tmp_path: Path) -> None:
    for name in patient.train[:2]:
        show_a_bird(patient, patient.mask(name))
    before = {file.name: file.read_bytes() for file in (patient.root / LISTS).iterdir()}
    assert repair(patient.root, tmp_path / "out").changes == ()
    assert {file.name: file.read_bytes() for file in (tmp_path / "out" / LISTS).iterdir()} == before
    assert examine(tmp_path / "out").counts == {"class missing in val": 1}
    report = repair(patient.root, tmp_path / "anew", split_anew=True)
    check_copy(tmp_path / "anew", report)
    assert birds_in(tmp_path / "anew") == {"train": 1, "val": 1}
    assert [change.action for change in report.changes] == ["split anew"]


def test_a_folder_with_one_list_called_otherwise_is_split(patient: Patient, tmp_path: Path) -> None:
    """CVAT lists all photos in default.txt, and the repair said "Only 0 of the 8 pairs can be used"."""
    without_lists(patient)
    write_list(patient.root, "default", [*patient.train, *patient.val])
    check_copy(tmp_path / "out", repair(patient.root, tmp_path / "out"))
    assert birds_in(tmp_path / "out") == {"train": 1, "val": 1}
    names = names_in(tmp_path / "out")
    assert names["default"] == names["train"] | names["val"] == {*patient.train, *patient.val}


def test_scenes_kept_together_leave_every_class_in_val(tmp_path: Path) -> None:
    """Two scenes alone show birds; the one whose frame was given to val went back to train with the others of it."""
    for birds in ([0, 1], [2, 3], [4, 5], [0, 4]):
        scene_of_each = [scene for scene in range(10) for _ in range(6)]
        class_of = {number: 7 for number, scene in enumerate(scene_of_each) if scene in birds}
        splits = settled(scene_of_each, set(), class_of)
        parts = {split: {scene_of_each[int(name[1:])] for name in names} for split, names in splits.names.items()}
        assert not parts["train"] & parts["val"]
        assert len(parts["val"] & set(birds)) == 1


def test_repeated_lines_and_photos_without_truth_leave_the_lists(patient: Patient, tmp_path: Path) -> None:
    patient.train.append("t5")
    patient.write_lists()
    write_list(patient.root, "test", ["unseen"])
    report = repair(patient.root, tmp_path / "out")
    check_copy(tmp_path / "out", report)
    assert [(change.file.rpartition("/")[2], change.action) for change in report.changes] == [
        ("test.txt", "left out"),
        ("train.txt", "line removed"),
        ("trainval.txt", "line removed"),
    ]


def test_names_are_made_plain_and_stay_apart(tmp_path: Path) -> None:
    names = ["a b", "a_b", "é", "e", "кот", "狗", "x1", "x2", "x3"]
    write_pairs(tmp_path / "in" / "images", tmp_path / "in" / "masks", names)
    for number, name in enumerate(names):
        photo_of(number).save(tmp_path / "in" / "images" / f"{name}.jpg")
        write_mask(tmp_path / "in" / "masks" / f"{name}.png", cat_mask())
    write_classes(tmp_path / "in", VOC_CLASSES)
    check_copy(tmp_path / "out", repair(tmp_path / "in", tmp_path / "out"))
    found = {file.stem for file in (tmp_path / "out" / "JPEGImages").iterdir()}
    assert found == {"a_b", "a_b_2", "e", "e_2", "photo_1", "photo_2", "x1", "x2", "x3"}


def frame_of(scene: int, number: int) -> Image.Image:
    """Return a photo of a scene with some noise: no two frames have the same bytes."""
    photo_HW3 = np.asarray(photo_of(scene)).astype(int)
    noise_HW3 = np.random.default_rng(number).integers(-2, 3, photo_HW3.shape)
    return Image.fromarray((photo_HW3 + noise_HW3).clip(0, 255).astype(np.uint8))


def write_frames(root: Path, scenes: list[int]) -> list[str]:
    """Write a folder of photos and masks without lists: one frame of each of these scenes; return the names."""
    names = [f"scene_{scene}_{number:03}" for number, scene in enumerate(scenes)]
    write_pairs(root / "images", root / "masks", names)
    for number, (scene, name) in enumerate(zip(scenes, names, strict=True)):
        frame_of(scene, number).save(root / "images" / f"{name}.jpg", quality=95)
        write_mask(root / "masks" / f"{name}.png", cat_mask())
    write_classes(root, VOC_CLASSES)
    return names


def test_frames_of_one_scene_all_stay_and_that_is_said(tmp_path: Path) -> None:
    """The warning that photos look alike set 39 of 40 aside, and the repair failed: "Only 1 of the 40 pairs"."""
    write_frames(tmp_path / "in", [0] * 40)
    report = repair(tmp_path / "in", tmp_path / "out")
    check_copy(tmp_path / "out", report, may_stay=("similar photo",))
    assert {split: len(names) for split, names in names_in(tmp_path / "out").items()} == {"train": 32, "val": 8}
    assert [(change.file, change.action) for change in report.changes] == [
        ("ImageSets/Segmentation", "split anew"),
        ("ImageSets/Segmentation", "left as they are"),
    ]


def test_scenes_stay_together_and_no_photo_is_lost(tmp_path: Path) -> None:
    """Of five scenes with 12 frames each, 48 of 60 photos were set aside and val was filled from train twice."""
    written = write_frames(tmp_path / "in", [scene for scene in range(5) for _ in range(12)])
    report = repair(tmp_path / "in", tmp_path / "out")
    check_copy(tmp_path / "out", report)
    names = names_in(tmp_path / "out")
    assert names["train"] | names["val"] == set(written)
    assert (len(names["train"]), len({name[:7] for name in names["val"]})) == (48, 1)
    again = repair(tmp_path / "in", tmp_path / "again")
    assert again.changes == report.changes
    assert [change.action for change in report.changes] == ["split anew"]


def test_a_scene_that_would_leave_a_part_too_small_is_parted(tmp_path: Path) -> None:
    """All but one photo are of one scene: kept together they would leave that one photo to judge by."""
    written = write_frames(tmp_path / "in", [0] * 39 + [1])
    report = repair(tmp_path / "in", tmp_path / "out")
    check_copy(tmp_path / "out", report, may_stay=("similar photo",))
    assert len(names_in(tmp_path / "out")["train"]) == 32
    assert report.images == len(written)


def settled(scene_of_each: list[int], in_val: set[int], class_of: "dict[int, int] | None" = None) -> Splits:
    """Settle pairs as if read, in train unless their number is in val, of scenes and with classes by number."""
    rng = np.random.default_rng(0)
    greys = {scene: rng.integers(0, 256, (8, 9)).astype(np.int16) for scene in dict.fromkeys(scene_of_each)}
    names: dict[str, list[str]] = {"train": [], "val": []}
    pairs = []
    for number, scene in enumerate(scene_of_each):
        split = "val" if number in in_val else "train"
        names[split].append(f"p{number}")
        entry = Entry(f"p{number}", (split,), Path(f"p{number}.jpg"), Path(f"p{number}.png"))
        photo = PhotoFacts("JPEG", SIZE, SIZE, 1, str(number).encode(), greys[scene])
        pairs.append(ExaminedPair(entry, (), photo, None, frozenset((0, (class_of or {}).get(number, 1))), None))
    return settle(pairs, names)


@pytest.mark.parametrize("is_one_scene", [True, False])
@pytest.mark.parametrize("num_val", [0, 2000])
def test_ten_thousand_photos_are_settled_in_seconds(*, is_one_scene: bool, num_val: int) -> None:
    """Val was filled photo by photo, all of train sorted for each: 71 s for 10,000; 2,000 of one scene took 105 s."""
    scene_of_each = [0 if is_one_scene else number for number in range(10_000)]
    began_s = time.process_time()
    splits = settled(scene_of_each, set(range(num_val)))
    assert time.process_time() - began_s < 10
    assert (len(splits.names["train"]), len(splits.names["val"]), splits.aside) == (8000, 2000, {})


def test_a_scene_goes_to_train_whole_for_a_class_that_it_alone_shows() -> None:
    splits = settled([0] * 4 + [1] * 4 + list(range(10, 42)), set(range(8)), class_of={0: 7})
    assert {f"p{number}" for number in range(4)} <= set(splits.names["train"])
    assert {f"p{number}" for number in range(4, 8)} <= set(splits.names["val"])
    assert splits.aside == {}


def test_another_list_to_train_on_loses_the_names_of_val(patient: Patient, tmp_path: Path) -> None:
    patient.add(99, "more")
    patient.add(98, "twin")
    patient.photo("twin").write_bytes(patient.photo("v3").read_bytes())
    write_list(patient.root, "trainaug", [*patient.train, *patient.val, "more", "twin"])
    report = repair(patient.root, tmp_path / "out")
    check_copy(tmp_path / "out", report)
    names = names_in(tmp_path / "out")
    assert names["trainaug"] == {*patient.train, "more"}
    assert names["val"] == set(patient.val)
    assert [(change.file, change.action) for change in report.changes] == [
        ("JPEGImages/twin.jpg", "set aside"),
        ("ImageSets/Segmentation/trainaug.txt", "lines removed"),
    ]
