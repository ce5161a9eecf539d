"""Actions on a run: start, stop, resume, extend, rename, note, delete."""

import streamlit as st

from core import jobs
from core.files import entries
from core.report.content import evaluated_checkpoints
from core.training.demo_run import is_drawn
from core.training.run import edits, folders
from core.training.run.folders import Run
from core.training.run.health import health
from core.training.run.learning import EXTEND
from core.training.run.log import RunLog
from core.training.settings.config import MAX_EPOCHS
from ui import address
from ui.checkpoints import best_first, list_choices
from ui.page import link_to, showing_errors
from ui.report.form import offer_report
from ui.train.new_run import NEW
from ui.words import plain

DELETED = "name of the run that was deleted"


def ask_action(run: Run, log: RunLog, state: str) -> None:
    """Offer to stop, start, resume or extend, as the state allows; say why a run cannot go on."""
    if state == "unknown":
        return  # the state says why
    if state in folders.LIVE_STATES:
        ask_stop(run)
    elif lost := folders.lost_state(run, log):
        st.warning(plain(lost), icon=":material/link_off:")
    elif state == "finished":
        ask_extension(run, log)
    elif st.button("Start" if state == "new" else "Resume", type="primary", icon=":material/play_arrow:"):
        start(run)


def show_next_steps(run: Run) -> None:
    """Draw what follows a training: its checkpoints compared, one of them on a photo, the report."""
    choices = list_choices([run])
    if not choices:
        return
    if all(choice.is_unfinished and not choice.epoch for choice in choices):
        st.caption("It ended within its first epoch, so nothing is scored, and its masks would say nothing yet.")
        return
    best = best_first(choices)[0]
    milestones = [choice for choice in choices if choice.is_milestone]
    if len(milestones) > 1:
        pair = (milestones[0], milestones[-1])
        label = f"**Compare {pair[0].epoch} with {pair[1].epoch}**"
        link_to("Compare", label, checkpoint=[choice.id for choice in pair])
    else:
        link_to("Compare", "**Scores and photos**", checkpoint=best.id)
    link_to("Segment", "Segment a photo", checkpoint=best.id)
    if not any(entries(run.eval_dir, "val-*")):
        return  # only milestones are evaluated by the trainer; Compare evaluates the others, and has the report then
    offer_report(run.path.name, lambda: evaluated_checkpoints([run], "val"))


def ask_stop(run: Run) -> None:
    """Offer to stop; after that, say that the trainer is about to end."""
    is_asked = jobs.is_stop_requested(run.path)
    if st.button("Stop", icon=":material/stop:", disabled=is_asked, help="Saves first; it can be resumed at any time."):
        jobs.request_stop(run.path)
        st.rerun()
    if is_asked:
        st.caption("Asked to stop: the trainer finishes its batch, saves, and ends.")


def ask_extension(run: Run, log: RunLog) -> None:
    """Offer to train a finished run further."""
    done = folders.target_epochs(run, log)
    if done >= MAX_EPOCHS:
        st.caption(f"It has the {MAX_EPOCHS:,} epochs that a run can have.")
        return
    usual = max(done + 1, run.config.total_schedule_epochs, 50 if done < 50 else 2 * done)
    epochs = st.number_input(
        "Extend to (epochs)", done + 1, MAX_EPOCHS, min(usual, MAX_EPOCHS), width=160,
        help="Goes on from last.pt with its optimizer and schedule, as if it had never ended.",
    )  # fmt: skip
    is_advised = any(advice.action == EXTEND for advice in health(log, state="finished", is_drawn=is_drawn(run)))
    if st.button("Extend", type="primary" if is_advised else "secondary", icon=":material/resume:"):
        start(run, extend_to=int(epochs))


def start(run: Run, *, extend_to: int | None = None) -> None:
    """Start, resume or extend a run; rerun the page once its trainer works."""
    with showing_errors(), st.spinner("Starting the trainer …"):
        folders.start(run, extend_to=extend_to)
        st.rerun()


def edit_run(run: Run, state: str) -> None:
    """Offer to rename a run, to edit its note, and to delete it after a confirmation."""
    with st.expander("Name, note, delete", icon=":material/edit_note:"), showing_errors():
        name = st.text_input("Name", run.name, max_chars=60, key=f"{run.path.name}.name", width=460)
        note = st.text_area(
            "Note", run.note, max_chars=edits.MAX_NOTE, key=f"{run.path.name}.note",
            placeholder="What this run is for, what was learned from it",
        )  # fmt: skip
        if st.button("Save", icon=":material/save:", disabled=(name, note) == (run.name, run.note)):
            if name != run.name:
                edits.rename(run, name)
            if note != run.note:
                edits.set_note(run, note)
            st.rerun()
        _offer_deletion(run, is_live=state in folders.LIVE_STATES)


def _offer_deletion(run: Run, *, is_live: bool) -> None:
    is_sure = st.checkbox(
        f"Delete {run.path.name} with all its checkpoints and scores, for good", key=f"{run.path.name}.sure",
        disabled=is_live, help="A run that is being trained cannot be deleted; stop it first." if is_live else None,
    )  # fmt: skip
    if st.button("Delete the run", icon=":material/delete_forever:", disabled=is_live or not is_sure):
        edits.delete(run)
        st.session_state[DELETED] = run.name
        address.show(run=NEW)  # no other run: its own form would stand where this one was, a click from deleting it too
        st.rerun()
