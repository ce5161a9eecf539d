"""Colours that can be told apart: measured in four kinds of sight, not believed."""

from collections import Counter

import numpy as np
import pytest
from numpy.typing import NDArray

from core.classes import VOC_CLASSES, classes_of
from core.errors import ConfigError
from core.palettes import OWN, SAFE, new_colors, recolored
from core.voc import VOID

# Machado, Oliveira and Fernandes 2009, "A physiologically-based model for simulation of color vision deficiency",
# severity 1.0, for linear RGB.
SIGHTS = {
    "normal": np.eye(3),
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
# IEC 61966-2-1: linear sRGB to X Y Z under D65.
XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)


def nearest(colors_N3: NDArray[np.uint8], sight: str) -> float:
    """Return the smallest difference (CIE76) between two colours as somebody sees them."""
    values = colors_N3 / 255
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    xyz = (linear @ np.array(SIGHTS[sight]).T).clip(0, 1) @ XYZ.T / np.array([0.95047, 1, 1.08883])
    cubic = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    x, y, z = cubic.T
    lab_N3 = np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)
    distances = np.linalg.norm(lab_N3[:, None] - lab_N3[None], axis=-1)
    return float(distances[np.triu_indices(len(lab_N3), 1)].min())


@pytest.mark.parametrize("sight", SIGHTS)
def test_no_two_safe_colours_come_close_in_any_sight(sight: str) -> None:
    ids = [*range(21), VOID]
    assert nearest(recolored(VOC_CLASSES, SAFE).palette[ids], sight) > 12.5
    if sight != "normal":
        assert nearest(VOC_CLASSES.palette[ids], sight) < 2.5, "which is why there is another palette"


def test_names_stay_and_a_few_or_many_classes_have_colours() -> None:
    assert recolored(VOC_CLASSES, OWN) is VOC_CLASSES
    assert recolored(VOC_CLASSES, SAFE).names == VOC_CLASSES.names
    few, many = classes_of(["ground", "leaf"]), classes_of([f"class {number}" for number in range(40)])
    assert recolored(few, SAFE).colors == (few.colors[0], recolored(VOC_CLASSES, SAFE).colors[1])
    assert recolored(many, SAFE).colors[21:] == many.colors[21:]


def test_new_classes_get_light_colours_far_from_the_others() -> None:
    """The second class of a new data set was dark brown, which nobody saw on a dark photo."""
    colors = new_colors(["#000000"], 10)
    assert new_colors(["#000000", *colors[:3]], 1) == colors[3:4], "one by one as well"
    rgb_N3 = np.array([[*bytes.fromhex(color[1:])] for color in colors])
    assert (rgb_N3 @ [0.2126, 0.7152, 0.0722]).min() > 80
    assert nearest(rgb_N3[:4].astype(np.uint8), "normal") > 60
    assert len(set(new_colors(["#000000"], 20))) == 20
    many = Counter(new_colors(["#000000"], 26))
    assert (len(many), max(many.values())) == (20, 2), "six classes had the same colour"


def test_a_palette_that_does_not_exist_is_told() -> None:
    with pytest.raises(ConfigError, match="choose own or safe"):
        recolored(VOC_CLASSES, "pastel")
