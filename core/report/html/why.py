"""Why here: maps of evidence for whole objects in photos of the report, where robustness and trust are asked for."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from scipy import ndimage

from core.data.dataset import Sample
from core.data.images import read_mask, read_photo
from core.errors import CheckpointError, NoRoomError
from core.explain.kinds import CLASS_MAP
from core.metrics.image_scores import score_images
from core.report.content import Content
from core.report.html.figures import LONGEST_PX, Mask, Picture, choose, overlay_uri, photo_uri
from core.report.language.words import Words
from core.voc import BACKGROUND, VOID

if TYPE_CHECKING:
    from core.explain.tracing import Explainable

NUM_PHOTOS = 2
LEAST_SHARE = 0.01
"""Share of the photo that an object fills at least to be explained."""


@dataclass(frozen=True)
class WhyFigure:
    """A photo, its mask and the map of an object; and in words what was found."""

    pictures: tuple[Picture, ...]
    found: str


@dataclass(frozen=True)
class WhyHere:
    """The figures of a report, and the key of the sentence that says why there are none."""

    figures: tuple[WhyFigure, ...] = ()
    missing: str = "evidence missing"


def why_here(content: Content, words: Words) -> WhyHere:
    """Return maps of the last checkpoint, for the middle photos first; none if not asked for, or where none opens."""
    if content.trust is None or content.data is None:
        return WhyHere()
    try:
        model = explainable_of(content.checkpoints[-1].file)
    except NoRoomError:
        return WhyHere(missing="evidence no room")
    except CheckpointError:
        return WhyHere()  # the section says so; the rest of a report needs no checkpoint
    return WhyHere(
        tuple(
            _figure(model, sample, mask_HW, content, words)
            for sample, mask_HW in islice(_with_object(content), NUM_PHOTOS)
        )
    )


def explainable_of(file: Path) -> "Explainable":
    """Open a checkpoint to be explained; one that does not open raises `CheckpointError`."""
    from core.explain.tracing import explainable
    from core.model.predict.predictor import open_predictor

    predictor, opened = open_predictor(file)
    return explainable(opened, predictor)


def _with_object(content: Content) -> Iterator[tuple[Sample, Mask]]:
    """Yield the photos that the report chooses, the middle ones first, in whose masks an object is large enough."""
    assert content.data is not None  # noqa: S101 - `why_here` has looked
    samples = {sample.name: sample for sample in content.data.split(content.split)}
    images = score_images(content.names, content.counts_CNKK[0], content.counts_CNKK[-1])
    chosen = choose(images, is_pair=len(content.checkpoints) > 1)
    for each in sorted(chosen, key=lambda one: one.reason != "median"):
        sample = samples[content.names[each.index]]
        mask_HW = read_mask(content.checkpoints[-1].evaluation.mask_path(sample.name), len(content.classes))
        if _largest(mask_HW).mean() >= LEAST_SHARE:
            yield sample, mask_HW


def _largest(mask_HW: Mask) -> np.ndarray:
    """Return which pixels belong to the largest connected object of a mask; none without one."""
    largest_HW = np.zeros(mask_HW.shape, bool)
    for class_id in np.setdiff1d(np.unique(mask_HW), (BACKGROUND, VOID)):
        parts_HW, _ = ndimage.label(mask_HW == class_id)
        sizes = np.bincount(parts_HW.ravel())
        sizes[0] = 0
        if sizes.max() > largest_HW.sum():
            largest_HW = parts_HW == sizes.argmax()
    return largest_HW


def _figure(model: "Explainable", sample: Sample, mask_HW: Mask, content: Content, words: Words) -> WhyFigure:
    from core.explain.evidence import evidence
    from core.explain.explaining import explain
    from core.explain.maps import CHECKED_SHARE, LEAST_GAIN

    photo, object_HW = read_photo(sample.photo), _largest(mask_HW)
    inside = ndimage.distance_transform_edt(np.pad(object_HW, 1))[1:-1, 1:-1]
    y, x = np.unravel_index(int(inside.argmax()), inside.shape)
    explanation = explain(model, photo, (int(x), int(y)), whole_object=True)
    drawn = next(part.picture for part in evidence(explanation, photo) if part.kind == CLASS_MAP)
    small = photo.copy()
    small.thumbnail((LONGEST_PX, LONGEST_PX))
    name, label = words.class_name(explanation.class_name), words.labels(content)[-1]
    pictures = [
        Picture(photo_uri(small), words("input"), words("photo alt", name=sample.name)),
        Picture(
            overlay_uri(small, mask_HW, content.classes.palette), words("output", label=label),
            words("output alt", label=label, name=sample.name, classes=name),
        ),
    ]  # fmt: skip
    if drawn:
        shown = drawn.resize(small.size, Image.Resampling.LANCZOS)
        pictures.append(
            Picture(photo_uri(shown), words("evidence"), words("evidence alt", name=sample.name, object=name))
        )
    found = words(
        "evidence found" if drawn else "evidence not found", name=sample.name, object=name,
        share=words.percent(CHECKED_SHARE), by_map=words.percent(explanation.check.by_map),
        by_random=words.percent(max(explanation.check.by_random)), gain=words.number(100 * LEAST_GAIN),
    )  # fmt: skip
    return WhyFigure(tuple(pictures), found)
