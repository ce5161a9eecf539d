"""The yardstick of all benchmarks: the loop that the student's report ran, as torchvision's documentation has it.

torchvision's DeepLabV3-ResNet50 at output stride 8, fp32, contiguous tensors, Adam, and a plain DataLoader that decodes
and resizes every photo each time. Nothing here uses the project's own model or loading.
"""

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset
from torchvision.models.segmentation import deeplabv3_resnet50
from torchvision.transforms import functional as TF

from core.data.dataset import Sample
from core.voc import IMAGE_MEAN, IMAGE_STD, VOID


class ReportPairs(TorchDataset[tuple[Tensor, Tensor]]):
    """Photos and masks, decoded and resized each time they are asked for."""

    def __init__(self, samples: tuple[Sample, ...], size_px: int) -> None:
        self._samples = samples
        self._size = (size_px, size_px)

    def __len__(self) -> int:
        """Return the number of pairs."""
        return len(self._samples)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        """Return a photo, float32 (3, S, S), and its ids, int64 (S, S)."""
        sample = self._samples[index]
        photo = Image.open(sample.photo).convert("RGB").resize(self._size, Image.Resampling.BILINEAR)
        mask = Image.open(sample.mask).resize(self._size, Image.Resampling.NEAREST)
        image = TF.normalize(TF.to_tensor(photo), list(IMAGE_MEAN), list(IMAGE_STD))
        return image, torch.from_numpy(np.array(mask)).long()


def report_model(num_classes: int) -> nn.Module:
    """Return the report's model with random weights."""
    model: nn.Module = deeplabv3_resnet50(weights=None, weights_backbone=None, num_classes=num_classes)
    return model


def report_loop(
    samples: tuple[Sample, ...], model: nn.Module, size_px: int, batch_size: int, device: torch.device, *,
    memory_format: torch.memory_format = torch.contiguous_format,
) -> Callable[[], None]:  # fmt: skip
    """Return what trains a model for an epoch."""
    model = model.to(device, memory_format=memory_format).train()  # type: ignore[call-overload]
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    loader = DataLoader(ReportPairs(samples, size_px), batch_size=batch_size, shuffle=True, drop_last=True)

    def train_epoch() -> None:
        for images, masks in loader:
            on_device = images.to(device, memory_format=memory_format)
            loss = F.cross_entropy(model(on_device)["out"], masks.to(device), ignore_index=VOID)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()

    return train_epoch
