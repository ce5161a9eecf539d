"""Checkpoints side by side: verdict, ranking, scores, warnings, curves, cost, published results."""

import statistics
from collections.abc import Sequence
from dataclasses import fields
from typing import NamedTuple

import pandas as pd
import streamlit as st

from core.metrics.conventions import PUBLISHED, share_of_schedule
from core.metrics.guard import TOO_LITTLE_LEARNED, explain
from core.metrics.verdict import sentence
from core.report.content import ReportedCheckpoint
from core.training.run.evaluations import BY_SIZE, Evaluation
from core.training.run.folders import run_names
from core.training.run.milestones import CHOSEN_ON_VAL, is_chosen
from core.training.settings.config import TrainingConfig
from core.wording import count
from ui import cached
from ui.charts import Curve, loss_curves, miou_curves
from ui.checkpoints import Choice, evaluated_before, weakness_of
from ui.compare import cached_comparison
from ui.compare.comparison import (
    BEST,
    SCORE_COLUMNS,
    convention_table,
    marked_table,
    ranking_table,
    score_table,
    warning,
)
from ui.words import MISSING, advised_on, percent, plain

LABELS = {field.name: field.metadata["label"] for field in fields(TrainingConfig)}


class Side(NamedTuple):
    """A checkpoint in a comparison, and its evaluation."""

    choice: Choice
    evaluation: Evaluation

    @property
    def label(self) -> str:
        """The label of the checkpoint."""
        return self.choice.label

    @property
    def reported(self) -> ReportedCheckpoint:
        """It as a report wants it."""
        return ReportedCheckpoint(self.choice.run, self.choice.file, self.evaluation)


def side_of(choice: Choice, evaluation: Evaluation | None, split: str, data: str | None) -> Side | None:
    """Return a checkpoint with its evaluation; if the file changed since, say so and take the earlier evaluation."""
    if evaluation:
        return Side(choice, evaluation)
    before = evaluated_before(choice, split, data)
    if before is None:
        return None
    st.info(
        f"{plain(choice.file.name)} changed after its evaluation: it is now {plain(choice.label)}, and the scores "
        f"below are of {plain(before[0].label)}. Evaluate it again for the newer one.",
        icon=":material/history:",
    )
    return Side(*before)


METHOD = (
    "Paired bootstrap: 10,000 times, draw as many photos as the split has, with replacement, and score both "
    "checkpoints on them. The interval is the middle 95 % of the differences. It holds for these two checkpoints and "
    "photos like these, not for another training."
)


def show_verdict(a: Side, b: Side) -> None:
    """Say in a sentence whether B is better than A, and whether neither is better than no model."""
    found = cached_comparison.compared(a.evaluation.path, b.evaluation.path)
    st.subheader(plain(sentence(found, a.label, b.label)), anchor=False, help=METHOD)
    floor = a.evaluation.scores.floor.miou
    if floor is not None and all((side.evaluation.scores.miou or 0.0) <= floor for side in (a, b)):
        st.markdown(
            f":material/warning: Neither is above the floor: predicting background everywhere has {percent(floor)}."
        )


def warn_of_old(sides: Sequence[Side]) -> None:
    """Warn of checkpoints whose scores may be of other photos; shown when the data is gone."""
    for side in sides:
        if not side.evaluation.is_by_content:
            st.warning(f"{plain(side.label)} {BY_SIZE}: its scores may be of other photos.")


def show_ranking(sides: Sequence[Side]) -> None:
    """Draw the ranking of several checkpoints; undecided ones share a place."""
    ranked = cached_comparison.ranked([side.evaluation.path for side in sides])
    st.markdown("**Ranking**")
    st.dataframe(
        ranking_table(ranked, [side.label for side in sides]), hide_index=True, key="ranking", width="content",
        column_config={
            "Place": st.column_config.TextColumn(
                help="1 + the number of checkpoints that are better; = where some cannot be told apart. The "
                "intervals of all pairs hold together (Bonferroni)."
            ),
            "mIoU": st.column_config.NumberColumn(format="%.1f %%"),
            "Interval": st.column_config.TextColumn(help="95 % interval of this mIoU alone, over photos."),
        },
    )  # fmt: skip


