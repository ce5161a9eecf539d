"""The demo: drawn data, and a run on it that trains to 10 epochs and is then extended to 50. No torch."""

from dataclasses import replace
from pathlib import Path

from core.data.dataset import fingerprint, open_dataset
from core.data.demo import is_demo_data, write_demo
from core.data.split_view import data_of
from core.errors import RunError
from core.home import datasets_dir, demo_dir
from core.jobs import OnProgress, is_held
from core.training.run import evaluations, machine
from core.training.run.folders import Run, create_run, launch_trainer, list_runs
from core.training.run.log import read_log
from core.training.run.milestones import milestone
from core.training.settings.presets import preset

NAME = "demo"
"""The name of the run and of its preset."""
MILESTONES = (10, 50)

_FIRST_SETTINGS = replace(preset(NAME), image_size=96, batch_size=16, output_stride=16, train_fraction=1.0)
"""The demo's preset until 27 November 2026."""


def make_data(on_progress: OnProgress | None = None) -> Path:
    """Draw the demo data, if missing, and return its folder."""
    return write_demo(datasets_dir() / "demo", on_progress=on_progress)


def demo_run(on_progress: OnProgress | None = None) -> Run:
    """Return the demo's run; creates it and its data if missing."""
    data = make_data(on_progress)
    with machine.editing():  # of two processes at once, the second finds the first one's run
        existing = next((run for run in list_runs() if is_demo(run)), None)
        return existing or create_run(NAME, data, NAME, preset(NAME))


def is_demo(run: Run) -> bool:
    """Return whether a run is the demo's, whatever its present name."""
    return run.made_as == NAME and run.data == str(demo_dir()) and run.config in (preset(NAME), _FIRST_SETTINGS)


def is_drawn(run: Run) -> bool:
    """Return whether a run's data are the demo's drawn scenes, in any folder, and not photos."""
    data = data_of(Path(run.data))
    return data == demo_dir() or is_demo_data(data)


def epochs_done(run: Run) -> int:
    """Return the number of epochs that the run has done."""
    return read_log(run.log_path).epochs_done


def start_demo() -> Run:
    """Train the demo in a process of its own, unless it is done or running; creates run and data if missing."""
    run = demo_run()
    if epochs_done(run) < MILESTONES[-1] and not is_held(run.path):
        try:
            launch_trainer(run, ["demo"])
        except RunError:
            if not is_held(run.path):  # else another process has just started it
                raise
    return run


def milestones_by_size(run: Run) -> list[Path]:
    """Return the milestones that were evaluated before photos were compared by content."""
    files = (milestone(run.path, epoch) for epoch in MILESTONES)
    return [
        file
        for file in files
        if file.exists() and evaluations.is_by_size(run.eval_dir, evaluations.file_hash(file), "val")
    ]


def scores(run: Run) -> dict[str, dict[str, object]]:
    """Return the stored scores of the milestones by epoch, with the keys of `evaluate --json`."""
    files = {str(epoch): milestone(run.path, epoch) for epoch in MILESTONES}
    data = fingerprint(open_dataset(run.data).split("val"))
    found = {epoch: evaluations.scores_of(run.eval_dir, file, "val", data) for epoch, file in files.items()}
    return {epoch: document for epoch, document in found.items() if document}
