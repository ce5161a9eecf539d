"""Problems of a run and what to do about them, in sentences, from its log alone.

Each check is a function of the records so far. It returns None for a healthy run, and for too few records to decide.
"""

import math
import re
import statistics
import time
from collections.abc import Sequence

import psutil

from core.training.run.learning import (
    FLAT_SHARE,
    WINDOW_EPOCHS,
    Advice,
    background_only,
    is_at_the_floor,
    not_learning,
    overfitting,
    random_weights,
    weakness,
)
from core.training.run.log import RunLog
from core.training.run.records import Record, RunEnded, Step
from core.wording import count

SEVERITIES = ("error", "warning", "info")

SCHEDULE_END_SHARE = 1e-3
"""Share of the highest learning rate: a thousand steps at this rate move the weights as far as one at the highest."""

WAITING_SHARE = 0.2
"""Share of the training time spent waiting for photos that is worth advice."""

WAITING_EPOCHS = 2
"""Epochs before advice on waiting: the first one reads from a cold disk."""

SPIKE_FACTOR = 10.0
"""A spike is a loss this many times the usual one; batches differ by a factor of two or three."""

USUAL_STEPS = 20
"""Step records whose median is the usual loss; over a whole run the loss falls by more than ten times."""

RECENT_STEPS = 500
"""The latest step records, which are searched for spikes: older ones need no advice."""

MEMORY_SHARE = 0.9
"""Above this share of the memory, the system starts to swap or to kill programs."""

NOT_FINITE = re.compile(r"(?<![\w/\\.-])-?(nan|inf)(?![\w/\\-])", re.IGNORECASE)
"""Python's NaN or infinity in the reason of a failed run, but not within a file name."""

CPU_NAME = re.compile(r"\(\d+ threads?\)$")
"""A CPU's name in a log (`core.model.device.device_name`): on a CPU, the memory in use is the machine's."""


def health(
    log: RunLog, *, state: str, is_drawn: bool = False, now_s: float | None = None, memory_bytes: int | None = None
) -> list[Advice]:
    """Return advice on a run, the most severe first; none for a healthy run.

    `state` is from `folders.run_state`; `is_drawn`: the data are the demo's drawn scenes. Defaults: `now_s`, seconds
    since 1970, is now; `memory_bytes` is this machine's.
    """
    now_s = time.time() if now_s is None else now_s
    memory_bytes = psutil.virtual_memory().total if memory_bytes is None else memory_bytes
    weak = weakness(log, is_drawn=is_drawn) if state in ("finished", "stopped") or is_at_the_floor(log) else None
    # `weakness` names these three too.
    causes = [None if is_drawn else random_weights(log), background_only(log), not_learning(log.epochs)]
    found = [
        _not_finite(log),
        _stalled(log.last, state, now_s),
        _memory_short(log, memory_bytes),
        *([weak] if weak else causes),
        overfitting(log),
        _spikes(log.steps),
        _slow_loader(log),
        None if weak else _schedule_over(log),  # whose remedy may be another one
    ]
    return sorted((advice for advice in found if advice), key=lambda advice: SEVERITIES.index(advice.severity))


def _not_finite(log: RunLog) -> Advice | None:
    last = log.last
    is_failed = isinstance(last, RunEnded) and last.outcome == "failed" and NOT_FINITE.search(last.reason)
    if not is_failed and all(math.isfinite(step.loss) for step in log.steps[-1:]):
        return None
    rate = f" of {log.steps[-1].learning_rate:.2g}" if log.steps else ""
    sentence = (
        "The loss is NaN or infinite: the steps were too large. Start a new run with a learning rate well below "
        f"that{rate}, or with clip_norm=1; the checkpoints are from before and intact."
    )
    return Advice("not finite", "error", sentence)


def _stalled(last: Record | None, state: str, now_s: float) -> Advice | None:
    if state != "stalled" or last is None:
        return None
    minutes = max(0.0, now_s - last.time_s) / 60
    sentence = (
        f"No new record for {count(round(minutes), 'minute')}, though the trainer lives: the machine slept, swaps, or "
        "waits for a disk. Check its load and memory; if nothing changes, stop and resume the run, which continues "
        "from the last checkpoint."
    )
    return Advice("stalled", "error", sentence)


def _memory_short(log: RunLog, memory_bytes: int) -> Advice | None:
    if not log.epochs or not CPU_NAME.search(log.legs[-1].device if log.legs else ""):
        return None
    used = log.epochs[-1].peak_memory_bytes
    if used <= MEMORY_SHARE * memory_bytes:
        return None
    sentence = (
        f"The trainer has used {used / 1e9:.1f} of the machine's {memory_bytes / 1e9:.1f} GB: soon it will swap, which "
        "is many times slower, or be killed by the system. Close other programs, or take a smaller batch_size or "
        "image_size."
    )
    return Advice("memory", "warning", sentence)


def _spikes(steps: Sequence[Step]) -> Advice | None:
    losses = [step.loss for step in steps[-RECENT_STEPS:]]
    spikes = [
        steps[place - len(losses)]
        for place in range(USUAL_STEPS, len(losses))
        if losses[place] > SPIKE_FACTOR * max(0.0, statistics.median(losses[place - USUAL_STEPS : place])) > 0
    ]
    if not spikes:
        return None
    times = "once" if len(spikes) == 1 else f"{len(spikes)} times"
    sentence = (
        f"The loss jumped to {SPIKE_FACTOR:.0f} times its usual value {times}, last at step {spikes[-1].step}: single "
        "steps are too large. If it stays high, start a new run with a smaller learning rate or with clip_norm=1."
    )
    return Advice("spikes", "warning", sentence)


def _slow_loader(log: RunLog) -> Advice | None:
    recent = [epoch for epoch in log.epochs[-WINDOW_EPOCHS:] if epoch.train_seconds > 0]
    if len(recent) < WAITING_EPOCHS or not log.legs:
        return None
    share = min(1.0, statistics.median(epoch.data_seconds / epoch.train_seconds for epoch in recent))
    if share <= WAITING_SHARE:
        return None
    workers = log.legs[-1].config.get("num_workers", 0)
    sentence = (
        f"Training waits for photos {100 * share:.0f} % of its time: reading and resizing them takes longer than the "
        f"model does. A run with more loader processes (num_workers, now {workers}) or smaller photos is faster."
    )
    return Advice("slow loader", "info", sentence)


def _schedule_over(log: RunLog) -> Advice | None:
    losses = [epoch.train_loss for epoch in log.epochs[-WINDOW_EPOCHS:]]
    highest = max((step.learning_rate for step in log.steps), default=0.0)
    if len(losses) < WINDOW_EPOCHS or not log.steps or highest <= 0:
        return None
    is_at_end = log.steps[-1].learning_rate <= SCHEDULE_END_SHARE * highest
    is_flat = max(losses) - min(losses) <= FLAT_SHARE * abs(max(losses, key=abs))
    if not (is_at_end and is_flat):
        return None
    sentence = (
        f"The learning rate has come down to {log.steps[-1].learning_rate:.1g} and the loss no longer moves: the "
        "schedule is at its end, and more of it changes nothing. To learn more, extend the run, which stretches the "
        "schedule, or start one with a larger schedule_epochs."
    )
    return Advice("schedule over", "info", sentence)
