"""Data sets to label: a new one of photos, and what was drawn there."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.classes import Classes
from core.data.labelling import LabelSet, new_label_set, open_label_set

LEAF = Classes(("background", "leaf", "stem"), ("#000000", "#22aa22", "#8b5a2b"))


def photos(folder: Path, names: Sequence[str], size: tuple[int, int] = (31, 17)) -> list[Path]:
    """Write photos of (width, height), each of another grey."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names):
        Image.new("RGB", size, (number * 5 % 256, 90, 40)).save(folder / name)
    return [folder / name for name in names]


def new_set(home: Path, names: Sequence[str] = ("a.jpg", "b.png", "c.jpg"), called: str = "leaves") -> LabelSet:
    made = new_label_set(called, photos(home / f"photos of {called}", names), LEAF)
    assert made.skipped == ()
    return open_label_set(made.root)


def drawn(seed: int, size: tuple[int, int] = (31, 17), ids: Sequence[int] = (0, 1, 2, 255)) -> NDArray[np.uint8]:
    """Return a mask of these ids, shape (H, W)."""
    return np.random.default_rng(seed).choice(ids, size[::-1]).astype(np.uint8)


def on_disk(label_set: LabelSet, name: str) -> NDArray[np.uint8]:
    with Image.open(label_set.mask_dir / f"{name}.png") as mask:
        assert mask.mode == "P"
        return np.array(mask)
