"""Cost as work grows: `python -m core bench growth`.

1, 2, 4 and 8 times as many photos: keeping their pixels, their statistics, an import of them, and an evaluation (a
small model, so that what grows is ours). Linear cost is a ratio of 1: eight times the photos over eight times the
seconds. Then a hundred photos of 12 megapixels through one predictor: the memory of the process after ten and after
all of them.
"""

import shutil
import tempfile
from pathlib import Path

import numpy as np
import psutil
import torch
from PIL import Image

from core.classes import VOC_CLASSES
from core.data.analysis import analyse
from core.data.dataset import Dataset, open_dataset
from core.data.demo import write_demo
from core.data.importers import import_data
from core.data.loading.decoded_pairs import SquarePairs
from core.model.architectures import MOBILENET, build_model
from core.model.device import choose_device
from core.model.predict.predictor import Predictor
from core.training.evaluation import evaluate
from tests.bench._rounds import print_figures, seconds_of

BASE = 48
TIMES = (1, 2, 4, 8)
SIZE_PX = 64
PHOTOS = 100
MEGAPIXELS = (4000, 3000)


def main() -> None:
    """Measure all, then print them."""
    figures: dict[str, float] = {}
    predictor = Predictor(
        build_model(MOBILENET, len(VOC_CLASSES), output_stride=16), image_size=SIZE_PX, device=choose_device()
    )
    with tempfile.TemporaryDirectory() as folder:
        drawn = write_demo(Path(folder) / "drawn", num_train=BASE, num_val=2)
        for times in TIMES:
            data = open_dataset(repeated(drawn, Path(folder) / f"times{times}" / "VOC2012", times))
            for name, seconds in costs(data, predictor).items():
                figures[f"{name}_s_times_{times}"] = seconds
                print(f"{name:<12} {times} x {BASE} photos {seconds:9.3f} s", flush=True)
    ratios = {
        name: figures[f"{name}_s_times_{TIMES[-1]}"] / figures[f"{name}_s_times_2"] / (TIMES[-1] / 2)
        for name in ("pixels", "statistics", "import", "evaluation")
    }
    figures |= memory_of_large_photos(predictor)
    ratios["memory_after_all_over_after_ten"] = figures["rss_after_all_mb"] / figures["rss_after_ten_mb"]
    print_figures("growth", figures, ratios)


def repeated(drawn: Path, root: Path, times: int) -> Path:
    """Return a data set that holds the drawn training photos so many times, each under a name of its own."""
    names = [sample.name for sample in open_dataset(drawn).split("train")]
    lists = root / "ImageSets" / "Segmentation"
    for folder in ("JPEGImages", "SegmentationClass"):
        (root / folder).mkdir(parents=True)
        for file in (drawn / folder).iterdir():
            for number in range(times if file.stem in names else 0):
                shutil.copyfile(file, root / folder / f"{file.stem}_{number}{file.suffix}")
    lists.mkdir(parents=True)
    every = [f"{name}_{number}" for name in names for number in range(times)]
    (lists / "train.txt").write_text("\n".join(every))
    (lists / "val.txt").write_text(every[0])
    return root


def costs(data: Dataset, predictor: Predictor) -> dict[str, float]:
    """Return the seconds of each kind of work over all training photos."""
    pairs = SquarePairs(data.split("train"), data.num_classes, SIZE_PX)
    return {
        "pixels": seconds_of(lambda: list(pairs.cache())),
        "statistics": seconds_of(lambda: analyse(data.root).stats("train")),
        "import": seconds_of(lambda: imported(data.root)),
        "evaluation": seconds_of(lambda: list(evaluate(predictor, pairs, data.classes, batch_size=8))),
    }


def imported(root: Path) -> None:
    """Recognise a folder as photos with masks of ids, and import it."""
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "classes.txt"
        table.write_text("\n".join(VOC_CLASSES.names))
        import_data("auto", root, Path(folder) / "out", table=table)


def memory_of_large_photos(predictor: Predictor) -> dict[str, float]:
    """Segment large photos one after the other and return the memory of this process, in MB."""
    noise = np.random.default_rng(0).integers(0, 256, (*MEGAPIXELS[::-1], 3), dtype=np.uint8)
    process, resident_mb = psutil.Process(), []
    for number in range(PHOTOS):
        photo = Image.fromarray(np.roll(noise, number, axis=0))
        predictor.predict(photo, with_confidence=True)
        resident_mb.append(process.memory_info().rss / 1e6)
    torch.cuda.empty_cache()
    return {"rss_after_ten_mb": resident_mb[9], "rss_after_all_mb": resident_mb[-1], "rss_most_mb": max(resident_mb)}


if __name__ == "__main__":
    main()
