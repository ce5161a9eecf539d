"""Asking how often a photo goes through the model, and what that costs as measured on this photo."""

import streamlit as st

from core.model.predict.tta import CALM, ONCE, Passes
from core.wording import count, duration

ONE_PASS, SIX_PASSES = "One pass", "Mirrored, three sizes"
TILES_FROM = 2
"""How many times larger than what the model sees a photo's longer side is, before tiles are offered."""


def ask_passes(size: tuple[int, int], image_size: int, seconds: float) -> Passes:
    """Ask for more passes than one.

    Args:
        size: width and height of the photo.
        image_size: the size at which the model sees a photo.
        seconds: what one pass took.
    """
    with st.popover("Passes", icon=":material/layers:"):
        kind = st.radio(
            "The photo goes through the model", [ONE_PASS, SIX_PASSES], key="passes",
            help="The mean over the photo, its mirror image, and both at 0.75 and 1.25 times the size: outlines are "
            "calmer.",
        )  # fmt: skip
        tile_px = 0
        if max(size) >= TILES_FROM * image_size:
            tile_px = st.select_slider(
                "Tiles", [0, 2 * image_size, image_size], key=f"tiles {image_size}", format_func=_tile_words,
                help=f"The model sees a photo at {image_size} px. In tiles it sees small things larger, and never the "
                "whole of large ones: it can be better or worse, so look at both.",
            )  # fmt: skip
        base = CALM if kind == SIX_PASSES else ONCE
        passes = Passes(flip=base.flip, scales=base.scales, tile_px=tile_px or None)
        number = passes.count(*size)
        # At scale s a pass costs about s squared.
        weight = sum(scale**2 for scale in passes.scales) / len(passes.scales)
        st.caption(f"{count(number, 'pass', 'passes')}, about {duration(number * weight * seconds)} for this photo.")
    return passes


def _tile_words(tile_px: int) -> str:
    return f"{tile_px} px" if tile_px else "whole photo"
