"""Evaluating a checkpoint on whole images: `python -m core bench evaluation`.

DeepLabV3-ResNet50 at output stride 8 and the report's 256 px, photos of VOC's size, one at a time, masks at their own
size. Against torchvision's reference loop (references/segmentation/train.py: eager fp32, upsampled logits, argmax,
`bincount`), which counts a confusion matrix alone; ours also counts boundaries and writes masks. Counting is timed
against torchmetrics too, whose `MulticlassConfusionMatrix` is what a person would take.
"""

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torchmetrics.classification import MulticlassConfusionMatrix

from core.classes import VOC_CLASSES
from core.data.dataset import Sample, open_dataset
from core.data.demo import write_demo
from core.data.images import read_mask, read_pair, read_photo, write_mask
from core.data.loading.decoded_pairs import SquarePairs
from core.data.loading.transforms import normalize, photo_in_square
from core.metrics.confusion import confusion_counts, void_pixels
from core.model.architectures import build_model
from core.model.device import choose_device, choose_precision
from core.model.predict.predictor import Predictor
from core.training.evaluation import evaluate
from core.voc import VOID
from tests.bench._rounds import Act, median_seconds, print_figures
from tests.bench.inference import steady_model

SIZE_PX = 256
PHOTO_SIZE = (500, 375)
IMAGES = 40
DATA = os.environ.get("BENCH_DATA", "")
"""A data set of VOC's classes whose validation photos are taken, instead of drawn ones."""

ROUNDS = 3
NUM_CLASSES = 21


def main() -> None:
    """Time the evaluation of all photos, then print them."""
    device = choose_device()
    model = steady_model()
    counts: dict[str, np.ndarray] = {}
    with tempfile.TemporaryDirectory() as folder:
        samples = open_dataset(DATA).split("val") if DATA else photos_of_voc_s_size(Path(folder))

        def as_reference() -> None:
            counts["reference"] = reference_counts(model, samples, device)

        acts: dict[str, Act] = {"reference": as_reference}
        for precision in ("fp32", *(["bf16"] if choose_precision("auto", device) == "bf16" else [])):

            def ours(precision: str = precision) -> None:
                predictor = Predictor(model, image_size=SIZE_PX, device=device, precision=precision)
                pairs = SquarePairs(samples, NUM_CLASSES, SIZE_PX)
                counts[precision] = sum(result.counts_KK for result in evaluate(predictor, pairs, VOC_CLASSES))

            acts[precision] = ours
        seconds = median_seconds(acts, ROUNDS)
        counting = median_seconds(counting_acts(samples), ROUNDS)
    figures = {f"{name}_images_per_second": len(samples) / value for name, value in seconds.items()}
    figures |= {f"{name}_s": value for name, value in counting.items()}
    for name in counts.keys() - {"reference"}:
        moved = int(np.abs(counts[name] - counts["reference"]).sum()) // 2
        figures[f"{name}_pixels_counted_otherwise"] = moved / int(counts["reference"].sum())
    ratios = {name: seconds["reference"] / value for name, value in seconds.items() if name != "reference"}
    ratios["counting_over_evaluation"] = counting["counting"] / seconds["fp32"]
    ratios["counting_against_torchmetrics"] = counting["torchmetrics"] / counting["counting"]
    print_figures("evaluation", figures, ratios)


def photos_of_voc_s_size(folder: Path) -> tuple[Sample, ...]:
    """Write drawn scenes of 500 x 375 px and their masks."""
    samples = []
    for drawn in open_dataset(write_demo(folder, num_train=2, num_val=IMAGES)).split("val"):
        photo, mask = folder / f"{drawn.name}.jpg", folder / f"{drawn.name}.png"
        read_photo(drawn.photo).resize(PHOTO_SIZE).save(photo, quality=95)
        ids = Image.fromarray(read_mask(drawn.mask, NUM_CLASSES)).resize(PHOTO_SIZE, Image.Resampling.NEAREST)
        write_mask(mask, np.asarray(ids))
        samples.append(Sample(drawn.name, photo, mask))
    return tuple(samples)


@torch.no_grad()
def reference_counts(model: torch.nn.Module, samples: Sequence[Sample], device: torch.device) -> np.ndarray:
    """Count as torchvision's reference does: eager, fp32, contiguous, a photo at a time."""
    plain = build_model("deeplabv3_resnet50", NUM_CLASSES).to(device).eval()
    plain.load_state_dict(model.state_dict())
    counts_KK = torch.zeros((NUM_CLASSES, NUM_CLASSES), dtype=torch.int64)
    for sample in samples:
        photo, truth_HW = read_pair(sample.photo, sample.mask, NUM_CLASSES)
        logits = plain(normalize(photo_in_square(photo, SIZE_PX))[None].to(device))["out"]
        predicted = F.interpolate(logits, truth_HW.shape, mode="bilinear", align_corners=False).argmax(1).cpu()
        truth = torch.from_numpy(truth_HW).long().flatten()
        is_counted = truth < NUM_CLASSES
        cells = NUM_CLASSES * truth[is_counted] + predicted.flatten()[is_counted]
        counts_KK += torch.bincount(cells, minlength=NUM_CLASSES**2).reshape(NUM_CLASSES, NUM_CLASSES)
    return counts_KK.numpy()


def counting_acts(samples: Sequence[Sample]) -> dict[str, Act]:
    """Return the counting alone, ours and torchmetrics', of one prediction for each mask."""
    masks = [read_mask(sample.mask, NUM_CLASSES) for sample in samples]
    pairs = [(truth_HW, np.where(truth_HW == VOID, 0, truth_HW[::-1] % NUM_CLASSES)) for truth_HW in masks]
    metric = MulticlassConfusionMatrix(NUM_CLASSES, ignore_index=VOID)
    tensors = [(torch.from_numpy(guess.copy()).long(), torch.from_numpy(truth).long()) for truth, guess in pairs]

    def ours() -> None:
        for truth_HW, predicted_HW in pairs:
            confusion_counts(truth_HW, predicted_HW, NUM_CLASSES)
            void_pixels(truth_HW, NUM_CLASSES)

    def torchmetrics() -> None:
        for predicted, truth in tensors:
            metric.update(predicted, truth)

    return {"counting": ours, "torchmetrics": torchmetrics}


if __name__ == "__main__":
    main()
