"""How far a run is, from records as the trainer writes them."""

import pytest

from core.training.run.records import RunEnded, Validating
from tests.unit.ui.made_logs import epoch, leg, log_of, step
from ui.train.duration import progress_of


def test_before_the_first_record() -> None:
    progress = progress_of(log_of(), 4)
    assert (progress.share, progress.remaining_s) == (0.0, None)
    assert "Getting ready" in progress.doing


def test_the_first_epoch_is_timed_by_its_steps() -> None:
    progress = progress_of(log_of(leg(), step(5, 1018.0)), 4)
    assert progress.doing == "Epoch 1: batch 5 of 10"
    assert progress.epoch_share == pytest.approx(0.45)  # half of the 90 % that usually are training
    assert progress.remaining_s == pytest.approx((4 - 0.45) * 40.0)  # 3.6 s a step, 10 steps, 90 %


def test_later_epochs_are_timed_by_those_before() -> None:
    progress = progress_of(log_of(leg(), step(10, 1040.0), epoch(1), step(15, 1060.0)), 4)
    assert progress.doing == "Epoch 2: batch 5 of 10"
    assert progress.epoch_share == pytest.approx(0.4)  # half of 40 of 50 s
    assert progress.remaining_s == pytest.approx(2.6 * 50)
    assert progress.share == pytest.approx(1.4 / 4)


def test_validation_counts_as_part_of_the_epoch() -> None:
    records = (leg(), step(10, 1040.0), epoch(1), step(20, 1080.0), Validating(epoch=2, image=4, images=8))
    progress = progress_of(log_of(*records), 4)
    assert progress.doing == "Validating after epoch 2: photo 4 of 8"
    assert progress.epoch_share == pytest.approx(0.9)


def test_a_finished_run_has_nothing_left() -> None:
    ended = RunEnded(outcome="finished", reason="", epochs_done=1, best_epoch=1, best_miou=0.4)
    records = (leg(), step(10, 1040.0), epoch(1))
    for log in (log_of(*records), log_of(*records, ended)):
        progress = progress_of(log, 1)
        assert (progress.share, progress.remaining_s) == (1.0, 0.0)
        assert progress.doing == "Saving the last checkpoint and its scores", "it was in batch 0 of epoch 2 of 1"


def test_a_resumed_leg_is_timed_from_its_own_start() -> None:
    """The hours between two legs are not training."""
    resumed = leg(time_s=90_000.0, steps_done=4)
    progress = progress_of(log_of(leg(), step(4, 1016.0), resumed, step(6, 90_008.0)), 1)
    assert progress.remaining_s == pytest.approx((1 - 0.54) * 40 / 0.9)
