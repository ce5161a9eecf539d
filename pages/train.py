"""Train: set up a run and start it, or follow, stop, resume and extend one that exists."""

import streamlit as st

from core import jobs
from core.home import checkpoints_dir
from core.training import runs
from core.training.config import PRESET_HELP, PRESETS, preset
from core.training.records import RunLog
from core.training.runs import Run
from ui import cached, run_view
from ui.forms import settings_form
from ui.page import open_page, showing_errors
from ui.run_samples import show_samples
from ui.sources import data_source, is_demo, is_there, make_demo_data

NEW = "new"


def ask_run() -> Run | None:
    """Ask which run to look at; None is a new one. The choice is kept in the query string (`?run=FOLDER`)."""
    known = {run.path.name: run for run in runs.list_runs()}
    live = next((name for name, run in known.items() if jobs.is_held(run.path)), None)
    options = [NEW, *known]
    wanted = st.query_params.get("run") or live or next(iter(known), NEW)
    if wanted not in options:
        st.warning(f"There is no run {wanted} in {checkpoints_dir()}; it may have been moved or deleted.")
        wanted = NEW
    # Without a key: once labels or choices change, the box takes what the query string says.
    chosen = st.selectbox(
        "Run", options, options.index(wanted), format_func=lambda name: run_view.label(known.get(name))
    )
    st.query_params["run"] = chosen
    return known.get(chosen)


def ask_new_run() -> None:
    """Ask for data, preset, settings and a name, and start."""
    path = data_source()
    if not is_there(path, is_demo_enough=True):
        return
    name = st.segmented_control(
        "Preset", list(PRESETS), default="demo" if is_demo(path) else "report", required=True, key="preset",
        bind="query-params", format_func=str.capitalize,
        help="A set of settings to begin with; each can be changed below.",
    )  # fmt: skip
    st.caption(PRESET_HELP[name])
    config = settings_form(preset(name), key=name)
    run_name = st.text_input("Name of the run", name, key=f"{name}.name", max_chars=60, width=460)
    if live := runs.live_runs():
        st.info(f"{live[0].name} is training. One run trains at a time: wait for it, or stop it first.")
    if st.button("Start training", type="primary", icon=":material/play_arrow:", disabled=bool(live)):
        if is_demo(path):
            make_demo_data()
        with st.spinner("Starting the trainer …"):
            data = cached.dataset(path)
            data.split("train"), data.split("val")
            run = runs.create_run(run_name, data.root, name, config)
            st.query_params["run"] = run.path.name
            runs.start(run)
        st.rerun()


def follow(run: Run) -> None:
    """Show a run: what it is, what can be done with it, and how it goes."""
    log = cached.run_log(run.log_path)
    state = runs.run_state(run, log)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.subheader(run.name, anchor=False, width="content")
        run_view.show_state(state)
    run_view.show_about(run, log)
    ask_action(run, log, state)
    st.fragment(show_live, run_every=run_view.TICK_S if state in runs.LIVE_STATES else None)(run, state)


def ask_action(run: Run, log: RunLog, state: str) -> None:
    """Offer what can be done in this state: stop, start, resume or extend."""
    if state in runs.LIVE_STATES:
        ask_stop(run)
    elif state == "finished":
        ask_extension(run, log)
    elif st.button("Start" if state == "new" else "Resume", type="primary", icon=":material/play_arrow:"):
        start(run)


def ask_stop(run: Run) -> None:
    """Offer to stop; once asked, say that the trainer is about to leave."""
    is_asked = jobs.is_stop_requested(run.path)
    if st.button("Stop", icon=":material/stop:", disabled=is_asked, help="Saves first; it can be resumed at any time."):
        jobs.request_stop(run.path)
        st.rerun()
    if is_asked:
        st.caption("Asked to stop: the trainer finishes its batch, saves, and leaves.")


def ask_extension(run: Run, log: RunLog) -> None:
    """Offer to train a finished run further."""
    done = runs.target_epochs(run, log)
    usual = max(done + 1, run.config.total_schedule_epochs, 50 if done < 50 else 2 * done)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        epochs = st.number_input(
            "Extend to (epochs)", done + 1, 10_000, usual, width=160,
            help="Goes on from last.pt with its optimizer and schedule, as if it had never ended.",
        )  # fmt: skip
        is_asked = st.button("Extend", icon=":material/resume:")
    if is_asked:
        start(run, extend_to=int(epochs))


def start(run: Run, *, extend_to: int | None = None) -> None:
    """Start, resume or extend a run, and draw the page anew once its trainer is at work."""
    with showing_errors(), st.spinner("Starting the trainer …"):
        runs.start(run, extend_to=extend_to)
        st.rerun()


def show_live(run: Run, state: str) -> None:
    """Draw how a run goes; when its state is no longer `state`, the whole page is drawn anew."""
    with showing_errors():
        log = cached.run_log(run.log_path)
        if runs.run_state(run, log) != state:
            st.rerun()
        run_view.show_progress(run, log, state)
        run_view.show_trouble(run, log, state)
        if log.legs:
            run_view.show_numbers(log)
            run_view.show_curves(run, log)
            run_view.show_classes(log)
            with showing_errors():  # the data may have moved
                show_samples(run)
        run_view.show_details(run, log)


def main() -> None:
    """Ask for a run, then set one up or follow it."""
    st.title("Train", anchor=False)
    for sentence in runs.broken_runs():
        st.warning(sentence, icon=":material/folder_off:")
    run = ask_run()
    if run is None:
        ask_new_run()
    else:
        follow(run)


with open_page("Train"):
    main()
