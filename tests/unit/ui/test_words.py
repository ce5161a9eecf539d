import pytest

from core.training import runs
from ui.words import MISSING, STATES, code, duration, megabytes, percent, points


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, MISSING), (0.4, "0 s"), (59.4, "59 s"), (59.6, "1 min"), (130, "2 min 10 s"), (3600, "1 h"),
        (11_100, "3 h 5 min"), (187_200, "2 d 4 h"), (-3, "0 s"),
    ],
)  # fmt: skip
def test_duration(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text


def test_a_missing_score_is_a_dash_and_zero_is_zero() -> None:
    assert percent(None) == MISSING
    assert percent(0.0) == "0.0 %"
    assert percent(0.43219) == "43.2 %"


def test_points_carry_a_sign_only_if_there_is_a_difference() -> None:
    """A run level with the floor was shown as `-0.0 points` with a red arrow."""
    assert points(0.0123) == "+1.2 points"
    assert points(-0.0123) == "-1.2 points"
    assert points(-0.0003) == "0.0 points"


def test_sizes() -> None:
    assert megabytes(158_600_000) == "159 MB"
    assert megabytes(1_900_000_000) == "1.9 GB"


def test_every_state_of_a_run_has_its_words() -> None:
    assert set(runs.LIVE_STATES) <= STATES.keys()
    assert {"new", "finished", "stopped", "failed", "crashed"} <= STATES.keys()


def test_code_stays_code_whatever_is_in_it() -> None:
    """A run's data folder called after Markdown once could end its backticks and draw a picture from elsewhere."""
    assert code("/data/VOC2012") == "`/data/VOC2012`"
    assert code("a`![](http://elsewhere/x.png)`b\nc") == "`a'![](http://elsewhere/x.png)'b c`"
