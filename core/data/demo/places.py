"""The six places a scene can be set in: their buildings, how each is painted, and where in it figures can stand.

Heights are picture heights, y down.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from core.data.demo.light import World
from core.data.demo.pen import Color, Pen, glassy, mix, pick, shade
from core.data.demo.scenery import (
    paint_asphalt,
    paint_beach,
    paint_distance,
    paint_farmland,
    paint_grass,
    paint_hedge,
    paint_pavement,
    paint_rails,
    paint_sky,
    paint_terrace,
    paint_trees,
    paint_water,
)

_WALLS: tuple[Color, ...] = (
    (244, 222, 178), (234, 186, 158), (190, 208, 200), (246, 236, 216), (222, 178, 176), (200, 196, 216),
    (226, 206, 150),
)  # fmt: skip
_ROOFS: tuple[Color, ...] = ((176, 88, 68), (134, 92, 90), (110, 108, 122), (150, 110, 80))
_DOORS: tuple[Color, ...] = ((86, 110, 104), (120, 74, 64), (92, 92, 124))
_PANE: Color = (104, 126, 150)
_DARK: Color = (40, 36, 60)
_SNOW: Color = (244, 248, 255)


def paint_house(pen: Pen, world: World, span: tuple[float, float], base: float, height: float) -> None:
    """Paint a gabled house between left and right, standing on `base`, its eaves `height` above; a little hazy."""
    rng, (left, right) = world.rng, span
    wall, roof, door = (mix(pick(rng, colors), world.mood.haze, 0.22) for colors in (_WALLS, _ROOFS, _DOORS))
    eaves, middle = base - height, (left + right) / 2
    ridge = eaves - (right - left) * rng.uniform(0.3, 0.5)
    chimney = left + (right - left) * rng.choice([0.22, 0.72])
    pen.box(chimney, ridge + 0.02, chimney + 0.025, eaves, shade(roof, -0.25))
    pen.box(left, eaves, right, base, wall)
    pen.polygon([(left, eaves), (middle, ridge), (right, eaves)], shade(wall, -0.05))
    _paint_roof(pen, (left, middle, right), (eaves, ridge), _SNOW if world.season.is_snowy else roof)
    pen.box(left, base - 0.02, right, base, glassy(_DARK, 0.12))
    _paint_storeys(pen, (left, right), (eaves, base), wall)
    pen.box(middle - 0.018, base - 0.075, middle + 0.018, base, door)
    pen.disc((middle + 0.011, base - 0.035), 0.003, (236, 214, 150))


def _paint_roof(pen: Pen, across: tuple[float, float, float], heights: tuple[float, float], roof: Color) -> None:
    (left, middle, right), (eaves, ridge) = across, heights
    for side, edge in ((-1, left), (1, right)):
        tone = shade(roof, 0.06 if side < 0 else -0.12)
        foot = edge + 0.018 * side
        pen.polygon([(middle, ridge - 0.03), (foot, eaves + 0.005), (foot, eaves + 0.03), (middle, ridge + 0.02)], tone)
    pen.disc((middle, ridge + 0.075), 0.012, _PANE)


def _paint_storeys(pen: Pen, across: tuple[float, float], heights: tuple[float, float], wall: Color) -> None:
    (left, right), (eaves, base) = across, heights
    cell = max(0.085, 0.34 * (base - eaves))
    columns = max(2, round((right - left) / cell))
    half = 0.19 * (right - left) / columns
    for x in np.linspace(left, right, 2 * columns + 1)[1::2].tolist():
        for y in np.arange(eaves + 0.035, base - 0.08, cell).tolist():
            pen.box(x - half - 0.004, y - 0.004, x + half + 0.004, y + 0.55 * cell + 0.004, shade(wall, 0.55))
            pen.box(x - half, y, x + half, y + 0.55 * cell, _PANE)
            pen.polygon([(x - half, y), (x + half * 0.4, y), (x - half, y + 0.035)], glassy((255, 255, 255), 0.25))


def paint_skyline(pen: Pen, world: World, base: float) -> None:
    """Paint the pale towers of a town in the distance."""
    x = -0.05
    while x < pen.width:
        width = world.rng.uniform(0.06, 0.16)
        top = base - world.rng.uniform(0.2, 0.48)
        tone = mix((104, 112, 150), world.mood.haze, world.rng.uniform(0.55, 0.75))
        pen.box(x, top, x + width, base, tone)
        for y in np.arange(top + 0.02, base, 0.035).tolist():
            pen.box(x + 0.012, y, x + width - 0.012, y + 0.01, glassy(shade(tone, 0.4), 0.5))
        x += width * world.rng.uniform(0.7, 1.3)


def paint_fence(pen: Pen, y: float) -> None:
    """Paint a wooden fence from edge to edge."""
    wood: Color = (168, 134, 100)
    for lift in (0.025, 0.055):
        pen.box(0, y - lift - 0.006, pen.width, y - lift + 0.006, wood)
        pen.box(0, y - lift + 0.004, pen.width, y - lift + 0.007, shade(wood, -0.35))
    for x in np.arange(0.05, pen.width, 0.16).tolist():
        pen.box(x, y - 0.075, x + 0.016, y + 0.01, shade(wood, 0.1))
        pen.box(x + 0.011, y - 0.075, x + 0.016, y + 0.01, shade(wood, -0.3))


def paint_lighthouse(pen: Pen, world: World) -> None:
    """Paint a hazy lighthouse on a rocky islet at the horizon."""
    x, y = world.rng.uniform(0.1, pen.width - 0.1), world.horizon + 0.012
    rock, tower, band, dark = (
        mix(color, world.mood.haze, 0.35) for color in ((96, 98, 110), (250, 246, 238), (206, 96, 84), _DARK)
    )
    pen.polygon(
        [(x - 0.12, y), (x - 0.05, y - 0.035), (x + 0.03, y - 0.045), (x + 0.09, y - 0.02), (x + 0.13, y)], rock
    )
    for i in range(4):
        low, high = y - 0.035 - 0.045 * i, y - 0.08 - 0.045 * i
        half = 0.024 - 0.003 * i
        pen.polygon(
            [(x - half, low), (x + half, low), (x + half - 0.003, high), (x - half + 0.003, high)], (tower, band)[i % 2]
        )
    pen.box(x - 0.017, y - 0.225, x + 0.017, y - 0.215, dark)
    pen.box(x - 0.009, y - 0.245, x + 0.009, y - 0.225, (255, 238, 170))
    pen.polygon([(x - 0.014, y - 0.245), (x, y - 0.268), (x + 0.014, y - 0.245)], band)


@dataclass(frozen=True, kw_only=True)
class Setting:
    """A place: its painter, the heights (0 top, 1 bottom) where figures may stand, and who may join the leads."""

    paint: Callable[[Pen, World], None]
    bands: Mapping[str, tuple[float, float]]
    extras: tuple[str, ...]


def _paint_country(pen: Pen, world: World) -> None:
    rng = world.rng
    paint_sky(pen, world)
    paint_distance(pen, world)
    paint_grass(pen, world, world.horizon)
    paint_farmland(pen, world, world.horizon, world.horizon + 0.1)
    paint_trees(pen, world, world.horizon + 0.01, (0.06, 0.11), 12)
    if rng.random() < 0.5:
        left = rng.uniform(0.1, pen.width - 0.25)
        paint_house(pen, world, (left, left + 0.15), world.horizon + 0.05, 0.10)
    paint_trees(pen, world, world.horizon + 0.11, (0.26, 0.42), int(rng.integers(1, 5)))


def _paint_meadow(pen: Pen, world: World) -> None:
    _paint_country(pen, world)
    if world.rng.random() < 0.6:
        paint_fence(pen, world.horizon + 0.18)


def _paint_road(pen: Pen, world: World) -> None:
    _paint_country(pen, world)
    paint_asphalt(pen, world, 0.67, 0.88)


def _paint_railway(pen: Pen, world: World) -> None:
    _paint_country(pen, world)
    paint_rails(pen, world, 0.70)


def _paint_street(pen: Pen, world: World) -> None:
    rng = world.rng
    paint_sky(pen, world)
    paint_skyline(pen, world, 0.6)
    left = rng.uniform(-0.2, 0.0)
    while left < pen.width:
        width = rng.uniform(0.22, 0.36)
        if rng.random() < 0.8:
            paint_house(pen, world, (left, left + width - 0.012), 0.58, rng.uniform(0.2, 0.32))
        left += width
    paint_trees(pen, world, 0.585, (0.24, 0.36), int(rng.integers(1, 4)))
    paint_pavement(pen, world, 0.575, 0.70)
    paint_asphalt(pen, world, 0.705, 0.925)
    paint_pavement(pen, world, 0.93, 1.0)


def _paint_coast(pen: Pen, world: World) -> None:
    paint_sky(pen, world)
    paint_distance(pen, world)
    paint_water(pen, world, world.horizon, 1.0)
    if world.rng.random() < 0.5:
        paint_lighthouse(pen, world)
    paint_beach(pen, world, 0.86)


def _paint_garden(pen: Pen, world: World) -> None:
    rng = world.rng
    paint_sky(pen, world)
    paint_trees(pen, world, 0.5, (0.4, 0.6), 5)
    if rng.random() < 0.7:
        left = rng.uniform(-0.1, pen.width - 0.6)
        paint_house(pen, world, (left, left + rng.uniform(0.5, 0.7)), 0.58, 0.36)
    paint_grass(pen, world, 0.585)
    paint_hedge(pen, world, 0.61, 0.11)
    paint_terrace(pen, world, 0.80)


_SKY = {"aeroplane": (0.26, 0.42), "flying_bird": (0.28, 0.46)}
_FRONT = (0.92, 0.98)

SETTINGS: Mapping[str, Setting] = {
    "meadow": Setting(
        paint=_paint_meadow,
        bands=_SKY | {"cow": (0.76, 0.97), "sheep": (0.78, 0.97), "person": (0.84, 0.98), "bird": (0.9, 0.98)},
        extras=("cow", "sheep", "sheep", "person", "aeroplane"),
    ),
    "street": Setting(
        paint=_paint_street,
        bands=_SKY | {"bus": (0.80, 0.90), "car": (0.80, 0.91), "person": (0.95, 0.985), "potted_plant": (0.95, 0.985)},
        extras=("car", "potted_plant", "potted_plant", "person"),
    ),
    "road": Setting(
        paint=_paint_road,
        bands=_SKY | {"bus": (0.75, 0.84), "car": (0.76, 0.86), "sheep": _FRONT, "cow": _FRONT, "person": _FRONT},
        extras=("car", "sheep", "cow", "aeroplane", "flying_bird"),
    ),
    "railway": Setting(
        paint=_paint_railway,
        bands=_SKY | {"train": (0.792, 0.796), "cow": _FRONT, "sheep": _FRONT, "person": _FRONT, "bird": _FRONT},
        extras=("sheep", "cow", "person", "flying_bird"),
    ),
    "coast": Setting(
        paint=_paint_coast,
        bands=_SKY | {"boat": (0.64, 0.84), "person": (0.94, 0.98), "bird": (0.94, 0.98), "potted_plant": (0.94, 0.98)},
        extras=("boat", "person", "bird", "potted_plant"),
    ),
    "garden": Setting(
        paint=_paint_garden,
        bands=_SKY
        | {"potted_plant": (0.86, 0.98), "bird": (0.86, 0.98), "person": (0.84, 0.97), "sheep": (0.74, 0.84)},
        extras=("potted_plant", "potted_plant", "person", "sheep"),
    ),
}
