"""Which photos are called unlike the training photos? `python -m core bench unlikeness [--data DIR]`.

The held-out photos of the starter's figures (`checkpoints/starter/trust.npz`), as they are, each among the others, and
corrupted, and 100 drawn scenes. For each kind: the AUROC against the held-out photos as they are by the distance of the
last map, by that of an early stage and by both together, as Segment has it; the median share of held-out photos that
are less unlike; how many are called unlike; and of these, how many for what they show, for a technical reason, and for
both. Without --data, the drawn scenes alone. About 2 minutes of the processor.
"""

import argparse
import io
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from scipy.stats import mannwhitneyu

from core.data.dataset import open_dataset
from core.data.demo import draw_scene
from core.data.images import jpeg_bytes, read_photo
from core.metrics.unlikeness import Unlikeness, unlikeness
from core.model.predict.predictor import Predictor, open_predictor
from core.model.weights import starter
from core.model.weights.pretrained import open_named
from core.training import trust
from core.training.trust import Trust
from tests.bench._rounds import print_figures

SCENES = range(1000, 1100)

Corrupt = Callable[[Image.Image], Image.Image]


def darkened(photo: Image.Image, left: float) -> Image.Image:
    """Return a photo with a share of its light left."""
    return photo.point(lambda level: round(left * level))


def noised(photo: Image.Image, deviation: float) -> Image.Image:
    """Return a photo with noise of a deviation in levels of 255."""
    photo_HW3 = np.asarray(photo, np.float32)
    noise_HW3 = np.random.default_rng(0).normal(0, deviation, photo_HW3.shape)
    return Image.fromarray((photo_HW3 + noise_HW3).clip(0, 255).astype(np.uint8))


def blurred(photo: Image.Image, share: float) -> Image.Image:
    """Return a photo blurred by a share of its longer side."""
    return photo.filter(ImageFilter.GaussianBlur(share * max(photo.size)))


def compressed(photo: Image.Image, quality: int) -> Image.Image:
    """Return a photo that was a JPEG file of a quality."""
    with Image.open(io.BytesIO(jpeg_bytes(photo, quality))) as read:
        return read.convert("RGB")


KINDS: dict[str, Corrupt] = {
    "dark, 1/4 of the light": lambda photo: darkened(photo, 0.25),
    "dark, 1/2 of the light": lambda photo: darkened(photo, 0.5),
    "noise, sd 50 of 255": lambda photo: noised(photo, 50),
    "noise, sd 20 of 255": lambda photo: noised(photo, 20),
    "blur, 2 % of the side": lambda photo: blurred(photo, 0.02),
    "blur, 0.5 % of the side": lambda photo: blurred(photo, 0.005),
    "turned by 90 degrees": lambda photo: photo.transpose(Image.Transpose.ROTATE_90),
    "upside down": lambda photo: photo.transpose(Image.Transpose.ROTATE_180),
    "JPEG, quality 25": lambda photo: compressed(photo, 25),
    "JPEG, quality 10": lambda photo: compressed(photo, 10),
}


def distances(predictor: Predictor, figures: Trust, photos: Iterable[Image.Image]) -> NDArray[np.float64]:
    """Return photos' distances from the references, (N, R)."""
    columns = [np.stack(each) for each in zip(*(predictor.features(photo) for photo in photos), strict=True)]
    return np.stack([of.distance(each) for of, each in zip(figures.references, columns, strict=True)], axis=1)


def drawn() -> Iterator[Image.Image]:
    """Yield drawn scenes."""
    return (draw_scene(seed)[0] for seed in SCENES)


def auroc(usual: Iterable[float], strange: Iterable[float]) -> float:
    """Return the chance that a strange photo's score is larger than a usual one's; equal ones count half."""
    usual, strange = list(usual), list(strange)
    return float(mannwhitneyu(strange, usual).statistic / (len(usual) * len(strange)))


def row(found: list[Unlikeness]) -> dict[str, float]:
    """Return the median share, and the shares called unlike: in all, and for each reason that Segment gives."""
    reasons = [each.far_by for each in found if each.is_unlike]
    called = {"shows others": (True, False), "technical": (False, True), "both reasons": (True, True)}
    figures = {"median": float(np.median([each.share for each in found])), "unlike": len(reasons) / len(found)}
    return figures | {name: reasons.count(reason) / len(found) for name, reason in called.items()}


def main() -> None:
    """Print a row for each kind, and the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path)
    data = parser.parse_args().data
    files = {sample.name: sample.photo for sample in open_dataset(data).split("val")} if data else {}
    figures, (predictor, _) = trust.read(starter.trust_path()), open_predictor(open_named(starter.NAME))
    usual_NR = figures.distance_NR
    usual = [unlikeness(usual_NR[i], np.delete(usual_NR, i, axis=0)) for i in range(len(usual_NR))]
    rows = {"held-out photos": row(usual)}
    for kind in ("drawn scenes", *(KINDS if data else ())):
        photos = (KINDS[kind](read_photo(files[name])) for name in figures.names) if kind in KINDS else drawn()
        distance_NR = distances(predictor, figures, photos)
        found = [unlikeness(distance_R, usual_NR) for distance_R in distance_NR]
        aurocs = map(auroc, usual_NR.T, distance_NR.T)
        rows[kind] = dict(zip(("last map", "early stage"), aurocs, strict=True))
        rows[kind] |= {"both": auroc([each.share for each in usual], [each.share for each in found])} | row(found)
        print(f"{kind}: " + ", ".join(f"{name} {value:.3f}" for name, value in rows[kind].items()), flush=True)
    print_figures("unlikeness", {f"{kind}: {name}": value for kind in rows for name, value in rows[kind].items()}, {})


if __name__ == "__main__":
    main()
