"""The mean IoU of the same counts in other libraries, and published results on VOC 2012.

The libraries differ in the score of an absent class and in the axes of the mean. A value is None where the rule gives
NaN (a plain mean over a class that never occurs), and for images without a counted pixel.

mmseg and torchvision divide in float32, and mmseg sums in float32: their own output may differ in the last digits. A
published result comes with its protocol and cannot be compared with a run that has another one.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.metrics.confusion import Counts, iou, marginals, mean


def conventions(counts_NKK: Counts) -> dict[str, float | None]:
    """Return the mean IoU under each named convention, in [0, 1] or None.

    Args:
        counts_NKK: confusion counts of every image, int64, shape (N, K, K), void already dropped.

    Returns:
        `atrous`: mean over the classes whose union over the data set is not empty (the headline).
        `voc_devkit`: plain mean over all classes (`VOCevalseg.m`: `avacc = mean(accuracies)`), None if one is absent.
        `torchvision`: the same rule (references/segmentation/utils.py: `iu.mean()`).
        `mmseg`: NaN classes skipped (mmseg/evaluation/metrics/iou_metric.py: `np.nanmean`).
        `torchmetrics_jaccard`: `MulticlassJaccardIndex(average="macro", ignore_index=255)`; classes in neither truth
            nor prediction have weight 0 (1.9, `_jaccard_index_reduce`).
        `torchmetrics_mean_iou_per_image`: `segmentation.MeanIoU`; mean over all pairs of an image and a class whose
            union in that image is not empty (1.9, `update`): the weight of an image is its number of classes.
        `smp_macro`: `iou_score(reduction="macro")`, an absent class is 1 (`zero_division=1.0`, SMP 0.6).
        `smp_micro`: `iou_score(reduction="micro")`, sum of TP over sum of TP + FP + FN.
        `mean_of_images`: mean over images of each image's headline mIoU, which is also the mean of batches of one;
            images of void only are skipped.
    """
    counts_KK = counts_NKK.sum(axis=0)
    iou_K, iou_NK = iou(counts_KK), iou(counts_NKK)
    headline = mean(iou_K)
    absent_is_one = np.where(np.isnan(iou_K), 1.0, iou_K)
    return {
        "atrous": headline,
        "voc_devkit": _plain_mean(iou_K),
        "torchvision": _plain_mean(iou_K),
        "mmseg": headline,
        "torchmetrics_jaccard": headline,
        "torchmetrics_mean_iou_per_image": mean(iou_NK),
        "smp_macro": None if headline is None else _plain_mean(absent_is_one),
        "smp_micro": _micro(counts_KK),
        "mean_of_images": mean(np.array([mean(iou_K) for iou_K in iou_NK], dtype=np.float64)),
    }


def _plain_mean(values: NDArray[np.float64]) -> float | None:
    """Return the mean, None if any value is NaN."""
    return None if np.isnan(values).any() else mean(values)


def _micro(counts_KK: Counts) -> float | None:
    """Return the sum of TP over the sum of TP + FP + FN."""
    hits_K, truth_K, predicted_K = marginals(counts_KK)
    hits = int(hits_K.sum())
    union = int(truth_K.sum() + predicted_K.sum()) - hits
    return hits / union if union else None


@dataclass(frozen=True)
class Published:
    """A published result: mIoU in [0, 1] on VOC 2012 val, and its protocol.

    `images_seen` is the number of training images, counted once per epoch; None if not published.
    """

    system: str
    miou: float
    protocol: str
    images_seen: int | None = None


PUBLISHED = (
    Published(
        "torchvision DeepLabV3-ResNet50",
        0.664,
        "trained and evaluated on COCO images with VOC's classes: not a score on VOC val (pixel accuracy 92.4 %)",
    ),
    Published("mmseg DeepLabV3-R50-D8, 20k", 0.7617, "trainaug, 512 px, batch 16", 20_000 * 16),
    Published("mmseg DeepLabV3-R50-D8, 40k", 0.7768, "trainaug, 512 px, batch 16", 40_000 * 16),
    Published("VainF DeepLabV3-ResNet50", 0.769, "output stride 16, evaluated on 513 px centre crops"),
    Published("DeepLabv2 ResNet-101", 0.7635, "without CRF; 77.69 % with it"),
    Published(
        "TensorFlow DeepLab v3+ Xception65", 0.822, "COCO and trainaug; 83.6 % with scales and flips, 300 x the time"
    ),
)


def share_of_schedule(images_seen: int, published: Published) -> float | None:
    """Return `images_seen` as a share of the published training's, None if that is unknown."""
    return images_seen / published.images_seen if published.images_seen else None
