"""A model proposes masks for photos that have none, or is trained on the photos that are done."""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import streamlit as st

from core import jobs
from core.data.dataset import LEAST_DONE
from core.data.labelling import LabelSet, State, open_label_set
from core.data.labelling.proposals import proposals_about, proposals_folder
from core.errors import ConfigError
from core.model.weights import starter
from core.review import proposing
from core.review.class_mapping import map_classes
from core.training.run import folders
from core.training.run.folders import Run
from core.training.run.milestones import BEST, CHOSEN, milestones
from core.training.settings.presets import few_photos
from core.wording import count
from ui import address
from ui.checkpoints import Choice, list_choices, scored_label
from ui.job_view import show_job, show_stop
from ui.label.tab import hold
from ui.page import link_to, showing_errors
from ui.sources import title_of
from ui.train.run_view import TICK_S, Entry, read_run, show_progress
from ui.words import code, percent, plain

PRESET = "own-photos"
BY_NAME = "By name"
HEARTBEAT_S = 10.0
"""How often a tab says that it still has its photo open."""
_TRAINED = "label run"
"""The run that this tab started: when it ends, its proposals begin by themselves."""


class Helper(NamedTuple):
    """A model that can propose."""

    label: str
    checkpoint: str
    class_names: Sequence[str]
    is_own: bool = False
    """Whether it was trained on this data set."""


def list_helpers(root: Path) -> dict[str, Helper]:
    """Return by id the model of every run on this data set; the starter; and the best checkpoint of other runs."""
    choices = list_choices()
    own = [choice for choice in choices if is_on(choice, root) and choice.file == model_of(choice.run)]
    others = [choice for choice in choices if not is_on(choice, root) and choice.file.name == BEST]
    known = ("background", *starter.KNOWN)
    shipped = (
        {starter.NAME: Helper(f"Starter: {starter.KNOWN_TEXT}", starter.NAME, known)} if starter.is_there() else {}
    )
    trained = {each.id: _helper(each)._replace(is_own=True) for each in own}
    return trained | shipped | {each.id: _helper(each) for each in others}


def model_of(run: Run) -> Path:
    """Return the model of a run on labelled photos: of its last epoch, or the best so far where it was stopped.

    Which epoch is best on four validation photos is a matter of luck: measured, the last one took 88 % of the pixels of
    other photos right and the best one 83 % (dev/LOG.md).
    """
    return [run.path / BEST, *milestones(run.path)][-1]


def is_on(choice: Choice, root: Path) -> bool:
    """Return whether a checkpoint was trained on this data set."""
    return Path(choice.run.data) == root.resolve()


def _helper(choice: Choice) -> Helper:
    return Helper(scored_label(choice), str(choice.file), choice.classes.names)


def newest_run(root: Path) -> Entry | None:
    """Return the newest run on a data set."""
    runs = (run for run in folders.list_runs() if Path(run.data) == root.resolve())
    return next((read_run(run) for run in runs), None)


def activity(root: Path, entry: Entry | None) -> str:
    """Return what works on a data set now; empty if nothing does."""
    at_work = ["proposing"] if jobs.is_held(proposals_folder(root)) else []
    if entry and read_run(entry.run).is_live:
        at_work.append(entry.run.path.name)
    return " ".join(at_work)


# --- proposals ------------------------------------------------------------------------------------------------------


def ask_proposals(label_set: LabelSet, states: Mapping[str, State], names: Sequence[str]) -> None:
    """Ask for a model, and start the job that proposes masks; `names` are the photos in their order."""
    job = proposals_folder(label_set.root)
    if not jobs.is_held(job) and (error := jobs.error(job)):
        st.error(plain(error), icon=":material/error:")
    helpers, waiting = list_helpers(label_set.root), [name for name in names if states[name] != State.DONE]
    if not helpers:
        st.caption("There is no model yet that could propose masks: label a few photos and train on them.")
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        chosen = st.selectbox(
            "Model", list(helpers), **address.keyed("helper", helpers, next(iter(helpers))),
            format_func=lambda key: helpers[key].label,
            help="The models that were trained on these photos, the starter, and the best of other runs.", width=440,
        )  # fmt: skip
        helper = helpers[chosen]
        class_name = _ask_class(label_set, helper)
        is_wanted = st.button("Propose", icon=":material/auto_awesome:", disabled=not waiting)
    with suppress(ConfigError):  # said by the job
        mapping = map_classes(
            helper.class_names, label_set.classes.names, has_same_numbers=helper.is_own, object_class=class_name
        )
        if mapping.notes:
            st.caption(plain(" ".join(mapping.notes)))
    if about := proposals_about(label_set):
        st.caption(f"Current proposals are from {code(about['checkpoint'])}.")
    if is_wanted:
        propose(label_set, helper.checkpoint, waiting, class_name)


