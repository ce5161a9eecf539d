"""What the doctor says of a folder with every fault there is, and of folders without one."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from core.data.dataset import open_dataset
from core.data.demo import write_demo
from core.data.doctor import Report, examine
from core.data.images import mask_image, write_mask
from core.errors import DataError
from core.voc import CLASS_NAMES, VOID
from tests.small_data import CAT, write_list, write_pairs, write_voc

SIZE = (48, 40)
BIRD = CLASS_NAMES.index("bird")


def photo_of(number: int) -> Image.Image:
    """Return coarse noise: no two photos look alike, even to a perceptual hash."""
    coarse_HW3 = np.random.default_rng(1000 + number).integers(0, 256, (8, 9, 3)).astype(np.uint8)
    return Image.fromarray(coarse_HW3).resize(SIZE, Image.Resampling.BICUBIC)


def cat_mask() -> NDArray[np.uint8]:
    mask_HW = np.zeros(SIZE[::-1], dtype=np.uint8)
    mask_HW[8:30, 8:30] = VOID
    mask_HW[10:28, 10:28] = CAT
    return mask_HW


def grey(value: int, *, size: tuple[int, int] = SIZE) -> NDArray[np.uint8]:
    mask_HW = np.zeros(size[::-1], dtype=np.uint8)
    mask_HW[10:28, 10:28] = value
    return mask_HW


class Patient:
    """A sound folder of 20 training and 12 validation pairs, and the files of a pair by its name."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.train = [f"t{number}" for number in range(20)]
        self.val = [f"v{number}" for number in range(12)]
        for folder in ("JPEGImages", "SegmentationClass"):
            (root / folder).mkdir(parents=True)
        for number, name in enumerate([*self.train, *self.val]):
            self.add(number, name)
        self.write_lists()

    def add(self, number: int, name: str) -> None:
        photo_of(number).save(self.photo(name), quality=95)
        write_mask(self.mask(name), cat_mask())

    def write_lists(self) -> None:
        for split, names in (("train", self.train), ("val", self.val), ("trainval", [*self.train, *self.val])):
            write_list(self.root, split, names)

    def photo(self, name: str) -> Path:
        return self.root / "JPEGImages" / f"{name}.jpg"

    def mask(self, name: str) -> Path:
        return self.root / "SegmentationClass" / f"{name}.png"


@pytest.fixture
def patient(tmp_path: Path) -> Patient:
    return Patient(tmp_path / "VOC2012")


class Fault(NamedTuple):
    """What is done to the pair `name`, and the finding it must lead to."""

    kind: str
    severity: str
    name: str
    of: str
    plant: Callable[[Patient, Path], object]


def rewrite(content: Image.Image) -> Callable[[Patient, Path], object]:
    return lambda _, file: content.save(file)


