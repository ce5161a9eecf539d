"""Computes the figures of `core.training.trust`: one pass over held-out photos, one over training photos."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.data.dataset import TEST, Dataset, Sample, fingerprint, open_dataset
from core.data.hashing import hashes
from core.data.images import read_photo
from core.data.loading.decoded_pairs import SquarePairs, WholePair
from core.errors import CheckpointError, DataError
from core.jobs import OnProgress
from core.metrics.calibration import BINS, Bins, calibration_bins
from core.metrics.confusion import Counts
from core.metrics.risk import confidence_counts
from core.metrics.temperature import TEMPERATURES
from core.metrics.unlikeness import MAX_REFERENCE, Reference
from core.model.predict.predictor import Features, Predictor
from core.model.predict.upsampling import resolve
from core.model.weights.pretrained import checkpoint_file
from core.training import trust
from core.training.evaluation import open_for
from core.training.run import evaluations
from core.training.run.folders import Run, open_run
from core.training.run.trained_on import began_from_starter
from core.training.run.trained_on import trained_on as trained_on_hashes
from core.training.trust import About, Trust
from core.voc import VOID

LOGITS_ON_A_SIDE = 80
"""Temperatures are fitted on about so many logits a side: their map is coarser than this before it is upsampled."""


@dataclass(frozen=True)
class HeldOut:
    """What is counted on one held-out photo; arrays as in `Trust`, without N, and without halves."""

    truth_K: Counts
    counts_2L: Counts
    nll_T: NDArray[np.float64]
    bins_T3B: NDArray[np.float64]
    features: tuple[NDArray[np.float32], ...]


def held_out(predictor: Predictor, pair: WholePair, num_classes: int) -> HeldOut:
    """Segment a photo as `segment` does, and count."""
    size = pair.truth_HW.shape
    logits_KSS, features = predictor.described_square(pair.photo_3SS, size)
    found = resolve(predictor.part_of(logits_KSS, size), size, with_confidence=True)
    assert found.confidence_HW is not None  # noqa: S101 - it was asked for
    confidence_HW, is_counted_HW = np.nan_to_num(found.confidence_HW), pair.truth_HW != VOID
    is_right_HW = found.mask_HW == pair.truth_HW
    return HeldOut(
        np.bincount(pair.truth_HW[is_counted_HW], minlength=num_classes),
        confidence_counts(confidence_HW[is_counted_HW], is_right_HW[is_counted_HW]),
        *_by_temperature(logits_KSS, pair.mask_SS),
        _on_cpu(features),
    )


def _on_cpu(features: Features) -> tuple[NDArray[np.float32], ...]:
    return features.last_C.cpu().numpy(), features.early_C.cpu().numpy()


def _by_temperature(logits_KSS: Tensor, truth_SS: Tensor) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return nll_T and bins_T3B of a photo: summed negative log-likelihood, and calibration, at each temperature."""
    step = max(1, logits_KSS.shape[-1] // LOGITS_ON_A_SIDE)
    truth_P = truth_SS[::step, ::step].reshape(-1).to(logits_KSS.device, torch.int64)
    logits_KP = logits_KSS[:, ::step, ::step].flatten(1)
    counted = (truth_P != VOID) & logits_KP.isfinite().all(dim=0)
    truth_P, logits_KP = truth_P[counted], logits_KP[:, counted].double()
    if not len(truth_P):
        return np.zeros(len(TEMPERATURES)), np.zeros((len(TEMPERATURES), 3, BINS))
    best_P, predicted_P = logits_KP.max(dim=0)
    below_KP, is_right = logits_KP - best_P, (predicted_P == truth_P).cpu().numpy()
    below_P = below_KP.gather(0, truth_P[None])[0]
    nll, bins = list[float](), list[Bins]()
    for value in TEMPERATURES:
        log_total_P = (below_KP / value).logsumexp(dim=0)
        nll.append(float((log_total_P - below_P / value).sum()))
        bins.append(calibration_bins((-log_total_P).exp().float().cpu().numpy(), is_right))
    return np.array(nll), np.array(bins)


def trust_checkpoint(
    checkpoint: Path | str, dataset: Dataset, split: str = "val", trained_on: Sequence[Path] = (), *,
    on_progress: OnProgress | None = None, on_note: Callable[[str], None] = lambda _: None,
) -> Trust:  # fmt: skip
    """Return a checkpoint's figures on a split: the stored ones of this file on this data, else new ones.

    Those of a run's checkpoint, whose log says what it trained on, are stored in the run's `eval/`. `trained_on` names
    data sets instead, whose photos outside val and test the model trained on; such figures are not stored.
    Stored ones of version 1, which know the distance of the last map alone, are counted again.
    """
    if split == TEST:
        raise DataError("Thresholds are chosen on val; the split test is for the last question. Leave --split out.")
    file = checkpoint_file(checkpoint)
    eval_dir = file.resolve().parent / "eval"
    run = open_run(eval_dir.parent) if (eval_dir.parent / "config.json").exists() and not trained_on else None
    if run:
        data_fingerprint = fingerprint(dataset.split(split))
        stored = trust.stored(eval_dir, evaluations.file_hash(file), split, data_fingerprint)
        if stored and stored.about.schema == trust.SCHEMA:
            return stored
    elif not trained_on:
        raise DataError(f"What {checkpoint} trained on is not known here; name its data sets with --trained-on.")
    samples = _of_run(run) if run else [each for path in trained_on for each in _outside(open_dataset(path))]
    if run and began_from_starter(run):
        on_note("It began from the starter: held-out photos that the starter trained on make its promises too high.")
    found = compute_trust(file, dataset, split, samples, on_progress or (lambda _done, _of: None))
    if run:
        trust.write(trust.place(eval_dir, found.about.checkpoint_hash, split, found.about.fingerprint), found)
    return found


def _of_run(run: Run) -> list[Sample]:
    """Return the photos that a run trained on by its log; if they are not known, raise `DataError`."""
    known, dataset = trained_on_hashes(run), open_dataset(Path(run.data))
    if known is None:
        raise DataError(
            f"What {run.name} trained on is not known any more: the lists, photos or masks of {run.data} have changed "
            "since. Name data sets with --trained-on."
        )
    everything = list({each.photo: each for its in dataset.splits.values() for each in its}.values())
    digests = hashes([each.photo for each in everything])
    return [each for each, digest in zip(everything, digests, strict=True) if digest in known]


def _outside(dataset: Dataset) -> list[Sample]:
    """Return the photos of a data set that are in neither val nor test: lists such as trainval overlap."""
    closed = {each.photo for name in ("val", TEST) for each in dataset.splits.get(name, ())}
    return [each for its in dataset.splits.values() for each in its if each.photo not in closed]


def compute_trust(
    file: Path, dataset: Dataset, split: str, trained_on: Sequence[Sample], on_progress: OnProgress
) -> Trust:
    """Return a checkpoint's figures on a split.

    Photos of the split that the model trained on are left out; at most `MAX_REFERENCE` of `trained_on`, evenly spaced,
    are the references. One photo at a time is in memory. `on_progress` counts the photos of both.
    """
    opened = open_for(file, dataset, split, by="command")
    predictor = opened.predictor
    samples, trained = _apart(dataset, split, trained_on)
    reference = trained[:: -(-len(trained) // MAX_REFERENCE)]
    total = len(samples) + len(reference)
    pairs = SquarePairs(samples, dataset.num_classes, predictor.image_size, predictor.geometry)
    truth_K, counts = np.zeros(dataset.num_classes, np.int64), list[Counts]()
    features = list[tuple[NDArray[np.float32], ...]]()
    nll_2T, bins_2T3B = np.zeros((2, len(TEMPERATURES))), np.zeros((2, len(TEMPERATURES), 3, BINS))
    for index in range(len(samples)):
        found = held_out(predictor, pairs.with_truth(index), dataset.num_classes)
        truth_K += found.truth_K
        nll_2T[index % 2] += found.nll_T
        bins_2T3B[index % 2] += found.bins_T3B
        counts.append(found.counts_2L)
        features.append(found.features)
        on_progress(len(features), total)
    for sample in reference:
        features.append(_on_cpu(predictor.features(read_photo(sample.photo))))
        on_progress(len(features), total)
    opened.refuse_changed(dataset, file)
    last_MC, early_MC = (np.array(each) for each in zip(*features, strict=True))
    if not (np.isfinite(last_MC).all() and np.isfinite(early_MC).all()):
        raise CheckpointError(f"{file.name} computes features that are not finite; train it again.")
    n = len(samples)
    references = (Reference.of(last_MC[n:]), Reference.of(early_MC[n:], is_whitened=True))
    about = About(
        file.name, opened.checkpoint_hash, split, opened.fingerprint, tuple(dataset.class_names), predictor.precision,
        len(trained),
    )  # fmt: skip
    distance_NR = np.stack(
        [of.distance(each[:n]) for of, each in zip(references, (last_MC, early_MC), strict=True)], axis=1
    )
    names = tuple(each.name for each in samples)
    return Trust(about, names, truth_K, np.array(counts), nll_2T, bins_2T3B, distance_NR, references)


def _apart(dataset: Dataset, split: str, trained_on: Sequence[Sample]) -> tuple[list[Sample], list[Sample]]:
    """Return the photos of a split that are not trained on, and the trained ones, once; none: `DataError`."""
    everything = dataset.split(split)
    trained = dict(zip(hashes([each.photo for each in trained_on]), trained_on, strict=True))
    digests = hashes([each.photo for each in everything])
    samples = [each for each, digest in zip(everything, digests, strict=True) if digest not in trained]
    if not trained:
        raise DataError(f"{dataset.root} has no photos to train on, with which others could be compared.")
    if not samples:
        raise DataError(f"The model trained on every photo of {split}; nothing held out is left to promise by.")
    return samples, list(trained.values())
