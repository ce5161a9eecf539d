"""The preflight: everything that a leg does, tried once before hours are spent on it, and warnings about its data.

It takes one real step, writes and reopens a checkpoint, evaluates whole photos, and checks disk space and memory. It
then restores weights, statistics, optimizer, progress and random numbers: the training is bit for bit the same.
"""

import itertools
import math
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from core.classes import Classes
from core.data.dataset import Sample
from core.data.doctor.mask_checks import check_mask
from core.data.doctor.problems import Problem
from core.data.hashing import hashes
from core.data.images import load_picture
from core.data.loading.decoded_pairs import SquarePairs
from core.data.pair_names import JPEG_SUFFIXES
from core.data.statistics.split_stats import MAX_THREADS
from core.errors import DataError, RunError
from core.model.device import synchronize
from core.model.predict.predictor import Predictor
from core.training.distributed import Order
from core.training.evaluation import evaluate
from core.training.loop.loop import TrainingLoop
from core.training.loop.memory import available_bytes, peak_memory_bytes
from core.training.loop.progress import RunProgress
from core.training.run.records import Preflight, Preparing, Record, Warned
from core.voc import BACKGROUND
from core.wording import count, megabytes

NUM_PHOTOS = 2
"""The most validation photos that the preflight evaluates."""

NUM_STEPS = 3
"""Steps after which the seconds of one are known; the first of a process takes longer than the others."""

PROBE = ".preflight.pt"

DISK_MARGIN_BYTES = 100_000_000
"""Reserved for the log, samples, evaluations and other programs."""

MEMORY_MARGIN_BYTES = 200_000_000
"""With less than this free after a step, the system may soon kill programs."""

ACTS = ("Trying one training step", "Trying to save and reopen a checkpoint", "Trying an evaluation")

ALL_VOID = "all void"
VOID_SHARE = 0.1
"""No warning while at most this share of the masks is all void: the other masks suffice."""


def preflight(
    loop: TrainingLoop, folder: Path, save: Callable[[Path], None], files: Mapping[str, bool]
) -> Iterator[Record]:
    """Try a step, a checkpoint and an evaluation; yields `Preparing` records, warnings, and a `Preflight` last.

    `save` writes a last.pt of the loop to a file and verifies it; `files` are the checkpoints that this leg will write
    into the run folder, and whether each holds the optimizer. A failure raises `CoreError`. In any case the probe file
    is deleted and the loop restored.
    """
    began_s = time.perf_counter()
    with _restoring(loop):
        yield _act(0)
        loop.world.order(Order.TRY)
        step_seconds, warnings = _step(loop)
        yield from warnings
        free_memory_bytes = available_bytes(loop.device)
        yield _act(1)
        checkpoint_bytes = _size_saved(folder / PROBE, save)
        weights_bytes = sum(tensor.nbytes for tensor in loop.model.state_dict().values())
        yield _act(2)
        eval_seconds = _evaluate(loop)
    sizes = {name: checkpoint_bytes if is_last else weights_bytes for name, is_last in files.items()}
    result = Preflight(
        seconds=time.perf_counter() - began_s,
        step_seconds=step_seconds,
        eval_seconds_per_image=eval_seconds,
        checkpoint_bytes=checkpoint_bytes,
        needed_disk_bytes=needed_bytes(folder, sizes),
        free_disk_bytes=shutil.disk_usage(folder).free,
        free_memory_bytes=free_memory_bytes,
        peak_memory_bytes=peak_memory_bytes(loop.device),
    )
    check_room(result, folder)
    yield result


def preflight_step(loop: TrainingLoop) -> None:
    """Take part in the preflight's step in a process that is not rank 0, and restore the loop."""
    with _restoring(loop):
        _step(loop)


def seconds_of_step(loop: TrainingLoop) -> float:
    """Take a few steps, restore the loop, and return the seconds of the fastest with the loading of its batch.

    What the steps warn of is added to the loop's notes.
    """
    times_s: list[float] = []

    def is_enough() -> bool:
        synchronize(loop.device)
        times_s.append(time.perf_counter())
        return len(times_s) > NUM_STEPS

    with _restoring(loop):
        loop.progress = RunProgress()
        records = list(loop.train_epoch(is_enough))
        is_enough()  # the epoch may be shorter
    loop.notes += [record.message.removesuffix(".") for record in records if isinstance(record, Warned)]
    return min(after - before for before, after in itertools.pairwise(times_s[: NUM_STEPS + 1]))


def _act(number: int) -> Preparing:
    return Preparing(doing=ACTS[number], done=number, total=len(ACTS))


def needed_bytes(folder: Path, sizes: Mapping[str, int]) -> int:
    """Return the bytes that checkpoints of these sizes by file name still need on the disk, with a margin.

    They replace files of the same name; the largest counts twice, since it is written beside the file it replaces.
    """
    present = {name: file.stat().st_size if (file := folder / name).exists() else 0 for name in sizes}
    return sum(max(0, size - present[name]) for name, size in sizes.items()) + max(sizes.values()) + DISK_MARGIN_BYTES


def check_room(result: Preflight, folder: Path) -> None:
    """Raise `RunError` if disk space or memory is too small."""
    if result.free_disk_bytes < result.needed_disk_bytes:
        raise RunError(
            f"The disk of {folder} has {megabytes(result.free_disk_bytes)} free, but the checkpoints of this run need "
            f"{megabytes(result.needed_disk_bytes)}; make room and start it again."
        )
    if result.free_memory_bytes < MEMORY_MARGIN_BYTES:
        raise RunError(
            f"After one step only {megabytes(result.free_memory_bytes)} of memory are free; close other programs, or "
            "start a new run with a smaller batch_size or image_size."
        )


