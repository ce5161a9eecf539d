"""Reviews the labels of a data set: doubted regions and photos by quality, by models that did not train on them.

    cache/FOLDER/labels/found.json    what the last review found, for the page; FOLDER as in `core.data.analysis`

The folder is also that of the job (`core.jobs`). The models see up to 300 photos twice: the first time to find out how
sure they are of each class. One photo is in memory at a time.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from core.data import analysis
from core.data.dataset import Dataset, Sample
from core.data.images import read_pair
from core.data.repair.label_decisions import LabelRegion, pair_keys
from core.errors import DataError
from core.files import write_json
from core.jobs import OnProgress
from core.review.label_errors import SelfConfidence, Suspicion, compared_size, suspicions
from core.review.ranking import random_order
from core.review.unseen import Unseen, unseen_by
from core.wording import count

if TYPE_CHECKING:
    from PIL import Image

    from core.model.predict.predictor import Predictor

SCHEMA = 2
"""Version of the format and of the score: raise it when either changes. Decisions are kept elsewhere, and stay."""
LOOKED_AT = 300
"""Photos from which the self-confidence of the classes is taken, drawn by a hash of their names."""
LEAST_SCORE, MOST = 0.3, 500
"""Regions of a lower score are not reported, and no more than so many."""


@dataclass(frozen=True)
class Review:
    """What a review found.

    models       short names of the checkpoints
    notes        sentences on what was left out, or is not known
    suspicions   the most suspicious first
    qualities    of the labels of each photo by name, in (0, 1], the worst first
    """

    models: tuple[str, ...]
    notes: tuple[str, ...]
    suspicions: tuple[Suspicion, ...]
    qualities: dict[str, float]


def review_labels(data: Dataset, source: Path, on_progress: OnProgress | None = None) -> Review:
    """Review the labels of a data set by a study, run or checkpoint, as `unseen_by` takes them, and store the result.

    Progress counts photos, those that are seen twice twice. A photo that cannot be read is left out, in words. Other
    classes than those of the data set raise `DataError`.
    """
    notes: list[str] = []
    models = unseen_by(data, source, notes.append)
    every = [sample for model in models for sample in model.samples]
    first = frozenset(random_order(sample.name for sample in every)[:LOOKED_AT])
    done, total = 0, len(every) + len(first)
    hashed = pair_keys(every)
    confidence, found, qualities = SelfConfidence(data.num_classes), list[Suspicion](), dict[str, float]()
    for is_first in (True, False):
        thresholds_K = confidence.thresholds()
        for model in models:
            samples = [sample for sample in model.samples if not is_first or sample.name in first]
            for sample, seen in _predicted(data, model, samples):
                done += 1
                if isinstance(seen, DataError):
                    notes += [] if str(seen) in notes else [str(seen)]
                elif is_first:
                    confidence.add(*seen)
                else:
                    names = (sample.name, hashed[sample.name])
                    its, qualities[sample.name] = suspicions(names, *seen, thresholds_K, data.class_names)
                    found += [each for each in its if each.score >= LEAST_SCORE]
                if on_progress:
                    on_progress(done, total)
    found.sort(key=lambda each: (-each.score, each.region.photo, each.region.box))
    if len(found) > MOST:
        notes.append(f"{count(len(found) - MOST, 'less suspicious region')} left out; decide on these first.")
    worst_first = dict(sorted(qualities.items(), key=lambda each: (each[1], each[0])))
    labels = tuple(dict.fromkeys(model.label for model in models))
    review = Review(labels, tuple(notes), tuple(found[:MOST]), worst_first)
    store(data.root, review)
    return review


def _predicted(
    data: Dataset, model: Unseen, samples: Sequence[Sample]
) -> Iterator[tuple[Sample, tuple[NDArray[np.uint8], NDArray[np.float32]] | DataError]]:
    """Yield each photo's mask with the model's probabilities, or why the pair cannot be read."""
    from core.model.predict.predictor import open_predictor
    from core.model.weights.pretrained import open_named

    if not samples:
        return
    predictor, opened = open_predictor(open_named(model.checkpoint))
    if not data.is_of(opened.meta.class_names):
        raise DataError(
            f"{model.label} has other classes than {data.root}; review the labels by a model trained on its classes."
        )
    for sample in samples:
        try:
            photo, mask_HW = read_pair(sample.photo, sample.mask, data.num_classes)
        except DataError as error:
            yield sample, error
        else:
            yield sample, (mask_HW, _probabilities(predictor, photo, compared_size(mask_HW.shape)))


def _probabilities(predictor: "Predictor", photo: "Image.Image", size: tuple[int, int]) -> NDArray[np.float32]:
    from torch.nn import functional

    logits_Khw = predictor.part_of(predictor.logits([photo])[0], (photo.height, photo.width))
    fine_Khw = functional.interpolate(logits_Khw[None], size, mode="bilinear", align_corners=False)[0]
    return np.asarray(fine_Khw.softmax(dim=0).cpu().numpy(), dtype=np.float32)


# --- what the page reads ----------------------------------------------------------------------------------------------


def job_dir(root: Path) -> Path:
    """Return the folder of the review of a data set and of its job."""
    return analysis.job_dir(root) / "labels"


def store(root: Path, review: Review) -> None:
    """Store a review in place of the last one; on a full disk do nothing, since the command prints it."""
    document = {"schema": SCHEMA, **vars(review), "suspicions": [asdict(each) for each in review.suspicions]}
    with suppress(OSError):
        job_dir(root).mkdir(parents=True, exist_ok=True)
        write_json(job_dir(root) / "found.json", document)


def read_review(root: Path) -> Review | None:
    """Return what the last review of a data set found; None without one that can be read."""
    try:
        document = json.loads((job_dir(root) / "found.json").read_text(encoding="utf-8"))
        if document["schema"] != SCHEMA:
            return None
        found = tuple(_suspicion(each) for each in document["suspicions"])
        models, notes = tuple(document["models"]), tuple(document["notes"])
        return Review(models, notes, found, dict(document["qualities"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _suspicion(values: dict[str, Any]) -> Suspicion:
    region = values["region"]
    region |= {"box": tuple(region["box"]), "size": tuple(region["size"])}
    return Suspicion(LabelRegion(**region), float(values["score"]), int(values["pixels"]))


def as_findings(data: Dataset, review: Review) -> list[dict[str, Any]]:
    """Return the regions as findings of `doctor --json`, of the kind `label`, the most suspicious first."""
    samples = {sample.name: (sample, split) for split, its in reversed(data.splits.items()) for sample in its}
    findings = []
    for each in review.suspicions:
        region = each.region
        sample, split = samples[region.photo]
        share = 100 * each.pixels / (region.size[0] * region.size[1])
        findings.append({
            "file": sample.mask.relative_to(data.root).as_posix() if sample.mask.is_relative_to(data.root)
            else sample.mask.as_posix(),
            "split": split,
            "kind": "label",
            "detail": f"A model sees {region.class_suggested} where the mask has {region.class_given}, in "
            f"{count(each.pixels, 'pixel')} ({share:.1f} % of the photo); look at it under Findings on the page "
            "Dataset, and keep, change or void it.",
            "severity": "warning",
            "box": list(region.box),
            "class_given": region.class_given,
            "class_suggested": region.class_suggested,
            "score": round(each.score, 4),
        })  # fmt: skip
    return findings
