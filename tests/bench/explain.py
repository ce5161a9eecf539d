"""Do maps of evidence show what a model uses? `python -m core bench explain [--data DIR]`.

For one random pixel of an object in each of 50 photos of val (the starter's own prediction; without --data, 25 pixels
in each of the two photos that come with Atrous), and for the object, by itself: deletion and insertion (RISE, Petsiuk
et al. 2018, arXiv 1806.07421), the mean probability of the class over `SHARES` of the photo blurred, or left sharp in a
blurred photo, in the order of the map, of a random map with blobs of the same size, and of the distance from the pixel.
RISE deletes to grey; grey holes are unlike any photo, and a few of them anywhere spoil all of it, so here both blur.
Intervals are 95 % of bootstraps over the photos. Sanity (Adebayo et al. 2018, arXiv 1810.03292): the rank correlation
of a pixel's map with that of the model whose weights are random from a stage on, from the logits down to all of them.
BENCH_CHECKPOINT names another checkpoint than the starter. About 6 minutes of the processor.
"""

import argparse
import copy
import dataclasses
import itertools
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy import stats
from torch import Tensor, nn
from torchvision.models.segmentation import DeepLabV3

from core.data.dataset import open_dataset
from core.data.geometry import Place, place_of
from core.data.images import read_photo
from core.data.loading.transforms import normalize, photo_in_square
from core.explain import explaining, maps
from core.explain.taps import axis_of
from core.explain.tracing import Explainable, Target, explainable, trace
from core.model.architectures import build_model
from core.model.checkpoint.checkpoint_file import CheckpointMeta
from core.model.predict.predictor import Predictor, open_predictor
from core.model.weights.pretrained import open_named
from core.model.weights.starter import sample_photos
from core.voc import BACKGROUND
from tests.bench._rounds import print_figures

PIXEL, OBJECT = KINDS = ("pixel", "object")
DELETION, INSERTION = CURVES = ("deletion", "insertion")
NUM_PIXELS = 50
SHARES = (0.1, 0.2, 0.35, 0.6)
RESAMPLES = 2000
CHECKPOINT = os.environ.get("BENCH_CHECKPOINT", "starter")


class Located(NamedTuple):
    """A pixel to explain: the photo in the model's square, its part, the target, and the map, (H, W)."""

    square_3SS: Tensor
    place: Place
    target: Target
    map_HW: NDArray[np.float32]


def main() -> None:
    """Measure, then print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path)
    predictor, opened = open_predictor(open_named(CHECKPOINT))
    explained = explainable(opened, predictor)
    measured: list[dict[str, float]] = []
    for photo, at in pixels(predictor, parser.parse_args().data):
        of_kinds = [measure(explained, photo, at, kind, seed=len(measured)) for kind in KINDS]
        measured.append(of_kinds[0] | of_kinds[1] | correlations(explained, opened.meta, photo, at))
        print(", ".join(f"{name} {value:.3f}" for name, value in measured[-1].items()), flush=True)
    columns = {name: np.array([each[name] for each in measured]) for name in measured[0]}
    figures = {"pixels": float(len(measured))} | {name: float(values.mean()) for name, values in columns.items()}
    for curve, other, kind in itertools.product(CURVES, ("random", "near"), KINDS):
        less = columns[f"{kind}_{curve}_map"] - columns[f"{kind}_{curve}_{other}"]
        figures |= dict(
            zip((f"{kind}_{curve}_less_{other}_{end}" for end in ("low", "high")), interval(less), strict=True)
        )
    ratios = {"deletion_random_over_map": figures["pixel_deletion_random"] / figures["pixel_deletion_map"]}
    print_figures("explain", figures, ratios)


def pixels(predictor: Predictor, data: Path | None) -> Iterator[tuple[Image.Image, tuple[int, int]]]:
    """Yield `NUM_PIXELS` photos, each with a random pixel of what the model finds in it."""
    files = [sample.photo for sample in open_dataset(data).split("val")] if data else [s.file for s in sample_photos()]
    rounds = 1 if data else NUM_PIXELS // len(files)
    random, found = np.random.default_rng(0), 0
    for file in [file for file in files for _ in range(rounds)]:
        photo = read_photo(file)
        objects_P2 = np.argwhere(predictor.predict(photo).mask_HW != BACKGROUND)
        if len(objects_P2):
            y, x = objects_P2[random.integers(len(objects_P2))].tolist()
            yield photo, (x, y)
            found += 1
        if found == NUM_PIXELS:
            return


def measure(explained: Explainable, photo: Image.Image, at: tuple[int, int], kind: str, seed: int) -> dict[str, float]:
    """Return the curves of the map of a pixel, or its object, and of other maps; if it is offered; and the cost."""
    began_s = time.process_time()
    explanation = explaining.explain(explained, photo, at, whole_object=kind == OBJECT)
    cost_s = time.process_time() - began_s
    located = locate(explained, photo, at, whole_object=kind == OBJECT)
    orders = {
        "map": located.map_HW,
        "random": maps.random_map(located.map_HW, 1000 + seed),
        "near": nearness(located.map_HW.shape, photo.size, at),
    }
    figures = {
        f"{curve}_{name}": float(np.mean(curve_of(explained, located, map_HW, inserts=curve == INSERTION)))
        for name, map_HW in orders.items()
        for curve in CURVES
    }
    random, *others = explanation.check.by_random
    figures |= {
        "offered": float(explanation.map_HW is not None),
        "random_offered": float(maps.Check(random, tuple(others)).is_passed),
        "processor_s": cost_s,
    }
    return {f"{kind}_{name}": value for name, value in figures.items()}


def locate(explained: Explainable, photo: Image.Image, at: tuple[int, int], *, whole_object: bool = False) -> Located:
    """Return the map of a pixel, or of its object."""
    predictor, size = explained.predictor, (photo.height, photo.width)
    place = place_of(size, predictor.image_size, predictor.geometry)
    square_3SS = photo_in_square(photo, predictor.image_size, predictor.geometry)
    logits_KSS = predictor.logits_of(square_3SS[None])[0]
    target = explaining.target_at(logits_KSS, at=at, size=size, place=place, whole_object=whole_object)
    return mapped(explained, square_3SS, place, target)


def mapped(explained: Explainable, square_3SS: Tensor, place: Place, target: Target) -> Located:
    """Return the map of a target."""
    image_size = explained.predictor.image_size
    axis = axis_of(explained.model.backbone, image_size)
    map_hw = maps.class_map(trace(explained, square_3SS, target))
    return Located(square_3SS, place, target, maps.on_photo(map_hw, axis, image_size, place))


def curve_of(explained: Explainable, located: Located, map_HW: NDArray[np.float32], *, inserts: bool) -> list[float]:
    """Return the probability of the class with each of `SHARES` of the photo blurred, or left in a blurred one."""
    ranks_HW, square_3SS, blurred_3SS = maps.ranks(map_HW), located.square_3SS, maps.blurred(located.square_3SS)
    return [
        maps.probability(
            explained,
            maps.replaced(square_3SS, located.place, (ranks_HW < share) != inserts, blurred_3SS),
            located.target,
        )
        for share in SHARES
    ]


def correlations(
    explained: Explainable, meta: CheckpointMeta, photo: Image.Image, at: tuple[int, int]
) -> dict[str, float]:
    """Return the rank correlation of a pixel's map with the map for the same class after each step of `cascade`."""
    real = locate(explained, photo, at)
    return {
        f"correlation_{name}": rank_correlation(
            real.map_HW, mapped(dataclasses.replace(explained, model=model), *real[:3]).map_HW
        )
        for name, model in cascade(explained, meta, real.square_3SS)
    }