def show_table(sides: Sequence[Side]) -> None:
    """Draw every score of every checkpoint and of the floor in percent, then warnings."""
    table = score_table([(side.label, side.evaluation.scores) for side in sides])
    st.table(marked_table(table).rename(columns=plain))
    with st.popover("What each score is", icon=":material/help:"):
        st.markdown("\n".join(f"- **{score.label}**: {score.meaning}" for score in SCORE_COLUMNS.values()))
    evaluation, best = sides[0].evaluation, f" {BEST} is the best of a row." if len(sides) > 1 else ""
    st.caption(
        f"{count(evaluation.scores.images, 'photo')} of {plain(evaluation.data)}, whole, at their masks' own size. "
        f"The floor is what predicting background everywhere scores on them.{best}"
    )
    if any(is_chosen(side.choice.file, evaluation.split) for side in sides):
        st.caption(CHOSEN_ON_VAL)
    if old := [side.label for side in sides if side.evaluation.is_old]:
        st.caption(
            f"Boundary scores of {plain(', '.join(old))} are left out, because an earlier version counted them by "
            "another rule. Evaluate again, above."
        )
    show_warnings(sides)


def show_conventions(sides: Sequence[Side]) -> None:
    """Draw the mIoU of every checkpoint and the floor by the rules of other libraries."""
    scored = [(side.label, side.evaluation.scores) for side in sides]
    table = convention_table(scored, cached_comparison.floor_conventions(sides[0].evaluation.path))
    for label in table.columns[1:-1]:
        table[label] = [_unbroken(None if pd.isna(points) else points / 100) for points in table[label]]
    st.table(table.set_index("Rule").rename(columns=plain))  # cells of a data frame are cut


def show_warnings(sides: Sequence[Side]) -> None:
    """Warn of suspicious scores, each with its likely cause, and of weak ones as Train and Segment do."""
    warnings = [text for side in sides if (text := _warning_about(side))]
    if len(warnings) == 1:
        st.warning(warnings[0], icon=":material/warning:")
    elif warnings:
        st.warning("\n".join(f"- {text}" for text in warnings), icon=":material/warning:")


def _warning_about(side: Side) -> str | None:
    scores, odd = side.evaluation.scores, cached_comparison.suspicion(side.evaluation.path)
    weak = weakness_of(side.choice, scores.miou, scores.floor.miou)
    if weak and (odd is None or odd.kind in TOO_LITTLE_LEARNED):  # what the run's log knows is more exact
        return advised_on(side.label, weak.sentence)
    return plain(warning(side.label, odd)) if odd else None


