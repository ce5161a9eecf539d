"""The settings of a run, drawn from their own declaration."""

import dataclasses
from typing import Any

import streamlit as st

from core.training.settings.config import SETTING_TYPES, TrainingConfig, with_settings

INPUT_WIDTH_PX = 190


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