@contextmanager
def _restoring(loop: TrainingLoop) -> Iterator[None]:
    """Restore a loop at the end of a `with` block: everything in a last.pt, and torch's random state.

    The copy is in CPU memory, also where the loop is on a GPU.
    """
    has_many = loop.device.type in ("cuda", "xpu")  # a generator each; every step seeds the others anew
    devices, kind = ([loop.device], loop.device.type) if has_many else ([], "cuda")
    with torch.random.fork_rng(devices=devices, device_type=kind):
        weights, state = cpu_copy(loop.model.state_dict()), cpu_copy(loop.state())
        try:
            yield
        finally:
            loop.load_state(weights, state)


def cpu_copy(value: Any) -> Any:
    """Return a copy of a state in CPU memory."""
    if isinstance(value, torch.Tensor):
        return value.detach().to("cpu", copy=True)
    if isinstance(value, Mapping):
        return {name: cpu_copy(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(cpu_copy(each) for each in value)
    return value


def _step(loop: TrainingLoop) -> tuple[float, list[Warned]]:
    """Take the first step of an epoch; returns its seconds, and the loop's warnings."""
    loop.progress = RunProgress()  # the run's own may be at the end of an epoch
    began_s = time.perf_counter()
    records = list(loop.train_epoch(lambda: loop.progress.steps_done > 0))
    synchronize(loop.device)
    return time.perf_counter() - began_s, [record for record in records if isinstance(record, Warned)]


def _size_saved(probe: Path, save: Callable[[Path], None]) -> int:
    """Save a checkpoint, delete it, and return its size in bytes."""
    try:
        save(probe)
        return probe.stat().st_size
    finally:
        probe.unlink(missing_ok=True)


def _evaluate(loop: TrainingLoop) -> float:
    """Segment whole photos and return the seconds for one; a loss that is not finite raises `RunError`."""
    size, geometry = loop.config.image_size, loop.config.geometry
    predictor = Predictor(loop.model, image_size=size, geometry=geometry, device=loop.device)
    began_s = time.perf_counter()
    pairs = SquarePairs(loop.val_samples[:NUM_PHOTOS], len(loop.classes), size, geometry)
    losses = [result.loss for result in evaluate(predictor, pairs, loop.classes)]
    if not all(math.isfinite(loss) for loss in losses):
        raise RunError("After one step the model predicts NaN; start a new run with a smaller learning_rate.")
    return (time.perf_counter() - began_s) / len(losses)


def data_warnings(
    train: Sequence[Sample],
    val: Sequence[Sample],
    train_NK: NDArray[np.int64],
    val_MK: NDArray[np.int64],
    classes: Classes,
) -> list[str]:
    """Return sentences about errors that the doctor finds in readable pairs; training masks of void alone raise.

    `train_NK` and `val_MK` hold the pixels of each class in each mask, without void.
    """
    if not train_NK.any():
        raise DataError(
            f"Every training mask in {train[0].mask.parent} is all void (255), so there is nothing to train on; draw "
            "them again with a class id in each pixel."
        )
    of_train = _about_masks("training masks", train, train_NK, classes)
    return [*of_train, *_about_masks("validation masks", val, val_MK, classes), *_about_copies(train, val)]


def _about_masks(masks: str, samples: Sequence[Sample], pixels_NK: NDArray[np.int64], classes: Classes) -> list[str]:
    """Return a sentence for each kind of error; only JPEGs and masks without objects can have one and are reopened."""
    has_object_N: NDArray[np.bool_] = np.delete(pixels_NK, BACKGROUND, axis=1).sum(axis=1) > 0
    if not pixels_NK.any():
        return [f"All {masks} are void (255), so no epoch is scored and no best.pt is saved; draw them again."]
    suspects = [
        sample.mask
        for sample, has_object in zip(samples, has_object_N, strict=True)
        if not has_object or sample.mask.suffix.lower() in JPEG_SUFFIXES
    ]
    found = _errors_in(suspects, classes)
    if ALL_VOID in found and len(found[ALL_VOID][1]) <= VOID_SHARE * len(samples):
        del found[ALL_VOID]
    if not found and not has_object_N.any():
        return [f"All {masks} show background alone, so no class can be learned or scored; draw what is in the photos."]
    return [
        f"In {len(files):,} of {len(samples):,} {masks}, {files[0].name} first, the doctor finds an error ({kind}). "
        f"{detail}"
        for kind, (detail, files) in found.items()
    ]


def _errors_in(masks: Sequence[Path], classes: Classes) -> dict[str, tuple[str, list[Path]]]:
    """Return, by kind of error, the doctor's sentence and the masks that have it."""

    def problem_of(mask: Path) -> Problem | None:
        return check_mask(load_picture(mask, "mask"), classes)[1]

    found: dict[str, tuple[str, list[Path]]] = {}
    with ThreadPoolExecutor(MAX_THREADS) as pool:
        for mask, problem in zip(masks, pool.map(problem_of, masks), strict=True):
            if problem and problem.severity == "error":
                found.setdefault(problem.kind, (problem.detail, []))[1].append(mask)
    return found


def _about_copies(train: Sequence[Sample], val: Sequence[Sample]) -> list[str]:
    """Return a sentence if validation photos are training photos too, by their bytes."""
    known = set(hashes([sample.photo for sample in train]))
    val_hashes = hashes([sample.photo for sample in val])
    copies = [sample.photo.name for sample, digest in zip(val, val_hashes, strict=True) if digest in known]
    if not copies:
        return []
    trained_on = f"The model trains on {len(copies):,} of {count(len(val), 'validation photo')}, {copies[0]} first"
    return [f"{trained_on}, so the scores are too good; keep each photo in one of the two lists."]
