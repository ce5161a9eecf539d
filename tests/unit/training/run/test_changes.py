"""A run that goes on after its data or its config.json was changed: what is said, begins again, is refused."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from core import jobs
from core.data.dataset import Sample, open_dataset
from core.errors import DataError, RunError
from core.model.checkpoint.checkpoint_file import open_checkpoint
from core.training import evaluation
from core.training.loop.progress import RunProgress
from core.training.loop.trainer import train
from core.training.run import evaluations
from core.training.run.folders import Run, open_run
from core.training.run.log import read_log
from core.training.run.records import Epoch, RunEnded, RunStarted
from tests.small_data import replace_quietly
from tests.unit.training.loop.legs import leg, warnings_of

pytestmark = pytest.mark.slow

MakeRun = Callable[..., Run]


@pytest.fixture
def falling(make_run: MakeRun, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A run of two epochs whose scores fall from epoch to epoch: 0.9, 0.8 and so on."""
    count = RunProgress.finish_epoch
    monkeypatch.setattr(RunProgress, "finish_epoch", lambda self, _: count(self, 0.9 - 0.1 * self.epochs_done))
    run = make_run(epochs=2, checkpoint_seconds=0.0)
    assert warnings_of(leg(run)) == []
    return run


def change(sample: Sample) -> None:
    """Save a photo anew with other pixels, and give it its old time back; VOC's masks stay as they are."""
    content = sample.photo.read_bytes()
    place = content.rindex(b"\xff\xd9") - 20
    replace_quietly(sample.photo, content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])


def test_after_other_validation_photos_the_best_begins_anew_and_the_old_one_is_kept(falling: Run) -> None:
    """The log said that scores "do not compare" and then compared them: best.pt stayed, however good the rest was."""
    assert open_checkpoint(falling.path / "best.pt").meta.epoch == 1
    change(open_dataset(falling.data).split("val")[0])
    records = leg(falling, extend_to=4)
    (said,) = (message for message in warnings_of(records) if "changed" in message)
    assert said == (
        "The data has changed since the last leg; scores before and after do not compare: the best model and patience "
        "start again; the old best.pt is now epoch_001.pt."
    )
    assert [record.is_best for record in records if isinstance(record, Epoch)] == [True, False]
    assert open_checkpoint(falling.path / "best.pt").meta.epoch == 3
    assert open_checkpoint(falling.path / "epoch_001.pt").meta.epoch == 1
    ended, log = records[-1], read_log(falling.log_path)
    assert isinstance(ended, RunEnded)
    assert ended.best_epoch == 3
    assert [epoch.epoch for epoch in log.comparable_epochs] == [3, 4]
    assert not any("changed" in message for message in warnings_of(leg(falling, extend_to=5)))
    assert open_checkpoint(falling.path / "best.pt").meta.epoch == 3


def test_other_training_photos_leave_the_best_as_it_is(falling: Run) -> None:
    change(open_dataset(falling.data).split("train")[0])
    records = leg(falling, extend_to=3)
    said = "The training data has changed since the last leg; the validation data has not."
    assert said in warnings_of(records)
    assert open_checkpoint(falling.path / "best.pt").meta.epoch == 1
    assert not (falling.path / "epoch_001.pt").exists()


def test_a_last_pt_from_before_photos_were_compared_by_content_goes_on_and_says_why_the_best_begins_anew(
    falling: Run,
) -> None:
    """Its fingerprint is another in any case: that the data has changed would be a false alarm."""
    last = falling.path / "last.pt"
    document = torch.load(last, weights_only=True)
    document["meta"]["fingerprint"] = "f" * 64
    for name in ("scored_on", "best_since"):
        del document["training"]["progress"][name]
    torch.save(document, last)
    said = " ".join(warnings_of(leg(falling, extend_to=3)))
    assert "The last leg was trained before photos were compared by content" in said
    assert "data has changed" not in said
    assert open_checkpoint(falling.path / "best.pt").meta.epoch == 3
    assert open_checkpoint(falling.path / "epoch_001.pt").meta.epoch == 1


def test_photos_that_change_during_a_leg_are_warned_of_and_its_evaluation_is_not_stored(make_run: MakeRun) -> None:
    run = make_run(epochs=2)
    records = []
    with jobs.hold(run.path):
        for record in train(run):
            records.append(record)
            if isinstance(record, RunStarted):
                change(open_dataset(run.data).split("val")[0])
    (said,) = warnings_of(records)
    assert said.startswith("A validation photo or mask has changed during this leg")
    assert evaluations.stored(run.eval_dir) == []
    (again,) = (message for message in warnings_of(leg(run, extend_to=3)) if "photo" in message or "data" in message)
    assert "data has changed since the last leg; scores before and after do not compare" in again


