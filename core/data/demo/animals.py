"""Cows, sheep, birds, and people in coats: one unit high, standing on y = 0, y upwards, facing right."""

import numpy as np

from core.data.demo.pen import Color, Pen, glassy, hsv, mix, path, pick, shade

_HOOF: Color = (62, 52, 50)


def _leg(pen: Pen, hip: tuple[float, float], foot: float, widths: tuple[float, float], color: Color) -> None:
    knee = (hip[0] * 0.4 + foot * 0.6, hip[1] * 0.45)
    pen.limb([hip, knee, (foot, 0.03)], widths, color)
    pen.box(foot - widths[1] * 0.62, 0.0, foot + widths[1] * 0.72, 0.06, _HOOF)


def draw_cow(pen: Pen, rng: np.random.Generator) -> None:
    """Draw a cow: white with black or red-brown blotches, a pink muzzle, short horns."""
    coat: Color = (248, 244, 238)
    patch = pick(rng, [(38, 34, 40), (38, 34, 40), (126, 66, 40)])
    stride = rng.uniform(-0.06, 0.06)
    for hip, foot in ((-0.44, -0.38 + stride), (0.36, 0.42 - stride)):
        _leg(pen, (hip, 0.42), foot, (0.15, 0.085), shade(coat, -0.25))
    pen.limb([(-0.60, 0.74), (-0.70, 0.62), (-0.70, 0.36)], (0.05, 0.03), shade(coat, -0.15))
    pen.ellipse((-0.70, 0.31), (0.04, 0.08), patch)
    pen.ellipse((-0.26, 0.34), (0.14, 0.09), (240, 176, 170))
    body = path("-63,62 -58,80 -30,82 10,79 42,85 56,74 48,48 20,36 -20,36 -52,42")
    pen.blob(body, coat)
    _blotches(pen, rng, patch)
    pen.ellipse((0, 0.36), (0.62, 0.12), glassy((90, 80, 110), 0.28), over=True)
    for hip, foot in ((-0.52, -0.54 - stride), (0.28, 0.26 + stride)):
        _leg(pen, (hip, 0.46), foot, (0.17, 0.095), coat)
    _cow_head(pen, patch, coat, rng.uniform(-0.3, 0.02))


def _blotches(pen: Pen, rng: np.random.Generator, patch: Color) -> None:
    for x in (-0.45, -0.08, 0.3):
        center = np.array([x + rng.uniform(-0.08, 0.08), 0.64 + rng.uniform(-0.1, 0.1)])
        spokes = np.linspace(0, 2 * np.pi, 7, endpoint=False)
        radii = rng.uniform(0.09, 0.2, 7)
        pen.blob(center + np.stack([np.cos(spokes) * radii, np.sin(spokes) * radii], axis=1), patch, over=True)


def _cow_head(pen: Pen, patch: Color, coat: Color, nod: float) -> None:
    x, y = 0.70, 0.84 + nod
    pen.polygon([(0.36, 0.82), (x - 0.04, y + 0.08), (x + 0.06, y - 0.14), (0.46, 0.5)], patch)
    pen.limb([(x + 0.02, y + 0.10), (x + 0.05, y + 0.17), (x + 0.10, y + 0.18)], (0.045, 0.02), (226, 210, 170))
    pen.ellipse((x - 0.10, y + 0.06), (0.10, 0.045), shade(patch, 0.12), turn=15)
    pen.blob(
        [(x - 0.08, y + 0.12), (x + 0.09, y + 0.12), (x + 0.20, y - 0.06), (x + 0.17, y - 0.16), (x + 0.04, y - 0.13)],
        patch,
    )
    pen.blob([(x + 0.05, y + 0.10), (x + 0.10, y + 0.10), (x + 0.18, y - 0.06), (x + 0.10, y - 0.07)], coat, over=True)
    pen.ellipse((x + 0.17, y - 0.11), (0.085, 0.075), (240, 178, 170), turn=-20)
    pen.disc((x + 0.20, y - 0.09), 0.016, (120, 66, 70), over=True)
    pen.disc((x + 0.05, y + 0.04), 0.024, (20, 18, 24), over=True)
    pen.disc((x + 0.056, y + 0.047), 0.008, (255, 255, 255), over=True)


