"""Writing the demo as a VOC data set, all or nothing."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Final

from core.data.demo.scene import draw_scene
from core.data.images import mask_image
from core.errors import ConfigError, DataError
from core.files import new_folder
from core.jobs import OnProgress

FORMAT_VERSION: Final = 1
MARK_NAME: Final = "demo.json"
_SEED_STRIDE: Final = 1_000_000


def write_demo(
    root: Path,
    *,
    seed: int = 0,
    num_train: int = 160,
    num_val: int = 40,
    on_progress: OnProgress | None = None,
) -> Path:
    """Draw the demo data set into `root/VOCdevkit/VOC2012` and return that folder.

    A demo of the same version, seed and counts is returned untouched. `on_progress(done, total)` counts scenes.

    Raises:
        ConfigError: a negative seed, or a split without scenes.
        DataError: the folder exists and is not this demo.
    """
    if min(num_train, num_val) < 1 or seed < 0:
        raise ConfigError(
            f"The demo needs at least one scene per split and a seed of at least 0, not {num_train}, {num_val}, {seed}."
        )
    target = root / "VOCdevkit" / "VOC2012"
    mark = {"format_version": FORMAT_VERSION, "seed": seed, "num_train": num_train, "num_val": num_val}
    if _is_there(target, mark):
        return target
    try:
        with new_folder(target) as draft:
            _draw_all(draft, seed, num_train, num_val, on_progress)
            (draft / MARK_NAME).write_text(json.dumps(mark, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        if isinstance(error, FileExistsError) and _is_there(target, mark):
            return target  # another process was faster
        raise DataError(
            f"The demo cannot be written to {target}: {error}; choose a folder you can write to."
        ) from error
    return target


def is_demo_data(folder: Path) -> bool:
    """Return whether `write_demo` drew a data set, given its `VOC2012` folder or one above."""
    return drawn_as(folder) is not None


def drawn_as(folder: Path) -> str | None:
    """Return the version, seed and counts with which `write_demo` drew a data set, None for any other."""
    marks = (folder / below / MARK_NAME for below in ("", "VOC2012", "VOCdevkit/VOC2012"))
    with suppress(OSError, ValueError):
        return next((mark.read_text(encoding="utf-8") for mark in marks if mark.is_file()), None)
    return None


def _is_there(target: Path, mark: dict[str, int]) -> bool:
    """Return whether this demo exists; if anything else is there, raise `DataError`."""
    if not target.exists():
        return False
    try:
        found = json.loads((target / MARK_NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise DataError(f"{target} exists and is not a demo data set; choose another folder for the demo.") from None
    if found != mark:
        raise DataError(f"{target} holds another demo ({found}, wanted {mark}); delete that folder and try again.")
    return True


def _draw_all(draft: Path, seed: int, num_train: int, num_val: int, on_progress: OnProgress | None) -> None:
    photos, masks, lists = (draft / part for part in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"))
    for folder in (photos, masks, lists):
        folder.mkdir(parents=True)
    total = num_train + num_val
    names = [f"demo_{number:04d}" for number in range(1, total + 1)]
    for done, name in enumerate(names):
        picture, mask_HW = draw_scene(seed * _SEED_STRIDE + done)
        picture.save(photos / f"{name}.jpg", quality=90)
        mask_image(mask_HW).save(masks / f"{name}.png")
        if on_progress:
            on_progress(done + 1, total)
    splits = {"train": names[:num_train], "val": names[num_train:], "trainval": names}
    for split, members in splits.items():
        (lists / f"{split}.txt").write_text("".join(f"{name}\n" for name in members), encoding="ascii")
