"""CVAT's "Segmentation mask 1.1" (docs.cvat.ai, format-smask): a zip of masks in colours, with the photos beside.

    labelmap.txt                              label:red,green,blue:: for each class
    ImageSets/Segmentation/{train,val}.txt    the photos that are done; drafts.txt holds other masks
    SegmentationClass/NAME.png                RGB
    JPEGImages/NAME.jpg                       the photo as it is

CVAT takes black for the background and finds a label by its colour, so no two classes share one. Objects are not told
apart, so there is no SegmentationObject: each class of a photo becomes one mask.
"""

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image

from core.classes import Classes
from core.data.dataset import LAYOUTS, LISTS
from core.data.exporters.labelled_photo import LabelledPhoto
from core.data.images import png_bytes
from core.data.importers.masks.color_table import entry_of
from core.data.importers.plan import is_background
from core.data.importers.source_splits import DRAFTS
from core.data.labelling import LabelSet
from core.errors import DataError
from core.voc import BACKGROUND, PALETTE, VOID

PHOTOS, MASKS = LAYOUTS[0]
BLACK = (0, 0, 0)


def write_cvat(file: IO[bytes], label_set: LabelSet, photos: Iterator[LabelledPhoto]) -> None:
    """Write the zip of some photos and their masks."""
    colors = _colors(label_set.classes)
    palette_2563 = np.array([colors.get(class_id, BLACK) for class_id in range(VOID + 1)], dtype=np.uint8)
    lists: dict[str, list[str]] = {}
    has_void = False
    with zipfile.ZipFile(file, "w", strict_timestamps=False) as archive:  # photos and PNGs are compressed already
        for photo in photos:
            has_void = has_void or bool((photo.mask_HW == VOID).any())
            archive.write(photo.file, f"{PHOTOS}/{photo.name}{photo.file.suffix}")
            archive.writestr(f"{MASKS}/{photo.name}.png", png_bytes(Image.fromarray(palette_2563[photo.mask_HW])))
            lists.setdefault(photo.split or DRAFTS, []).append(photo.name)
        for split, names in lists.items():
            archive.writestr(f"{LISTS.as_posix()}/{split}.txt", "".join(f"{name}\n" for name in names))
        labels = dict(enumerate(label_set.classes.names)) | ({VOID: "void"} if has_void else {})
        lines = [_line(label, colors[class_id]) for class_id, label in labels.items()]
        archive.writestr("labelmap.txt", "# label:color_rgb:parts:actions\n" + "".join(f"{line}\n" for line in lines))


def _colors(classes: Classes) -> dict[int, tuple[int, ...]]:
    """Return a colour of its own for every class and void: black for the background alone."""
    colors: dict[int, tuple[int, ...]] = {}
    taken = {BLACK, tuple(PALETTE[VOID].tolist())}
    for class_id, name in enumerate(classes.names):
        wanted = tuple(classes.palette[class_id].tolist())
        if class_id == BACKGROUND and is_background(name):
            colors[class_id] = BLACK
            continue
        free = (tuple(color) for color in (list(wanted), *PALETTE[::-1].tolist()) if tuple(color) not in taken)
        colors[class_id] = next(free)
        taken.add(colors[class_id])
    return colors | {VOID: tuple(PALETTE[VOID].tolist())}


def _line(name: str, color: tuple[int, ...]) -> str:
    line = f"{name}:{','.join(map(str, color))}::"
    try:
        # CVAT ends a name at its first colon, where `entry_of` may take it for a part of the name.
        is_read_back = name[:1] != "#" and ":" not in name and entry_of(line, Path("labelmap.txt")) == (name, color)
    except DataError:
        is_read_back = False
    if not is_read_back:
        raise DataError(f"CVAT's labelmap.txt cannot hold the class name '{name}'; rename the class without : and #.")
    return line
