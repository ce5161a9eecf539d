"""Everything a person does, again and again: does anything grow, break, or stay behind?

    python -m tests.soak.soak --minutes 30        (or: make soak MINUTES=30)

On a home of its own, with a real server, real trainers and, where there is one, a real browser: train a tiny run, stop
it, resume it, extend it, evaluate it, segment a photo with it, open every page, delete the runs before. After each
round the server's memory and open files are noted. At the end there is a table for people and, as the last line, one
JSON document; exit 1 if something raised or was logged, stayed behind, or grows.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import psutil
from playwright.sync_api import Browser

from core import jobs
from core.home import PROJECT_ROOT
from core.training.run import edits, evaluations, folders
from core.training.run.folders import Run, create_run
from core.training.run.log import read_log
from core.training.run.records import Epoch, Step
from core.training.settings.config import TrainingConfig
from tests.processes import SETTINGS, trainers, until, until_record, until_state
from tests.small_data import write_voc
from tests.soak.dashboard import CHROMIUM, Server, browsing, serving, visit

PAGES = ("", "dataset", "label", "train", "compare", "present", "segment")

EXPECTED = frozenset(
    {"config.json", "about.json", "estimate.json", "log.jsonl", "log.csv", "lock", "trainer.log", "eval", "samples",
     "best.pt", "last.pt"}
)  # fmt: skip
"""What a run's folder holds beside its milestones once nobody works there."""

WARM_ROUNDS = 2
"""Rounds in which caches fill, which is not growth."""

MOST_GROWTH_MB_PER_ROUND = 8.0
MOST_NEW_FILES = 120
"""Open files more at the end than after the warm rounds: Streamlit holds three for each session of the last 120 s."""

OTHERS = ("playwright", "torchinductor_")
"""What the browser and torch keep in the temporary folder."""


@dataclass(frozen=True)
class Sample:
    """The server after a round."""

    round: int
    time_s: float
    memory_mb: float
    open_files: int
    threads: int
    home_mb: float


@dataclass
class Soak:
    """What happened so far."""

    samples: list[Sample] = field(default_factory=list)
    seconds: dict[str, list[float]] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    late: list[str] = field(default_factory=list)
    """Pictures of a live run that were replaced before the browser fetched them: one epoch is shorter than a look."""

    @contextmanager
    def doing(self, what: str) -> Iterator[None]:
        """Time a step; what it raises is noted, and the next step goes on."""
        began_s = time.monotonic()
        try:
            yield
        except Exception as error:  # noqa: BLE001 - whatever it is, it is what is looked for
            self.errors.append(f"{what}: {type(error).__name__}: {str(error).splitlines()[0][:300]}")
        self.seconds.setdefault(what, []).append(time.monotonic() - began_s)


def main() -> int:
    """Soak for the minutes that were asked for, print what was found, and return the exit code."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--minutes", type=float, default=30.0, help="how long (default: 30); one round at least")
    minutes = asked.parse_args().minutes
    soak, began_s = Soak(), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="atrous-soak-") as folder:
        home = Path(folder) / "home"
        (home / "tmp").mkdir(parents=True)
        os.environ |= {"ATROUS_HOME": str(home), "TMPDIR": str(home / "tmp")}
        data = write_voc(Path(folder) / "data" / "VOC2012")
        with serving(home) as server, browsing() as browser:
            rounds = 0
            while rounds == 0 or (server.process.poll() is None and time.monotonic() - began_s < 60 * minutes):
                rounds += 1
                play(soak, rounds, data, server, browser)
                if server.process.poll() is None:
                    soak.samples.append(look(rounds, began_s, psutil.Process(server.process.pid), home))
                    print_sample(soak.samples[-1])
            soak.errors += server.trouble()
        soak.left += left_behind(home)
    return conclude(soak, minutes, has_browser=bool(CHROMIUM))


# --- a round ----------------------------------------------------------------------------------------------------------


def play(soak: Soak, number: int, data: Path, server: Server, browser: Browser | None) -> None:
    """Do once what a person does."""
    config = TrainingConfig(**SETTINGS | {"epochs": 40, "seed": number})
    run = create_run(f"round {number}", data, "report", config)
    with soak.doing("train"):
        folders.start(run)
        until_record(run, Epoch)
    with soak.doing("look while it trains"):
        visit(soak.errors, server, browser, ("", "train"), run, late=soak.late)
    with soak.doing("stop"):
        jobs.request_stop(run.path)
        until_state(run, "stopped")
    with soak.doing("resume"):
        folders.start(run)
        until_record(run, Step)
        jobs.request_stop(run.path)
        until_state(run, "stopped")
    with soak.doing("extend"):
        done = len(read_log(run.log_path).epochs)
        folders.start(run, extend_to=done + 1)
        until_state(run, "finished")
    with soak.doing("evaluate"):
        evaluate(run, data)
    with soak.doing("segment"):
        segment(run, data)
    with soak.doing("look at all pages"):
        visit(soak.errors, server, browser, PAGES, run)
    with soak.doing("delete"):
        for old in folders.list_runs()[2:]:
            edits.delete(old)


def evaluate(run: Run, data: Path) -> None:
    """Score the best checkpoint in a process of its own, as Compare does."""
    evaluations.start(run.eval_dir, run.path / "best.pt", str(data), "train")
    job = evaluations.job_folder(run.eval_dir, run.path / "best.pt", "train")
    until(lambda: not jobs.is_held(job), f"the evaluation of {run.path.name}")
    if error := jobs.error(job):
        raise RuntimeError(error)


def segment(run: Run, data: Path) -> None:
    """Segment a photo on the command line."""
    photo = next(iter((data / "JPEGImages").iterdir()))
    with tempfile.TemporaryDirectory() as out:
        command = [sys.executable, "-m", "core", "segment", str(photo), "--checkpoint", str(run.path / "best.pt")]
        ended = subprocess.run(
            [*command, "--out", f"{out}/masks"], cwd=PROJECT_ROOT, capture_output=True, text=True, check=False
        )
        if ended.returncode:
            raise RuntimeError(ended.stderr.strip())


# --- what is looked at ------------------------------------------------------------------------------------------------


def look(number: int, began_s: float, server: psutil.Process, home: Path) -> Sample:
    """Note the server's memory and open files, and how much the home holds."""
    count: Callable[[], int] = getattr(server, "num_fds", None) or server.num_handles
    size = sum(file.stat().st_size for file in home.rglob("*") if file.is_file())
    return Sample(
        number, time.monotonic() - began_s, server.memory_info().rss / 1e6, count(), server.num_threads(), size / 1e6
    )