def nearness(shape: tuple[int, ...], photo_size: tuple[int, int], at: tuple[int, int]) -> NDArray[np.float32]:
    """Return a map that knows nothing but the pixel: bright near it."""
    y_H, x_W = (np.arange(length) / length * of for length, of in zip(shape, photo_size[::-1], strict=True))
    return -np.hypot(y_H[:, None] - at[1], x_W[None] - at[0]).astype(np.float32)


def cascade(explained: Explainable, meta: CheckpointMeta, square_3SS: Tensor) -> Iterator[tuple[str, DeepLabV3]]:
    """Yield the model with its last layer random, then ASPP too, then half of the backbone, then all of it.

    Random layers get the statistics of the photo, without which they compute the same from every photo.
    """
    model = copy.deepcopy(explained.model)
    torch.manual_seed(0)
    blank = build_model(meta.architecture, len(explained.classes), output_stride=meta.output_stride)
    stages = list(model.backbone)
    halves = [stages[len(stages) // 2 :], stages[: len(stages) // 2]]
    steps = [("logits", ["classifier.4"]), ("aspp", ["classifier.0", "classifier.1", "classifier.2"])]
    steps += [
        (name, [f"backbone.{stage}" for stage in half]) for name, half in zip(("half", "all"), halves, strict=True)
    ]
    image_13SS, random = normalize(square_3SS[None]), list[nn.Module]()
    for name, parts in steps:
        for part in parts:
            model.get_submodule(part).load_state_dict(blank.get_submodule(part).state_dict())
            random.append(model.get_submodule(part))
        for module in [module for part in random for module in part.modules()]:
            module.train()
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = 1.0
        with torch.no_grad():
            model(torch.cat([image_13SS, image_13SS.flip(-1)]))
        yield name, model.eval()


def rank_correlation(a_HW: NDArray[np.float32], b_HW: NDArray[np.float32]) -> float:
    """Return Spearman's rank correlation of two maps; 0 if one is the same everywhere."""
    if a_HW.min() == a_HW.max() or b_HW.min() == b_HW.max():
        return 0.0
    return float(stats.spearmanr(a_HW.ravel(), b_HW.ravel()).statistic)


def interval(values: NDArray[np.float64]) -> tuple[float, float]:
    """Return the 95 % interval of a mean by bootstrap."""
    drawn = np.random.default_rng(1).integers(0, len(values), (RESAMPLES, len(values)))
    low, high = np.percentile(values[drawn].mean(axis=1), (2.5, 97.5))
    return float(low), float(high)


if __name__ == "__main__":
    main()
