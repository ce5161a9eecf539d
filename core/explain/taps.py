"""Where on a photo the nine taps of each atrous rate fall: exact, from the strides and paddings of the backbone.

A cell of the backbone's last map has its centre where its receptive field has it. That is not where the upsampling puts
its logit: after a stride of 16 with symmetric padding the two are up to half a cell apart.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch import nn

from core.data.geometry import Place
from core.model.efficientnet import SamePad

PHOTO, PADDING, OUTSIDE = "photo", "padding", "outside"
"""Where a tap lies: on the photo; on the padding of `fit`; outside the map, where it reads zeros."""


@dataclass(frozen=True)
class Axis:
    """The cells of a map along one side of the square: the centre of the first in px, their distance, their number."""

    first_px: float
    step_px: float
    cells: int


@dataclass(frozen=True)
class Tap:
    """A tap of a 3 x 3 kernel: its atrous rate, its row and column in the kernel, -1 to 1, and where it falls.

    x, y, width and height are those of its cell in px of the photo, x and y of the centre, whole numbers being the
    centres of pixels; they lie outside the photo if `where` is not `PHOTO`.
    """

    rate: int
    row: int
    column: int
    x: float
    y: float
    width: float
    height: float
    where: str


def axis_of(backbone: nn.Module, side_px: int) -> Axis:
    """Return the cells of a backbone's last map along a side of the square."""
    first_px, step_px, cells = 0.0, 1.0, side_px
    for kernel, stride, dilation, before, after in _layers(backbone):
        if kernel == 0:  # SAME padding: on an odd side one zero more before
            added = before + cells % 2
            first_px, cells = first_px - added * step_px, cells + added + after
            continue
        reach = dilation * (kernel - 1)
        first_px += (reach / 2 - before) * step_px
        step_px, cells = step_px * stride, (cells + before + after - reach - 1) // stride + 1
    return Axis(first_px, step_px, cells)


def _layers(backbone: nn.Module) -> Iterator[tuple[int, int, int, int, int]]:
    """Yield kernel, stride, dilation and the padding at both ends of each layer that moves or thins the map.

    A shortcut that thins the map (`downsample` in a ResNet) runs beside a convolution that does the same.
    """
    for name, module in backbone.named_modules():
        if isinstance(module, SamePad):
            yield 0, 1, 1, module.after - 1, module.after
        elif isinstance(module, (nn.Conv2d, nn.MaxPool2d)) and "downsample" not in name:
            kernel, stride, dilation, padding = (
                int(value[0] if isinstance(value, tuple) else value)
                for value in (module.kernel_size, module.stride, module.dilation, module.padding)
            )
            if stride > 1 or 2 * padding != dilation * (kernel - 1):
                yield kernel, stride, dilation, padding, padding


def taps_at(
    cell: tuple[int, int], rates: Sequence[int], axis: Axis, place: Place, size: tuple[int, int]
) -> tuple[Tap, ...]:
    """Return the taps of every rate at a cell (row, column), row by row.

    Args:
        cell: of the backbone's last map.
        rates: ASPP's.
        axis: the cells of that map along either side of the square.
        place: the part of the square that the photo fills.
        size: height and width of the photo in px.
    """
    scales = [of / part for of, part in zip(size, place.size, strict=True)]
    margins = (place.above_px, place.beside_px)
    taps = []
    for rate, row, column in itertools.product(rates, (-1, 0, 1), (-1, 0, 1)):
        cells = (cell[0] + rate * row, cell[1] + rate * column)
        squares = [axis.first_px + axis.step_px * index for index in cells]
        y, x = ((px - margin + 0.5) * scale - 0.5 for px, margin, scale in zip(squares, margins, scales, strict=True))
        if not all(0 <= index < axis.cells for index in cells):
            where = OUTSIDE
        else:
            is_on_photo = all(-0.5 <= at < of - 0.5 for at, of in zip((y, x), size, strict=True))
            where = PHOTO if is_on_photo else PADDING
        height, width = (axis.step_px * scale for scale in scales)
        taps.append(Tap(rate, row, column, x, y, width, height, where))
    return tuple(taps)
