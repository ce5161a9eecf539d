"""A study on Train and on Home: set up from the form's settings, its progress over all trainings, stop, go on."""

import time
from collections.abc import Callable
from math import prod

import streamlit as st

from core import jobs
from core.data.dataset import Dataset
from core.errors import ConfigError, CoreError
from core.study import work
from core.study.folder import (
    DONE,
    FAILED,
    INVALID,
    CellState,
    Study,
    create_study,
    is_working,
    open_study,
    working_jobs,
)
from core.study.plan import MAX_SEEDS, Plan, draft_plan, make_plan
from core.training.estimate import stored_estimates
from core.training.run.log import read_log
from core.training.run.records import RunEnded
from core.training.settings.config import TrainingConfig
from core.training.settings.presets import preset
from core.wording import count, duration
from ui import address
from ui.checkpoints import STUDIES, address_of
from ui.job_view import POLL_S, show_stop
from ui.page import link_to, showing_errors
from ui.train.duration import show_measuring
from ui.words import percent, plain

RECIPES_HELP = "One setting a line with its values, as in `epochs=10,50`; every combination is a recipe."
FOLDS_HELP = (
    "With 5, every photo of train and val is scored once, by a run that did not train on it: five runs for each seed. "
    "A test split is never among them. 0 uses train and val as they are."
)
SHARES_HELP = "For a learning curve, as in `0.25, 0.5, 1`; empty is the share in the settings."


def offer_study(data: Dataset, preset_name: str, config: TrainingConfig) -> None:
    """Ask for seeds, folds, recipes and shares of the photos, and start a study of the form's settings."""
    with st.expander("Repeat with seeds, or folds", icon=":material/repeat:", key="repeat"):
        st.caption("One run may be lucky. A study trains the same settings several times and says what holds for all.")
        with st.container(horizontal=True, vertical_alignment="bottom"):
            seeds = int(st.number_input("Seeds", 1, MAX_SEEDS, 3, key="study seeds", width=140))
            folds = int(st.number_input("Folds", 0, 100, 0, key="study folds", width=140, help=FOLDS_HELP))
            shares = st.text_input("Shares of the photos", key="study shares", width=220, help=SHARES_HELP)
        vary = st.text_area("Compare recipes", key="study vary", placeholder="epochs=10,50", height=80,
                            help=RECIPES_HELP, width=460).split("\n")  # fmt: skip
        vary = [line.strip() for line in vary if line.strip()]
        fractions = [text for text in shares.split(",") if text.strip()]
        trainings = prod(line.count(",") + 1 for line in vary) * max(1, len(fractions)) * seeds * max(1, folds)
        name = st.text_input("Name of the study", f"{preset_name}-study", key="study name", max_chars=50, width=460)
        changes = _changes(config, preset_name, vary)

        def planned(plan: Callable[..., Plan] = make_plan) -> Plan:
            return plan(
                name, data, preset_name=preset_name, changes=changes, vary=vary, seeds=seeds, folds=folds,
                fractions=[_share(text) for text in fractions],
            )  # fmt: skip

        options = [f"--data={data.root}", f"--preset={preset_name}", f"--seeds={seeds}", f"--folds={folds}",
                   *(f"--set={key}={value}" for key, value in changes.items()), *(f"--vary={line}" for line in vary),
                   *([f"--fractions={','.join(fractions)}"] if fractions else [])]  # fmt: skip
        problem = ""
        try:
            planned(draft_plan)
        except CoreError as error:
            problem = str(error)
            st.error(plain(problem), icon=":material/error:")
        if not problem:
            _offer_estimate(name, data, options, planned)
        label = f"Start the study: {count(trainings, 'run')}"
        if st.button(label, icon=":material/science:", disabled=bool(problem)):
            with showing_errors(), st.spinner("Starting …"):
                study = create_study(planned())
                address.show(run=f"{STUDIES}/{study.name}")
                work.start(study)
                st.rerun()


def _offer_estimate(name: str, data: Dataset, options: list[str], planned: Callable[[], Plan]) -> None:
    """Show how long a study of these options takes, or the progress of timing it, or offer to time it."""
    job = stored_estimates.job_dir(["study", *options])
    if jobs.is_held(job):
        st.fragment(show_measuring, run_every=POLL_S)(job)
        return
    if found := stored_estimates.find_stored(job, data.root):
        with st.container(border=True):
            st.markdown(f"##### About {duration(found['seconds'])} for {count(found['trainings'], 'run')}")
            for each in found["halve"]:
                if not each["change"].startswith("--part"):  # of the command alone
                    change = each["change"].removeprefix("--set ").removeprefix("--")
                    st.caption(f"{plain(change)}: {duration(each['seconds'])}; gives up {plain(each['gives_up'])}")
        return
    if error := jobs.error(job):
        st.error(plain(error), icon=":material/error:")
    if st.button("How long will the study take?", icon=":material/timer:", help="Times a few batches of each recipe."):
        with showing_errors(), st.spinner("Starting …"):
            planned()  # what cannot be planned is not timed
            stored_estimates.refuse_if_training()
            jobs.start(job, ["study", name, *options, "--estimate"])
            st.rerun()


