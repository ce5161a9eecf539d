"""Convolutions in 8-bit integers, twice as fast as fp32 with AVX2, and four times with VNNI.

A convolution's input becomes 0 to 255, by the range that it had in a calibration on photos; its weights, into which
BatchNorm is folded, become -127 to 127, each output channel by its own scale. AVX2 adds the products of two adjacent
input channels in 16 bits, where 255 x (127 + 1) fits and 255 x (127 + 2) does not. So the scale makes 127 of the
largest sum of two neighbours, hardly more than the largest weight: large ones of one sign are seldom side by side.
Rounded weights shift the mean of each output channel by what the mean input makes of their errors; the bias takes that
back, which halves the pixels that change. Residual sums stay in fp32, and so do the first and the last convolution, and
that of ASPP's mean.
"""

import functools
from collections.abc import Iterable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.errors import CheckpointError
from core.model.fast.packed import PackedConv2d, Shape, can_pack

BITS = 8
"""How weights are rounded. A calibration corrects the errors of that rounding, and is of use for no other."""
LARGEST_WEIGHT = 127
LARGEST_INPUT = 255
TOLERANCE = 0.05
"""Largest difference from `F.conv2d` in the trial, as a share of the largest result; 8 bits round by 0.01."""

Seen = Sequence[float]
"""Smallest and largest input of a convolution, then the correction of each output channel's bias."""


@functools.cache
def can_compute() -> bool:
    """Return whether a small convolution in int8 gives what `F.conv2d` gives; tried once in a process."""
    if not can_pack():
        return False
    images_NCHW = torch.linspace(-1, 1, 8 * 25).view(1, 8, 5, 5).contiguous(memory_format=torch.channels_last)
    with torch.random.fork_rng([]), torch.inference_mode():
        convolution, largest = nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(8, 8, 1)
        largest.weight.copy_(torch.tensor([1.0, 0.0] * 4)[None, :, None, None])  # all that 16 bits hold
        try:
            return _agrees(convolution, images_NCHW) and _agrees(largest, torch.ones_like(images_NCHW))
        except (AttributeError, RuntimeError, TypeError):  # no oneDNN, no such operation, other arguments
            return False


def _agrees(convolution: nn.Conv2d, images_NCHW: Tensor) -> bool:
    """Return whether a convolution in int8, added to ones, is what `F.conv2d` gives."""
    expected_NKHW = F.relu(convolution(images_NCHW) + 1)
    whole = Int8Conv2d(convolution, (-1.0, 1.0, *[0.0] * len(convolution.weight)), tuple(images_NCHW.shape))
    added_NKHW = whole.add_to(torch.ones_like(expected_NKHW), images_NCHW, "relu")
    return bool((added_NKHW - expected_NKHW).abs().max() < TOLERANCE * expected_NKHW.max())


