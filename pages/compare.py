"""Compare: any checkpoints of any runs on the same images, each beside the floor."""

from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from core import jobs
from core.errors import CoreError
from core.report.content import require_same_data
from core.training.run import evaluations, folders
from ui import address
from ui.checkpoints import Choice, default_pair, evaluation_of, fingerprint_of, is_by_size, list_choices, splits_of
from ui.compare.gallery import show_gallery
from ui.compare.report_download import show_exports
from ui.compare.scores import (
    Side,
    ask_number,
    show_conventions,
    show_cost,
    show_curves,
    show_published,
    show_ranking,
    show_table,
    show_verdict,
    side_of,
    warn_of_old,
)
from ui.compare.why import show_why
from ui.job_view import POLL_S, show_job
from ui.page import link_to, open_page, showing_errors
from ui.words import plain


def say_what_is_missing(choices: Sequence[Choice]) -> None:
    """Say why there is nothing to compare yet, with a link to Train."""
    if live := folders.live_runs():
        st.info(f"{live[0].name} is being trained; its checkpoints can be compared once there are two.")
    elif choices:
        st.info(f"There is one checkpoint so far ({choices[0].label}); extend its run, or train another.")
    else:
        st.info("There are no checkpoints yet: train a run, for instance the demo to 10 and then to 50 epochs.")
    link_to("Train", "Go to Train")


def ask(choices: Sequence[Choice]) -> tuple[list[Choice], str]:
    """Ask for checkpoints and a split. The query string holds the choice."""
    by_id = {choice.id: choice for choice in choices}
    pair = [choice.id for choice in default_pair(choices)]
    chosen = st.multiselect(
        "Checkpoints", list(by_id), **address.keyed("checkpoint", by_id, pair, key="checkpoints", stays=True),
        format_func=lambda choice_id: by_id[choice_id].label,
        help="The first is A, the baseline; the last is B, compared with A.",
    )  # fmt: skip
    splits = splits_of([by_id[choice_id] for choice_id in chosen])
    split = address.ask_one("Split", splits, "split", "val", key="on split")
    return [by_id[choice_id] for choice_id in chosen], split


def act(chosen: Sequence[Choice], split: str) -> list[Side]:
    """Return the checkpoints that are evaluated; offer to evaluate the others, and show progress."""
    data = {choice.run.data: fingerprint_of(choice.run.data, split) for choice in chosen}
    found, damaged = [], []
    for choice in chosen:
        try:
            found.append((choice, evaluation_of(choice, split, data[choice.run.data])))
        except CoreError as error:  # it hides no other, and evaluating again replaces it
            found.append((choice, None))
            damaged.append(plain(str(error)))
    if damaged:
        st.error("\n\n".join(damaged), icon=":material/error:")
    missing = [choice for choice, evaluation in found if evaluation is None or evaluation.is_old]
    num_live = sum(jobs.is_held(job_of(choice, split)) for choice in missing)
    if missing:
        st.fragment(offer_evaluations, run_every=POLL_S if num_live else None)(missing, split, num_live)
    sides = [side_of(choice, evaluation, split, data[choice.run.data]) for choice, evaluation in found]
    return [side for side in sides if side]


def offer_evaluations(missing: Sequence[Choice], split: str, num_live: int) -> None:
    """Draw the progress of running evaluations, and a button for each of the others."""
    with showing_errors():
        going_on = {choice.id: jobs.progress(job_of(choice, split)) for choice in missing}
        if sum(progress is not None for progress in going_on.values()) < num_live:
            st.rerun()
        for choice in missing:
            if progress := going_on[choice.id]:
                show_job(progress, f"Evaluating {choice.label}", "opening the checkpoint", "image")
            else:
                offer_evaluation(choice, split)


def job_of(choice: Choice, split: str) -> Path:
    """Return the folder of the job that evaluates a checkpoint."""
    return evaluations.job_folder(choice.run.eval_dir, choice.file, split)


def offer_evaluation(choice: Choice, split: str) -> None:
    """Draw the button that starts an evaluation, and the error of the last one."""
    if error := jobs.error(job_of(choice, split)):
        st.error(plain(error), icon=":material/error:")
    if is_by_size(choice, split):
        st.info(f"{plain(choice.label)} {evaluations.BY_SIZE}; evaluate it again.", icon=":material/history:")
    if st.button(f"Evaluate {choice.label} on {split}", key=f"evaluate {choice.id}", icon=":material/rule:"):
        with st.spinner("Starting …"):
            evaluations.start(choice.run.eval_dir, choice.file, choice.run.data, split)
        st.rerun()


def show(sides: Sequence[Side], chosen: Sequence[Choice]) -> None:
    """Show verdict, scores, training and cost; then why, and the images."""
    require_same_data([(side.label, side.evaluation) for side in sides])
    warn_of_old(sides)
    a, b = sides[0], sides[-1]
    if len(sides) > 1:
        show_verdict(a, b)
        link_to("Present", "Present", checkpoint=[side.choice.id for side in sides], split=a.evaluation.split)
    show_table(sides)
    if len(sides) > 2:
        show_ranking(sides)
    st.subheader("Training", anchor=False)
    show_curves(sides)
    show_cost(sides, chosen)
    with st.expander("mIoU by the rules of other libraries"):
        show_conventions(sides)
    with st.expander("Published results, and numbers from elsewhere"):
        show_published(sides)
        ask_number()
    if len(sides) > 1:
        st.subheader("Why", anchor=False)
        show_why(a, b)
        st.subheader("Images", anchor=False)
        show_gallery(a, b)
    show_exports(sides)


with open_page("Compare"):
    st.title("Compare", anchor=False)
    there = list_choices()
    if len(there) < 2:
        say_what_is_missing(there)
    else:
        checkpoints, on_split = ask(there)
        if evaluated := act(checkpoints, on_split):
            show(evaluated, checkpoints)
