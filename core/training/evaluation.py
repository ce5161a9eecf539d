"""Evaluates a model on whole images at the masks' own size."""

import functools
import itertools
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.classes import Classes
from core.data.dataset import TEST, Dataset, Sample, fingerprint
from core.data.images import mask_image, png_bytes
from core.data.loading.ahead import in_turn
from core.data.loading.decoded_pairs import SquarePairs, WholePair
from core.errors import CheckpointError, DataError
from core.jobs import OnProgress
from core.metrics.calibration import BINS, Bins, calibration_bins
from core.metrics.confusion import Counts
from core.metrics.image_scores import ImageResult, image_result, summarize
from core.model.checkpoint.checkpoint_file import CheckpointMeta, OpenedCheckpoint, open_checkpoint
from core.model.checkpoint.stated import NOTHING, Given
from core.model.predict.predictor import Predictor, open_predictor
from core.model.predict.upsampling import resolve
from core.training.distributed import ALONE, World
from core.training.features import FeaturePairs
from core.training.loss import cross_entropy
from core.training.run import evaluations, openings
from core.voc import VOID
from core.wording import count

OPEN_TRIES = 5
"""A trainer saves every few seconds at most, and a checkpoint is opened in less than one."""

NUM_THREADS = min(4, os.cpu_count() or 1)
"""Threads that read and count photos. Each needs memory for a whole photo."""


@dataclass(frozen=True)
class Evaluated:
    """A checkpoint's results on a split; `repairs` are sentences about repairs of a foreign file.

    `number_format` is fp32 or bf16; it is not called precision, since that is a score.
    """

    meta: CheckpointMeta
    repairs: tuple[str, ...]
    results: tuple[ImageResult, ...]
    images_per_second: float
    number_format: str

    def speed(self) -> dict[str, Any]:
        """Return speed and number format as JSON types."""
        return {"images_per_second": self.images_per_second, "number_format": self.number_format}


@dataclass(frozen=True)
class Scored:
    """A checkpoint's document as in `evaluate --json`, the images' names and counts_NKK, and repairs in words."""

    document: dict[str, Any]
    names: list[str]
    counts_NKK: Counts
    repairs: tuple[str, ...] = ()


def evaluate_checkpoint(
    path: Path,
    dataset: Dataset,
    split: str,
    on_progress: OnProgress | None = None,
    given: Given = NOTHING,
    *,
    by: str = "python",
) -> Evaluated:
    """Score a checkpoint file on a split; a result from a run folder is stored in the run's `eval/`.

    A trainer may replace the file meanwhile: the result is of the file as it was opened, and is stored as such. A
    result with `given` facts is not stored, since they change the scores. A checkpoint with other classes than the data
    raises `DataError`. The split test is opened `by` a command, a page or python, which is recorded before any photo is
    scored; if that fails, raises `RunError`.
    """
    opened = open_for(path, dataset, split, given, by=by)
    samples, predictor = opened.samples, opened.predictor
    results, began_s = [], time.perf_counter()
    pairs = SquarePairs(samples, dataset.num_classes, predictor.image_size, predictor.geometry)
    for result in evaluate(predictor, pairs, dataset.classes):
        results.append(result)
        if on_progress:
            on_progress(len(results), len(samples))
    images_per_second = len(results) / (time.perf_counter() - began_s)
    evaluated = Evaluated(opened.meta, opened.repairs, tuple(results), images_per_second, predictor.precision)
    folder = path.resolve().parent
    opened.refuse_changed(dataset, path)
    if (folder / "config.json").exists() and given == NOTHING:
        evaluations.store(
            folder / "eval",
            checkpoint=path.name,
            checkpoint_hash=opened.checkpoint_hash,
            epoch=opened.meta.epoch,
            step_in_epoch=opened.meta.step_in_epoch,
            split=split,
            data=str(dataset.root),
            fingerprint=opened.fingerprint,
            results=results,
            class_names=dataset.class_names,
            images_per_second=images_per_second,
            number_format=predictor.precision,
        )
    return evaluated


