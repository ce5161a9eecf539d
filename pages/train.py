"""Train: set up and start a run, or follow, stop, resume and extend one."""

import streamlit as st

from core.home import checkpoints_dir
from core.study.folder import Study, list_studies
from core.training.run import folders
from core.training.run.folders import Run
from ui import address
from ui.checkpoints import STUDIES, address_of, asked_study_runs
from ui.page import open_page, showing_errors
from ui.train import run_view, study_view
from ui.train.actions import DELETED, ask_action, edit_run, show_next_steps
from ui.train.details import show_details, show_samples, show_settings
from ui.train.duration import show_prediction
from ui.train.new_run import NEW, ask_new_run
from ui.train.run_view import Entry
from ui.words import plain, without_pictures


def ask_run(entries: list[Entry], studies: list[Study]) -> Entry | Study | None:
    """Ask for a run or a study; None is a new run. The query string holds the choice (`?run=FOLDER`)."""
    known: dict[str, Entry | Study] = {address_of(entry.run): entry for entry in entries}
    live = next((address_of(entry.run) for entry in entries if entry.is_live), None)
    known |= {f"{STUDIES}/{study.name}": study for study in studies}
    options = [NEW, *known]
    wanted = st.query_params.get("run") or address.first_default("run", live or next(iter(known), NEW))
    if wanted not in options:
        if wanted.startswith(f"{STUDIES}/"):
            study_view.say_missing(wanted.split("/")[1])
        else:
            st.warning(f"There is no run {plain(wanted)} in {checkpoints_dir()}; it may have been moved or deleted.")
        wanted = NEW
    # Without a key: once labels or choices change, the box takes what the query string says.
    chosen = st.selectbox("Run", options, options.index(wanted), format_func=lambda name: label(known.get(name)))
    if chosen != wanted:
        address.show(run=chosen)
    return known.get(chosen)


def label(chosen: Entry | Study | None) -> str:
    """Return the label of a run or a study in the list."""
    return study_view.label_of(chosen) if isinstance(chosen, Study) else run_view.label(chosen)


def follow(entry: Entry, runs_there: list[Run]) -> None:
    """Show a run, the actions on it, and its progress."""
    run, log, state = entry
    with st.container(horizontal=True, vertical_alignment="center"):
        st.subheader(run.name, anchor=False, width="content")
        run_view.show_state(state)
        if state not in folders.LIVE_STATES:
            show_next_steps(run)
    run_view.show_about(run, log)
    if run.note:
        st.markdown(without_pictures(run.note))
    with st.container(horizontal=True, vertical_alignment="bottom"):
        ask_action(run, log, state)
    st.fragment(show_live, run_every=run_view.TICK_S if state in folders.LIVE_STATES else None)(run, state, runs_there)
    show_settings(run, log)
    edit_run(run, state)


def show_live(run: Run, state: str, runs_there: list[Run]) -> None:
    """Draw the progress of a run, pictures first; rerun the page when its state is no longer `state`."""
    with showing_errors():
        _, log, now = run_view.read_run(run)
        if now != state:
            st.rerun()
        run_view.show_progress(run, log, state)
        run_view.show_end(run, log, state)
        if log.legs:
            with showing_errors():  # the data may have moved
                show_samples(run)
            run_view.show_numbers(log)
        show_prediction(run, log)
        run_view.show_advice(run, log, state)
        if log.legs:
            run_view.show_curves(run, log, runs_there)
            run_view.show_classes(log)
        show_details(run, log)


def main() -> None:
    """Ask for a run, then set one up or follow it."""
    st.title("Train", anchor=False)
    if deleted := st.session_state.pop(DELETED, None):
        st.success(f"{plain(deleted)} was deleted.", icon=":material/delete_forever:")
    entries, broken = run_view.read_runs()
    for sentence in broken:
        st.warning(plain(sentence), icon=":material/folder_off:")
    entries += [run_view.read_run(run) for run in asked_study_runs()]
    chosen = ask_run(entries, list_studies())
    if chosen is None:
        ask_new_run()
    elif isinstance(chosen, Study):
        study_view.follow_study(chosen)
    else:
        follow(chosen, [each.run for each in entries])


with open_page("Train"):
    main()
