"""The controls of a segmented photo (view, colours, test-time augmentation), and the picture they ask for."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import streamlit as st
from numpy.typing import NDArray
from PIL import Image
from streamlit.delta_generator import DeltaGenerator

from core.classes import Classes
from core.metrics.risk import Promise
from core.model.output.render import colorize, confidence_map, hatch, overlay, shade
from core.model.predict.tta import FLIP_AND_SCALES, NO_TTA, TTA
from core.palettes import OWN, PALETTES, SAFE, recolored
from core.training.trust import Trust
from core.voc import BACKGROUND, VOID
from core.wording import count, duration
from ui import address
from ui.segment.cached_segments import Answers
from ui.segment.trust import ask_promise, ask_temperature

OVERLAY, MASK, CONFIDENCE, SLIDER, SIDE_BY_SIDE = "Overlay", "Mask", "Confidence", "Slider", "Side by side"
KINDS = (OVERLAY, MASK, CONFIDENCE, SLIDER, SIDE_BY_SIDE)

HIDDEN = "hidden"
"""The names of classes that are not drawn, in the query string."""
PALETTE_LABELS = {OWN: "Own", SAFE: "Colour-blind safe"}
OUTLINE_SHARE = 1 / 400
"""The width of an outline as a share of the picture's longer side."""

OFF, FLIPPED_AND_SCALED = "Off", "Mirrored, three sizes"
TILES_FROM = 2
"""Tiles are offered for photos whose longer side is at least this multiple of the model's image size."""


class Look(NamedTuple):
    """How to draw a photo. `opacity` is a fraction, `threshold` the confidence below which the model abstains.

    `promise` is what the threshold was chosen for, if it was; `temperature` calibrates the confidence that is shown.
    """

    kind: str = OVERLAY
    opacity: float = 0.6
    has_outlines: bool = True
    is_shaded: bool = False
    palette: str = OWN
    hidden: tuple[int, ...] = ()
    threshold: float = 0.0
    promise: Promise | None = None
    temperature: float | None = None

    def colors(self, classes: Classes) -> Classes:
        """Return the classes in the chosen colours."""
        return recolored(classes, self.palette)

    @property
    def is_void_striped(self) -> bool:
        """Whether pictures have stripes where the model abstains: all but those of the mask alone."""
        return self.threshold > 0 and self.kind != MASK

    def abstaining(self, answers: Answers) -> NDArray[np.uint8]:
        """Return the mask, void where the model is less sure than the threshold."""
        return np.where(answers.own_HW >= 255 * self.threshold, answers.mask_HW, np.uint8(VOID))

    def shown_mask(self, answers: Answers) -> NDArray[np.uint8]:
        """Return the mask without hidden classes, void where the model abstains."""
        mask_HW = self.abstaining(answers)
        return np.where(np.isin(mask_HW, self.hidden), np.uint8(BACKGROUND), mask_HW)

    def laid_over(self, photo: Image.Image, answers: Answers, classes: Classes) -> Image.Image:
        """Return an RGB photo with its classes over it; photo and answers have one size."""
        outline_px = max(1, round(OUTLINE_SHARE * max(photo.size))) if self.has_outlines else 0
        palette_2563 = self.colors(classes).palette
        mask_HW = self.shown_mask(answers)
        covered = overlay(photo, mask_HW, palette_2563, self.opacity, outline_px)
        covered = hatch(covered, mask_HW == VOID) if self.threshold else covered
        return shade(covered, answers.sureness) if self.is_shaded else covered

    def picture(self, photo: Image.Image, answers: Answers, classes: Classes) -> Image.Image:
        """Return the picture of `kind`; photo and answers have one size."""
        if self.kind == MASK:
            return colorize(self.shown_mask(answers), self.colors(classes).palette)
        if self.kind == CONFIDENCE:
            drawn = confidence_map(answers.sureness)
            return hatch(drawn, self.abstaining(answers) == VOID) if self.threshold else drawn
        return self.laid_over(photo, answers, classes)


