"""The pen: draws shapes given in a figure's own units onto a picture and, where asked, into its silhouette."""

import colorsys
from collections.abc import Sequence
from functools import cache, cached_property
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

Color = tuple[int, int, int]
Paint = Color | tuple[int, int, int, int]
Point = tuple[float, float]
Points = Sequence[Point] | npt.NDArray[np.float64]
Matrix = npt.NDArray[np.float64]

_TURN = np.linspace(0, 2 * np.pi, 36, endpoint=False)
_CIRCLE = np.stack([np.cos(_TURN), np.sin(_TURN)], axis=1)


def hsv(hue: float, saturation: float, value: float) -> Color:
    """Return an RGB colour from hue, saturation and value in [0, 1]; the hue wraps around."""
    red, green, blue = colorsys.hsv_to_rgb(hue % 1.0, saturation, value)
    return round(red * 255), round(green * 255), round(blue * 255)


def mix(first: Color, second: Color, share: float) -> Color:
    """Return `first` with `share` of it replaced by `second`."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(first, second, strict=True))
    return red, green, blue


def shade(color: Color, share: float) -> Color:
    """Return the colour lightened towards white (share > 0) or deepened towards a cool dark (share < 0)."""
    return mix(color, (255, 250, 240), share) if share > 0 else mix(color, (20, 16, 40), -share)


def glassy(color: Color, opacity: float) -> Paint:
    """Return the colour as a translucent paint."""
    return (*color, round(opacity * 255))


def pick(rng: np.random.Generator, colors: Sequence[Color]) -> Color:
    """Return one of the colours, each as likely as the next."""
    return colors[int(rng.integers(len(colors)))]


@cache
def path(text: str) -> Matrix:
    """Return points written as in SVG but in hundredths of a unit: `path("-5,0 50,100")` is (-0.05, 0), (0.5, 1)."""
    points = np.array([point.split(",") for point in text.split()], dtype=np.float64) / 100
    points.flags.writeable = False
    return points


def curve(points: Points, steps: int = 6) -> Matrix:
    """Return the closed Catmull-Rom curve through the points, shape (len(points) * steps, 2)."""
    knots = np.asarray(points, dtype=np.float64)
    before, after, beyond = np.roll(knots, 1, 0), np.roll(knots, -1, 0), np.roll(knots, -2, 0)
    t = np.linspace(0, 1, steps, endpoint=False)[:, None, None]
    path = 0.5 * (
        2 * knots
        + (after - before) * t
        + (2 * before - 5 * knots + 4 * after - beyond) * t**2
        + (3 * knots - before - 3 * after + beyond) * t**3
    )
    return path.transpose(1, 0, 2).reshape(-1, 2)


def rotation(degrees: float) -> Matrix:
    """Return the 2 x 2 matrix that turns by the angle."""
    angle = np.deg2rad(degrees)
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


class Pen:
    """Draws in units of its own frame: pixel = origin + matrix @ point.

    With a `silhouette` (mode L, of the picture's size) every shape is cut out of it too, but for what is drawn `over`
    the figure: blotches, windows, glazes, which the silhouette thereby clips.
    """

    def __init__(
        self,
        picture: Image.Image,
        matrix: Matrix,
        origin: tuple[float, float] = (0.0, 0.0),
        silhouette: Image.Image | None = None,
    ) -> None:
        self.picture = picture
        self._matrix = matrix
        self._origin = np.array(origin)
        self._brush = ImageDraw.Draw(picture, "RGBA")
        self._scissors = None if silhouette is None else ImageDraw.Draw(silhouette)

    @cached_property
    def scale(self) -> float:
        """Pixels a unit is long."""
        return float(np.sqrt(abs(np.linalg.det(self._matrix))))

    @property
    def width(self) -> float:
        """Width of the picture in units."""
        return self.picture.width / self.scale

    def planted(self, x: float, y: float, height: float) -> "Pen":
        """Return a pen on the same picture for a figure of this height standing at (x, y), y upwards."""
        origin = self._matrix @ np.array([x, y]) + self._origin
        return Pen(self.picture, np.array([[1.0, 0.0], [0.0, -1.0]]) * self.scale * height, tuple(origin.tolist()))

    def fade(self, top: float, bottom: float, first: Color, last: Color) -> None:
        """Fill the band between two heights, over the whole width, with a vertical gradient."""
        first_px, last_px = round(top * self.scale), round(bottom * self.scale) + 1
        rows = np.linspace(first, last, max(2, last_px - first_px)).astype(np.uint8)[:, None]
        self.picture.paste(Image.fromarray(rows).resize((self.picture.width, len(rows))), (0, first_px))

    def polygon(self, points: Points, paint: Paint, *, over: bool = False) -> None:
        """Fill a polygon."""
        corners = (np.asarray(points, dtype=np.float64) @ self._matrix.T + self._origin).ravel().tolist()
        self._brush.polygon(corners, fill=paint)
        if self._scissors and not over:
            self._scissors.polygon(corners, fill=255)

    def blob(self, points: Points, paint: Paint, *, over: bool = False) -> None:
        """Fill the smooth closed curve through the points."""
        self.polygon(curve(points), paint, over=over)

    def ellipse(
        self, center: Point, radii: tuple[float, float], paint: Paint, *, turn: float = 0, over: bool = False
    ) -> None:
        """Fill an ellipse, turned by `turn` degrees."""
        outline = (_CIRCLE if max(radii) * self.scale > 8 else _CIRCLE[::3]) * np.array(radii)
        self.polygon((outline @ rotation(turn).T if turn else outline) + np.array(center), paint, over=over)

    def disc(self, center: Point, radius: float, paint: Paint, *, over: bool = False) -> None:
        """Fill a circle."""
        self.ellipse(center, (radius, radius), paint, over=over)

    def box(
        self, left: float, low: float, right: float, high: float, paint: Paint, *, over: bool = False, round_: float = 0
    ) -> None:
        """Fill an upright rectangle with corners rounded by the radius `round_`."""
        if not round_:
            self.polygon([(left, low), (right, low), (right, high), (left, high)], paint, over=over)
            return
        quarter = _CIRCLE.reshape(4, 9, 2) * round_
        corners = np.array([(right, high), (left, high), (left, low), (right, low)])
        inward = np.array([(-round_, -round_), (round_, -round_), (round_, round_), (-round_, round_)])
        self.polygon((quarter + (corners + inward)[:, None]).reshape(-1, 2), paint, over=over)

    def limb(self, points: Points, widths: tuple[float, float], paint: Paint, *, over: bool = False) -> None:
        """Draw a stroke with round joints whose width runs from the first value to the second."""
        knots = np.asarray(points, dtype=np.float64)
        radii = np.linspace(*widths, len(knots)) / 2
        for (start, end), (near, far) in zip(pairwise(knots), pairwise(radii), strict=True):
            along = (end - start) / (float(np.hypot(*(end - start))) or 1.0)
            across = np.array([-along[1], along[0]])
            corners = np.stack([start + across * near, end + across * far, end - across * far, start - across * near])
            self.polygon(corners, paint, over=over)
        for (x, y), radius in zip(knots.tolist(), radii.tolist(), strict=True):
            self.disc((x, y), radius, paint, over=over)

    def speckle(
        self,
        rng: np.random.Generator,
        band: tuple[float, float],
        count: int,
        paints: Sequence[Paint],
        width_px: int = 2,
    ) -> None:
        """Sprinkle short dashes over the whole width between two heights: gravel, sand, asphalt."""
        spots = rng.uniform((0, band[0]), (self.width, band[1]), (count, 2))
        self.strokes(spots, spots + np.array([0.008, 0.0]), paints, width_px)

    def strokes(self, starts: Matrix, ends: Matrix, paints: Sequence[Paint], width_px: int) -> None:
        """Draw many short lines over the picture: row i from starts to ends, taking the paints in turn."""
        pairs = np.concatenate([starts @ self._matrix.T + self._origin, ends @ self._matrix.T + self._origin], axis=1)
        for i, pair in enumerate(pairs.tolist()):
            self._brush.line(pair, fill=paints[i % len(paints)], width=width_px)
