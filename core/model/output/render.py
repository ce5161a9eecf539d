"""Masks as pictures: overlays on the photo, outlines, colours, confidence, and where two masks differ."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from core.voc import BACKGROUND, VOID

DISAGREEMENT_COLOR = (230, 60, 60)
LIT_COLOR = (255, 221, 51)

VOID_COLOR = (255, 0, 170)

ONLY_A_COLOR, ONLY_B_COLOR, OTHER_CLASS_COLOR = (230, 159, 0), (0, 114, 178), (204, 121, 167)
"""Orange, blue and reddish purple of Okabe and Ito, which colour-blind people can distinguish."""

CONFIDENCE_COLORS = ((0, 32, 76), (124, 123, 120), (255, 233, 69))

STRIP_PIXELS = 500_000


def colorize(mask_HW: NDArray[np.uint8], palette_2563: NDArray[np.uint8]) -> Image.Image:
    """Return a mask in the colours of a palette as RGB."""
    return Image.fromarray(palette_2563[mask_HW])


def overlay(
    photo: Image.Image,
    mask_HW: NDArray[np.uint8],
    palette_2563: NDArray[np.uint8],
    opacity: float = 0.6,
    outline_px: int = 0,
) -> Image.Image:
    """Return an RGB photo with the objects of its mask in colour; the background stays as it is.

    Args:
        photo: RGB, of the mask's size.
        mask_HW: class ids, or void.
        palette_2563: the colour of every id, void's included.
        opacity: of the objects' colours, in [0, 1].
        outline_px: the width of each object's edge in its full colour; 0 for no edges.
    """
    laid_over = np.array(photo)
    edge_HW = outline(mask_HW, outline_px) if outline_px else None
    for rows in _strips(mask_HW):
        ids_hW, photo_hW3 = mask_HW[rows], laid_over[rows].astype(np.float32)
        strength_hW1 = np.where(ids_hW == BACKGROUND, np.float32(0), np.float32(opacity))[..., None]
        if edge_HW is not None:
            strength_hW1[edge_HW[rows]] = 1
        laid_over[rows] = np.rint(photo_hW3 + strength_hW1 * (palette_2563[ids_hW] - photo_hW3))
    return Image.fromarray(laid_over)


def outline(mask_HW: NDArray[np.uint8], width_px: int = 1) -> NDArray[np.bool_]:
    """Return is_edge_HW: the pixels of objects and void within `width_px` of another id; the photo's border is none."""
    square = 2 * width_px + 1
    highest_HW = ndimage.maximum_filter(mask_HW, square, mode="nearest")
    lowest_HW = ndimage.minimum_filter(mask_HW, square, mode="nearest")
    is_edge_HW: NDArray[np.bool_] = (highest_HW != lowest_HW) & (mask_HW != BACKGROUND)
    return is_edge_HW