def draw_sheep(pen: Pen, rng: np.random.Generator) -> None:
    """Draw a sheep: a cream cloud of wool with curls, dark face and legs."""
    wool = mix((250, 244, 226), (226, 208, 178), rng.uniform(0, 0.6))
    dark = pick(rng, [(50, 42, 46), (70, 54, 48)])
    stride = rng.uniform(-0.05, 0.05)
    for hip, foot, tone in ((-0.32, -0.30, -0.3), (0.26, 0.32, -0.3), (-0.42, -0.44, 0.05), (0.16, 0.14, 0.05)):
        pen.limb([(hip, 0.4), (foot + stride, 0.04)], (0.12, 0.085), shade(dark, tone))
    around = np.linspace(0, 2 * np.pi, 13, endpoint=False) + rng.uniform(0, 0.5)
    for angle in around.tolist():
        pen.disc(
            (0.50 * np.cos(angle) - 0.05, 0.25 * np.sin(angle) + 0.56), rng.uniform(0.14, 0.18), shade(wool, -0.03)
        )
    pen.ellipse((-0.05, 0.56), (0.54, 0.30), wool)
    _curls(pen, rng, wool)
    nod = rng.uniform(-0.22, 0.02)
    _sheep_head(pen, 0.52, 0.74 + nod, dark, wool)


def _curls(pen: Pen, rng: np.random.Generator, wool: Color) -> None:
    for _ in range(34):
        angle, reach = rng.uniform(0, 2 * np.pi), np.sqrt(rng.random())
        x, y = 0.58 * reach * np.cos(angle) - 0.05, 0.34 * reach * np.sin(angle) + 0.56
        pen.disc((x + 0.012, y - 0.018), 0.075, glassy(shade(wool, -0.4), 0.30), over=True)
        pen.disc((x, y), 0.07, glassy(shade(wool, 0.5), 0.75), over=True)
    pen.ellipse((-0.05, 0.27), (0.6, 0.14), glassy((96, 84, 110), 0.22), over=True)


def _sheep_head(pen: Pen, x: float, y: float, dark: Color, wool: Color) -> None:
    pen.ellipse((x - 0.12, y + 0.06), (0.13, 0.05), shade(dark, 0.1), turn=20)
    pen.blob(
        [
            (x - 0.1, y + 0.12),
            (x + 0.06, y + 0.12),
            (x + 0.2, y - 0.1),
            (x + 0.16, y - 0.2),
            (x + 0.04, y - 0.18),
            (x - 0.1, y - 0.05),
        ],
        dark,
    )
    for dx, dy, radius in ((-0.08, 0.12, 0.09), (0.02, 0.15, 0.08), (-0.02, 0.09, 0.07)):
        pen.disc((x + dx, y + dy), radius, wool)
    pen.disc((x + 0.07, y + 0.01), 0.03, (250, 250, 246), over=True)
    pen.disc((x + 0.078, y + 0.008), 0.016, (16, 14, 18), over=True)
    pen.limb([(x + 0.1, y - 0.15), (x + 0.16, y - 0.14)], (0.012, 0.012), shade(dark, 0.4), over=True)


def _plumage(rng: np.random.Generator) -> tuple[Color, Color]:
    back = hsv(rng.uniform(0.52, 0.60), rng.uniform(0.6, 0.85), rng.uniform(0.65, 0.88))
    breast = hsv(rng.uniform(0.06, 0.13), rng.uniform(0.65, 0.85), 0.97)
    return back, breast


