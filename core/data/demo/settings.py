"""The six places a scene can be set in: how each is painted, and where in it figures can stand."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from core.data.demo.buildings import paint_fence, paint_house, paint_lighthouse, paint_skyline
from core.data.demo.ground import paint_asphalt, paint_beach, paint_pavement, paint_rails, paint_terrace
from core.data.demo.light import World
from core.data.demo.pen import Pen
from core.data.demo.scenery import (
    paint_distance,
    paint_farmland,
    paint_grass,
    paint_hedge,
    paint_sky,
    paint_trees,
    paint_water,
)


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
