"""The composition: one place, two leading figures and up to two more, painted back to front, and the mask of it all.

`FIGURES` are what is labelled: one table of class, painter and size.
"""

from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from core.data.demo.animals import draw_bird, draw_cow, draw_flying_bird, draw_person, draw_sheep
from core.data.demo.light import MOODS, SEASONS, World, grade, sculpt
from core.data.demo.pen import Matrix, Pen, glassy, rotation
from core.data.demo.places import SETTINGS, Setting
from core.data.demo.plants import draw_potted_plant
from core.data.demo.scenery import paint_snowfall
from core.data.demo.vehicles import draw_aeroplane, draw_boat, draw_bus, draw_car, draw_train
from core.voc import BACKGROUND, CLASS_NAMES, VOID


@dataclass(frozen=True)
class Figure:
    """A thing with a label: drawn one unit high on y = 0, `half_width` units to either side of x = 0."""

    class_name: str
    draw: Callable[[Pen, np.random.Generator], None]
    _: KW_ONLY
    half_width: float
    heights: tuple[float, float]
    """From smallest to largest, in picture heights."""
    tilt: float
    """Standard deviation of the rotation in degrees."""
    has_shadow: bool = True

    @property
    def class_id(self) -> int:
        """The VOC id."""
        return CLASS_NAMES.index(self.class_name)


FIGURES: Mapping[str, Figure] = {
    "aeroplane": Figure("aeroplane", draw_aeroplane, half_width=1.5, heights=(0.27, 0.38), tilt=7, has_shadow=False),
    "flying_bird": Figure("bird", draw_flying_bird, half_width=0.95, heights=(0.26, 0.36), tilt=10, has_shadow=False),
    "bird": Figure("bird", draw_bird, half_width=0.85, heights=(0.34, 0.46), tilt=4),
    "boat": Figure("boat", draw_boat, half_width=0.8, heights=(0.46, 0.70), tilt=3),
    "bus": Figure("bus", draw_bus, half_width=1.15, heights=(0.38, 0.50), tilt=0.7),
    "car": Figure("car", draw_car, half_width=1.2, heights=(0.29, 0.39), tilt=1),
    "cow": Figure("cow", draw_cow, half_width=0.95, heights=(0.42, 0.54), tilt=2.5),
    "person": Figure("person", draw_person, half_width=0.34, heights=(0.50, 0.72), tilt=2.5),
    "potted_plant": Figure("pottedplant", draw_potted_plant, half_width=0.62, heights=(0.46, 0.62), tilt=2),
    "sheep": Figure("sheep", draw_sheep, half_width=0.8, heights=(0.36, 0.48), tilt=2.5),
    "train": Figure("train", draw_train, half_width=2.05, heights=(0.32, 0.42), tilt=0),
}


_ALL, _HEAD, _TAIL = slice(None), slice(None, -1), slice(1, None)
_NEIGHBOURS = (
    ((_ALL, _HEAD), (_ALL, _TAIL)),
    ((_HEAD, _ALL), (_TAIL, _ALL)),
    ((_HEAD, _HEAD), (_TAIL, _TAIL)),
    ((_HEAD, _TAIL), (_TAIL, _HEAD)),
)
"""Pairs of views that lay each pixel on its right, lower, and the two lower diagonal neighbours."""

Mask = npt.NDArray[np.uint8]

_OVERSAMPLING = 2
_SIZE_RANGE = (0.92, 1.18)
_EXTRA_COUNTS = (0, 1, 1, 2, 2)
_NUM_AUDITIONS = 20
_TOO_CROWDED = 0.5

PROGRAMME: tuple[tuple[str, str, str], ...] = (
    ("meadow", "cow", "sheep"),
    ("street", "bus", "person"),
    ("coast", "boat", "flying_bird"),
    ("railway", "train", "cow"),
    ("garden", "potted_plant", "bird"),
    ("road", "car", "sheep"),
    ("coast", "boat", "aeroplane"),
    ("street", "car", "potted_plant"),
    ("railway", "train", "aeroplane"),
    ("road", "bus", "person"),
    ("meadow", "cow", "bird"),
    ("street", "bus", "potted_plant"),
    ("coast", "boat", "person"),
    ("railway", "train", "sheep"),
    ("garden", "potted_plant", "flying_bird"),
    ("road", "car", "cow"),
    ("coast", "boat", "aeroplane"),
    ("street", "car", "person"),
    ("railway", "train", "aeroplane"),
    ("road", "bus", "sheep"),
)
"""Place and leading figures of scene after scene: in each ten, every class leads in two, so that all are frequent."""


@dataclass(frozen=True, kw_only=True)
class _Actor:
    figure: Figure
    x: float
    y: float
    height: float
    is_mirrored: bool
    tilt: float

    @property
    def reach(self) -> tuple[float, float]:
        """From left to right, in picture heights."""
        half = self.figure.half_width * self.height
        return self.x - half, self.x + half