@dataclass(frozen=True)
class OpenedFor:
    """A checkpoint that is ready to segment a split of a data set with its own classes."""

    samples: tuple[Sample, ...]
    fingerprint: str
    predictor: Predictor
    meta: CheckpointMeta
    repairs: tuple[str, ...]
    checkpoint_hash: str

    def refuse_changed(self, dataset: Dataset, path: Path) -> None:
        """Raise `DataError` if photos or masks have changed since the checkpoint was opened."""
        if fingerprint(self.samples) != self.fingerprint:
            raise DataError(
                f"Photos or masks in {dataset.root} changed while {path.name} was evaluated; evaluate it again."
            )


def open_for(path: Path, dataset: Dataset, split: str, given: Given = NOTHING, *, by: str) -> OpenedFor:
    """Open a checkpoint to evaluate it on a split; arguments and errors are those of `evaluate_checkpoint`."""
    samples = dataset.split(split)
    data_fingerprint = fingerprint(samples)
    content, checkpoint_hash = _open_whole(path, given)
    predictor, opened = open_predictor(content)
    meta = opened.meta
    _check_classes(path, meta, dataset, is_named=bool(meta.config or given.classes))
    if split == TEST:
        openings.record(dataset, data_fingerprint, path, checkpoint_hash, by)
    return OpenedFor(samples, data_fingerprint, predictor, meta, opened.repairs, checkpoint_hash)


def _open_whole(path: Path, given: Given) -> tuple[OpenedCheckpoint, str]:
    """Open a checkpoint and return it with the hash of this very content: a trainer may replace the file."""
    for _ in range(OPEN_TRIES):
        checkpoint_hash = evaluations.file_hash(path)
        opened = open_checkpoint(path, given)
        if evaluations.file_hash(path) == checkpoint_hash:
            return opened, checkpoint_hash
    raise CheckpointError(f"{path} was replaced each time it was opened; evaluate it once its training rests.")


def score_checkpoint(
    path: Path,
    dataset: Dataset,
    split: str,
    on_progress: OnProgress | None = None,
    on_note: Callable[[str], None] = lambda _: None,
    *,
    by: str = "python",
) -> Scored:
    """Return a checkpoint's scores on a split: the stored evaluation of this file on this data, else a new one.

    `on_note` gets a sentence if the stored one is from before photos were compared by content.
    """
    eval_dir, checkpoint_hash = path.resolve().parent / "eval", evaluations.file_hash(path)
    found = evaluations.find(eval_dir, checkpoint_hash, split, fingerprint(dataset.split(split)))
    about = {"checkpoint": str(path), "split": split}
    if found:
        return Scored(found.as_dict() | about, *found.counts())
    if evaluations.is_by_size(eval_dir, checkpoint_hash, split):
        on_note(f"{path.name} {evaluations.BY_SIZE}: evaluating it again.")
    evaluated = evaluate_checkpoint(path, dataset, split, on_progress, by=by)
    scores = summarize(evaluated.results, dataset.class_names)
    return Scored(
        about | scores.as_dict() | evaluated.speed(),
        [result.name for result in evaluated.results],
        np.array([result.counts_KK for result in evaluated.results], dtype=np.int64),
        evaluated.repairs,
    )


def _check_classes(path: Path, meta: CheckpointMeta, dataset: Dataset, *, is_named: bool) -> None:
    """Raise `DataError` for data with other classes; of a foreign file without names, only the number is compared."""
    is_other = not dataset.is_of(meta.class_names) if is_named else len(meta.class_names) != dataset.num_classes
    if is_other:
        raise DataError(
            f"{path} has {count(len(meta.class_names), 'class', 'classes')} ({_listed(meta.class_names)}), but "
            f"{dataset.root} has {dataset.num_classes} ({_listed(dataset.class_names)}); evaluate it on data with its "
            "own classes."
        )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:4]) + (" …" if len(names) > 4 else "")


