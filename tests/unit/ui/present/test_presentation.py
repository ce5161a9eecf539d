"""What a presentation says, in both languages, and which photos it shows."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.classes import VOC_CLASSES
from core.metrics.comparison import compare
from core.metrics.image_scores import ImageScore
from core.metrics.scores import score
from core.report.content import Content, ReportedCheckpoint, ReportedRun
from core.report.html.figures import caption
from core.report.language.words import LANGUAGES, MINUS, Words
from core.training.run.evaluations import Evaluation
from core.training.run.folders import Run
from core.training.settings.config import TrainingConfig
from core.voc import CLASS_NAMES
from tests.unit.ui.made_logs import epoch, leg, log_of
from ui.present.presentation import (
    SEED,
    choose_images,
    data_sentences,
    data_title,
    meaning_sentences,
    steps_of,
    training_sentence,
)

EN, PT = Words("en"), Words("pt")
IMAGES = [ImageScore(index, f"image {index}", 0.2, 0.2 + gain) for index, gain in enumerate((0.1, 0.5, -0.1, 0.3, 0.2))]


def counts(right: int, images: int = 12) -> np.ndarray:
    """Return counts of images that are half background, half aeroplane, with some of the aeroplane found."""
    counts_NKK = np.zeros((images, 21, 21), dtype=np.int64)
    counts_NKK[:, 0, 0], counts_NKK[:, 1, 1], counts_NKK[:, 1, 0] = 100, right, 100 - right
    return counts_NKK


def content(right: int, *, split: str = "val", learned: tuple[int, ...] = (160,)) -> Content:
    """Return a report's content: A predicts background, B finds `right` % of the aeroplane; each run has 3 epochs."""
    counts_CNKK = np.stack([counts(0), counts(right)])
    runs = [
        ReportedRun(
            Run(Path(f"run {number}"), f"run {number}", "", "demo", 0.0, TrainingConfig(), ""), f"run {number}",
            log_of(leg(num_train_images=number), *(epoch(each) for each in (1, 2, 3))),
        )
        for number in learned
    ]  # fmt: skip
    checkpoints = [
        ReportedCheckpoint(
            runs[k % len(runs)].run, Path(f"epoch_00{1 + 2 * k}.pt"),
            Evaluation(Path(), "", "", 1 + 2 * k, split, "", "", None, score(counts_NKK, CLASS_NAMES)),
        )
        for k, counts_NKK in enumerate(counts_CNKK)
    ]  # fmt: skip
    return Content(
        tuple(runs), tuple(checkpoints), tuple("abcdefghijkl"), counts_CNKK, counts(0),
        score(counts(0), CLASS_NAMES), None, VOC_CLASSES, openings=None,
    )  # fmt: skip


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
    assert steps_of(shown) == ["data", "training", "verdict", *(each.reason for each in shown), "yours", "meaning"]


def test_an_image_without_a_counted_pixel_is_not_shown() -> None:
    unscored = [replace(image, a=None, b=None) for image in IMAGES[3:]]
    assert {each.image.index for each in choose_images([*IMAGES[:3], *unscored])} == {0, 1, 2}


@pytest.mark.parametrize(
    ("reason", "gain", "title"),
    [
        ("gain", 0.25, "Largest gain: x, +25.0 points"), ("gain", -0.25, "Smallest loss: x, -25.0 points"),
        ("loss", 0.25, "Smallest gain: x, +25.0 points"), ("loss", -0.25, "Largest loss: x, -25.0 points"),
        ("median", 0.0, "Middle: x, 0.0 points"), ("random", 0.25, "At random: x, +25.0 points"),
    ],
)  # fmt: skip
def test_why_a_photo_is_shown(reason: str, gain: float, title: str) -> None:
    assert caption(reason, "x", gain, EN).replace(MINUS, "-") == f"{title} of mIoU"


def test_the_data_in_sentences() -> None:
    assert data_title(content(0), EN) == "Photos: 160 to train on, 12 to evaluate on"
    assert data_title(content(0, learned=(80, 1600)), EN) == "Photos: 80 and 1,600 to train on, 12 to evaluate on"
    assert data_title(content(0, learned=(80, 80)), PT) == "Fotos: 80 para treino, 12 para avaliação"
    unlogged = replace(content(0), runs=tuple(replace(each, log=log_of()) for each in content(0).runs))
    assert data_title(unlogged, EN) == "Photos: 12 to evaluate on"
    assert "the background apart: 1. Predicting background" in data_sentences(content(0), EN)
    said = data_sentences(content(0), PT).replace("\N{NO-BREAK SPACE}", " ")
    assert "uma exatidão por pixel de 50,0 % e uma IoU média de 25,0 %:" in said


def test_the_training_in_a_sentence() -> None:
    of_both = content(80)
    said = [training_sentence(each, of_both, EN).replace("\N{NO-BREAK SPACE}", " ") for each in of_both.checkpoints]
    assert said == ["1 epoch: 50 s on cpu.", "3 epochs: 2 min 30 s on cpu."]


MEANING = {
    "en": {
        "seen": "expect less on new ones",
        "above": "3 epochs: 56.7 points above it.",
        "on": "3 epochs: on it.",
        "decided": "of 3 epochs against 1 epoch does not contain 0, so the difference is decided. The interval covers",
        "undecided": "do not decide between 1 epoch and 3 epochs",
    },
    "pt": {
        "seen": "em fotos novas, espera-se menos",
        "above": "3 épocas: 56,7 pontos acima dele.",
        "on": "3 épocas: no piso.",
        "decided": "de 3 épocas contra 1 época não contém o 0: a diferença está decidida. O intervalo vale",
        "undecided": "não decidem entre 1 época e 3 épocas",
    },
}


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_it_means_depends_on_the_verdict(language: str) -> None:
    words, said = Words(language), MEANING[language]
    better = meaning_sentences(content(80), compare(counts(0), counts(80)), words)
    assert "val: 12," in better[0].replace("»", "").replace("«", "")
    assert better[1].endswith(said["above"])
    assert said["decided"] in better[2]
    assert said["seen"] not in better[0]
    assert said["seen"] in meaning_sentences(content(80, split="train"), compare(counts(0), counts(80)), words)[0]
    same = meaning_sentences(content(0), compare(counts(0), counts(0)), words)
    assert same[1].endswith(said["on"])
    assert said["undecided"] in same[2]
