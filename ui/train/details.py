"""What a run holds: validation photos after each epoch; in expanders checkpoints, settings, speed, log, command."""

import dataclasses
from pathlib import Path

import pandas as pd
import streamlit as st

from core import jobs
from core.classes import Classes
from core.data.dataset import Dataset, Sample
from core.errors import DataError
from core.files import by_number, entries
from core.training.run import folders
from core.training.run.folders import Run
from core.training.run.log import RunLog
from core.training.run.milestones import BEST, CHOSEN_ON_VAL, epoch_of, sample_folders
from core.training.run.records import to_line
from core.training.settings.config import TrainingConfig
from core.training.settings.presets import PRESET_LABELS, PRESETS, present_name, preset
from core.wording import megabytes
from ui import cached, charts
from ui.legend import show_legend
from ui.pictures import data_url
from ui.words import percent, plain

FILM_FRAMES = 60
"""The most frames of a film, which takes twenty seconds; more epochs are thinned."""
FILM_HELP = "Shows the epochs one after the other, each with its mIoU on all validation photos."


def show_details(run: Run, log: RunLog) -> None:
    """Offer checkpoints, learning rate and speed, the latest record, the trainer's output, and the command.

    What is closed is not drawn: hidden tables, charts and code kept the browser busy before it showed a number.
    """
    for label, icon, draw in (
        ("Checkpoints", "save", show_checkpoints),
        ("Learning rate and speed", "speed", show_speed),
        ("Log and the command", "terminal", show_log),
    ):
        with st.expander(label, icon=f":material/{icon}:", key=label, on_change="rerun") as inside:
            if inside.open:
                draw(run, log)


def show_speed(_run: Run, log: RunLog) -> None:
    """Draw the learning rate and the photos per second, step by step."""
    if len(log.steps) > 1:
        st.plotly_chart(cached.step_figure(charts.learning_rate_figure, log), key="learning rate")
        st.plotly_chart(cached.step_figure(charts.throughput_figure, log), key="throughput")
    else:
        st.caption("Drawn from the second record of a training step on.")


def show_log(run: Run, log: RunLog) -> None:
    """Draw the command that repeats the run, its latest record, and the end of the trainer's output."""
    commands = folders.commands(run, log)
    if len(commands) == 1:
        st.caption("This command makes and trains the same run again:")
    else:
        st.caption(
            "These commands make, train and extend the same run again; RUN is the folder that the first one makes:"
        )
    st.code("\n".join(commands), language=None, wrap_lines=True)
    if log.last:
        st.caption(f"The latest record of {plain(str(run.log_path))}:")
        st.code(to_line(log.last).strip(), language=None, wrap_lines=True)
    st.caption("The end of what the trainer printed:")
    st.code(jobs.output_of(run.path) or "(nothing yet)", language=None, wrap_lines=True)


def show_checkpoints(run: Run, log: RunLog) -> None:
    """Draw the checkpoint files that exist, with their records."""
    newest = {record.file: record for record in log.checkpoints if (run.path / record.file).exists()}
    if not newest:
        st.caption("None yet: the first is written and verified after the first epoch.")
        return
    scores = {epoch.epoch: epoch.miou for epoch in log.epochs}
    rows = [
        {
            "File": record.file,
            "Epoch": f"in epoch {record.epoch + 1}" if record.step_in_epoch else str(record.epoch),
            "mIoU": "not evaluated" if record.step_in_epoch else percent(scores.get(record.epoch)),
            "Size": megabytes(record.size_bytes),
            "Verified": "reopened, same answer" if record.verified else "no",
        }
        for record in newest.values()
    ]
    st.dataframe(rows, hide_index=True)
    floor = log.legs[-1].floor.get("miou") if log.legs else None
    st.caption(f"Beside a floor of {percent(floor)} mIoU.{f' {CHOSEN_ON_VAL}' if BEST in newest else ''}")


