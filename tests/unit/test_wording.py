"""Numbers with their nouns, sizes, times and free names; and one thing is not called by its plural."""

import ast
import re
from itertools import islice

import pytest

from core.commands import data, training
from core.training.loop.progress import RunProgress
from core.training.settings.config import TrainingConfig
from core.wording import count, duration, megabytes, numbered
from tests.sources import SOURCES, tree_of

FLOOR = {"miou": 0.1, "pixel_accuracy": 0.7}
ONE_CLASS = [{"name": "cat", "images": 1, "objects": 1, "share": 0.3, "iou": 0.2}]


def test_a_number_and_its_noun() -> None:
    assert count(1, "photo") == "1 photo"
    assert count(0, "photo") == "0 photos"
    assert count(1464, "photo") == "1,464 photos"
    assert count(2, "class", "classes") == "2 classes"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-3, "0.0 s"), (0.42, "0.4 s"), (9.94, "9.9 s"), (9.96, "10 s"), (59.4, "59 s"), (59.6, "1 min"),
        (130, "2 min 10 s"), (3600, "1 h"), (11_100, "3 h 5 min"), (187_200, "2 d 4 h"),
    ],
)  # fmt: skip
def test_a_time_has_its_two_largest_units(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_sizes_are_rounded_but_never_to_nothing() -> None:
    """A download that broke off early had left 0 MB."""
    assert megabytes(300) == "1 MB"
    assert megabytes(44_300_000) == "44 MB"
    assert megabytes(158_600_000) == "159 MB"
    assert megabytes(1_900_000_000) == "1.9 GB"


def test_a_taken_name_is_numbered() -> None:
    assert list(islice(numbered("photo"), 3)) == ["photo", "photo-2", "photo-3"]


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (training.show_train({"outcome": "stopped", "epochs_done": 1, "scores": None, "run": "r"}), "after 1 epoch\n"),
        (
            training.show_demo({"run": "r", "data": "d", "epochs": 1, "scores": {"1": {"miou": 0.2, "floor": FLOOR}}}),
            "1 epoch done\n  after 1 epoch: mIoU",
        ),
        (
            data.show_doctor({"images": 1, "masks": 1, "findings": [], "repaired": None}),
            "1 photo and 1 mask examined",
        ),
        (
            data.show_stats(
                {"images": 1, "pixels": 1, "void_share": 0.0, "floor": FLOOR, "classes": ONE_CLASS}
            ),
            "1 photo, 1 pixel, ",
        ),
        (data.show_import({"images": 1, "classes": ["cat"], "notes": [], "data": "d"}), "1 photo of 1 class: cat"),
        (data.show_download({"images": 1, "splits": {"val": 1}, "data": "d"}), "1 photo with masks"),
        (RunProgress(epochs_done=1).end_reason(TrainingConfig(epochs=1)), "1 epoch done"),
    ],
)  # fmt: skip
def test_one_thing_is_singular(shown: str, expected: str) -> None:
    """A run of a single epoch ended with "1 epochs done", and so did every sentence with a number of its own."""
    assert expected in shown


NO_PHOTO = re.compile(
    r"image (size|pooling)|images (and|\+) masks|(mirror|few|COCO|<)\s?images?|\{images\}|\(images, ", re.I
)
"""What an image is called rightly: a tensor, a folder's name, a key."""


def test_a_photo_and_a_run_have_one_word_each() -> None:
    """Compare had "40 images" beside "12 photos", a study "6 trainings" beside its runs. Docstrings may; keys stay."""
    words, wrong = re.compile(r"\bimages?\b|\btrainings\b", re.I), set[str]()
    for file in SOURCES:
        nodes = [] if "importers" in file.parts else list(ast.walk(tree_of(file)))
        docstrings = {node.value for node in nodes if isinstance(node, ast.Expr)}
        texts = {node.value for node in nodes if isinstance(node, ast.Constant) and node not in docstrings}
        said = {text for text in texts if isinstance(text, str) and " " in text.strip()}
        wrong |= {f"{file.name}: {text}" for text in said if words.search(NO_PHOTO.sub("", text))}
    assert wrong == set()
