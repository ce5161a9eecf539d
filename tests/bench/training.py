"""Training speed against the report's loop: `python -m core bench training`.

The yardstick is the loop the report ran: torchvision's DeepLabV3-ResNet50, output stride 8, fp32, contiguous tensors,
Adam, a plain DataLoader that decodes and resizes every photo each time. Ours trains the same model at the same size.
Both run in one process, alternating, on the same photos; the figures are medians.
"""

import dataclasses
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader
from torchvision.models.segmentation import deeplabv3_resnet50
from torchvision.transforms import functional as TF

from core.data.dataset import Dataset, Sample, open_dataset
from core.data.demo import write_demo
from core.model.device import choose_device, device_name
from core.training.config import TrainingConfig
from core.training.loop import TrainingLoop

SIZE_PX = 128
BATCH_SIZE = 8
ROUNDS = 3
STEPS = 2


def main() -> None:
    """Print a line for each round for people, then the JSON document."""
    with tempfile.TemporaryDirectory() as folder:
        dataset = open_dataset(write_demo(Path(folder), num_train=BATCH_SIZE * STEPS, num_val=2))
        loops = {"report": _report_loop(dataset)} | {name: _our_loop(dataset, **s) for name, s in OURS.items()}
        speeds: dict[str, list[float]] = {name: [] for name in loops}
        for _ in range(ROUNDS):
            for name, train_epoch in loops.items():
                speeds[name].append(_images_per_second(train_epoch))
                print(f"{name:<12}{speeds[name][-1]:8.2f} images/s", flush=True)
    figures = {f"{name}_images_per_second": statistics.median(values) for name, values in speeds.items()}
    yardstick = figures["report_images_per_second"]
    ratios = {name: figures[f"{name}_images_per_second"] / yardstick for name in OURS}
    device = device_name(choose_device())
    print(json.dumps({"name": "training", "device": device, "figures": figures, "ratios": ratios}))


OURS = {
    "fp32": {"precision": "fp32", "output_stride": 8},
    "auto": {"precision": "auto", "output_stride": 8},
    "auto_stride16": {"precision": "auto", "output_stride": 16},
}


def _images_per_second(train_epoch: Callable[[], None]) -> float:
    began_s = time.perf_counter()
    train_epoch()
    return BATCH_SIZE * STEPS / (time.perf_counter() - began_s)


def _our_loop(dataset: Dataset, **settings: object) -> Callable[[], None]:
    config = dataclasses.replace(TrainingConfig(image_size=SIZE_PX, batch_size=BATCH_SIZE), **settings)  # type: ignore[arg-type]
    loop = TrainingLoop(config, dataset.split("train"), dataset.split("val"), dataset.classes, choose_device())

    def train_epoch() -> None:
        for _ in loop.train_epoch(lambda: False):
            pass
        loop.progress.step_in_epoch = 0

    return train_epoch


def _report_loop(dataset: Dataset) -> Callable[[], None]:
    device = choose_device()
    model = deeplabv3_resnet50(weights=None, weights_backbone=None, num_classes=dataset.num_classes).to(device).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    loader = DataLoader(_ReportPairs(dataset.split("train")), batch_size=BATCH_SIZE, shuffle=True)

    def train_epoch() -> None:
        for images, masks in loader:
            loss = torch.nn.functional.cross_entropy(
                model(images.to(device))["out"], masks.to(device), ignore_index=255
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    return train_epoch


class _ReportPairs(torch.utils.data.Dataset[tuple[torch.Tensor, torch.Tensor]]):
    def __init__(self, samples: tuple[Sample, ...]) -> None:
        self._samples = samples

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        sample = self._samples[index]
        photo = Image.open(sample.photo).convert("RGB").resize((SIZE_PX, SIZE_PX), Image.Resampling.BILINEAR)
        mask = Image.open(sample.mask).resize((SIZE_PX, SIZE_PX), Image.Resampling.NEAREST)
        image = TF.normalize(TF.to_tensor(photo), [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
        return image, torch.from_numpy(np.array(mask)).long()


if __name__ == "__main__":
    main()
