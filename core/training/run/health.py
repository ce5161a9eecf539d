"""Problems of a run and what to do about them, in sentences, from its log alone.

Each check is a function of the records so far. It returns None for a healthy run, and for too few records to decide.
"""

import itertools
import math
import re
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

import psutil

from core.training.run.log import RunLog
from core.training.run.records import Epoch, Record, RunEnded, Step
from core.voc import BACKGROUND
from core.wording import count

SEVERITIES = ("error", "warning", "info")

WINDOW_EPOCHS = 5
"""Epochs that must agree: fewer are noise, most of all on small data sets."""

BLIND_EPOCHS = 3
"""Epochs without an object before a warning; one or two are usual after a random start."""

HARDLY_FOUND = 0.01
"""A class with a lower IoU counts as not found."""

FLAT_SHARE = 0.01
"""A smaller relative change of the loss is noise between epochs."""

SCHEDULE_END_SHARE = 1e-3
"""Share of the highest learning rate: a thousand steps at this rate move the weights as far as one at the highest."""

WAITING_SHARE = 0.2
"""Share of the training time spent waiting for photos that is worth advice."""

WAITING_EPOCHS = 2
"""Epochs before advice on waiting: the first one reads from a cold disk."""

GAP_SHARE = 0.02
"""Least relative rise of the validation loss, over epochs of which nearly every one raised it."""

SPIKE_FACTOR = 10.0
"""A spike is a loss this many times the usual one; batches differ by a factor of two or three."""

USUAL_STEPS = 20
"""Step records whose median is the usual loss; over a whole run the loss falls by more than ten times."""

RECENT_STEPS = 500
"""The latest step records, which are searched for spikes: older ones need no advice."""

FEW_PHOTOS = 2000
"""Fewer training photos than this are too few for random weights."""

MEMORY_SHARE = 0.9
"""Above this share of the memory, the system starts to swap or to kill programs."""

NOT_FINITE = re.compile(r"(?<![\w/\\.-])-?(nan|inf)(?![\w/\\-])", re.IGNORECASE)
"""Python's NaN or infinity in the reason of a failed run, but not within a file name."""

CPU_NAME = re.compile(r"\(\d+ threads?\)$")
"""A CPU's name in a log (`core.model.device.device_name`): on a CPU, the memory in use is the machine's."""


@dataclass(frozen=True)
class Advice:
    """One or two sentences about a problem: the observation, its meaning, and what to do.

    `kind` is its short name, `severity` one of `SEVERITIES`.
    """

    kind: str
    severity: str
    sentence: str


def health(
    log: RunLog, *, state: str, is_drawn: bool = False, now_s: float | None = None, memory_bytes: int | None = None
) -> list[Advice]:
    """Return advice on a run, the most severe first; none for a healthy run.

    `state` is from `folders.run_state`; `is_drawn`: the data are the demo's drawn scenes. Defaults: `now_s`, seconds
    since 1970, is now; `memory_bytes` is this machine's.
    """
    now_s = time.time() if now_s is None else now_s
    memory_bytes = psutil.virtual_memory().total if memory_bytes is None else memory_bytes
    blind = _background_only(log)
    found = [
        _not_finite(log),
        _stalled(log.last, state, now_s),
        _memory_short(log, memory_bytes),
        None if is_drawn else _random_weights(log),
        blind,
        None if blind else _at_the_floor(log),
        _not_learning(log.epochs),
        _overfitting(log),
        _spikes(log.steps),
        _slow_loader(log),
        _schedule_over(log),
    ]
    return sorted((advice for advice in found if advice), key=lambda advice: SEVERITIES.index(advice.severity))


def background_only_epochs(log: RunLog) -> int:
    """Return how many of the latest epochs found no object class: the model predicts background nearly everywhere."""
    return len(list(itertools.takewhile(_found_no_object, reversed(log.epochs))))


def _found_no_object(epoch: Epoch) -> bool:
    return all(iou is None or iou < HARDLY_FOUND for k, iou in enumerate(epoch.iou) if k != BACKGROUND)


