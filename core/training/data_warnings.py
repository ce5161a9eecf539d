"""What is wrong with data that can be read all the same, by the doctor's rules: said before the first epoch."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.classes import Classes
from core.data.dataset import Sample
from core.data.doctor.mask_checks import check_mask
from core.data.doctor.problems import Problem
from core.data.hashing import hashes
from core.data.images import load_picture
from core.data.pair_names import JPEG_SUFFIXES
from core.data.statistics.split_stats import MAX_THREADS
from core.errors import DataError
from core.voc import BACKGROUND
from core.wording import count

ALL_VOID = "all void"
VOID_SHARE = 0.1
"""Where no more than these of the masks are all void, nothing is said: the others are trained on and scored as ever."""


def data_warnings(
    train: Sequence[Sample],
    val: Sequence[Sample],
    train_NK: NDArray[np.int64],
    val_MK: NDArray[np.int64],
    classes: Classes,
) -> list[str]:
    """Return what the doctor calls an error in pairs that can be read, in sentences; nothing about sound data.

    Args:
        train: the pairs that are trained on.
        val: the pairs that are scored.
        train_NK: the pixels of each class in each training mask at its own size; void is no class.
        val_MK: likewise in each validation mask.
        classes: the classes of the masks.

    Raises:
        DataError: every training mask is void.
    """
    if not train_NK.any():
        raise DataError(
            f"Every training mask in {train[0].mask.parent} is all void (255), so there is nothing to train on; draw "
            "them again with a class id in each pixel."
        )
    of_train = _about_masks("training masks", train, train_NK, classes)
    return [*of_train, *_about_masks("validation masks", val, val_MK, classes), *_about_copies(train, val)]


def _about_masks(masks: str, samples: Sequence[Sample], pixels_NK: NDArray[np.int64], classes: Classes) -> list[str]:
    """Return a text for each kind of error; only JPEGs and masks without an object, which can, are reopened."""
    has_object_N: NDArray[np.bool_] = np.delete(pixels_NK, BACKGROUND, axis=1).sum(axis=1) > 0
    if not pixels_NK.any():
        return [f"All {masks} are void (255), so no epoch is scored and no best.pt is kept; draw them again."]
    suspects = [
        sample.mask
        for sample, has_object in zip(samples, has_object_N, strict=True)
        if not has_object or sample.mask.suffix.lower() in JPEG_SUFFIXES
    ]
    found = _errors_in(suspects, classes)
    if ALL_VOID in found and len(found[ALL_VOID][1]) <= VOID_SHARE * len(samples):
        del found[ALL_VOID]
    if not found and not has_object_N.any():
        return [f"All {masks} show background alone, so no class can be learned or scored; draw what is in the photos."]
    return [
        f"In {len(files):,} of {len(samples):,} {masks}, {files[0].name} first, the doctor finds an error ({kind}). "
        f"{detail}"
        for kind, (detail, files) in found.items()
    ]


def _errors_in(masks: Sequence[Path], classes: Classes) -> dict[str, tuple[str, list[Path]]]:
    """Return by kind the doctor's sentence about an error and the masks that have it."""

    def problem_of(mask: Path) -> Problem | None:
        return check_mask(load_picture(mask, "mask"), classes)[1]

    found: dict[str, tuple[str, list[Path]]] = {}
    with ThreadPoolExecutor(MAX_THREADS) as pool:
        for mask, problem in zip(masks, pool.map(problem_of, masks), strict=True):
            if problem and problem.severity == "error":
                found.setdefault(problem.kind, (problem.detail, []))[1].append(mask)
    return found


def _about_copies(train: Sequence[Sample], val: Sequence[Sample]) -> list[str]:
    """Say whether validation photos are training photos too, by their bytes."""
    known = set(hashes([sample.photo for sample in train]))
    val_hashes = hashes([sample.photo for sample in val])
    copies = [sample.photo.name for sample, digest in zip(val, val_hashes, strict=True) if digest in known]
    if not copies:
        return []
    trained_on = f"The model trains on {len(copies):,} of {count(len(val), 'validation photo')}, {copies[0]} first"
    return [f"{trained_on}, so the scores are too good; keep each photo in one of the two lists."]
