"""Evaluating a model on whole images at the masks' own size."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.classes import Classes
from core.data.dataset import Dataset, fingerprint
from core.data.images import mask_image, png_bytes
from core.data.loading.decoded_pairs import SquarePairs, WholePair
from core.errors import CheckpointError, DataError
from core.jobs import OnProgress
from core.metrics.calibration import Bins, calibration_bins
from core.metrics.confusion import Counts
from core.model.checkpoint.checkpoint_file import CheckpointMeta, open_checkpoint
from core.model.checkpoint.stated import NOTHING, Given
from core.model.predict.predictor import Predictor, open_predictor
from core.model.predict.upsampling import resolve
from core.training.distributed import World
from core.training.features import FeaturePairs
from core.training.loss import cross_entropy
from core.training.run import evaluations
from core.training.run.evaluations import ImageResult, judge
from core.voc import VOID
from core.wording import count


@dataclass(frozen=True)
class Evaluated:
    """A checkpoint's results on a split; `repairs` tells in words what was mended in a foreign file.

    `number_format` is that of the model, fp32 or bf16: `precision` is a score.
    """

    meta: CheckpointMeta
    repairs: tuple[str, ...]
    results: tuple[ImageResult, ...]
    images_per_second: float
    number_format: str

    def speed(self) -> dict[str, Any]:
        """Return how fast it was, and in what, as JSON types."""
        return {"images_per_second": self.images_per_second, "number_format": self.number_format}


@dataclass(frozen=True)
class Scored:
    """What `evaluate --json` prints of a checkpoint, the images' names and their counts_NKK; `repairs` in words."""

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
) -> Evaluated:
    """Score a checkpoint file on a split; where the file lies in a run folder, the run's `eval/` keeps the result.

    What a person has `given` of the file changes its scores, so such a result is not kept. A checkpoint with other
    classes than the data raises `DataError`.
    """
    samples = dataset.split(split)
    # Before anything is opened: a trainer may put another checkpoint in its place meanwhile.
    checkpoint_hash, data_fingerprint = evaluations.file_hash(path), fingerprint(samples)
    predictor, opened = open_predictor(open_checkpoint(path, given))
    meta = opened.meta
    _check_classes(path, meta, dataset, is_named=bool(meta.config or given.classes))
    results, began_s = [], time.perf_counter()
    pairs = SquarePairs(samples, dataset.num_classes, predictor.image_size, predictor.geometry)
    for result in evaluate(predictor, pairs, dataset.classes):
        results.append(result)
        if on_progress:
            on_progress(len(results), len(samples))
    images_per_second = len(results) / (time.perf_counter() - began_s)
    evaluated = Evaluated(meta, opened.repairs, tuple(results), images_per_second, predictor.precision)
    folder = path.resolve().parent
    if fingerprint(samples) != data_fingerprint:
        raise DataError(
            f"Photos or masks in {dataset.root} changed while {path.name} was evaluated; evaluate it again."
        )
    if (folder / "config.json").exists() and given == NOTHING:
        if evaluations.file_hash(path) != checkpoint_hash:
            raise CheckpointError(f"{path} was replaced while it was evaluated; evaluate it again.")
        evaluations.store(
            folder / "eval",
            checkpoint=path.name,
            checkpoint_hash=checkpoint_hash,
            epoch=meta.epoch,
            step_in_epoch=meta.step_in_epoch,
            split=split,
            data=str(dataset.root),
            fingerprint=data_fingerprint,
            results=results,
            class_names=dataset.class_names,
            images_per_second=images_per_second,
            number_format=predictor.precision,
        )
    return evaluated


