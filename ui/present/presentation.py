"""The sentences and images of a presentation of checkpoint B against A. Pure functions.

Scores come in as fractions and go out as percent.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from core.metrics.comparison import Comparison
from core.metrics.image_scores import ImageScore
from core.metrics.scores import Scores
from core.report.html.figures import choose
from core.report.language.words import Words
from core.training.run.log import RunLog
from core.voc import BACKGROUND
from core.wording import count, duration
from ui.words import percent, points

SEED = 0
"""The seed of the image drawn at random, so that everybody sees the same one."""

RULE = (
    "Four images chosen by rule and not by eye: the one that gained most from A to B, the one in the middle, the one "
    f"that lost most, and one drawn at random (seed {SEED})."
)

BEFORE, AFTER = ("data", "training", "verdict"), ("meaning",)
"""The names, in the query string, of the steps before and after those with images."""


class Shown(NamedTuple):
    """An image of the presentation; `reason` is `gain`, `median`, `loss` or `random`."""

    reason: str
    image: ImageScore


def choose_images(images: Sequence[ImageScore], seed: int = SEED) -> list[Shown]:
    """Return the images with the largest, median and smallest gain, and one of the others at random; none twice."""
    chosen = [Shown(each.reason, images[each.index]) for each in choose(images, is_pair=True, each=1)]
    taken = {shown.image.index for shown in chosen}
    others = [image for image in images if image.b is not None and image.index not in taken]
    if others:
        chosen.append(Shown("random", others[int(np.random.default_rng(seed).integers(len(others)))]))
    return chosen


def steps_of(shown: Sequence[Shown]) -> list[str]:
    """Return the names of the steps in order, one for each image."""
    return [*BEFORE, *(each.reason for each in shown), *AFTER]


# --- the data -------------------------------------------------------------------------------------------------------


def data_title(learned: Sequence[int], scores: Scores) -> str:
    """Return the numbers of training and evaluation photos; runs may differ in the first."""
    if not learned:
        return f"{count(scores.images, 'photo')} to evaluate on"
    *firsts, last = learned
    numbers = " and ".join([*(f"{number:,}" for number in firsts), count(last, "photo")])
    return f"{numbers} to train on, {scores.images:,} to evaluate on"


def classes_sentence(scores: Scores) -> str:
    """Return how many classes the evaluation photos hold."""
    num_present = sum(entry.truth_pixels > 0 for entry in scores.classes if entry.id != BACKGROUND)
    return f"{count(num_present, 'class', 'classes')} and the background, with a true mask for each photo."


def floor_sentence(scores: Scores) -> str:
    """Return what the floor is, and that a model has to beat it."""
    floor = scores.floor
    return (
        f"Predicting background everywhere already has a pixel accuracy of {percent(floor.pixel_accuracy)} and "
        f"a mean IoU of {percent(floor.miou)}: this is the floor, which a model has to beat."
    )


# --- the training ---------------------------------------------------------------------------------------------------


def training_sentence(label: str, log: RunLog, epoch: int | None) -> str:
    """Return the training time and the device of a checkpoint, as `10 epochs: 2 min 3 s on a CPU`."""
    epochs = [each for each in log.epochs if epoch is None or each.epoch <= epoch]
    if not epochs:
        return f"{label}: the log has no epochs."
    return f"{label}: {duration(sum(each.seconds for each in epochs))} on {log.legs[-1].device}."


# --- the images -----------------------------------------------------------------------------------------------------


def image_title(shown: Shown) -> str:
    """Return why an image was chosen, and B's gain on it."""
    is_gain = shown.image.gain > 0
    reasons = {
        "gain": "Largest gain" if is_gain else "Smallest loss",
        "median": "The image in the middle",
        "loss": "Smallest gain" if is_gain else "Largest loss",
        "random": "One at random",
    }
    return f"{reasons[shown.reason]}: {points(shown.image.gain)}"


# --- the meaning ----------------------------------------------------------------------------------------------------


def meaning_sentences(scores: Scores, split: str, found: Comparison) -> list[str]:
    """Return what was scored, B's distance from the floor, and what the interval covers."""
    return [_images_sentence(scores, split), _distance_sentence(scores), _interval_sentence(found)]


def _images_sentence(scores: Scores, split: str) -> str:
    seen = " Training used photos of this split: expect less on new ones." if split.startswith("train") else ""
    return (
        f"Every number is of the same {count(scores.images, 'photo')} ({split}), whole, at the size of their masks; "
        f"{percent(scores.void_share)} of the pixels are void and not counted.{seen}"
    )


def _distance_sentence(scores: Scores) -> str:
    floor = scores.floor.miou
    if floor is None or scores.miou is None:
        return "The floor is the score of predicting background everywhere on the same photos."
    apart = points(abs(scores.miou - floor)).removeprefix("+")
    place = "on it" if apart == "0.0 points" else f"{apart} {'above' if scores.miou > floor else 'below'} it"
    return f"The floor is the score of predicting background everywhere on the same photos: B is {place}."


def _interval_sentence(found: Comparison) -> str:
    limits = Words("en")("verdict limits")
    if found.verdict != "undecided":
        return f"The interval does not contain 0, so the difference is decided. {limits}"
    return f"These photos do not decide between A and B; more of them might. {limits}"
