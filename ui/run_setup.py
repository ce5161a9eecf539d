"""Setting up a new run: data, preset, settings, how long it will take, a name; and its start."""

from pathlib import Path

import streamlit as st

from core.model.weights.available import start_in_words
from core.training.estimate import stored_estimates
from core.training.run import folders
from core.training.settings.config import TrainingConfig
from core.training.settings.presets import PRESET_HELP, PRESET_LABELS, preset, usual_preset
from ui import address, cached
from ui.estimate_view import offer_estimate
from ui.forms import settings_form
from ui.page import showing_errors
from ui.sources import data_source, is_demo, is_there, make_demo_data
from ui.words import plain


def ask_new_run() -> None:
    """Ask for data, preset, settings and a name, and start."""
    path = data_source()
    if not is_there(path, is_demo_enough=True):
        return
    name = address.ask_one(
        "Preset", PRESET_LABELS, "preset", usual_preset(path),
        help="A set of settings to begin with; each can be changed below.",
    )  # fmt: skip
    st.caption(PRESET_HELP[name])
    config = None
    with showing_errors():  # of a setting that does not fit another; the rest of the form stays
        config = settings_form(preset(name), key=name)
    with showing_errors():
        if path.is_dir() and config:
            _show_start(path, config)
            offer_estimate(cached.dataset(path).root, name, config)
    run_name = st.text_input("Name of the run", name, key=f"{name}.name", max_chars=60, width=460)
    if live := folders.live_runs():
        st.info(f"{live[0].name} is training. One run trains at a time: wait for it, or stop it first.")
    if st.button("Start training", type="primary", icon=":material/play_arrow:", disabled=bool(live) or not config):
        if is_demo(path):
            make_demo_data()
        with st.spinner("Starting the trainer …"):
            data = cached.dataset(path)
            data.split("train"), data.split("val")
            assert config  # noqa: S101 - without it the button is disabled
            run = folders.create_run(run_name, data.root, name, config)
            address.show(run=run.path.name)
            stored_estimates.keep_with(run)
            folders.start(run)
        st.rerun()


def _show_start(path: Path, config: TrainingConfig) -> None:
    """Show which weights the run will start from; on photos, random ones are a warning."""
    sentence = start_in_words(config.architecture, config.init, cached.dataset(path).class_names)
    if config.init == "random" and not is_demo(path):
        st.warning(plain(sentence))
    else:
        st.caption(sentence)
