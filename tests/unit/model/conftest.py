"""Small models for the tests of checkpoints and predictions."""

import pytest
import torch
from torchvision.models.segmentation import DeepLabV3

from core.model.architectures import MOBILENET, build_model


@pytest.fixture(scope="session")
def mobilenet() -> DeepLabV3:
    """DeepLabV3 on MobileNet with random weights and VOC's 21 classes; tests must not change it."""
    torch.manual_seed(0)
    return build_model(MOBILENET, 21, output_stride=16).eval()
