"""Bounded caches of what a folder or archive holds, as long as no file in it changes."""

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import streamlit as st
from PIL import Image

from core.data.images import jpeg_bytes
from core.data.importers import Source, contents_of, preview_data, values_to_name
from core.data.importers.archive import is_archive
from core.data.importers.formats import Contents
from core.data.importers.plan import Value
from core.data.importers.preview import Preview, PreviewPicture
from core.errors import DataError
from core.files import stamp, stamp_of
from core.model.output.render import overlay
from ui.cached import DAY_S
from ui.pictures import reduced

MAX_FILES = 500_000
PICTURE_PX = 480

T = TypeVar("T")


@dataclass(frozen=True)
class SmallPreview:
    """A preview with its pictures as JPEG files of the masks over the photos, by name."""

    preview: Preview
    overlays: tuple[tuple[str, bytes], ...]


def contents(path: Path) -> Contents:
    """Return what a folder, file or archive may be and holds, without its preview."""
    return _looked(path)[0]


def preview(name: str, source: Source) -> SmallPreview:
    """Return what an import in a format would bring; what is wrong raises `DataError`."""
    _, small = _looked(source.path)
    if small and small.preview.format == name and source == Source(source.path):
        return small
    return _found(name, str(source), _keys(source), lambda: _small(preview_data(name, source)))


def _looked(path: Path) -> tuple[Contents, SmallPreview | None]:
    return _found("contents", str(path), _key(path), lambda: _look(path))


def _look(path: Path) -> tuple[Contents, SmallPreview | None]:
    found = contents_of(Source(path))
    return replace(found, preview=None), _small(found.preview) if found.preview else None


def values(source: Source) -> tuple[Value, ...]:
    """Return the values of masks that nothing names; none where they cannot be read."""
    try:
        return _found("values", str(source), _keys(source), lambda: values_to_name(source))
    except DataError:
        return ()


def _found(what: str, source: str, key: str, find: Callable[[], T]) -> T:
    """Return what `find` returns or raise its `DataError`, both kept as long as the key stays the same."""
    found = _kept(what, source, key, find)
    if isinstance(found, DataError):
        raise DataError(str(found))  # raised anew, it would grow by a traceback each time
    return found


@st.cache_resource(max_entries=32, ttl=DAY_S, show_spinner=False)
def _kept(what: str, source: str, key: str, _find: Callable[[], T]) -> T | DataError:  # noqa: ARG001 - the keys
    try:
        return _find()
    except DataError as error:
        return DataError(str(error))


def _small(found: Preview) -> SmallPreview:
    overlays = tuple((picture.name, _overlay(picture, found)) for picture in found.pictures)
    return SmallPreview(replace(found, pictures=()), overlays)


def _overlay(picture: PreviewPicture, found: Preview) -> bytes:
    small = reduced(picture.photo, PICTURE_PX)
    mask_HW = np.asarray(Image.fromarray(picture.mask_HW).resize(small.size, Image.Resampling.NEAREST))
    return jpeg_bytes(overlay(small, mask_HW, found.classes.palette))


def _keys(source: Source) -> str:
    """Return the key of all that a source names, and of the files beside it if it is one file."""
    beside = source.path.parent if source.path.is_file() and not is_archive(source.path) else None
    places = (source.path, source.photos, source.table, beside)
    return " ".join(_key(place) for place in places if place)


def _key(path: Path) -> str:
    """Return a hash over the stamps of a file, or of every file in a folder; none is opened."""
    if not path.is_dir():
        return str(stamp(path))
    digest, number = hashlib.sha256(), 0
    for folder, folders, names in os.walk(path):
        folders.sort()
        number += len(names)
        if number > MAX_FILES:
            raise DataError(f"{path} holds more than {MAX_FILES:,} files; name the folder of the export alone.")
        for file in sorted(os.path.join(folder, name) for name in names):  # noqa: PTH118 - a third of the time
            digest.update(_text(file))
    return digest.hexdigest()


def _text(file: str) -> bytes:
    try:
        return str(stamp_of(file, os.stat(file))).encode(errors="surrogateescape")  # noqa: PTH116
    except OSError:  # a broken link
        return file.encode(errors="surrogateescape")