def left_behind(home: Path) -> list[str]:
    """Return what nobody should find once all is quiet: half-written files, requests to stop, strangers, processes."""
    runs = (path.parent for path in (home / "checkpoints").glob("*/config.json"))
    strangers = [
        file for folder in runs for file in folder.iterdir() if file.name not in EXPECTED and file.suffix != ".pt"
    ]
    halves = [file for file in home.rglob("*") if ".part" in file.name or file.name.endswith(".reserve")]
    temporary = [file for file in (home / "tmp").iterdir() if not file.name.startswith(OTHERS)]
    found = {str(path.relative_to(home)) for path in (*strangers, *halves, *temporary)}
    return sorted(found) + [f"process {each.pid}: {each.name()}" for each in trainers(home)]


def growth_mb(samples: list[Sample]) -> float | None:
    """Return by how much memory grows with each round, the warm ones left out; None with fewer than three others."""
    later = samples[WARM_ROUNDS:]
    if len(later) < 3:
        return None
    return statistics.linear_regression([each.round for each in later], [each.memory_mb for each in later]).slope


def conclude(soak: Soak, minutes: float, *, has_browser: bool) -> int:
    """Print the tables and the JSON document, and return the exit code."""
    if not soak.samples:
        print("The server ended in the first round: " + " / ".join(soak.errors))
        return 1
    grown = growth_mb(soak.samples)
    later = soak.samples[WARM_ROUNDS:] or soak.samples[-1:]
    new_files = soak.samples[-1].open_files - later[0].open_files
    print("\nstep                    times   median s   most s")
    for what, seconds in soak.seconds.items():
        print(f"{what:<22} {len(seconds):>6} {statistics.median(seconds):>10.1f} {max(seconds):>8.1f}")
    shown = "-" if grown is None else f"{grown:+.1f}"
    print(f"\nmemory {shown} MB a round, open files {new_files:+d}, {len(soak.errors)} errors, {len(soak.left)} left")
    for line in [*soak.errors, *(f"left: {name}" for name in soak.left)]:
        print(f"  {line}")
    figures = {
        "minutes": minutes,
        "rounds": len(soak.samples),
        "memory_mb": soak.samples[-1].memory_mb,
        "memory_growth_mb_per_round": grown,
        "open_files": soak.samples[-1].open_files,
        "new_open_files": new_files,
        "errors": len(soak.errors),
        "left": len(soak.left),
        "late_pictures": len(soak.late),
    }
    document = {"name": "soak", "device": f"CPU ({os.cpu_count()} threads)", "has_browser": has_browser}
    document |= {"figures": figures, "errors": soak.errors, "left": soak.left}
    print(json.dumps(document | {"samples": [asdict(each) for each in soak.samples]}))
    is_growing = (grown or 0.0) > MOST_GROWTH_MB_PER_ROUND or new_files > MOST_NEW_FILES
    return 1 if soak.errors or soak.left or is_growing else 0


def print_sample(sample: Sample) -> None:
    """Print a line for a round."""
    if sample.round == 1:
        print("round   after s   memory MB   open files   threads   home MB")
    print(
        f"{sample.round:>5} {sample.time_s:>9.0f} {sample.memory_mb:>11.0f} {sample.open_files:>12} "
        f"{sample.threads:>9} {sample.home_mb:>9.0f}",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
