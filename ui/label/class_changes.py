"""The classes of a data set that is labelled: add, rename, recolour, remove."""

from functools import partial
from pathlib import Path

import streamlit as st

from core.data.labelling import LabelSet, add_class, recolor_class, remove_class, rename_class, usage_of
from core.data.split_view import data_of
from core.errors import DataError
from core.palettes import new_colors
from core.study.folder import is_working, list_studies
from core.training.run.folders import live_runs
from core.voc import BACKGROUND, VOID
from core.wording import count
from ui.page import showing_errors
from ui.words import plain

NEW = -1
VOID_NAME = "void"


def show_classes(label_set: LabelSet) -> None:
    """Ask for a class, and draw what can be changed about it."""
    names = label_set.classes.names
    labels = {NEW: "A new class", **dict(enumerate(names))}
    chosen = st.selectbox("Class", list(labels), format_func=lambda k: labels[k], key="class to change")
    with showing_errors():
        if chosen == NEW:
            _ask_new(label_set)
        else:
            _ask_changes(label_set, chosen)
            if chosen != BACKGROUND and len(names) > 2:
                _ask_removal(label_set, chosen)


def _ask_new(label_set: LabelSet) -> None:
    number = len(label_set.classes)
    name = st.text_input("Name", key=f"name of class {number}").strip()
    (usual,) = new_colors(label_set.classes.colors, 1)
    color = st.color_picker("Colour", usual, key=f"colour of class {number}")
    if st.button("Add the class", type="primary", icon=":material/add:", disabled=not name):
        add_class(label_set, name, color)
        st.rerun()


def _ask_changes(label_set: LabelSet, class_id: int) -> None:
    name_now, color_now = label_set.classes.names[class_id], label_set.classes.colors[class_id]
    name = st.text_input("Name", name_now, key=f"name of {class_id} {name_now}").strip()
    color = st.color_picker("Colour", color_now, key=f"colour of {class_id} {color_now}")
    if st.button("Save", type="primary", icon=":material/save:", disabled=(name, color) == (name_now, color_now)):
        if name != name_now:
            label_set = rename_class(label_set, class_id, name)
        if color != color_now:
            recolor_class(label_set, class_id, color)
        st.rerun()


def _ask_removal(label_set: LabelSet, class_id: int) -> None:
    """Ask what becomes of the pixels of a class, and remove it."""
    names = label_set.classes.names
    others = {k: name for k, name in enumerate(names) if k != class_id} | {VOID: VOID_NAME}
    st.divider()
    into = st.selectbox(
        f"If {plain(names[class_id])} is removed, its pixels become", list(others), format_func=others.__getitem__,
        key=f"pixels of {class_id}",
    )  # fmt: skip
    if st.toggle(f"Remove {plain(names[class_id])}", key=f"remove {class_id} {names[class_id]}"):
        used = usage_of(label_set, class_id)
        st.caption(
            f"{count(used.pixels, 'pixel')} in {count(used.photos, 'mask')} become {plain(others[into])}; the masks of "
            "now stay in the history."
            if used.photos
            else "No mask has it."
        )
        if st.button("Remove it", icon=":material/delete:"):
            remove_class(label_set, class_id, into=into, refuse=partial(_refuse_in_training, label_set.root))
            st.rerun()


def _refuse_in_training(root: Path) -> None:
    """Raise `DataError` if a run or study trains on this data set, itself or a split view of it.

    It would validate on masks whose ids change under it.
    """
    studies = list_studies()
    at_work = [(study.name, study.plan.data) for study in studies if is_working(study)]
    at_work += [
        (run.name, run.data) for folder in (None, *(each.runs_dir for each in studies)) for run in live_runs(folder)
    ]
    for name, data in at_work:
        if data_of(Path(data)).resolve() == root.resolve():
            raise DataError(f"{name} is training on {root} now; stop it or wait, then remove the class.")