def score_checkpoint(
    path: Path,
    dataset: Dataset,
    split: str,
    on_progress: OnProgress | None = None,
    on_note: Callable[[str], None] = lambda _: None,
) -> Scored:
    """Return what a checkpoint scores on a split: the stored evaluation of this file on this data, else a new one.

    Where the stored one counted photos by their size, `on_note` gets a sentence that says so.
    """
    eval_dir, checkpoint_hash = path.resolve().parent / "eval", evaluations.file_hash(path)
    found = evaluations.find(eval_dir, checkpoint_hash, split, fingerprint(dataset.split(split)))
    about = {"checkpoint": str(path), "split": split}
    if found:
        return Scored(found.as_dict() | about, *found.counts())
    if evaluations.is_by_size(eval_dir, checkpoint_hash, split):
        on_note(f"{path.name} {evaluations.BY_SIZE}: evaluating it again.")
    evaluated = evaluate_checkpoint(path, dataset, split, on_progress)
    scores = evaluations.summarize(evaluated.results, dataset.class_names)
    return Scored(
        about | scores.as_dict() | evaluated.speed(),
        [result.name for result in evaluated.results],
        np.array([result.counts_KK for result in evaluated.results], dtype=np.int64),
        evaluated.repairs,
    )


def _check_classes(path: Path, meta: CheckpointMeta, dataset: Dataset, *, is_named: bool) -> None:
    """Refuse data whose ids mean something else; a foreign file whose classes nobody names has only their number."""
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
    predictor: Predictor, pairs: SquarePairs | FeaturePairs, classes: Classes, *, batch_size: int = 1
) -> Iterator[ImageResult]:
    """Segment every photo at its own size and count; yields the images in order.

    The loss is that of training, at the model's image size. A batch of more than one is faster for small images and
    rounds a little differently (`predictor`).
    """
    yield from _evaluate(predictor, pairs, range(len(pairs)), classes, batch_size)


def evaluate_together(
    world: World, predictor: Predictor, pairs: SquarePairs | FeaturePairs, classes: Classes, *, batch_size: int
) -> Iterator[ImageResult]:
    """Do what `evaluate` does, every process its part; each yields the results of all, which are those of one."""
    for first in range(0, len(pairs), batch_size * world.size):
        own = range(first, min(first + batch_size * world.size, len(pairs)))[world.rank * batch_size :][:batch_size]
        yield from world.gathered(list(_evaluate(predictor, pairs, own, classes, batch_size)))


def _evaluate(
    predictor: Predictor, pairs: SquarePairs | FeaturePairs, indices: range, classes: Classes, batch_size: int
) -> Iterator[ImageResult]:
    for first in range(0, len(indices), batch_size):
        batch = indices[first : first + batch_size]
        read = [pairs.with_truth(index) for index in batch]
        logits_NKSS = predictor.logits_of(torch.stack([pair.photo_3SS for pair in read]))
        for index, pair, logits_KSS in zip(batch, read, logits_NKSS, strict=True):
            height, width = pair.truth_HW.shape
            logits_Khw = predictor.part_of(logits_KSS, (height, width))
            predicted_HW = resolve(logits_Khw, (height, width)).mask_HW
            yield _judge(pairs.samples[index].name, pair, logits_KSS, predicted_HW, classes)


def _judge(
    name: str, pair: WholePair, logits_KSS: Tensor, predicted_HW: NDArray[np.uint8], classes: Classes
) -> ImageResult:
    truth_SS = pair.mask_SS.to(logits_KSS.device, torch.int64)
    return judge(
        name,
        pair.truth_HW,
        predicted_HW,
        len(classes),
        loss=float(cross_entropy(logits_KSS[None], truth_SS[None])),
        mask_png=png_bytes(mask_image(predicted_HW, classes.palette)),
        bins_3B=_calibration(logits_KSS, truth_SS),
    )


def _calibration(logits_KSS: Tensor, truth_SS: Tensor) -> Bins:
    confidence_SS, predicted_SS = logits_KSS.softmax(dim=0).max(dim=0)
    # Weights that ran away answer with NaN, which is told by the loss; it has no place among confidences.
    counted_SS = (truth_SS != VOID) & confidence_SS.isfinite()
    is_right = predicted_SS[counted_SS] == truth_SS[counted_SS]
    return calibration_bins(confidence_SS[counted_SS].cpu().numpy(), is_right.cpu().numpy())
