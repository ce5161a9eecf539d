"""What a presentation says, and which images it shows."""

from dataclasses import replace

import numpy as np
import pytest

from core.metrics.comparison import compare
from core.metrics.image_scores import ImageScore
from core.metrics.scores import score
from core.voc import CLASS_NAMES
from ui.present.presentation import (
    SEED,
    Shown,
    choose_images,
    classes_sentence,
    data_title,
    floor_sentence,
    image_title,
    meaning_sentences,
    steps_of,
)

IMAGES = [ImageScore(index, f"image {index}", 0.2, 0.2 + gain) for index, gain in enumerate((0.1, 0.5, -0.1, 0.3, 0.2))]


def counts(right: int, images: int = 12) -> np.ndarray:
    """Return counts of images that are half background, half aeroplane, with some of the aeroplane found."""
    counts_NKK = np.zeros((images, 21, 21), dtype=np.int64)
    counts_NKK[:, 0, 0], counts_NKK[:, 1, 1], counts_NKK[:, 1, 0] = 100, right, 100 - right
    return counts_NKK


def test_best_middle_worst_and_one_of_the_others() -> None:
    shown = choose_images(IMAGES)
    assert [(each.reason, each.image.index) for each in shown[:3]] == [("gain", 1), ("median", 4), ("loss", 2)]
    assert (shown[3].reason, shown[3].image.index in (0, 3)) == ("random", True)
    assert choose_images(IMAGES, SEED) == shown
    assert {choose_images(IMAGES, seed)[3].image.index for seed in range(20)} == {0, 3}


@pytest.mark.parametrize("number", range(6))
def test_no_image_is_shown_twice_however_few_there_are(number: int) -> None:
    shown = choose_images(IMAGES[:number])
    assert len({each.image.index for each in shown}) == len(shown) == min(number, 4)
    assert steps_of(shown) == ["data", "training", "verdict", *(each.reason for each in shown), "meaning"]


def test_an_image_without_a_counted_pixel_is_not_shown() -> None:
    unscored = [replace(image, a=None, b=None) for image in IMAGES[3:]]
    assert {each.image.index for each in choose_images([*IMAGES[:3], *unscored])} == {0, 1, 2}


@pytest.mark.parametrize(
    ("reason", "gain", "title"),
    [
        ("gain", 0.25, "Largest gain: +25.0 points"), ("gain", -0.25, "Smallest loss: -25.0 points"),
        ("loss", 0.25, "Smallest gain: +25.0 points"), ("loss", -0.25, "Largest loss: -25.0 points"),
        ("median", 0.0, "The image in the middle: 0.0 points"), ("random", 0.25, "One at random: +25.0 points"),
    ],
)  # fmt: skip
def test_why_an_image_is_shown(reason: str, gain: float, title: str) -> None:
    assert image_title(Shown(reason, ImageScore(0, "x", 0.5, 0.5 + gain))) == title


def test_the_data_in_sentences() -> None:
    scores = score(counts(0), CLASS_NAMES)
    assert data_title([160], scores) == "160 photos to train on, 12 to evaluate on"
    assert data_title([80, 1600], scores) == "80 and 1,600 photos to train on, 12 to evaluate on"
    assert data_title([], scores) == "12 photos to evaluate on"
    assert classes_sentence(scores) == "1 class and the background, with a true mask for each photo."
    assert "everywhere already has a pixel accuracy of 50.0 % and a mean IoU of 25.0 %:" in floor_sentence(scores)


def test_what_it_means_depends_on_the_verdict() -> None:
    better = meaning_sentences(score(counts(80), CLASS_NAMES), "val", compare(counts(0), counts(80)))
    assert "the same 12 photos (val)" in better[0]
    assert better[1].endswith("B is 56.7 points above it.")
    assert better[2].startswith("The interval does not contain 0, so the difference is decided. The interval covers")
    assert "on new ones expect less" not in better[0]
    seen = meaning_sentences(score(counts(80), CLASS_NAMES), "train", compare(counts(0), counts(80)))
    assert seen[0].endswith("Training used photos of this split: expect less on new ones.")
    same = meaning_sentences(score(counts(0), CLASS_NAMES), "val", compare(counts(0), counts(0)))
    assert same[1].endswith("B is on it.")
    assert same[2].startswith("These photos do not decide between A and B")
