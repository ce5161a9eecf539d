"""Bounded caches of what pages need between reruns.

Caches of files are keyed by `core.files.Stamp`, so a changed file is read again. One reader for all sessions follows
the log of a run and reads only appended bytes.
"""

import copy
import io
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import numpy as np
import plotly.graph_objects as go
import streamlit as st
from PIL import Image

from core.classes import Classes, palette_of
from core.data.analysis import Analysis, files_key, find
from core.data.dataset import AUGMENTED_MASKS, LAYOUTS, LISTS, PLACES, Dataset, open_dataset
from core.data.dataset import fingerprint as compute_fingerprint
from core.data.images import jpeg_bytes, png_bytes, read_mask, read_photo
from core.data.split_view import SPLIT_FILE, data_of
from core.data.statistics.split_stats import SplitStats
from core.errors import DataError, RunError
from core.files import Stamp, stamp
from core.model.output.render import colorize, overlay, show_void
from core.model.photo import open_photo
from core.training import trust as stored_trust
from core.training.run import evaluations
from core.training.run.log import RunLog
from core.training.trust import Trust
from ui.charts import Curve
from ui.pictures import framed, reduced, reduced_mask, strip, titled

DAY_S = 24 * 3600
MAX_LOGS = 1000
"""Home reads all logs in turn: with fewer entries than runs, every log would be evicted before its next use."""
CURVE_PX = 500
"""The approximate width of a curve on the screen."""
FRAME_MS, LAST_FRAME_MS = 330, 1500
EXAMPLE_PX, EXAMPLE_MARGIN = 96, 0.15
"""The longest side of an example of a class, and how much of its surroundings it shows, as a share of its sides."""
View = Literal["photo", "overlay", "mask", "void"]


# --- data sets ------------------------------------------------------------------------------------------------------


def dataset(path: Path | str) -> Dataset:
    """Return the pairs and splits of a folder; a folder that is not a data set raises `DataError`."""
    return _dataset(_folder_stamps(Path(path)))


def forget_datasets() -> None:
    """Open every data set again: overwriting a mask in place does not change the time of its folder."""
    _dataset.clear()


def _folder_stamps(path: Path) -> tuple[Stamp, ...]:
    """Stamp the folders and lists that `open_dataset` reads names from."""
    roots = [data_of(path) / place for place in PLACES]
    names = [*(name for layout in LAYOUTS for name in layout), AUGMENTED_MASKS]
    folders = [root / name for root in roots for name in names]
    lists = [file for root in roots for file in sorted((root / LISTS).glob("*.txt"))]
    return tuple(
        stamp(each) for each in [path, path / SPLIT_FILE, *folders, *lists, *(root / "classes.txt" for root in roots)]
    )


@st.cache_resource(max_entries=8, ttl=DAY_S, show_spinner=False)
def _dataset(stamps: tuple[Stamp, ...]) -> Dataset:
    return open_dataset(stamps[0].path)


def analysis(path: Path) -> Analysis | None:
    """Return what the pass over all files of a folder found; None if files changed since, or there was no pass."""
    try:
        return _analysis(str(path), files_key(path))
    except LookupError:
        return None


@st.cache_resource(max_entries=4, ttl=DAY_S, show_spinner=False)
def _analysis(path: str, key: str) -> Analysis:
    found = find(path)
    if found is None:
        raise LookupError(key)  # exceptions are not cached: it may be there the next time
    return found


def split_stats(found: Analysis, split: str) -> SplitStats:
    """Return the statistics of a split, from what the pass over all files found."""
    return _split_stats(str(found.root), found.key, split, found)


@st.cache_resource(max_entries=16, ttl=DAY_S, show_spinner=False)
def _split_stats(root: str, key: str, split: str, _found: Analysis) -> SplitStats:  # noqa: ARG001 - they are the key
    return _found.stats(split)


def fingerprint(data: Dataset, split: str) -> str:
    """Return the fingerprint of a split as it is now; core caches the hash of each file."""
    samples = data.split(split)
    with st.spinner("Reading every photo and mask once …"):
        return compute_fingerprint(samples)


# --- pictures -------------------------------------------------------------------------------------------------------


def thumbnail(
    photo: Path, mask: Path | None = None, *, classes: Classes, view: View = "photo", size_px: int = 320
) -> bytes:
    """Return a photo, its mask in colours, or the mask over it, as PNG or JPEG at most `size_px` on a side.

    Masks are resized to the nearest pixel, so ids stay ids. A file that cannot be read raises `DataError`.
    """
    return _thumbnail(stamp(photo), stamp(mask) if mask else None, classes.colors, view, size_px)