def _ask_class(label_set: LabelSet, helper: Helper) -> str | None:
    """Ask what a model's objects are, where it does not know the classes by name; None is by name."""
    own = list(label_set.classes.names[1:])
    if set(own) <= set(helper.class_names):
        return None
    options = [*([BY_NAME] if set(own) & set(helper.class_names) else []), *own]
    chosen = st.selectbox(
        "Its objects become", options, key=f"objects are {' '.join(own)} {helper.checkpoint}", width=180,
        help="By name: the classes that both know. Or everything that it takes for an object is of one class.",
    )  # fmt: skip
    return None if chosen == BY_NAME else chosen


def propose(label_set: LabelSet, checkpoint: str, names: Sequence[str], class_name: str | None = None) -> None:
    """Start the job that proposes masks, the photos of `names` first; rerun the page."""
    with st.spinner("Starting …"):
        proposing.start(label_set, checkpoint, object_class=class_name, first=names)
    st.rerun()


# --- training -------------------------------------------------------------------------------------------------------


def ask_training(label_set: LabelSet, states: Mapping[str, State], entry: Entry | None) -> None:
    """Offer to train on the photos that are done; `entry` is the newest run on them."""
    num_done = sum(state == State.DONE for state in states.values())
    num_started = sum(state == State.STARTED for state in states.values())
    live, is_enough = folders.live_runs(), num_done >= LEAST_DONE
    with st.container(horizontal=True, vertical_alignment="center"):
        is_wanted = st.button(
            f"Train on these {num_done}" if is_enough else "Train on these", icon=":material/model_training:",
            disabled=not is_enough or bool(live), type="primary" if is_enough else "secondary",
            help="A short training on the photos that are done. You go on meanwhile; its proposals follow.",
        )  # fmt: skip
        if entry and not entry.is_live:
            _show_last(entry)
    if not is_enough:
        st.caption(f"{LEAST_DONE} photos on which you pressed *Done* are enough for a first model.")
    elif num_started:
        st.caption(f"{count(num_started, 'started photo')} not used: press *Done* on what is finished.")
    if live and not (entry and entry.is_live):
        st.caption(f"{plain(live[0].name)} is training. One run trains at a time.")
    if is_wanted:
        config = few_photos(num_done, label_set.classes.names)
        run = folders.create_run(run_name(label_set.root, num_done), label_set.root, PRESET, config)
        with st.spinner("Starting the trainer …"):
            folders.start(run)
        st.session_state[_TRAINED] = run.path.name
        st.rerun()


def run_name(root: Path, num_done: int) -> str:
    """Return a name for a run on so many photos of a data set."""
    stem = re.sub(r"[^A-Za-z0-9 _.+-]+", "-", title_of(root)).lstrip(" _.+-")[:40] or "labels"
    return f"{stem} {count(num_done, 'photo')}"


def _show_last(entry: Entry) -> None:
    best = entry.log.best_epoch
    score = f", mIoU {percent(best.miou)} on its validation photos ({CHOSEN})" if best and best.miou is not None else ""
    sentence = f"{entry.run.name}: {entry.state}{score}."
    if entry.state in ("failed", "crashed"):
        st.error(plain(sentence), icon=":material/error:")
    else:
        st.caption(plain(sentence), width="content")
    if (model := model_of(entry.run)).exists():
        link_to("Segment", "Segment with it", checkpoint=f"{entry.run.path.name}/{model.name}")
    link_to("Train", "Open the run", run=entry.run.path.name)


def follow_up(label_set: LabelSet, entry: Entry | None, waiting: Sequence[str]) -> None:
    """After a training that this tab started, start its proposals."""
    if entry is None or entry.is_live or not (checkpoint := model_of(entry.run)).exists() or not waiting:
        return
    is_ours = st.session_state.get(_TRAINED) == entry.run.path.name
    if is_ours and not jobs.is_held(proposals_folder(label_set.root)):
        del st.session_state[_TRAINED]
        propose(label_set, str(checkpoint), waiting)


# --- what works now -------------------------------------------------------------------------------------------------


class Drawn(NamedTuple):
    """What the page was drawn with: the open photo, its state, whether another tab has it, and what is at work."""

    name: str
    state: State
    is_taken: bool
    activity: str


def show_live(root: Path, drawn: Drawn, entry: Entry | None) -> None:
    """Draw the progress of proposals and training, and hold the photo; rerun the page when something has changed."""
    with showing_errors():
        label_set = open_label_set(root)
        is_taken = hold(label_set, drawn.name) is not None
        if Drawn(drawn.name, label_set.states()[drawn.name], is_taken, activity(root, entry)) != drawn:
            st.rerun()
        job = proposals_folder(root)
        if progress := jobs.progress(job):
            show_job(progress, "Proposing masks", "opening the model", "photo")
            show_stop(job)
        if entry and entry.is_live:
            st.caption(
                f"Training on {count(entry.log.legs[-1].num_train_images, 'photo')}" if entry.log.legs else "Training"
            )
            show_progress(*read_run(entry.run))
            show_stop(entry.run.path)


def tick_s(now: str) -> float:
    """Return how often `show_live` runs while this is at work."""
    return TICK_S if now else HEARTBEAT_S