def show_settings(run: Run, log: RunLog) -> None:
    """Draw every setting of a run as a table; those that differ from its preset are bold, beside the preset's.

    The epochs are those of the latest extension. Settings do not change while it trains, so no tick draws them.
    """
    name = present_name(run.preset)
    usual = preset(name) if name in PRESETS else TrainingConfig()
    beside = f"Preset {PRESET_LABELS[name]}" if name in PRESETS else "Default"
    settings, rows = run.config.as_dict() | {"epochs": folders.target_epochs(run, log)}, []
    for declared in dataclasses.fields(run.config):
        value, other = _in_words(settings[declared.name]), _in_words(getattr(usual, declared.name))
        is_same = value == other
        shown = {"Setting": declared.metadata["label"], "Value": value if is_same else f"**{value}**"}
        rows.append(shown | {beside: "same" if is_same else other})
    with st.expander("Settings", icon=":material/tune:"):
        st.table(pd.DataFrame(rows).set_index("Setting"))


def _in_words(value: object) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else plain(str(value))


def show_samples(run: Run) -> None:
    """Draw photos, true masks and predictions, after the latest epoch, another one, or as a film of all."""
    folders = sample_folders(run.path)
    if not folders:
        return
    data = _dataset_of(run)
    samples = {sample.name: sample for sample in data.split("val")}
    place = st.container()  # the pictures stand above the controls
    folder, is_film = _ask_epoch(folders)
    scores: dict[int | None, float | None] = {epoch.epoch: epoch.miou for epoch in cached.run_log(run.log_path).epochs}
    shown = [mask for mask in sorted(entries(folder, "*.png"), key=by_number) if mask.stem in samples]
    film = [each for each in charts.thin(folders, FILM_FRAMES) if all((each / mask.name).exists() for mask in shown)]
    with place:
        heading = st.empty()
        if is_film:
            heading.markdown("Putting the film together …")
        # All are made before the first is drawn, and of the same epochs, so that films run in step.
        strips = [
            _strip(samples[mask.stem], mask, data.classes, _frames(film if is_film else [], mask, scores))
            for mask in shown
        ]
        after = "epoch by epoch" if is_film else f"after epoch {epoch_of(folder)}"
        heading.markdown(f"**Photo, truth, prediction** {after}")
        for first in range(0, len(strips), 2):
            for column, (picture, alt) in zip(st.columns(2), strips[first : first + 2], strict=False):
                column.image(picture, width="stretch", alt=alt)
        masks = [each for mask in shown for each in (samples[mask.stem].mask, mask)]
        show_legend(cached.classes_in(masks, data.classes), data.classes)


def _frames(film: list[Path], mask: Path, scores: dict[int | None, float | None]) -> list[tuple[Path, str]]:
    """Return the masks of a photo in the folders of a film, with their texts."""
    return [(each / mask.name, _title(each, scores)) for each in film]


def _strip(sample: Sample, mask: Path, classes: Classes, frames: list[tuple[Path, str]]) -> tuple[str | bytes, str]:
    """Return a photo, its true mask and the predicted one as a picture, or as a film of `frames`, and its text."""
    picture: str | bytes
    if frames:
        picture = data_url(cached.film(sample.photo, sample.mask, frames, classes=classes))
        what = f"epoch by epoch, from {frames[0][1]} to {frames[-1][1]}"
    else:
        picture = cached.sample_strip(sample.photo, sample.mask, mask, classes=classes)
        what = f"after epoch {epoch_of(mask.parent)}"
    return picture, f"{sample.name}: the photo, its true mask, and the mask predicted {what}"


def _ask_epoch(folders: list[Path]) -> tuple[Path, bool]:
    """Ask for an epoch, or for a film; return the folder and whether it is a film."""
    if len(folders) == 1:
        return folders[0], False
    with st.container(horizontal=True, vertical_alignment="bottom"):
        is_film = st.toggle("Play as a film", key="film", help=FILM_HELP)
        if is_film:
            return folders[-1], True
        # Without a key: a new epoch makes a new slider, which stands on that epoch.
        chosen: Path = st.select_slider(
            "After epoch", folders, folders[-1], format_func=lambda folder: str(epoch_of(folder))
        )
    return chosen, False


def _title(folder: Path, scores: dict[int | None, float | None]) -> str:
    """Return the text below an epoch's frame, as `epoch 12 · 33.6 %`."""
    number = epoch_of(folder)
    score = scores.get(number)
    return f"epoch {number}" if score is None else f"epoch {number} \N{MIDDLE DOT} {percent(score)}"


def _dataset_of(run: Run) -> Dataset:
    try:
        return cached.dataset(run.data)
    except DataError as error:
        raise DataError(f"The photos of this run cannot be shown: {error}") from error