def evaluate(
    predictor: Predictor,
    pairs: SquarePairs | FeaturePairs,
    classes: Classes,
    *,
    batch_size: int = 1,
    world: World = ALONE,
    is_whole: bool = True,
) -> Iterator[ImageResult]:
    """Segment every photo at its own size and count its pixels; yields results in the order of the pairs.

    The loss is computed as in training, at the model's image size. Larger batches are faster for small images and round
    slightly differently (`predictor`). Several processes share the batches, and each yields all results. While this
    thread runs the model, others read the next photos and count the last ones. Unless `is_whole`, they count pixels
    alone: no outlines, kinds of errors or calibration.
    """
    indices = range(len(pairs))
    starts = range(world.rank * batch_size, len(pairs) + world.rank * batch_size, batch_size * world.size)
    batches = [indices[start : start + batch_size] for start in starts]
    files = pairs.pairs if isinstance(pairs, FeaturePairs) else pairs
    pool = ThreadPoolExecutor(NUM_THREADS)
    try:
        read = in_turn(pool, files.with_truth, itertools.chain.from_iterable(batches), batch_size)
        segmented = _segment(predictor, pairs, batches, read, is_whole=is_whole)
        counted = in_turn(pool, functools.partial(_count, classes=classes), segmented, NUM_THREADS)
        for batch in batches:
            yield from world.gathered(list(itertools.islice(counted, len(batch))))
    finally:
        pool.shutdown(cancel_futures=True)


class _Segmented(NamedTuple):
    """A photo's prediction in main memory: at its own size, and in the model's square with the probabilities.

    The latter two are None unless its calibration is wanted.
    """

    name: str
    pair: WholePair
    predicted_HW: NDArray[np.uint8]
    loss: float
    confidence_SS: NDArray[np.float32] | None = None
    predicted_SS: NDArray[np.uint8] | None = None


def _segment(
    predictor: Predictor, pairs: SquarePairs | FeaturePairs, batches: Sequence[range], read: Iterator[WholePair], *,
    is_whole: bool,
) -> Iterator[_Segmented]:  # fmt: skip
    for batch in batches:
        some = list(itertools.islice(read, len(batch)))
        if some:
            inputs = [pair.photo_3SS for pair in some]
            if isinstance(pairs, FeaturePairs):  # in this thread: those that are not stored come from a model
                inputs = [pairs.pair(index)[0] for index in batch]
            logits_NKSS = predictor.logits_of(torch.stack(inputs))
            for index, pair, logits_KSS in zip(batch, some, logits_NKSS, strict=True):
                yield _segment_one(predictor, pairs.samples[index].name, pair, logits_KSS, is_whole=is_whole)


def _segment_one(predictor: Predictor, name: str, pair: WholePair, logits_KSS: Tensor, *, is_whole: bool) -> _Segmented:
    size = pair.truth_HW.shape
    truth_SS = pair.mask_SS.to(logits_KSS.device, torch.int64)
    # On a GPU all of it is under way before `resolve` waits for the mask, so the copies after it wait no more.
    loss = cross_entropy(logits_KSS[None], truth_SS[None])
    ranked = logits_KSS.softmax(dim=0).max(dim=0) if is_whole else None
    predicted_HW = resolve(predictor.part_of(logits_KSS, size), size).mask_HW
    if ranked is None:
        return _Segmented(name, pair, predicted_HW, float(loss))
    confidence_SS, predicted_SS = ranked
    return _Segmented(
        name, pair, predicted_HW, float(loss), confidence_SS.cpu().numpy(), predicted_SS.to(torch.uint8).cpu().numpy()
    )


def _count(segmented: _Segmented, classes: Classes) -> ImageResult:
    bins_3B = _calibration(segmented.pair, segmented.confidence_SS, segmented.predicted_SS)
    return image_result(
        segmented.name,
        segmented.pair.truth_HW,
        segmented.predicted_HW,
        len(classes),
        loss=segmented.loss,
        mask_png=png_bytes(mask_image(segmented.predicted_HW, classes.palette)),
        bins_3B=np.zeros((3, BINS)) if bins_3B is None else bins_3B,
        is_whole=bins_3B is not None,
    )


def _calibration(
    pair: WholePair, confidence_SS: NDArray[np.float32] | None, predicted_SS: NDArray[np.uint8] | None
) -> Bins | None:
    if confidence_SS is None or predicted_SS is None:
        return None
    truth_SS = pair.mask_SS.numpy()
    # Diverged weights predict NaN: the loss reports it, and calibration leaves it out.
    counted_SS = (truth_SS != VOID) & np.isfinite(confidence_SS)
    is_right = predicted_SS[counted_SS] == truth_SS[counted_SS]
    return calibration_bins(confidence_SS[counted_SS], is_right)
