"""The figures that are labelled: one table of class, painter and size."""

from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass

import numpy as np

from core.data.demo.animals import draw_bird, draw_cow, draw_flying_bird, draw_sheep
from core.data.demo.pen import Pen
from core.data.demo.people import draw_person
from core.data.demo.plants import draw_potted_plant
from core.data.demo.vehicles import draw_aeroplane, draw_boat, draw_bus, draw_car, draw_train
from core.voc import CLASS_NAMES


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
