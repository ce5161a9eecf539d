"""A leg from its folder to its end, in this process: what it writes, what it warns of, and what it refuses."""

import copy
import dataclasses
import json
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch

from core import jobs
from core.data.dataset import fingerprint, open_dataset
from core.data.geometry import GEOMETRIES
from core.data.images import write_mask
from core.errors import CheckpointError, CoreError, DataError, RunError
from core.metrics.image_scores import summarize
from core.model.checkpoint.checkpoint_file import open_checkpoint, save_checkpoint
from core.training.evaluation import evaluate_checkpoint
from core.training.loop.trainer import train
from core.training.run import evaluations
from core.training.run.folders import Run, run_state, target_epochs
from core.training.run.log import read_log
from core.training.run.records import Preparing, RunEnded, RunStarted
from core.voc import CLASS_NAMES
from tests.unit.training.loop.legs import leg, warnings_of

pytestmark = pytest.mark.slow


def test_a_leg_writes_what_it_tells(make_run: Callable[..., Run], tiny_voc: Path) -> None:
    run = make_run()
    records = leg(run)
    assert isinstance(records[0], Preparing)
    (started,) = (record for record in records if isinstance(record, RunStarted))
    assert isinstance(records[-1], RunEnded)
    lines = [json.loads(line) for line in run.log_path.read_text().splitlines()]
    assert [line["kind"] for line in lines] == [record.kind for record in records]
    assert started.config == run.config.as_dict()
    assert (started.num_train_images, started.num_val_images, started.steps_per_epoch) == (4, 2, 2)
    dataset = open_dataset(tiny_voc)
    assert started.fingerprint == fingerprint((*dataset.split("train"), *dataset.split("val")))
    assert 0 < (started.floor["miou"] or 0) < 0.5

    meta = open_checkpoint(run.path / "epoch_001.pt").meta
    assert meta.epoch == 1
    assert meta.config == run.config.as_dict()
    kept = evaluations.scores_of(
        run.eval_dir, run.path / "epoch_001.pt", "val", fingerprint(open_dataset(run.data).split("val"))
    )
    assert kept is not None
    assert meta.scores["miou"] == kept["miou"] == read_log(run.log_path).epochs[0].miou
    assert meta.scores["floor_miou"] == kept["floor"]["miou"]


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_evaluating_a_milestone_later_gives_what_the_training_stored(
    make_run: Callable[..., Run], tiny_voc: Path, geometry: str
) -> None:
    run = make_run(geometry=geometry)
    leg(run)
    file = run.path / "epoch_001.pt"
    (before,) = (evaluations.load(path) for path in evaluations.stored(run.eval_dir))
    evaluated = evaluate_checkpoint(file, open_dataset(tiny_voc), "val")
    assert evaluated.meta.geometry == geometry
    losses = [result.loss for result in evaluated.results]
    assert sum(losses) / len(losses) == pytest.approx(read_log(run.log_path).epochs[-1].val_loss, rel=1e-9)
    assert summarize(evaluated.results, CLASS_NAMES) == before.scores
    (after,) = (evaluations.load(path) for path in evaluations.stored(run.eval_dir))
    assert (after.path, after.scores) == (before.path, before.scores)


def test_data_that_changed_between_two_legs_is_warned_of(make_run: Callable[..., Run], tiny_voc: Path) -> None:
    run = make_run()
    assert warnings_of(leg(run)) == []
    sample = open_dataset(tiny_voc).split("val")[0]
    write_mask(sample.mask, torch.zeros(40, 48, dtype=torch.uint8).numpy())
    assert "data has changed" in "".join(warnings_of(leg(run, extend_to=2)))


@pytest.mark.parametrize(("schedule_epochs", "warned"), [(0, 1), (2, 0)])
def test_a_schedule_that_an_extension_stretches_is_warned_of(
    make_run: Callable[..., Run], schedule_epochs: int, warned: int
) -> None:
    """yolov5#292: the learning rate jumped on resuming, and nobody said so."""
    run = make_run(schedule="poly", schedule_epochs=schedule_epochs)
    leg(run)
    warnings = warnings_of(leg(run, extend_to=2))
    assert len(warnings) == warned
    assert all("learning rate jumps" in message for message in warnings)


def test_what_cannot_be_extended_stays_finished(make_run: Callable[..., Run]) -> None:
    """A mistyped number of epochs made a finished run a failed one."""
    run = make_run()
    leg(run)
    before = run.log_path.read_bytes()
    for extend_to in (None, 1, 0, -5, 10_001):
        with pytest.raises(CoreError) as caught:
            leg(run, extend_to)
        assert "\n" not in str(caught.value)
        assert run.log_path.read_bytes() == before
    assert run_state(run, read_log(run.log_path)) == "finished"


