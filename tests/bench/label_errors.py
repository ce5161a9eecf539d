"""Planted label errors, found again: `python -m core bench label_errors [--data DIR] [--full]`.

Faults of four kinds are planted into masks of the split train, each in a photo of its own: an object is erased, a class
gets the name of another, a whole mask is shifted by 15 px, a region of the photo gets another class. Heads on
EfficientNet-Lite0's ImageNet features are trained on the planted labels, and each predicts the photos of the fold that
it did not see. `core.review.label_errors` and cleanlab.segmentation, if it is installed, rank the same probabilities
against the same labels, on a grid of GRID px. A region is a hit if half of its pixels were changed; the first of a
fault counts. Of a kind's ranking, what hits faults of other kinds is left out. Photos without a planted fault count as
right, which in real data they are not always.

Without --data the photos are drawn scenes. --full takes 480 photos or more, 30 faults of each kind and 3 folds, about
4 minutes of processor time; the default takes 160, 8 and 2.
"""

import argparse
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor, nn

from core.data.dataset import Dataset, in_random_order, open_dataset
from core.data.demo import write_demo
from core.data.images import read_mask, read_photo
from core.data.loading.transforms import mask_in_square, photo_in_square
from core.model.architectures import EFFICIENTNET, build_model, split_backbone
from core.model.device import choose_device, choose_precision, device_name
from core.model.weights.initial import initialize
from core.review.label_errors import SelfConfidence, suspicions
from core.training.features import Backbone
from core.training.loop.optimization import learning_rate_factor
from core.training.loss import segmentation_loss
from core.voc import BACKGROUND, VOID

KINDS = ("erased", "swapped", "shifted", "region")
SIZE, MASK_SIZE, GRID, BATCH, EPOCHS, LEAST_STEPS, RATE = 256, 64, 128, 8, 8, 100, 1e-3
SHIFT_PX, AT = 15, 50
SEED = 4
"""Of the faults. The constants of the review were chosen on those of the seeds 0 and 2."""
LEAST_SHARE, LEAST_PHOTOS = 0.01, 0.05
"""Least share of its photo that an object covers into which a fault is planted; least share of photos with a class that
another one is called."""

Mask = NDArray[np.uint8]
Inside = NDArray[np.bool_]


class Fault(NamedTuple):
    """A kind, and the pixels that it changed, (GRID, GRID)."""

    kind: str
    changed: Inside


class Ranked(NamedTuple):
    """A region, or a whole photo, with its score."""

    score: float
    photo: int
    inside: Inside | None


def read_photos(data: Dataset, count: int | None) -> tuple[NDArray[np.uint16], list[Mask]]:
    """Return features, bf16 bits (N, 2, h, w, C), plain and mirrored, and masks at their own sizes."""
    device = choose_device()
    model = build_model(EFFICIENTNET, 2, output_stride=16)
    initialize(model, EFFICIENTNET, "imagenet")
    frozen, _ = split_backbone(model.to(device), EFFICIENTNET, "backbone")
    backbone = Backbone(frozen, SIZE, choose_precision("auto", device))
    features, masks = [], []
    for sample in in_random_order(data.split("train"), 0)[:count]:
        photo_3SS = photo_in_square(read_photo(sample.photo), SIZE)
        features.append(backbone.features(torch.stack([photo_3SS, photo_3SS.flip(-1)])))
        masks.append(read_mask(sample.mask, data.num_classes))
    return np.stack(features), masks


# --- faults -----------------------------------------------------------------------------------------------------------


def planted(masks: Sequence[Mask], num_classes: int, per_kind: int) -> tuple[list[Mask], dict[int, Fault]]:
    """Return the masks with faults of every kind, and the faults by the index of their photo."""
    random = np.random.default_rng(SEED)
    shown = np.bincount(np.concatenate([np.unique(mask) for mask in masks]), minlength=256)
    common = [k for k in range(1, num_classes) if shown[k] >= LEAST_PHOTOS * len(masks)]
    waiting = [kind for kind in KINDS for _ in range(per_kind)]
    new, faults = list(masks), dict[int, Fault]()
    for index in random.permutation(len(masks)).tolist():
        objects = _objects(masks[index])
        if waiting and objects:
            new_HW = _with_fault(waiting[-1], masks[index], objects, common, random)
            changed_HW = new_HW != masks[index]
            if (changed_HW & (masks[index] != VOID)).mean() >= LEAST_SHARE / 2:
                new[index] = new_HW
                faults[index] = Fault(waiting.pop(), mask_in_square(changed_HW.astype(np.uint8), GRID).numpy() > 0)
    if waiting:
        raise SystemExit(f"There are too few photos for {per_kind} faults of each kind.")
    return new, faults


