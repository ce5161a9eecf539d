"""People in coats: one unit high, standing on y = 0, y upwards, facing right."""

import numpy as np

from core.data.demo.pen import Color, Pen, glassy, hsv, path, pick, shade

_SKIN: tuple[Color, ...] = ((250, 214, 186), (232, 184, 148), (190, 134, 98), (134, 90, 66))
_HAIR: tuple[Color, ...] = ((70, 44, 34), (34, 28, 32), (176, 112, 56), (222, 178, 98))
_TROUSERS: tuple[Color, ...] = ((58, 66, 98), (72, 62, 72), (88, 82, 70))


def draw_person(pen: Pen, rng: np.random.Generator) -> None:
    """Draw a person in a bright pink, crimson or violet coat, with scarf, hat or bare head, standing or walking."""
    coat = hsv(rng.uniform(0.84, 0.95), rng.uniform(0.62, 0.85), rng.uniform(0.78, 0.95))
    skin, trousers = pick(rng, _SKIN), pick(rng, _TROUSERS)
    stride = rng.uniform(0.02, 0.11)
    _legs(pen, trousers, stride)
    swing = rng.uniform(-0.5, 0.9)
    _arm(pen, (0.09, 0.66), swing, shade(coat, -0.28), skin)
    pen.blob(path("-12,73 0,75.5 12,73 16.5,50 20,30 0,27.5 -21,30 -16.5,50"), coat)
    pen.limb([(0.07, 0.7), (0.075, 0.3)], (0.012, 0.012), glassy(shade(coat, -0.6), 0.6), over=True)
    for y in (0.62, 0.53, 0.44, 0.35):
        pen.disc((0.10, y), 0.013, (250, 232, 180), over=True)
    pen.box(-0.3, 0.26, 0.3, 0.315, glassy(shade(coat, -0.5), 0.5), over=True)
    _arm(pen, (-0.07, 0.67), -swing * 0.7, shade(coat, -0.1), skin)
    _head(pen, rng, skin)
    scarf = hsv(rng.uniform(0.1, 0.6), 0.6, 0.9)
    pen.limb([(-0.085, 0.745), (0.085, 0.74)], (0.06, 0.06), scarf)
    pen.limb([(-0.05, 0.73), (-0.11, 0.58)], (0.05, 0.055), shade(scarf, -0.12))


def _legs(pen: Pen, trousers: Color, stride: float) -> None:
    for foot, tone in ((stride, -0.25), (-stride, 0.0)):
        pen.limb([(foot * 0.5, 0.34), (foot, 0.07)], (0.13, 0.10), shade(trousers, tone))
        pen.limb([(foot - 0.01, 0.03), (foot + 0.07, 0.028)], (0.065, 0.052), (84, 52, 40))


def _arm(pen: Pen, shoulder: tuple[float, float], swing: float, sleeve: Color, skin: Color) -> None:
    x, y = shoulder
    elbow = (x + 0.15 * np.sin(swing), y - 0.15 * np.cos(swing))
    hand = (elbow[0] + 0.15 * np.sin(swing + 0.35), elbow[1] - 0.15 * np.cos(swing + 0.35))
    pen.disc((hand[0] + 0.01, hand[1] - 0.03), 0.034, skin)
    pen.limb([shoulder, elbow, hand], (0.10, 0.085), sleeve)


def _head(pen: Pen, rng: np.random.Generator, skin: Color) -> None:
    hair = pick(rng, _HAIR)
    if rng.random() < 0.5:
        pen.blob(path("-11,92 -13,78 -10,68 0,70 4,88"), hair)
    pen.disc((0.005, 0.86), 0.108, hair)
    pen.ellipse((0.03, 0.845), (0.088, 0.095), skin)
    pen.ellipse((0.122, 0.835), (0.02, 0.016), shade(skin, -0.06))
    pen.disc((0.085, 0.86), 0.013, (40, 30, 34), over=True)
    pen.ellipse((0.06, 0.815), (0.026, 0.017), glassy((232, 100, 96), 0.5), over=True)
    pen.limb([(0.08, 0.79), (0.105, 0.80)], (0.009, 0.009), (150, 70, 64), over=True)
    if rng.random() < 0.5:
        hat = hsv(rng.uniform(0.1, 0.6), 0.65, 0.85)
        pen.blob(path("-11.5,89.5 -8.5,98 1,100 10,96 12.5,90.5 0,89"), hat)
        pen.limb([(-0.105, 0.90), (0.115, 0.91)], (0.045, 0.045), shade(hat, 0.35))
    else:
        pen.blob(path("-10,90 -5,97.5 6,96.5 11.5,90 3,92.5"), hair)
