"""A and B on corrupted photos: mIoU against the level, the floor, and a photo at a level with both masks."""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path

import pandas as pd
import streamlit as st

from core import jobs
from core.data.corruptions import CELLS, CLEAN, CORRUPTIONS, LEVELS, Corruption
from core.errors import RunError
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
from ui.words import MISSING, percent, plain, points

PURPOSE = (
    "mIoU under seven corruptions at five levels each: blur, noise, JPEG, brightness and contrast of Hendrycks and "
    "Dietterich 2019, and rotation and scale of photo and mask."
)
PICTURE_PX = 480
NEAR_FLOOR = 0.01
"""Less than this above the floor is no more than it."""


Shown = dict[str, tuple[Side, Robustness]]
"""What is drawn: A as `a`, B as `b`, or the one of them that has curves."""


def show_robustness(a: Side, b: Side) -> None:
    """Draw the curves of what is stored, and offer to evaluate what is not."""
    sides = {"a": a, "b": b}
    stored = [
        robustness.find(each.choice.run.eval_dir, each.evaluation.checkpoint_hash, each.evaluation.split,
                        each.evaluation.fingerprint)
        for each in sides.values()
    ]  # fmt: skip
    pair = robustness.on_same_photos(stored)
    found = [[each] for each in pair] or [robustness.on_same_photos([of_side]) for of_side in stored]
    shown = {key: (sides[key], each[0]) for key, each in zip(sides, found, strict=True) if each}
    is_damaged = False
    try:
        if shown:
            # Each alone has a number of photos of its own: only one of them is drawn.
            _show_curves(shown if pair else dict([*shown.items()][:1]))
        else:
            st.caption(PURPOSE)
    except RunError as error:  # a cell is damaged: the buttons below count it again
        st.error(plain(str(error)), icon=":material/error:")
        is_damaged = True
    is_live = any(jobs.is_held(_job_of(side)) for side in sides.values())
    sizes = [len(each.names) for of_side in stored for each in of_side]
    st.fragment(_offer, run_every=POLL_S if is_live else None)(
        (a, b), stored, len(pair[0].names) if pair else max(sizes, default=PHOTOS),
        is_whole=bool(pair) and not is_damaged, is_damaged=is_damaged, was_live=is_live,
    )  # fmt: skip


def _job_of(side: Side) -> Path:
    return robustness.job_folder(side.choice.run.eval_dir, side.choice.file, side.evaluation.split)


def _offer(
    sides: Sequence[Side], stored: Sequence[Sequence[Robustness]], usual: int,
    *, is_whole: bool, is_damaged: bool, was_live: bool,
) -> None:  # fmt: skip
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
            with st.expander("Another number of photos") if is_whole else nullcontext():
                _ask(sides, stored, usual, is_damaged=is_damaged)


def _ask(sides: Sequence[Side], stored: Sequence[Sequence[Robustness]], usual: int, *, is_damaged: bool) -> None:
    """Ask for the number of photos; a button starts each checkpoint that lacks them."""
    split_images = sides[0].evaluation.scores.images
    with st.container(horizontal=True, vertical_alignment="bottom"):
        photos = st.number_input(
            "Photos", 1, split_images, min(split_images, usual), key="robustness photos", width=120,
            help=f"A sample of the split's {split_images:,}, drawn with a fixed seed: the same for A and B. "
            f"Each is predicted {len(CELLS)} times.",
        )  # fmt: skip
        for side, of_side in zip(sides, stored, strict=False):
            if is_damaged or not any(len(each.names) == photos and each.is_complete for each in of_side):
                _offer_one(side, int(photos), of_side, [each for each in sides if _model(each) == _model(side)])


def _model(side: Side) -> tuple[str, int, int]:
    """Return what the speed of a checkpoint depends on: equal for checkpoints of one model."""
    config = side.choice.run.config
    return config.architecture, config.output_stride, config.image_size


def takes(predictions: int, speeds: Sequence[float | None]) -> str:
    """Return in words how long predictions take by these speeds of one model, which differ with what else ran then."""
    known = [found for speed in speeds if (found := robustness.seconds(predictions, speed))]
    words = list(dict.fromkeys(duration(START_S + seconds) for seconds in sorted(known)))
    if not words:
        return ""
    return f", about {words[0]}" if len(words) == 1 else f", {words[0]} to {words[-1]}"


def _offer_one(side: Side, photos: int, of_side: Sequence[Robustness], alike: Sequence[Side]) -> None:
    """Draw the button that starts or goes on with one checkpoint, with the time it takes; `alike` are of its model."""
    begun = next((len(each.done) for each in of_side if len(each.names) == photos), 0)
    speeds = [each.evaluation.images_per_second for each in alike]
    doing = "Go on with" if begun else "Evaluate"
    if cached.file_hash(side.choice.file) != side.evaluation.checkpoint_hash:
        st.caption(f"{plain(side.label)} has changed since its evaluation; evaluate it again first, above the table.")
    elif st.button(
        f"{doing} {side.label} on corrupted photos{takes((len(CELLS) - begun) * photos, speeds)}",
        key=f"corrupt {side.choice.id}",
        icon=":material/blur_on:",
    ):  # fmt: skip
        choice = side.choice
        with st.spinner("Starting …"):
            robustness.start(choice.run.eval_dir, choice.file, choice.run.data, side.evaluation.split, photos)
        st.rerun()


