"""Whether a run learns: its initial weights, its scores beside the floor, its losses. From its log alone."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from core.training.run.log import RunLog
from core.training.run.records import Epoch
from core.voc import BACKGROUND
from core.wording import count

WINDOW_EPOCHS = 5
"""Epochs that must agree: fewer are noise, most of all on small data sets."""

BLIND_EPOCHS = 3
"""Epochs without an object before a warning; one or two are usual after a random start."""

NEAR_FLOOR = 0.05
"""A score less than this above the floor is weak: chance and a class or two found by half reach it."""

FEW_STEPS = 200
"""The demo, from random weights, is at 16 % after 60 steps and at 77 % after 300."""

HARDLY_FOUND = 0.01
"""A class with a lower IoU counts as not found."""

FLAT_SHARE = 0.01
"""A smaller relative change of the loss is noise between epochs."""

GAP_SHARE = 0.02
"""Least relative rise of the validation loss, over epochs of which nearly every one raised it."""

SCARCE_PHOTOS = 10
"""With fewer training photos a longer training only memorises them; 17 gave 72 % (dev/LOG.md)."""

FEW_PHOTOS = 2000
"""Fewer training photos than this are too few for random weights."""


WHY, WHAT_TO_DO = "Why", "What to do"
"""What the two sentences of `weakness` begin with; pages print them bold."""


ACTIONS = LABEL, NEW_RUN, EXTEND, LOOK = "label", "new run", "extend", "look at the data"


@dataclass(frozen=True)
class Advice:
    """One or two sentences about a problem: the observation, its meaning, and what to do.

    `kind` is its short name, `severity` one of `health.SEVERITIES`, `action` one of `ACTIONS` or "": what the first
    remedy is, so that a page leads to that and to nothing else.
    """

    kind: str
    severity: str
    sentence: str
    action: str = ""


def random_weights(log: RunLog) -> Advice | None:
    """Advice for few photos from random weights; drawn scenes are more alike, and a few hundred suffice."""
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


def background_only(log: RunLog) -> Advice | None:
    """Advice if the latest epochs found no object."""
    blind = background_only_epochs(log)
    if blind < BLIND_EPOCHS:
        return None
    sentence = (
        f"No object was found in the latest {blind} epochs: the model predicts background nearly everywhere, which "
        "scores the floor. It happens early in a run from random weights; if it lasts, try another learning rate or "
        "pretrained weights (init=imagenet), and look at the masks on the Dataset page."
    )
    return Advice("background only", "warning", sentence)


def is_at_the_floor(log: RunLog) -> bool:
    """Return whether the latest epochs, enough of them, all stayed on or below the floor."""
    scores = [epoch.miou for epoch in log.epochs[-WINDOW_EPOCHS:] if epoch.miou is not None]
    floor = _floor(log)
    return floor is not None and len(scores) >= WINDOW_EPOCHS and max(scores) <= floor


def _floor(log: RunLog) -> float | None:
    return log.legs[-1].floor.get("miou") if log.legs else None


def weakness(
    log: RunLog, miou: float | None = None, *, floor: float | None = None, is_drawn: bool = False
) -> Advice | None:
    """Return the likely cause of a score near the floor and what to do about it; None for a better score.

    `miou` is that of a checkpoint of the run, by default of its best epoch, `floor` that of the photos it was scored
    on, by default the run's validation photos; `is_drawn` as in `health`.
    """
    best, floor = log.best_epoch, _floor(log) if floor is None else floor
    miou = best.miou if miou is None and best else miou
    if miou is None or floor is None or miou >= floor + NEAR_FLOOR or not log.epochs:
        return None
    steps = log.epochs[-1].step
    photos = log.legs[-1].num_train_images
    is_scarce, overfits = not is_drawn and photos < SCARCE_PHOTOS, overfitting(log)
    causes = [
        (is_scarce, f"it learned from {count(photos, 'photo')} only", "label more photos, and train on them", LABEL),
        (not is_drawn and random_weights(log), "it started from random weights, which need thousands of photos",
         "start a new run from pretrained weights (init=auto)", NEW_RUN),
        (not_learning(log.epochs), "its training loss has not fallen",
         "start a new run at a tenth or ten times its learning rate", NEW_RUN),
        (overfits and not is_scarce, "it learned its training photos by heart", "train on more photos", LABEL),
        (not is_scarce and not overfits and steps < FEW_STEPS, f"it was trained for {count(steps, 'step')} only",
         "extend the run", EXTEND),
    ]  # fmt: skip
    likely = [its for is_so, *its in causes if is_so]
    if not likely:  # true of any weak model, so said only where nothing else explains it
        likely = (
            [["it predicts background nearly everywhere", "check the masks on Dataset", LOOK]]
            if background_only_epochs(log)
            else [["it has learned too little", "extend the run, or start one at another learning rate", EXTEND]]
        )
    gap = f"{100 * (miou - floor):.1f} points above" if miou > floor else "on or below"
    sentence = (
        f"The mIoU of {100 * miou:.1f} % is {gap} the floor of {100 * floor:.1f} %, the score of predicting background "
        f"everywhere. {WHY}: {'; '.join(cause for cause, _, _ in likely)}. {WHAT_TO_DO}: "
        f"{'; or else '.join(remedy for _, remedy, _ in likely)}."
    )
    return Advice("at the floor", "warning", sentence, likely[0][2])


def not_learning(epochs: Sequence[Epoch]) -> Advice | None:
    """Advice if the training loss has not fallen since the first epoch."""
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


def overfitting(log: RunLog) -> Advice | None:
    """Advice if the validation loss rises while that of training falls."""
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


def background_only_epochs(log: RunLog) -> int:
    """Return how many of the latest epochs found no object class: the model predicts background nearly everywhere."""
    blind = 0
    for epoch in reversed(log.epochs):
        if any(iou is not None and iou >= HARDLY_FOUND for k, iou in enumerate(epoch.iou) if k != BACKGROUND):
            break
        blind += 1
    return blind
