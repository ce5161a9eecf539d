"""The parts of a background: sky, clouds, ridges, water, trees, and the ground; all in picture heights, y down."""

from collections.abc import Sequence

import numpy as np
from PIL import Image

from core.data.demo.light import World, wash
from core.data.demo.pen import Color, Paint, Pen, Point, glassy, hsv, mix, pick, shade
from core.data.demo.plants import draw_conifer, draw_round_tree


def paint_sky(pen: Pen, world: World) -> None:
    """Fill the picture with the mood's sky, the sun with its glow, and some clouds, all drawn small and so softly."""
    size = pen.picture.width // 2, pen.picture.height // 2
    sun = ((world.sun_x + 1) / 2 * pen.width, world.horizon * world.rng.uniform(0.25, 0.8))
    small = Pen(_paint_air(world, size, sun), np.eye(2) * size[1])
    small.disc(sun, 0.045, shade(world.mood.sun, 0.35))
    for _ in range(int(world.rng.integers(2, 6))):
        _paint_cloud(small, world)
    pen.picture.paste(small.picture.resize(pen.picture.size, Image.Resampling.BILINEAR))


def _paint_air(world: World, size: tuple[int, int], sun: Point) -> Image.Image:
    """Return the gradient from zenith to horizon, brightened around the sun."""
    width, height = size[0] // 2, size[1] // 2
    y, x = np.mgrid[0:height, 0:width].astype(np.float32) / height
    stops = np.array([0.0, world.horizon * 0.55, world.horizon * 1.05])
    air = np.stack([np.interp(y, stops, np.array(world.mood.sky)[:, channel]) for channel in range(3)], axis=-1)
    glow = np.exp(-((x - sun[0]) ** 2 + (y - sun[1]) ** 2) / 0.06)[..., None] * 0.75
    air += (255 - air) * glow * (np.array(world.mood.sun) / 255) ** 2 + wash(world.rng, (width, height), 6, 2.0)[
        ..., None
    ]
    return Image.fromarray(np.clip(air, 0, 255).astype(np.uint8)).resize(size, Image.Resampling.BILINEAR)


def _paint_cloud(pen: Pen, world: World) -> None:
    rng = world.rng
    y = rng.uniform(0.03, world.horizon * 0.8)
    size = rng.uniform(0.05, 0.13) * (1.15 - y / world.horizon)
    x = rng.uniform(0, pen.width)
    dim = mix(world.mood.cloud, world.mood.sky[1], 0.45)
    bumps = [
        (x + rng.uniform(-2.2, 2.2) * size, y - rng.uniform(0, 0.5) * size, rng.uniform(0.5, 1.0) * size)
        for _ in range(7)
    ]
    for lift, paint, grow in ((0.0, glassy(dim, 0.7), 1.0), (0.22 * size, glassy(world.mood.cloud, 0.75), 0.85)):
        for cx, cy, radius in bumps:
            pen.ellipse((cx, cy - lift), (radius * 1.3 * grow, radius * 0.62 * grow), paint)


def paint_ridge(pen: Pen, world: World, base: float, height: float, color: Color) -> None:
    """Paint a range of hills or mountains whose highest tops are `height` above `base`, down to the base."""
    rng = world.rng
    x = np.linspace(0, pen.width, 60)
    waves = sum(rng.uniform(0.5, 1) / n * np.sin(n * 2.2 * x + rng.uniform(0, 7)) for n in (1, 2, 3, 5, 9))
    profile = (waves - np.min(waves)) / float(np.ptp(waves))
    line = np.stack([x, base - height * (0.15 + 0.85 * profile)], axis=1)
    pen.polygon(np.concatenate([line, [(pen.width, base + 0.02), (0, base + 0.02)]]), color)


def paint_distance(pen: Pen, world: World) -> None:
    """Paint two or three ridges towards the horizon, each paler the farther away."""
    leaf = world.season.leaves[0] if not world.season.is_snowy else (150, 170, 190)
    far = mix((104, 122, 160), leaf, 0.2)
    for height, haze in ((0.20, 0.68), (0.12, 0.48), (0.06, 0.32)):
        tone = mix(mix(far, leaf, 1 - haze), world.mood.haze, haze)
        paint_ridge(pen, world, world.horizon, height * world.rng.uniform(0.6, 1.1), tone)


def paint_grass(pen: Pen, world: World, top: float, bottom: float = 1.0) -> None:
    """Paint a meadow between two heights: a gradient from hazy to full green, blades, flowers."""
    far, near = world.season.grass
    pen.fade(top, bottom, mix(far, world.mood.haze, 0.25), near)
    _mottle(pen, world, top, bottom, (shade(near, -0.2), shade(far, 0.1), near))
    tones = [shade(mix(far, near, share), world.rng.uniform(-0.18, 0.16)) for share in (0.2, 0.5, 0.8, 1.0, 1.0)]
    _paint_blades(pen, world, (top, bottom), tones)
    if not world.season.is_snowy:
        _paint_flowers(pen, world, (top, bottom))


