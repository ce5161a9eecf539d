"""Chooses the photos that are shown, and makes their pictures, small enough to be part of the file."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.data.dataset import Sample
from core.data.images import jpeg_bytes, mask_image, png_bytes, read_mask, read_photo
from core.metrics.image_scores import ImageScore, score_images
from core.model.output.render import difference, overlay
from core.report.content import Content
from core.report.language.words import Words
from core.voc import BACKGROUND, VOID

Mask = NDArray[np.uint8]

LONGEST_PX = 320
"""Longest side of a picture: five fill the width of a page at about 200 dpi."""

JPEG_QUALITY = 82


@dataclass(frozen=True)
class Chosen:
    """The index of a photo, and the reason for its choice: `gain`, `median` or `loss`."""

    index: int
    reason: str


def choose(images: Sequence[ImageScore], *, is_pair: bool, each: int = 2) -> list[Chosen]:
    """Choose the photos that gained most from A to B, those in the middle, and those that lost most.

    They are sorted by gain, ties by their order; none is chosen twice, and none without a counted pixel. Unless
    `is_pair`, B is the only checkpoint, and its best, middle and worst photos are chosen.
    """
    scored = [image for image in images if image.b is not None]
    ranked = sorted(scored, key=lambda image: -(image.gain if is_pair else image.b or 0.0))
    order = [image.index for image in ranked]
    each = max(1, min(each, len(order) // 3))
    middle = max(0, (len(order) - each) // 2)
    picked = [
        *((index, "gain") for index in order[:each]),
        *((index, "median") for index in order[middle : middle + each]),
        *((index, "loss") for index in order[max(0, len(order) - each) :]),
    ]
    reasons = dict(reversed(picked))  # a photo that is picked twice keeps its first reason
    return [Chosen(index, reasons[index]) for index in dict.fromkeys(index for index, _ in picked)]


@dataclass(frozen=True)
class Picture:
    """A picture as a data URI, its texts, and the mIoU of its mask if a checkpoint predicted it.

    `overlay_uri` is the photo with that mask laid over it, of the same size.
    """

    uri: str
    caption: str
    alt: str
    miou: float | None = None
    overlay_uri: str = ""


@dataclass(frozen=True)
class PhotoFigure:
    """A photo's pictures: input, each checkpoint's output, truth and difference; `ids` are the classes in its masks."""

    caption: str
    pictures: tuple[Picture, ...]
    ids: frozenset[int]


def photos_of(content: Content, words: Words) -> list[PhotoFigure]:
    """Return the chosen photos; none if the data is gone."""
    if content.data is None:
        return []
    samples = {sample.name: sample for sample in content.data.split(content.split)}
    images = score_images(content.names, content.counts_CNKK[0], content.counts_CNKK[-1])
    is_pair = len(content.checkpoints) > 1
    return [
        _photo(samples[content.names[chosen.index]], chosen, content, words)
        for chosen in choose(images, is_pair=is_pair)
    ]


def colors_of(photos: Sequence[PhotoFigure], content: Content, words: Words) -> list[tuple[str, str]]:
    """Return the colours in the masks of photos with their meanings, but for the background."""
    present = sorted(set().union(*(photo.ids for photo in photos)) - {BACKGROUND})
    names = content.classes.names
    return [(content.classes.css_color(k), words("void") if k == VOID else words.class_name(names[k])) for k in present]


def _photo(sample: Sample, chosen: Chosen, content: Content, words: Words) -> PhotoFigure:
    name, classes, labels = sample.name, content.classes, words.labels(content)
    truth_HW = read_mask(sample.mask, len(classes))
    masks = [read_mask(checkpoint.evaluation.mask_path(name), len(classes)) for checkpoint in content.checkpoints]
    images_CNKK = content.counts_CNKK[:, chosen.index : chosen.index + 1]
    mious = [score_images([name], one_NKK, one_NKK)[0].b or 0.0 for one_NKK in images_CNKK]

    def shown(mask_HW: Mask) -> str:
        return words.listed_classes(classes.names[k] for k in np.unique(mask_HW).tolist() if k != VOID)

    photo = read_photo(sample.photo)
    photo.thumbnail((LONGEST_PX, LONGEST_PX))
    pictures = [Picture(photo_uri(photo), words("input"), words("photo alt", name=name))]
    for label, mask_HW, miou in zip(labels, masks, mious, strict=True):
        alt = words("output alt", label=label, name=name, classes=shown(mask_HW))
        pictures.append(
            Picture(
                _mask_uri(mask_HW, classes.palette),
                words("output", label=label),
                alt,
                miou,
                overlay_uri(photo, mask_HW, classes.palette),
            )
        )
    alt = words("truth alt", name=name, classes=shown(truth_HW))
    pictures.append(
        Picture(
            _mask_uri(truth_HW, classes.palette),
            words("truth"),
            alt,
            overlay_uri=overlay_uri(photo, truth_HW, classes.palette),
        )
    )
    if len(masks) > 1:
        alt = words("difference alt", name=name)
        pictures.append(Picture(_difference_uri(masks, truth_HW), words("difference"), alt))
    text = caption(chosen.reason, name, mious[-1] - mious[0] if len(masks) > 1 else None, words)
    ids = frozenset(int(k) for mask_HW in (truth_HW, *masks) for k in np.unique(mask_HW))
    return PhotoFigure(text, tuple(pictures), ids)


def caption(reason: str, name: str, change: float | None, words: Words) -> str:
    """Return why a photo was chosen; `change` is the gain from A to the last checkpoint, None for a single one."""
    if change is None:
        key = {"gain": "best case", "loss": "worst case"}.get(reason, reason)
        return words("photo caption one", reason=words(key), name=name)
    keys = {"loss": "loss positive"} if change > 0 else {"gain": "gain negative", "loss": "loss case"}
    return words("photo caption", reason=words(keys.get(reason, reason)), name=name, change=words.points(change))


def photo_uri(photo: Image.Image) -> str:
    """Return a small photo as a data URI."""
    return _uri(jpeg_bytes(photo, JPEG_QUALITY), "jpeg")


def overlay_uri(photo: Image.Image, mask_HW: Mask, palette_2563: NDArray[np.uint8]) -> str:
    """Return a small photo with a mask laid over it as a data URI."""
    small_HW = np.asarray(Image.fromarray(mask_HW).resize(photo.size, Image.Resampling.NEAREST))
    return photo_uri(overlay(photo, small_HW, palette_2563))


def _mask_uri(mask_HW: Mask, palette_2563: NDArray[np.uint8]) -> str:
    """Return a small copy of a mask in the colours of a palette as a data URI."""
    mask = mask_image(mask_HW, palette_2563)
    return _uri(png_bytes(mask.resize(_small(mask.size), Image.Resampling.NEAREST), optimize=True), "png")


def _difference_uri(masks: Sequence[Mask], truth_HW: Mask) -> str:
    """Return the difference of the first and the last mask (`core.model.output.render`) as a data URI."""
    picture = difference(masks[0], masks[-1], truth_HW)
    shrunk = picture.resize(_small(picture.size), Image.Resampling.NEAREST).quantize(8)
    return _uri(png_bytes(shrunk, optimize=True), "png")


def _small(size: tuple[int, int]) -> tuple[int, int]:
    scale = min(1.0, LONGEST_PX / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _uri(file: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(file).decode()}"
