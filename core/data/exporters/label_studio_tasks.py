"""Label Studio's tasks: JSON in which every photo has a prediction, one brush stroke for each class.

The photos are not in it: `data.image` is their path below the data set, for a local storage of Label Studio that begins
there. The labelling interface of the project has to know the labels (`labeling_config`). What is packed, and how, is
said in `core.data.importers.masks.mask_file`.
"""

import json
from collections.abc import Iterator
from html import escape
from typing import IO, Any
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from core.classes import Classes
from core.data.exporters.labelled_photo import LabelledPhoto
from core.data.images import pixels_of
from core.data.importers.plan import is_background
from core.data.labelling import LabelSet
from core.voc import BACKGROUND, VOID

WIDTHS = np.array([3, 4, 8, 16])
"""Bits of a run length, those that Label Studio's own converter takes."""
CHANNELS = 4
TAG, IMAGE = "label", "image"


def write_label_studio(file: IO[bytes], label_set: LabelSet, photos: Iterator[LabelledPhoto]) -> None:
    """Write the tasks of some photos, one a line."""
    for number, photo in enumerate(photos, start=1):
        place = photo.file.relative_to(label_set.photo_dir.parent).as_posix()
        result = [_stroke(photo.mask_HW, class_id, label) for class_id, label in _labels(photo, label_set.classes)]
        task = {
            "id": number,
            "data": {IMAGE: f"/data/local-files/?d={quote(place)}"},
            "predictions": [{"model_version": photo.drawn_by, "result": result}],
        }
        file.write((b"[\n" if number == 1 else b",\n") + json.dumps(task, ensure_ascii=False).encode())
    file.write(b"\n]\n")


def labeling_config(classes: Classes) -> str:
    """Return the labelling interface that a Label Studio project needs for these tasks."""
    named = [*zip(classes.names, classes.colors, strict=True), ("void", classes.css_color(VOID))]
    labels = "".join(f'<Label value="{escape(name)}" background="{color}"/>' for name, color in named)
    image = f'<Image name="{IMAGE}" value="${IMAGE}"/>'
    return f'<View>{image}<BrushLabels name="{TAG}" toName="{IMAGE}">{labels}</BrushLabels></View>'


def _labels(photo: LabelledPhoto, classes: Classes) -> list[tuple[int, str]]:
    """Return the ids in a mask with their labels: what is not painted is background, unless nothing is painted."""
    found = np.flatnonzero(pixels_of(photo.mask_HW)).tolist()
    painted = [each for each in found if each != BACKGROUND or not is_background(classes.names[BACKGROUND])]
    return [(each, "void" if each == VOID else classes.names[each]) for each in painted or found]


def _stroke(mask_HW: NDArray[np.uint8], class_id: int, label: str) -> dict[str, Any]:
    height, width = mask_HW.shape
    packed = encode_brush(mask_HW == class_id)
    return {
        "id": f"{label}-{class_id}",
        "from_name": TAG,
        "to_name": IMAGE,
        "type": "brushlabels",
        "original_width": width,
        "original_height": height,
        "image_rotation": 0,
        "value": {"format": "rle", "rle": list(packed), "brushlabels": [label]},
    }


def encode_brush(region_HW: NDArray[np.bool_]) -> bytes:
    """Pack a region as Label Studio does: runs of the bytes of an RGBA picture that is white and opaque in it."""
    is_in_N = region_HW.ravel()
    starts = np.concatenate(([0], np.flatnonzero(is_in_N[1:] != is_in_N[:-1]) + 1))
    lengths = CHANNELS * np.diff(np.append(starts, is_in_N.size))
    longest = 2 ** int(WIDTHS[-1])
    pieces = -(-lengths // longest)
    values = np.repeat(np.where(is_in_N[starts], 255, 0), pieces)
    sizes = np.full(values.size, longest)
    sizes[np.cumsum(pieces) - 1] = lengths - (pieces - 1) * longest
    choices = np.searchsorted(2**WIDTHS, sizes)
    widths = WIDTHS[choices]
    # One number a piece: 1 bit for a run, 2 for the width, the length less one, and the value that is repeated.
    codes = (((0b100 | choices) << widths) | (sizes - 1)) << 8 | values
    bits_P32 = np.unpackbits(codes.astype(">u4").view(np.uint8).reshape(-1, 4), axis=1)
    is_used_P32 = np.arange(32) >= 32 - (3 + widths + 8)[:, None]
    header = f"{CHANNELS * is_in_N.size:032b}{8 - 1:05b}" + "".join(f"{width - 1:04b}" for width in WIDTHS)
    bits = np.concatenate((np.frombuffer(header.encode(), dtype=np.uint8) - ord("0"), bits_P32[is_used_P32]))
    return np.packbits(bits).tobytes()