def paint_farmland(pen: Pen, world: World, top: float, bottom: float) -> None:
    """Paint a few striped fields that lie between two heights."""
    rng, (far, near) = world.rng, world.season.grass
    for _ in range(int(rng.integers(2, 5))):
        y, tall, x, wide = (
            rng.uniform(top + 0.02, bottom),
            rng.uniform(0.015, 0.03),
            rng.uniform(0, pen.width),
            rng.uniform(0.15, 0.35),
        )
        crop = mix(
            shade(mix(far, near, rng.random()), rng.uniform(-0.15, 0.15)),
            (230, 196, 90),
            0 if world.season.is_snowy else rng.uniform(0, 0.4),
        )
        for i, share in enumerate(np.linspace(0, 1, 7)[:-1].tolist()):
            left, right = x + wide * share, x + wide * (share + 1 / 6)
            pen.polygon(
                [(left, y), (right, y), (right + 0.05, y - tall), (left + 0.05, y - tall)], shade(crop, 0.08 * (i % 2))
            )


def _mottle(pen: Pen, world: World, top: float, bottom: float, tones: Sequence[Color]) -> None:
    rng = world.rng
    for _ in range(14):
        depth = rng.random() ** 0.7
        y = top + 0.03 + (bottom - top - 0.03) * depth
        paint = glassy(tones[int(rng.integers(len(tones)))], 0.13)
        pen.ellipse((rng.uniform(0, pen.width), y), (0.12 + 0.3 * depth, 0.012 + 0.035 * depth), paint)


def _paint_blades(pen: Pen, world: World, span: tuple[float, float], tones: Sequence[Paint]) -> None:
    rng, (top, bottom) = world.rng, span
    count = round(900 * (bottom - top))
    depth = rng.random(count) ** 0.6
    roots = np.stack([rng.uniform(0, pen.width, count), top + 0.01 + depth * (bottom - top)], axis=1)
    length = (0.006 + 0.022 * depth)[:, None] * (0.45 if world.season.is_snowy else 1.0)
    lean = np.stack([rng.normal(0.1, 0.35, count), np.full(count, -1.0)], axis=1)
    pen.strokes(roots, roots + lean * length, tones, width_px=2)


def _paint_flowers(pen: Pen, world: World, span: tuple[float, float]) -> None:
    rng, (top, bottom) = world.rng, span
    for _ in range(int(rng.integers(12, 45))):
        depth = rng.random() ** 0.6
        at = (rng.uniform(0, pen.width), top + 0.02 + depth * (bottom - top - 0.02))
        pen.disc(at, 0.002 + 0.004 * depth, pick(rng, world.season.flowers))


def paint_trees(pen: Pen, world: World, y: float, heights: tuple[float, float], count: int) -> None:
    """Plant trees along the height y, broad-leaved or fir, in the season's leaves; small ones fade into the haze."""
    rng = world.rng
    is_fir_wood = rng.random() < 0.4
    for x in np.sort(rng.uniform(-0.05, pen.width + 0.05, count)).tolist():
        height = rng.uniform(*heights)
        leaf = mix(pick(rng, world.season.leaves), world.mood.haze, max(0.0, 0.45 - 1.1 * height))
        figure = pen.planted(x, y + rng.uniform(0, 0.012), height)
        pen.ellipse((x, y + 0.01), (0.3 * height, 0.03 * height), glassy((30, 40, 60), 0.22))
        (draw_conifer if is_fir_wood else draw_round_tree)(figure, rng, leaf, snow=world.season.is_snowy)


def paint_hedge(pen: Pen, world: World, base: float, height: float) -> None:
    """Paint a row of bushes from edge to edge."""
    rng = world.rng
    for x in np.arange(-0.05, pen.width + 0.1, 0.07).tolist():
        leaf = shade(mix(pick(rng, world.season.leaves), world.mood.haze, 0.25), rng.uniform(-0.2, 0.0))
        for lift, tone in ((0.35, -0.2), (0.65, 0.0), (0.85, 0.12)):
            pen.disc((x + rng.uniform(-0.03, 0.03), base - height * lift), height * 0.32, shade(leaf, tone))
    if world.season.is_snowy:
        for x in np.arange(0, pen.width, 0.09).tolist():
            pen.ellipse((x, base - height), (0.05, 0.02), (244, 248, 255))


def paint_water(pen: Pen, world: World, top: float, bottom: float) -> None:
    """Paint a sea or lake that mirrors the sky, with wave strokes and glitter under the sun."""
    rng, sky = world.rng, world.mood.sky
    near = mix((40, 112, 140), sky[0], 0.35)
    pen.fade(top, bottom, mix(sky[2], near, 0.35), near)
    count = 330
    depth = rng.random(count) ** 0.8
    starts = np.stack([rng.uniform(-0.05, pen.width, count), top + 0.005 + depth * (bottom - top)], axis=1)
    lengths = np.stack([(0.01 + 0.07 * depth) * rng.uniform(0.5, 1.2, count), np.zeros(count)], axis=1)
    tones = [glassy(shade(near, 0.45), 0.5), glassy(shade(near, -0.25), 0.45), glassy(sky[2], 0.4)]
    pen.strokes(starts, starts + lengths, tones, width_px=3)
    glitter = np.stack(
        [(world.sun_x + 1) / 2 * pen.width + rng.normal(0, 0.05, 60), top + rng.random(60) ** 1.3 * (bottom - top)], 1
    )
    pen.strokes(glitter, glitter + np.array([0.02, 0]), [glassy(world.mood.sun, 0.8)], width_px=2)


def paint_snowfall(pen: Pen, world: World) -> None:
    """Let it snow over the finished scene."""
    for x, y in world.rng.uniform((0, 0), (pen.width, 1), (90, 2)).tolist():
        pen.disc((x, y), world.rng.uniform(0.002, 0.006), glassy((255, 255, 255), 0.85))


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