def ask_look(classes: Classes, views: DeltaGenerator, figures: Trust | None = None) -> Look:
    """Ask how to draw photos; `ask_classes` asks which classes to draw, once those in them are known.

    The view is asked for in `views`. With a model's figures the threshold is that of a promise, else a bare number.
    """
    with views:
        kind = address.ask_one("View", KINDS, "view", OVERLAY, label_visibility="collapsed")
    opacity = st.slider(
        "Opacity", 0, 100, step=5, format="%d %%", **address.keyed("opacity", address.spelled(range(0, 101, 5)), 60),
        disabled=kind in (MASK, CONFIDENCE), help="How strongly the class colours cover the photo.",
    )  # fmt: skip
    promise = ask_promise(figures) if figures else None
    temperature = ask_temperature(figures) if figures else None
    with st.popover("More", icon=":material/tune:", width="stretch"):
        outlines, is_shaded, palette = _ask_more()
        threshold = promise.confidence if promise else 0.0 if figures else _ask_threshold()
    names = address.held(HIDDEN, classes.names[1:], [])
    hidden = tuple(class_id for class_id, name in enumerate(classes.names) if name in names)
    return Look(kind, opacity / 100, outlines, is_shaded, palette, hidden, threshold, promise, temperature)


def _ask_more() -> tuple[bool, bool, str]:
    is_on = address.spelled([True, False])
    outlines = st.toggle("Outlines", **address.keyed("outlines", is_on, default=True),
                         help="Draw the edge of every object in full colour.")  # fmt: skip
    is_shaded = st.toggle("Shade by confidence", **address.keyed("shade", is_on, default=False),
                          help="Darker where the model is less sure.")  # fmt: skip
    palette = st.segmented_control(
        "Colours", list(PALETTES), required=True, **address.keyed("palette", PALETTES, OWN),
        format_func=PALETTE_LABELS.__getitem__,
        help="The data set's own (VOC's), or twenty that people with any colour vision can distinguish. Index "
        "masks keep their own palette.",
    )  # fmt: skip
    return outlines, is_shaded, palette or OWN


def _ask_threshold() -> float:
    percent = st.slider(
        "Abstain below", 0, 95, step=5, format="%d %%",
        **address.keyed("threshold", address.spelled(range(0, 96, 5)), 0),
        help="Where the confidence is lower, the mask is *void* (255). Models are often too sure; Compare shows by how "
        "much.",
    )  # fmt: skip
    return float(percent) / 100


def ask_classes(class_ids: Iterable[int], classes: Classes) -> None:
    """Ask which of the classes that occur to draw; the address holds the names of hidden ones."""
    there = [classes.names[class_id] for class_id in dict.fromkeys(class_ids) if class_id not in (BACKGROUND, VOID)]
    if not there:
        return
    key, hidden = f"shown {there}", st.session_state[HIDDEN]
    shown = [name for name in there if name not in hidden]
    if set(st.session_state.get(key, [""])) != set(shown):
        st.session_state[key] = shown

    def hide() -> None:
        elsewhere = [name for name in hidden if name not in there]
        address.hold(HIDDEN, elsewhere + [name for name in there if name not in st.session_state[key]])

    st.pills("Classes shown", there, selection_mode="multi", wrap=True, key=key, on_change=hide)


def ask_tta(image_size: int, size: tuple[int, int] | None = None, seconds: float = 0.0) -> TTA:
    """Ask for test-time augmentation and tiles.

    `size` is the width and height of the photo, None for photos of several sizes, `seconds` the time of one pass.
    """
    with st.popover("Test-time augmentation", icon=":material/layers:", width="stretch"):
        ways = [OFF, FLIPPED_AND_SCALED]
        kind = st.radio(
            "Test-time augmentation", ways, **address.keyed("passes", ways, OFF),
            help="The mean over the photo and its mirror image, each at 0.75, 1 and 1.25 times the size: "
            "smoother outlines.",
        )  # fmt: skip
        tile_px = 0
        if size is None or max(size) >= TILES_FROM * image_size:
            sizes = [0, 2 * image_size, image_size]
            tile_px = st.select_slider(
                "Tiles", sizes, **address.keyed("tiles", address.spelled(sizes), 0, key=f"tiles {image_size}"),
                format_func=_tile_words,
                help=f"The model sees a photo at {image_size} px. Tiles show small things larger and cut large "
                "ones, so the mask can get better or worse; compare both.",
            )  # fmt: skip
        base = FLIP_AND_SCALES if kind == FLIPPED_AND_SCALED else NO_TTA
        tta = TTA(flip=base.flip, scales=base.scales, tile_px=tile_px or None)
        if size:
            number = tta.num_passes(*size)
            # At scale s a pass costs about s squared.
            weight = sum(scale**2 for scale in tta.scales) / len(tta.scales)
            st.caption(
                f"{count(number, 'pass', 'passes')}, about {duration(number * weight * seconds)} for this photo."
            )
    return tta


def _tile_words(tile_px: int) -> str:
    return f"{tile_px} px" if tile_px else "whole photo"
