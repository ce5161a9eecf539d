"""Trying everything that a leg is about to do, once, before hours are spent on it.

One real step, a checkpoint written and opened again, an evaluation of whole photos, room on the disk and in memory.
The training that follows is bit for bit the one without: weights, statistics, optimizer, progress and random numbers
are put back.
"""

import math
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from core.data.loading.decoded_pairs import SquarePairs
from core.errors import RunError
from core.model.predict.predictor import Predictor
from core.training.distributed import Order
from core.training.evaluation import evaluate
from core.training.loop import TrainingLoop
from core.training.memory import available_bytes, peak_memory_bytes
from core.training.progress import Progress
from core.training.records import Preflight, Preparing, Record, Warned
from core.wording import megabytes

NUM_PHOTOS = 2
"""Validation photos that are evaluated at most."""

PROBE = ".preflight.pt"

DISK_MARGIN_BYTES = 100_000_000
"""Left over for the log, samples and evaluations, and for other programs."""

MEMORY_MARGIN_BYTES = 200_000_000
"""With less than this left after a step, the system is about to end programs."""

ACTS = ("Trying one training step", "Trying to save and reopen a checkpoint", "Trying an evaluation")


def preflight(
    loop: TrainingLoop, folder: Path, save: Callable[[Path], None], files: Mapping[str, bool]
) -> Iterator[Record]:
    """Try a step, a checkpoint and an evaluation; yields what goes on, and a `Preflight` last.

    What does not work raises `CoreError`; the probe is removed and the loop is as before in any case.

    Args:
        loop: the loop that will train, all of its state loaded.
        folder: the run's.
        save: writes a last.pt of the loop to a file and verifies it.
        files: the checkpoints this leg will write, and whether each carries the optimizer.
    """
    began_s = time.perf_counter()
    with _undone(loop):
        yield _act(0)
        loop.world.order(Order.TRY)
        step_seconds, warnings = _step(loop)
        yield from warnings
        free_memory_bytes = available_bytes(loop.device)
        yield _act(1)
        checkpoint_bytes = _size_saved(folder / PROBE, save)
        weights_bytes = _bytes_of(loop.model.state_dict())
        yield _act(2)
        eval_seconds = _evaluate(loop)
    sizes = {name: checkpoint_bytes if is_last else weights_bytes for name, is_last in files.items()}
    told = Preflight(
        seconds=time.perf_counter() - began_s,
        step_seconds=step_seconds,
        eval_seconds_per_image=eval_seconds,
        checkpoint_bytes=checkpoint_bytes,
        needed_disk_bytes=needed_bytes(folder, sizes),
        free_disk_bytes=shutil.disk_usage(folder).free,
        free_memory_bytes=free_memory_bytes,
        peak_memory_bytes=peak_memory_bytes(loop.device),
    )
    check_room(told, folder)
    yield told


def rehearse(loop: TrainingLoop) -> None:
    """Take part in the step that the first process tries; the loop is as before in any case."""
    with _undone(loop):
        _step(loop)


def _act(number: int) -> Preparing:
    return Preparing(doing=ACTS[number], done=number, total=len(ACTS))


def needed_bytes(folder: Path, sizes: Mapping[str, int]) -> int:
    """Return the bytes that writing checkpoints of these sizes by name still takes, and a margin.

    What is there already is replaced; the largest counts once more, since a file is whole before it takes another's
    place.
    """
    there = {name: file.stat().st_size if (file := folder / name).exists() else 0 for name in sizes}
    return sum(max(0, size - there[name]) for name, size in sizes.items()) + max(sizes.values()) + DISK_MARGIN_BYTES


def check_room(told: Preflight, folder: Path) -> None:
    """Raise `RunError` if the disk or the memory will not do."""
    if told.free_disk_bytes < told.needed_disk_bytes:
        raise RunError(
            f"The disk of {folder} has {megabytes(told.free_disk_bytes)} free, but the checkpoints of this run need "
            f"{megabytes(told.needed_disk_bytes)}; make room and start it again."
        )
    if told.free_memory_bytes < MEMORY_MARGIN_BYTES:
        raise RunError(
            f"After one step only {megabytes(told.free_memory_bytes)} of memory are free; close other programs, or "
            "start a new run with a smaller batch_size or image_size."
        )


# --- the acts ---------------------------------------------------------------------------------------------------------


@contextmanager
def _undone(loop: TrainingLoop) -> Iterator[None]:
    """Put a loop back at the end of a `with` block: all that a last.pt would hold, and torch's random state.

    Until then that lies in the machine's memory, not in a GPU's.
    """
    with torch.random.fork_rng(devices=[loop.device] if loop.device.type == "cuda" else []):
        weights, state = kept(loop.model.state_dict()), kept(loop.state())
        try:
            yield
        finally:
            loop.load_state(weights, state)


def kept(value: Any) -> Any:
    """Return a copy of a state in the machine's memory."""
    if isinstance(value, torch.Tensor):
        return value.detach().to("cpu", copy=True)
    if isinstance(value, Mapping):
        return {name: kept(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(kept(each) for each in value)
    return value


def _bytes_of(state: Mapping[str, torch.Tensor]) -> int:
    return sum(tensor.nbytes for tensor in state.values())


def _step(loop: TrainingLoop) -> tuple[float, list[Warned]]:
    """Take the first step of an epoch; returns the seconds it took, and what the loop warned of."""
    loop.progress = Progress()  # the run's own may stand at the end of an epoch
    began_s = time.perf_counter()
    records = list(loop.train_epoch(lambda: loop.progress.steps_done > 0))
    if loop.device.type == "cuda":
        torch.cuda.synchronize(loop.device)
    return time.perf_counter() - began_s, [record for record in records if isinstance(record, Warned)]


def _size_saved(probe: Path, save: Callable[[Path], None]) -> int:
    """Save a checkpoint, remove it, and return the bytes it had."""
    try:
        save(probe)
        return probe.stat().st_size
    finally:
        probe.unlink(missing_ok=True)


def _evaluate(loop: TrainingLoop) -> float:
    """Segment whole photos and return the seconds for one; answers that are no numbers raise `RunError`."""
    size, geometry = loop.config.image_size, loop.config.geometry
    predictor = Predictor(loop.model, image_size=size, geometry=geometry, device=loop.device)
    began_s = time.perf_counter()
    pairs = SquarePairs(loop.val_samples[:NUM_PHOTOS], len(loop.classes), size, geometry)
    losses = [result.loss for result in evaluate(predictor, pairs, loop.classes)]
    if not all(math.isfinite(loss) for loss in losses):
        raise RunError("After one step the model answers with NaN; start a new run with a smaller learning_rate.")
    return (time.perf_counter() - began_s) / len(losses)
