"""Advice on synthetic logs: one of each kind, none on a run that goes well, and never an exception."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.training.run.health import SEVERITIES, health
from core.training.run.learning import (
    BLIND_EPOCHS,
    EXTEND,
    FEW_PHOTOS,
    LABEL,
    LOOK,
    NEW_RUN,
    WINDOW_EPOCHS,
    Advice,
    background_only_epochs,
    weakness,
)
from core.training.run.log import RunLog
from core.training.run.records import Epoch, Record, RunEnded, RunStarted, Step

GB = 10**9
NOW_S = 10_000.0


def log_of(records: Sequence[Record]) -> RunLog:
    """Return the log that these records make, without a file."""
    log = RunLog(Path("nowhere"))
    # json.dumps and not to_line: a log has no NaN, but health must not stumble over one
    lines = (json.dumps({"kind": record.kind, **asdict(record)}, separators=(",", ":")) for record in records)
    log.take(line.encode() for line in lines)
    return log


def leg(**changes: Any) -> RunStarted:
    values: dict[str, Any] = {
        "config": {"epochs": 20, "num_workers": 0}, "device": "AMD EPYC (2 threads)", "precision": "fp32",
        "num_params": 1, "num_train_images": 40, "num_val_images": 8, "steps_per_epoch": 10, "epochs_done": 0,
        "class_names": ["background", "cat"], "floor": {"miou": 0.35}, "versions": {}, "fingerprint": "", "time_s": 0.0,
    }  # fmt: skip
    return RunStarted(**values | changes)


def step(number: int, loss: float = 1.0, learning_rate: float = 0.1) -> Step:
    return Step(
        epoch=1 + (number - 1) // 10, step=number, loss=loss, learning_rate=learning_rate, images_per_second=8.0,
        time_s=float(number),
    )  # fmt: skip


def epoch(number: int, **changes: Any) -> Epoch:
    """Return an epoch of a run that goes well: losses fall, the score rises."""
    values: dict[str, Any] = {
        "epoch": number, "step": 10 * number, "train_loss": 2 * 0.9**number, "val_loss": 2.1 * 0.9**number,
        "miou": 0.35 + 0.02 * number, "pixel_accuracy": 0.7, "iou": [0.7, 0.02 * number], "seconds": 50.0,
        "train_seconds": 40.0, "images_per_second": 8.0, "peak_memory_bytes": 2 * GB, "is_best": True,
        "data_seconds": 2.0, "time_s": 50.0 * number,
    }  # fmt: skip
    return Epoch(**values | changes)


def healthy(epochs: int = 20) -> list[Record]:
    steps = [step(number, loss=2 * 0.9 ** (number / 10)) for number in range(1, 10 * epochs + 1)]
    return [leg(), *steps, *(epoch(number) for number in range(1, epochs + 1))]


def advice_on(records: Sequence[Record], state: str = "running") -> list[Advice]:
    return health(log_of(records), state=state, now_s=NOW_S, memory_bytes=16 * GB)


def only(records: Sequence[Record], state: str = "running") -> Advice:
    """Return the one advice that is given."""
    found = advice_on(records, state)
    assert len(found) == 1, found
    return found[0]


@pytest.mark.parametrize("epochs", [0, 1, 2, 4, 5, 20])
def test_a_run_that_goes_well_gets_none(epochs: int) -> None:
    assert advice_on(healthy(epochs)) == []


def test_nothing_is_said_of_a_run_without_records() -> None:
    assert advice_on([]) == []
    assert advice_on([leg()]) == []


def test_a_run_that_failed_by_nan_is_told_what_to_do() -> None:
    reason = "The loss became nan at step 21 (learning rate 0.1); start a new run with a smaller learning_rate."
    ended = RunEnded(outcome="failed", reason=reason, epochs_done=2, best_epoch=2, best_miou=0.4)
    found = only([*healthy(2), ended], "failed")
    assert (found.kind, found.severity) == ("not finite", "error")
    assert "of 0.1" in found.sentence


def test_a_file_whose_name_reads_like_nan_is_not_taken_for_one() -> None:
    ended = RunEnded(
        outcome="failed", reason="The photo /data/nan/inf.jpg is damaged.", epochs_done=2, best_epoch=2, best_miou=0.4
    )
    assert advice_on([*healthy(2), ended], "failed") == []


RANDOM = {"init": "random", "num_train_images": 132}


@pytest.mark.parametrize(
    ("legs", "is_advised"),
    [
        ([leg(**RANDOM)], True),
        ([leg(**RANDOM), leg(num_train_images=132, epochs_done=2)], True),  # a later leg does not say it
        ([leg(num_train_images=132, config={"init": "random"})], True),  # a log from before legs said it
        ([leg(**RANDOM | {"num_train_images": FEW_PHOTOS - 1})], True),
        ([leg(**RANDOM | {"num_train_images": FEW_PHOTOS})], False),
        ([leg(**RANDOM | {"init": "imagenet", "config": {"init": "auto"}})], False),
        ([leg(num_train_images=132, config={"init": "imagenet"})], False),
    ],
)
def test_random_weights_on_photos_need_thousands_of_them(legs: list[Record], is_advised: bool) -> None:
    found = advice_on(legs)
    assert [advice.kind for advice in found] == ["random weights"] * is_advised
    assert health(log_of(legs), state="running", is_drawn=True, now_s=NOW_S) == [], "scenes are far more alike"
    if is_advised:
        assert "from random weights this needs thousands of photos" in found[0].sentence


def test_only_background_for_some_epochs() -> None:
    blind = [epoch(number, iou=[0.7, 0.001], miou=0.35) for number in range(1, BLIND_EPOCHS + 1)]
    assert only([leg(), *blind]).kind == "background only"
    assert advice_on([leg(), *blind[:-1]]) == []
    assert advice_on([leg(), *blind, epoch(BLIND_EPOCHS + 1)]) == [], "it finds something now"


def test_epochs_without_an_object_are_counted_from_the_end() -> None:
    def counted(*cats: float | None) -> int:
        return background_only_epochs(log_of([leg(), *(epoch(n, iou=[0.7, cat]) for n, cat in enumerate(cats, 1))]))

    assert counted(0.2, 0.0, None) == 2
    assert counted(0.0, 0.2) == 0
    assert counted() == 0


def test_scores_that_stay_at_the_floor() -> None:
    stuck = [epoch(number, miou=0.34, iou=[0.6, 0.08]) for number in range(1, WINDOW_EPOCHS + 1)]
    assert only([leg(), *stuck]).kind == "at the floor"
    assert advice_on([leg(), *stuck[:-1]]) == []


@pytest.mark.parametrize(
    ("init", "loss", "cat", "miou", "action", "said"),
    [
        ("imagenet", 0.5, 0.1, 0.34, EXTEND,
         ["on or below the floor of 35.0 %", "trained for 20 steps only", "extend the run"]),
        ("random", 0.5, 0.1, 0.37, NEW_RUN,
         ["2.0 points above the floor", "random weights", "pretrained weights (init=auto)"]),
        ("imagenet", 2.0, 0.0, 0.35, LOOK, ["predicts background nearly everywhere", "check the masks on Dataset"]),
        ("imagenet", 2.0, 0.1, 0.35, EXTEND, ["it has learned too little", "extend the run, or"]),
    ],
)  # fmt: skip
def test_a_run_that_ended_near_the_floor_says_why_and_what_helps(
    init: str, loss: float, cat: float, miou: float, action: str, said: list[str]
) -> None:
    """A run of two epochs that scored the floor ended without a word: the checks waited for five.

    What a page leads to is the first remedy: beside *extend the run* stood a link to a new run.
    """
    steps = 100 if loss > 1 else 10
    weak = [epoch(number, miou=miou, train_loss=loss, iou=[0.7, cat], step=steps * number) for number in (1, 2)]
    found = only([leg(init=init), *weak], "finished")
    assert (found.kind, found.severity, found.action) == ("at the floor", "warning", action)
    assert [text for text in said if text not in found.sentence] == []
    assert advice_on([leg(), *weak]) == [], "while it trains it may still rise"


def test_a_weak_run_that_learns_by_heart_is_not_to_be_extended() -> None:
    late = [epoch(number, val_loss=1 + 0.1 * number, miou=0.36, is_best=number == 1) for number in range(1, 9)]
    weak = weakness(log_of([leg(), *late])) or Advice("", "", "")
    assert (weak.action, "extend" in weak.sentence) == (LABEL, False)


def test_a_checkpoint_is_weak_by_its_own_score() -> None:
    log = log_of(healthy())
    assert weakness(log) is None
    assert weakness(log, 0.40) is None
    assert "4.9 points above the floor" in (weakness(log, 0.399) or Advice("", "", "")).sentence
    assert weakness(log_of([leg()])) is None
    scarce = weakness(log_of([leg(num_train_images=2), epoch(1, miou=0.3)])) or Advice("", "", "")
    assert scarce.sentence.endswith("learned from 2 photos only. What to do: label more photos, and train on them.")


def test_a_loss_that_never_falls() -> None:
    stuck = [epoch(number, train_loss=1.0 + 0.001 * number, val_loss=1.0) for number in range(1, WINDOW_EPOCHS + 1)]
    assert only([leg(), *stuck]).kind == "not learning"
    assert advice_on([leg(), *stuck[:-1]]) == []


def test_a_growing_gap_to_the_validation_photos() -> None:
    early = [epoch(number) for number in range(1, 7)]
    late = [epoch(number, val_loss=1.2 + 0.05 * number, miou=0.4, is_best=False) for number in range(7, 13)]
    found = only([leg(), *early, *late])
    assert found.kind == "overfitting"
    assert "that of epoch 6" in found.sentence
    improving = [epoch(number, val_loss=1.2 + 0.05 * number) for number in range(7, 13)]
    assert advice_on([leg(), *early, *improving]) == [], "the score still rises"


def test_jumps_of_the_loss() -> None:
    records = [leg(), *(step(number, loss=50.0 if number == 60 else 1.0) for number in range(1, 100))]
    found = only(records)
    assert found.kind == "spikes"
    assert "once, last at step 60" in found.sentence
    assert advice_on([leg(), *(step(number, loss=50.0 if number == 5 else 1.0) for number in range(1, 100))]) == []


def test_a_loader_slower_than_the_model() -> None:
    waiting = [epoch(number, data_seconds=16.0) for number in range(1, 4)]
    found = only([leg(), *waiting])
    assert (found.kind, found.severity) == ("slow loader", "info")
    assert "40 % of its time" in found.sentence
    assert "now 0" in found.sentence
    assert advice_on([leg(), waiting[0]]) == [], "the first epoch reads from a cold disk"


def test_a_schedule_that_is_over() -> None:
    steps = [step(number, learning_rate=0.1 if number < 90 else 1e-5) for number in range(1, 101)]
    flat = [epoch(number, train_loss=2.0 if number == 1 else 0.5) for number in range(1, 11)]
    found = only([leg(), *steps, *flat], "finished")
    assert (found.kind, found.severity) == ("schedule over", "info")
    falling = [epoch(number) for number in range(1, 11)]
    assert advice_on([leg(), *steps, *falling], "finished") == [], "the loss still falls"


def test_a_trainer_that_tells_nothing_new() -> None:
    found = only(healthy(2), "stalled")
    assert (found.kind, found.severity) == ("stalled", "error")
    assert "165 minutes" in found.sentence  # 10,000 s less the 100 s of two epochs


def test_a_trainer_that_takes_nearly_all_memory_of_the_machine() -> None:
    full = [epoch(1, peak_memory_bytes=15 * GB)]
    assert only([leg(), *full]).kind == "memory"
    assert advice_on([leg(device="NVIDIA H200"), *full]) == [], "that is the memory of the GPU"


def test_the_worst_comes_first() -> None:
    records = [leg(), *(epoch(n, iou=[0.7, 0.0], data_seconds=30.0, peak_memory_bytes=15 * GB) for n in range(1, 4))]
    found = advice_on(records, "stalled")
    assert [advice.kind for advice in found] == ["stalled", "memory", "background only", "slow loader"]
    for advice in found:
        assert advice.sentence[-1] == "."
        assert "\n" not in advice.sentence


def test_logs_from_before_there_was_a_time_of_waiting() -> None:
    old = [epoch(number, data_seconds=0.0) for number in range(1, 9)]
    assert advice_on([leg(config={}, floor={}), *old]) == []


numbers = st.floats(allow_nan=False, allow_infinity=False)
shares = st.none() | st.floats(0, 1)
random_steps = st.builds(
    Step,
    epoch=st.integers(1, 9),
    step=st.integers(1, 99),
    loss=numbers,
    learning_rate=numbers,
    images_per_second=numbers,
)
random_epochs = st.builds(
    Epoch,
    epoch=st.integers(1, 9),
    step=st.integers(1, 99),
    train_loss=numbers,
    val_loss=st.none() | numbers,
    miou=shares,
    pixel_accuracy=shares,
    iou=st.lists(shares, max_size=3),
    seconds=numbers,
    train_seconds=numbers,
    data_seconds=numbers,
    images_per_second=numbers,
    peak_memory_bytes=st.integers(0, 10**12),
    is_best=st.booleans(),
    time_s=numbers,
)
random_ends = st.builds(
    RunEnded,
    outcome=st.sampled_from(["finished", "stopped", "failed"]),
    reason=st.sampled_from(["", "The loss became inf."]) | st.text(max_size=20),
    epochs_done=st.integers(0, 9),
    best_epoch=st.none() | st.integers(1, 9),
    best_miou=shares,
)
legs = st.builds(
    leg, floor=st.dictionaries(st.just("miou"), shares), config=st.dictionaries(st.text(max_size=3), numbers)
)


@given(
    records=st.tuples(
        st.lists(legs, max_size=2), st.lists(random_steps, max_size=40), st.lists(random_epochs, max_size=12)
    ).map(lambda parts: [record for part in parts for record in part]),
    end=st.lists(random_ends, max_size=1),
    state=st.sampled_from(["new", "running", "stalled", "finished", "stopped", "failed", "crashed"]),
)
def test_it_never_raises(records: list[Record], end: list[Record], state: str) -> None:
    for advice in advice_on([*records, *end], state):
        assert advice.severity in SEVERITIES
        assert advice.sentence