def test_a_photo_that_changes_while_a_checkpoint_is_evaluated_ends_that(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The scores were of the photo that came, and stored as of the one that had gone."""
    run = make_run()
    leg(run)
    (before,) = evaluations.stored(run.eval_dir)
    made = (before / "scores.json").read_bytes()
    dataset, evaluate = open_dataset(run.data), evaluation.evaluate

    def evaluate_and_change(*arguments: Any) -> Any:
        yield from evaluate(*arguments)
        change(dataset.split("val")[0])

    monkeypatch.setattr(evaluation, "evaluate", evaluate_and_change)
    with pytest.raises(DataError, match=r"changed while epoch_001\.pt was evaluated; evaluate it again"):
        evaluation.evaluate_checkpoint(run.path / "epoch_001.pt", dataset, "val")
    assert [path.name for path in evaluations.stored(run.eval_dir)] == [before.name]
    assert (before / "scores.json").read_bytes() == made


def test_a_checkpoint_that_its_trainer_replaces_is_evaluated_as_it_was_opened(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After minutes it said that last.pt was replaced while it was evaluated, and to evaluate it again."""
    run = make_run()
    leg(run)
    leg(run, extend_to=2)
    last, second = run.path / "last.pt", (run.path / "epoch_002.pt").read_bytes()
    shutil.copy(run.path / "epoch_001.pt", last)
    opened: list[int] = []
    evaluate, open_file = evaluation.evaluate, evaluation.open_checkpoint

    def open_and_replace(*arguments: Any) -> Any:
        found = open_file(*arguments)
        opened.append(found.meta.epoch)
        last.write_bytes(second)
        return found

    def evaluate_and_replace(*arguments: Any) -> Any:
        yield from evaluate(*arguments)
        last.write_bytes(b"the next one")

    monkeypatch.setattr(evaluation, "open_checkpoint", open_and_replace)
    monkeypatch.setattr(evaluation, "evaluate", evaluate_and_replace)
    assert evaluation.evaluate_checkpoint(last, open_dataset(run.data), "val").meta.epoch == 2
    assert opened == [1, 2], "the first was replaced before its hash was known"
    stored = [evaluations.load(path) for path in evaluations.stored(run.eval_dir)]
    (own,) = (each for each in stored if each.checkpoint == last.name)
    assert (own.epoch, own.checkpoint_hash) == (2, hashlib.sha256(second).hexdigest())


# --- config.json ------------------------------------------------------------------------------------------------------


def edit(run: Run, **settings: object) -> Run:
    about = json.loads((run.path / "config.json").read_text())
    about["settings"] |= settings
    (run.path / "config.json").write_text(json.dumps(about))
    return open_run(run.path)


@pytest.mark.parametrize(
    ("settings", "was"),
    [
        ({"optimizer": "sgd"}, "optimizer=adam,"),
        ({"architecture": "deeplabv3_resnet50"}, "architecture=deeplabv3_mobilenet_v3_large,"),
        ({"aux_weight": 0.4}, "aux_weight=0.0,"),
        ({"freeze": "backbone"}, "freeze=none,"),
        ({"class_weighting": "balanced"}, "class_weighting=none,"),
    ],
)
def test_a_setting_that_a_run_keeps_is_refused_in_one_sentence_once_edited(
    make_run: MakeRun, settings: dict[str, object], was: str, one_sentence: Callable[[object, Path], str]
) -> None:
    """Another optimizer was a KeyError, another architecture a RuntimeError of two hundred lines."""
    run = make_run(optimizer="adam", aux_weight=0.0)
    leg(run)
    last = (run.path / "last.pt").read_bytes()
    with pytest.raises(RunError, match="put that back, or start a new run") as caught:
        leg(edit(run, **settings), extend_to=2)
    said = one_sentence(caught.value, run.path / "config.json")
    assert was in said
    assert f"{next(iter(settings))}={next(iter(settings.values()))}" in said
    assert (run.path / "last.pt").read_bytes() == last
    back = {name: run.config.as_dict()[name] for name in settings}
    assert isinstance(leg(edit(run, **back), extend_to=2)[-1], RunEnded)


def test_a_setting_that_a_run_can_change_is_taken_and_said(make_run: MakeRun) -> None:
    """A learning rate, batch or photo size that was edited was taken without a word; a weight decay was not taken."""
    run = make_run(optimizer="adamw")
    leg(run)
    edited = edit(run, learning_rate=0.002, batch_size=4, image_size=48, geometry="fit", weight_decay=0.25)
    records = leg(edited, extend_to=2)
    (said,) = (message for message in warnings_of(records) if "config.json" in message)
    old = run.config
    assert said == (
        f"config.json was edited since the last leg; this one goes on with batch_size=4 (was {old.batch_size}), "
        f"image_size=48 (was {old.image_size}), geometry=fit (was resize), learning_rate=0.002 (was "
        f"{old.learning_rate}), weight_decay=0.25 (was {old.weight_decay})."
    )
    last = torch.load(run.path / "last.pt", weights_only=True)
    assert last["meta"]["geometry"] == "fit"
    assert last["training"]["optimizer"]["param_groups"][0]["weight_decay"] == 0.25
    assert not any("config.json" in message for message in warnings_of(leg(edited, extend_to=3)))


def test_epochs_that_were_edited_in_are_not_trained_and_that_is_said(make_run: MakeRun) -> None:
    run = make_run(epochs=2)
    records = []
    with jobs.hold(run.path):
        for record in train(run, was_ended=lambda: any(isinstance(each, Epoch) for each in records)):
            records.append(record)  # noqa: PERF402 - what came is asked for on the way
    said = " ".join(warnings_of(leg(edit(run, epochs=9))))
    assert "config.json asks for 9 epochs, the last leg was asked for 2; extend the run to more." in said
    assert len(read_log(run.log_path).epochs) == 2
