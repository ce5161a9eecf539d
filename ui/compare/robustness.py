"""A and B on corrupted photos: mIoU against the level, the floor, and a photo at a level with both masks."""

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

import pandas as pd
import streamlit as st

from core import jobs
from core.data.corruptions import CELLS, CLEAN, CORRUPTIONS, LEVELS, Corruption
from core.metrics.comparison import Difference
from core.metrics.image_scores import most_hurt
from core.training.run import robustness
from core.training.run.robustness import MAX_MASKS, PHOTOS, Robustness
from core.wording import count, duration
from ui import address, cached
from ui.clickable import Chart, show_chart
from ui.compare import cached_comparison
from ui.compare.choosing import START_S
from ui.compare.comparison import require_samples
from ui.compare.scores import Side
from ui.compare.why_charts import levels_figure
from ui.job_view import POLL_S, show_job, show_stop
from ui.legend import show_legend
from ui.page import showing_errors
from ui.pictures import show_picture
from ui.words import MISSING, percent, plain, points

PURPOSE = (
    "mIoU under seven corruptions at five levels each: blur, noise, JPEG, brightness and contrast of Hendrycks and "
    "Dietterich 2019, and rotation and scale of photo and mask."
)
LOWEST = 5
"""Fewest photos that can be asked for here."""

PICTURE_PX = 360


def show_robustness(a: Side, b: Side) -> None:
    """Draw the curves of what is stored, and offer to evaluate what is not."""
    stored = [
        robustness.find(each.choice.run.eval_dir, each.evaluation.checkpoint_hash, each.evaluation.split,
                        each.evaluation.fingerprint)
        for each in (a, b)
    ]  # fmt: skip
    pair = robustness.on_same_photos(stored)
    if pair:
        _show_curves(a, b, *pair)
    else:
        st.caption(PURPOSE)
    sides = list({side.choice.id: side for side in (a, b)}.values())
    is_live = any(jobs.is_held(_job_of(side)) for side in sides)
    st.fragment(_offer, run_every=POLL_S if is_live else None)(
        sides, stored, pair[0] if pair else None, was_live=is_live
    )


def _job_of(side: Side) -> Path:
    return robustness.job_folder(side.choice.run.eval_dir, side.choice.file, side.evaluation.split)


def _offer(
    sides: Sequence[Side], stored: Sequence[Sequence[Robustness]], shown: Robustness | None, *, was_live: bool
) -> None:
    """Draw the progress of running evaluations, and what starts others."""
    with showing_errors():
        going_on = {side.choice.id: jobs.progress(_job_of(side)) for side in sides}
        if was_live and not any(going_on.values()):
            st.rerun()
        for side in sides:
            if progress := going_on[side.choice.id]:
                show_job(progress, f"Corrupted photos, {side.label}", "opening the checkpoint", "prediction")
                show_stop(_job_of(side))
            elif error := jobs.error(_job_of(side)):
                st.error(plain(error), icon=":material/error:")
        if not any(going_on.values()):
            with st.expander("Another number of photos") if shown else nullcontext():
                _ask(sides, stored, shown)


def _ask(sides: Sequence[Side], stored: Sequence[Sequence[Robustness]], shown: Robustness | None) -> None:
    """Ask for the number of photos; a button starts each checkpoint that lacks them."""
    split_images = sides[0].evaluation.scores.images
    with st.container(horizontal=True, vertical_alignment="bottom"):
        wanted = min(split_images, len(shown.names) if shown else PHOTOS)
        photos = st.number_input(
            "Photos", min(LOWEST, split_images), split_images, wanted, key="robustness photos", width=120,
            help=f"A sample of the split's {split_images:,}, drawn with a fixed seed: the same for A and B. "
            f"Each is predicted {len(CELLS)} times.",
        )  # fmt: skip
        for side, of_side in zip(sides, stored, strict=False):
            if not any(len(each.names) == photos and each.is_complete for each in of_side):
                _offer_one(side, int(photos), of_side)


