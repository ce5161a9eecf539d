"""The ground other than grass: pavement, asphalt, rails, beach, terrace; heights in picture heights, y down."""

import numpy as np

from core.data.demo.light import World
from core.data.demo.pen import Color, Pen, glassy, hsv, mix, shade

_STONE: Color = (196, 186, 174)
_DARK: Color = (40, 36, 60)
_SNOW: Color = (244, 248, 255)


def _snowed(world: World, color: Color) -> Color:
    return mix(color, _SNOW, 0.55) if world.season.is_snowy else color


def _paint_slabs(pen: Pen, top: float, bottom: float, seams: tuple[float, ...]) -> None:
    """Draw the joints of a paving: across at the given heights, and along towards a vanishing point above."""
    seam = glassy(_DARK, 0.17)
    for y in seams:
        pen.box(0, y, pen.width, y + 0.004, seam)
    for x in np.arange(-1.2, pen.width + 1.2, 0.15).tolist():
        flight = (x - pen.width / 2) * (bottom - top) * 1.6
        pen.limb([(x, top), (x + flight, bottom)], (0.003, 0.005), seam)


def paint_pavement(pen: Pen, world: World, top: float, bottom: float) -> None:
    """Paint a pavement of stone slabs with a kerb at its lower edge."""
    stone = _snowed(world, _STONE)
    pen.fade(top, bottom, mix(stone, world.mood.haze, 0.25), shade(stone, -0.08))
    _paint_slabs(pen, top, bottom, ((top * 0.6 + bottom * 0.4),))
    pen.box(0, bottom - 0.012, pen.width, bottom + 0.004, shade(stone, 0.35))


def paint_asphalt(pen: Pen, world: World, top: float, bottom: float) -> None:
    """Paint a road from edge to edge, with a dashed middle line."""
    grey = mix((104, 104, 120), world.mood.haze, 0.12)
    pen.fade(top, bottom, shade(grey, 0.14), shade(grey, -0.10))
    pen.speckle(
        world.rng, (top + 0.01, bottom - 0.01), 240, [glassy(shade(grey, 0.3), 0.5), glassy(shade(grey, -0.3), 0.4)]
    )
    y = (top + bottom) / 2
    for x in np.arange(world.rng.uniform(-0.2, 0), pen.width, 0.26).tolist():
        pen.polygon([(x, y), (x + 0.13, y), (x + 0.12, y + 0.013), (x - 0.01, y + 0.013)], (236, 230, 214))
    for edge in (top, bottom):
        pen.box(0, edge - 0.005, pen.width, edge + 0.003, glassy(_DARK, 0.3))


def paint_rails(pen: Pen, world: World, top: float) -> None:
    """Paint a bed of gravel with sleepers and two rails; the train stands on the nearer one, 0.092 below `top`."""
    gravel = _snowed(world, mix((164, 148, 134), world.mood.haze, 0.15))
    bottom = top + 0.14
    pen.fade(top, bottom, gravel, shade(gravel, -0.12))
    tones = [shade(gravel, 0.25), shade(gravel, -0.3), shade(gravel, -0.15)]
    pen.speckle(world.rng, (top + 0.004, bottom - 0.006), 380, tones, width_px=4)
    for x in np.arange(0.0, pen.width, 0.075).tolist():
        pen.polygon(
            [(x + 0.01, top + 0.038), (x + 0.042, top + 0.038), (x + 0.036, top + 0.1), (x, top + 0.1)], (112, 84, 70)
        )
    for y in (top + 0.045, top + 0.085):
        pen.box(0, y, pen.width, y + 0.012, (92, 84, 88))
        pen.box(0, y - 0.002, pen.width, y + 0.003, (214, 210, 206))


def paint_beach(pen: Pen, world: World, shore: float) -> None:
    """Paint a beach below a wavy line of foam."""
    rng = world.rng
    x = np.linspace(0, pen.width, 24)
    line = shore + 0.022 * np.sin(x * rng.uniform(2, 4) + rng.uniform(0, 6)) + 0.01 * np.sin(x * 9)
    sand = _snowed(world, (240, 216, 166))
    foam: Color = (255, 255, 255)
    corners = [(pen.width, 1.0), (0.0, 1.0)]
    for lift, paint in (
        (0.035, glassy(foam, 0.3)),
        (0.018, glassy(foam, 0.75)),
        (0.0, shade(sand, -0.12)),
        (-0.012, sand),
    ):
        pen.polygon(np.concatenate([np.stack([x, line - lift], axis=1), corners]), paint)
    pen.speckle(rng, (shore + 0.045, 1.0), 200, [shade(sand, -0.2), shade(sand, 0.4)])


def paint_terrace(pen: Pen, world: World, top: float) -> None:
    """Paint a terrace of warm tiles down to the lower edge."""
    tile = _snowed(world, hsv(world.rng.uniform(0.05, 0.11), 0.24, 0.88))
    pen.fade(top, 1.0, shade(tile, 0.12), shade(tile, -0.10))
    _paint_slabs(pen, top, 1.0, (top, top + 0.05, top + 0.115))
