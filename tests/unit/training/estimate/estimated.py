"""Settings whose training is estimated in a moment."""

import torch

from core.training.estimate.timing import Limits
from core.training.settings.config import TrainingConfig

SMALL = TrainingConfig(
    architecture="deeplabv3_mobilenet_v3_large", output_stride=16, image_size=64, batch_size=4, precision="fp32",
    epochs=3,
)  # fmt: skip
AT_ONCE = Limits(enough_s=0.0, longest_step_s=60.0, most_s=60.0)
CPU = torch.device("cpu")