# --- training ends or may end -----------------------------------------------------------------------------------------


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


# --- initial weights --------------------------------------------------------------------------------------------------


def _random_weights(log: RunLog) -> Advice | None:
    """Advice for photos; drawn scenes are more alike, and a few hundred suffice."""
    if not log.legs:
        return None
    # Only the first leg has `init`; logs from before `init` have no `auto` either.
    init = log.legs[0].init or log.legs[0].config.get("init")
    photos = log.legs[-1].num_train_images
    if init != "random" or photos >= FEW_PHOTOS:
        return None
    sentence = (
        f"The run started from random weights and trains on {count(photos, 'photo')}: from random weights this needs "
        "thousands of photos. Start a new run with pretrained weights (init=auto); those of "
        "architecture=deeplabv3_efficientnet_lite0 need no network."
    )
    return Advice("random weights", "warning", sentence)


# --- scores -----------------------------------------------------------------------------------------------------------


def _background_only(log: RunLog) -> Advice | None:
    blind = background_only_epochs(log)
    if blind < BLIND_EPOCHS:
        return None
    sentence = (
        f"No object was found in the latest {blind} epochs: the model predicts background nearly everywhere, which "
        "scores the floor. It happens early in a run from random weights; if it lasts, try another learning rate or "
        "pretrained weights (init=imagenet), and look at the masks on the Dataset page."
    )
    return Advice("background only", "warning", sentence)


def _at_the_floor(log: RunLog) -> Advice | None:
    floor = log.legs[-1].floor.get("miou") if log.legs else None
    scores = [epoch.miou for epoch in log.epochs[-WINDOW_EPOCHS:] if epoch.miou is not None]
    if floor is None or len(scores) < WINDOW_EPOCHS or max(scores) > floor:
        return None
    sentence = (
        f"In {WINDOW_EPOCHS} epochs the mIoU did not rise above {100 * floor:.1f} %, the score of predicting "
        "background everywhere: the model learns nothing useful. Check the masks on the Dataset page, then try another "
        "learning rate, pretrained weights (init=imagenet) or more epochs."
    )
    return Advice("at the floor", "warning", sentence)


def _not_learning(epochs: Sequence[Epoch]) -> Advice | None:
    if len(epochs) < WINDOW_EPOCHS:
        return None
    first, least = epochs[0].train_loss, min(epoch.train_loss for epoch in epochs[1:])
    if least < (1 - FLAT_SHARE) * first:
        return None
    sentence = (
        f"The training loss has not fallen since the first epoch (from {first:.3f} to {epochs[-1].train_loss:.3f} "
        f"after {len(epochs)}): the learning rate is too small to move the weights, or too large to settle. Stop, and "
        "try a tenth and ten times of it for a few epochs each."
    )
    return Advice("not learning", "warning", sentence)


def _overfitting(log: RunLog) -> Advice | None:
    window = log.comparable_epochs[-1 - WINDOW_EPOCHS :]
    val = [epoch.val_loss for epoch in window if epoch.val_loss is not None]
    best = log.best_epoch
    if len(val) <= WINDOW_EPOCHS or best is None or best.epoch > window[0].epoch:
        return None
    rises = sum(later > earlier for earlier, later in itertools.pairwise(val))
    is_val_rising = rises >= WINDOW_EPOCHS - 1 and val[-1] > (1 + GAP_SHARE) * val[0]
    if not is_val_rising or window[-1].train_loss >= window[0].train_loss:
        return None
    sentence = (
        f"For {WINDOW_EPOCHS} epochs the loss on the validation photos has risen while that of training fell, and "
        f"the best mIoU is that of epoch {best.epoch}: the model learns the training photos by heart. best.pt is kept, "
        "so it can be stopped; more photos, flip and random scale (scale_min, scale_max) help the next run."
    )
    return Advice("overfitting", "warning", sentence)


# --- steps and times --------------------------------------------------------------------------------------------------


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
