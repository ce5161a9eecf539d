"""What Compare costs with six checkpoints of 1,449 images: `python -m core bench comparing`.

As many images as VOC's val split has, with the stored counts of drawn scenes. Measured with Streamlit's own AppTest, in
this process: the script of the page, the first time, and warm under each tab of *Why*. Medians.
"""

import dataclasses
import os
import statistics
import tempfile
from pathlib import Path

import numpy as np
from streamlit.testing.v1 import AppTest

from core.data.dataset import Dataset, Sample, fingerprint, open_dataset
from core.data.demo import write_demo
from core.data.images import mask_image, png_bytes, read_mask
from core.home import PROJECT_ROOT
from core.metrics.calibration import calibration_bins
from core.metrics.image_scores import ImageResult, image_result
from core.training.run import evaluations
from core.training.run.folders import Run, create_run
from core.training.settings.presets import preset
from core.voc import VOID
from tests.bench._rounds import print_figures, seconds_of
from tests.bench.growth import repeated
from ui.compare.why import VIEWS

DRAWN, TIMES = 23, 63
"""1,449 images, as many as in VOC's val split."""
NUM_CHECKPOINTS = 6
ROUNDS = 4
ALLOWED_S = 0.7


def main() -> None:
    """Store the evaluations, draw the page, then print them."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["ATROUS_HOME"] = folder
        drawn = write_demo(Path(folder) / "drawn", num_train=DRAWN, num_val=2)
        data = open_dataset(repeated(drawn, Path(folder) / "data" / "VOC2012", TIMES))
        run = create_run("six", data.root, "demo", preset("demo"))
        for epoch in range(1, NUM_CHECKPOINTS + 1):
            store(run, epoch, data)
        page = AppTest.from_file(str(PROJECT_ROOT / "streamlit_app.py"), default_timeout=120)
        page.switch_page("pages/compare.py")
        page.query_params["checkpoint"] = [f"{run.path.name}/epoch_{n:03d}.pt" for n in range(1, NUM_CHECKPOINTS + 1)]
        page.query_params["split"] = "train"
        figures = {"images": float(DRAWN * TIMES), "first_s": seconds_of(page.run)}
        warm_s = {tab: statistics.median(seconds_under(page, tab) for _ in range(ROUNDS)) for tab in VIEWS}
    print_figures("comparing", figures | {f"{tab.lower()}_s": seconds for tab, seconds in warm_s.items()},
         {"slowest_over_allowed": max(warm_s.values()) / ALLOWED_S})  # fmt: skip


def seconds_under(page: AppTest, tab: str) -> float:
    """Return the seconds of the page's script with a tab open."""
    page.query_params["why"] = tab
    seconds = seconds_of(page.run)
    assert not page.exception
    assert page.session_state["why"] == tab
    assert len(page.multiselect(key="checkpoint between").value) == NUM_CHECKPOINTS - 2
    return seconds


def store(run: Run, epoch: int, data: Dataset) -> None:
    """Write a checkpoint without real weights, and what it predicts: the later, the fewer wrong pixels."""
    checkpoint = run.path / f"epoch_{epoch:03d}.pt"
    checkpoint.write_bytes(f"weights after {epoch}".encode())
    samples = data.split("train")
    of_scene = {sample.name.rpartition("_")[0]: sample for sample in samples}
    by_scene = {scene: wrong_result(sample, data, 1 / (1 + epoch)) for scene, sample in of_scene.items()}
    results = [dataclasses.replace(by_scene[sample.name.rpartition("_")[0]], name=sample.name) for sample in samples]
    evaluations.store(
        run.eval_dir, checkpoint=checkpoint.name, checkpoint_hash=evaluations.file_hash(checkpoint), epoch=epoch,
        split="train", data=str(data.root), fingerprint=fingerprint(samples), results=results,
        class_names=data.class_names,
    )  # fmt: skip


def wrong_result(sample: Sample, data: Dataset, wrong_share: float) -> ImageResult:
    """Count a prediction that calls so many of the pixels background."""
    truth_HW = read_mask(sample.mask, data.num_classes)
    random = np.random.default_rng(0)
    predicted_HW = np.where((truth_HW == VOID) | (random.random(truth_HW.shape) < wrong_share), 0, truth_HW)
    predicted_HW = predicted_HW.astype(np.uint8)
    counted = truth_HW != VOID
    sureness = random.random(int(counted.sum())).astype(np.float32)
    return image_result(
        sample.name, truth_HW, predicted_HW, data.num_classes, loss=wrong_share,
        mask_png=png_bytes(mask_image(predicted_HW)),
        bins_3B=calibration_bins(sureness, (truth_HW == predicted_HW)[counted]),
    )  # fmt: skip


if __name__ == "__main__":
    main()
