"""Facts of one photo and its mask, which the statistics of a split summarize.

The doctor computes them while both files are open; a few hundred bytes replace the pair afterwards.
"""

from base64 import b64decode, b64encode
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from core.voc import BACKGROUND

GRID = 16
"""Cells of `PairFacts.heat` along each side of the frame."""
MIN_OBJECT_SHARE = 1e-3
"""Smaller connected parts (14 x 14 px of 500 x 375) are specks, not objects.

On 680 VOC photos this counts 1.9 people per photo with people, where VOC's instance masks have 2.0; horses,
which riders and the void border divide, are 2.5 instead of 1.4.
"""
MAX_PHOTO_PX = 256
"""Longer side of the reduced photo on which light and colour are measured, in a tenth of the time."""
DIAGONALS_TOO = np.ones((3, 3), dtype=bool)


@dataclass(frozen=True, kw_only=True)
class PairFacts:
    """One photo and its mask.

    size         (width, height) in px
    pixels       number of pixels by id, void (255) among them; ids that do not occur are left out
    objects      number of connected parts (8 neighbours) by class id, the background left out. VOC's void borders keep
                 objects that touch apart; without them those are one part, and an object behind a pole is two
    brightness   mean luma (ITU-R 601, of the stored values) in [0, 1]; `contrast` its standard deviation
    color_mean   mean of red, green and blue in [0, 1]; `color_std` their standard deviations
    heat         by class id, the background among them: the share of each of 16 x 16 cells that the class covers,
                 (16, 16) uint8, 255 = all of it; row 0 is the top of the frame
    """

    size: tuple[int, int]
    pixels: dict[int, int]
    objects: dict[int, int]
    brightness: float
    contrast: float
    color_mean: tuple[float, float, float]
    color_std: tuple[float, float, float]
    heat: dict[int, NDArray[np.uint8]] = field(default_factory=dict, compare=False, repr=False)

    def as_dict(self) -> dict[str, Any]:
        """Return JSON types; `heat` is base64 of its bytes, row by row."""
        return {
            "size": list(self.size),
            "pixels": {str(class_id): count for class_id, count in self.pixels.items()},
            "objects": {str(class_id): count for class_id, count in self.objects.items()},
            "brightness": self.brightness,
            "contrast": self.contrast,
            "color_mean": list(self.color_mean),
            "color_std": list(self.color_std),
            "heat": {str(class_id): b64encode(heat_GG.tobytes()).decode() for class_id, heat_GG in self.heat.items()},
        }

    @classmethod
    def from_dict(cls, document: dict[str, Any]) -> "PairFacts":
        """Return the facts of an `as_dict` document; another format raises KeyError, TypeError or ValueError."""
        width, height = document["size"]
        return cls(
            size=(int(width), int(height)),
            pixels={int(class_id): int(count) for class_id, count in document["pixels"].items()},
            objects={int(class_id): int(count) for class_id, count in document["objects"].items()},
            brightness=float(document["brightness"]),
            contrast=float(document["contrast"]),
            color_mean=_rgb(document["color_mean"]),
            color_std=_rgb(document["color_std"]),
            heat={
                int(class_id): np.frombuffer(b64decode(text), dtype=np.uint8).reshape(GRID, GRID)
                for class_id, text in document["heat"].items()
            },
        )


def pair_facts(photo: Image.Image, mask_HW: NDArray[np.uint8], num_classes: int) -> PairFacts:
    """Return the facts of an upright RGB photo and its mask, (H, W) uint8 of the same size: class ids and void."""
    mask = Image.fromarray(mask_HW)
    pixels = {value: count for value, count in enumerate(mask.histogram()) if count}
    class_ids = [class_id for class_id in pixels if class_id < num_classes]
    mean_4, std_4 = _light_and_color(photo)
    return PairFacts(
        size=(mask.width, mask.height),
        pixels=pixels,
        objects=_objects(mask_HW, [class_id for class_id in class_ids if class_id != BACKGROUND]),
        brightness=mean_4[3],
        contrast=std_4[3],
        color_mean=_rgb(mean_4[:3]),
        color_std=_rgb(std_4[:3]),
        heat={class_id: _heat(mask, class_id) for class_id in class_ids},
    )


def _objects(mask_HW: NDArray[np.uint8], class_ids: list[int]) -> dict[int, int]:
    """Count the parts of each class within its bounding box: most of a frame is background."""
    boxes = ndimage.find_objects(mask_HW, max_label=max(class_ids, default=0))
    min_pixels = MIN_OBJECT_SHARE * mask_HW.size
    objects = {}
    for class_id in class_ids:
        parts_HW, _ = ndimage.label(mask_HW[boxes[class_id - 1]] == class_id, DIAGONALS_TOO)
        objects[class_id] = int((np.bincount(parts_HW.ravel())[1:] >= min_pixels).sum())
    return objects


def _heat(mask: Image.Image, class_id: int) -> NDArray[np.uint8]:
    """Return the share of each cell that a class covers; a pixel counts for the cell with its centre."""
    covered = mask.point([255 * (value == class_id) for value in range(256)])
    return np.asarray(covered.resize((GRID, GRID), Image.Resampling.BOX))


def _light_and_color(photo: Image.Image) -> tuple[list[float], list[float]]:
    """Return mean and standard deviation of red, green, blue and luma, in [0, 1]."""
    small = photo.reduce(max(1, -(-max(photo.size) // MAX_PHOTO_PX)))
    counts_4V = np.array(small.histogram() + small.convert("L").histogram(), dtype=np.float64).reshape(4, 256)
    counts_4V /= counts_4V.sum(axis=1, keepdims=True)
    values_V = np.arange(256) / 255
    mean_4 = counts_4V @ values_V
    variance_4 = np.maximum(counts_4V @ values_V**2 - mean_4**2, 0)
    return mean_4.round(5).tolist(), np.sqrt(variance_4).round(5).tolist()


def _rgb(values: list[float]) -> tuple[float, float, float]:
    red, green, blue = values
    return float(red), float(green), float(blue)
