"""Do maps of evidence show what a model uses? `python -m core bench explain [--data DIR]`.

For one random pixel of an object in each of 50 photos of val (the starter's own prediction; without --data, 25 pixels
in each of the two photos that come with Atrous): deletion and insertion (Petsiuk et al. 2018, arXiv 1806.07421), the
mean probability of the class over `SHARES` of the photo replaced by the mean colour, or left in a blurred photo, in the
order of the map, of random maps and of the distance from the pixel. Intervals are 95 % of bootstraps over the pixels.
Sanity (Adebayo et al. 2018, arXiv 1810.03292): the rank correlation of the map with that of a model whose weights are
all random. BENCH_CHECKPOINT names another checkpoint than the starter. About 3 minutes of the processor.
"""

import argparse
import dataclasses
import os
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy import stats
from torch import Tensor, nn

from core.data.dataset import open_dataset
from core.data.geometry import Place, place_of
from core.data.images import read_photo
from core.data.loading.transforms import normalize, photo_in_square
from core.explain import explaining, maps
from core.explain.taps import axis_of
from core.explain.tracing import Explainable, Target, explainable, trace
from core.model.architectures import build_model
from core.model.predict.predictor import Predictor, open_predictor
from core.model.weights.pretrained import open_named
from core.model.weights.starter import sample_photos
from core.voc import BACKGROUND, IMAGE_MEAN
from tests.bench._rounds import print_figures

NUM_PIXELS = 50
SHARES = (0.1, 0.2, 0.35, 0.6)
RESAMPLES = 2000
CHECKPOINT = os.environ.get("BENCH_CHECKPOINT", "starter")


@dataclasses.dataclass(frozen=True)
class Located:
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
    blank = randomized(explained, opened.meta.architecture, opened.meta.output_stride)
    measured: list[dict[str, float]] = []
    for photo, at in pixels(predictor, parser.parse_args().data):
        measured.append(measure(explained, blank, photo, at, seed=len(measured)))
        print(", ".join(f"{name} {value:.3f}" for name, value in measured[-1].items()), flush=True)
    columns = {name: np.array([each[name] for each in measured]) for name in measured[0]}
    figures = {"pixels": float(len(measured))} | {name: float(values.mean()) for name, values in columns.items()}
    for curve in ("deletion", "insertion"):
        for other in ("random", "near"):
            less = columns[f"{curve}_map"] - columns[f"{curve}_{other}"]
            low, high = interval(less)
            figures |= {f"{curve}_less_{other}_low": low, f"{curve}_less_{other}_high": high}
    ratios = {"deletion_random_over_map": figures["deletion_random"] / figures["deletion_map"]}
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


def measure(
    explained: Explainable, blank: Explainable, photo: Image.Image, at: tuple[int, int], seed: int
) -> dict[str, float]:
    """Return the curves of a pixel's map and of others, its rank correlation with a blank model's map, and the cost."""
    began_s = time.process_time()
    explanation = explaining.explain(explained, photo, at)
    cost_s = time.process_time() - began_s
    located = locate(explained, photo, at)
    orders = {
        "map": located.map_HW,
        "random": maps.random_map(explained.predictor.image_size, located.place, 1000 + seed),
        "near": nearness(located.map_HW.shape, photo.size, at),
    }
    figures = {
        f"{curve}_{name}": float(np.mean(curve_of(explained.predictor, located, map_HW, inserts=curve == "insertion")))
        for name, map_HW in orders.items()
        for curve in ("deletion", "insertion")
    }
    random, *others = explanation.check.by_random
    calibrate(blank, located.square_3SS)
    other = locate(blank, photo, at, located.target.class_id)
    return figures | {
        "rank_correlation": rank_correlation(located.map_HW, other.map_HW),
        "offered": float(explanation.map_HW is not None),
        "random_offered": float(maps.Check(random, tuple(others)).is_passed),
        "explain_processor_s": cost_s,
    }


def locate(explained: Explainable, photo: Image.Image, at: tuple[int, int], class_id: int | None = None) -> Located:
    """Return the map of a pixel, for its own class or for another."""
    predictor, size = explained.predictor, (photo.height, photo.width)
    place = place_of(size, predictor.image_size, predictor.geometry)
    square_3SS = photo_in_square(photo, predictor.image_size, predictor.geometry)

    def choose(logits_KSS: Tensor) -> Target:
        target = explaining.target_at(logits_KSS, at=at, size=size, place=place)
        return target if class_id is None else dataclasses.replace(target, class_id=class_id)

    traced = trace(explained, square_3SS, choose)
    axis = axis_of(explained.model.backbone, predictor.image_size)
    map_HW = maps.on_photo(maps.class_map(traced), axis, predictor.image_size, place)
    return Located(square_3SS, place, traced.target, map_HW)


def curve_of(predictor: Predictor, located: Located, map_HW: NDArray[np.float32], *, inserts: bool) -> list[float]:
    """Return the probability of the class at each of `SHARES` deleted from the photo, or left in a blurred one."""
    ranks_HW, square_3SS = maps.ranks(map_HW), located.square_3SS
    other_3SS = maps.blurred(square_3SS) if inserts else mean_color(square_3SS)
    squares = [maps.replaced(square_3SS, located.place, (ranks_HW < share) != inserts, other_3SS) for share in SHARES]
    return maps.probabilities(predictor, squares, located.target)


def mean_color(square_3SS: Tensor) -> Tensor:
    """Return a square of the mean colour of ImageNet's photos, which is 0 to the model: what deletion leaves."""
    color_3 = torch.tensor([round(255 * mean) for mean in IMAGE_MEAN], dtype=torch.uint8)
    return color_3[:, None, None].expand_as(square_3SS)


def nearness(shape: tuple[int, ...], photo_size: tuple[int, int], at: tuple[int, int]) -> NDArray[np.float32]:
    """Return a map that knows nothing but the pixel: bright near it."""
    y_H, x_W = (np.arange(length) / length * of for length, of in zip(shape, photo_size[::-1], strict=True))
    return -np.hypot(y_H[:, None] - at[1], x_W[None] - at[0]).astype(np.float32)


def randomized(explained: Explainable, architecture: str, output_stride: int) -> Explainable:
    """Return the same architecture with all weights random."""
    torch.manual_seed(0)
    model = build_model(architecture, len(explained.classes), output_stride=output_stride)
    return dataclasses.replace(explained, model=model.eval().requires_grad_(requires_grad=False))


@torch.no_grad()
def calibrate(blank: Explainable, square_3SS: Tensor) -> None:
    """Give a model of random weights the statistics of a photo, without which it computes the same from every photo."""
    for module in blank.model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    image_13SS = normalize(square_3SS[None])
    blank.model.train()(torch.cat([image_13SS, image_13SS.flip(-1)]))
    blank.model.eval()


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