def _offer_one(side: Side, photos: int, of_side: Sequence[Robustness]) -> None:
    """Draw the button that starts or goes on with one checkpoint, with the time it takes."""
    begun = next((len(each.done) for each in of_side if len(each.names) == photos), 0)
    takes_s = robustness.seconds((len(CELLS) - begun) * photos, side.evaluation.images_per_second)
    takes = f", about {duration(START_S + takes_s)}" if takes_s else ""
    doing = "Go on with" if begun else "Evaluate"
    if cached.file_hash(side.choice.file) != side.evaluation.checkpoint_hash:
        st.caption(f"{plain(side.label)} has changed since its evaluation; evaluate it again first, above the table.")
    elif st.button(
        f"{doing} {side.label} on corrupted photos{takes}", key=f"corrupt {side.choice.id}",
        icon=":material/blur_on:",
    ):  # fmt: skip
        choice = side.choice
        with st.spinner("Starting …"):
            robustness.start(choice.run.eval_dir, choice.file, choice.run.data, side.evaluation.split, photos)
        st.rerun()


def _show_curves(a: Side, b: Side, of_a: Robustness, of_b: Robustness) -> None:
    """Draw the table of all corruptions, the curves of one, and a photo at a level."""
    compared, floors = cached_comparison.levels(of_a.path, of_b.path)
    st.caption(
        f"{PURPOSE} {count(len(of_a.names), 'photo')} of the {of_a.split_images:,} of {plain(of_a.split)}; in the "
        "table, the mean over the five levels."
    )
    rows = [("None", next(iter(compared.values()))[0][0])]
    rows += [(CORRUPTIONS[name].label, whole) for name, (_, whole) in compared.items()]
    st.table(_table(rows))
    worst = {side: min(compared, key=lambda name: _score(compared[name][1], side)) for side in "ab"}
    labels = {name: each.label for name, each in CORRUPTIONS.items()}
    name = address.ask_one("Corruption", labels, "corruption", worst["b"])
    levels = compared[name][0]
    figure = levels_figure(levels, floors[name], CORRUPTIONS[name], (a.label, b.label))
    chart = Chart(f"levels {name}", "", figure, f"mIoU under {labels[name]} by level, {a.label} and {b.label}")
    show_chart(chart, on_mark=lambda level: address.hold("level", level))
    level = int(address.ask_one("Level", [str(each) for each in range(LEVELS + 1)], "level", "3"))
    st.markdown(_sentence(CORRUPTIONS[name], level, levels[level]))
    with showing_errors():
        _show_photo(a, b, (of_a, of_b), name, level)


def _score(difference: Difference, side: str) -> float:
    score: float | None = getattr(difference, side)
    return 1.0 if score is None else score


def _table(rows: Sequence[tuple[str, Difference]]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "Corruption": [label for label, _ in rows],
            "A": [percent(each.a) for _, each in rows],
            "B": [percent(each.b) for _, each in rows],
            "B - A [95 % interval]": [_change(each) for _, each in rows],
        }
    ).set_index("Corruption")


def _change(each: Difference) -> str:
    """Return the difference in points with its 95 % interval."""
    if each.delta is None or each.low is None or each.high is None:
        return MISSING
    return f"{points(each.delta)} [{100 * each.low:+.1f}, {100 * each.high:+.1f}]"


def _sentence(corruption: Corruption, level: int, each: Difference) -> str:
    what = f"{corruption.label}, {corruption.strength(level)}" if level else "The photos as they are"
    return f"**{what}**: A {percent(each.a)}, B {percent(each.b)}; B - A {plain(_change(each))}, 95 % interval."


def _show_photo(a: Side, b: Side, stored: tuple[Robustness, Robustness], name: str, level: int) -> None:
    """Draw a photo at a level, its truth, and both masks; those that lose most come first."""
    order = most_hurt([(each.counts(CLEAN, 0), each.counts(name if level else CLEAN, level)) for each in stored])
    photo = st.selectbox(
        "Photo", [stored[0].names[index] for index in order if index < MAX_MASKS], key=f"hurt {name} {level}",
        help="The photos that lose most from level 0, A and B together, come first.",
    )  # fmt: skip
    data = cached.dataset(a.evaluation.data)
    (sample,) = require_samples(data, a.evaluation.split, [photo])
    pictures, shown = cached_comparison.level_pictures(sample, stored, name, level, data.classes, PICTURE_PX)
    captions = ("Photo", "Truth", f"A: {a.label}", f"B: {b.label}")
    with st.container(horizontal=True):
        for picture, caption in zip(pictures, captions, strict=True):
            show_picture(picture, plain(caption), f"{photo}, {name} level {level}: {caption}")
    show_legend(shown, data.classes)