def truncate(_: Patient, file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def turn(patient: Patient, file: Path, *, unturned_mask: bool = False) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    photo_of(int(file.stem[1:])).save(file, exif=exif)
    if not unturned_mask:
        write_mask(patient.mask(file.stem), np.ascontiguousarray(np.rot90(cat_mask())))


def copy_of(name: str) -> Callable[[Patient, Path], object]:
    return lambda patient, file: file.write_bytes(patient.photo(name).read_bytes())


def show_a_bird(_: Patient, file: Path) -> None:
    write_mask(file, np.where(cat_mask() == CAT, BIRD, cat_mask()).astype(np.uint8))


def rename(patient: Patient, file: Path) -> None:
    file.rename(file.with_stem("t15é"))
    patient.mask("t15").rename(patient.mask("t15é"))
    patient.train[15] = "t15é"
    patient.write_lists()


FAULTS = [
    Fault("unreadable photo", "error", "t1", "photo", lambda _, file: file.write_bytes(b"no photo")),
    Fault("unreadable photo", "error", "v1", "photo", truncate),
    Fault("unreadable mask", "error", "t2", "mask", truncate),
    Fault("missing photo", "error", "t3", "photo", lambda _, file: file.unlink()),
    Fault("missing mask", "error", "v3", "mask", lambda _, file: file.unlink()),
    Fault("size mismatch", "error", "t4", "mask", lambda _, file: write_mask(file, grey(CAT, size=(50, 40)))),
    Fault("colour mask", "error", "t5", "mask", rewrite(mask_image(cat_mask()).convert("RGB"))),
    Fault("colour mask", "error", "v5", "mask", rewrite(mask_image(cat_mask()).convert("RGBA"))),
    Fault("stray ids", "error", "t6", "mask", lambda _, file: write_mask(file, grey(21))),
    Fault("binary mask", "error", "t7", "mask", rewrite(Image.fromarray(grey(255)))),
    Fault("deep mask", "error", "t8", "mask", rewrite(Image.fromarray(cat_mask().astype(np.uint16)))),
    Fault("empty mask", "warning", "t9", "mask", lambda _, file: write_mask(file, grey(0))),
    Fault("empty mask", "warning", "v9", "mask", lambda _, file: write_mask(file, grey(VOID))),
    Fault("all void", "error", "t10", "mask", lambda _, file: write_mask(file, np.full((40, 48), VOID, np.uint8))),
    Fault("rotated photo", "warning", "t11", "photo", turn),
    Fault("rotated photo", "error", "t12", "photo", lambda p, file: turn(p, file, unturned_mask=True)),
    Fault("duplicate photo", "error", "v0", "photo", copy_of("t0")),
    Fault("duplicate photo", "warning", "t14", "photo", copy_of("t13")),
    Fault("similar photo", "warning", "v2", "photo", lambda _, file: photo_of(16).save(file, quality=70)),
    Fault("class only in val", "warning", "v4", "mask", show_a_bird),
    Fault("non-ascii name", "warning", "t15", "photo", rename),
]


def told(report: Report) -> set[tuple[str, str, str | None, str]]:
    return {(found.kind, found.severity, found.split, found.file) for found in report.findings}


def test_every_planted_fault_is_found_and_nothing_else(patient: Patient) -> None:
    expected = {("empty split", "error", "extra", "ImageSets/Segmentation/extra.txt")}
    write_list(patient.root, "extra", [])
    for fault in FAULTS:
        file = patient.photo(fault.name) if fault.of == "photo" else patient.mask(fault.name)
        fault.plant(patient, file)
        relative = file.relative_to(patient.root).as_posix().replace("t15", "t15é")
        expected.add((fault.kind, fault.severity, "val" if fault.name[0] == "v" else "train", relative))
    report = examine(patient.root)
    assert told(report) == expected
    assert (report.images, report.masks) == (31, 31), "one of each is missing"
    assert sum(report.counts.values()) == len(report.findings) == len(expected)
    assert [found.severity for found in report.findings] == sorted(found.severity for found in report.findings)


def test_every_detail_is_one_sentence_without_a_line_break(patient: Patient) -> None:
    for fault in FAULTS:
        fault.plant(patient, patient.photo(fault.name) if fault.of == "photo" else patient.mask(fault.name))
    for found in examine(patient.root).findings:
        assert "\n" not in found.detail
        assert found.detail.endswith(".")
        assert ";" in found.detail or ":" in found.detail, "what it does, and the remedy"


def test_a_sound_folder_is_clean_and_progress_is_told(patient: Patient) -> None:
    steps: list[tuple[int, int]] = []
    report = examine(patient.root, lambda done, total: steps.append((done, total)))
    assert report.as_dict() == {"images": 32, "masks": 32, "findings": [], "counts": {}}
    assert steps == [(done, 32) for done in range(1, 33)]


def test_drawn_scenes_are_clean(tmp_path: Path) -> None:
    """With 20 scenes train shows every class that val does; photos of one artist are not taken for copies."""
    report = examine(write_demo(tmp_path, num_train=20, num_val=6))
    assert told(report) == set()
    assert (report.images, report.masks) == (26, 26)


def test_real_photos_have_no_error(voc_animals: Path) -> None:
    report = examine(voc_animals)
    assert (report.images, report.masks) == (1200, 1200)
    assert [found for found in report.findings if found.severity == "error"] == []


def test_without_lists_an_orphan_mask_is_told_and_a_copy_across_the_random_split(tmp_path: Path) -> None:
    names = [f"p{number}" for number in range(10)]
    write_pairs(tmp_path / "images", tmp_path / "masks", names)
    photos = {name: tmp_path / "images" / f"{name}.jpg" for name in names}
    for number, name in enumerate(names):
        photo_of(number).save(photos[name])
        write_mask(tmp_path / "masks" / f"{name}.png", cat_mask())
    dataset = open_dataset(tmp_path)
    taught, judged = dataset.split("train")[0].name, dataset.split("val")[0].name
    photos[judged].write_bytes(photos[taught].read_bytes())
    write_mask(tmp_path / "masks" / "z.png", cat_mask())
    assert told(examine(tmp_path)) == {
        ("missing photo", "error", None, "images/z.jpg"),
        ("duplicate photo", "error", "val", f"images/{judged}.jpg"),
    }


def test_a_single_pair_leaves_val_empty(tmp_path: Path) -> None:
    write_pairs(tmp_path / "images", tmp_path / "masks", ["only"])
    assert told(examine(tmp_path)) == {("empty split", "error", "val", "masks")}


def test_a_name_in_both_splits_or_twice_in_one_is_a_duplicate(patient: Patient) -> None:
    patient.val.append("t2")
    patient.train.append("t5")
    patient.write_lists()
    assert told(examine(patient.root)) == {
        ("duplicate photo", "error", "train", "JPEGImages/t2.jpg"),
        ("duplicate photo", "warning", "train", "JPEGImages/t5.jpg"),
    }


def test_a_missing_list_is_an_empty_split_and_photos_without_truth_are_none(patient: Patient) -> None:
    (patient.root / "ImageSets" / "Segmentation" / "val.txt").unlink()
    write_list(patient.root, "test", ["unseen_1", "unseen_2"])
    assert told(examine(patient.root)) == {("empty split", "error", "val", "ImageSets/Segmentation/val.txt")}


def flat_photos() -> Iterator[Image.Image]:
    return (Image.new("RGB", SIZE, (value, value, value)) for value in (20, 120, 220))


def test_flat_photos_of_other_brightness_are_not_similar(patient: Patient) -> None:
    """A flat photo has the same difference hash as any other one."""
    for name, photo in zip(("t0", "v0", "v1"), flat_photos(), strict=True):
        photo.save(patient.photo(name))
    assert told(examine(patient.root)) == set()


def test_damaged_exif_is_reported_and_not_raised(patient: Patient) -> None:
    """Pillow reads the pixels of such a file, and raises struct.error once it is turned upright."""
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "maker", 6
    photo_of(1).save(patient.photo("t1"), exif=exif)
    whole = patient.photo("t1").read_bytes()
    patient.photo("t1").write_bytes(whole.replace(b"\x01\x0f\x00\x02", b"\x01\x00\x00\x02"))  # a width of "maker"
    assert told(examine(patient.root)) == {("unreadable photo", "error", "train", "JPEGImages/t1.jpg")}


@pytest.mark.parametrize("layout", ["nothing", "photos only", "no masks", "missing"])
def test_a_folder_that_is_no_data_set_raises(tmp_path: Path, layout: str) -> None:
    root = tmp_path / "data"
    if layout != "missing":
        root.mkdir()
    if layout in ("photos only", "no masks"):
        (root / "images").mkdir()
        photo_of(0).save(root / "images" / "a.jpg")
    if layout == "no masks":
        (root / "masks").mkdir()
    with pytest.raises(DataError, match="data"):
        examine(root)


def test_a_list_in_which_no_photo_has_a_mask_is_told_for_train(tmp_path: Path) -> None:
    root = write_voc(tmp_path / "VOC2012")
    for number in range(4):
        (root / "SegmentationClass" / f"photo_{number}.png").unlink()
    assert examine(root).counts["missing mask"] == 4
