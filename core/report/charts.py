"""Charts as SVG: lines over epochs, and bars by class. Colours are the style sheet's, so that they suit light and dark.

Sizes are in units of the view box, which on a phone are about 0.85 px and in print 0.2 mm.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from core.report.markup import Markup, joined, tag

NUM_COLORS = 5
WIDTH, HEIGHT = 420, 250
LEFT, RIGHT, TOP, BOTTOM = 46, 10, 10, 40
BAR, GAP = 11, 9
LABELS = 120
VALUES = 44

Point = tuple[float, float | None]
Write = Callable[[float], str]


@dataclass(frozen=True)
class Series:
    """A line: its points in order, a missing value is a gap; `marked` are the x of those that get a dot."""

    name: str
    color: int
    points: Sequence[Point]
    is_dashed: bool = False
    marked: frozenset[float] = frozenset()

    @property
    def css(self) -> str:
        """The classes of its line."""
        return f"line s{self.color % NUM_COLORS}" + (" dashed" if self.is_dashed else "")


def line_chart(
    title: str, series: Sequence[Series], *, x_title: str, write: Write, floor: float | None = None,
    dividers: Sequence[float] = (),
) -> Markup:  # fmt: skip
    """Draw lines over whole numbers of x, y from 0; `floor` is a dashed line across, `dividers` are lines upright."""
    values = [y for line in series for _, y in line.points if y is not None] + ([floor] if floor is not None else [])
    xs = [x for line in series for x, _ in line.points]
    ticks = nice_ticks(max(values, default=1.0))
    low_x, high_x = min(xs, default=0.0), max(xs, default=1.0)
    if low_x == high_x:
        low_x, high_x = low_x - 1, high_x + 1

    def place(x: float, y: float) -> tuple[float, float]:
        across = (x - low_x) / (high_x - low_x)
        return LEFT + across * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - y / ticks[-1] * (HEIGHT - TOP - BOTTOM)

    parts = [_grid(ticks, low_x, place, write)]
    parts += [_upright(place(x, 0)[0]) for x in dividers]
    parts += [_x_tick(place(x, 0)[0], f"{x:g}") for x in _whole_ticks(low_x, high_x)]
    parts.append(_text(x_title, (LEFT + WIDTH - RIGHT) / 2, HEIGHT - 4, "middle"))
    if floor is not None:
        height = place(low_x, floor)[1]
        parts.append(tag("line", x1=LEFT, x2=WIDTH - RIGHT, y1=height, y2=height, class_="floor"))
    parts += [_line(line, place) for line in series]
    return _svg(title, WIDTH, HEIGHT, parts)


def _line(line: Series, place: Callable[[float, float], tuple[float, float]]) -> Markup:
    known = [(x, y) for x, y in line.points if y is not None]
    written, is_pen_down = [], False
    for x, y in line.points:
        if y is not None:
            across, down = place(x, y)
            written.append(f"{'L' if is_pen_down else 'M'}{across:.1f} {down:.1f}")
        is_pen_down = y is not None
    dots = [x_y for x_y in known if x_y[0] in line.marked or len(known) == 1]
    return joined(
        tag("path", d="".join(written), class_=line.css),
        *(
            tag("circle", cx=place(x, y)[0], cy=place(x, y)[1], r=4.5, class_=f"dot s{line.color % NUM_COLORS}")
            for x, y in dots
        ),
    )


def _grid(
    ticks: Sequence[float], low_x: float, place: Callable[[float, float], tuple[float, float]], write: Write
) -> Markup:
    lines = []
    for tick in ticks:
        height = place(low_x, tick)[1]
        lines.append(tag("line", x1=LEFT, x2=WIDTH - RIGHT, y1=height, y2=height, class_="grid"))
        lines.append(_text(write(tick), LEFT - 6, height + 4, "end"))
    return joined(*lines)


def _x_tick(x: float, text: str) -> Markup:
    return _text(text, x, HEIGHT - BOTTOM + 16, "middle")


def _upright(x: float) -> Markup:
    return tag("line", x1=x, x2=x, y1=TOP, y2=HEIGHT - BOTTOM, class_="divider")


def nice_ticks(highest: float, count: int = 4) -> list[float]:
    """Return about `count` round numbers from 0 to the first that is not below `highest`."""
    if highest <= 0:
        return [0.0, 1.0]
    rough = highest / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(nice * power for nice in (1, 2, 2.5, 5, 10) if nice * power >= rough * (1 - 1e-9))
    return [i * step for i in range(math.ceil(highest / step * (1 - 1e-9)) + 1)]


def _whole_ticks(low: float, high: float) -> list[int]:
    """Return at most about 8 whole numbers from low to high; all of them where that is few enough."""
    step = next(step for step in (1, 2, 5, 10, 20, 25, 50, 100, 200, 500, 1000, 10_000) if (high - low) / step <= 8)
    first = math.ceil(low) if step == 1 else math.ceil(low / step) * step
    return list(range(first, math.floor(high) + 1, step))


@dataclass(frozen=True)
class Bars:
    """One class: its name, and a value for every checkpoint, None if there is none."""

    name: str
    values: Sequence[float | None]


def bar_chart(title: str, groups: Sequence[Bars], *, write: Write, floors: Sequence[float | None]) -> Markup:
    """Draw bars of fractions from the left, one group a class; `floors` are marks, one for each group."""
    num_bars = max((len(group.values) for group in groups), default=1)
    pitch = num_bars * BAR + GAP
    height = TOP + len(groups) * pitch + 24
    scale = WIDTH - LABELS - VALUES
    parts = []
    for tick in (0, 0.25, 0.5, 0.75, 1):
        x = LABELS + tick * scale
        parts.append(tag("line", x1=x, x2=x, y1=TOP, y2=height - 22, class_="grid"))
        parts.append(_text(write(tick), x, height - 6, "middle"))
    for place, (group, floor) in enumerate(zip(groups, floors, strict=True)):
        top = TOP + place * pitch + GAP / 2
        parts.append(_text(shortened(group.name), LABELS - 8, top + num_bars * BAR / 2 + 4, "end"))
        parts += [_bar(index, value, top, scale, write) for index, value in enumerate(group.values)]
        if floor:
            x = LABELS + floor * scale
            parts.append(tag("line", x1=x, x2=x, y1=top - 2, y2=top + num_bars * BAR + 2, class_="floor"))
    return _svg(title, WIDTH, height, parts)


def _bar(index: int, value: float | None, top: float, scale: float, write: Write) -> Markup:
    if value is None:
        return Markup()
    y = top + index * BAR
    return joined(
        tag("rect", x=LABELS, y=y, width=max(0.5, value * scale), height=BAR - 1, class_=f"bar s{index % NUM_COLORS}"),
        _text(write(value), LABELS + value * scale + 4, y + BAR - 2, "start", "small"),
    )


def shortened(name: str, length: int = 18) -> str:
    """Return a name that fits beside a bar."""
    return name if len(name) <= length else f"{name[: length - 1]}…"


def swatch(color: str, *, is_dashed: bool = False, is_line: bool = False) -> Markup:
    """Return a small sample for a legend: a line or a square in `color`, a class of the style sheet or `#rrggbb`."""
    if is_line:
        drawn = tag("line", x1=1, x2=23, y1=6, y2=6, class_=f"line {color}" + (" dashed" if is_dashed else ""))
        return tag("svg", drawn, viewBox="0 0 24 12", class_="swatch wide", aria_hidden="true")
    paint = {"fill": color} if color.startswith("#") else {"class_": f"bar {color}"}
    drawn = tag("rect", x=0.5, y=0.5, width=11, height=11, rx=2, stroke="#8a929b", **paint)
    return tag("svg", drawn, viewBox="0 0 12 12", class_="swatch", aria_hidden="true")


def _text(text: str, x: float, y: float, anchor: str, css: str | None = None) -> Markup:
    return tag("text", text, x=x, y=y, text_anchor=anchor, class_=css)


def _svg(title: str, width: int, height: float, parts: Sequence[Markup]) -> Markup:
    return tag("svg", tag("title", title), *parts, viewBox=f"0 0 {width} {height:.0f}", role="img", aria_label=title)
