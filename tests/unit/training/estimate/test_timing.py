"""What an estimate is reckoned from: steps on a clock of our own, and the alternatives it names."""

import gc
import weakref
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from core.training.estimate import training_time as estimates
from core.training.estimate.timing import Limits, extrapolated, time_steps
from core.training.estimate.training_time import changes_of
from core.training.loop.progress import RunProgress
from core.training.run.records import Record
from core.training.settings.config import TrainingConfig, with_settings
from core.training.settings.fitting import EFFICIENTNET
from core.training.settings.presets import PRESETS, preset
from tests.unit.training.estimate.estimated import CPU, SMALL

# --- steps on a clock of our own ------------------------------------------------------------------------------------


class FakeLoop:
    """A loop whose step takes what `seconds` says on a clock that only it moves; the first warms up for a while."""

    device = CPU

    def __init__(self, seconds: float, clock: "FakeClock", steps_per_epoch: int, warm_up_s: float) -> None:
        self.progress = RunProgress()
        self._seconds, self._clock, self._steps, self._once_s = seconds, clock, steps_per_epoch, warm_up_s

    def train_epoch(self, should_stop: Callable[[], bool]) -> Iterator[Record]:
        while self.progress.step_in_epoch < self._steps:
            if should_stop():
                return
            self._clock.now_s += self._seconds + self._once_s
            self._once_s = 0.0
            self.progress.step_in_epoch += 1
        yield from ()


class FakeClock:
    """A clock that stands still by itself."""

    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def timed_steps(
    batch_size: int, limits: Limits, *, fixed: float, per_photo: float, steps: int = 3, warm_up: float = 1.0
) -> dict[int, float]:
    """Time steps that take `fixed` plus `per_photo` for each photo; there is never more than one loop."""
    clock, alive = FakeClock(), []

    def build(size: int) -> Any:
        gc.collect()
        assert all(loop() is None for loop in alive)
        loop = FakeLoop(fixed + per_photo * size, clock, steps, warm_up)
        alive.append(weakref.ref(loop))
        return loop

    return {size: cost.seconds for size, cost in time_steps(build, batch_size, limits, clock).items()}


@pytest.mark.parametrize("steps", [1, 3], ids="{} steps an epoch".format)
def test_a_short_step_is_timed_on_the_whole_batch_after_one_to_warm_up(steps: int) -> None:
    limits = Limits(enough_s=3.0, longest_step_s=15.0, most_s=60.0)
    assert timed_steps(16, limits, fixed=0.1, per_photo=0.05, steps=steps) == {16: pytest.approx(0.9)}
    assert timed_steps(3, limits, fixed=0.1, per_photo=0.05, steps=steps) == {3: pytest.approx(0.25)}
    hasty = replace(limits, enough_s=0.0)
    assert timed_steps(3, hasty, fixed=0.1, per_photo=0.05, steps=steps) == {3: pytest.approx(0.25)}, (
        "no median hides it"
    )


def test_a_long_step_is_reckoned_on_the_line_through_two_smaller_ones() -> None:
    limits = Limits(enough_s=3.0, longest_step_s=15.0, most_s=60.0)
    timed = timed_steps(16, limits, fixed=0.5, per_photo=1.5, warm_up=0.0)
    assert timed == {2: pytest.approx(3.5), 8: pytest.approx(12.5)}
    assert extrapolated(timed, 16) == pytest.approx(0.5 + 1.5 * 16)


def test_a_step_of_many_seconds_counts_the_first_time_and_ends_the_timing() -> None:
    limits = Limits(enough_s=4.0, longest_step_s=1.0, most_s=20.0)
    assert timed_steps(16, limits, fixed=0.0, per_photo=2.0) == {2: pytest.approx(5), 4: pytest.approx(9)}
    assert timed_steps(16, limits, fixed=0.0, per_photo=5.0) == {2: pytest.approx(11)}


def test_the_line_is_never_steeper_than_through_nothing_nor_falls() -> None:
    assert extrapolated({2: 1.0}, 16) == 8.0
    assert extrapolated({2: 1.0, 4: 3.0}, 16) == 12.0, "noise made the larger one look worse than twice the smaller"
    assert extrapolated({2: 2.0, 4: 1.0}, 16) == 1.0
    assert extrapolated({2: 2.0, 16: 5.0}, 16) == 5.0


# --- alternatives ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("has_fast_bf16", [True, False])
def test_every_alternative_is_valid_and_different(name: str, precision: str, has_fast_bf16: bool) -> None:
    config = replace(preset(name), precision="auto")
    changes = changes_of(config, precision, has_fast_bf16=has_fast_bf16)
    assert len({change.label for change in changes}) == len(changes)
    for change in changes:
        changed = with_settings(config, change.changes)
        assert changed.as_dict() != config.as_dict()
        assert change.gives_up[-1] == "."
    offers_precision = any("precision" in change.changes for change in changes)
    assert offers_precision == (precision == "bf16" or has_fast_bf16)


def test_what_is_chosen_already_is_no_alternative() -> None:
    config = replace(SMALL, image_size=32, freeze="backbone", store_features=True)
    assert changes_of(config, "fp32", has_fast_bf16=False) == []


STORED = {"store_features": True, "aux_weight": 0.0}


@pytest.mark.parametrize(
    ("settings", "label", "changes"),
    [
        ({"freeze": "backbone"}, "Head", STORED),
        ({}, "Head", STORED | {"freeze": "backbone"}),
        ({"architecture": EFFICIENTNET, "freeze": "early"}, "Last two stages and head", STORED | {"freeze": "middle"}),
        ({"architecture": EFFICIENTNET, "freeze": "most"}, "Last stage and head", STORED),
        ({"architecture": EFFICIENTNET, "freeze": "middle"} | STORED, "Last stage and head", {"freeze": "most"}),
        ({"architecture": EFFICIENTNET, "freeze": "most"} | STORED, "Head", {"freeze": "backbone"}),
    ],
)
def test_stored_features_leave_out_what_cannot_be_stored_and_train_what_is_left(
    settings: dict[str, Any], label: str, changes: dict[str, Any]
) -> None:
    """Its settings must be valid ones, whatever is augmented."""
    config = replace(SMALL, **{"scale_min": 0.5, "aux_weight": 0.5} | settings)
    change = next(each for each in changes_of(config, "fp32", has_fast_bf16=False) if "features" in each.label)
    assert change.label == f"{label} on stored features"
    assert change.changes == changes
    assert with_settings(config, change.changes).store_features
    for words in ("four random scales", "The auxiliary head goes too"):
        assert (words in change.gives_up) == (not config.store_features)


def test_a_frozen_random_backbone_is_not_praised() -> None:
    def given_up(init: str) -> str:
        changes = changes_of(replace(SMALL, init=init), "fp32", has_fast_bf16=False)
        return next(change.gives_up for change in changes if "freeze" in change.changes)

    assert given_up("random").startswith("Nearly everything")
    assert not given_up("imagenet").startswith("Nearly everything")


@pytest.mark.parametrize(
    ("checkpoint_seconds", "seconds", "last", "best"),
    [(0, 10, 10, 5), (60, 10, 3, 3), (60, 25, 4, 4), (60, 90, 10, 5), (1000, 10, 2, 2)],
)
def test_checkpoints_are_counted_by_the_settings(
    checkpoint_seconds: float, seconds: float, last: int, best: int
) -> None:
    config = TrainingConfig(epochs=10, checkpoint_seconds=checkpoint_seconds)
    assert estimates.count_checkpoints(config, seconds) == 1 + last + best
