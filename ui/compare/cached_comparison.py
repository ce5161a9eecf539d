"""Bounded caches of a comparison: intervals, scores of photos, pictures. Keyed by the stamps of files."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import streamlit as st
from numpy.typing import NDArray
from PIL import Image

from core.classes import Classes, palette_of
from core.data.corruptions import CLEAN, CORRUPTIONS, corrupt, read_reduced
from core.data.dataset import Sample
from core.data.images import jpeg_bytes, png_bytes, read_mask, read_photo
from core.errors import DataError
from core.files import Stamp, stamp
from core.metrics import comparison, guard
from core.metrics.comparison import Comparison, Difference, Ranked
from core.metrics.confusion import Counts
from core.metrics.conventions import conventions
from core.metrics.guard import Suspicion
from core.metrics.image_scores import ImageScore, score_images
from core.metrics.scores import floor
from core.model.output.render import colorize, difference, light, overlay
from core.training.run import evaluations, robustness
from core.training.run.evaluations import Details
from core.training.run.robustness import ABOUT, Robustness
from core.voc import BACKGROUND
from ui.cached import DAY_S
from ui.compare.image_filter import ImageFilter
from ui.compare.image_filter import parse as parse_filter
from ui.pictures import framed, reduced, reduced_mask, sheet

COUNTS = "counts.npz"


def counts(path: Path) -> tuple[list[str], Counts]:
    """Return the names of an evaluation's photos and their counts_NKK; do not write to it."""
    return _stored_counts(stamp(path / COUNTS))


@st.cache_resource(max_entries=16, show_spinner=False)
def _stored_counts(file: Stamp) -> tuple[list[str], Counts]:
    return evaluations.load(Path(file.path).parent).counts()


def compared(a: Path, b: Path) -> Comparison:
    """Return the comparison of two stored evaluations of the same photos."""
    return _compared(stamp(a / COUNTS), stamp(b / COUNTS))


@st.cache_data(max_entries=64, ttl=DAY_S, show_spinner="Drawing the photos 10,000 times …")
def _compared(a: Stamp, b: Stamp) -> Comparison:
    return comparison.compare(_counts(a), _counts(b))


def ranked(paths: Sequence[Path]) -> tuple[Ranked, ...]:
    """Return the ranking of stored evaluations of the same photos."""
    return _ranked(tuple(stamp(path / COUNTS) for path in paths))


@st.cache_data(max_entries=16, ttl=DAY_S, show_spinner="Drawing the photos 10,000 times …")
def _ranked(stamps: tuple[Stamp, ...]) -> tuple[Ranked, ...]:
    return comparison.ranking([_counts(each) for each in stamps])


def _counts(file: Stamp) -> Counts:
    return counts(Path(file.path).parent)[1]


def images(a: Path, b: Path) -> list[ImageScore]:
    """Return the scores of every photo under A and B; do not change the list."""
    return _images(stamp(a / COUNTS), stamp(b / COUNTS))


@st.cache_resource(max_entries=16, ttl=DAY_S, show_spinner=False)
def _images(a: Stamp, b: Stamp) -> list[ImageScore]:
    return score_images(counts(Path(a.path).parent)[0], _counts(a), _counts(b))


def details(path: Path) -> Details | None:
    """Return errors by kind and calibration of a stored evaluation, None if it is too old to have them."""
    return _details(stamp(path / COUNTS))


@st.cache_resource(max_entries=16, ttl=DAY_S, show_spinner=False)
def _details(file: Stamp) -> Details | None:
    return evaluations.load(Path(file.path).parent).details()


def suspicion(path: Path) -> Suspicion | None:
    """Return the suspicion about the scores of a stored evaluation, or None."""
    return _suspicion(stamp(path / COUNTS))


@st.cache_data(max_entries=64, ttl=DAY_S, show_spinner=False)
def _suspicion(file: Stamp) -> Suspicion | None:
    return guard.suspicion(evaluations.load(Path(file.path).parent).scores)


def floor_conventions(path: Path) -> dict[str, float | None]:
    """Return the mean IoU of background everywhere by every convention, on the photos of a stored evaluation."""
    return _floor_conventions(stamp(path / COUNTS))


