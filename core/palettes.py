"""Colours for classes that people with any colour vision can tell apart, to choose instead of a data set's own.

The colours are Okabe and Ito's (2008, "Color Universal Design") and Paul Tol's (SRON/EPS/TN/09-002, his qualitative
and discrete rainbow schemes). Those sets are of 8 to 23 colours made to be told apart within a set; these twenty were
chosen from all of them together, so that beside black and void no two come closer than 12.5 (CIE76) in normal, protan,
deutan or tritan sight, as simulated by Machado, Oliveira and Fernandes (2009). VOC's own come as close as 1.
"""

from core.classes import Classes
from core.errors import ConfigError

OWN, SAFE = "own", "safe"
PALETTES = (OWN, SAFE)

SAFE_COLORS = (
    "#5289c7", "#42150a", "#cc79a7", "#004488", "#72190e", "#f6c141", "#cc3311", "#1965b0", "#994f88", "#999933",
    "#663333", "#99ddff", "#56b4e9", "#ee6677", "#ee8866", "#228833", "#ddcc77", "#994455", "#222255", "#a5170e",
)  # fmt: skip
"""For the classes 1 to 20; further ones keep their own."""


def recolored(classes: Classes, palette: str) -> Classes:
    """Return classes in the colours of a palette, one of `PALETTES`; the background keeps its own.

    A palette that does not exist raises `ConfigError`.
    """
    if palette not in PALETTES:
        raise ConfigError(f"There is no palette '{palette}'; choose {' or '.join(PALETTES)}.")
    if palette == OWN:
        return classes
    colors = (*classes.colors[:1], *SAFE_COLORS, *classes.colors[len(SAFE_COLORS) + 1 :])
    return Classes(classes.names, colors[: len(classes)])
