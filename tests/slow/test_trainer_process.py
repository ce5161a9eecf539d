"""A real trainer in a process of its own: stopped, killed, extended, started twice, and evaluated by brute force."""

import dataclasses
import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from core import jobs
from core.commands.training import NICENESS
from core.data.dataset import open_dataset
from core.data.images import read_photo
from core.errors import RunError
from core.home import PROJECT_ROOT
from core.jobs import hold
from core.model.checkpoint.checkpoint_file import open_checkpoint, save_checkpoint
from core.model.predict.predictor import Predictor
from core.training.loop.trainer import train
from core.training.run import folders
from core.training.run.evaluations import file_hash, load
from core.training.run.evaluations import stored as evaluated
from core.training.run.folders import Run, create_run, run_state
from core.training.run.log import read_log
from core.training.run.records import Checkpoint, Record, RunEnded, Step
from core.training.settings.config import TrainingConfig
from core.voc import CLASS_NAMES
from tests.processes import SETTINGS, epochs_told, finish_here, trainers, until_record, until_state
from tests.slow.by_loops import boundary_by_loops, classes_by_loops, counted_by_loops, scores_by_loops
from tests.small_data import write_voc

pytestmark = [
    pytest.mark.slow,
    # A trainer outlives the code that started it, on purpose: nobody waits for its process.
    pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning"),
]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight drawn photos to train on, two to validate."""
    return write_voc(tmp_path_factory.mktemp("data") / "VOC2012", num_train=8, num_val=2)


@pytest.fixture
def make_run(data: Path, tmp_path: Path) -> Iterator[Callable[..., Run]]:
    """Make runs; whatever trainer of theirs still lives after the test is killed."""
    yield lambda name="first", **settings: create_run(name, data, "report", TrainingConfig(**SETTINGS | settings))
    for process in trainers(tmp_path):
        process.kill()
        process.wait()


def trained_here(run: Run, extend_to: int | None = None, stop_at_step: int | None = None) -> list[Record]:
    """Train a leg in this process; ask for its end after a step."""
    records = []
    with hold(run.path):
        for record in train(run, extend_to=extend_to):
            records.append(record)
            if isinstance(record, Step) and record.step == stop_at_step:
                jobs.request_stop(run.path)
    return records


def weights(path: Path) -> dict[str, torch.Tensor]:
    return open_checkpoint(path).build().state_dict()


def is_equal(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)


# --- the process ----------------------------------------------------------------------------------------------------


def test_a_stop_saves_and_the_run_goes_on_later(make_run: Callable[..., Run]) -> None:
    run = make_run(epochs=500)
    folders.start(run)
    with pytest.raises(RunError, match="is being trained"):
        folders.start(run)
    with pytest.raises(RunError, match="is being trained"):
        folders.start(make_run("second"))
    until_record(run, Step)
    jobs.request_stop(run.path)
    until_state(run, "stopped")
    log = read_log(run.log_path)
    last = [record for record in log.checkpoints if record.file == "last.pt"][-1]
    assert last.verified
    assert last.size_bytes == (run.path / "last.pt").stat().st_size
    opened = open_checkpoint(run.path / "last.pt")
    assert opened.training is not None
    steps_done = opened.training["progress"]["steps_done"]
    assert 0 < steps_done < 2000
    opened.build()
    assert not jobs.is_stop_requested(run.path)

    target = opened.training["progress"]["epochs_done"] + 2
    finish_here(run, target)
    assert epochs_told(run) == list(range(1, target + 1))
    log = read_log(run.log_path)
    assert [leg.steps_done for leg in log.legs] == [0, steps_done]
    assert (run.path / f"epoch_{target:03d}.pt").exists()


def test_a_killed_run_is_crashed_and_its_checkpoints_live_on(make_run: Callable[..., Run], tmp_path: Path) -> None:
    run = make_run(epochs=500)
    folders.start(run)
    until_record(run, Checkpoint, 3)
    (process,) = trainers(tmp_path)
    process.send_signal(signal.SIGKILL)
    process.wait()
    log = read_log(run.log_path)
    assert run_state(run, log) == "crashed"
    assert folders.live_runs() == []
    for file in run.checkpoints():
        open_checkpoint(file).build()
    epochs_done = open_checkpoint(run.path / "last.pt").training["progress"]["epochs_done"]  # type: ignore[index]
    target = log.epochs[-1].epoch + 1
    assert 1 <= epochs_done < target

    folders.start(run, extend_to=target)
    until_state(run, "finished")
    assert epochs_told(run) == list(range(1, target + 1))
    steps = [record.step for record in read_log(run.log_path).steps]
    assert steps == sorted(set(steps))
    assert steps[-1] == 4 * target


def test_a_trainer_gives_way_to_other_sessions_too_and_when_terminated_saves_first(
    make_run: Callable[..., Run], tmp_path: Path
) -> None:
    """Its niceness alone did nothing: Linux shares the processors among sessions, and a trainer has its own."""
    run = make_run(epochs=500)
    folders.start(run)
    until_record(run, Step)
    (process,) = trainers(tmp_path)
    assert process.nice() == NICENESS
    autogroup = Path(f"/proc/{process.pid}/autogroup")  # some kernels share the processors among processes alone
    assert not autogroup.exists() or autogroup.read_text().split()[-1] == str(NICENESS)
    process.terminate()
    until_state(run, "stopped")
    assert process.wait() == 0
    opened = open_checkpoint(run.path / "last.pt")
    assert opened.training is not None
    assert opened.training["progress"]["steps_done"] > 0


def test_a_stop_in_the_first_moment_is_heard(make_run: Callable[..., Run]) -> None:
    """It came while the trainer still imported torch, and was taken for one from before."""
    run = make_run(epochs=500)
    folders.start(run)
    jobs.request_stop(run.path)
    until_state(run, "stopped")
    assert run.checkpoints() == [], "no step was done"


@pytest.fixture(scope="module")
def extended(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run trained to 2 epochs by one process and to 4 by another."""
    folder = tmp_path_factory.mktemp("extended")
    run = create_run("extended", data, "report", TrainingConfig(**SETTINGS, epochs=2), folder=folder)
    folders.start(run)
    until_state(run, "finished")
    finish_here(run, 4)
    return run


