"""Inputs that more than one page asks for: a data set, and the settings of a run drawn from their own declaration."""

import dataclasses
import os
from pathlib import Path
from typing import Any

import streamlit as st

from core.errors import DataError
from core.home import demo_dir
from core.training.config import SETTING_TYPES, TrainingConfig, with_settings

DEMO, FOLDER = "Demo", "A folder"
INPUT_WIDTH_PX = 190


def data_source() -> Path | None:
    """Ask for a data set and return its folder, whether or not it exists; None until a path is typed.

    The choice is kept in the query string (`?source=A folder&data=/path`).
    """
    source = st.segmented_control(
        "Data set", [DEMO, FOLDER], default=DEMO, required=True, key="source", bind="query-params",
        help="The demo is 200 drawn scenes with exact masks. A folder is a VOCdevkit, a VOC2012 folder, or any folder "
        "with images and masks (JPEGImages + SegmentationClass, or images + masks).",
    )  # fmt: skip
    if source == DEMO:
        return demo_dir()
    text = st.text_input(
        "Folder on this computer", key="data", bind="query-params", placeholder="/data/VOCdevkit/VOC2012"
    ).strip()
    return Path(os.path.expanduser(text)) if text else None  # noqa: PTH111 - unlike Path's, it takes ~nobody as it is


def source_query() -> dict[str, str]:
    """Return the part of the query string that `data_source` keeps, to pass the choice to another page."""
    return {name: st.query_params[name] for name in ("source", "data") if name in st.query_params}


def is_demo(path: Path) -> bool:
    """Tell whether a folder is the demo's."""
    return path == demo_dir()


def offer_demo_data() -> None:
    """Say that the demo data is not made yet and offer to make it; reruns the page once it is there."""
    st.info("The demo data is not made yet: 200 drawn scenes with exact masks, about 10 MB.", icon=":material/draw:")
    if st.button("Make the demo data", type="primary", icon=":material/brush:"):
        make_demo_data()
        st.rerun()


def make_demo_data() -> None:
    """Draw the demo data unless it is there, with a progress bar."""
    from core.training import demo_run

    bar = st.progress(0.0, "Drawing the demo data …")

    def tell(done: int, total: int) -> None:
        bar.progress(done / total, f"Drawing scene {done} of {total} …")

    try:
        demo_run.make_data(tell)
    except OSError as error:
        raise DataError(f"The demo data cannot be written to {demo_dir()}: {error.strerror}.") from error
    bar.empty()


def settings_form(base: TrainingConfig, key: str) -> TrainingConfig:
    """Draw every setting, its declared values starting at `base`'s, and return what was asked; may raise `ConfigError`.

    The group Main is in view, the others in an expander. `key` keeps the inputs of one base apart from another's.
    """
    groups: dict[str, list[dataclasses.Field[Any]]] = {}
    for declared in dataclasses.fields(TrainingConfig):
        groups.setdefault(declared.metadata["group"], []).append(declared)
    values = _group_inputs(groups.pop("Main"), base, key)
    with st.expander("More settings", icon=":material/tune:"):
        for heading, members in groups.items():
            st.markdown(f"**{heading}**")
            values |= _group_inputs(members, base, key)
    return with_settings(base, values)


def _group_inputs(members: list[dataclasses.Field[Any]], base: TrainingConfig, key: str) -> dict[str, Any]:
    values = {}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        for declared in members:
            values[declared.name] = setting_input(declared, getattr(base, declared.name), f"{key}.{declared.name}")
    return values


def setting_input(declared: "dataclasses.Field[Any]", value: Any, key: str) -> Any:
    """Draw one setting as its declaration asks and return what was entered."""
    about, wanted = declared.metadata, SETTING_TYPES[declared.name]
    label, help_text = about["label"], f"{about['help']} (`{declared.name}`)"
    if wanted is bool:
        return st.toggle(label, value, help=help_text, key=key, width=INPUT_WIDTH_PX)
    if about["choices"]:
        choices = list(about["choices"])
        return st.selectbox(label, choices, choices.index(value), help=help_text, key=key, width=INPUT_WIDTH_PX)
    return st.number_input(
        label, wanted(about["low"]), wanted(about["high"]), wanted(value), step=_step_of(wanted, value),
        format="%d" if wanted is int else "%g", help=help_text, key=key, width=INPUT_WIDTH_PX,
    )  # fmt: skip


def _step_of(wanted: type, value: float) -> Any:
    """Return how far one press of + or - goes: 1, or a tenth of the value's size."""
    if wanted is int:
        return 1
    return 10.0 ** (int(f"{value:e}".partition("e")[2]) - 1)
