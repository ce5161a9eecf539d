"""Bounded caches, shared by all sessions, of open models and of the masks of photos. Photos are never cached."""

import gc
import io
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import streamlit as st
from numpy.typing import NDArray
from PIL import Image

from core.classes import Classes
from core.data.images import jpeg_bytes, mask_image, png_bytes
from core.files import Stamp, stamp
from core.free_memory import free_share
from core.model.checkpoint.stated import NOTHING, Given
from core.model.photo import ClassArea, class_areas, open_noted, open_photo
from core.model.predict.tta import NO_TTA, TTA
from core.model.weights.pretrained import checkpoint_path
from ui.pictures import reduced

if TYPE_CHECKING:
    from core.model.checkpoint.checkpoint_file import CheckpointMeta
    from core.model.predict.predictor import Predictor


SMALL_PX = 400
"""The largest side of a photo on a contact sheet."""
LEAST_FREE_SHARE = 0.15
"""Share of free memory below which open models are dropped before another one is opened."""

_explaining = threading.Lock()
"""One explanation at a time: it takes a second model, and up to 2.5 GB with ResNet-50."""


class GivenFile(NamedTuple):
    """A checkpoint file, with what the user says about it."""

    path: str
    given: Given


Source = str | Path | GivenFile
"""A model: a path, a name on offer, or a file with what the user says about it."""


class ModelKey(NamedTuple):
    """A path or a name on offer, the stamp of its file, and what the user says about it."""

    source: str
    file: Stamp
    given: Given


@dataclass(frozen=True)
class LoadedModel:
    """A checkpoint ready to segment; `problems` and `repairs` say in words what was mended in the file."""

    predictor: "Predictor"
    meta: "CheckpointMeta"
    format: str
    problems: tuple[str, ...]
    repairs: tuple[str, ...]


def loaded_model(source: Source) -> LoadedModel:
    """Return the model of a checkpoint, opened once; one that does not open raises `CheckpointError`."""
    return _model(_key(source))


def is_in_int8(source: Source) -> bool:
    """Return whether a model predicts in int8: its file was calibrated for that, and it is faster here."""
    return loaded_model(source).predictor.precision == "int8"


def _key(source: Source) -> ModelKey:
    path, given = source if isinstance(source, GivenFile) else (source, NOTHING)
    return ModelKey(str(path), stamp(checkpoint_path(path)), given)


@st.cache_resource(max_entries=3, show_spinner=False)
def _model(key: ModelKey) -> LoadedModel:
    from core.model.predict.predictor import open_predictor
    from core.model.weights.pretrained import open_named

    if free_share() < LEAST_FREE_SHARE:
        _model.clear()  # a model in use stays with its user
        gc.collect()  # a model may be in a reference cycle, and its memory is needed now
    predictor, opened = open_predictor(open_named(key.source, given=key.given))
    return LoadedModel(predictor, opened.meta, opened.format, opened.problems, opened.repairs)


