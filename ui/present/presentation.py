"""The sentences and photos of a presentation of checkpoint B against A. Pure functions of a report's content."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from core.metrics.comparison import Comparison
from core.metrics.image_scores import ImageScore
from core.report.content import Content, ReportedCheckpoint
from core.report.html.figures import choose
from core.report.language.words import Words
from core.voc import BACKGROUND

SEED = 0
"""The seed of the photo drawn at random, so that everybody sees the same one."""

BEFORE, AFTER = ("data", "training", "verdict"), ("yours", "meaning")
"""The names, in the query string, of the steps before and after those with photos."""


class Shown(NamedTuple):
    """A photo of the presentation; `reason` is `gain`, `median`, `loss` or `random`."""

    reason: str
    image: ImageScore


def choose_images(images: Sequence[ImageScore], seed: int = SEED) -> list[Shown]:
    """Return the photos with the largest, median and smallest gain, and one of the others at random; none twice."""
    chosen = [Shown(each.reason, images[each.index]) for each in choose(images, is_pair=True, each=1)]
    taken = {shown.image.index for shown in chosen}
    others = [image for image in images if image.b is not None and image.index not in taken]
    if others:
        chosen.append(Shown("random", others[int(np.random.default_rng(seed).integers(len(others)))]))
    return chosen


def steps_of(shown: Sequence[Shown]) -> list[str]:
    """Return the names of the steps in order, one for each photo."""
    return [*BEFORE, *(each.reason for each in shown), *AFTER]


def data_title(content: Content, words: Words) -> str:
    """Return the numbers of training and evaluation photos; runs may differ in the first."""
    learned = dict.fromkeys(each.log.legs[-1].num_train_images for each in content.runs if each.log.legs)
    numbers = words.listed([words.number(number) for number in learned])
    return words(
        "slide data" if learned else "slide data alone", train=numbers, scored=words.number(content.floor.images)
    )


def data_sentences(content: Content, words: Words) -> str:
    """Return how many classes the evaluation photos hold, and what the floor is."""
    num_present = sum(entry.truth_pixels > 0 for entry in content.floor.classes if entry.id != BACKGROUND)
    accuracy, miou = map(words.percent, (content.floor.pixel_accuracy, content.floor.miou))
    return f"{words('slide classes', count=num_present)} {words('slide floor', accuracy=accuracy, miou=miou)}"


def training_sentence(checkpoint: ReportedCheckpoint, content: Content, words: Words) -> str:
    """Return the training time and the device of a checkpoint, such as `10 epochs: 2 min 3 s on a CPU`."""
    log = next(each.log for each in content.runs if each.run.path == checkpoint.run.path)
    seconds = [each.seconds for each in log.epochs if checkpoint.epoch is None or each.epoch <= checkpoint.epoch]
    if not seconds:
        return words("not logged", run=content.run_name(checkpoint.run))
    label, device = words.label(checkpoint, content), log.legs[-1].device
    return words("slide trained", label=label, time=words.duration(sum(seconds)), device=device)


def meaning_sentences(content: Content, found: Comparison, words: Words, study: str | None = None) -> list[str]:
    """Return what was scored, B's distance from the floor, and what the interval covers; `study` is one on the data."""
    a_label, b_label = words.labels(content)
    scores, floor = content.checkpoints[-1].scores, content.floor
    seen = f" {words('slide seen')}" if content.split.startswith("train") else ""
    distance = words("floor meaning")
    if scores.miou is not None and floor.miou is not None:
        points = words.points(abs(scores.miou - floor.miou)).removeprefix("+")
        place = "on" if points == words.points(0.0) else "above" if scores.miou > floor.miou else "below"
        distance += f" {words(f'slide {place}', label=b_label, points=points)}"
    decided = "slide undecided" if found.verdict == "undecided" else "slide decided"
    return [
        words("data intro", images=words.number(floor.images), split=content.split)
        + f" {words('void share')}: {words.percent(scores.void_share)}.{seen}",
        distance,
        f"{words(decided, a=a_label, b=b_label)} {words('verdict limits')} "
        + (words("a study", name=study) if study else words("no study")),
    ]
