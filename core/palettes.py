"""A palette for readers with any colour vision, as an alternative to a data set's own colours.

The twenty colours come from Okabe and Ito (2008, "Color Universal Design") and Paul Tol (SRON/EPS/TN/09-002,
qualitative and discrete rainbow schemes). They were chosen so that no two, black and void included, are closer than
12.5 (CIE76) in normal, protan, deutan or tritan vision, as simulated by Machado, Oliveira and Fernandes (2009). Among
VOC's own colours the smallest distance is 1.
"""

from core.classes import Classes
from core.errors import ConfigError

OWN, SAFE = "own", "safe"
PALETTES = (OWN, SAFE)

SAFE_COLORS = (
    "#5289c7", "#42150a", "#cc79a7", "#004488", "#72190e", "#f6c141", "#cc3311", "#1965b0", "#994f88", "#999933",
    "#663333", "#99ddff", "#56b4e9", "#ee6677", "#ee8866", "#228833", "#ddcc77", "#994455", "#222255", "#a5170e",
)  # fmt: skip
"""Colours of the classes 1 to 20; later classes keep their own."""


def recolored(classes: Classes, palette: str) -> Classes:
    """Return classes in the colours of one of `PALETTES`, but for the background; another name raises `ConfigError`."""
    if palette not in PALETTES:
        raise ConfigError(f"There is no palette '{palette}'; choose {' or '.join(PALETTES)}.")
    if palette == OWN:
        return classes
    colors = (*classes.colors[:1], *SAFE_COLORS, *classes.colors[len(SAFE_COLORS) + 1 :])
    return Classes(classes.names, colors[: len(classes)])
