"""Potted plants (a class of their own) and the trees of the scenery: about one unit high, on y = 0, y upwards."""

import numpy as np

from core.data.demo.pen import Color, Pen, glassy, hsv, mix, path, pick, shade

_SNOW: Color = (246, 250, 255)


def draw_potted_plant(pen: Pen, rng: np.random.Generator) -> None:
    """Draw a plant in a terracotta pot: a round flowering bush, a fan of broad leaves, or a cactus."""
    kind = int(rng.integers(3))
    green = hsv(rng.uniform(0.30, 0.40), rng.uniform(0.65, 0.85), rng.uniform(0.50, 0.68))
    (_bush, _fan, _cactus)[kind](pen, rng, green)
    _pot(pen, mix((206, 100, 58), (178, 78, 56), rng.random()))


def _pot(pen: Pen, clay: Color) -> None:
    pen.polygon(path("-25,38 25,38 18,0 -18,0"), clay)
    pen.polygon(path("4,38 25,38 18,0 6,0"), glassy(shade(clay, -0.5), 0.35), over=True)
    pen.polygon(path("-20,34 -14,34 -11,2 -15,2"), glassy((255, 236, 214), 0.35), over=True)
    pen.box(-0.29, 0.34, 0.29, 0.43, shade(clay, 0.12), round_=0.02)
    pen.box(-0.29, 0.335, 0.29, 0.355, glassy(shade(clay, -0.6), 0.5), over=True)


def _bush(pen: Pen, rng: np.random.Generator, green: Color) -> None:
    petal = pick(rng, [(250, 84, 110), (255, 210, 70), (250, 250, 250), (186, 110, 220)])
    for _ in range(30):
        angle, reach = rng.uniform(0, 2 * np.pi), 0.27 * np.sqrt(rng.random())
        x, y = 1.15 * reach * np.cos(angle), 0.69 + reach * np.sin(angle)
        pen.ellipse((x, y), (0.11, 0.06), shade(green, rng.uniform(-0.35, 0.25)), turn=rng.uniform(0, 180))
    for _ in range(9):
        angle, reach = rng.uniform(0, 2 * np.pi), 0.27 * np.sqrt(rng.random())
        x, y = 1.1 * reach * np.cos(angle), 0.7 + reach * np.sin(angle)
        for turn in (0, 60, 120):
            pen.ellipse((x, y), (0.05, 0.022), petal, turn=turn)
        pen.disc((x, y), 0.018, (255, 224, 110), over=True)


def _fan(pen: Pen, rng: np.random.Generator, green: Color) -> None:
    for lean in (*np.linspace(-75, 75, 9).tolist(), -30.0, 28.0, -8.0):
        angle = np.deg2rad(lean + rng.uniform(-6, 6))
        length = rng.uniform(0.42, 0.58) * (1 - 0.15 * abs(angle))
        along, across = np.array([np.sin(angle), np.cos(angle)]), np.array([np.cos(angle), -np.sin(angle)])
        base = np.array([0.0, 0.40])
        droop = np.array([0, -0.10 * abs(np.sin(angle))])
        tip = base + along * length + droop
        middle = base + along * length * 0.55
        leaf = shade(green, rng.uniform(-0.3, 0.25))
        pen.blob(np.stack([base, middle + across * 0.085, tip, middle - across * 0.085]), leaf)
        pen.limb(np.stack([base, middle, tip]), (0.016, 0.006), glassy(shade(leaf, 0.5), 0.8), over=True)


def _cactus(pen: Pen, rng: np.random.Generator, green: Color) -> None:
    top = rng.uniform(0.84, 0.96)
    arms = (
        ([(0, 0.6), (0.24, 0.6), (0.24, 0.82)], (0.13, 0.11)),
        ([(0, 0.52), (-0.23, 0.54), (-0.23, 0.72)], (0.13, 0.11)),
    )
    for bend, widths in arms:
        pen.limb(bend, widths, shade(green, -0.12))
    pen.limb([(0, 0.4), (0, top)], (0.25, 0.22), green)
    for x in (-0.07, 0.0, 0.07):
        pen.limb([(x, 0.4), (x * 0.9, top + 0.03)], (0.014, 0.01), glassy(shade(green, -0.5), 0.6), over=True)
    for x, y in rng.uniform((-0.11, 0.45), (0.11, top), (26, 2)).tolist():
        pen.limb([(x - 0.015, y), (x + 0.015, y + 0.02)], (0.01, 0.005), (250, 246, 214), over=True)
    for x, y in ((0.0, top + 0.12), (0.24, 0.89)):
        pen.ellipse((x, y), (0.06, 0.035), (250, 96, 140))
        pen.ellipse((x, y + 0.01), (0.03, 0.02), (255, 190, 120), over=True)


def draw_round_tree(pen: Pen, rng: np.random.Generator, leaf: Color, *, snow: bool) -> None:
    """Draw a broad-leaved tree of overlapping crowns, lit from above; bare and snowy in winter."""
    bark: Color = (104, 78, 64)
    pen.polygon(path("-5,0 5,0 2.5,50 -2.5,50"), bark)
    for lean in (-0.16, 0.14):
        pen.limb([(0, 0.3), (lean, 0.55)], (0.035, 0.02), bark)
    for _ in range(12):
        x, y = rng.uniform(-0.25, 0.25), rng.uniform(0.45, 0.84)
        radius = rng.uniform(0.12, 0.18)
        pen.disc((x, y), radius, shade(leaf, (y - 0.72) * 0.9))
        if snow:
            pen.ellipse((x, y + radius * 0.55), (radius * 0.8, radius * 0.42), _SNOW)


def draw_conifer(pen: Pen, rng: np.random.Generator, leaf: Color, *, snow: bool) -> None:
    """Draw a fir of stacked skirts, with snow on them in winter."""
    green = mix(leaf, (50, 96, 80), 0.75)
    pen.box(-0.035, 0, 0.035, 0.2, (92, 70, 60))
    for i in range(4):
        low, half = 0.14 + 0.2 * i, 0.27 - 0.055 * i + rng.uniform(-0.01, 0.01)
        pen.polygon([(-half, low), (0, low - 0.035), (half, low), (0, low + 0.36)], shade(green, -0.22 + 0.1 * i))
        pen.polygon([(0, low - 0.035), (half, low), (0, low + 0.36)], glassy((20, 30, 60), 0.16))
        if snow:
            pen.polygon(
                [(-half * 0.5, low + 0.18), (half * 0.2, low + 0.15), (half * 0.45, low + 0.18), (0, low + 0.36)], _SNOW
            )
