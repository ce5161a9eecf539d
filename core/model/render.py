"""Masks as pictures: overlays on the photo, colours, and where two masks differ."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.voc import BACKGROUND, VOID

DISAGREEMENT_COLOR = (230, 60, 60)
LIT_COLOR = (255, 221, 51)

VOID_COLOR = (255, 0, 170)


def colorize(mask_HW: NDArray[np.uint8], palette_2563: NDArray[np.uint8]) -> Image.Image:
    """Return a mask in the colours of a palette as RGB."""
    return Image.fromarray(palette_2563[mask_HW])


def overlay(
    photo: Image.Image, mask_HW: NDArray[np.uint8], palette_2563: NDArray[np.uint8], opacity: float = 0.6
) -> Image.Image:
    """Lay the objects of a mask over an RGB photo of the same size; the background stays, void has its own colour."""
    painted = (mask_HW != BACKGROUND)[..., None]
    photo_HW3 = np.asarray(photo, dtype=np.float32)
    mixed = photo_HW3 + opacity * painted * (palette_2563[mask_HW] - photo_HW3)
    return Image.fromarray(np.rint(mixed).astype(np.uint8))


def show_void(photo: Image.Image, mask_HW: NDArray[np.uint8]) -> Image.Image:
    """Return an RGB photo in pale grey with the void of its mask in pink: what is never trained on or counted."""
    grey_HW3 = 160 + np.asarray(photo.convert("L").convert("RGB"), dtype=np.uint16) * 3 // 8
    grey_HW3[mask_HW == VOID] = VOID_COLOR
    return Image.fromarray(grey_HW3.astype(np.uint8))


def light(photo: Image.Image, lit_HW: NDArray[np.bool_]) -> Image.Image:
    """Return an RGB photo in dark grey with the marked pixels in yellow, however few they are."""
    grey_HW3 = np.asarray(photo.convert("L").convert("RGB")) // 3
    return Image.fromarray(np.where(lit_HW[..., None], np.array(LIT_COLOR, dtype=np.uint8), grey_HW3))


def difference(a_HW: NDArray[np.uint8], b_HW: NDArray[np.uint8], truth_HW: NDArray[np.uint8]) -> Image.Image:
    """Show where two predictions differ, as RGB: A right green, B right blue, both wrong red, else grey; void white."""
    differs = (a_HW != b_HW) & (truth_HW != VOID)
    picture = np.full((*a_HW.shape, 3), 235, dtype=np.uint8)
    picture[differs] = DISAGREEMENT_COLOR
    picture[differs & (a_HW == truth_HW)] = (60, 160, 80)
    picture[differs & (b_HW == truth_HW)] = (50, 110, 220)
    picture[truth_HW == VOID] = 255
    return Image.fromarray(picture)