@pytest.mark.parametrize("harm", ["photo", "data", "stop", "kill"])
def test_an_extension_is_not_lost_to_what_ends_it_before_it_trains(
    make_run: Callable[..., Run], tiny_voc: Path, harm: str
) -> None:
    """Extended from 10 to 50 and failed on a damaged photo, the run was resumed to 10, and ended at once."""
    run = make_run()
    leg(run)
    photo = open_dataset(tiny_voc).split("train")[0].photo
    whole, away = photo.read_bytes(), tiny_voc.with_name("away")
    if harm == "photo":
        photo.write_bytes(b"torn")
    if harm == "data":
        tiny_voc.rename(away)
    with jobs.hold(run.path):
        records = train(run, extend_to=2, was_ended=lambda: harm == "stop")
        next(records)
        if harm == "kill":
            del records
        else:
            with nullcontext() if harm == "stop" else pytest.raises(DataError):
                list(records)
    log = read_log(run.log_path)
    assert (len(log.legs), target_epochs(run, log)) == (1, 2)
    assert run_state(run, log) == {"stop": "stopped", "kill": "crashed"}.get(harm, "failed")
    if harm == "data":
        away.rename(tiny_voc)
    photo.write_bytes(whole)
    assert [each.epochs_done for each in leg(run) if isinstance(each, RunEnded)] == [2]


def test_without_its_last_pt_a_run_does_not_begin_anew_over_its_milestones(make_run: Callable[..., Run]) -> None:
    """Whoever deleted the largest file to save space lost epoch_001.pt on extending."""
    run = make_run()
    leg(run)
    milestone = (run.path / "epoch_001.pt").read_bytes()
    (run.path / "last.pt").unlink()
    with pytest.raises(RunError, match=r"last\.pt is gone, .* put a copy of it back .* epoch_001\.pt, best\.pt can be"):
        leg(run, extend_to=2)
    assert (run.path / "epoch_001.pt").read_bytes() == milestone
    assert run_state(run, read_log(run.log_path)) == "finished"


@pytest.mark.parametrize("damage", ["torn", "empty", "half", "without training"])
def test_a_damaged_last_pt_fails_in_words_and_names_what_is_whole(
    make_run: Callable[..., Run], damage: str, one_sentence: Callable[[object, Path], str]
) -> None:
    """Of one without the state of a training, the run began anew over its milestones."""
    run = make_run()
    leg(run)
    last = run.path / "last.pt"
    whole = {"torn": b"torn", "empty": b"", "half": last.read_bytes()[: last.stat().st_size // 2]}
    last.write_bytes(whole.get(damage) or (b"" if damage == "empty" else (run.path / "best.pt").read_bytes()))
    with pytest.raises(CheckpointError) as caught:
        leg(run, extend_to=2)
    assert "epoch_001.pt is whole" in one_sentence(caught.value, last)
    ended = read_log(run.log_path).last
    assert isinstance(ended, RunEnded)
    assert ended.outcome == "failed"
    assert ended.epochs_done == 1


def test_going_on_needs_no_pretrained_weights(make_run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch) -> None:
    """A run from ImageNet weights could not be resumed without a network, though last.pt has every weight."""
    run = make_run()
    leg(run)
    pretrained = dataclasses.replace(run, config=dataclasses.replace(run.config, init="imagenet"))
    monkeypatch.setattr("core.training.loop.loop.start_from", lambda *_: pytest.fail("looked for pretrained weights"))
    assert isinstance(leg(pretrained, extend_to=2)[-1], RunEnded)


def test_a_checkpoint_that_reads_back_otherwise_is_never_told_as_saved(
    make_run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The report lost 24 hours of training to a checkpoint that could not be opened again."""

    def save_on_a_bad_disk(path: Path, model: torch.nn.Module, *rest: Any) -> None:
        spoiled = copy.deepcopy(model)
        next(spoiled.parameters()).data[0, 0, 0, 0] += 1
        save_checkpoint(path, spoiled, *rest)

    run = make_run()
    monkeypatch.setattr("core.training.loop.saving.save_checkpoint", save_on_a_bad_disk)
    with pytest.raises(CheckpointError, match="other weights"):
        leg(run)
    assert [file.name for file in run.path.glob("*.pt*")] == [], "nothing takes the place of a good one"
    log = read_log(run.log_path)
    assert log.checkpoints == []
    assert isinstance(log.last, RunEnded)
    assert log.last.outcome == "failed"
