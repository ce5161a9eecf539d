"""A data set as small as it is sick: sound pairs, and every fault that the doctor knows to plant into them."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.data.dataset import read_contents
from core.data.doctor import diagnosis
from core.data.images import mask_image, write_mask
from core.jobs import OnProgress
from core.voc import CLASS_NAMES, VOID
from tests.small_data import CAT, DOG, write_list

SIZE = (48, 40)
BIRD = CLASS_NAMES.index("bird")
OWN_PALETTE = np.array([[0, 0, 0], [200, 10, 60]] + [[value, 90, 7] for value in range(254)], dtype=np.uint8)

TWICE = np.ones((2, 2), np.uint8)


def examine(root: Path, on_progress: OnProgress | None = None) -> diagnosis.Report:
    """Return what the doctor says of a data set as it is now."""
    contents = read_contents(root)
    return diagnosis.report(contents, diagnosis.read_pairs(contents, on_progress))


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


def levels(*values: int) -> NDArray[np.uint8]:
    """Return stripes of these values."""
    return np.repeat(np.array(values, dtype=np.uint8), -(-SIZE[0] // len(values)))[None, : SIZE[0]].repeat(SIZE[1], 0)


class Patient:
    """A sound folder of 40 training and 12 validation pairs, and the files of a pair by its name."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.train = [f"t{number}" for number in range(40)]
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

    def list_as(self, name: str, other: str) -> None:
        """Name a pair otherwise in the lists, or not at all."""
        for names in (self.train, self.val):
            names[:] = [other if listed == name else listed for listed in names if listed != name or other]
        self.write_lists()

    def photo(self, name: str) -> Path:
        return self.root / "JPEGImages" / f"{name}.jpg"

    def mask(self, name: str) -> Path:
        return self.root / "SegmentationClass" / f"{name}.png"


class Fault(NamedTuple):
    """What is done to the pair `name`, and the finding it must lead to, at `file` if that is not the pair's own."""

    kind: str
    severity: str
    name: str
    of: str
    plant: Callable[[Patient, Path], object]
    file: str = ""

    @property
    def expected(self) -> tuple[str, str, str | None, str]:
        own = f"JPEGImages/{self.name}.jpg" if self.of == "photo" else f"SegmentationClass/{self.name}.png"
        split = "val" if self.name[0] == "v" else "train"
        if self.of == "list":
            split = "extra" if self.kind == "empty split" else None
        return self.kind, self.severity, split, self.file or own

    def plant_in(self, patient: Patient) -> None:
        self.plant(patient, patient.photo(self.name) if self.of == "photo" else patient.mask(self.name))


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


def show_a_dog(_: Patient, file: Path) -> None:
    write_mask(file, np.where(cat_mask() == CAT, DOG, cat_mask()).astype(np.uint8))


def rename(patient: Patient, file: Path) -> None:
    file.rename(file.with_stem("t15é"))
    patient.mask("t15").rename(patient.mask("t15é"))
    patient.list_as("t15", "t15é")


def luminance() -> Image.Image:
    return mask_image(cat_mask()).convert("RGB").convert("L")


def see_through() -> Image.Image:
    picture = mask_image(cat_mask()).convert("RGBA")
    picture.putalpha(Image.fromarray(np.where(cat_mask() == 0, 0, 255).astype(np.uint8)))
    return picture


def smear(_: Patient, file: Path) -> None:
    Image.fromarray(cat_mask()).save(file, format="JPEG")


def add_a_twin(_: Patient, file: Path) -> None:
    photo_of(99).save(file.with_suffix(".bmp"))