def draw_bird(pen: Pen, rng: np.random.Generator) -> None:
    """Draw a standing songbird: blue back, orange to yellow breast, folded wing, short beak."""
    back, breast = _plumage(rng)
    for x in (-0.02, 0.10):
        pen.limb([(x - 0.02, 0.3), (x, 0.02)], (0.035, 0.03), (196, 120, 60))
        pen.limb([(x - 0.06, 0.015), (x + 0.09, 0.015)], (0.03, 0.025), (196, 120, 60))
    pen.polygon(path("-34,52 -82,30 -80,20 -66,22 -20,32"), shade(back, -0.3))
    body = path("-46,42 -26,68 6,88 26,98 44,90 46,72 40,46 20,24 -16,22")
    pen.blob(body, back)
    pen.blob(path("36,78 50,68 46,40 22,20 -14,18 6,36 20,60"), breast, over=True)
    pen.ellipse((0.36, 0.84), (0.10, 0.06), (250, 248, 240), turn=-15, over=True)
    pen.polygon([(0.44, 0.89), (0.64, 0.83), (0.45, 0.78)], (244, 174, 60))
    pen.disc((0.31, 0.87), 0.042, (22, 20, 28), over=True)
    pen.disc((0.322, 0.885), 0.014, (255, 255, 255), over=True)
    pen.blob(path("12,66 -10,66 -40,42 -56,30 -20,32 6,44"), shade(back, -0.25))
    for i in range(3):
        pen.limb(
            [(0.02 - i * 0.06, 0.56 - i * 0.06), (-0.44 + i * 0.06, 0.34)],
            (0.03, 0.015),
            glassy(shade(back, 0.45), 0.7),
            over=True,
        )


def draw_flying_bird(pen: Pen, rng: np.random.Generator) -> None:
    """Draw the same songbird in flight, wings up or down."""
    back, breast = _plumage(rng)
    tip = rng.uniform(0.82, 1.0)
    pen.blob([(0.10, 0.44), (-0.06, 0.78), (-0.36, tip), (-0.40, 0.70), (-0.22, 0.42)], shade(back, -0.35))
    pen.polygon(path("-40,44 -92,50 -84,40 -92,30 -34,32"), shade(back, -0.3))
    body = path("-52,38 -20,50 20,54 42,58 60,50 58,36 30,22 -10,20")
    pen.blob(body, back)
    pen.blob(path("56,40 44,36 10,36 -40,34 -10,16 34,18"), breast, over=True)
    pen.polygon([(0.60, 0.50), (0.80, 0.43), (0.60, 0.39)], (244, 174, 60))
    pen.ellipse((0.50, 0.43), (0.08, 0.05), (250, 248, 240), over=True)
    pen.disc((0.47, 0.48), 0.036, (22, 20, 28), over=True)
    pen.blob([(0.26, 0.44), (0.24, 0.74), (0.06, tip), (-0.10, 0.74), (-0.20, 0.42), (0.0, 0.36)], shade(back, -0.1))
    for i in range(3):
        pen.limb(
            [(0.16 - i * 0.12, 0.46), (0.08 - i * 0.05, tip - 0.14 - i * 0.06)],
            (0.02, 0.03),
            glassy(shade(back, 0.45), 0.7),
            over=True,
        )


_SKIN: tuple[Color, ...] = ((250, 214, 186), (232, 184, 148), (190, 134, 98), (134, 90, 66))
_HAIR: tuple[Color, ...] = ((70, 44, 34), (34, 28, 32), (176, 112, 56), (222, 178, 98))
_TROUSERS: tuple[Color, ...] = ((58, 66, 98), (72, 62, 72), (88, 82, 70))


def draw_person(pen: Pen, rng: np.random.Generator) -> None:
    """Draw a person in a bright pink, crimson or violet coat, with scarf, hat or bare head, standing or walking."""
    coat = hsv(rng.uniform(0.84, 0.95), rng.uniform(0.62, 0.85), rng.uniform(0.78, 0.95))
    skin, trousers = pick(rng, _SKIN), pick(rng, _TROUSERS)
    stride = rng.uniform(0.02, 0.11)
    for foot, tone in ((stride, -0.25), (-stride, 0.0)):
        pen.limb([(foot * 0.5, 0.34), (foot, 0.07)], (0.13, 0.10), shade(trousers, tone))
        pen.limb([(foot - 0.01, 0.03), (foot + 0.07, 0.028)], (0.065, 0.052), (84, 52, 40))
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