class Int8Conv2d(PackedConv2d):
    """A convolution in int8 of fp32 images, or of those that the `Int8Conv2d` before it gives in 8 bits."""

    def __init__(self, convolution: nn.Conv2d, seen: Seen, input_shape: Shape, *_others: Shape) -> None:
        super().__init__(convolution)
        if len(seen) != 2 + convolution.out_channels:
            raise CheckpointError("The calibration for int8 does not fit the model; export it again with --int8.")
        low, high = min(0.0, seen[0]), max(seen[1], 1e-6)
        self._scale = (high - low) / LARGEST_INPUT
        self._zero = round(-low / self._scale)
        self._middle = torch.tensor(self._zero + 0.5)
        self.emits: Int8Conv2d | None = None
        weight = convolution.weight.detach()
        whole, self._scales_K = _rounded(weight)
        self._zeros_K = torch.zeros(len(weight), dtype=torch.int64)
        bias_K = torch.zeros(len(weight)) if self._bias is None else self._bias
        self._bias = bias_K - torch.tensor(seen[2:])
        padding, stride, rate, groups = self._arguments
        self._how = (stride, padding, rate, groups)
        self._weight = torch.ops.onednn.qconv_prepack(
            whole, self._scales_K, self._scale, self._zero, *self._how, input_shape
        )

    def forward(self, images_NCHW: Tensor) -> Tensor:
        """Return the convolution after the activation, in fp32 or as the convolution after it takes it."""
        result = (1.0, 0, torch.float32) if self.emits is None else (self.emits._scale, self.emits._zero, torch.uint8)
        convolved: Tensor = torch.ops.onednn.qconv_pointwise(
            *self._operands(images_NCHW), self._bias, *self._how, *result, *self.activation
        )
        return convolved

    def add_to(self, others_NCHW: Tensor, images_NCHW: Tensor, activation: str | None) -> Tensor:
        """Add the convolution of the images to `others_NCHW`, fp32, in place; return the sum after the activation."""
        added: Tensor = torch.ops.onednn.qconv2d_pointwise.binary(
            *self._operands(images_NCHW), others_NCHW, self._bias, *self._how,
            1.0, 0, torch.float32, 1.0, 0, "sum", 1.0, activation, [], "",
        )  # fmt: skip
        return added

    def _operands(self, images_NCHW: Tensor) -> tuple[Any, ...]:
        """Return images and weights, each with scale and zero point."""
        if images_NCHW.dtype != torch.uint8:
            shifted_NCHW = torch.add(self._middle, images_NCHW, alpha=1 / self._scale)  # cut off below, not rounded
            images_NCHW = shifted_NCHW.clamp_(0, LARGEST_INPUT).to(torch.uint8)
        return images_NCHW, self._scale, self._zero, self._weight, self._scales_K, self._zeros_K


def _rounded(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Return a kernel in int8, and the scale of each output channel."""
    padded = F.pad(weight, (0, 0, 0, 0, 0, weight.shape[1] % 2))
    pairs = padded.reshape(len(weight), -1, 2, *weight.shape[2:])
    largest_K = [(sign * pairs).clamp_min(0).sum(2).amax((1, 2, 3)) for sign in (1, -1)]
    scales_K = torch.maximum(*largest_K).clamp_min(1e-12) / LARGEST_WEIGHT
    return (weight / scales_K[:, None, None, None]).round().to(torch.int8), scales_K


@torch.inference_mode()
def calibrate(folded: nn.Module, images: Iterable[Tensor]) -> dict[str, Seen]:
    """Return the inputs of the convolutions that int8 can replace, in images_13SS, by their names.

    Args:
        folded: a model after `inference.folded`.
        images: one photo at a time, as the model takes them.
    """
    lows: dict[str, list[Tensor]] = {}
    highs: dict[str, list[Tensor]] = {}
    means: dict[str, list[Tensor]] = {}

    def note(name: str, images_NCHW: Tensor) -> None:
        if images_NCHW.shape[2:].numel() == 1:
            return
        for found, value in zip(
            (lows, highs, means), (*images_NCHW.aminmax(), images_NCHW.mean((0, 2, 3))), strict=True
        ):
            found.setdefault(name, []).append(value)

    convolutions = {name: module for name, module in folded.named_modules() if isinstance(module, nn.Conv2d)}
    names = list(convolutions)
    hooks = [
        module.register_forward_pre_hook(lambda _module, inputs, name=name: note(name, inputs[0]))
        for name, module in convolutions.items()
    ]
    for image_13SS in images:
        folded(image_13SS)
    for hook in hooks:
        hook.remove()
    seen: dict[str, Seen] = {}
    for name, convolution in convolutions.items():
        if name in (names[0], names[-1]) or name not in means:
            continue
        low, high = float(torch.stack(lows[name]).min()), float(torch.stack(highs[name]).max())
        weight, mean_C = convolution.weight.detach(), torch.stack(means[name]).mean(0)
        whole, scales_K = _rounded(weight)
        error_KC = (whole * scales_K[:, None, None, None] - weight).sum((2, 3))
        mean_of_K = mean_C.view(convolution.groups, -1).repeat_interleave(len(weight) // convolution.groups, dim=0)
        seen[name] = (low, high, *(error_KC * mean_of_K).sum(1).tolist())
    return seen