def test_a_finished_run_is_extended_and_keeps_its_milestones(extended: Run) -> None:
    log = read_log(extended.log_path)
    assert [(leg.epochs_done, leg.config["epochs"]) for leg in log.legs] == [(0, 2), (2, 4)]
    assert epochs_told(extended) == [1, 2, 3, 4]
    assert [file.name for file in extended.checkpoints()] == ["epoch_002.pt", "epoch_004.pt", "best.pt", "last.pt"]
    assert [open_checkpoint(file).meta.epoch for file in extended.checkpoints()[:2]] == [2, 4]
    stored = {found.checkpoint: found.checkpoint_hash for found in map(load, evaluated(extended.eval_dir))}
    assert stored["epoch_002.pt"] == file_hash(extended.path / "epoch_002.pt"), "bit for bit as the first leg left it"
    assert log.bad_lines == []
    assert log.warnings == []
    milestones = [record for record in log.checkpoints if record.file.startswith("epoch_")]
    assert all(record.verified for record in milestones)
    lineage = open_checkpoint(extended.path / "epoch_004.pt").meta.lineage
    assert [each.rpartition(", ")[2] for each in lineage] == ["random weights", "epoch 2", "epoch 4"]
    assert sorted(path.name for path in (extended.path / "samples").iterdir()) == [f"epoch_00{n}" for n in (1, 2, 3, 4)]
    with pytest.raises(RunError, match="already has 4 epochs"):
        trained_here(extended)
    assert run_state(extended, read_log(extended.log_path)) == "finished"


