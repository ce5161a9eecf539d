"""Training speed against the report's loop: `python -m core bench training`.

Whole epochs with loading, of photos at the report's size, 256 px, in batches of 16. Ours are timed from the second
epoch on, without what is decoded, or computed by frozen stages, once for all epochs. All in turn, medians.
The ratios are images per second over those of the report's loop, in one process; those of the light architecture are
over eager PyTorch's of the same model in fp32 and `channels_last`. Each of its loops has a process of its own, since
what glibc keeps for one (`core/training/loop/heap.py`) would serve the others too.
"""

import multiprocessing
import os
import statistics
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import torch
from torch import nn
from torchvision.models.segmentation import DeepLabV3
from torchvision.models.segmentation.deeplabv3 import DeepLabHead

from core.data.dataset import Dataset, Sample, open_dataset
from core.data.demo import write_demo
from core.model.architectures import ATROUS_RATES, EFFICIENTNET, Stages
from core.model.device import choose_device, choose_precision
from core.model.efficientnet import NUM_FEATURES, efficientnet_lite0
from core.training.loop.loop import TrainingLoop
from core.training.settings.config import TrainingConfig, with_settings
from tests.bench._report_loop import report_loop, report_model
from tests.bench._rounds import median_seconds, print_figures, seconds_of

SIZE_PX = int(os.environ.get("BENCH_SIZE_PX", "256"))
BATCH_SIZE = 16
IMAGES, LIGHT_IMAGES = BATCH_SIZE, 3 * BATCH_SIZE
ROUNDS = 3
HEAD_EPOCHS = 4
"""An epoch of the head alone is short: some are timed together."""

Settings = Mapping[str, object]


def main() -> None:
    """Time epochs, then print them."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["ATROUS_HOME"] = folder
        root = write_demo(Path(folder), num_train=LIGHT_IMAGES, num_val=2)
        dataset, device = open_dataset(root), choose_device()
        samples = dataset.split("train")[:IMAGES]
        loops = {name: our_loop(samples, dataset, settings) for name, settings in OURS.items()}
        once_s = {f"{name}_once_s": seconds_of(lambda loop=loop: prepare(loop)) for name, loop in loops.items()}
        report = report_loop(samples, report_model(dataset.num_classes), SIZE_PX, BATCH_SIZE, device)
        epochs = {name: HEAD_EPOCHS if loop.features else 1 for name, loop in loops.items()}
        acts = {"report": report} | {name: epochs_of(loop, epochs[name]) for name, loop in loops.items()}
        seconds = median_seconds(acts, ROUNDS)
        light_seconds = median_seconds_alone(root)
    figures = {name: epochs.get(name, 1) * IMAGES / value for name, value in seconds.items()}
    light = {name: LIGHT_IMAGES / value for name, value in light_seconds.items()}
    ratios = {name: figures[name] / figures["report"] for name in loops}
    ratios |= {name: light[name] / light["light_eager"] for name in LIGHT}
    named = {f"{name}_images_per_second": value for name, value in (figures | light).items()}
    print_figures("training", named | once_s, ratios)


OURS: dict[str, Settings] = {
    "fp32": {"output_stride": 8},
    "fp32_stride16": {"output_stride": 16},
    "fp32_head_stride16": {"output_stride": 16, "freeze": "backbone", "store_features": True, "flip": True},
}
LIGHT: dict[str, Settings] = {
    "light_fp32": {},
    "light_fp32_last_two_stages": {"freeze": "middle", "store_features": True, "flip": True},
    "light_fp32_last_stage": {"freeze": "most", "store_features": True, "flip": True},
}
OURS = {name: {"precision": "fp32"} | settings for name, settings in OURS.items()}
LIGHT = {
    name: {"precision": "fp32", "architecture": EFFICIENTNET, "output_stride": 16} | settings
    for name, settings in LIGHT.items()
}
if choose_precision("auto", choose_device()) == "bf16":
    for group in (OURS, LIGHT):
        group |= {name.replace("fp32", "bf16"): {**settings, "precision": "bf16"} for name, settings in group.items()}


def median_seconds_alone(root: Path) -> dict[str, float]:
    """Return the median seconds of an epoch of the light architecture's loops, each in a process of its own."""
    times_s: dict[str, list[float]] = {name: [] for name in ("light_eager", *LIGHT)}
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), max_tasks_per_child=1) as pool:
        for _ in range(ROUNDS):
            for name, values in times_s.items():
                values.append(pool.submit(seconds_of_light_epoch, root, LIGHT.get(name)).result())
                print(f"{name:<28}{values[-1]:9.3f} s", flush=True)
    return {name: statistics.median(values) for name, values in times_s.items()}


def seconds_of_light_epoch(root: Path, settings: Settings | None) -> float:
    """Return the seconds of a loop's second epoch: of ours with these settings, or with None of eager PyTorch's."""
    dataset = open_dataset(root)
    samples = dataset.split("train")
    if settings is None:
        model = plain_light_model(dataset.num_classes)
        given = (SIZE_PX, BATCH_SIZE, choose_device())
        train_epoch = report_loop(samples, model, *given, memory_format=torch.channels_last)
    else:
        loop = our_loop(samples, dataset, settings)
        prepare(loop)
        train_epoch = epochs_of(loop, 1)
    train_epoch()
    return seconds_of(train_epoch)


def plain_light_model(num_classes: int) -> nn.Module:
    """Return the light architecture as PyTorch computes it, with random weights."""
    backbone = Stages(efficientnet_lite0(16), {"stage7": "out"})
    return DeepLabV3(backbone, DeepLabHead(NUM_FEATURES, num_classes, ATROUS_RATES[16]))


def our_loop(samples: Sequence[Sample], dataset: Dataset, settings: Settings) -> TrainingLoop:
    """Return a loop with the report's settings but for those."""
    config = with_settings(TrainingConfig(image_size=SIZE_PX, batch_size=BATCH_SIZE), settings)
    return TrainingLoop(config, samples, dataset.split("val"), dataset.classes, choose_device())


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