def _changes(config: TrainingConfig, preset_name: str, vary: list[str]) -> dict[str, object]:
    """Return what differs from the preset, without what the study sets itself."""
    own = {"seed", *(line.partition("=")[0].strip() for line in vary)}
    usual = preset(preset_name).as_dict()
    return {key: value for key, value in config.as_dict().items() if value != usual[key] and key not in own}


def _share(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ConfigError(f"'{text.strip()}' is not a share of the photos; write 0.5 for half of them.") from None


def say_missing(name: str) -> None:
    """Say why the address `studies/NAME` shows no study: it is missing, or damaged."""
    with showing_errors():
        open_study(name)


def label_of(study: Study) -> str:
    """Return the label of a study in the list of runs."""
    return f"{study.name} · study of {count(len(study.plan.cells()), 'run')}"


def show_about(study: Study) -> None:
    """Say in one line what a study trains."""
    plan = study.plan
    varied = [f"{key}: {', '.join(map(str, values))}" for key, values in plan.vary]
    folds = [f"{plan.folds} folds"] if plan.folds else []
    shares = [f"shares of the photos: {', '.join(percent(each, 0) for each in plan.fractions)}"]
    facts = [*varied, count(len(plan.seeds), "seed"), *folds, *(shares if len(plan.fractions) > 1 else [])]
    st.caption(" · ".join([f"preset {plan.preset}", *(plain(fact) for fact in facts), f"data {plain(plan.data)}"]))


def follow_study(study: Study) -> None:
    """Show a study: its progress over all trainings, stop or go on, and each of its runs."""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.subheader(study.name, anchor=False, width="content")
        link_to("Compare", "**Results**", study=study.name)
    show_about(study)
    is_live = is_working(study)
    st.fragment(_show_live, run_every=2 * POLL_S if is_live else None)(study, is_live=is_live)


def _show_live(study: Study, *, is_live: bool) -> None:
    """Draw the progress and the runs; rerun the page when the study begins or ends."""
    with showing_errors():
        if is_working(study) != is_live:
            st.rerun()
        states = study.cells()
        num_done = sum(each.state == DONE for each in states)
        show_progress(study, num_done)
        if working := working_jobs(study):
            show_stop(*working)
            if any(map(jobs.is_stop_requested, working)):
                st.caption("Asked to stop: the run that is trained saves and ends; *Go on* resumes it.")
        elif num_done < len(states):
            if error := jobs.error(study.path):
                st.error(plain(error), icon=":material/error:")
            if st.button("Go on", type="primary", icon=":material/play_arrow:"):
                with st.spinner("Starting …"):
                    work.start(study)
                st.rerun()
        if any(each.state == INVALID for each in states) and (changed := study.changed_data(states)):
            st.warning(f"{plain(changed)} Runs from before are *invalid* and are trained again.")
        _show_failures([each for each in states if each.state == FAILED])
        rows = [
            {"Run": each.cell.label, "State": each.state,
             "mIoU": percent(each.evaluation.scores.miou) if each.evaluation else ""}
            for each in states
        ]  # fmt: skip
        st.dataframe(rows, hide_index=True, key="trainings", alt="Every run of the study and its state")
        _offer_run({address_of(each.run): each.cell.label for each in states if each.run})


def _show_failures(failed: list[CellState]) -> None:
    for each in failed:
        if each.run and isinstance(last := read_log(each.run.log_path).last, RunEnded):
            st.error(f"{plain(each.cell.label)}: {plain(last.reason)}", icon=":material/error:")
    if failed:
        st.caption(work.AGAIN)


def _offer_run(labels: dict[str, str]) -> None:
    """Offer to open one of the runs."""
    if labels:
        with st.container(horizontal=True, vertical_alignment="bottom"):
            chosen = st.selectbox("A run of this study", list(labels), key="run of it", format_func=labels.__getitem__)
            link_to("Train", "Open the run", run=chosen or "")


def show_progress(study: Study, num_done: int | None = None) -> None:
    """Draw how far a study is, with the time that is left, or that it waits for another training."""
    total = len(study.plan.cells())
    done = "" if num_done is None else f"{num_done} of {count(total, 'run')} done"
    working, waiting = working_jobs(study), work.waits_for(study)
    if not working:
        st.caption(done or f"{count(total, 'run')} planned")
    elif waiting:
        st.info(plain(waiting), icon=":material/hourglass_top:")
        st.caption(done)
    for job in [] if waiting else working:
        if progress := jobs.progress(job):
            remaining_s = progress.remaining_s(time.time())
            left = f" · about {duration(remaining_s)} left" if remaining_s else ""
            part = "" if job == study.path else f"Part {job.name.replace('-', ' ')} · "
            st.progress(progress.share, f"{part}{done or 'Training'}{left}")