def draw_scene(seed: int, size: tuple[int, int] = (320, 240)) -> tuple[Image.Image, Mask]:
    """Draw one scene; the same seed gives the same bytes.

    Returns the RGB picture and its mask, shape (height, width), uint8: VOC class ids, 255 on the borders of objects.
    `size` is (width, height) in pixels.
    """
    rng = np.random.default_rng([seed, 0])
    place, *leads = PROGRAMME[seed % len(PROGRAMME)]
    setting = SETTINGS[place]
    world = World(
        rng=rng, mood=MOODS[int(rng.integers(len(MOODS)))], season=SEASONS[int(rng.integers(len(SEASONS)))],
        horizon=rng.uniform(0.42, 0.50), sun_x=rng.uniform(-0.9, 0.9),
    )  # fmt: skip
    picture = Image.new("RGB", (size[0] * _OVERSAMPLING, size[1] * _OVERSAMPLING))
    pen = Pen(picture, np.eye(2) * picture.height)
    setting.paint(pen, world)
    instances = Image.new("L", size, 0)
    actors = _cast(rng, setting, leads, pen.width)
    for number, actor in enumerate(actors, start=1):
        silhouette = _perform(pen, world, actor)
        instances.paste(number, mask=silhouette.reduce(_OVERSAMPLING).point(lambda cover: 255 * (cover > 127)))
    if world.season.is_snowy and rng.random() < 0.4:
        paint_snowfall(pen, world)
    return grade(picture.reduce(_OVERSAMPLING), world), _label(instances, actors)


def _cast(rng: np.random.Generator, setting: Setting, leads: list[str], width: float) -> list[_Actor]:
    count = _EXTRA_COUNTS[int(rng.integers(len(_EXTRA_COUNTS)))]
    names = [*leads, *(str(name) for name in rng.choice(setting.extras, count))]
    stature = rng.uniform(*_SIZE_RANGE)
    actors: list[_Actor] = []
    for name in names:
        offers = [_audition(rng, name, setting, stature, width) for _ in range(_NUM_AUDITIONS)]
        crowding, place = min((_crowding(offer, actors, width), i) for i, offer in enumerate(offers))
        if crowding < _TOO_CROWDED or len(actors) < len(leads):
            actors.append(offers[place])
    return sorted(actors, key=lambda actor: actor.y)


def _audition(rng: np.random.Generator, name: str, setting: Setting, stature: float, width: float) -> _Actor:
    figure, (back, front) = FIGURES[name], setting.bands[name]
    y = rng.uniform(back, front)
    nearness = 0.92 + 0.16 * (y - back) / (front - back)
    return _Actor(
        figure=figure, x=rng.uniform(0.08, 0.92) * width, y=y,
        height=rng.uniform(*figure.heights) * stature * nearness,
        is_mirrored=rng.random() < 0.5, tilt=rng.normal(0, figure.tilt),
    )  # fmt: skip


def _crowding(offer: _Actor, actors: list[_Actor], width: float) -> float:
    """Return the share of the offer's box that overlaps others (of the smaller box) or lies outside the frame."""
    left, right = offer.reach
    cost = 0.7 * (max(0, -left) + max(0, right - width)) / (right - left)
    for other in actors:
        shared_x = min(right, other.reach[1]) - max(left, other.reach[0])
        shared_y = min(offer.y, other.y) - max(offer.y - offer.height, other.y - other.height)
        area = min(offer.height * (right - left), other.height * (other.reach[1] - other.reach[0]))
        cost += max(0, shared_x) * max(0, shared_y) / area
    return cost


def _perform(pen: Pen, world: World, actor: _Actor) -> Image.Image:
    """Paint the actor with its shadow onto the scene; return its silhouette at the scene's size."""
    matrix = _actor_matrix(actor, pen.scale)
    half, tall = actor.figure.half_width * 1.12, 1.06
    corners = np.array([(-half, -0.06), (half, -0.06), (half, tall), (-half, tall)]) @ matrix.T
    low, high = np.floor(corners.min(axis=0)), np.ceil(corners.max(axis=0))
    sheet = Image.new("RGB", (int(high[0] - low[0]), int(high[1] - low[1])))
    silhouette = Image.new("L", sheet.size)
    actor.figure.draw(Pen(sheet, matrix, (-low[0], -low[1]), silhouette), world.rng)
    corner = (round(actor.x * pen.scale + low[0]), round(actor.y * pen.scale + low[1]))
    if actor.figure.has_shadow:
        _cast_shadow(pen, world, actor)
    pen.picture.paste(sculpt(sheet, silhouette, world.sun_x), corner, silhouette)
    whole = Image.new("L", pen.picture.size, 0)
    whole.paste(silhouette, corner)
    return whole


def _actor_matrix(actor: _Actor, scale: float) -> Matrix:
    flip = np.diag([-1.0 if actor.is_mirrored else 1.0, -1.0])
    return rotation(actor.tilt) @ flip * (actor.height * scale)


def _cast_shadow(pen: Pen, world: World, actor: _Actor) -> None:
    half = actor.figure.half_width * actor.height
    for grow in (1.0, 0.85, 0.7):
        center = (actor.x - 0.06 * world.sun_x * half, actor.y - 0.005)
        pen.ellipse(center, (half * grow, 0.05 * actor.height * grow + 0.008), glassy((24, 26, 54), 0.16))


def _label(instances: Image.Image, actors: list[_Actor]) -> Mask:
    """Return the class ids of the instance map, void where two instances, or one and the background, meet."""
    ids = np.array([BACKGROUND, *(actor.figure.class_id for actor in actors)], dtype=np.uint8)
    numbers_HW = np.asarray(instances)
    mask_HW: Mask = ids[numbers_HW]
    for here, there in _NEIGHBOURS:
        border = numbers_HW[here] != numbers_HW[there]
        mask_HW[here][border] = mask_HW[there][border] = VOID
    return mask_HW