@st.cache_data(max_entries=600, ttl=DAY_S, show_spinner=False)
def _thumbnail(photo: Stamp, mask: Stamp | None, colors: tuple[str, ...], view: View, size_px: int) -> bytes:
    if view == "photo" or mask is None:
        return jpeg_bytes(reduced(_read_small(photo, size_px), size_px))
    mask_HW, palette_2563 = read_mask(Path(mask.path), len(colors)), palette_of(colors)
    if view == "mask":
        return png_bytes(framed(colorize(reduced_mask(mask_HW, size_px), palette_2563)))
    small = reduced(_read_small(photo, size_px), size_px)
    small_mask = np.asarray(Image.fromarray(mask_HW).resize(small.size, Image.Resampling.NEAREST))
    if view == "void":
        return jpeg_bytes(show_void(small, small_mask))
    return jpeg_bytes(overlay(small, small_mask, palette_2563))


def _read_small(photo: Stamp, size_px: int) -> Image.Image:
    """Return a photo at twice the size of its thumbnail or more: a JPEG of 12 megapixels is not decoded whole."""
    return read_photo(Path(photo.path), least_px=2 * size_px)


def any_thumbnail(file: Path, *, size_px: int) -> bytes:
    """Return a photo or mask as JPEG at most `size_px` on a side; a mask keeps its own palette."""
    return _thumbnail(stamp(file), None, (), "photo", size_px)


@st.cache_data(max_entries=50, ttl=DAY_S, show_spinner=False)
def upload_thumbnail(file_id: str, name: str, _data: bytes, size_px: int) -> bytes:  # noqa: ARG001 - the cache's key
    """Return an uploaded photo as JPEG at most `size_px` on a side; one that cannot be read raises `PhotoError`.

    Streamlit's id of the upload stands for its bytes, which would be hashed in every script run.
    """
    return jpeg_bytes(reduced(open_photo(_data, name), size_px))


def class_example(photo: Path, mask: Path, class_id: int, *, num_classes: int) -> bytes:
    """Return the part of a photo that holds a class, with a margin, as a small JPEG.

    A file that cannot be read, or no longer shows the class, raises `DataError`.
    """
    return _class_example(stamp(photo), stamp(mask), class_id, num_classes)


@st.cache_data(max_entries=300, ttl=DAY_S, show_spinner=False)
def _class_example(photo: Stamp, mask: Stamp, class_id: int, num_classes: int) -> bytes:
    whole, is_of_class_HW = read_photo(Path(photo.path)), read_mask(Path(mask.path), num_classes) == class_id
    if not is_of_class_HW.any():
        raise DataError(f"{mask.path} does not show class {class_id} any more; read the files again.")
    (top, bottom), (left, right) = ((at.min(), at.max() + 1) for at in np.nonzero(is_of_class_HW))
    by_row, by_column = EXAMPLE_MARGIN * (bottom - top), EXAMPLE_MARGIN * (right - left)
    height, width = is_of_class_HW.shape
    box = (max(0, left - by_column), max(0, top - by_row), min(width, right + by_column), min(height, bottom + by_row))
    left_px, top_px, right_px, bottom_px = (round(float(side)) for side in box)
    piece = whole.resize((width, height)) if whole.size != (width, height) else whole
    return jpeg_bytes(reduced(piece.crop((left_px, top_px, right_px, bottom_px)), EXAMPLE_PX))


def sample_strip(photo: Path, truth: Path, predicted: Path, *, classes: Classes, size_px: int = 400) -> bytes:
    """Return a photo, its true mask and a predicted one as one PNG file, each at most `size_px` wide.

    As one picture, the three stay side by side on a phone. A file that cannot be read raises `DataError`.
    """
    return _sample_strip(stamp(photo), stamp(truth), stamp(predicted), classes.colors, size_px)


@st.cache_data(max_entries=200, ttl=DAY_S, show_spinner=False)
def _sample_strip(photo: Stamp, truth: Stamp, predicted: Stamp, colors: tuple[str, ...], size_px: int) -> bytes:
    picture = strip(Path(photo.path), Path(truth.path), Path(predicted.path), colors, size_px)
    return png_bytes(picture)


def classes_in(masks: Sequence[Path], classes: Classes) -> list[int]:
    """Return the ids of the classes, and of void, that occur in some masks."""
    return sorted(set().union(*(_classes_in(stamp(mask), len(classes)) for mask in masks)))


@st.cache_data(max_entries=2000, ttl=DAY_S, show_spinner=False)
def _classes_in(mask: Stamp, num_classes: int) -> set[int]:
    return set(np.unique(read_mask(Path(mask.path), num_classes)).tolist())


