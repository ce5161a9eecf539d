"""One of several who use the same runs and data at once: `python -m tests.programs.at_once WHO DATA`, in $ATROUS_HOME.

Each line on stdin is the seed of a round: a few acts, drawn from it, each of which must succeed and give a right
answer, or say what another has just made impossible. The answer on stdout is a line: empty, or what was wrong.
"""

import random
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import numpy as np

from core import jobs
from core.data import analysis
from core.errors import CheckpointError, RunError
from core.home import home
from core.metrics.calibration import calibration_bins
from core.metrics.image_scores import ImageResult, image_result, summarize
from core.training.run import edits, evaluations, folders
from core.training.run.folders import Run
from core.training.run.log import LogWriter, read_log
from core.training.run.records import Epoch, RunEnded
from core.training.settings.presets import preset

NUM_RUNS, NUM_KEYS, NUM_ACTS = 2, 2, 8
NAMES = ("grey", "red", "green")
CLASSES = ("background", "cat", "dog")
PARTS = (("images", "jpg"), ("masks", "png"))
STATES = {"new", "running", "crashed", "finished"}
EPOCH = Epoch(
    epoch=1, step=1, train_loss=1.0, val_loss=1.0, miou=0.5, pixel_accuracy=0.5, iou=[0.5], seconds=1.0,
    train_seconds=1.0, images_per_second=1.0, peak_memory_bytes=1, is_best=True,
)  # fmt: skip
ENDED = RunEnded(outcome="finished", reason="", epochs_done=1, best_epoch=1, best_miou=0.5)


class WrongError(Exception):
    """An answer that no order of the acts explains."""


def results_of(key: int) -> list[ImageResult]:
    """Return what was counted on three small images, the same for a key."""
    results = []
    for image in range(3):
        truth_HW, predicted_HW = np.random.default_rng([key, image]).integers(0, 3, (2, 8, 8)).astype(np.uint8)
        bins_3B = calibration_bins(np.array([0.9], dtype=np.float32), np.array([True]))
        results.append(
            image_result(f"image_{image}", truth_HW, predicted_HW, 3, loss=0.5, mask_png=b"mask", bins_3B=bins_3B)
        )
    return results


RESULTS = [results_of(key) for key in range(NUM_KEYS)]
SCORES = [summarize(results, CLASSES) for results in RESULTS]


def check(is_right: bool, what: object) -> None:
    """Raise `WrongError` with what was found unless it is right."""
    if not is_right:
        raise WrongError(what)


