"""Cars, buses, trains, boats and aeroplanes: one unit high, standing on y = 0, y upwards, facing right."""

from itertools import pairwise

import numpy as np

from core.data.demo.pen import Color, Pen, glassy, hsv, mix, path, pick, shade

_GLASS: Color = (176, 214, 226)
_TYRE: Color = (44, 44, 52)
_CREAM: Color = (250, 240, 214)
_WHITE: Color = (255, 255, 255)


def _wheel(pen: Pen, x: float, radius: float) -> None:
    pen.disc((x, radius), radius, _TYRE)
    pen.disc((x, radius), radius * 0.58, (188, 192, 198), over=True)
    pen.disc((x, radius), radius * 0.22, (110, 114, 124), over=True)


def _window(pen: Pen, left: float, low: float, right: float, high: float) -> None:
    pen.box(left, low, right, high, _GLASS, over=True, round_=0.025)
    lean, middle = 0.3 * (high - low), left + 0.3 * (right - left)
    pen.polygon(
        [
            (middle - lean / 2, low),
            (middle + 0.06 - lean / 2, low),
            (middle + 0.06 + lean / 2, high),
            (middle + lean / 2, high),
        ],
        glassy(_WHITE, 0.45),
        over=True,
    )


def _windows(pen: Pen, span: tuple[float, float], heights: tuple[float, float], count: int, gap: float = 0.05) -> None:
    edges = np.linspace(*span, count + 1).tolist()
    for left, right in pairwise(edges):
        _window(pen, left + gap / 2, heights[0], right - gap / 2, heights[1])


def draw_car(pen: Pen, rng: np.random.Generator) -> None:
    """Draw a small saturated car, blue to green to violet: hatchback or saloon."""
    color = hsv(rng.uniform(0.42, 0.80), rng.uniform(0.70, 0.9), rng.uniform(0.62, 0.88))
    tail = rng.uniform(-0.92, -0.62)
    body = path("-112,22 -114,48 -98,60 52,62 98,54 114,42 112,22 0,17")
    cabin = [(tail, 0.56), (tail + 0.16, 0.94), (0.02, 1.0), (0.24, 0.94), (0.60, 0.58), (0, 0.54)]
    pen.blob(cabin, shade(color, 0.12))
    pen.blob(body, color)
    pen.box(-1.2, 0.1, 1.2, 0.30, glassy(shade(color, -0.5), 0.45), over=True)
    pen.polygon(path("-100,56 90,54 90,51 -100,53"), glassy(_WHITE, 0.35), over=True)
    pen.polygon([(tail + 0.12, 0.61), (tail + 0.25, 0.88), (-0.16, 0.91), (-0.16, 0.61)], _GLASS, over=True)
    pen.polygon(path("-9,61 -9,91 16,88 46,61"), mix(_GLASS, _WHITE, 0.25), over=True)
    pen.polygon(path("-6,61 2,61 16,88 8,89"), glassy(_WHITE, 0.5), over=True)
    pen.box(-0.13, 0.24, -0.115, 0.58, glassy(shade(color, -0.6), 0.6), over=True)
    pen.box(-0.34, 0.47, -0.2, 0.5, shade(color, -0.5), over=True)
    pen.ellipse((1.03, 0.44), (0.08, 0.06), (255, 240, 176), over=True)
    pen.box(-1.13, 0.42, -1.04, 0.54, (214, 52, 48), over=True)
    for x in (-0.64, 0.66):
        pen.disc((x, 0.22), 0.26, shade(color, -0.7), over=True)
        _wheel(pen, x, 0.22)


