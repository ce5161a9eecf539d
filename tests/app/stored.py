"""Evaluations as the trainer stores them, of masks that are drawn here, and a checkpoint of a small real model."""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.data.corruptions import CELLS, corrupt, read_reduced
from core.data.dataset import Sample, fingerprint, open_dataset
from core.data.images import mask_image, png_bytes, read_mask
from core.metrics.calibration import Bins, calibration_bins
from core.metrics.confusion import confusion_counts
from core.metrics.image_scores import image_result
from core.training.run import evaluations, robustness
from core.training.run.evaluations import Evaluation
from core.training.run.folders import Run
from core.training.run.robustness import Robustness
from core.voc import VOID

Mask = NDArray[np.uint8]


def guess_background(truth_HW: Mask, index: int) -> Mask:
    """Predict what the floor is made of."""
    return np.zeros_like(truth_HW)


def guess_half(truth_HW: Mask, index: int) -> Mask:
    """Predict the truth on the upper half of the first image, on all of the others."""
    predicted_HW = np.where(truth_HW == VOID, 0, truth_HW).astype(np.uint8)
    if index == 0:
        predicted_HW[predicted_HW.shape[0] // 2 :] = 0
    return predicted_HW


def bins_of(truth_HW: Mask, predicted_HW: Mask) -> Bins:
    """Return the calibration of a model that is 90 % sure of everything."""
    counted = truth_HW != VOID
    confidence = np.full(int(counted.sum()), 0.9, dtype=np.float32)
    return calibration_bins(confidence, (truth_HW == predicted_HW)[counted])


def by_size(samples: Sequence[Sample]) -> str:
    """Return the fingerprint as it was counted at first: of the photos, their size alone."""
    digest = hashlib.sha256()
    for sample in samples:
        digest.update(f"{sample.name}\0{sample.photo.stat().st_size}\0".encode() + sample.mask.read_bytes())
    return digest.hexdigest()


def store_milestone(
    run: Run, epoch: int, guess: Callable[[Mask, int], Mask], *, data: Path | None = None, file: str = "",
    step_in_epoch: int = 0, counted: Callable[[Sequence[Sample]], str] = fingerprint,
    weights: bytes = b"", split: str = "val",
) -> Evaluation:  # fmt: skip
    """Write a milestone (no real weights in it unless given) and an evaluation of what `guess` predicts."""
    dataset = open_dataset(data or run.data)
    samples = dataset.split(split)
    checkpoint = run.path / (file or f"epoch_{epoch:03d}.pt")
    checkpoint.write_bytes(weights or f"weights of {run.name} after {epoch}".encode())
    results = []
    for index, sample in enumerate(samples):
        truth_HW = read_mask(sample.mask, dataset.num_classes)
        predicted_HW = guess(truth_HW, index)
        results.append(
            image_result(
                sample.name,
                truth_HW,
                predicted_HW,
                dataset.num_classes,
                loss=1.0,
                mask_png=png_bytes(mask_image(predicted_HW)),
                bins_3B=bins_of(truth_HW, predicted_HW),
            )
        )
    return evaluations.store(
        run.eval_dir, checkpoint=checkpoint.name, checkpoint_hash=evaluations.file_hash(checkpoint), epoch=epoch,
        split=split, data=str(dataset.root),
        step_in_epoch=step_in_epoch, fingerprint=counted(samples), results=results, class_names=dataset.class_names,
    )  # fmt: skip


def store_corrupted(run: Run, epoch: int, level_from: int) -> None:
    """Store a whole evaluation on corrupted photos: all background from a level on, right below it."""
    dataset = open_dataset(run.data)
    samples, file = dataset.split("val"), run.path / f"epoch_{epoch:03d}.pt"
    stored = robustness.open_store(
        run.eval_dir,
        Robustness(
            path=run.eval_dir, checkpoint=file.name, checkpoint_hash=evaluations.file_hash(file), epoch=epoch,
            split="val", data=run.data, fingerprint=fingerprint(samples), class_names=dataset.class_names,
            names=tuple(sample.name for sample in samples), split_images=len(samples),
        ),
    )  # fmt: skip
    for name, level in CELLS:
        counts, masks = [], []
        for sample in samples:
            truth_HW = corrupt(read_reduced(sample, 21), name, level, sample.name).mask_HW
            guess_HW = np.where((truth_HW == VOID) | (level >= level_from), 0, truth_HW).astype(np.uint8)
            counts.append(confusion_counts(truth_HW, guess_HW, 21))
            masks.append(png_bytes(mask_image(guess_HW)))
        stored.store(name, level, np.array(counts), masks)
