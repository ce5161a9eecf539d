"""What a pass over a data set finds of a pair, made up."""

import numpy as np

from core.data.statistics.pair_facts import GRID, PairFacts

LIGHT = {"brightness": 0.52, "contrast": 0.1, "color_mean": (0.5, 0.5, 0.5), "color_std": (0.1, 0.1, 0.1)}


def facts(pixels: dict[int, int], objects: dict[int, int], size: tuple[int, int] = (25, 5)) -> PairFacts:
    heat = {class_id: np.full((GRID, GRID), 51, dtype=np.uint8) for class_id in pixels}
    return PairFacts(size=size, pixels=pixels, objects=objects, heat=heat, **LIGHT)  # type: ignore[arg-type]
