"""Three photos under the verdict, chosen by rule: each with its truth and the masks of A and B in one picture."""

from collections.abc import Sequence

import streamlit as st

from core.metrics.image_scores import ImageScore
from core.report.html.figures import choose
from ui import cached
from ui.compare import cached_comparison
from ui.compare.comparison import require_samples
from ui.compare.scores import Side
from ui.legend import show_legend
from ui.words import percent, plain, points

PAIR_REASONS = {"gain": "Largest gain", "median": "Median gain", "loss": "Largest loss"}
ALONE_REASONS = {"gain": "Best", "median": "Median", "loss": "Worst"}


def show_first_photos(sides: Sequence[Side]) -> None:
    """Draw the photos with the largest, median and smallest gain of B; of A alone the best, median and worst."""
    a, b = sides[0], sides[-1]
    data = cached.dataset(a.evaluation.data)
    images = cached_comparison.images(a.evaluation.path, b.evaluation.path)
    chosen = choose(images, is_pair=len(sides) > 1, each=1)
    samples = require_samples(data, a.evaluation.split, [images[each.index].name for each in chosen])
    by = " and ".join(side.label for side in sides)
    masks = []
    for column, each, sample in zip(st.columns(3), chosen, samples, strict=False):
        image = images[each.index]
        predicted = [side.evaluation.mask_path(sample.name) for side in sides]
        masks += [sample.mask, *predicted]
        scores = (f"A {percent(image.a)}", f"B {percent(image.b)}")
        names = scores if len(sides) > 1 else (f"Predicted {percent(image.a)}", "Laid over it")
        picture = cached_comparison.sheet_picture(
            sample.photo, sample.mask, predicted, names=("Photo", "Truth", *names), classes=data.classes,
        )  # fmt: skip
        alt = f"{sample.name}: the photo, its true mask, and what {by} predicted"
        column.image(picture, plain(_caption(each.reason, image, is_pair=len(sides) > 1)), width="stretch", alt=alt)
    show_legend(cached.classes_in(masks, data.classes), data.classes)


def _caption(reason: str, image: ImageScore, *, is_pair: bool) -> str:
    if not is_pair:
        return f"{ALONE_REASONS[reason]}: {image.name}"
    if points(image.gain) == points(0.0):
        return f"No change: {image.name}"
    words = "Smallest gain" if reason == "loss" and image.gain > 0 else PAIR_REASONS[reason]
    return f"{words}: {image.name}, {points(image.gain)}"
