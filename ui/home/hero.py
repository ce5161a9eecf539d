"""A photo and its overlay under a line that moves: of the newest run, else of the starter model."""

from pathlib import Path
from typing import NamedTuple

import streamlit as st

from core.classes import VOC_CLASSES, Classes
from core.data.dataset import Sample
from core.errors import DataError
from core.files import by_number, entries
from core.model.weights import starter
from core.training.run.milestones import epoch_of, sample_folders
from ui import cached
from ui.pictures import show_picture, show_slider
from ui.train.run_view import Entry
from ui.words import plain

HERO_PX, SMALL_PX, NUM_SMALL = 720, 320, 3
SMALL_HEIGHT_PX = 64


class Overlay(NamedTuple):
    """A photo with the mask that a model gave it."""

    name: str
    photo: Path
    mask: Path
    classes: Classes


class Hero(NamedTuple):
    """The large picture of Home, some small ones, and a line about them."""

    large: Overlay
    small: tuple[Overlay, ...]
    caption: str


def hero_of(entries_: list[Entry]) -> Hero | None:
    """Return the pictures of the newest run that has some; without one those of the starter, None if it is missing."""
    of_runs = (_of_run(entry) for entry in entries_)
    return next((hero for hero in of_runs if hero), None) or _of_starter()


def _of_run(entry: Entry) -> Hero | None:
    """Return validation photos and their masks after the best epoch that has some; None if they cannot be read."""
    folders = {epoch_of(folder): folder for folder in sample_folders(entry.run.path)}
    if not folders:
        return None
    best = entry.log.best_epoch
    epoch = best.epoch if best and best.epoch in folders else max(number for number in folders if number is not None)
    try:
        data = cached.dataset(entry.run.data)
        samples: dict[str, Sample] = {sample.name: sample for sample in data.split("val")}
    except DataError:
        return None
    masks = sorted(entries(folders[epoch], "*.png"), key=by_number)
    shown = [Overlay(mask.stem, samples[mask.stem].photo, mask, data.classes) for mask in masks if mask.stem in samples]
    if not shown:
        return None
    caption = f"{shown[0].name}, a validation photo, segmented by {entry.run.name} after epoch {epoch}"
    return Hero(shown[0], tuple(shown[1 : 1 + NUM_SMALL]), caption)


def _of_starter() -> Hero | None:
    sample = starter.sample_photos()[0]
    if not starter.is_there():
        return None
    overlay = Overlay(sample.file.name, sample.file, sample.mask, VOC_CLASSES)
    return Hero(overlay, (), f"{sample.credit}. Segmented by the starter model, which comes with Atrous")


def show_hero(hero: Hero) -> None:
    """Draw the large picture under its line; a file that cannot be read is said in a sentence."""
    overlay = hero.large
    photo = cached.thumbnail(overlay.photo, classes=overlay.classes, size_px=HERO_PX)
    show_slider(photo, _laid_over(overlay, HERO_PX), names=("Photo", "Overlay"), image=overlay.name, key="hero")
    st.caption(plain(f"{hero.caption}."))


def show_small(hero: Hero) -> None:
    """Draw the small pictures in a row."""
    with st.container(horizontal=True):
        for overlay in hero.small:
            picture = _laid_over(overlay, SMALL_PX)
            show_picture(picture, "", f"{overlay.name} with its classes laid over it", height_px=SMALL_HEIGHT_PX)


def _laid_over(overlay: Overlay, size_px: int) -> bytes:
    return cached.thumbnail(overlay.photo, overlay.mask, classes=overlay.classes, view="overlay", size_px=size_px)
