"""May I trust it? Abstaining until a promised share is right, and how unlike the training photos a photo is."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from core.metrics.risk import AIMS, MEANING, Promise
from core.metrics.unlikeness import percentile
from core.model.checkpoint.stated import NOTHING
from core.model.photo import ClassArea
from core.model.predict.tta import NO_TTA, TTA
from core.model.weights.pretrained import checkpoint_path
from core.training.trust import Trust
from core.voc import VOID
from ui import address, cached
from ui.job_view import is_counting, offer_figures
from ui.segment import cached_segments
from ui.segment.cached_segments import GivenFile
from ui.segment.models import ModelOption
from ui.words import percent, plain

if TYPE_CHECKING:
    from ui.segment.photo_view import Photo

UNLIKE = 0.99
"""From this percentile on a photo is called unlike the training photos, and nothing is promised of it."""


def figures_of(models: Sequence[ModelOption]) -> Trust | None:
    """Return the stored figures of a model alone; None without any, and where the user says what its file is."""
    source = models[0].source
    path, given = (source.path, source.given) if isinstance(source, GivenFile) else (source, NOTHING)
    return cached.trust(checkpoint_path(path)) if given == NOTHING and len(models) == 1 else None


def ask_promise(figures: Trust) -> Promise | None:
    """Ask what share shall be right of what is kept; None to keep everything."""
    aims = {f"{100 * aim:.0f} %": aim for aim in AIMS}
    chosen = st.segmented_control(
        "Abstain until right", list(aims), **address.keyed("right", aims, None), help=MEANING, width="stretch"
    )  # fmt: skip
    return figures.promise(aims[chosen]) if chosen else None


def show_trust(
    models: Sequence[ModelOption], promise: Promise | None, photo: "Photo", areas: Sequence[ClassArea], tta: TTA | None
) -> None:
    """Say of a model alone how unlike its training photos a photo is, and what is promised of what is kept of it.

    Without figures, offer to count them.
    """
    figures, choice = figures_of(models), models[0].choice
    if figures:
        _say(figures, promise, cached_segments.features(models[0].source, photo.data, photo.name), areas, tta)
    elif choice and len(models) == 1:
        with st.expander("May I trust it?", expanded=is_counting(choice.run, choice.file)):
            offer_figures(choice.run, choice.file)


def _say(
    figures: Trust,
    promise: Promise | None,
    features_C: NDArray[np.float32],
    areas: Sequence[ClassArea],
    tta: TTA | None,
) -> None:
    share = percentile(float(figures.reference.distance(features_C[None])[0]), figures.distance_N)
    is_unlike = share >= UNLIKE
    if is_unlike:
        st.warning(f"{unlikeness(share, len(figures.names))}.", icon=":material/help_center:")
    else:
        st.caption(f"{unlikeness(share, len(figures.names))}.")
    if promise:
        kept = 1 - sum(area.share for area in areas if area.id == VOID)
        is_one_pass = tta in (None, NO_TTA)
        st.caption(
            f"**Keeps {percent(kept)} of this photo.** {said(promise, is_unlike=is_unlike, is_one_pass=is_one_pass)}"
        )
        if missing := [area.name for area in areas if area.name in figures.unpromised]:
            st.caption(f"No promise for {plain(', '.join(missing))}: no held-out photo shows it.")


def unlikeness(share: float, num_photos: int) -> str:
    """Return a percentile among held-out photos in words, without a full stop."""
    if share == 1:
        return f"More unlike the training photos than each of the {num_photos} held-out photos"
    return f"More unlike the training photos than {int(100 * share)} of 100 held-out photos"


def said(promise: Promise, *, is_unlike: bool, is_one_pass: bool) -> str:
    """Return what is promised, in words."""
    aim, held_out = f"{100 * promise.aim:.0f} %", f"the {promise.num_photos} held-out photos"
    if promise.right is None:
        return f"At no confidence was {aim} right on {held_out}, so nothing is kept."
    if is_unlike:
        return "No promise for a photo so unlike the training photos."
    if not is_one_pass:
        return "No promise with test-time augmentation or tiles: it is for one pass."
    if promise.promise < promise.aim:
        return (
            f"{aim} cannot be promised from {promise.num_photos} photos: of what this kept of {held_out}, "
            f"{percent(promise.right)} was right, and {percent(promise.promise)} is promised for photos like them, on "
            "average."
        )
    return f"Promised for photos like {held_out}: on average, at least {aim} of what it keeps is right."