@dataclass(frozen=True)
class Segmented:
    """The mask of a photo and more, as PNG files of the photo's own size, and notes on the photo.

    `confidence_png` is grey, 255 for probability 1; `runner_up_png` holds the ids of the second-best classes. `own_png`
    is the model's own confidence, of which `confidence_png` is the calibrated one where that was asked for.
    `features` are the photo's to the backbone (`Predictor.features`), with test-time augmentation its first pass.
    """

    mask_png: bytes
    confidence_png: bytes
    runner_up_png: bytes
    own_png: bytes
    areas: tuple[ClassArea, ...]
    classes: Classes
    notes: tuple[str, ...]
    seconds: float
    features: tuple[NDArray[np.float32], ...]

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the photo."""
        with Image.open(io.BytesIO(self.mask_png)) as mask:
            return mask.size

    def answers(self) -> "Answers":
        """Return all four as arrays."""
        pngs = (self.mask_png, self.confidence_png, self.runner_up_png, self.own_png)
        return Answers(*(np.asarray(Image.open(io.BytesIO(png))) for png in pngs))


class Answers(NamedTuple):
    """For every pixel the id of its class, the confidence (255 is 1), and the id of the second-best class.

    Abstaining goes by own_HW, the model's own confidence, in which promises are counted; confidence_HW, which is shown,
    may be calibrated. So calibrating changes no mask and no promise.
    """

    mask_HW: NDArray[np.uint8]
    confidence_HW: NDArray[np.uint8]
    runner_up_HW: NDArray[np.uint8]
    own_HW: NDArray[np.uint8]

    @property
    def sureness(self) -> NDArray[np.float32]:
        """Return confidence_HW in [0, 1]."""
        return self.confidence_HW.astype(np.float32) / np.float32(255)

    def png(self) -> bytes:
        """Return all but own_HW as the channels of an opaque PNG file."""
        return png_bytes(Image.fromarray(np.dstack(self[:3])))

    def reduced(self, width: int, height: int) -> "Answers":
        """Return them resized to the nearest pixel, so ids stay ids."""
        return Answers(
            *(np.asarray(Image.fromarray(array).resize((width, height), Image.Resampling.NEAREST)) for array in self)
        )


@dataclass(frozen=True)
class Small:
    """A photo as a small JPEG, its answers at that size as the channels of a PNG, and its classes."""

    photo_jpeg: bytes
    answers_png: bytes
    own_png: bytes
    areas: tuple[ClassArea, ...]
    classes: Classes

    def photo(self) -> Image.Image:
        """Return the photo as RGB."""
        return Image.open(io.BytesIO(self.photo_jpeg)).convert("RGB")

    def answers(self) -> Answers:
        """Return the answers as arrays."""
        answers_HW3 = np.asarray(Image.open(io.BytesIO(self.answers_png)))
        own_HW = np.asarray(Image.open(io.BytesIO(self.own_png)))
        return Answers(answers_HW3[..., 0], answers_HW3[..., 1], answers_HW3[..., 2], own_HW)


def segmented_small(source: Source, photo: bytes, name: str, tta: TTA, temperature: float | None) -> Small:
    """Return what a contact sheet needs of a photo, so that a sheet of large photos takes little memory."""
    return _small(_key(source), photo, name, tta, _fitting(temperature, tta))


@st.cache_data(max_entries=250, ttl=3600, show_spinner=False)
def _small(key: ModelKey, data: bytes, name: str, tta: TTA, temperature: float | None) -> Small:
    result = _segmented(key, data, name, tta, temperature)
    photo = reduced(open_photo(data, name), SMALL_PX)
    answers = result.answers().reduced(*photo.size)
    own_png = png_bytes(Image.fromarray(answers.own_HW))
    return Small(jpeg_bytes(photo), answers.png(), own_png, result.areas, result.classes)


def segmented(
    source: Source, photo: bytes, name: str, tta: TTA = NO_TTA, temperature: float | None = None
) -> Segmented:
    """Return the mask of a photo by a model; a file that is not a photo raises `PhotoError`."""
    return _segmented(_key(source), photo, name, tta, _fitting(temperature, tta))


def _fitting(temperature: float | None, tta: TTA) -> float | None:
    """Return the temperature, which is fitted to one pass; None beside test-time augmentation."""
    return temperature if tta == NO_TTA else None


@st.cache_data(max_entries=64, ttl=3600, show_spinner="Segmenting …")  # more than the photos of one sheet
def _segmented(key: ModelKey, data: bytes, name: str, tta: TTA, temperature: float | None) -> Segmented:
    from core.model.predict.tiling import segment

    noted = open_noted(data, name)
    model = _model(key)
    began_s = time.perf_counter()
    with model.predictor.watching((noted.photo.height, noted.photo.width)) as features:
        prediction = segment(
            model.predictor, noted.photo, tta, with_confidence=True, with_runner_up=True, temperature=temperature
        )  # fmt: skip
    seconds = time.perf_counter() - began_s
    mask_HW, confidence_HW, runner_up_HW = prediction.mask_HW, prediction.confidence_HW, prediction.runner_up_HW
    assert confidence_HW is not None  # noqa: S101 - both were asked for
    assert runner_up_HW is not None  # noqa: S101
    shown_HW = confidence_HW if prediction.calibrated_HW is None else prediction.calibrated_HW
    return Segmented(
        mask_png=png_bytes(mask_image(mask_HW, model.meta.classes.palette)),
        confidence_png=_grey(shown_HW),
        runner_up_png=png_bytes(Image.fromarray(runner_up_HW)),
        own_png=_grey(confidence_HW),
        areas=class_areas(mask_HW, shown_HW, model.meta.class_names),
        classes=model.meta.classes,
        notes=noted.notes,
        seconds=seconds,
        features=tuple(each_C.cpu().numpy() for each_C in features[0]),
    )


def _grey(share_HW: NDArray[np.float32]) -> bytes:
    return png_bytes(Image.fromarray(np.rint(255 * share_HW).astype(np.uint8)))


class Part(NamedTuple):
    """A part of an explanation: its kind, two sentences, and its picture as a file, where there is one."""

    kind: str
    shows: str
    does_not_show: str
    picture: bytes | None


class Why(NamedTuple):
    """Why a pixel got its class."""

    class_name: str
    runner_up_name: str
    probability: float
    parts: tuple[Part, ...]


def explained(source: Source, photo: bytes, name: str, at: tuple[int, int], *, whole_object: bool) -> Why:
    """Return why a pixel (x, y) of a photo got its class, or the object that it is part of."""
    return _explained(_key(source), photo, name, at, whole_object=whole_object)


@st.cache_data(max_entries=32, ttl=3600, show_spinner="Looking for what made the model see this here …")
def _explained(key: ModelKey, data: bytes, name: str, at: tuple[int, int], *, whole_object: bool) -> Why:
    from core.explain.evidence import evidence
    from core.explain.explaining import explain
    from core.explain.tracing import explainable
    from core.model.weights.pretrained import open_named

    photo, predictor = open_photo(data, name), _model(key).predictor
    with _explaining:
        model = explainable(open_named(key.source, given=key.given), predictor)
        found = explain(model, photo, at, whole_object=whole_object)
    parts = tuple(
        Part(part.kind, part.shows, part.does_not_show, jpeg_bytes(part.picture) if part.picture else None)
        for part in evidence(found, photo)
    )
    return Why(found.class_name, found.runner_up_name, found.probability, parts)
