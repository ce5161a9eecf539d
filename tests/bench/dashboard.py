"""What the dashboard costs with fifty long runs, and with three hundred: `python -m core bench dashboard`.

50 runs with 50 epochs and 20,000 step records each, one of them live. Measured with Streamlit's own AppTest, in this
process: the script of Home and of Train, the first time and warm, and a live tick of Train, which is what it draws anew
every two seconds while the trainer goes on. The figures are medians, `_most_` the slowest tick, `_cpu_` processor time.
`study` is Compare with a study of 12 runs, drawn instead of trained. `_many_` is of 300 runs of 50 short epochs, three
of which are broken and one of which has a lock that cannot be opened.
"""

import json
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import streamlit as st
from streamlit.testing.v1 import AppTest

from core import jobs
from core.data.demo import write_demo
from core.home import PROJECT_ROOT, checkpoints_dir, demo_dir
from core.training.run.folders import Run, create_run
from core.training.run.log import LogWriter
from core.training.run.records import Checkpoint, Epoch, Record, RunEnded, RunStarted, Step
from core.training.settings.presets import preset
from core.voc import CLASS_NAMES
from tests.reads import counted_reads
from tests.small_data import write_voc
from tests.unit.study.trained import finish, study_of, worse_with

NUM_RUNS = 50
NUM_MANY, NUM_BROKEN = 300, 3
NUM_EPOCHS = 50
STEPS_PER_EPOCH = 400
ROUNDS = 9
NUM_TICKS = 25
"""A curve over 20,000 steps is drawn anew every 40: once or twice among so many ticks of two."""
PAGES = {"home": "streamlit_app.py", "train": "pages/train.py"}
ALLOWED = {"home_s": 0.5, "train_s": 0.5, "tick_ms": 50.0, "home_many_s": 0.7, "train_many_s": 0.7, "study_s": 0.7}
"""What each may cost; the ratios are shares of it."""

Figures = dict[str, float]


