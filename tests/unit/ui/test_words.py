from core.training.run import folders
from ui.words import MISSING, STATES, code, percent, points


def test_a_missing_score_is_a_dash_and_zero_is_zero() -> None:
    assert percent(None) == MISSING
    assert percent(0.0) == "0.0 %"
    assert percent(0.43219) == "43.2 %"


def test_points_carry_a_sign_only_if_there_is_a_difference() -> None:
    """A run level with the floor was shown as `-0.0 points` with a red arrow."""
    assert points(0.0123) == "+1.2 points"
    assert points(-0.0123) == "-1.2 points"
    assert points(-0.0003) == "0.0 points"


def test_every_state_of_a_run_has_its_words() -> None:
    assert set(folders.LIVE_STATES) <= STATES.keys()
    assert {"new", "finished", "stopped", "failed", "crashed"} <= STATES.keys()


def test_code_stays_code_whatever_is_in_it() -> None:
    """A run's data folder called after Markdown once could end its backticks and draw a picture from elsewhere."""
    assert code("/data/VOC2012") == "`/data/VOC2012`"
    assert code("a`![](http://elsewhere/x.png)`b\nc") == "`a'![](http://elsewhere/x.png)'b c`"