def draw_bus(pen: Pen, rng: np.random.Generator) -> None:
    """Draw a big yellow or red bus with a row of windows, or two rows."""
    color = hsv(
        rng.uniform(0.11, 0.145) if rng.random() < 0.6 else rng.uniform(-0.02, 0.02), 0.84, rng.uniform(0.84, 0.96)
    )
    has_two_decks = rng.random() < 0.35
    half = 0.78 if has_two_decks else rng.uniform(0.95, 1.1)
    pen.box(-half, 0.1, half, 0.97, color, round_=0.1)
    pen.box(-half + 0.08, 0.95, half - 0.2, 1.0, shade(color, -0.2), round_=0.02)
    pen.box(-half, 0.1, half, 0.2, glassy(shade(color, -0.6), 0.5), over=True)
    rows = [(0.68, 0.88), (0.38, 0.58)] if has_two_decks else [(0.5, 0.84)]
    pen.box(-half, rows[-1][0] - 0.10, half, rows[-1][0] - 0.05, _CREAM, over=True)
    for low, high in rows:
        _windows(pen, (-half + 0.06, half - 0.36), (low, high), 5)
    pen.box(half - 0.34, 0.15, half - 0.16, rows[-1][1], shade(color, -0.3), over=True, round_=0.02)
    _windows(pen, (half - 0.345, half - 0.155), (0.2, rows[-1][1] - 0.02), 2, gap=0.025)
    for low, high in rows:
        _window(pen, half - 0.11, low - 0.03, half + 0.05, high)
    pen.ellipse((half - 0.03, 0.27), (0.05, 0.045), (255, 244, 190), over=True)
    pen.box(-half, 0.26, -half + 0.03, 0.36, (120, 20, 24), over=True)
    for x in (-half * 0.62, half * 0.52):
        pen.disc((x, 0.15), 0.19, shade(color, -0.7), over=True)
        _wheel(pen, x, 0.15)


def draw_train(pen: Pen, rng: np.random.Generator) -> None:
    """Draw a rail-car with its coach: cream above, dark stripes below, many windows."""
    color = hsv(rng.uniform(0.34, 0.46), 0.75, rng.uniform(0.34, 0.5))
    stripe = pick(rng, [(226, 96, 52), (240, 190, 60), (210, 60, 66)])
    for left, right in ((-2.0, -0.62), (-0.56, 0.9)):
        _coach(pen, (left, right), color, stripe)
    pen.box(-0.66, 0.24, -0.52, 0.8, (52, 50, 58))
    nose = path("86,14 86,92 106,88 124,60 132,30 128,14")
    pen.polygon(nose, color)
    pen.polygon(path("86,50 86,92 106,88 126.2,50"), _CREAM, over=True)
    pen.polygon(path("86,42 86,50 127,50 129,42"), stripe, over=True)
    pen.polygon(path("100,56 98,82 105,83 120,56"), (70, 100, 124), over=True)
    pen.polygon(path("105,56 102,82 105,83 111,56"), glassy(_WHITE, 0.35), over=True)
    pen.disc((1.25, 0.3), 0.045, (255, 246, 190), over=True)


def _coach(pen: Pen, span: tuple[float, float], color: Color, stripe: Color) -> None:
    left, right = span
    pen.box(left, 0.14, right, 0.92, color, round_=0.05)
    pen.box(left + 0.05, 0.88, right - 0.02, 0.98, (122, 124, 134), round_=0.04)
    pen.box(left, 0.5, right, 0.88, _CREAM, over=True)
    pen.box(left, 0.42, right, 0.5, stripe, over=True)
    pen.box(left, 0.24, right, 0.28, glassy(_CREAM, 0.5), over=True)
    _windows(pen, (left + 0.28, right - 0.06), (0.56, 0.8), 4, gap=0.09)
    pen.box(left + 0.08, 0.2, left + 0.23, 0.8, mix(color, stripe, 0.25), over=True, round_=0.02)
    pen.box(left + 0.11, 0.56, left + 0.20, 0.76, _GLASS, over=True, round_=0.02)
    for center in (left + 0.32, right - 0.3):
        pen.box(center - 0.25, 0.06, center + 0.25, 0.17, (56, 54, 62))
        for x in (center - 0.15, center + 0.15):
            pen.disc((x, 0.08), 0.085, _TYRE)
            pen.disc((x, 0.08), 0.04, (150, 152, 160), over=True)


