"""Evaluates a model on corrupted photos: seven corruptions at five levels, and the photos as they are.

Every cell (a corruption at a level) is stored as soon as it is counted (`core.training.run.robustness`).
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from core.data.corruptions import CELLS, corrupt, read_reduced
from core.data.dataset import Dataset, Sample
from core.data.images import mask_image, png_bytes
from core.data.seeding import fraction_of
from core.errors import ConfigError
from core.jobs import OnProgress
from core.metrics.confusion import Counts, confusion_counts
from core.model.checkpoint.stated import NOTHING, Given
from core.model.predict.predictor import Predictor
from core.training.evaluation import open_for
from core.training.run import evaluations, robustness
from core.training.run.robustness import MAX_MASKS, PHOTOS, Robustness
from core.wording import count, duration


def evaluate_corrupted(
    path: Path,
    dataset: Dataset,
    split: str,
    on_progress: OnProgress | None = None,
    given: Given = NOTHING,
    *,
    photos: int = PHOTOS,
    on_note: Callable[[str], None] = lambda _: None,
    by: str = "python",
) -> Robustness:
    """Score a checkpoint on a seeded sample of a split under every corruption; what is stored is not counted again.

    Stored in the run's `eval/`, or in the cache for a checkpoint outside a run and for one with `given` facts.
    `on_progress` counts predictions; if it raises, the finished cells stay. `on_note` gets the cost before the start.
    Errors are those of `evaluate_checkpoint`, and `ConfigError` for fewer than one photo.
    """
    if photos < 1:
        raise ConfigError(f"--photos is {photos}; at least one photo is needed.")
    opened = open_for(path, dataset, split, given, by=by)
    samples = opened.samples
    sampled = fraction_of(samples, min(1.0, photos / len(samples)), seed=0)
    folder, checkpoint_hash = path.resolve().parent, opened.checkpoint_hash
    eval_dir = folder / "eval"
    if given != NOTHING or not (folder / "config.json").exists():
        eval_dir = robustness.cache()
        checkpoint_hash = hashlib.sha256(f"{checkpoint_hash} {given}".encode()).hexdigest()
    about = Robustness(
        path=eval_dir,
        checkpoint=path.name,
        checkpoint_hash=checkpoint_hash,
        epoch=opened.meta.epoch,
        split=split,
        data=str(dataset.root),
        fingerprint=opened.fingerprint,
        class_names=dataset.class_names,
        names=tuple(sample.name for sample in sampled),
        split_images=len(samples),
    )
    store = robustness.open_store(eval_dir, about)
    for repair in opened.repairs:
        on_note(f"{path.name}: {repair}.")
    if not store.is_complete:
        on_note(_cost(store, eval_dir))
    robustness.forget_others(store)
    for corruption, level, counts_NKK, masks in _counted(store, opened.predictor, sampled, on_progress):
        opened.refuse_changed(dataset, path)
        store.store(corruption, level, counts_NKK, masks)
    return store


def _cost(store: Robustness, eval_dir: Path) -> str:
    """Return in words how many predictions are left, and how long they take where the speed is known."""
    left = (len(CELLS) - len(store.done)) * len(store.names)
    said = f"{count(len(CELLS), 'version')} of {count(len(store.names), 'photo')} of {store.split}"
    known = evaluations.find(eval_dir, store.checkpoint_hash, store.split, store.fingerprint)
    takes = robustness.seconds(left, known.images_per_second if known else None)
    return f"{said}: {count(left, 'prediction')} to go{f', about {duration(takes)}' if takes else ''}."


def _counted(
    store: Robustness, predictor: Predictor, samples: Sequence[Sample], on_progress: OnProgress | None
) -> Iterator[tuple[str, int, Counts, list[bytes]]]:
    """Yield every cell that is missing: corruption, level, counts_NKK and masks."""
    missing = [cell for cell in CELLS if cell not in store.done]
    num_done, total = (len(CELLS) - len(missing)) * len(samples), len(CELLS) * len(samples)
    if on_progress:
        on_progress(num_done, total)
    for corruption, level in missing:
        counted, masks = list[Counts](), list[bytes]()
        for sample in samples:
            counts_KK, mask_png = _predicted(predictor, sample, corruption, level, len(store.class_names))
            counted.append(counts_KK)
            masks += [mask_png] if len(masks) < MAX_MASKS else []
            num_done += 1
            if on_progress:
                on_progress(num_done, total)
        yield corruption, level, np.array(counted, dtype=np.int64), masks


def _predicted(
    predictor: Predictor, sample: Sample, corruption: str, level: int, num_classes: int
) -> tuple[Counts, bytes]:
    pair = corrupt(read_reduced(sample, num_classes), corruption, level, sample.name)
    predicted_HW = predictor.predict(pair.photo).mask_HW
    return confusion_counts(pair.mask_HW, predicted_HW, num_classes), png_bytes(mask_image(predicted_HW))
