"""One thing is not called by its plural, wherever its number is written."""

import pytest

from core import terminal
from core.training.config import TrainingConfig
from core.training.progress import Progress
from core.wording import count

FLOOR = {"miou": 0.1, "pixel_accuracy": 0.7}
ONE_CLASS = [{"name": "cat", "images": 1, "objects": 1, "share": 0.3, "iou": 0.2}]


def test_a_number_and_its_noun() -> None:
    assert count(1, "photo") == "1 photo"
    assert count(0, "photo") == "0 photos"
    assert count(1464, "photo") == "1,464 photos"
    assert count(2, "class", "classes") == "2 classes"


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (terminal.show_train({"outcome": "stopped", "epochs_done": 1, "scores": None, "run": "r"}), "after 1 epoch\n"),
        (
            terminal.show_demo({"run": "r", "data": "d", "epochs": 1, "scores": {"1": {"miou": 0.2, "floor": FLOOR}}}),
            "1 epoch done\n  after 1 epoch: mIoU",
        ),
        (
            terminal.show_doctor({"images": 1, "masks": 1, "findings": [], "repaired": None}),
            "1 photo and 1 mask examined",
        ),
        (
            terminal.show_stats(
                {"images": 1, "pixels": 1, "void_share": 0.0, "floor": FLOOR, "classes": ONE_CLASS}
            ),
            "1 photo, 1 pixel, ",
        ),
        (terminal.show_import({"images": 1, "classes": ["cat"], "notes": [], "data": "d"}), "1 photo of 1 class: cat"),
        (terminal.show_download({"images": 1, "splits": {"val": 1}, "data": "d"}), "1 photo with masks"),
        (Progress(epochs_done=1).end_reason(TrainingConfig(epochs=1)), "1 epoch done"),
    ],
)  # fmt: skip
def test_one_thing_is_singular(shown: str, expected: str) -> None:
    """A run of a single epoch ended with "1 epochs done", and so did every sentence with a number of its own."""
    assert expected in shown
