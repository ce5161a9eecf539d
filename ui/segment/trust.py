"""May I trust it? Abstaining until a promised share is right, and how unlike the training photos a photo is."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import streamlit as st

from core.metrics.risk import AIMS, MEANING, Promise
from core.metrics.unlikeness import Unlikeness
from core.model.photo import ClassArea
from core.model.predict.tta import NO_TTA, TTA
from core.model.weights import starter
from core.training.run.milestones import CHOSEN_ON_VAL, is_chosen
from core.training.trust import SCHEMA, Trust
from core.voc import VOID
from core.wording import count
from ui import address, cached
from ui.checkpoints import fingerprint_of, has_figures, trust_of
from ui.job_view import EVERYTHING, is_counting, offer_figures
from ui.segment import cached_segments
from ui.segment.models import ModelOption
from ui.words import percent, plain

if TYPE_CHECKING:
    from ui.segment.photo_look import Look
    from ui.segment.photo_view import Photo

REASONS: dict[tuple[bool, ...], str] = {
    (True, False): ": to the model it shows other things",
    (False, True): ": darker, noisier or otherwise technically unlike them",
    (True, True): ": to the model it shows other things, and it is technically unlike them (light, noise, sharpness)",
}
"""What is unlike about a photo, by `Unlikeness.far_by`; figures of version 1 cannot tell."""

EARLY = "how technically unlike its training photos (light, noise, sharpness) a photo is"
"""What figures of version 1 lack."""


def figures_of(models: Sequence[ModelOption]) -> Trust | None:
    """Return the stored figures of a model alone: of val of its run's data, or those that come with the starter."""
    choice = models[0].choice
    if len(models) > 1:
        return None
    if models[0].is_starter:
        return cached.trust(starter.trust_path(), starter.shipped_hash())
    if choice is None or not has_figures(choice):  # before the photos of val are read for their fingerprint
        return None
    return trust_of(choice, "val", fingerprint_of(choice.run.data, "val"))


def ask_promise(figures: Trust) -> Promise | None:
    """Ask what share shall be right of what is kept; None to keep everything."""
    aims = {f"{100 * aim:.0f}": aim for aim in AIMS}
    chosen = st.segmented_control(
        "Abstain until % right", list(aims), **address.keyed("right", aims, None), help=MEANING, width="stretch",
    )  # fmt: skip
    return figures.promise(aims[chosen]) if chosen else None


def ask_temperature(figures: Trust) -> float | None:
    """Ask whether to show calibrated confidence; return the temperature, None for the model's own confidence."""
    fitted = figures.temperature()
    is_on = st.toggle(
        "Calibrated confidence", **address.keyed("calibrated", address.spelled([True, False]), default=False),
        disabled=fitted is None, help="Shows confidence at the temperature that fits held-out photos best (Guo et al. "
        "2017). Masks, and what is abstained from, stay as they are.",
    )  # fmt: skip
    return fitted.value if fitted and is_on else None


def calibration(figures: Trust, tta: TTA | None) -> str:
    """Return in words what calibrated confidence is worth."""
    fitted = figures.temperature()
    if tta not in (None, NO_TTA) or not fitted:
        return "Confidence is the model's own: a temperature is fitted to one pass, without augmentation or tiles."
    return (
        f"{fitted.said(len(figures.names))} Masks, and what is abstained from, are those of the model's own confidence."
    )


def show_trust(
    models: Sequence[ModelOption], look: "Look", photo: "Photo", areas: Sequence[ClassArea], tta: TTA | None
) -> None:
    """Say of a model alone how unlike its training photos a photo is, and what is promised of what is kept of it.

    Without figures, or with those of version 1, offer to count them.
    """
    figures, choice = figures_of(models), models[0].choice
    if figures:
        found = figures.unlikeness(cached_segments.segmented(models[0].source, photo.data, photo.name).features)
        words = unlikeness(found, len(figures.names))
        if found.is_unlike:
            st.warning(plain(words), icon=":material/help_center:")
        else:
            st.caption(words)
        if look.temperature:
            st.caption(calibration(figures, tta))
        if promise := look.promise:
            kept = 1 - sum(area.share for area in areas if area.id == VOID)
            st.caption(f"**Keeps {percent(kept)} of this photo.** {said(promise, tta, is_far=found.is_unlike)}")
            if missing := [area.name for area in areas if area.name in figures.unpromised]:
                st.caption(f"No promise for {plain(', '.join(missing))}: no held-out photo shows it.")
            if choice and is_chosen(choice.file, "val"):
                st.caption(f"{CHOSEN_ON_VAL}")
    if choice and len(models) == 1 and not (figures and figures.about.schema == SCHEMA):
        with st.expander("May I trust it?", expanded=is_counting(choice.run, choice.file)):
            offer_figures(choice.run, choice.file, EARLY if figures else EVERYTHING)


def say_of_sheet(model: ModelOption, look: "Look", tta: TTA) -> None:
    """Say what is promised of the photos of a contact sheet, and what calibrated confidence is worth."""
    if look.temperature and (figures := figures_of([model])):
        st.caption(calibration(figures, tta))
    if look.promise:
        st.caption(f"{said(look.promise, tta)} Photos unlike the training photos are not covered.")


def unlikeness(found: Unlikeness, num_photos: int) -> str:
    """Return in words how unlike a photo is, and what is unlike about one that is called so."""
    than = f"each of the {num_photos}" if found.share == 1 else f"{int(100 * found.share)} of 100"
    about = REASONS.get(found.far_by, "") if found.is_unlike else ""
    return f"Less like the training photos than {than} held-out photos{about}."


def said(promise: Promise, tta: TTA | None, *, is_far: bool = False) -> str:
    """Return what is promised, in words; `is_far` says that the photo is unlike the training photos."""
    aim, held_out = f"{100 * promise.aim:.0f} %", f"the {promise.num_photos} held-out photos"
    if promise.right is None:
        return f"No threshold reached {aim} right on {held_out}, so nothing is kept."
    if is_far:
        return "No promise for a photo so unlike the training photos."
    if tta not in (None, NO_TTA):
        return "No promise with test-time augmentation or tiles: it is for one pass."
    empty = f" {count(promise.num_empty, 'of them keeps', 'of them keep')} nothing." if promise.num_empty else ""
    rises = f"{100 * promise.stability:.2f}"
    costs = f" Losses may rise with the threshold, which costs {rises} points." if float(rises) else ""
    if percent(promise.promise) != percent(promise.aim):
        is_few = percent(promise.promise + promise.stability) != percent(promise.aim)
        photos = f" from {promise.num_photos} photos" if is_few else ""
        return (
            f"{aim} cannot be promised{photos}: of what this kept of {held_out}, {percent(promise.right)} was right, "
            f"and {percent(promise.promise)} is promised for photos like them, on average.{empty}{costs}"
        )
    if promise.keeps_all:
        return (
            "The model alone keeps this promise, so nothing is abstained from: on average "
            f"{percent(promise.right)} of all pixels of {held_out} is right, and at least {aim} is promised for photos "
            f"like them.{costs}"
        )
    return f"Promised for photos like {held_out}: on average, at least {aim} of what it keeps is right.{empty}{costs}"
