"""Training speed against the report's loop: `python -m core bench training`.

Whole epochs with loading, of the same photos at the report's size, 256 px, in batches of 16. Ours are timed from the
second epoch on: what is decoded, or computed by a frozen backbone, once for all epochs stands on its own. One process,
all in turn, medians. The ratios are images per second over those of the report's loop; those of the light architecture
are over eager PyTorch's of the same model in fp32 and `channels_last`, in the same loop.
"""

import dataclasses
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn
from torchvision.models.segmentation import DeepLabV3
from torchvision.models.segmentation.deeplabv3 import DeepLabHead

from core.data.dataset import Dataset, open_dataset
from core.data.demo import write_demo
from core.model.architectures import ATROUS_RATES, EFFICIENTNET, Stages
from core.model.device import choose_device, choose_precision
from core.model.efficientnet import NUM_FEATURES, efficientnet_lite0
from core.training.loop.loop import TrainingLoop
from core.training.settings.config import TrainingConfig
from tests.bench._report_loop import report_loop, report_model
from tests.bench._rounds import median_seconds, print_figures, seconds_of

SIZE_PX = int(os.environ.get("BENCH_SIZE_PX", "256"))
BATCH_SIZE = 16
IMAGES = BATCH_SIZE
ROUNDS = 3
HEAD_EPOCHS = 4
"""An epoch of the head alone is short: some are timed together."""


def main() -> None:
    """Time epochs, then print them."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["ATROUS_HOME"] = folder
        dataset = open_dataset(write_demo(Path(folder), num_train=IMAGES, num_val=2))
        given = (SIZE_PX, BATCH_SIZE, choose_device())
        samples, num_classes = dataset.split("train"), dataset.num_classes
        loops = {name: our_loop(dataset, **settings) for name, settings in OURS.items()}
        once_s = {f"{name}_once_s": seconds_of(lambda loop=loop: prepare(loop)) for name, loop in loops.items()}
        acts: dict[str, Callable[[], None]] = {
            "report": report_loop(samples, report_model(num_classes), *given),
            "light_eager": report_loop(
                samples, plain_light_model(num_classes), *given, memory_format=torch.channels_last
            ),
        }
        acts |= {name: epochs_of(loop, HEAD_EPOCHS if loop.features else 1) for name, loop in loops.items()}
        seconds = median_seconds(acts, ROUNDS)
    figures = {f"{name}_images_per_second": IMAGES / value for name, value in seconds.items()}
    for name, loop in loops.items():
        figures[f"{name}_images_per_second"] *= HEAD_EPOCHS if loop.features else 1
    ratios = {
        name: figures[f"{name}_images_per_second"]
        / figures["light_eager_images_per_second" if name.startswith("light") else "report_images_per_second"]
        for name in loops
    }
    print_figures("training", figures | once_s, ratios)


OURS: dict[str, dict[str, object]] = {
    "fp32": {"precision": "fp32", "output_stride": 8},
    "fp32_stride16": {"precision": "fp32", "output_stride": 16},
    "fp32_head_stride16": {
        "precision": "fp32", "output_stride": 16, "freeze": "backbone", "store_features": True, "flip": True,
    },
    "light_fp32": {"precision": "fp32", "output_stride": 16, "architecture": EFFICIENTNET},
    "light_fp32_late_stages": {
        "precision": "fp32", "output_stride": 16, "architecture": EFFICIENTNET, "freeze": "early",
        "store_features": True, "flip": True,
    },
}  # fmt: skip
if choose_precision("auto", choose_device()) == "bf16":
    OURS |= {name.replace("fp32", "bf16"): settings | {"precision": "bf16"} for name, settings in list(OURS.items())}


def plain_light_model(num_classes: int) -> nn.Module:
    """Return the light architecture as PyTorch computes it, with random weights."""
    backbone = Stages(efficientnet_lite0(16), {"stage7": "out"})
    return DeepLabV3(backbone, DeepLabHead(NUM_FEATURES, num_classes, ATROUS_RATES[16]))


def our_loop(dataset: Dataset, **settings: object) -> TrainingLoop:
    """Return a loop with the report's settings but for those."""
    as_report: dict[str, object] = {"image_size": SIZE_PX, "batch_size": BATCH_SIZE}
    config = dataclasses.replace(TrainingConfig(), **as_report | settings)  # type: ignore[arg-type]
    return TrainingLoop(config, dataset.split("train"), dataset.split("val"), dataset.classes, choose_device())


def prepare(loop: TrainingLoop) -> None:
    """Do what is done once for all epochs."""
    for _ in loop.train_pairs.cache():
        pass
    for _ in loop.compute_features():
        pass


def epochs_of(loop: TrainingLoop, count: int) -> Callable[[], None]:
    """Return what trains so many epochs, without validating."""

    def train_epochs() -> None:
        for _ in range(count):
            for _ in loop.train_epoch(lambda: False):
                pass
            loop.progress.step_in_epoch = 0

    return train_epochs


if __name__ == "__main__":
    main()
