"""What the repair makes of a folder with every fault there is, of each fault alone, and of sets of one odd form."""

import csv
import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from core.__main__ import main
from core.classes import Classes
from core.data.dataset import open_dataset
from core.data.doctor import examine
from core.data.images import mask_image, read_mask, read_photo, write_mask
from core.data.repair import RepairReport, repair
from core.data.stats import split_stats
from core.errors import DataError, RunError
from core.voc import VOID
from tests.faulty_data import (
    BIRD,
    FAULTS,
    OWN_PALETTE,
    SIZE,
    Fault,
    Patient,
    cat_mask,
    grey,
    levels,
    luminance,
    photo_of,
)
from tests.small_data import CAT, DOG, write_list, write_pairs

ASIDE = {  # what only a guess could mend, and copies
    "t1", "v1", "t2", "t3", "v3", "t4", "t6", "t7", "t20", "t22", "t9", "v9", "t10", "v0", "t14", "v2", "t29",
}  # fmt: skip


@pytest.fixture
def patient(tmp_path: Path) -> Patient:
    return Patient(tmp_path / "VOC2012")


def hashes(root: Path) -> dict[str, str]:
    files = (file for file in sorted(root.rglob("*")) if file.is_file())
    return {str(file.relative_to(root)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def names_in(out: Path) -> dict[str, set[str]]:
    return {split: {sample.name for sample in samples} for split, samples in open_dataset(out).splits.items()}


def check_copy(out: Path, report: RepairReport) -> None:
    """The doctor has nothing to say, every pair can be read for training, and what was done is in the file."""
    assert examine(out).findings == ()
    dataset = open_dataset(out)
    assert (dataset.root, report.root) == (out, out)
    for split in ("train", "val"):
        assert split_stats(dataset.split(split), dataset.class_names).images == len(dataset.split(split)) > 0
    assert report.images == len(set().union(*names_in(out).values()))
    with (out / "repair.csv").open(newline="") as file:
        assert list(csv.DictReader(file)) == [vars(change) for change in report.changes]
    assert not list(out.parent.glob(".*part"))


def mend_all(patient: Patient, mask_of: "dict[str, Image.Image]", out: Path) -> RepairReport:
    """Give every pair one of these masks by the letter of its number, and repair."""
    pictures = list(mask_of.values())
    for number, name in enumerate([*patient.train, *patient.val]):
        pictures[number % len(pictures)].save(patient.mask(name))
    report = repair(patient.root, out)
    check_copy(out, report)
    return report


def mask_in(out: Path, name: str) -> NDArray[np.uint8]:
    return read_mask(out / "SegmentationClass" / f"{name}.png", open_dataset(out).num_classes)


def test_a_copy_of_a_folder_with_every_fault_is_sound_and_the_originals_untouched(
    patient: Patient, tmp_path: Path
) -> None:
    for fault in FAULTS:
        fault.plant_in(patient)
    before, out = hashes(patient.root), tmp_path / "repaired"
    steps: list[tuple[int, int]] = []
    report = repair(patient.root, out, lambda done, total: steps.append((done, total)))
    check_copy(out, report)
    assert hashes(patient.root) == before
    assert report.source == examine(patient.root)
    assert steps == sorted(steps)
    assert steps[-1] == (51, 51)
    names = names_in(out)
    assert names["train"] == {f"t{n}" for n in range(40)} - ASIDE - {"t15", "t30"} | {"t15e", "v4"}
    assert names["val"] == {f"v{n}" for n in range(12)} - ASIDE - {"v4"}
    assert names["trainval"] == names["train"] | names["val"]


@pytest.mark.parametrize("fault", FAULTS, ids=[f"{fault.kind} {fault.name}" for fault in FAULTS])
def test_a_copy_of_a_folder_with_one_fault_is_sound(patient: Patient, tmp_path: Path, fault: Fault) -> None:
    fault.plant_in(patient)
    report = repair(patient.root, tmp_path / "out")
    check_copy(tmp_path / "out", report)
    assert report.changes, "something was told of it"
    is_aside = fault.name in ASIDE or fault.kind == "unlisted pairs"
    assert report.images == 52 - is_aside
    aside = [change for change in report.changes if change.action in ("set aside", "left out")]
    hidden = fault.kind in ("two photos of one name", "empty split")
    assert len(aside) == (is_aside or hidden)


def test_a_sound_folder_is_copied_byte_for_byte(patient: Patient, tmp_path: Path) -> None:
    report = repair(patient.root, tmp_path / "out")
    assert report.changes == ()
    copied = hashes(tmp_path / "out")
    assert copied.pop("repair.csv")
    assert copied == hashes(patient.root)


@pytest.mark.parametrize("name", ["t5", "v5", "t18", "t8", "t19", "t21", "t17", "t12", "v6", "v7", "t26"])
def test_a_mended_mask_is_what_it_was_before_the_fault(patient: Patient, tmp_path: Path, name: str) -> None:
    for fault in FAULTS:
        fault.plant_in(patient)
    repair(patient.root, tmp_path / "out")
    expected = np.rot90(cat_mask(), -1) if name == "t12" else cat_mask()
    assert (mask_in(tmp_path / "out", name) == expected).all()


def test_photos_keep_their_bytes_unless_they_must_be_turned_or_are_of_other_formats(
    patient: Patient, tmp_path: Path
) -> None:
    for fault in FAULTS:
        fault.plant_in(patient)
    repair(patient.root, tmp_path / "out")
    photos = tmp_path / "out" / "JPEGImages"
    assert (photos / "t23.jpg").read_bytes() == patient.photo("t23").with_suffix(".JPG").read_bytes()
    assert (photos / "t24.png").read_bytes() == patient.photo("t24").read_bytes(), "a PNG that was named .jpg"
    assert (photos / "t15e.jpg").read_bytes() == (patient.root / "JPEGImages" / "t15é.jpg").read_bytes()
    assert (np.asarray(read_photo(photos / "t25.png")) == np.asarray(photo_of(25))).all(), "a BMP becomes a PNG"
    assert read_photo(photos / "t11.jpg").size == SIZE[::-1]
    with Image.open(photos / "t11.jpg") as photo:
        assert dict(photo.getexif()) == {}


def test_what_is_set_aside_lies_there_with_its_reason(patient: Patient, tmp_path: Path) -> None:
    for fault in FAULTS:
        fault.plant_in(patient)
    out = tmp_path / "out"
    report = repair(patient.root, out)
    reasons = {change.file: change.detail for change in report.changes if change.action == "set aside"}
    assert {Path(file).stem for file in reasons} == ASIDE | {"t28"}
    assert {file.stem for file in (out / "set_aside" / "masks").iterdir()} == ASIDE - {"v3"}
    assert {file.stem for file in (out / "set_aside" / "photos").iterdir()} == ASIDE - {"t3"} | {"t28"}
    assert reasons["JPEGImages/t4.jpg"] == "its 50 x 40 px have another shape than the photo's 48 x 40 px"
    assert reasons["JPEGImages/v0.jpg"] == "duplicate photo: a copy of t0"
    assert "empty" in reasons["JPEGImages/t9.jpg"]
    kept = {file.stem for file in (out / "JPEGImages").iterdir()}
    assert kept == {file.stem for file in (out / "SegmentationClass").iterdir()}
    assert len(kept) == report.images


# --- sets of one form -----------------------------------------------------------------------------------------------


def test_a_set_of_0_255_masks_becomes_background_and_object(patient: Patient, tmp_path: Path) -> None:
    mend_all(patient, {"a": Image.fromarray(grey(255))}, tmp_path / "out")
    assert open_dataset(tmp_path / "out").class_names == ("background", "object")
    assert (mask_in(tmp_path / "out", "t3") == grey(1)).all()


def test_a_0_255_mask_is_the_second_of_two_named_classes(patient: Patient, tmp_path: Path) -> None:
    (patient.root / "classes.txt").write_text("background\nleaf #00ff00\n")
    mend_all(patient, {"a": Image.fromarray(grey(255)), "b": Image.fromarray(grey(1))}, tmp_path / "out")
    assert open_dataset(tmp_path / "out").classes == Classes(("background", "leaf"), ("#000000", "#00ff00"))
    assert (mask_in(tmp_path / "out", "t4") == grey(1)).all()


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA", "I;16"])
def test_grey_levels_of_any_depth_are_numbered_over_the_whole_set(patient: Patient, tmp_path: Path, mode: str) -> None:
    """No mask but one shows all four levels; 170 is class 2 in all of them."""

    def picture(*values: int) -> Image.Image:
        mask_HW = levels(*values)
        if mode == "I;16":
            return Image.fromarray(mask_HW.astype(np.uint16) * 257)
        return Image.fromarray(mask_HW).convert(mode)

    pictures = {"a": picture(0, 170), "b": picture(0, 85, 170, 255), "c": picture(0, 255), "d": picture(0, 85)}
    mend_all(patient, pictures, tmp_path / "out")
    assert open_dataset(tmp_path / "out").class_names == ("background", "class 1", "class 2", "class 3")
    for name, expected in (("t0", (0, 2)), ("t1", (0, 1, 2, 3)), ("t2", (0, 3)), ("t3", (0, 1))):
        assert (mask_in(tmp_path / "out", name) == levels(*expected)).all()


def test_grey_levels_follow_named_classes_and_255_may_be_void(patient: Patient, tmp_path: Path) -> None:
    (patient.root / "classes.txt").write_text("background\nleaf\nstem\n")
    mend_all(patient, {"a": Image.fromarray(levels(0, 60, 120, 255))}, tmp_path / "out")
    assert (mask_in(tmp_path / "out", "t0") == levels(0, 1, 2, VOID)).all()


def test_luminances_of_voc_s_colours_are_recognised(patient: Patient, tmp_path: Path) -> None:
    dog = mask_image(np.where(cat_mask() == CAT, DOG, cat_mask()).astype(np.uint8)).convert("RGB").convert("L")
    mend_all(patient, {"a": luminance(), "b": dog, "c": Image.fromarray(grey(19))}, tmp_path / "out")
    assert not (tmp_path / "out" / "classes.txt").exists()
    assert set(np.unique(mask_in(tmp_path / "out", "t1"))) == {0, DOG, VOID}
    assert (mask_in(tmp_path / "out", "t2") == grey(CAT)).all()


def test_colours_of_voc_s_palette_are_its_classes(patient: Patient, tmp_path: Path) -> None:
    bird = mask_image(grey(BIRD)).convert("RGB")
    mend_all(patient, {"a": mask_image(cat_mask()).convert("RGB"), "b": bird}, tmp_path / "out")
    assert (mask_in(tmp_path / "out", "t0") == cat_mask()).all()
    assert (mask_in(tmp_path / "out", "t1") == grey(BIRD)).all()
    assert not (tmp_path / "out" / "classes.txt").exists()


def colored(mask_HW: NDArray[np.uint8], *colors: tuple[int, int, int]) -> Image.Image:
    return Image.fromarray(np.array(colors, dtype=np.uint8)[mask_HW])


def test_unknown_colours_are_numbered_by_frequency_with_black_as_background(patient: Patient, tmp_path: Path) -> None:
    pictures = {"a": colored(levels(0, 1, 2, 2), (0, 0, 0), (250, 1, 2), (3, 240, 4))}
    mend_all(patient, pictures, tmp_path / "out")
    classes = open_dataset(tmp_path / "out").classes
    assert classes == Classes(("background", "class 1", "class 2"), ("#000000", "#03f004", "#fa0102"))
    assert (mask_in(tmp_path / "out", "t0") == levels(0, 2, 1, 1)).all()


def test_a_table_tells_what_colours_mean(patient: Patient, tmp_path: Path) -> None:
    table = Classes(("ground", "leaf", "stem"), ("#010101", "#fa0102", "#03f004"))
    for name in [*patient.train, *patient.val]:
        colored(levels(0, 1, 2), (1, 1, 1), (250, 1, 2), (3, 240, 4)).save(patient.mask(name))
    colored(levels(0, 1, 2), (1, 1, 1), (250, 1, 2), (9, 9, 90)).save(patient.mask("t1"))
    report = repair(patient.root, tmp_path / "out", table=table)
    check_copy(tmp_path / "out", report)
    assert open_dataset(tmp_path / "out").classes == table
    assert (mask_in(tmp_path / "out", "t0") == levels(0, 1, 2)).all()
    aside = {change.file: change.detail for change in report.changes if change.action == "set aside"}
    assert aside == {"JPEGImages/t1.jpg": "33.3 % of its pixels have colours without a known class"}


def test_a_palette_of_its_own_gives_numbered_classes_a_file(patient: Patient, tmp_path: Path) -> None:
    for name in [*patient.train, *patient.val]:
        write_mask(patient.mask(name), levels(0, 1, 1), OWN_PALETTE)
    check_copy(tmp_path / "out", repair(patient.root, tmp_path / "out"))
    classes = open_dataset(tmp_path / "out").classes
    assert (classes.names[:2], classes.colors[1]) == (("background", "class 1"), "#c80a3c")
    assert (mask_in(tmp_path / "out", "t0") == levels(0, 1, 1)).all()


def test_a_few_stray_pixels_become_void_and_that_is_said(patient: Patient, tmp_path: Path) -> None:
    mask_HW = cat_mask()
    mask_HW[0, :5] = 99
    write_mask(patient.mask("t3"), mask_HW)
    report = repair(patient.root, tmp_path / "out")
    check_copy(tmp_path / "out", report)
    assert [vars(change) for change in report.changes] == [
        {
            "file": "SegmentationClass/t3.png",
            "action": "mask mended",
            "detail": "0.26 % of pixels of unknown ids made void",
        }
    ]
    assert (mask_in(tmp_path / "out", "t3")[0, :6] == [VOID] * 5 + [0]).all()


# --- splits ---------------------------------------------------------------------------------------------------------


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
    check_copy(tmp_path / "out", repair(tmp_path / "in", tmp_path / "out"))
    found = {file.stem for file in (tmp_path / "out" / "JPEGImages").iterdir()}
    assert found == {"a_b", "a_b_2", "e", "e_2", "photo_1", "photo_2", "x1", "x2", "x3"}


# --- what is refused ------------------------------------------------------------------------------------------------


def test_a_copy_within_the_data_or_over_something_is_refused(patient: Patient, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="lies in the data set itself"):
        repair(patient.root, patient.root / "JPEGImages" / "out")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    with pytest.raises(DataError, match="nothing is overwritten"):
        repair(patient.root, tmp_path / "out")
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["mine.txt"]


def test_nothing_is_left_where_nothing_can_be_used(patient: Patient, tmp_path: Path) -> None:
    for name in [*patient.train, *patient.val[1:]]:
        patient.mask(name).unlink()
    with pytest.raises(DataError, match="Only 1 of the 52 pairs"):
        repair(patient.root, tmp_path / "out")
    assert [file.name for file in tmp_path.iterdir()] == ["VOC2012"]


@pytest.mark.parametrize("at", [60, 100])
def test_a_stop_on_the_way_leaves_nothing(patient: Patient, tmp_path: Path, at: int) -> None:
    calls = 0

    def stop(_done: int, _total: int) -> None:
        nonlocal calls
        calls += 1
        if calls == at:
            raise RunError("It was stopped on request.")

    with pytest.raises(RunError):
        repair(patient.root, tmp_path / "out", stop)
    assert [file.name for file in tmp_path.iterdir()] == ["VOC2012"]


def test_the_report_is_json(patient: Patient, tmp_path: Path) -> None:
    patient.mask("t1").unlink()
    document = repair(patient.root, tmp_path / "out").as_dict()
    assert json.loads(json.dumps(document)) == {
        "data": str(tmp_path / "out"),
        "images": 51,
        "changes": [{"file": "JPEGImages/t1.jpg", "action": "set aside", "detail": "missing mask"}],
    }


def test_the_command_tells_what_was_found_and_what_was_changed(
    patient: Patient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    patient.mask("t1").unlink()
    before = hashes(patient.root)
    arguments = ["core", "doctor", str(patient.root), "--repair", str(tmp_path / "out")]
    monkeypatch.setattr(sys, "argv", [*arguments, "--json"])
    assert main() == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["counts"], document["repaired"]["images"]) == ({"missing mask": 1}, 51)
    assert document["repaired"]["data"] == str(tmp_path / "out")
    assert hashes(patient.root) == before, "no stored analysis either"
    monkeypatch.setattr(sys, "argv", arguments)
    assert main() == 1
    assert "nothing is overwritten" in capsys.readouterr().err
    monkeypatch.setattr(sys, "argv", [*arguments[:-1], str(tmp_path / "two"), "--job", str(tmp_path / "job")])
    assert main() == 0
    assert "  set aside         JPEGImages/t1.jpg: missing mask\n" in capsys.readouterr().out
    assert json.loads((tmp_path / "job" / "progress.json").read_text())["done"] == 52
