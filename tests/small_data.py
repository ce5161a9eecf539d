"""Small data for tests: photos of a red cat or a blue dog on grey, drawn from their number, with a void border."""

import io
import json
import os
import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.data.images import jpeg_bytes, write_mask
from core.voc import CLASS_NAMES, VOID

CAT, DOG = CLASS_NAMES.index("cat"), CLASS_NAMES.index("dog")
COLORS = {CAT: (200, 40, 40), DOG: (40, 60, 210)}


def draw_pair(number: int, size: tuple[int, int] = (48, 40)) -> tuple[Image.Image, NDArray[np.uint8]]:
    """Return a photo and its mask of (width, height); even numbers hold a cat, odd ones a dog.

    The void around them is two pixels wide, so that every pixel of it has one nearest class.
    """
    rng = np.random.default_rng(number)
    width, height = size
    class_id = (CAT, DOG)[number % 2]
    left, top = rng.integers(3, width // 3), rng.integers(3, height // 3)
    box = np.s_[top : top + height // 2, left : left + width // 2]
    photo_HW3 = rng.integers(90, 160, (height, width, 3)).astype(np.uint8)
    photo_HW3[box] = np.array(COLORS[class_id]) + rng.integers(-20, 20, photo_HW3[box].shape)
    mask_HW = np.zeros((height, width), dtype=np.uint8)
    mask_HW[top - 2 : top + height // 2 + 2, left - 2 : left + width // 2 + 2] = VOID
    mask_HW[box] = class_id
    return Image.fromarray(photo_HW3), mask_HW


def write_pairs(photos: Path, masks: Path, names: list[str], size: tuple[int, int] = (48, 40)) -> None:
    """Write pairs as JPEG and mode P PNG."""
    photos.mkdir(parents=True, exist_ok=True)
    masks.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names):
        photo, mask_HW = draw_pair(number, size)
        photo.save(photos / f"{name}.jpg", quality=95)
        write_mask(masks / f"{name}.png", mask_HW)


def write_list(root: Path, split: str, names: list[str]) -> Path:
    """Write the list of a split and return its file."""
    file = root / "ImageSets" / "Segmentation" / f"{split}.txt"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(f"{name}\n" for name in names))
    return file


def write_voc(root: Path, num_train: int = 4, num_val: int = 2, size: tuple[int, int] = (48, 40)) -> Path:
    """Write a VOC2012 folder with lists and return it."""
    names = [f"photo_{number}" for number in range(num_train + num_val)]
    write_pairs(root / "JPEGImages", root / "SegmentationClass", names, size)
    write_list(root, "train", names[:num_train])
    write_list(root, "val", names[num_train:])
    return root


def replace_quietly(file: Path, content: bytes) -> None:
    """Write other content of the same size into a file, and put its time of change back."""
    status = file.stat()
    assert len(content) == status.st_size
    assert content != file.read_bytes()
    file.write_bytes(content)
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))


def with_last_bit_flipped(file: Path) -> bytes:
    """Return a file's content with another last byte."""
    content = file.read_bytes()
    return content[:-1] + bytes([content[-1] ^ 1])


def roboflow_export(num_train: int = 3) -> bytes:
    """Return the zip of a COCO export as Roboflow makes it: a folder for each split, with its photos and labels.

    A leaf covers 200 of the 1,200 pixels of every photo; category 0 stands over the others and has no outline.
    """
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for split, number in (("train", num_train), ("valid", 1)):
            names = [f"{split}_{at}.jpg" for at in range(number)]
            document = {
                "images": [{"id": at, "file_name": name, "width": 40, "height": 30} for at, name in enumerate(names)],
                "categories": [{"id": 0, "name": "plants", "supercategory": "none"},
                               {"id": 1, "name": "leaf", "supercategory": "plants"}],
                "annotations": [{"id": at, "image_id": at, "category_id": 1, "bbox": [2, 1, 20, 10], "area": 200,
                                 "segmentation": [[2, 1, 22, 1, 22, 11, 2, 11]], "iscrowd": 0} for at in range(number)],
            }  # fmt: skip
            archive.writestr(f"{split}/_annotations.coco.json", json.dumps(document))
            for at, name in enumerate(names):
                photo, _ = draw_pair(at + 100 * (split == "valid"), (40, 30))
                archive.writestr(f"{split}/{name}", jpeg_bytes(photo))
    return file.getvalue()
