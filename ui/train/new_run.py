"""The form of a new run: data, preset, settings, estimate, name, start."""

import dataclasses
import functools
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import streamlit as st

from core.model import device_verdict
from core.model.weights.available import start_in_words
from core.study.folder import is_working, list_studies
from core.training.estimate import stored_estimates
from core.training.run import folders
from core.training.settings.config import SETTING_TYPES, TrainingConfig, with_settings
from core.training.settings.fitting import fitted
from core.training.settings.presets import PRESET_HELP, PRESET_LABELS, preset, usual_preset
from ui import address, cached
from ui.page import showing_errors
from ui.sources import ask_source, data_of, is_demo, is_there, make_demo_data
from ui.train.duration import offer_estimate
from ui.train.study_view import offer_study
from ui.words import plain

NEW = "new"
"""A new run, as the address names it."""
MAIN_WIDTH_PX, MORE_WIDTH_PX = 190, 290
"""The widths of the inputs in view, and of the others, whose labels are longer."""

LABELS = {declared.name: declared.metadata["label"] for declared in dataclasses.fields(TrainingConfig)}


def ask_new_run() -> None:
    """Ask for data, preset, settings and a name, and start."""
    path = data_of(ask_source())
    if not is_there(path, is_demo_enough=True):
        return
    name = address.ask_one(
        "Preset", PRESET_LABELS, "preset", usual_preset(path),
        help="A set of settings to begin with; each can be changed below.",
    )  # fmt: skip
    st.caption(PRESET_HELP[name])
    config = None
    with showing_errors():  # of settings that exclude each other; the rest of the form stays
        config = settings_form(preset(name), key=name)
    is_usable = is_to_draw = is_demo(path) and not path.is_dir()
    with showing_errors():
        if config and not is_to_draw:
            _show_start(path, config)
            is_usable = True
            offer_estimate(cached.dataset(path).root, name, config, functools.partial(_use, name))
    run_name = st.text_input("Name of the run", name, key=f"{name}.name", max_chars=60, width=460)
    live = [run.name for run in folders.live_runs()] or [each.name for each in list_studies() if is_working(each)]
    if live:
        st.info(f"{live[0]} is training. One run trains at a time: wait for it, or stop it first.")
    can_start = config and is_usable and not live
    if st.button("Start training", type="primary", icon=":material/play_arrow:", disabled=not can_start):
        if is_demo(path):
            make_demo_data()
        with st.spinner("Starting the trainer …"):
            data = cached.dataset(path)
            data.split("train"), data.split("val")
            assert config  # noqa: S101 - without it the button is disabled
            run = folders.create_run(run_name, data.root, name, config)
            address.show(run=run.path.name)
            stored_estimates.copy_to_run(run)
            folders.start(run)
        st.rerun()
    with showing_errors():
        if config and is_usable and not is_to_draw:  # else why not is said above
            offer_study(cached.dataset(path), name, config)


def _show_start(path: Path, config: TrainingConfig) -> None:
    """Show the initial weights, of which random ones are a warning on photos, and what became of the GPU."""
    is_drawn = is_demo(path)
    sentence = start_in_words(config.architecture, config.init, cached.dataset(path).class_names, is_drawn=is_drawn)
    if config.init == "random" and not is_drawn:
        st.warning(plain(sentence))
    else:
        st.caption(sentence)
    verdict = device_verdict.read()
    if verdict and config.device == "auto":
        tried = time.strftime("%Y-%m-%d", time.localtime(verdict.created_s))
        st.caption(plain(f"When a GPU was last tried here ({tried}): {verdict.sentence}."))


def settings_form(base: TrainingConfig, key: str) -> TrainingConfig:
    """Draw every setting, initially as in `base`, and return the config; may raise `ConfigError`.

    The group Main is in view, the others in an expander. `key` separates the inputs of different bases.
    """
    groups: dict[str, list[dataclasses.Field[Any]]] = {}
    for declared in dataclasses.fields(TrainingConfig):
        groups.setdefault(declared.metadata["group"], []).append(declared)
    if f"{key}.epochs" not in st.session_state:  # a new form begins
        st.session_state.pop(_said(key), None)
    with st.container():  # also if it is empty: what moves down the page is drawn anew, and the expander closed
        for sentence in st.session_state.get(_said(key), ()):
            st.info(plain(sentence), icon=":material/build:")
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
            values[declared.name] = setting_input(declared, getattr(base, declared.name), key)
    return values


def setting_input(declared: "dataclasses.Field[Any]", value: Any, key: str) -> Any:
    """Draw the input that a setting's declaration asks for, initially at `value`; return its value."""
    about, wanted = declared.metadata, SETTING_TYPES[declared.name]
    label, help_text = about["label"], f"{about['help']} (`{declared.name}`)"
    widget: dict[str, Any] = {
        "key": f"{key}.{declared.name}", "help": help_text, "on_change": _use,
        "args": (key, {}, declared.name), "width": MAIN_WIDTH_PX if about["group"] == "Main" else MORE_WIDTH_PX,
    }  # fmt: skip
    if wanted is bool:
        return st.toggle(label, value, **widget)
    if about["choices"]:
        choices = list(about["choices"])
        return st.selectbox(label, choices, choices.index(value), **widget)
    return st.number_input(
        label, wanted(about["low"]), wanted(about["high"]), wanted(value), step=_step_of(wanted, value),
        format="%d" if wanted is int else "%g", **widget,
    )  # fmt: skip


def _use(key: str, changes: Mapping[str, Any], chosen: str = "") -> None:
    """Set the form to some settings, and the others so that they fit; keep what has to be said about that."""
    values = {name: st.session_state[f"{key}.{name}"] for name in SETTING_TYPES} | dict(changes)
    values, made = fitted(values, chosen)
    for name, value in values.items():
        if st.session_state[f"{key}.{name}"] != value:
            st.session_state[f"{key}.{name}"] = SETTING_TYPES[name](value)
    st.session_state[_said(key)] = [f"{_labelled(misfit.why)}: {_in_words(misfit.changes)}." for misfit in made]


def _in_words(changes: Mapping[str, Any]) -> str:
    words = {True: "on", False: "off"}
    shown = [
        f"{LABELS[name]} is now {words[value] if value is True or value is False else value}"
        for name, value in changes.items()
    ]
    return ", ".join(shown)


def _labelled(text: str) -> str:
    """Return a text with the labels of settings for their names."""
    names = rf"\b({'|'.join(LABELS)})\b(=?)"
    return re.sub(names, lambda found: LABELS[found[1]] + (" = " if found[2] else ""), text)


def _said(key: str) -> str:
    return f"{key} was set right"


def _step_of(wanted: type, value: float) -> Any:
    """Return the step of + and -: 1, or the power of ten just below the value, divided by ten."""
    if wanted is int:
        return 1
    return 10.0 ** (int(f"{value:e}".partition("e")[2]) - 1)
