"""What Segment and Compare say of stored figures for trust."""

from dataclasses import replace

import numpy as np
import pytest

from core.metrics.calibration import BINS
from core.metrics.risk import LEVELS, Promise
from core.metrics.temperature import TEMPERATURES
from core.metrics.unlikeness import Reference, Unlikeness
from core.model.predict.tta import FLIP_AND_SCALES, NO_TTA, TTA
from core.training.trust import About, Trust
from ui.compare.risk import promise_table, risk_figure
from ui.segment.trust import said, unlikeness


def made_trust(num_photos: int = 99) -> Trust:
    """Return figures of photos of which 10 of 100 pixels, those of least confidence, are wrong."""
    counts_N2L = np.zeros((num_photos, 2, LEVELS), np.int64)
    counts_N2L[:, 0, [100, 250]], counts_N2L[:, 1, [100, 250]] = (10, 90), (0, 90)
    return Trust(
        About("epoch_003.pt", "hash", "val", "content:0", ("background", "cat", "dog"), "fp32", 4),
        tuple(f"photo_{n}" for n in range(num_photos)), np.array([9, 1, 0]), counts_N2L,
        np.zeros((2, len(TEMPERATURES))), np.zeros((2, len(TEMPERATURES), 3, BINS)), np.zeros((num_photos, 2)),
        (Reference.of(np.eye(4, dtype=np.float32)),) * 2,
    )  # fmt: skip


PROMISED, LESS = Promise(0.95, 0.95, 200, 150, 0, 0.8, 0.96), Promise(0.99, 0.983, 255, 150, 2, 0.5, 0.991)
NOTHING = Promise(0.99, 0.98, 256, 150, 150, 0.0, None)
RISING = Promise(0.95, 0.94966, 200, 200, 0, 0.8, 0.96, 0.00034)


@pytest.mark.parametrize(
    ("promise", "tta", "is_far", "words"),
    [
        (PROMISED, NO_TTA, False, "Promised for photos like the 150 held-out photos: on average, at least 95 %"),
        (
            LESS,
            None,
            False,
            "99 % cannot be promised from 150 photos: of what this kept of the 150 held-out photos, 99.1",
        ),
        (
            RISING,
            None,
            False,
            (
                "Promised for photos like the 200 held-out photos: on average, at least 95 % of what it keeps is "
                "right. Losses may rise with the threshold, which costs 0.03 points."
            ),
        ),
        (replace(RISING, promise=0.93, stability=0.02), None, False, "95 % cannot be promised: of what this kept of"),
        (NOTHING, None, False, "No threshold reached 99 % right on the 150 held-out photos, so nothing is kept."),
        (PROMISED, NO_TTA, True, "No promise for a photo so unlike"),
        (PROMISED, FLIP_AND_SCALES, False, "No promise with test-time augmentation or tiles"),
    ],
)
def test_a_promise_is_said_with_what_it_holds_for(promise: Promise, tta: TTA | None, is_far: bool, words: str) -> None:
    assert said(promise, tta, is_far=is_far).startswith(words)
    assert "2 of them keep nothing." in said(LESS, None)


def test_unlikeness_is_said_in_photos() -> None:
    assert unlikeness(Unlikeness(0.993, (0.993,), True), 150) == (
        "Less like the training photos than 99 of 100 held-out photos."
    ), "version 1 of the figures did not tell what is unlike"
    assert unlikeness(Unlikeness(0.9, (0.95, 0.2), False), 150).endswith("than 90 of 100 held-out photos.")
    for by_distance, said_of in (
        ((1, 0.9), "other things."),
        ((0.2, 0.94), "noisier or otherwise technically unlike them."),
        ((0.96, 0.98), "other things, and it is technically unlike them (light, noise, sharpness)."),
    ):
        words = unlikeness(Unlikeness(1.0, by_distance, True), 150)
        assert words.startswith("Less like the training photos than each of the 150 held-out photos: ")
        assert words.endswith(said_of)


def test_compare_draws_the_curve_and_lists_the_promises() -> None:
    table = promise_table([("A: one", made_trust()), ("B: few", made_trust(3))])
    assert list(table["Promised"]) == ["90.0 %", "95.0 %", "99.0 %", "67.5 %", "71.2 %", "74.2 %"]
    assert list(table["Keeps"]) == ["90.0 %"] * 3 + ["100.0 %"] + ["90.0 %"] * 2, "10 % wrong is 90 % right"
    line, marks = risk_figure([("A: one", made_trust())]).data
    assert (line.x[0], line.y[0]) == (1, pytest.approx(0.9))
    assert (line.x[-1], line.y[-1]) == (pytest.approx(0.9), 1)
    assert len(marks.x) == 3
    assert made_trust().unpromised == ("dog",)
