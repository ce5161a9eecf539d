"""A photo and a pixel -> an explanation: arrays, and figures as JSON types."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage
from torch import Tensor

from core.data.geometry import Place, place_of
from core.data.loading.transforms import photo_in_square
from core.errors import PhotoError
from core.explain.branches import branch_names, contributions, rates_of
from core.explain.maps import CHECKED_SHARE, Check, Reach, check, class_map, on_photo, reach_of
from core.explain.taps import Axis, Tap, axis_of, taps_at
from core.explain.tracing import Explainable, Target, Trace, trace


@dataclass(frozen=True)
class Branch:
    """What a branch of ASPP contributes to the logit of the class, and to that of the runner-up."""

    name: str
    contribution: float
    to_runner_up: float


@dataclass(frozen=True)
class Explanation:
    """Why a pixel, or the object it is part of, got its class.

    at             the pixel (x, y) of the upright photo
    size           height and width of the photo
    probability    of the class: the softmax of the logits, or of their means over the object
    silent         the logit of the class with every branch of ASPP off
    map_HW         evidence for the class on the photo, float32 in [0, 1]; None if its check failed
    field_HW       the receptive field on the photo: absolute gradients, float32
    object_HW      the pixels that are explained, if it is an object
    cell_share     the largest weight of a single cell of the map in the logit; the taps are that cell's

    The arrays are as large as the photo's part of the model's square, whatever the size of the photo.
    """

    at: tuple[int, int]
    size: tuple[int, int]
    class_name: str
    runner_up_name: str
    probability: float
    logit: float
    runner_up_logit: float
    silent: float
    map_HW: NDArray[np.float32] | None
    field_HW: NDArray[np.float32]
    object_HW: NDArray[np.bool_] | None
    check: Check
    reach: Reach
    taps: tuple[Tap, ...]
    cell_share: float
    branches: tuple[Branch, ...]

    def figures(self) -> dict[str, Any]:
        """Return all but the arrays as JSON types."""
        return {
            "probability": self.probability,
            "logit": self.logit,
            "runner_up": self.runner_up_name,
            "runner_up_logit": self.runner_up_logit,
            "pixels_explained": None if self.object_HW is None else int(self.object_HW.sum()),
            "class_map": {
                "is_offered": self.map_HW is not None,
                "sharp_share": CHECKED_SHARE,
                "probability_by_map": self.check.by_map,
                "probability_by_random": list(self.check.by_random),
            },
            "receptive_field": asdict(self.reach),
            "taps": [asdict(tap) for tap in self.taps],
            "cell_share": self.cell_share,
            "branches": [asdict(branch) for branch in self.branches],
            "logit_with_all_branches_off": self.silent,
        }


def explain(
    explained: Explainable, photo: Image.Image, at: tuple[int, int], *, whole_object: bool = False
) -> Explanation:
    """Explain the class of a pixel of an RGB photo, or of the object of that class that it is part of.

    Args:
        explained: the model (`tracing.explainable`).
        photo: upright, of any size; memory does not grow with it.
        at: the pixel (x, y).
        whole_object: explain the mean over all connected pixels of the class, at the model's own size.

    Raises:
        PhotoError: the pixel is outside the photo.
    """
    size = (photo.height, photo.width)
    if not (0 <= at[0] < photo.width and 0 <= at[1] < photo.height):
        raise PhotoError(
            f"The photo is {photo.width} x {photo.height} px, and {at[0]},{at[1]} is outside it; give x from 0 to "
            f"{photo.width - 1} and y from 0 to {photo.height - 1}."
        )
    side_px = explained.predictor.image_size
    place = place_of(size, side_px, explained.predictor.geometry)
    square_3SS = photo_in_square(photo, side_px, explained.predictor.geometry)
    logits_KSS = explained.predictor.logits_of(square_3SS[None])[0]
    target = target_at(logits_KSS, at=at, size=size, place=place, whole_object=whole_object)
    traced = trace(explained, square_3SS, target)
    axis = axis_of(explained.model.backbone, side_px)
    map_HW = on_photo(class_map(traced), axis, side_px, place)
    checked = check(explained, square_3SS, place, target, map_HW)
    field_HW = place.part(traced.field_SS).cpu().numpy()
    is_offered = checked.is_passed and bool(map_HW.max() > 0)
    return Explanation(
        at=at,
        size=size,
        map_HW=map_HW / map_HW.max() if is_offered else None,
        field_HW=field_HW,
        object_HW=place.part(target.weights_SS > 0).cpu().numpy() if whole_object else None,
        check=checked,
        reach=reach_of(field_HW, float(traced.field_SS.sum(dtype=torch.float64)), at, size),
        **_about_the_logit(explained, traced),
        **_about_the_taps(explained, traced, axis, place, size),
    )


def _about_the_logit(explained: Explainable, traced: Trace) -> dict[str, Any]:
    """Return the class and its runner-up, their logits, and the branches' contributions to them."""
    best, means_K = traced.target.class_id, traced.means_K
    second = next(class_id for class_id in means_K.argsort(descending=True).tolist() if class_id != best)
    found = contributions(explained.model, traced)
    return {
        "class_name": explained.classes.names[best],
        "runner_up_name": explained.classes.names[second],
        "probability": float(means_K.softmax(dim=0)[best]),
        "logit": float(means_K[best]),
        "runner_up_logit": float(means_K[second]),
        "silent": float(found.silent_K[best]),
        "branches": tuple(
            Branch(name, float(values_K[best]), float(values_K[second]))
            for name, values_K in zip(branch_names(explained.model), found.values_BK, strict=True)
        ),
    }


def _about_the_taps(
    explained: Explainable, traced: Trace, axis: Axis, place: Place, size: tuple[int, int]
) -> dict[str, Any]:
    """Return the taps of the cell that weighs most in the logit, and its weight."""
    weights_hw = traced.weights_hw
    cell = divmod(int(weights_hw.argmax()), weights_hw.shape[1])
    taps = taps_at(cell, rates_of(explained.model), axis, place, size)
    return {"taps": taps, "cell_share": float(weights_hw.max())}


def target_at(
    logits_KSS: Tensor, *, at: tuple[int, int], size: tuple[int, int], place: Place, whole_object: bool = False
) -> Target:
    """Return the best class at a pixel, its logits weighted as they are upsampled, or the mean over its object."""
    weights_SS = torch.zeros_like(logits_KSS[0])
    part_HW = place.part(weights_SS)
    rows, columns = (_between(at[1 - axis], size[axis], place.size[axis]) for axis in (0, 1))
    for row, row_share in rows.items():
        for column, column_share in columns.items():
            part_HW[row, column] = row_share * column_share
    class_id = int((logits_KSS * weights_SS).sum(dim=(1, 2)).argmax())
    if whole_object:
        is_class_HW = (place.part(logits_KSS).argmax(dim=0) == class_id).cpu().numpy()
        nearest = (max(rows, key=lambda row: rows[row]), max(columns, key=lambda column: columns[column]))
        is_class_HW[nearest] = True
        parts_HW, _ = ndimage.label(is_class_HW)
        is_object_HW = torch.from_numpy(parts_HW == parts_HW[nearest]).to(weights_SS.device)
        part_HW[:] = is_object_HW / is_object_HW.sum()
    return Target(class_id, weights_SS)


def _between(pixel: int, length: int, cells: int) -> dict[int, float]:
    """Return the cells along a side that a pixel's value is interpolated from, with their shares."""
    at = min(max((pixel + 0.5) * cells / length - 0.5, 0), cells - 1)
    before = int(at)
    share = at - before
    return {before: 1 - share} | ({before + 1: share} if share else {})