FAULTS = [
    Fault("unreadable photo", "error", "t1", "photo", lambda _, file: file.write_bytes(b"no photo")),
    Fault("unreadable photo", "error", "v1", "photo", truncate),
    Fault("unreadable mask", "error", "t2", "mask", truncate),
    Fault("missing photo", "error", "t3", "photo", lambda _, file: file.unlink()),
    Fault("missing mask", "error", "v3", "mask", lambda _, file: file.unlink()),
    Fault("size mismatch", "error", "t4", "mask", lambda _, file: write_mask(file, grey(CAT, size=(50, 40)))),
    Fault("size mismatch", "error", "t17", "mask", lambda _, file: write_mask(file, np.kron(cat_mask(), TWICE))),
    Fault("colour mask", "error", "t5", "mask", rewrite(mask_image(cat_mask()).convert("RGB"))),
    Fault("alpha mask", "error", "v5", "mask", rewrite(see_through())),
    Fault("alpha mask", "error", "t18", "mask", rewrite(Image.fromarray(cat_mask()).convert("LA"))),
    Fault("stray ids", "error", "t6", "mask", lambda _, file: write_mask(file, grey(21))),
    Fault("binary mask", "error", "t7", "mask", rewrite(Image.fromarray(grey(255)))),
    Fault("deep mask", "error", "t8", "mask", rewrite(Image.fromarray(cat_mask().astype(np.uint16)))),
    Fault("grey mask", "error", "t19", "mask", rewrite(luminance())),
    Fault("grey mask", "error", "t20", "mask", rewrite(Image.fromarray(levels(0, 85, 170, 255)))),
    Fault("grey mask", "warning", "t21", "mask", rewrite(Image.fromarray(cat_mask()))),
    Fault("lossy mask", "error", "t22", "mask", smear),
    Fault("empty mask", "warning", "t9", "mask", lambda _, file: write_mask(file, grey(0))),
    Fault("empty mask", "warning", "v9", "mask", lambda _, file: write_mask(file, grey(VOID))),
    Fault("all void", "error", "t10", "mask", lambda _, file: write_mask(file, np.full((40, 48), VOID, np.uint8))),
    Fault("rotated photo", "warning", "t11", "photo", turn),
    Fault("rotated photo", "error", "t12", "photo", lambda p, file: turn(p, file, unturned_mask=True)),
    Fault("duplicate photo", "error", "v0", "photo", copy_of("t0")),
    Fault("duplicate photo", "warning", "t14", "photo", copy_of("t13")),
    Fault("similar photo", "warning", "v2", "photo", lambda _, file: photo_of(16).save(file, quality=70)),
    Fault("class only in val", "warning", "v4", "mask", show_a_bird),
    Fault("class missing in val", "warning", "t31", "mask", show_a_dog),
    Fault("non-ascii name", "warning", "t15", "photo", rename, "JPEGImages/t15é.jpg"),
    Fault("odd extension", "warning", "t23", "photo", lambda _, file: file.rename(file.with_suffix(".JPG")),
          "JPEGImages/t23.JPG"),
    Fault("odd extension", "warning", "t24", "photo", lambda _, file: photo_of(24).save(file, format="PNG")),
    Fault("odd extension", "warning", "t25", "photo", lambda _, file: photo_of(25).save(file.with_suffix(".bmp"))
          or file.unlink(), "JPEGImages/t25.bmp"),
    Fault("odd extension", "warning", "v6", "mask", lambda _, file: file.rename(file.with_suffix(".PNG")),
          "SegmentationClass/v6.PNG"),
    Fault("odd extension", "error", "t26", "photo", lambda p, _: p.list_as("t26", "t26.jpg")),
    Fault("wrong case", "error", "v7", "photo", lambda p, _: p.list_as("v7", "V7")),
    Fault("wrong case", "error", "t27", "mask", lambda _, file: file.rename(file.with_stem("T27")),
          "SegmentationClass/T27.png"),
    Fault("two photos of one name", "warning", "t28", "photo", add_a_twin,
          "JPEGImages/t28.bmp"),
    Fault("unnamed classes", "warning", "t29", "mask",
          lambda _, file: write_mask(file, levels(0, CAT, CAT), OWN_PALETTE)),
    Fault("unlisted pairs", "warning", "t30", "list", lambda p, _: p.list_as("t30", ""), "ImageSets/Segmentation"),
    Fault("empty split", "error", "v8", "list", lambda p, _: write_list(p.root, "extra", []),
          "ImageSets/Segmentation/extra.txt"),
]  # fmt: skip