def test_a_run_stopped_in_mid_epoch_tells_every_step_once(
    make_run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With SGD, whose momentum goes on too."""
    monkeypatch.setattr("core.training.loop.progress.RECORD_EVERY_S", 0.0)
    settings = {"epochs": 2, "optimizer": "sgd", "schedule": "poly", "flip": True, "scale_max": 1.5}
    whole, stopped = make_run("whole", **settings), make_run("stopped", **settings)
    trained_here(whole)
    first = trained_here(stopped, stop_at_step=6)
    assert isinstance(first[-1], RunEnded)
    assert (first[-1].outcome, first[-1].epochs_done) == ("stopped", 1)
    trained_here(stopped)
    assert is_equal(weights(whole.path / "last.pt"), weights(stopped.path / "last.pt"))
    log = read_log(stopped.log_path)
    assert [leg.steps_done for leg in log.legs] == [0, 6]
    assert [record.step for record in log.steps] == list(range(1, 9))
    losses = [(record.train_loss, record.val_loss) for record in log.epochs]
    assert losses == [(record.train_loss, record.val_loss) for record in read_log(whole.log_path).epochs]


def test_a_damaged_photo_is_found_before_the_first_step(make_run: Callable[..., Run], data: Path) -> None:
    run = make_run()
    photo = data / "JPEGImages" / "photo_3.jpg"
    whole = photo.read_bytes()
    photo.write_bytes(whole[:100])
    try:
        folders.start(run)
        until_state(run, "failed")
    finally:
        photo.write_bytes(whole)
    log = read_log(run.log_path)
    assert log.legs == []
    assert isinstance(log.last, RunEnded)
    assert str(photo) in log.last.reason
    assert str(photo) in jobs.output_of(run.path)
    assert "Traceback" not in jobs.output_of(run.path)


# --- evaluate --masks, recomputed -----------------------------------------------------------------------------------


def test_every_score_of_evaluate_follows_from_the_masks_it_wrote(extended: Run, data: Path, tmp_path: Path) -> None:
    shake(extended.path / "epoch_004.pt", tmp_path / "shaken.pt", data)
    out = tmp_path / "masks"
    command = [sys.executable, "-m", jobs.PROGRAM, "evaluate", str(tmp_path / "shaken.pt"), "--data", str(data)]
    command += ["--split", "train", "--masks", str(out), "--json"]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=PROJECT_ROOT, check=True)
    document = json.loads(ended.stdout)
    pairs = []
    for sample in open_dataset(data).split("train"):
        with Image.open(sample.mask) as truth, Image.open(out / f"{sample.name}.png") as predicted:
            pairs.append((np.array(truth).tolist(), np.array(predicted).tolist()))
    assert sorted(file.stem for file in out.iterdir()) == [f"photo_{number}" for number in range(8)]
    confusion, void = counted_by_loops(pairs)
    assert document["confusion"] == confusion
    assert document["images"] == 8
    expected = scores_by_loops(confusion, void) | {"boundary_iou": boundary_by_loops(pairs)}
    for name, value in expected.items():
        assert document[name] == pytest.approx(value, abs=1e-9), name
    per_class = classes_by_loops(confusion)
    for stored, values in zip(document["classes"], per_class, strict=True):
        assert stored["name"] == CLASS_NAMES[stored["id"]]
        for name, value in values.items():
            assert stored[name] == (None if value is None else pytest.approx(value, abs=1e-9)), (stored["name"], name)
    ious = [values["iou"] for values in per_class]
    conventions = document["conventions"]
    assert conventions["smp_macro"] == pytest.approx(sum(1 if iou is None else iou for iou in ious) / 21, abs=1e-9)
    assert conventions["voc_devkit"] is None
    assert sum(values["predicted_pixels"] > 0 for values in per_class) >= 3, "predictions to speak of"  # type: ignore[operator]
    assert None in ious


def shake(file: Path, shaken: Path, data: Path) -> None:
    """Make a model predict five classes about equally: what it learned in four epochs is background alone."""
    opened = open_checkpoint(file)
    model = opened.build()
    meta = dataclasses.replace(opened.meta, image_size=128)
    weight, bias = model.classifier[4].weight.data, model.classifier[4].bias.data
    weight += torch.randn(weight.shape, generator=torch.Generator().manual_seed(0))
    predictor = Predictor(model, image_size=meta.image_size, device=torch.device("cpu"))
    photos = [read_photo(sample.photo) for sample in open_dataset(data).split("train")]
    bias -= torch.stack([predictor.logits([photo])[0] for photo in photos]).mean((0, 2, 3))
    bias[5:] -= 1e6
    save_checkpoint(shaken, model, meta)
