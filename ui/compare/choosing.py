"""The two ends of a comparison: A and B and what stands between, their split, and evaluations that are missing."""

import statistics
from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from core import jobs
from core.data.dataset import TEST
from core.errors import CoreError, DataError
from core.training.run import evaluations, openings, trained_on
from core.wording import duration
from ui import address, cached
from ui.checkpoints import Choice, default_pair, evaluation_of, fingerprint_of, is_by_size, splits_of
from ui.compare.scores import Side, side_of
from ui.job_view import POLL_S, show_job
from ui.page import showing_errors
from ui.words import plain

START_S = 5.0
"""Seconds until a process of its own has loaded PyTorch and opened a checkpoint."""


def ask(choices: Sequence[Choice]) -> tuple[list[Choice], str]:
    """Ask for A, B, further checkpoints and a split. The query string holds them all, A first and B last."""
    by_id = {choice.id: choice for choice in choices}
    pair = [choice.id for choice in default_pair(choices)]
    first, last, between = address.keyed_ends("checkpoint", by_id, pair)
    left, right, more = st.columns(3)
    ids = list(by_id)
    a = left.selectbox("A, the baseline", ids, **first, format_func=lambda each: by_id[each].label)
    b = right.selectbox(
        "B, compared with A", ids, None, **last, format_func=lambda each: by_id[each].label, placeholder="A alone"
    )
    others = more.multiselect(
        "More", ids, **between, format_func=lambda each: by_id[each].label, placeholder="other checkpoints",
        help="They appear in the tables. Photos and charts under *Why* show A and B only.",
    )  # fmt: skip
    chosen = list(dict.fromkeys([a, *(each for each in others if each != b), *([b] if b else [])]))
    splits = splits_of([by_id[each] for each in chosen])
    split = address.ask_one("Split", splits, "split", "val", key="on split")
    address.complete(checkpoint=chosen, split=split)
    if TEST in splits:
        say_openings([by_id[each] for each in chosen], split)
    return [by_id[each] for each in chosen], split


TEST_MEANING = (
    "A test split is for the last question, once everything is chosen on val: whoever chooses by its scores makes them "
    "too high. Each opening is recorded, here and in the report."
)


def say_openings(chosen: Sequence[Choice], split: str) -> None:
    """Say how often the test split was opened; on it, what opening means, and which runs trained on its photos."""
    data = chosen[0].run.data
    if fingerprint_of(data, TEST):
        said = openings.sentence(openings.openings_of(cached.dataset(data)) or [])
        if split == TEST:
            st.info(f"{TEST_MEANING} {said}", icon=":material/lock_open:")
            for each in {each.run.path: each for each in chosen}.values():
                if why := trained_on.trained_on_test(each.file, cached.dataset(each.run.data)):
                    st.warning(plain(why), icon=":material/warning:")
        else:
            st.caption(f":material/lock: {said}", help=TEST_MEANING)


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
                show_job(progress, f"Evaluating {choice.label}", "opening the checkpoint", "photo")
            else:
                offer_evaluation(choice, split)


def job_of(choice: Choice, split: str) -> Path:
    """Return the folder of the job that evaluates a checkpoint."""
    return evaluations.job_folder(choice.run.eval_dir, choice.file, split)


def offer_evaluation(choice: Choice, split: str) -> None:
    """Draw the button that starts an evaluation, with the time it takes, and the error of the last one."""
    if error := jobs.error(job_of(choice, split)):
        st.error(plain(error), icon=":material/error:")
    if is_by_size(choice, split):
        st.info(f"{plain(choice.label)} {evaluations.BY_SIZE}; evaluate it again.", icon=":material/history:")
    if not choice.is_milestone and jobs.is_held(choice.run.path):
        st.caption(f"{plain(choice.run.name)} is training and replaces {choice.file.name} at times; the scores will be "
                   "those of the file as it is when the evaluation opens it.")  # fmt: skip
    time_s = evaluation_time(choice, split)
    takes = f", about {duration(max(10.0, time_s))}" if time_s else ""
    opening = "Open the test split: evaluate" if split == TEST else "Evaluate"
    if st.button(
        f"{opening} {choice.label} on {split}{takes}", key=f"evaluate {choice.id}", type="primary",
        icon=":material/rule:",
    ):  # fmt: skip
        with st.spinner("Starting …"):
            evaluations.start(choice.run.eval_dir, choice.file, choice.run.data, split)
        st.rerun()


def evaluation_time(choice: Choice, split: str) -> float | None:
    """Return the seconds that an evaluation takes by the validations of its run; None if there were none."""
    log = cached.run_log(choice.run.log_path)
    try:
        num_photos = len(cached.dataset(choice.run.data).split(split))
    except DataError:
        return None
    if not log.epochs or not log.legs[-1].num_val_images:
        return None
    validation_s = statistics.median(epoch.seconds - epoch.train_seconds for epoch in log.epochs)
    return START_S + validation_s * num_photos / log.legs[-1].num_val_images