def _show_curves(shown: Shown) -> None:
    """Draw the table of all corruptions, the curves of one, and a photo at a level."""
    stored = [each for _, each in shown.values()]
    compared, floors = cached_comparison.levels(stored[0].path, stored[-1].path)
    labels = {key: side.label for key, (side, _) in shown.items()}
    lacking = f" Of {plain(next(iter(labels.values())))} alone so far." if len(shown) == 1 else ""
    photos, split_photos = len(stored[0].names), stored[0].split_images
    sample = " They are a sample, so *None* is not the mIoU on all of them." if photos < split_photos else ""
    st.caption(
        f"{PURPOSE} {count(photos, 'photo')} of the {split_photos:,} of {plain(stored[0].split)}; in the table, the "
        f"mean over the five levels.{sample}{lacking}"
    )
    rows = [("None", next(iter(compared.values()))[0][0])]
    rows += [(CORRUPTIONS[name].label, whole) for name, (_, whole) in compared.items()]
    st.table(_table(rows, list(shown)))
    for said in at_the_floor(compared, floors, list(shown)):
        st.caption(said)
    worst = min(compared, key=lambda name: _score(compared[name][1]))
    name = address.ask_one("Corruption", {key: each.label for key, each in CORRUPTIONS.items()}, "corruption", worst)
    levels, corruption = compared[name][0], CORRUPTIONS[name]
    figure = levels_figure(levels, floors[name], corruption, labels)
    alt = f"mIoU under {corruption.label} by level, {' and '.join(labels.values())}"
    show_chart(Chart(f"levels {name}", "", figure, alt), on_mark=_choose_level)
    level = int(address.ask_one("Level", [str(each) for each in range(LEVELS + 1)], "level", "3"))
    st.markdown(_sentence(corruption, level, levels[level], list(shown)))
    with showing_errors():
        _show_photo(shown, name, level)


def at_the_floor(
    compared: Mapping[str, tuple[Sequence[Difference], Difference]], floors: Mapping[str, Sequence[float | None]],
    keys: Sequence[str],
) -> list[str]:  # fmt: skip
    """Say under which corruptions, and from which level on, no checkpoint is better than background everywhere."""
    from_levels = dict[int, list[str]]()
    for name, (levels, _) in compared.items():
        is_lost = [
            floor is not None and all((getattr(each, key) or 0) < floor + NEAR_FLOOR for key in keys)
            for each, floor in zip(levels, floors[name], strict=True)
        ]
        kept = max((level for level, lost in enumerate(is_lost) if not lost), default=-1)
        if kept < LEVELS:
            from_levels.setdefault(kept + 1, []).append(CORRUPTIONS[name].label)
    who, that = ("neither A nor B is", ": their difference says nothing there") if len(keys) > 1 else ("A is not", "")
    return [
        f"Under {', '.join(labels)} {f'from level {level} on' if level < LEVELS else f'at level {level}'}, "
        f"{who} a point of mIoU above the floor{that}."
        for level, labels in sorted(from_levels.items())
    ]


def _choose_level(level: str) -> None:
    if level:  # a click beside the marks chooses none
        address.hold("level", level)


def _score(difference: Difference) -> float:
    return 1.0 if difference.b is None else difference.b


def _table(rows: Sequence[tuple[str, Difference]], keys: Sequence[str]) -> pd.DataFrame:
    table = pd.DataFrame({"Corruption": [label for label, _ in rows]})
    for key in keys:
        table[key.upper()] = [percent(getattr(each, key)) for _, each in rows]
    if len(keys) > 1:
        table["B - A [95 % interval]"] = [_change(each) for _, each in rows]
    return table.set_index("Corruption")


def _change(each: Difference) -> str:
    """Return the difference in points with its 95 % interval."""
    if each.delta is None or each.low is None or each.high is None:
        return MISSING
    return f"{points(each.delta)} [{100 * each.low:+.1f}, {100 * each.high:+.1f}]"


def _sentence(corruption: Corruption, level: int, each: Difference, keys: Sequence[str]) -> str:
    what = f"{corruption.label}, {corruption.strength(level)}" if level else "The photos as they are"
    said = ", ".join(f"{key.upper()} {percent(getattr(each, key))}" for key in keys)
    change = f"; B - A {plain(_change(each))}, 95 % interval" if len(keys) > 1 else ""
    return f"**{what}**: {said}{change}."


def _show_photo(shown: Shown, name: str, level: int) -> None:
    """Draw a photo at a level, its truth, and the masks; those that lose most come first."""
    side, stored = next(iter(shown.values()))[0], [each for _, each in shown.values()]
    order = most_hurt([(each.counts(CLEAN, 0), each.counts(name if level else CLEAN, level)) for each in stored])
    photo = st.selectbox(
        "Photo", [stored[0].names[index] for index in order if index < MAX_MASKS], key=f"hurt {name} {level}",
        help="The photos that lose most from level 0 come first.",
    )  # fmt: skip
    data = cached.dataset(side.evaluation.data)
    (sample,) = require_samples(data, side.evaluation.split, [photo])
    pictures, ids = cached_comparison.level_pictures(sample, stored, name, level, data.classes, PICTURE_PX)
    captions = ("Photo", "Truth", *(f"{key.upper()}: {each.label}" for key, (each, _) in shown.items()))
    with st.container(key="levels"):
        for column, picture, caption in zip(st.columns(len(captions)), pictures, captions, strict=True):
            alt = f"{photo}, {name} level {level}: {caption}"
            column.image(picture, plain(caption), width="stretch", alt=alt)
    show_legend(ids, data.classes)
