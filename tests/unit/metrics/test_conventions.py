"""One toy, many mean IoUs: each named rule against the library that has it."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torchmetrics.classification import MulticlassJaccardIndex
from torchmetrics.functional.segmentation import mean_iou
from torchmetrics.segmentation import MeanIoU

from core.metrics.conventions import conventions
from core.voc import VOID
from tests.unit.metrics.toy import PREDICTED_NHW, TRUTH_NHW, K, count

# Summed by hand: background 19 of 23 + 23 - 19, class 1 5 of 5 + 8 - 5, classes 2 and 3 nothing.
HEADLINE = (19 / 27 + 5 / 8 + 0 + 0) / 4


def one_hot(mask_NHW: NDArray[np.int64]) -> torch.Tensor:
    """Return (N, K, H, W) booleans, all False where the truth is void, as torchmetrics has no ignore_index here."""
    planes = [(mask_NHW == k) & (TRUTH_NHW != VOID) for k in range(K)]
    return torch.from_numpy(np.stack(planes, axis=1))


def test_golden_values() -> None:
    assert conventions(count()) == pytest.approx(
        {
            "atrous": HEADLINE,
            "voc_devkit": None,  # class 4 is 0/0 there: NaN
            "torchvision": None,
            "mmseg": HEADLINE,
            "torchmetrics_jaccard": HEADLINE,
            # the pairs by hand: image 1 has 5/6, 4/5; image 2 has 5/10, 0, 0; image 3 has 9/11, 1/3 (classes 0, 1)
            "torchmetrics_mean_iou_per_image": (5 / 6 + 4 / 5 + 5 / 10 + 0 + 0 + 9 / 11 + 1 / 3) / 7,
            "smp_macro": (19 / 27 + 5 / 8 + 0 + 0 + 1) / 5,
            "smp_micro": 24 / 40,
            "mean_of_images": ((5 / 6 + 4 / 5) / 2 + (5 / 10 + 0 + 0) / 3 + (9 / 11 + 1 / 3) / 2) / 3,
        },
        abs=1e-12,
    )


def test_plain_means_exist_once_every_class_occurs() -> None:
    values = conventions(count(num_classes=4))
    assert values["voc_devkit"] == values["torchvision"] == pytest.approx(HEADLINE, abs=1e-12)


def test_agrees_with_smp() -> None:
    """Values printed by segmentation_models_pytorch 0.6.0 for this toy (float32), with its metrics/functional.py:
    get_stats(..., mode="multiclass", ignore_index=255, num_classes=5), iou_score(reduction="macro" and "micro").
    """
    values = conventions(count())
    assert values["smp_macro"] == pytest.approx(0.46574074029922485, abs=1e-6)
    assert values["smp_micro"] == pytest.approx(0.6000000238418579, abs=1e-6)


def test_agrees_with_torchmetrics_jaccard() -> None:
    metric = MulticlassJaccardIndex(K, average="macro", ignore_index=VOID)
    value = metric(torch.from_numpy(PREDICTED_NHW), torch.from_numpy(TRUTH_NHW))
    assert conventions(count())["torchmetrics_jaccard"] == pytest.approx(float(value), abs=1e-6)


@pytest.mark.parametrize("batches", [[slice(0, 3)], [slice(0, 1), slice(1, 3)], [slice(2, 3), slice(0, 2)]])
def test_agrees_with_torchmetrics_mean_iou_in_any_batches(batches: list[slice]) -> None:
    metric = MeanIoU(num_classes=K, input_format="one-hot")
    for batch in batches:
        metric.update(one_hot(PREDICTED_NHW)[batch], one_hot(TRUTH_NHW)[batch])
    value = conventions(count())["torchmetrics_mean_iou_per_image"]
    assert value == pytest.approx(float(metric.compute()), abs=1e-6)


def test_mean_of_images_is_the_mean_of_torchmetrics_functional() -> None:
    values_N = mean_iou(one_hot(PREDICTED_NHW), one_hot(TRUTH_NHW), num_classes=K, input_format="one-hot")
    assert conventions(count())["mean_of_images"] == pytest.approx(float(values_N.mean()), abs=1e-6)


def test_void_only_images_and_no_images_have_no_value() -> None:
    nothing = dict.fromkeys(conventions(count()))
    assert conventions(np.zeros((0, K, K), dtype=np.int64)) == nothing
    assert conventions(np.zeros((2, K, K), dtype=np.int64)) == nothing


def test_a_void_only_image_changes_nothing() -> None:
    counts_NKK = np.concatenate([count(), np.zeros((1, K, K), dtype=np.int64)])
    assert conventions(counts_NKK) == conventions(count())


def devkit(truth_NHW: NDArray[np.int64], predicted_NHW: NDArray[np.int64], num: int) -> float:
    """Follow `VOCevalseg.m` (VOC2012 devkit) line by line, as fractions.

    sumim = 1+gtim+resim*num; hs = histc(sumim(locs), 1:num*num); confcounts(:) = confcounts(:) + hs(:)
    gtj = sum(confcounts(j,:)); resj = sum(confcounts(:,j)); gtjresj = confcounts(j,j)
    accuracies(j) = 100*gtjresj/(gtj+resj-gtjresj); avacc = mean(accuracies)
    """
    confcounts = np.zeros((num, num), order="F")
    for gtim, resim in zip(truth_NHW, predicted_NHW, strict=True):
        locs = gtim < 255
        sumim = 1 + gtim + resim * num
        hs = np.array([(sumim[locs] == bin_).sum() for bin_ in range(1, num * num + 1)])
        confcounts += hs.reshape(num, num, order="F")
    accuracies = []
    for j in range(num):
        gtj, resj, gtjresj = confcounts[j, :].sum(), confcounts[:, j].sum(), confcounts[j, j]
        union = gtj + resj - gtjresj
        accuracies.append(gtjresj / union if union else np.nan)
    return float(np.mean(accuracies))


def test_agrees_with_the_voc_devkit() -> None:
    expected = devkit(TRUTH_NHW, PREDICTED_NHW, 4)
    assert conventions(count(num_classes=4))["voc_devkit"] == pytest.approx(expected, abs=1e-12)
    assert np.isnan(devkit(TRUTH_NHW, PREDICTED_NHW, K))
    assert conventions(count())["voc_devkit"] is None
