"""What a presentation of two checkpoints says, step by step, and which images it shows; pure functions.

A is the checkpoint compared against, B the one that is judged. Scores come as fractions and leave as percent.
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
"""Of the image that is drawn at random, so that everybody is shown the same."""

RULE = (
    "Four images chosen by rule and not by eye: the one that gained most from A to B, the one in the middle, the one "
    f"that lost most, and one drawn at random (seed {SEED})."
)

BEFORE, AFTER = ("data", "training", "verdict"), ("meaning",)
"""The steps before and after those that show an image, by the names that the query string holds."""


class Shown(NamedTuple):
    """An image of the presentation, and why it was chosen: `gain`, `median`, `loss` or `random`."""

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
    """Return the names of the steps in their order; each image is one."""
    return [*BEFORE, *(each.reason for each in shown), *AFTER]


# --- the data -------------------------------------------------------------------------------------------------------


def data_title(learned: Sequence[int], scores: Scores) -> str:
    """Say how many photos were learned from, and how many judge; runs may have learned from different numbers."""
    judging = count(scores.images, "photo")
    if not learned:
        return f"{judging} to be judged by"
    *firsts, last = learned
    numbers = " and ".join([*(f"{number:,}" for number in firsts), count(last, "photo")])
    return f"{numbers} to learn from, {scores.images:,} to be judged by"


def classes_sentence(scores: Scores) -> str:
    """Say how many classes the photos that judge hold."""
    num_present = sum(entry.truth_pixels > 0 for entry in scores.classes if entry.id != BACKGROUND)
    return f"{count(num_present, 'class', 'classes')} and the background, true to the pixel."


def floor_sentence(scores: Scores) -> str:
    """Say what the floor is, and that a model has to beat it."""
    floor = scores.floor
    return (
        f"Calling every pixel background already gets {percent(floor.pixel_accuracy)} of them right, and a mean IoU of "
        f"{percent(floor.miou)}: that is the floor, which a model has to beat."
    )


# --- the training ---------------------------------------------------------------------------------------------------


def training_sentence(label: str, log: RunLog, epoch: int | None) -> str:
    """Say how long a checkpoint was trained, and on what: `10 epochs: 2 min 3 s on a CPU`."""
    epochs = [each for each in log.epochs if epoch is None or each.epoch <= epoch]
    if not epochs:
        return f"{label}: the log tells of no training."
    return f"{label}: {duration(sum(each.seconds for each in epochs))} on {log.legs[-1].device}."


# --- the images -----------------------------------------------------------------------------------------------------


def image_title(shown: Shown) -> str:
    """Say why an image was chosen, and what B gained on it."""
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
    """Say what the numbers are of, how far B is from the floor, and what the interval covers and what it does not."""
    return [_images_sentence(scores, split), _distance_sentence(scores), _interval_sentence(found)]


def _images_sentence(scores: Scores, split: str) -> str:
    seen = " Training has seen photos of this split: on new ones expect less." if split.startswith("train") else ""
    return (
        f"Every number is of the same {count(scores.images, 'photo')} ({split}), whole, at the size of their masks; "
        f"{percent(scores.void_share)} of the pixels are void and not counted.{seen}"
    )


def _distance_sentence(scores: Scores) -> str:
    floor = scores.floor.miou
    if floor is None or scores.miou is None:
        return "The floor is what calling every pixel background scores on the same photos."
    apart = points(abs(scores.miou - floor)).removeprefix("+")
    place = "on it" if apart == "0.0 points" else f"{apart} {'above' if scores.miou > floor else 'below'} it"
    return f"The floor is what calling every pixel background scores on the same photos: B is {place}."


def _interval_sentence(found: Comparison) -> str:
    limits = Words("en")("verdict limits")
    if found.verdict != "undecided":
        return f"The interval leaves 0 out, and that decides. {limits}"
    return f"These photos do not decide between A and B; more of them might. {limits}"
