"""The newest runs as cards, all of them as a table, and the data sets that they used."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import fields
from functools import partial
from pathlib import Path

import pandas as pd
import streamlit as st

from core.data.dataset import LABELLING, UnlabelledError
from core.data.demo import drawn_as
from core.data.labelling import State, open_label_set
from core.errors import DataError
from core.files import by_last_use, entries
from core.home import datasets_dir, demo_dir
from core.study.folder import DONE, Study
from core.training.run.milestones import CHOSEN_ON_VAL
from core.training.settings.config import TrainingConfig
from core.wording import count
from ui import cached
from ui.checkpoints import STUDIES
from ui.page import link_to, showing_errors
from ui.pictures import show_picture
from ui.sources import DEMO, FOLDER, is_demo, title_of
from ui.train.run_view import Entry, show_best, show_progress, show_state
from ui.train.study_view import show_about
from ui.train.study_view import show_progress as show_study_progress
from ui.words import STATES, code, plain

MAX_CARDS = 4
LABELS = {field.name: field.metadata["label"] for field in fields(TrainingConfig)}
TABLE, TICKED = "all runs", "ticked run"
FILTERS = ("Data", "Architecture", "State")


MAX_DATA_SETS, NUM_THUMBNAILS = 6, 5
HEIGHT_PX = 84


def show_cards(entries: Sequence[Entry]) -> None:
    """Draw a card for each of the newest runs."""
    for first in range(0, min(len(entries), MAX_CARDS), 2):
        for column, entry in zip(st.columns(2), entries[first : first + 2], strict=False):
            with column.container(border=True, height="stretch"), showing_errors():
                show_card(entry)


def show_card(entry: Entry) -> None:
    """Draw a run: name, state, progress and best score beside the floor."""
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.markdown(f"**{plain(entry.run.name)}**")
        show_state(entry.state)
    show_progress(entry.run, entry.log, entry.state)
    show_best(entry.log)
    link_to("Train", "Open", run=entry.run.path.name)


def show_studies(studies: Sequence[Study]) -> None:
    """Draw a row for each of the newest studies: what it trains, and how far it is."""
    if studies:
        st.subheader("Studies", anchor=False)
    for study in studies[:MAX_CARDS]:
        with st.container(border=True), showing_errors():
            with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
                st.markdown(f"**{plain(study.name)}**")
                link_to("Compare", "Results", study=study.name)
                link_to("Train", "Open", run=f"{STUDIES}/{study.name}")
            show_about(study)
            show_study_progress(study, sum(each.state == DONE for each in study.cells()))


def show_table(entries: Sequence[Entry]) -> None:
    """Draw all runs as a table to sort and filter; a chosen row opens its run on Train."""
    table = table_of(entries)
    with st.container(horizontal=True):
        for name in FILTERS:
            values = list(dict.fromkeys(table[name]))
            if len(values) > 1 and (chosen := st.multiselect(name, values, key=f"runs by {name}", placeholder="all")):
                table = table[table[name].isin(chosen)]
    shares = {name: st.column_config.NumberColumn(format="%.1f %%") for name in ("Best mIoU", "Floor")}
    st.dataframe(
        table.drop(columns="Folder"), hide_index=True, key=TABLE, selection_mode="single-row", column_config=shares,
        on_select=partial(tick, list(table["Folder"])),
    )  # fmt: skip
    if ticked := st.session_state.pop(TICKED, None):
        st.switch_page("pages/train.py", query_params={"run": ticked})
    st.caption(
        "Tick a row to open its run. Scores are of the validation photos; the floor is the score of predicting "
        f"background everywhere. {CHOSEN_ON_VAL}"
    )


def tick(folders: Sequence[str]) -> None:
    """Remember which run was ticked in the table of these: by the next drawing a new run may stand in its row."""
    for row in st.session_state[TABLE].selection.rows:
        st.session_state[TICKED] = folders[row]


def table_of(entries: Sequence[Entry]) -> pd.DataFrame:
    """Return a row for each run; settings that are equal in all runs have no column. Scores are in percent."""
    settings = [entry.run.config.as_dict() for entry in entries]
    titles = {data: title_of(Path(data)) for data in {entry.run.data for entry in entries}}
    differing = [name for name in LABELS if len({str(each[name]) for each in settings}) > 1 and name != "architecture"]
    return pd.DataFrame(
        {
            "Run": entry.run.name,
            "State": STATES[entry.state].label,
            "Best mIoU": _percent(entry.log.best_epoch.miou if entry.log.best_epoch else None),
            "Floor": _percent(entry.log.legs[-1].floor.get("miou") if entry.log.legs else None),
            "Epochs done": len(entry.log.epochs),
            "Data": titles[entry.run.data],
            "Architecture": config["architecture"],
            **{LABELS[name]: str(config[name]) for name in differing},
            "Note": entry.run.note,
            "Folder": entry.run.path.name,
        }
        for entry, config in zip(entries, settings, strict=True)
    )


def _percent(fraction: float | None) -> float | None:
    return None if fraction is None else 100 * fraction


def show_data_sets(runs: Sequence[Entry]) -> None:
    """Draw what is being labelled, the data of the newest runs, and the demo if it is made; of copies of it one."""
    used = [Path(entry.run.data) for entry in runs]
    made = [demo_dir()] if demo_dir().is_dir() else []
    labelled = [folder.parent for folder in reversed(by_last_use(entries(datasets_dir(), f"*/{LABELLING}")))]
    paths = list({drawn_as(path) or path: path for path in [*labelled, *used, *made]}.values())
    if paths:
        st.subheader("Data", anchor=False)
    for path in paths[:MAX_DATA_SETS]:
        with st.container(border=True), showing_errors():
            show_data_set(path)


def show_data_set(path: Path) -> None:
    """Draw how far its labelling is, its splits and a few photos with their masks; say if it cannot be opened."""
    is_labelled = (path / LABELLING).is_dir()
    if is_labelled:
        show_labelling(path)
    try:
        data = cached.dataset(path)
    except UnlabelledError:
        return  # how far it is stands above
    except DataError as error:
        st.caption(plain(str(error)))
        return
    listed = ", ".join(f"{len(data.splits[name]):,} {name}" for name in ("train", "val") if name in data.splits)
    st.markdown(listed if is_labelled else f"**{plain(title_of(path))}**: {listed}")
    if not is_demo(path):
        st.caption(code(path))
    where = {"source": DEMO} if is_demo(path) else {"source": FOLDER, "data": str(path)}
    link_to("Dataset", "Look at it", **where)
    with st.container(horizontal=True):
        for sample in data.split("val")[:NUM_THUMBNAILS]:
            picture = cached.thumbnail(sample.photo, sample.mask, classes=data.classes, view="overlay")
            show_picture(picture, "", f"{sample.name} with its mask laid over it", height_px=HEIGHT_PX)


def show_labelling(path: Path) -> None:
    """Say how many photos of a data set are done, and lead back to Label."""
    states = Counter(open_label_set(path, is_to_write=False).states().values())
    said = f"{states[State.DONE]:,} of {count(states.total(), 'photo')} done"
    said += f", {count(states[State.PROPOSED], 'proposal')}" if states[State.PROPOSED] else ""
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.markdown(f"**{plain(title_of(path))}**: {said}")
        link_to("Label", "Go on labelling", source=FOLDER, data=str(path))