def main() -> None:
    """Print a line for each figure for people, then the JSON document."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["ATROUS_HOME"] = folder
        live = write_runs()
        with jobs.hold(live.path):
            figures = measure(live)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["ATROUS_HOME"] = folder
        write_many()
        figures |= measure_many()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["ATROUS_HOME"] = folder
        figures |= measure_study(Path(folder))
    device = f"CPU ({os.cpu_count()} threads)"
    ratios = {name: figures[name] / allowed for name, allowed in ALLOWED.items()}
    print(json.dumps({"name": "dashboard", "device": device, "figures": figures, "ratios": ratios}))


# --- fifty runs -------------------------------------------------------------------------------------------------------


def write_runs() -> Run:
    """Write the runs: their logs differ in nothing but the end. Return the live one."""
    write_demo(demo_dir().parents[1], num_train=8, num_val=2)
    runs = [create_run(f"night {number}", demo_dir(), "demo", preset("demo")) for number in range(NUM_RUNS)]
    live, *over = runs
    write_records(live, whole_log(live))
    for run in over:
        shutil.copy(live.log_path, run.log_path)
        write_records(run, [RunEnded(outcome="finished", reason="", epochs_done=50, best_epoch=50, best_miou=0.6)])
    print(f"{NUM_RUNS} logs of {live.log_path.stat().st_size / 1e6:.1f} MB in {checkpoints_dir()}", flush=True)
    return live


def write_many() -> None:
    """Write three hundred finished runs, some of them damaged."""
    write_demo(demo_dir().parents[1], num_train=8, num_val=2)
    runs = [create_run(f"run {number}", demo_dir(), "demo", preset("demo")) for number in range(NUM_MANY)]
    first, *others = runs
    write_records(first, whole_log(first, steps_per_epoch=4))
    write_records(first, [RunEnded(outcome="finished", reason="", epochs_done=50, best_epoch=50, best_miou=0.6)])
    for run in others:
        shutil.copy(first.log_path, run.log_path)
    for run in runs:
        (run.path / "lock").touch()
    for run in runs[-NUM_BROKEN:]:
        (run.path / "config.json").write_text("{", encoding="utf-8")
    (first.path / "lock").unlink()
    (first.path / "lock").symlink_to("lock")  # as little to be opened as another user's, by root too


def write_records(run: Run, records: list[Record]) -> None:
    """Append records to the log of a run."""
    writer = LogWriter(run.log_path)
    for record in records:
        writer.write(record)
    writer.close()


def whole_log(run: Run, steps_per_epoch: int = STEPS_PER_EPOCH) -> list[Record]:
    """Return the records of a run whose fifty epochs are done, and whose next has begun."""
    began_s, records = time.time() - 20_000, []
    records.append(started(run, began_s))
    for epoch in range(1, NUM_EPOCHS + 1):
        first = (epoch - 1) * steps_per_epoch + 1
        records += [step(number, time_s=began_s + number) for number in range(first, first + steps_per_epoch)]
        records.append(epoch_record(epoch, began_s))
        records.append(Checkpoint(file="last.pt", epoch=epoch, verified=True, size_bytes=160_000_000))
    return records


def started(run: Run, began_s: float) -> RunStarted:
    return RunStarted(
        config=run.config.as_dict() | {"epochs": 100}, device="CPU (2 threads)", precision="fp32",
        num_params=39_600_000, num_train_images=6400, num_val_images=100, steps_per_epoch=STEPS_PER_EPOCH,
        epochs_done=0, class_names=list(CLASS_NAMES), floor={"miou": 0.035, "pixel_accuracy": 0.7}, versions={},
        fingerprint="", time_s=began_s,
    )  # fmt: skip


def step(number: int, **changes: Any) -> Step:
    return Step(
        epoch=1 + (number - 1) // STEPS_PER_EPOCH, step=number, loss=3 * 0.9999**number + number % 17 / 100,
        learning_rate=1e-3 * (1 - number / 40_000), images_per_second=16 + number % 7 / 10, **changes,
    )  # fmt: skip


def epoch_record(epoch: int, began_s: float) -> Epoch:
    miou = 0.6 * epoch / NUM_EPOCHS
    return Epoch(
        epoch=epoch, step=epoch * STEPS_PER_EPOCH, train_loss=3 / epoch, val_loss=3.2 / epoch, miou=miou,
        pixel_accuracy=0.75, iou=[miou * (1 - k / 40) for k in range(len(CLASS_NAMES))], seconds=400.0,
        train_seconds=380.0, images_per_second=16.0, peak_memory_bytes=3_000_000_000, is_best=True,
        time_s=began_s + epoch * STEPS_PER_EPOCH,
    )  # fmt: skip


# --- measuring --------------------------------------------------------------------------------------------------------


class Spent(NamedTuple):
    """Seconds by the clock and of the processor; on a busy machine the first are more."""

    wall_s: float
    cpu_s: float


def spent_by(act: Callable[[], object]) -> Spent:
    """Return the seconds that something takes."""
    wall_s, cpu_s = time.perf_counter(), time.process_time()
    act()
    return Spent(time.perf_counter() - wall_s, time.process_time() - cpu_s)


def measure(live: Run) -> Figures:
    """Return seconds of page scripts, milliseconds of a tick, and the bytes it reads of logs beside those added."""
    app, ticks = AppTest.from_file(str(PROJECT_ROOT / PAGES["home"]), default_timeout=60), []
    with timed_fragments(ticks):
        figures = page_figures(app)
        ticks.clear()
        bytes_of = [tick(app, live, number) for number in range(NUM_TICKS)]
    wall_ms, cpu_ms = (sorted(1e3 * seconds for seconds in each) for each in zip(*ticks, strict=True))
    figures |= {"tick_ms": statistics.median(wall_ms), "tick_cpu_ms": statistics.median(cpu_ms)}
    figures |= {"tick_most_ms": wall_ms[-1], "tick_most_cpu_ms": cpu_ms[-1]}
    added, read = zip(*bytes_of, strict=True)
    figures |= {"log_bytes_added": sum(added), "log_bytes_read": sum(read)}
    for name, value in figures.items():
        print(f"{name:<20}{value:12.3f}", flush=True)
    return figures


def measure_many() -> Figures:
    """Return the seconds of Home and Train beside three hundred runs."""
    app = AppTest.from_file(str(PROJECT_ROOT / PAGES["home"]), default_timeout=120)
    figures = {name.replace("_", "_many_", 1): value for name, value in page_figures(app).items()}
    warnings = [warning.value for warning in app.warning if "config.json cannot be read" in warning.value]
    assert len(warnings) == NUM_BROKEN
    for name, value in figures.items():
        print(f"{name:<20}{value:12.3f}", flush=True)
    return figures


def measure_study(folder: Path) -> Figures:
    """Return the seconds of Compare with a study of 12 runs: at its first opening in this process, and warm."""
    study = study_of(write_voc(folder / "VOC2012", num_train=8, num_val=40), vary=["epochs=1,2"], seeds=6)
    for cell in study.plan.cells():
        finish(study, cell, worse_with(cell.seed))
    app = AppTest.from_file(str(PROJECT_ROOT / PAGES["home"]), default_timeout=120).run()
    app.query_params["study"] = study.name
    spent = [visit(app, "compare").wall_s for _ in range(ROUNDS)]
    assert len(app.table[0].value) == 3, "two recipes and the floor"
    figures = {"study_first_s": spent[0], "study_s": statistics.median(spent[1:])}
    for name, value in figures.items():
        print(f"{name:<20}{value:12.3f}", flush=True)
    return figures


def page_figures(app: AppTest) -> Figures:
    """Return the seconds of Home and Train at their first opening in this process, and warm."""
    figures = {f"{name}_first_s": visit(app, name).wall_s for name in PAGES}
    for name in PAGES:
        wall_s, cpu_s = zip(*(visit(app, name) for _ in range(ROUNDS)), strict=True)
        figures |= {f"{name}_s": statistics.median(wall_s), f"{name}_cpu_s": statistics.median(cpu_s)}
    return figures


def visit(app: AppTest, name: str) -> Spent:
    """Return the seconds that a page's script takes; Train shows the live run."""
    app.switch_page(PAGES.get(name, f"pages/{name}.py"))
    spent = spent_by(app.run)
    assert not app.exception
    return spent


def tick(app: AppTest, live: Run, number: int) -> tuple[int, int]:
    """Let the trainer log two steps, and the page draw them; return the bytes that were added, and those read."""
    before = live.log_path.stat().st_size
    first = NUM_EPOCHS * STEPS_PER_EPOCH + 2 * number + 1
    write_records(live, [step(first), step(first + 1)])
    with counted_reads() as reads:
        visit(app, "train")
    return live.log_path.stat().st_size - before, reads["log.jsonl"]


@contextmanager
def timed_fragments(ticks: list[Spent]) -> Iterator[None]:
    """Note what a page's fragment takes, which is all that a tick draws."""
    fragment = st.fragment

    def timed(draw: Callable[..., None], *, run_every: float | None) -> Callable[..., None]:
        def draw_timed(*arguments: Any, **options: Any) -> None:
            ticks.append(spent_by(lambda: draw(*arguments, **options)))

        return fragment(draw_timed, run_every=run_every)

    with mock.patch.object(st, "fragment", timed):
        yield


if __name__ == "__main__":
    main()
