"""Segment: the mask of a photo, at the photo's own size. Photos stay in memory and are never written."""

from collections.abc import Sequence

import streamlit as st

from core.model.predict.tta import TTA
from core.model.weights import starter
from core.training.run import folders
from core.wording import count
from ui.legend import show_areas
from ui.page import link_to, open_page
from ui.segment import cached_segments
from ui.segment.cached_segments import Segmented
from ui.segment.exports import PhotoFiles, offer_all, show_downloads, shown_areas, stems_of
from ui.segment.models import (
    ModelOption,
    ask_model,
    ask_other,
    describe,
    is_ready,
    list_models,
    say_nothing_found,
    warn_of_demo,
)
from ui.segment.photo_look import SIDE_BY_SIDE, Look, ask_look, ask_tta
from ui.segment.photo_pair import show_pair
from ui.segment.photo_source import ask_photos
from ui.segment.photo_view import Photo, ask_stretch, show_pictures
from ui.words import plain


def say_what_there_is(models: Sequence[ModelOption]) -> None:
    """Say what to do when no run has a checkpoint and the starter is missing."""
    if any(model.choice or model.is_starter for model in models):
        return
    if live := folders.live_runs():
        st.info(f"{live[0].name} is being trained; photos can be segmented once its first checkpoint is written.")
    else:
        st.info(
            "There are no checkpoints yet: train a run first, for instance the demo, or take a model on offer below."
        )
    st.warning(plain(f"The starter model {starter.starter_path()} is missing; {starter.RESTORE}."))
    link_to("Train", "Go to Train")


def ask_which(photos: Sequence[Photo]) -> Photo:
    """Ask which of several photos to show."""
    numbered = {f"{number}. {photo.name}": photo for number, photo in enumerate(photos, start=1)}
    *others, newest = numbered
    return numbered[st.pills("Show", list(numbered), default=newest, required=True) if others else newest]


def act_and_show(model: ModelOption, other: ModelOption | None, photos: Sequence[Photo]) -> None:
    """Segment the chosen photo; show its overlay, classes and downloads."""
    photo, asked = ask_which(photos), [model, *([other] if other else [])]
    results = [cached_segments.segmented(each.source, photo.data, photo.name) for each in asked]
    result = results[0]
    if not photo.truth:
        warn_of_demo(asked)
    for each, found in zip(asked, results, strict=True):
        say_nothing_found(each, found.areas)
    for note in result.notes:
        st.caption(f"{plain(photo.name)}: {plain(note)}")
    look = ask_look([each.areas for each in results if each.classes.names == result.classes.names], result.classes)
    if other:
        show_pair(photo, results[0], results[1], (model.label, other.label), look)
        return
    left, right = (st, st) if look.kind == SIDE_BY_SIDE else st.columns([2, 1], gap="medium")
    pictures, table = left.container(), right.container()
    with right.container():
        image_size = cached_segments.loaded_model(model.source).meta.image_size
        passes = ask_tta(result.size, image_size, result.seconds)
    result = cached_segments.segmented(model.source, photo.data, photo.name, passes)
    with pictures:
        show_pictures(photo, result, look)
    with table:
        show_areas(shown_areas(result, look), look.colors(result.classes))
        st.caption(f"{result.size[0]} x {result.size[1]} px in {result.seconds:.1f} s.")
    with right.container():
        show_downloads(photo, result, look)
    if len(photos) > 1:
        segment_all(model, photos, look, passes)


def segment_all(model: ModelOption, photos: Sequence[Photo], look: Look, passes: TTA) -> None:
    """Offer to segment every photo, then one zip of all results."""
    if not st.toggle(f"Segment all {count(len(photos), 'photo')}", key="all"):
        return
    bar = st.progress(0.0)
    results: list[Segmented] = []
    for number, photo in enumerate(photos, start=1):
        bar.progress(number / len(photos), f"Segmenting {number} of {len(photos)} …")
        results.append(cached_segments.segmented(model.source, photo.data, photo.name, passes))
    bar.empty()
    stems = stems_of(photos)
    offer_all([PhotoFiles(*each, look) for each in zip(stems, photos, results, strict=True)])


def main() -> None:
    """Ask for a model and photos, segment, show."""
    st.title("Segment", anchor=False)
    models = list_models()
    say_what_there_is(models)
    left, right = st.columns(2)
    with left:
        model = ask_model(models)
    if model is None or not is_ready(model):
        return
    with right:
        other = ask_other(models, model)
    if other and not is_ready(other):
        return
    describe(model, other)
    if photos := ask_stretch(ask_photos(model.choice)):
        act_and_show(model, other, photos)
    elif model.is_starter:
        cached_segments.loaded_model(model.source)  # while a photo is chosen, so that its mask does not wait for it


with open_page("Segment"):
    main()