@st.cache_data(max_entries=64, ttl=DAY_S, show_spinner=False)
def _floor_conventions(file: Stamp) -> dict[str, float | None]:
    counts_NKK = _counts(file)
    guessed_NKK = np.zeros_like(counts_NKK)
    guessed_NKK[:, :, BACKGROUND] = counts_NKK.sum(axis=2)
    return conventions(guessed_NKK)


Levels = dict[str, tuple[tuple[Difference, ...], Difference]]


def levels(a: Path, b: Path) -> tuple[Levels, dict[str, list[float | None]]]:
    """Return by corruption the differences of `compare_levels`, and the floor at each level, from two whole stores."""
    return _levels(stamp(a / ABOUT), stamp(b / ABOUT))


@st.cache_data(max_entries=32, ttl=DAY_S, show_spinner="Drawing the photos 10,000 times …")
def _levels(a: Stamp, b: Stamp) -> tuple[Levels, dict[str, list[float | None]]]:
    of_a, of_b = (robustness.load(Path(each.path).parent) for each in (a, b))
    found, floors = {}, {}
    for name in CORRUPTIONS:
        a_LNKK = of_a.counts_of(name)
        found[name] = comparison.compare_levels(a_LNKK, of_b.counts_of(name))
        floors[name] = [floor(counts_NKK).miou for counts_NKK in a_LNKK]
    return found, floors


# --- pictures -------------------------------------------------------------------------------------------------------


def mask_picture(mask: Path, *, classes: Classes, shown: Sequence[int], size_px: int) -> bytes:
    """Return a mask in colours as a PNG file; classes that are not `shown` are drawn as background.

    Here and below, a file that cannot be read raises `DataError`.
    """
    return _mask_picture(stamp(mask), classes.colors, tuple(shown), size_px)


@st.cache_data(max_entries=600, ttl=DAY_S, show_spinner=False)
def _mask_picture(mask: Stamp, colors: tuple[str, ...], shown: tuple[int, ...], size_px: int) -> bytes:
    small_HW = reduced_mask(_only(read_mask(Path(mask.path), len(colors)), shown), size_px)
    return png_bytes(framed(colorize(small_HW, palette_of(colors))))


def overlay_picture(photo: Path, mask: Path, *, classes: Classes, shown: Sequence[int], size_px: int) -> bytes:
    """Return a mask laid over its photo as a JPEG file."""
    return _overlay_picture(stamp(photo), stamp(mask), classes.colors, tuple(shown), size_px)


@st.cache_data(max_entries=300, ttl=DAY_S, show_spinner=False)
def _overlay_picture(photo: Stamp, mask: Stamp, colors: tuple[str, ...], shown: tuple[int, ...], size_px: int) -> bytes:
    small_HW = reduced_mask(_only(read_mask(Path(mask.path), len(colors)), shown), size_px)
    return jpeg_bytes(overlay(_photo(photo, small_HW), small_HW, palette_of(colors)))


def sheet_picture(
    photo: Path, truth: Path, predicted: Sequence[Path], *, names: tuple[str, ...], classes: Classes, size_px: int = 360
) -> bytes:
    """Return a photo, its true mask and one or two predicted ones as a JPEG file of two rows, each with its name.

    With one prediction, the last picture is that mask laid over the photo.
    """
    return _sheet_picture(stamp(photo), tuple(map(stamp, (truth, *predicted))), names, classes.colors, size_px)


@st.cache_data(max_entries=100, ttl=DAY_S, show_spinner=False)
def _sheet_picture(
    photo: Stamp, masks: tuple[Stamp, ...], names: tuple[str, ...], colors: tuple[str, ...], size_px: int
) -> bytes:
    smalls = [reduced_mask(read_mask(Path(mask.path), len(colors)), size_px) for mask in masks]
    panels = [_photo(photo, smalls[0]), *(colorize(small_HW, palette_of(colors)) for small_HW in smalls)]
    if len(masks) == 2:
        panels.append(overlay(panels[0], smalls[1], palette_of(colors)))
    return jpeg_bytes(sheet(list(zip(panels, names, strict=True))))


