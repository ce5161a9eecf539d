"""What compared checkpoints cost and how they were made: time beside quality, settings, published results."""

from collections.abc import Sequence
from dataclasses import fields

import streamlit as st

from core.metrics.conventions import PUBLISHED, share_of_schedule
from core.training.settings.config import TrainingConfig
from ui import cached
from ui.checkpoints import Choice
from ui.compare.scores import Side
from ui.words import MISSING, plain

LABELS = {field.name: field.metadata["label"] for field in fields(TrainingConfig)}


def show_cost(sides: Sequence[Side], chosen: Sequence[Choice]) -> None:
    """Draw quality beside time for every checkpoint, and below it the settings in which the runs of `chosen` differ.

    `chosen` are all that are compared, those too that are not evaluated yet.
    """
    rows = [_cost_row(side) for side in sides]
    columns = {
        "mIoU": st.column_config.NumberColumn(format="%.1f %%"),
        "Seconds per epoch": st.column_config.NumberColumn(
            format="%.1f",
            help="Median over the run's epochs, validation and checkpoint included, on the run's machine.",
        ),
        "Training time": st.column_config.NumberColumn(
            "Minutes trained", format="%.1f", help="All epochs up to this one."
        ),
        "Seconds per image": st.column_config.NumberColumn(
            format="%.3f", help="From file to counted mask, one image at a time, when it was evaluated."
        ),
    }
    st.dataframe(rows, hide_index=True, column_config=columns, key="cost", placeholder=MISSING)
    differing = _differing(chosen)
    if differing:
        st.markdown("**Settings that differ**")
        st.dataframe(differing, hide_index=True, key="settings", placeholder=MISSING, width="content")
    elif len(chosen) > 1:
        st.caption("All were trained with the same settings.")


def _cost_row(side: Side) -> dict[str, str | float | None]:
    epochs = cached.run_log(side.choice.run.log_path).epochs
    until = [epoch.seconds for epoch in epochs if side.choice.epoch is None or epoch.epoch <= side.choice.epoch]
    speed, miou = side.evaluation.images_per_second, side.evaluation.scores.miou
    return {
        "Checkpoint": side.label,
        "mIoU": None if miou is None else 100 * miou,
        "Seconds per epoch": sorted(until)[len(until) // 2] if until else None,
        "Training time": sum(until) / 60 if until else None,
        "Seconds per image": 1 / speed if speed else None,
    }


def _differing(chosen: Sequence[Choice]) -> list[dict[str, str]]:
    """Return a row for each setting in which the runs differ, a column for each run."""
    configs = {choice.run.path.name: choice.run.config.as_dict() for choice in chosen}
    names = dict.fromkeys(name for config in configs.values() for name in config)
    return [
        {"Setting": LABELS.get(name, name)} | {label: str(config.get(name)) for label, config in configs.items()}
        for name in names
        if len({str(config.get(name)) for config in configs.values()}) > 1
    ]


def show_published(sides: Sequence[Side]) -> None:
    """Draw what others have published on VOC 2012, and how much of their training the compared ones have had."""
    st.caption(
        "mIoU on VOC 2012 val. Other data, sizes and starting weights: they say where the field stands, not how good a "
        "run here is. Schedules are compared by the images seen in training."
    )
    rows = []
    for entry in PUBLISHED:
        row: dict[str, str | float | None] = {
            "System": entry.system,
            "mIoU": 100 * entry.miou,
            "Protocol": entry.protocol,
        }
        for side in sides:
            seen = _images_seen(side)
            share = None if seen is None else share_of_schedule(seen, entry)
            row[f"Schedule share of {side.label}"] = None if share is None else 100 * share
        rows.append(row)
    columns = {"mIoU": st.column_config.NumberColumn(format="%.1f %%")} | {
        f"Schedule share of {side.label}": st.column_config.NumberColumn(
            plain(side.label), format="%.1f %%", help="Share of its schedule"
        )
        for side in sides
    }
    st.dataframe(rows, hide_index=True, column_config=columns, key="published", placeholder=MISSING)


def _images_seen(side: Side) -> int | None:
    legs = cached.run_log(side.choice.run.log_path).legs
    return legs[-1].num_train_images * side.choice.epoch if legs and side.choice.epoch else None