def ask_number() -> None:
    """Ask for a score printed elsewhere, and say whether it is possible."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = st.selectbox(
            "Score", list(SCORE_COLUMNS), key="elsewhere", width=200, format_func=lambda n: SCORE_COLUMNS[n].label
        )
        value = st.number_input("Value as printed", value=None, key="elsewhere value", width=200, format="%.5f")
    if value is None:
        return
    floor = ELSEWHERE_FLOORS.get(name)
    odd = explain(value, floor)
    beside = f" (floor on VOC 2012 about {percent(floor)})" if floor else ""
    st.markdown(f"{SCORE_COLUMNS[name].label} {value:g}{beside}: {odd.cause if odd else 'possible'}.")


ELSEWHERE_FLOORS = {"miou": 0.035, "pixel_accuracy": 0.6985}
"""The floor on VOC 2012 val, rounded."""


def curves_of(sides: Sequence[Side]) -> list[Curve]:
    """Return a curve for each run, with the epochs of its checkpoints marked."""
    choices = [side.choice for side in sides]
    runs = list({choice.run.path: choice.run for choice in choices}.values())
    names = run_names(runs)
    return [
        Curve(
            names[run.path],
            cached.run_log(run.log_path),
            tuple(each.scored_epoch for each in choices if each.run.path == run.path and each.scored_epoch),
        )
        for run in runs
    ]


def show_curves(sides: Sequence[Side]) -> None:
    """Draw validation mIoU and the losses of the runs over their epochs; single epochs are not curves."""
    curves = curves_of(sides)
    if all(len(curve.log.epochs) < 2 for curve in curves):
        return
    left, right = st.columns(2)
    with left:
        st.markdown("**Validation mIoU**, the compared checkpoints as dots")
        st.plotly_chart(miou_curves(curves), key="miou", alt="Validation mIoU over epochs, with the floor")
    with right:
        st.markdown("**Loss** on training and validation photos")
        st.plotly_chart(loss_curves(curves), key="loss", alt="Training and validation loss over epochs")


TIMES_MEANING = (
    "*Minutes trained*: all epochs up to the checkpoint. *Seconds per epoch*: the median, with validation and saving, "
    "on the run's machine. Below them are the settings in which the runs differ."
)
SPEED_MEANING = " *Seconds per photo*: from file to counted mask, one at a time, when it was evaluated."


def show_runs(sides: Sequence[Side], chosen: Sequence[Choice]) -> None:
    """Draw a table with a column for each of `chosen`, evaluated or not: mIoU, times, settings that differ."""
    scored = {side.choice.id: side.evaluation for side in sides}
    best = max((each.scores.miou or 0.0 for each in scored.values()), default=0.0)
    configs = [choice.run.config.as_dict() for choice in chosen]
    differing = [name for name in LABELS if len({str(config[name]) for config in configs}) > 1]
    has_speed = any(name in differing for name in ("architecture", "output_stride", "image_size"))
    columns = {
        plain(choice.label): _run_facts(choice, scored.get(choice.id), best, has_speed=has_speed)
        | {LABELS[name]: plain(str(config[name])) for name in differing}
        for choice, config in zip(chosen, configs, strict=True)
    }
    st.table(pd.DataFrame(columns))
    same = "" if differing or len(chosen) < 2 else " All were trained with the same settings."
    st.caption(TIMES_MEANING.partition(" Below" if not differing else "\0")[0] + SPEED_MEANING * has_speed + same)


def _run_facts(choice: Choice, evaluation: Evaluation | None, best: float, *, has_speed: bool) -> dict[str, str]:
    epochs = cached.run_log(choice.run.log_path).epochs
    until = [epoch.seconds for epoch in epochs if choice.epoch is None or epoch.epoch <= choice.epoch]
    miou = evaluation.scores.miou if evaluation else None
    speed = evaluation.images_per_second if evaluation else None
    score = f"**{percent(miou)}**, the best" if miou == best else percent(miou) if evaluation else "not evaluated"
    facts = {
        "mIoU": score,
        "Minutes trained": f"{sum(until) / 60:.1f}" if until else MISSING,
        "Seconds per epoch": f"{statistics.median(until):.1f}" if until else MISSING,
    }
    return facts | ({"Seconds per photo": f"{1 / speed:.3f}" if speed else MISSING} if has_speed else {})


def show_published(sides: Sequence[Side]) -> None:
    """Draw published results on VOC 2012, and the share of their schedules that each checkpoint had."""
    st.caption(
        "mIoU on VOC 2012 val. They used other data, sizes and initial weights, so they are not a baseline for a "
        "run here. Schedules are compared by the photos seen in training."
    )
    rows = []
    for entry in PUBLISHED:
        row = {"System": entry.system, "mIoU": _unbroken(entry.miou), "Protocol": entry.protocol}
        for side in sides:
            seen = _images_seen(side)
            share = None if seen is None else share_of_schedule(seen, entry)
            row[f"{plain(side.label)}: share of its schedule"] = _unbroken(share)
        rows.append(row)
    st.table(pd.DataFrame(rows).set_index("System"))


def _unbroken(fraction: float | None) -> str:
    return percent(fraction).replace(" ", "\N{NO-BREAK SPACE}")


def _images_seen(side: Side) -> int | None:
    legs = cached.run_log(side.choice.run.log_path).legs
    return legs[-1].num_train_images * side.choice.epoch if legs and side.choice.epoch else None