def hatch(picture: Image.Image, is_hatched_HW: NDArray[np.bool_]) -> Image.Image:
    """Return an RGB picture with diagonal stripes, darkened by half, over some of its pixels."""
    period_px = max(6, max(picture.size) // 60)
    diagonal_HW = np.add.outer(np.arange(picture.height), np.arange(picture.width)) % period_px
    hatched = np.array(picture)
    hatched[is_hatched_HW & (diagonal_HW < period_px // 3)] //= 2
    return Image.fromarray(hatched)


def shade(picture: Image.Image, confidence_HW: NDArray[np.float32]) -> Image.Image:
    """Return an RGB picture darkened by confidence: unchanged at 1, black at 0."""
    shaded = np.array(picture)
    for rows in _strips(confidence_HW):
        shaded[rows] = np.rint(shaded[rows] * confidence_HW[rows, :, None])
    return Image.fromarray(shaded)


def confidence_map(confidence_HW: NDArray[np.float32]) -> Image.Image:
    """Return confidence in [0, 1] as RGB from dark blue over grey to yellow, which colour-blind people can read.

    The colours interpolate the ends and the middle of cividis (Nunez, Anderton and Renslow 2018).
    """
    steps = np.linspace(0, 1, 256)
    colors_2563 = np.stack([np.interp(steps, (0, 0.5, 1), channel) for channel in zip(*CONFIDENCE_COLORS, strict=True)])
    levels_HW = np.rint(255 * np.clip(confidence_HW, 0, 1)).astype(np.uint8)
    return Image.fromarray(np.rint(colors_2563.T).astype(np.uint8)[levels_HW])


def a_against_b(photo: Image.Image, a_HW: NDArray[np.uint8], b_HW: NDArray[np.uint8]) -> Image.Image:
    """Return an RGB photo in pale grey with the pixels in colour where two masks of it differ; void never differs.

    Orange: an object in A, background in B. Blue: an object in B, background in A. Purple: different objects.
    """
    differs = (a_HW != b_HW) & (a_HW != VOID) & (b_HW != VOID)
    picture = _pale(photo)
    picture[differs] = OTHER_CLASS_COLOR
    picture[differs & (b_HW == BACKGROUND)] = ONLY_A_COLOR
    picture[differs & (a_HW == BACKGROUND)] = ONLY_B_COLOR
    return Image.fromarray(picture)


def cutout(photo: Image.Image, mask_HW: NDArray[np.uint8], class_id: int) -> Image.Image:
    """Return a class cut out of an RGB photo, as RGBA of its size; transparent pixels are black."""
    is_class_HW = mask_HW == class_id
    cut_HW4 = np.zeros((*mask_HW.shape, 4), dtype=np.uint8)
    np.copyto(cut_HW4[..., :3], np.asarray(photo), where=is_class_HW[..., None])
    cut_HW4[..., 3] = is_class_HW * np.uint8(255)
    return Image.fromarray(cut_HW4)


def _strips(array_HW: NDArray[Any]) -> Iterator[slice]:
    """Yield the rows of a picture in strips: in floating point it takes twelve times its memory."""
    num_rows = max(1, STRIP_PIXELS // array_HW.shape[1])
    for top in range(0, array_HW.shape[0], num_rows):
        yield slice(top, top + num_rows)


def _pale(photo: Image.Image) -> NDArray[np.uint8]:
    """Return an RGB photo in pale grey, (H, W, 3)."""
    paler = [160 + level * 3 // 8 for level in range(256)]
    return np.array(photo.convert("L").point(paler).convert("RGB"))


def show_void(photo: Image.Image, mask_HW: NDArray[np.uint8]) -> Image.Image:
    """Return an RGB photo in pale grey with the void of its mask in pink."""
    grey_HW3 = _pale(photo)
    grey_HW3[mask_HW == VOID] = VOID_COLOR
    return Image.fromarray(grey_HW3)


def light(photo: Image.Image, lit_HW: NDArray[np.bool_]) -> Image.Image:
    """Return an RGB photo in dark grey with the marked pixels in yellow."""
    grey_HW3 = np.asarray(photo.convert("L").convert("RGB")) // 3
    return Image.fromarray(np.where(lit_HW[..., None], np.array(LIT_COLOR, dtype=np.uint8), grey_HW3))


def difference(a_HW: NDArray[np.uint8], b_HW: NDArray[np.uint8], truth_HW: NDArray[np.uint8]) -> Image.Image:
    """Return as RGB where two predictions differ: A right green, B right blue, both wrong red, void white."""
    differs = (a_HW != b_HW) & (truth_HW != VOID)
    picture = np.full((*a_HW.shape, 3), 235, dtype=np.uint8)
    picture[differs] = DISAGREEMENT_COLOR
    picture[differs & (a_HW == truth_HW)] = (60, 160, 80)
    picture[differs & (b_HW == truth_HW)] = (50, 110, 220)
    picture[truth_HW == VOID] = 255
    return Image.fromarray(picture)
