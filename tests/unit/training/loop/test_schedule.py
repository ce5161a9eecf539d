"""Learning rates by hand."""

import pytest

from core.training.loop.optimization import learning_rate_factor
from core.training.settings.config import SETTING_TYPES, TrainingConfig


@pytest.mark.parametrize(
    ("schedule", "progress", "factor"),
    [
        ("constant", 0.0, 1.0), ("constant", 0.99, 1.0),
        ("poly", 0.0, 1.0), ("poly", 0.5, 0.5**0.9), ("poly", 1.0, 0.0),
        ("cosine", 0.0, 1.0), ("cosine", 0.5, 0.5), ("cosine", 1 / 3, 0.75), ("cosine", 1.0, 0.0),
        ("one-cycle", 0.0, 0.04), ("one-cycle", 0.15, 0.52), ("one-cycle", 0.3, 1.0),
        ("one-cycle", 0.65, (1 + 1e-4) / 2), ("one-cycle", 1.0, 1e-4),
    ],
)  # fmt: skip
def test_factors_by_hand(schedule: str, progress: float, factor: float) -> None:
    assert learning_rate_factor(schedule, progress) == pytest.approx(factor, abs=1e-12)


@pytest.mark.parametrize("schedule", ["constant", "poly", "cosine", "one-cycle"])
def test_every_schedule_stays_in_bounds_also_beyond_its_ends(schedule: str) -> None:
    factors = [learning_rate_factor(schedule, step / 200) for step in range(-20, 221)]
    assert all(0 <= factor <= 1 for factor in factors)
    assert max(factors) == pytest.approx(1.0)


def test_every_schedule_of_the_config_exists() -> None:
    choices = TrainingConfig.__dataclass_fields__["schedule"].metadata["choices"]
    assert "schedule" in SETTING_TYPES
    assert all(isinstance(learning_rate_factor(name, 0.4), float) for name in choices)
    with pytest.raises(ValueError, match="unknown"):
        learning_rate_factor("cubic", 0.5)