def lit_picture(
    photo: Path, truth: Path, predicted: Path, *, only: ImageFilter, num_classes: int, size_px: int
) -> bytes:
    """Return a photo as a JPEG file, dimmed except for the pixels that match a filter."""
    return _lit_picture(stamp(photo), stamp(truth), stamp(predicted), only.text(), num_classes, size_px)


@st.cache_data(max_entries=300, ttl=DAY_S, show_spinner=False)
def _lit_picture(photo: Stamp, truth: Stamp, predicted: Stamp, only: str, num_classes: int, size_px: int) -> bytes:
    truth_HW, predicted_HW = (read_mask(Path(file.path), num_classes) for file in (truth, predicted))
    if truth_HW.shape != predicted_HW.shape:
        raise DataError(f"{truth.path} has changed its size since it was evaluated; evaluate the checkpoints again.")
    wanted = parse_filter(only, num_classes)
    assert wanted  # noqa: S101 - it is the text of a filter
    lit = Image.fromarray(255 * wanted.lit(truth_HW, predicted_HW, num_classes).astype(np.uint8))
    lit.thumbnail((size_px, size_px), Image.Resampling.BOX)  # a single pixel leaves its trace
    lit_HW = np.asarray(lit)
    return jpeg_bytes(light(_photo(photo, lit_HW), lit_HW > 0))


def level_pictures(
    sample: Sample, stored: Sequence[Robustness], corruption: str, level: int, classes: Classes, size_px: int
) -> tuple[list[bytes], set[int]]:
    """Return a photo at a level, its mask and the stored predictions as picture files, and the ids in these masks."""
    about = tuple(stamp(each.path / ABOUT) for each in stored)
    return _level_pictures(
        sample.name, stamp(sample.photo), stamp(sample.mask), about, corruption, level, classes.colors, size_px
    )


@st.cache_data(max_entries=200, ttl=DAY_S, show_spinner=False)
def _level_pictures(
    name: str, photo: Stamp, mask: Stamp, stored: tuple[Stamp, ...], corruption: str, level: int,
    colors: tuple[str, ...], size_px: int,
) -> tuple[list[bytes], set[int]]:  # fmt: skip
    pair = corrupt(read_reduced(Sample(name, Path(photo.path), Path(mask.path)), len(colors)), corruption, level, name)
    found = [robustness.load(Path(each.path).parent) for each in stored]
    cell = (corruption if level else CLEAN, level)
    masks = [pair.mask_HW, *(each.mask(*cell, each.names.index(name)) for each in found)]
    small = [reduced_mask(mask_HW, size_px) for mask_HW in masks]
    drawn = [png_bytes(framed(colorize(mask_HW, palette_of(colors)))) for mask_HW in small]
    return [jpeg_bytes(reduced(pair.photo, size_px)), *drawn], {int(k) for each in small for k in np.unique(each)}


def _only(mask_HW: NDArray[np.uint8], shown: tuple[int, ...]) -> NDArray[np.uint8]:
    return np.where(np.isin(mask_HW, shown), mask_HW, BACKGROUND).astype(np.uint8)


def _photo(photo: Stamp, like_HW: NDArray[np.uint8]) -> Image.Image:
    return read_photo(Path(photo.path)).resize((like_HW.shape[1], like_HW.shape[0]), Image.Resampling.BILINEAR)


def disagreement(a: Path, b: Path, truth: Path, *, num_classes: int, size_px: int = 320) -> bytes:
    """Return where two predicted masks differ (`render.difference`) as a PNG file at most `size_px` on a side.

    A mask that cannot be read, or is of another size than the truth, raises `DataError`.
    """
    return _disagreement(stamp(a), stamp(b), stamp(truth), num_classes, size_px)


@st.cache_data(max_entries=300, ttl=DAY_S, show_spinner=False)
def _disagreement(a: Stamp, b: Stamp, truth: Stamp, num_classes: int, size_px: int) -> bytes:
    a_HW, b_HW, truth_HW = (read_mask(Path(file.path), num_classes) for file in (a, b, truth))
    if not a_HW.shape == b_HW.shape == truth_HW.shape:
        raise DataError(f"{truth.path} has changed its size since it was evaluated; evaluate the checkpoints again.")
    small = (reduced_mask(mask_HW, size_px) for mask_HW in (a_HW, b_HW, truth_HW))
    return png_bytes(difference(*small))
