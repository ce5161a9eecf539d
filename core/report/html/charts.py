"""The coordinates of lines, dots and ticks in a chart, which `templates/blocks.html` draws."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

NUM_COLORS = 5


@dataclass(frozen=True)
class Line:
    """A line through points in order, with gaps for missing values; `marked` are the x of points with a dot.

    Of the colour `FLOOR` it is the floor's.
    """

    FLOOR: ClassVar = -1

    color: int
    points: Sequence[tuple[float, float | None]]
    is_dashed: bool = False
    marked: frozenset[float] = frozenset()

    @property
    def css(self) -> str:
        """The classes of its stroke."""
        return "floor" if self.color == self.FLOOR else f"s{self.color}" + (" dashed" if self.is_dashed else "")


@dataclass(frozen=True)
class LineChart:
    """Lines over whole numbers x, with y from 0; `floor` is a y, `dividers` are the x of vertical lines.

    `x` and `y` convert values to units of the SVG's view box, from the plot's top left corner.
    """

    WIDTH: ClassVar = 364
    HEIGHT: ClassVar = 200

    lines: Sequence[Line]
    floor: float | None = None
    dividers: Sequence[float] = ()

    @property
    def highest(self) -> float:
        """The highest y of the points and the floor; 1 without any."""
        values = [y for line in self.lines for _, y in line.points if y is not None]
        return max(values if self.floor is None else [*values, self.floor], default=1.0)

    @property
    def y_ticks(self) -> list[float]:
        """Round numbers from 0 to the top of the plot."""
        return nice_ticks(self.highest)

    @property
    def percent_digits(self) -> int:
        """The decimals of ticks in percent: 1 where they are half percents, as 2.5 and 7.5."""
        return int(any(abs(100 * tick - round(100 * tick)) > 1e-6 for tick in self.y_ticks))

    @property
    def x_range(self) -> tuple[float, float]:
        """The x of the plot's left and right side."""
        xs = [x for line in self.lines for x, _ in line.points] or [0.0, 1.0]
        return (min(xs), max(xs)) if min(xs) < max(xs) else (xs[0] - 1, xs[0] + 1)

    @property
    def x_ticks(self) -> list[int]:
        """At most 9 whole numbers between the sides, all of them if they are few."""
        low, high = self.x_range
        steps = (1, 2, 5, 10, 20, 25, 50, 100, 200, 500, 1000, 10_000)
        step = next(step for step in steps if (high - low) / step <= 8)
        return list(range(math.ceil(low / step) * step, math.floor(high) + 1, step))

    def x(self, value: float) -> float:
        """Return the distance of an x from the left."""
        low, high = self.x_range
        return round((value - low) / (high - low) * self.WIDTH, 1)

    def y(self, value: float) -> float:
        """Return the distance of a y from the top."""
        return round((1 - value / self.y_ticks[-1]) * self.HEIGHT, 1)

    def path(self, line: Line) -> str:
        """Return a line as SVG path data, interrupted at missing values."""
        steps, pen = [], "M"
        for x, y in line.points:
            if y is not None:
                steps.append(f"{pen}{self.x(x)} {self.y(y)}")
            pen = "M" if y is None else "L"
        return "".join(steps)

    def dots(self, line: Line) -> list[tuple[float, float]]:
        """Return the points with a dot: the marked ones, and a single point."""
        known = [(x, y) for x, y in line.points if y is not None]
        return [(x, y) for x, y in known if x in line.marked or len(known) == 1]


def nice_ticks(highest: float) -> list[float]:
    """Return about 4 round numbers from 0 to the first one that is at least `highest`."""
    if highest <= 0:
        return [0.0, 1.0]
    rough = highest / 4
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(nice * power for nice in (1, 2, 2.5, 5, 10) if nice * power >= rough * (1 - 1e-9))
    return [i * step for i in range(math.ceil(highest / step * (1 - 1e-9)) + 1)]