def _objects(mask_HW: Mask) -> list[tuple[int, Inside]]:
    found = []
    for k in np.setdiff1d(mask_HW, [BACKGROUND, VOID]).tolist():
        parts_HW, num_parts = ndimage.label(mask_HW == k)
        found += [(k, parts_HW == part) for part in range(1, num_parts + 1)]
    return [(k, inside_HW) for k, inside_HW in found if inside_HW.mean() >= LEAST_SHARE]


def _with_fault(
    kind: str, mask_HW: Mask, objects: list[tuple[int, Inside]], common: list[int], random: np.random.Generator
) -> Mask:
    k, inside_HW = objects[int(random.integers(len(objects)))]
    new_HW = mask_HW.copy()
    height, width = mask_HW.shape
    if kind == "erased":
        new_HW[inside_HW] = BACKGROUND
    elif kind == "swapped":
        new_HW[mask_HW == k] = random.choice([other for other in common if other != k])
    elif kind == "shifted":
        down, right = ((0, SHIFT_PX), (SHIFT_PX, 0), (0, -SHIFT_PX), (-SHIFT_PX, 0))[int(random.integers(4))]
        padded = np.pad(mask_HW, SHIFT_PX, constant_values=BACKGROUND)
        new_HW = padded[SHIFT_PX - down :, SHIFT_PX - right :][:height, :width]
    else:
        y, x = random.integers(height), random.integers(width)
        tall, wide = height * random.uniform(0.1, 0.2), width * random.uniform(0.1, 0.2)
        rows, columns = np.ogrid[:height, :width]
        is_inside_HW = ((rows - y) / tall) ** 2 + ((columns - x) / wide) ** 2 <= 1
        under = int(np.bincount(mask_HW[is_inside_HW], minlength=256)[:VOID].argmax())
        new_HW[is_inside_HW] = random.choice([other for other in (BACKGROUND, *common) if other != under])
    return new_HW


# --- predictions ------------------------------------------------------------------------------------------------------


def out_of_fold(
    features_N2hwC: NDArray[np.uint16], masks: Sequence[Mask], num_classes: int, num_folds: int
) -> NDArray[np.float32]:
    """Return probabilities (N, K, GRID, GRID), each photo's by a head that was trained on the other folds."""
    small_NMM = np.stack([mask_in_square(mask, MASK_SIZE).numpy() for mask in masks])
    found = np.empty((len(masks), num_classes, GRID, GRID), np.float32)
    for fold in range(num_folds):
        others = [index for index in range(len(masks)) if index % num_folds != fold]
        head = _trained(features_N2hwC, small_NMM, others, num_classes, fold)
        for index in range(fold, len(masks), num_folds):
            with torch.inference_mode():
                coarse = head(_input(features_N2hwC[[index], 0]))
                fine = F.interpolate(coarse, (GRID, GRID), mode="bilinear", align_corners=False)
                found[index] = fine[0].softmax(0).cpu().numpy()
        print(f"fold {fold + 1} of {num_folds} predicted", flush=True)
    return found


def _input(bits_NhwC: NDArray[np.uint16]) -> Tensor:
    features = torch.from_numpy(bits_NhwC.view(np.int16)).view(torch.bfloat16).permute(0, 3, 1, 2)
    return features.to(choose_device()).float()