def draw_boat(pen: Pen, rng: np.random.Generator) -> None:
    """Draw a sailing boat: wooden hull, white sails with a coloured panel or stripes, a pennant."""
    wood = pick(rng, [(150, 88, 48), (122, 70, 44), (172, 104, 62)])
    trim = hsv(rng.choice([0.0, 0.02, 0.58, 0.1]), 0.75, 0.75)
    canvas = mix((255, 252, 240), trim, rng.uniform(0, 0.08))
    main = path("0,94 0,25 -53,25 -40,44 -22,70")
    jib = path("0,90 0,25 46,24 33,42 17,66")
    pen.polygon(main, canvas)
    pen.polygon(jib, shade(canvas, -0.08))
    _sail_pattern(pen, rng, trim)
    pen.limb([(0.0, 0.15), (0.0, 0.99)], (0.03, 0.018), shade(wood, -0.35))
    pen.polygon([(0, 0.99), (-0.16, 0.955), (0, 0.93)], trim)
    hull = path("-66,21 -58,3 -48,0 38,0 55,8 74,25 30,20 -30,19")
    pen.polygon(hull, wood)
    pen.polygon(path("-70,24 -66,16 30,15.5 66,20 78,27"), trim, over=True)
    for height in (0.12, 0.075, 0.035):
        pen.limb([(-0.62, height), (0.4, height), (0.7, height + 0.05)], (0.012, 0.012), shade(wood, -0.35), over=True)
    pen.box(-0.58, 0.25, 0.02, 0.275, shade(wood, -0.2))


def _sail_pattern(pen: Pen, rng: np.random.Generator, trim: Color) -> None:
    if rng.random() < 0.5:
        for y in (0.36, 0.5):
            pen.polygon(
                [(-0.6, y), (-0.6, y + 0.065), (-0.03, y + 0.075), (-0.03, y + 0.01)], glassy(trim, 0.9), over=True
            )
    else:
        pen.polygon(path("-60,20 -60,42 -3,42 -3,20"), glassy(trim, 0.85), over=True)
    pen.polygon(path("3,90 10,78 20,25 3,25"), glassy((150, 160, 190), 0.18), over=True)
    pen.polygon(path("-3,94 -12,82 -16,26 -3,26"), glassy((150, 160, 190), 0.25), over=True)


def draw_aeroplane(pen: Pen, rng: np.random.Generator) -> None:
    """Draw a white airliner with swept grey wings and a coloured tail."""
    paint = hsv(rng.choice([0.0, 0.58, 0.03, 0.62]), 0.78, 0.78)
    white: Color = (246, 248, 252)
    pen.polygon(path("12,52 -20,86 -36,86 -20,50"), (176, 184, 200))
    pen.polygon(path("-78,56 -110,100 -130,100 -120,52"), paint)
    fuselage = path("-128,55 -70,62 60,62 102,55 126,42 116,33 70,27 -50,28")
    pen.blob(fuselage, white)
    pen.polygon(path("-140,42 -40,26 130,26 130,33 -30,34 -140,50"), glassy((150, 162, 186), 0.6), over=True)
    pen.polygon(path("-140,60 -90,66 -62,66 -90,30 -130,30"), paint, over=True)
    pen.box(-0.7, 0.385, 1.3, 0.41, paint, over=True)
    for x in np.linspace(-0.52, 0.80, 10).tolist():
        pen.box(x, 0.46, x + 0.07, 0.54, (86, 118, 150), over=True, round_=0.02)
    pen.polygon(path("96,46 93,54 106,51 115,46"), (62, 84, 112), over=True)
    pen.polygon(path("-98,50 -134,40 -146,42 -124,52"), (186, 194, 208))
    pen.box(-0.02, 0.14, 0.34, 0.27, (150, 158, 176), round_=0.06)
    pen.ellipse((0.33, 0.205), (0.035, 0.062), (70, 76, 92), over=True)
    pen.polygon(path("30,38 -26,0 -50,0 -22,36"), (200, 207, 220))
    pen.polygon(path("-26,0 -50,0 -44,5.5 -18,5.5"), paint, over=True)
