"""A model whose answer can be told from the photo."""

import torch
from torch import Tensor, nn


class Reading(nn.Module):
    """A model that says what it sees: its three classes are red, green and blue, each as likely as it is strong."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(4.0))

    def forward(self, images_N3SS: Tensor) -> dict[str, Tensor]:
        return {"out": images_N3SS * self.scale}
