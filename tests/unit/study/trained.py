"""Studies whose runs are drawn instead of trained: a log, a milestone without weights, and an evaluation."""

from pathlib import Path
from typing import Any

from core.data.dataset import fingerprint, open_dataset
from core.data.seeding import fraction_of
from core.study.folder import Study, create_study
from core.study.plan import Cell, make_plan
from core.training.run.folders import Run, create_run
from core.training.run.log import LogWriter
from core.training.run.records import Epoch, RunEnded, RunStarted
from tests.app.stored import Mask, guess_half, store_milestone
from tests.unit.ui.made_logs import epoch, leg

SMALL = {"epochs": 2, "image_size": 32, "batch_size": 2}


def study_of(data: Path, name: str = "first", **asked: Any) -> Study:
    """Make a study of small runs of the report's recipe."""
    changes = SMALL | asked.pop("changes", {})
    changes = {
        key: value
        for key, value in changes.items()
        if key not in {text.split("=")[0] for text in asked.get("vary", ())}
    }
    return create_study(make_plan(name, open_dataset(data), preset_name="report", changes=changes, **asked))


def begin(study: Study, cell: Cell) -> Run:
    """Make the run of a cell as a trainer that was killed in its first epoch leaves it."""
    config, data = study.plan.config(cell), study.data(cell.fold)
    run = create_run(f"{study.name}_{cell.seed}", data, study.plan.preset, config, folder=study.runs_dir)
    _write(run, started(run))
    return run


def started(run: Run) -> RunStarted:
    """Return the record with which a trainer of this run begins."""
    dataset = open_dataset(run.data)
    train = fraction_of(dataset.split("train"), run.config.train_fraction, run.config.seed)
    of = fingerprint((*train, *dataset.split("val")))
    names, settings = tuple(dataset.class_names), run.config.as_dict()
    return leg(config=settings, fingerprint=of, num_train_images=len(train), steps_per_epoch=2, class_names=names)


def finish(study: Study, cell: Cell, guess: Any = guess_half, *, seconds: float = 50.0) -> Run:
    """Make the run of a cell as a trainer leaves it that did all epochs; `guess` predicts its masks."""
    run = begin(study, cell)
    epochs = run.config.epochs
    _write(run, *(epoch(number, seconds=seconds / epochs) for number in range(1, epochs + 1)))
    store_milestone(run, epochs, guess)
    end = RunEnded(outcome="finished", reason="done", epochs_done=epochs, best_epoch=epochs, best_miou=0.4)
    _write(run, end)
    return run


def fail(study: Study, cell: Cell, reason: str) -> Run:
    """Make the run of a cell as a trainer leaves it that could not go on."""
    run = begin(study, cell)
    _write(run, RunEnded(outcome="failed", reason=reason, epochs_done=0, best_epoch=None, best_miou=None))
    return run


def worse_with(seed: int) -> Any:
    """Return a guess whose quality differs by seed: the truth in the rows above a line."""

    def guess(truth_HW: Mask, index: int) -> Mask:
        predicted_HW = guess_half(truth_HW, 1).copy()
        predicted_HW[truth_HW.shape[0] // 2 + 2 * seed :] = 0
        return predicted_HW

    return guess


def _write(run: Run, *records: RunStarted | Epoch | RunEnded) -> None:
    writer = LogWriter(run.log_path)
    for record in records:
        writer.write(record)
    writer.close()
