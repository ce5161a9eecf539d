"""The loop with patience: training ends after so many epochs without a better score."""

import copy
from pathlib import Path

import pytest
import torch

from core.model.predict.predictor import Predictor
from core.training.loop.progress import RunProgress
from tests.unit.training.loop.loops import epochs_of, loop_on, never


def test_patience_ends_training_after_so_many_epochs_without_a_better_score(tiny_voc: Path) -> None:
    loop = loop_on(tiny_voc, epochs=9, patience=2)
    loop.progress = RunProgress(best_miou=1.0)
    assert len(epochs_of(list(loop.epochs(never)))) == 2
    assert loop.is_over
    assert loop.end_reason == "no better validation mIoU for 2 epochs: ended after 2"
    loop.progress.best_epoch = 1
    assert not loop.is_over
    assert len(epochs_of(list(loop.epochs(never)))) == 1
    assert loop.end_reason == "no better validation mIoU than in epoch 1 for 2 epochs: ended after 3"


def test_a_stop_in_between_uses_no_patience_up_and_going_on_after_the_end_renews_it(tiny_voc: Path) -> None:
    loop = loop_on(tiny_voc, epochs=9, patience=2)
    loop.progress = RunProgress(best_miou=1.0)
    assert len(epochs_of(list(loop.epochs(lambda: loop.progress.epochs_done == 1)))) == 1
    for epochs_done in (2, 4):
        resumed = loop_on(tiny_voc, epochs=9, patience=2)
        resumed.load_state(loop.model.state_dict(), copy.deepcopy(loop.state()))
        assert not resumed.is_over
        list(resumed.epochs(never))
        assert (resumed.progress.epochs_done, resumed.is_over) == (epochs_done, True)
        loop = resumed


def test_other_validation_photos_begin_the_best_and_patience_anew() -> None:
    """The best and patience outlived a changed validation set: a run ended for scoring less than on easier photos."""
    progress = RunProgress()
    assert not progress.score_on("first"), "there is no score yet"
    assert [progress.finish_epoch(miou) for miou in (0.9, 0.8)] == [True, False]
    assert not progress.score_on("first")
    assert (progress.best_epoch, progress.best_miou, progress.is_impatient(2, 3)) == (1, 0.9, True)
    assert progress.score_on("second")
    assert (progress.best_epoch, progress.best_miou, progress.best_since) == (None, None, 2)
    assert [progress.is_impatient(2, epochs) for epochs in (3, 4)] == [False, True]
    assert progress.finish_epoch(0.1)
    assert (progress.best_epoch, progress.best_miou) == (3, 0.1)
    assert RunProgress(**vars(progress)) == progress


def test_without_patience_or_at_the_last_epoch_all_epochs_are_done(tiny_voc: Path) -> None:
    for patience in (0, 2):
        loop = loop_on(tiny_voc, epochs=2, patience=patience)
        loop.progress = RunProgress(best_miou=1.0)
        assert len(epochs_of(list(loop.epochs(never)))) == 2
        assert loop.end_reason == "2 epochs done"


def test_what_patience_ends_was_validated_one_photo_at_a_time(tiny_voc: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its evaluation is stored beside the milestone, and must be what `evaluate` gives."""
    loop = loop_on(tiny_voc, epochs=9, patience=1)
    loop.progress = RunProgress(best_miou=1.0)
    sizes: list[int] = []
    logits_of = Predictor.logits_of

    def noted(predictor: Predictor, photos: torch.Tensor) -> torch.Tensor:
        sizes.append(len(photos))
        return logits_of(predictor, photos)

    monkeypatch.setattr(Predictor, "logits_of", noted)
    list(loop.epochs(never))
    assert sizes == [1, 1]