def film(
    photo: Path, truth: Path, predicted: Sequence[tuple[Path, str]], *, classes: Classes, size_px: int = 280
) -> bytes:
    """Return the strips of one photo and several predictions as a looping film, an animated WebP file.

    Each prediction is a mask and the text below its strip. `st.image` plays the film from a `data_url` only; from bytes
    it serves the first picture, as a JPEG.
    """
    frames = tuple((stamp(mask), text) for mask, text in predicted)
    return _film(stamp(photo), stamp(truth), frames, classes.colors, size_px)


@st.cache_data(max_entries=12, ttl=DAY_S, show_spinner=False)
def _film(
    photo: Stamp, truth: Stamp, predicted: tuple[tuple[Stamp, str], ...], colors: tuple[str, ...], size_px: int
) -> bytes:
    files, font_px = (Path(photo.path), Path(truth.path)), size_px // 10
    strips = ((strip(*files, Path(mask.path), colors, size_px), text) for mask, text in predicted)
    first, *others = (titled(picture, text, font_px) for picture, text in strips)
    pauses_ms = [FRAME_MS] * len(others) + [LAST_FRAME_MS]
    buffer = io.BytesIO()
    first.save(buffer, "WEBP", save_all=True, append_images=others, duration=pauses_ms, loop=0, quality=80)
    return buffer.getvalue()


# --- runs -----------------------------------------------------------------------------------------------------------


class _FollowedLog:
    """The one reader of a run's log, shared by all sessions."""

    def __init__(self, path: Path) -> None:
        self._log = RunLog(path)
        self._lock = threading.Lock()

    def read(self) -> RunLog:
        """Read what was appended and return a copy that no other session changes."""
        with self._lock:
            self._log.read_new()
            snapshot = copy.copy(self._log)
            for name, value in vars(self._log).items():
                if isinstance(value, list):
                    setattr(snapshot, name, value.copy())
        return snapshot


def run_log(path: Path) -> RunLog:
    """Return the records in a `log.jsonl` up to now; only new bytes are read."""
    return _followed_log(str(path)).read()


@st.cache_resource(max_entries=MAX_LOGS, show_spinner=False)
def _followed_log(path: str) -> _FollowedLog:
    return _FollowedLog(Path(path))


def epoch_figure(draw: Callable[[RunLog], go.Figure], log: RunLog) -> go.Figure:
    """Return a figure of the epochs of a log, redrawn for each new epoch; do not change it."""
    return _figure(draw.__name__, _epochs_key(log), draw, log)


def step_figure(draw: Callable[[RunLog], go.Figure], log: RunLog) -> go.Figure:
    """Return a figure of the steps of a log, redrawn once it is longer by a pixel or two; do not change it."""
    last = log.steps[-1].step if log.steps else 0
    every = max(1, last // CURVE_PX)
    return _figure(draw.__name__, (*_epochs_key(log), every, last // every), draw, log)


def curves_figure(draw: Callable[[Sequence[Curve]], go.Figure], curves: Sequence[Curve]) -> go.Figure:
    """Return a figure of the epochs of several runs, redrawn for each new epoch; do not change it."""
    return _figure(draw.__name__, tuple((curve.name, *_epochs_key(curve.log)) for curve in curves), draw, curves)


def _epochs_key(log: RunLog) -> tuple[str, float, int, int]:
    began_s = log.legs[0].time_s if log.legs else 0.0  # another run may have taken the place of the file
    return str(log.path), began_s, len(log.legs), len(log.epochs)


@st.cache_resource(max_entries=64, show_spinner=False)
def _figure(name: str, key: object, _draw: Callable[[Any], go.Figure], _subject: object) -> go.Figure:  # noqa: ARG001
    return _draw(_subject)


# --- checkpoints and evaluations ------------------------------------------------------------------------------------


def trust(file: Path, checkpoint_hash: str | None) -> Trust | None:
    """Return stored figures for trust; None if there are none of this checkpoint that can be read."""
    return _trust(stamp(file), checkpoint_hash)


@st.cache_resource(max_entries=16, ttl=DAY_S, show_spinner=False)
def _trust(file: Stamp, checkpoint_hash: str | None) -> Trust | None:
    with suppress(RunError):  # the page offers to count it again
        found = stored_trust.read(Path(file.path))
        return found if found.about.checkpoint_hash == checkpoint_hash else None
    return None


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a file, read again only when it changes."""
    return _file_hash(stamp(path))


@st.cache_data(max_entries=256, show_spinner=False)
def _file_hash(file: Stamp) -> str:
    return evaluations.file_hash(Path(file.path))
