"""A palette for readers with any colour vision, as an alternative to a data set's own colours.

The twenty colours come from Okabe and Ito (2008, "Color Universal Design") and Paul Tol (SRON/EPS/TN/09-002,
qualitative and discrete rainbow schemes). They were chosen so that no two, black and void included, are closer than
12.5 (CIE76) in normal, protan, deutan or tritan vision, as simulated by Machado, Oliveira and Fernandes (2009). Among
VOC's own colours the smallest distance is 1.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from core.classes import VOC_CLASSES, Classes
from core.errors import ConfigError
from core.voc import VOID

OWN, SAFE = "own", "safe"
PALETTES = (OWN, SAFE)

SAFE_COLORS = (
    "#5289c7", "#42150a", "#cc79a7", "#004488", "#72190e", "#f6c141", "#cc3311", "#1965b0", "#994f88", "#999933",
    "#663333", "#99ddff", "#56b4e9", "#ee6677", "#ee8866", "#228833", "#ddcc77", "#994455", "#222255", "#a5170e",
)  # fmt: skip
"""Colours of the classes 1 to 20; later classes keep their own."""
# IEC 61966-2-1: linear sRGB to X Y Z, and the white of D65.
LINEAR_TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
WHITE = np.array([0.95047, 1, 1.08883])
LEAST_LIGHTNESS = 45
"""The CIE lightness from which on a colour is told from the dark parts of photos."""


def recolored(classes: Classes, palette: str) -> Classes:
    """Return classes in the colours of one of `PALETTES`, but for the background; another name raises `ConfigError`."""
    if palette not in PALETTES:
        raise ConfigError(f"There is no palette '{palette}'; choose {' or '.join(PALETTES)}.")
    if palette == OWN:
        return classes
    colors = (*classes.colors[:1], *SAFE_COLORS, *classes.colors[len(SAFE_COLORS) + 1 :])
    return Classes(classes.names, colors[: len(classes)])


def new_colors(taken: Sequence[str], number: int) -> tuple[str, ...]:
    """Return colours for further classes: each the light safe colour farthest from void's and from all before it.

    Where none of these is left come the dark ones, and then those that were taken least often.
    """
    found = [VOC_CLASSES.css_color(VOID), *taken]
    for _ in range(number):
        least = min(map(found.count, SAFE_COLORS))
        free = [color for color in SAFE_COLORS if found.count(color) == least]
        light = [color for color in free if _lab(color)[0] >= LEAST_LIGHTNESS]
        found.append(max(light or free, key=lambda color: min(math.dist(_lab(color), _lab(each)) for each in found)))
    return tuple(found[1 + len(taken) :])


def _lab(color: str) -> NDArray[np.float64]:
    """Return the CIE L*a*b* of `#rrggbb` under D65."""
    values = np.array([*bytes.fromhex(color[1:])]) / 255
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    xyz = LINEAR_TO_XYZ @ linear / WHITE
    x, y, z = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])