class User:
    """One who acts on whatever runs there are, and remembers which evaluations must be there."""

    def __init__(self, who: str, data: Path) -> None:
        self.who, self.data, self.stored, self.num_made = who, data, set[tuple[Path, int]](), 0
        self.acts: list[Callable[[Run, random.Random], None]] = [
            self.store, self.store, self.find, self.list, self.list, self.edit, self.extend, self.delete, self.analyse,
            self.change, self.job,
        ]  # fmt: skip

    def round(self, seed: str) -> None:
        """Do the acts of a seed."""
        chance, shared = random.Random(f"{seed} {self.who}"), random.Random(seed)
        for _ in range(NUM_ACTS):
            run = self.any_run(shared)  # mostly the one that the other acts on
            act = chance.choice(self.acts)
            try:
                act(run, chance)
            except (RunError, CheckpointError) as error:
                is_excused = not run.path.exists() or "being worked on" in str(error) or "being trained" in str(error)
                check(is_excused, f"{act.__name__}: {error}")

    def any_run(self, chance: random.Random) -> Run:
        """Return one of the runs, a new one if there are few."""
        there = folders.list_runs()
        if len(there) < NUM_RUNS:
            self.num_made += 1  # no two of one name: a folder would be there again after it was deleted
            return folders.create_run(f"{self.who}{self.num_made}", self.data, "demo", preset("demo"))
        return chance.choice(there)

    def store(self, run: Run, chance: random.Random) -> None:
        """Store an evaluation, as one who evaluates does."""
        key = chance.randrange(NUM_KEYS)
        kept = evaluations.store(
            run.eval_dir, checkpoint="last.pt", checkpoint_hash=f"{key}" * 64, epoch=1, split="val", data="",
            fingerprint="f" * 64, results=RESULTS[key], class_names=CLASSES, images_per_second=chance.random(),
        )  # fmt: skip
        check(kept.scores == SCORES[key], "the stored scores are others")
        self.stored.add((run.path, key))

    def find(self, run: Run, chance: random.Random) -> None:
        """Read an evaluation; one that was stored is there for as long as its run is."""
        key = chance.randrange(NUM_KEYS)
        found = evaluations.find(run.eval_dir, f"{key}" * 64, "val", chance.choice(["f" * 64, None]))
        if found is None:
            check((run.path, key) not in self.stored or not run.path.exists(), "a stored evaluation is not found")
            return
        names, counts_NKK = found.counts()
        check(found.scores == SCORES[key] and names == ["image_0", "image_1", "image_2"], "other scores were found")
        check((counts_NKK == [result.counts_KK for result in RESULTS[key]]).all(), "other counts were found")
        check(found.details() is not None, "half an evaluation was found")

    def list(self, _run: Run, _chance: random.Random) -> None:
        """Look at all runs, as Home does."""
        there, broken = folders.read_runs()
        check(not broken, broken)
        for run in there:
            state = folders.run_state(run, read_log(run.log_path))
            check(state in STATES or not run.path.exists(), state)
            for path in evaluations.stored(run.eval_dir):
                check(len(path.name.split("-")) == 3, path.name)

    def edit(self, run: Run, chance: random.Random) -> None:
        """Give a run another name, or a note; the other one's work on the other is not lost."""
        if self.who == "a":
            name = chance.choice(NAMES)
            check(edits.rename(run, name).name == name, "another name")
        else:
            note = f"note {chance.randrange(9)}"
            check(edits.set_note(run, note).note == note, "another note")

    def extend(self, run: Run, _chance: random.Random) -> None:
        """Hold a run and add to its log, as its trainer does."""
        with jobs.hold(run.path):
            writer = LogWriter(run.log_path)
            writer.write(EPOCH)
            check(folders.run_state(run, read_log(run.log_path)) == "running", "not running")
            writer.write_last(ENDED)
            writer.close()
            check(run.path.exists(), "a run was deleted under its trainer's hands")

    def delete(self, run: Run, _chance: random.Random) -> None:
        """Delete a run."""
        edits.delete(run)
        check(not run.path.exists(), "a deleted run is there")

    def analyse(self, _run: Run, _chance: random.Random) -> None:
        """Read the whole data set: six pairs, and one that comes and goes."""
        found = analysis.analyse(self.data)
        names = set(found.facts) - {"extra"}
        check(len(names) == 6, sorted(names))

    def change(self, _run: Run, _chance: random.Random) -> None:
        """Let a pair come, or go; what is stored of a state is of that state."""
        if self.who == "b":
            return
        extra = [self.data / folder / f"extra.{kind}" for folder, kind in PARTS]
        if extra[0].exists():
            for file in extra:
                file.unlink()
        else:
            for file, (_, kind) in zip(extra, PARTS, strict=True):
                file.write_bytes(next(file.parent.glob(f"*.{kind}")).read_bytes())
        if found := analysis.find(self.data):
            check(("extra" in found.facts) == extra[0].exists(), "the analysis is of another state")

    def job(self, _run: Run, _chance: random.Random) -> None:
        """Work at a job, or see how far the other one is."""
        folder = home() / "cache" / "job"
        folder.mkdir(parents=True, exist_ok=True)
        if self.who == "a":
            with jobs.running(folder) as note:
                note(1, 2)
                note(2, 2)
        progress = jobs.progress(folder)
        check(progress is None or progress.total in (0, 2), progress)
        check(jobs.error(folder) is None, jobs.error(folder))


def answer(text: str = "") -> None:
    """Answer with a line."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> None:
    """Answer every seed."""
    user = User(sys.argv[1], Path(sys.argv[2]))
    answer()
    for seed in sys.stdin:
        try:
            user.round(seed.strip())
        except Exception:  # noqa: BLE001 - whatever it is, the test says it
            answer(repr(traceback.format_exc()))
        else:
            answer()


if __name__ == "__main__":
    main()
