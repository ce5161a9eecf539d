"""What the repair makes of a folder with every fault there is and of each fault alone, and what it refuses."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.__main__ import main
from core.data.dataset import open_dataset
from core.data.images import read_photo
from core.data.repair.repaired_copy import repair, would_mend
from core.errors import DataError, RunError
from tests.faulty_data import FAULTS, SIZE, Fault, Patient, cat_mask, examine, photo_of
from tests.unit.data.repair.repaired import check_copy, hashes, mask_in, names_in

ASIDE = {  # what only a guess could mend, and copies
    "t1", "v1", "t2", "t3", "v3", "t4", "t6", "t7", "t20", "t22", "t10", "v0", "t14",
}  # fmt: skip


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
    kept = {f"{split}{n}" for split, count in (("t", 40), ("v", 12)) for n in range(count)} - ASIDE - {"t15", "t30"}
    assert names["train"] | names["val"] == kept | {"t15e"}
    assert ({"v2", "v4"} <= names["val"], len(names["train"]), len(names["val"])) == (True, 29, 9)
    assert names["trainval"] == names["train"] | names["val"]


@pytest.mark.parametrize("fault", FAULTS, ids=[f"{fault.kind} {fault.name}" for fault in FAULTS])
def test_a_copy_of_a_folder_with_one_fault_is_sound(patient: Patient, tmp_path: Path, fault: Fault) -> None:
    fault.plant_in(patient)
    report = repair(patient.root, tmp_path / "out")
    check_copy(tmp_path / "out", report)
    stays = ("empty mask", "class missing in val", "class only in val", "similar photo")
    assert bool(report.changes) == (fault.kind not in stays)
    if fault.kind not in ("unlisted pairs", "unnamed classes"):
        assert would_mend(report.source) == (fault.kind not in stays), "Dataset recommends it only then"
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
    assert copied.pop("classes.txt"), "the names of VOC, whose folder the copy is not"
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
    kept = {file.stem for file in (out / "JPEGImages").iterdir()}
    assert kept == {file.stem for file in (out / "SegmentationClass").iterdir()}
    assert len(kept) == report.images


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
    with pytest.raises(DataError, match="Only 1 of 52 pairs of "):
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
    assert json.loads((tmp_path / "job" / "progress.json").read_text())["is_over"]


def test_a_copy_of_classes_without_names_has_none_whatever_its_photos_are_called(tmp_path: Path) -> None:
    """The copy has VOC's layout, so photos called as VOC's made its first classes aeroplane and bicycle."""
    for folder in ("images", "masks"):
        (tmp_path / "mine" / folder).mkdir(parents=True)
    for number in range(6):
        photo_of(number).save(tmp_path / "mine" / "images" / f"2008_{number:06}.jpg")
        mask = Image.fromarray(np.full(SIZE[::-1], number % 3, dtype=np.uint8))
        mask.save(tmp_path / "mine" / "masks" / f"2008_{number:06}.png")
    repair(tmp_path / "mine", tmp_path / "VOC2012")
    copy = open_dataset(tmp_path / "VOC2012")
    assert (copy.class_names[:3], copy.has_named_classes) == (("background", "class 1", "class 2"), False)