def _trained(
    features_N2hwC: NDArray[np.uint16], masks_NMM: Mask, indices: Sequence[int], num_classes: int, seed: int
) -> nn.Module:
    torch.manual_seed(seed)
    head: nn.Module = build_model(EFFICIENTNET, num_classes, output_stride=16).classifier.to(choose_device()).train()
    optimizer = torch.optim.AdamW(head.parameters(), lr=RATE, weight_decay=0.01)
    random = np.random.default_rng(seed)
    num_steps = max(LEAST_STEPS, EPOCHS * len(indices) // BATCH)
    order: list[int] = []
    for step in range(num_steps):
        if len(order) < BATCH:
            order += random.permutation(list(indices)).tolist()
        batch, order = order[:BATCH], order[BATCH:]
        form = int(random.integers(2))
        masks = torch.from_numpy(masks_NMM[batch].astype(np.int64)).to(choose_device())
        optimizer.param_groups[0]["lr"] = RATE * learning_rate_factor("one-cycle", step / num_steps)
        out = head(_input(features_N2hwC[batch, form]))
        optimizer.zero_grad()
        segmentation_loss({"out": out}, masks.flip(-1) if form else masks).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return head.eval()


# --- rankings ---------------------------------------------------------------------------------------------------------


def rankings(labels_NGG: Mask, probabilities: NDArray[np.float32]) -> dict[str, list[Ranked]]:
    """Return the rankings of ours, and of cleanlab where it is installed, by name."""
    num_classes = probabilities.shape[1]
    confidence = SelfConfidence(num_classes)
    for labels_GG, p_KGG in zip(labels_NGG, probabilities, strict=True):
        confidence.add(labels_GG, p_KGG)
    names = [str(k) for k in range(num_classes)]
    found: dict[str, list[Ranked]] = {"ours, regions": [], "ours, photos": []}
    for index, (labels_GG, p_KGG) in enumerate(zip(labels_NGG, probabilities, strict=True)):
        doubted, quality = suspicions((str(index), ""), labels_GG, p_KGG, confidence.thresholds(), names)
        found["ours, photos"].append(Ranked(1 - quality, index, None))
        found["ours, regions"] += [Ranked(each.score, index, each.region.is_inside_HW) for each in doubted]
    try:
        from cleanlab.segmentation.filter import find_label_issues  # type: ignore[import-not-found, unused-ignore]
        from cleanlab.segmentation.rank import (  # type: ignore[import-not-found, unused-ignore]
            get_label_quality_scores,
        )
    except ImportError:
        print("cleanlab is not installed, so there is nothing to compare with: pip install 'cleanlab>=2.9,<3'")
        return found
    is_void = labels_NGG == VOID  # cleanlab knows no void: there the label is what the model says
    labels = np.where(is_void, probabilities.argmax(axis=1), labels_NGG).astype(np.int64)
    softmin_N, p_given = get_label_quality_scores(labels, probabilities, verbose=False)
    issues = find_label_issues(labels, probabilities, n_jobs=1, verbose=False) & ~is_void
    found["cleanlab softmin, photos"] = [Ranked(-score, index, None) for index, score in enumerate(softmin_N)]
    found["cleanlab issues, photos"] = [Ranked(each.mean(), index, None) for index, each in enumerate(issues)]
    found["cleanlab issues, regions"] = []
    for index, issues_GG in enumerate(issues):
        parts_GG, num_parts = ndimage.label(issues_GG)
        for part in range(1, num_parts + 1):
            inside = parts_GG == part
            score = float((1 - p_given[index][inside]).sum())
            found["cleanlab issues, regions"].append(Ranked(score, index, inside))
    return found


def hits(ranking: Sequence[Ranked], faults: dict[int, Fault], kind: str) -> list[bool]:
    """Return, in the order of the ranking, what is a hit of a fault of this kind; hits of others are left out."""
    seen, found = set[int](), []
    for each in sorted(ranking, key=lambda its: -its.score):
        fault = faults.get(each.photo)
        is_hit = fault is not None and (
            each.inside is None or 2 * np.count_nonzero(fault.changed & each.inside) >= np.count_nonzero(each.inside)
        )
        if not is_hit or (fault and fault.kind == kind and each.photo not in seen):
            found.append(is_hit)
        seen |= {each.photo} if is_hit else set()
    return found


def average_precision(found: Sequence[bool], total: int) -> float:
    """Return the sum of the precisions at the hits, divided by the number of faults."""
    precision = np.cumsum(found) / np.arange(1, len(found) + 1)
    return float(precision[np.flatnonzero(found)].sum() / total)


def main() -> None:
    """Plant, train, rank, then print a table; the last line is the JSON document."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path)
    parser.add_argument("--full", action="store_true")
    arguments = parser.parse_args()
    count, per_kind, num_folds = (None, 30, 3) if arguments.full else (160, 8, 2)
    with tempfile.TemporaryDirectory() as folder:
        root = arguments.data or write_demo(Path(folder), num_train=count or 480, num_val=10)
        data = open_dataset(root)
        features_N2hwC, true = read_photos(data, count)
    masks, faults = planted(true, data.num_classes, per_kind)
    probabilities = out_of_fold(features_N2hwC, masks, data.num_classes, num_folds)
    labels_NGG = np.stack([mask_in_square(mask, GRID).numpy() for mask in masks])
    print(f"{len(masks)} photos, {per_kind} faults of each kind; precision at {AT} (at most {per_kind / AT:.2f}), AP")
    print(f"{'':<26}" + "".join(f"{kind:<14}" for kind in KINDS))
    figures: dict[str, Any] = {}
    for name, ranking in rankings(labels_NGG, probabilities).items():
        line = f"{name:<26}"
        for kind in KINDS:
            found = hits(ranking, faults, kind)
            at, precision = sum(found[:AT]) / AT, average_precision(found, per_kind)
            figures |= {f"{name}, {kind}: precision": at, f"{name}, {kind}: AP": precision}
            line += f"{at:.2f}  {precision:.3f}".ljust(14)
        print(line)
    print(json.dumps({"name": "label_errors", "device": device_name(choose_device()), "figures": figures,
                      "ratios": {}}))  # fmt: skip


if __name__ == "__main__":
    main()
