"""Segment: the mask of a photo, at the photo's own size. Photos stay in memory and are never written."""

from collections.abc import Sequence
from typing import NamedTuple

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.model.weights import starter
from core.training.run import folders
from ui.legend import show_areas
from ui.page import link_to, open_page, showing_errors
from ui.segment import cached_segments
from ui.segment.contact_sheet import show_moves, show_sheet, show_sheet_classes, shown_large
from ui.segment.exports import offer_all, offer_export, show_downloads, shown_areas
from ui.segment.models import (
    ModelOption,
    ask_model,
    ask_other,
    describe,
    is_ready,
    list_models,
    say_what_it_knows,
    warn_of_demo,
    warn_of_weak,
)
from ui.segment.photo_look import ask_classes, ask_look, ask_tta
from ui.segment.photo_source import ask_photos
from ui.segment.photo_view import Photo, ask_stretch
from ui.segment.trust import figures_of, say_of_sheet, show_trust
from ui.segment.why_here import show_results
from ui.words import plain


class Places(NamedTuple):
    """Where views, controls and downloads are drawn; pictures are drawn where the page is."""

    views: DeltaGenerator
    settings: DeltaGenerator
    end: DeltaGenerator


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


def show_large(photo: Photo, chosen: Sequence[ModelOption], places: Places) -> None:
    """Draw a photo segmented by one model, or by two under a slider; its classes and downloads."""
    results = [cached_segments.segmented(each.source, photo.data, photo.name) for each in chosen]
    classes, tta = results[0].classes, None
    with places.settings:
        look = ask_look(classes, places.views, figures_of(chosen))
        table = st.container()
        alike = [each for each in results if each.classes.names == classes.names]
        ask_classes([area.id for each in alike for area in shown_areas(each, look)], classes)
        if len(results) == 1:
            image_size = cached_segments.loaded_model(chosen[0].source).meta.image_size
            tta = ask_tta(image_size, results[0].size, results[0].seconds)
            results = [cached_segments.segmented(chosen[0].source, photo.data, photo.name, tta, look.temperature)]
    names = [model.label for model in chosen]
    show_results(chosen[0].source, photo, results, names, look)
    for model, result in zip(chosen, results, strict=True):
        found, kept = ([area.id for area in areas] for areas in (result.areas, shown_areas(result, look)))
        say_what_it_knows(model, result.classes, found, kept)
    if not photo.truth:
        warn_of_demo(chosen)
    warn_of_weak(chosen)
    for note in results[0].notes:
        st.caption(f"{plain(photo.name)}: {plain(note)}")
    with table:
        for letter, model, result in zip("AB", chosen, results, strict=False):
            if len(results) > 1:
                st.markdown(f"**{letter}**: {plain(model.label)}")
            show_areas(shown_areas(result, look), look.colors(result.classes), is_void_striped=look.is_void_striped)
        whole = ", in int8" if cached_segments.is_in_int8(chosen[0].source) else ""
        st.caption(f"{results[0].size[0]} x {results[0].size[1]} px in {results[0].seconds:.1f} s{whole}.")
        show_trust(chosen, look, photo, shown_areas(results[0], look), tta)
    with places.end:
        show_downloads(photo, results[0], look, chosen[0].source)


def show_all(photos: Sequence[Photo], model: ModelOption, places: Places) -> None:
    """Draw every photo small, as a contact sheet; offer one zip of all."""
    meta = cached_segments.loaded_model(model.source).meta
    with places.settings:
        look = ask_look(meta.classes, places.views, figures_of([model]))
        legend, tta = st.container(), ask_tta(meta.image_size)
    there = list(show_sheet(model.source, photos, look, tta))
    warn_of_demo([model])
    warn_of_weak([model])
    say_of_sheet(model, look, tta)
    with legend:
        kept = show_sheet_classes([small for _, small in there], look, meta.classes)
    if there:
        say_what_it_knows(model, meta.classes, [area.id for _, small in there for area in small.areas], kept)
        with places.end:
            offer_all(
                there, look, model.source,
                lambda photo: cached_segments.segmented(model.source, photo.data, photo.name, tta, look.temperature),
            )  # fmt: skip


def main() -> None:
    """Ask for a model and photos, segment, show."""
    st.title("Segment", anchor=False)
    models = list_models()
    left, right = st.columns([7, 3], gap="medium")
    views, pictures, sources = left.container(key="views"), left.container(), left.container()
    choices = st.columns(2, gap="medium")
    places = Places(views=views, settings=right.container(key="controls"), end=st.container(horizontal=True))
    with pictures, showing_errors():
        say_what_there_is(models)
        with choices[0]:
            model = ask_model(models)
        with choices[1]:
            other = ask_other(models, model) if model else None
        chosen = [each for each in (model, other) if each]
        if not chosen or not all(map(is_ready, chosen)):
            return
        for each, place in zip(chosen, choices, strict=False):
            with place:
                describe(each)
        with choices[0]:
            trained_on = chosen[0].choice.run.data if chosen[0].choice else None
            offer_export(chosen[0].source, chosen[0].stem, trained_on)
        with sources:
            photos = ask_stretch(ask_photos(chosen[0].choice, is_starter=chosen[0].is_starter))
        if not photos:
            if chosen[0].is_starter:  # opened while a photo is chosen, so that its mask does not wait
                cached_segments.loaded_model(chosen[0].source)
        elif (number := shown_large(photos)) is None:
            show_all(photos, chosen[0], places)
        else:
            if len(photos) > 1:
                show_moves(number, photos)
            show_large(photos[number - 1], chosen, places)


with open_page("Segment"):
    main()
