"""Cost as work grows: `python -m core bench growth`.

A thousand small pairs, then ten thousand: seconds of the processor, and the rise of the peak of memory, of each kind of
work in a process of its own; an evaluation by a model is of a tenth of them. Linear time is a ratio of 1: a tenth of
the seconds of ten thousand over the seconds of one thousand. Pages are shares of the half second that a warm one may
take with ten thousand. Then forty photos of 12 megapixels through one predictor: the memory of the process after ten
and after all of them.
"""

import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import psutil
import torch
from numpy.typing import NDArray
from PIL import Image
from streamlit.testing.v1 import AppTest

from core.classes import VOC_CLASSES
from core.data.analysis import analyse
from core.data.dataset import open_dataset
from core.data.importers import import_data
from core.data.loading.decoded_pairs import SquarePairs
from core.home import PROJECT_ROOT
from core.metrics.comparison import compare
from core.model.architectures import MOBILENET, build_model
from core.model.device import choose_device
from core.model.predict.predictor import Predictor
from core.report.content import evaluated_checkpoints, gather
from core.report.html.page import render
from core.training.evaluation import evaluate
from core.training.loop.memory import peak_memory_bytes
from core.training.run.evaluations import load as load_evaluation
from core.training.run.evaluations import stored
from core.training.run.folders import create_run, list_runs
from core.training.settings.presets import preset
from core.voc import VOID
from tests.app.stored import guess_background, store_milestone
from tests.bench._rounds import print_figures
from tests.small_data import CAT, DOG, write_voc

SIZES = FEW, MANY = 1000, 10_000
SIZE_PX = 64
LARGE_PHOTOS = 40
MEGAPIXELS = (4000, 3000)
ALLOWED_S, VISITS = 0.5, 4
PRELOADED = ["core.report.html.page", "core.training.evaluation", "streamlit.testing.v1", "tests.app.stored"]
"""What takes long to import."""


def main() -> None:
    """Measure all, then print them."""
    figures: dict[str, float] = {}
    for number in SIZES:
        with tempfile.TemporaryDirectory() as home:
            os.environ["ATROUS_HOME"] = home
            root = write_voc(Path(home) / "data" / "VOC2012", num_train=number // 2, num_val=number // 2)
            for work in WORKS:
                seconds, peak_mb = in_own_process(work, root)
                figures |= {f"{work.__name__}_s_{number}": seconds, f"{work.__name__}_mb_{number}": peak_mb}
                print(f"{work.__name__:<14}{number:>7} photos {seconds:9.3f} s {peak_mb:8.1f} MB", flush=True)
    ratios = {}
    for name in (work.__name__ for work in WORKS):
        few_s, many_s = (figures[f"{name}_s_{number}"] for number in SIZES)
        ratios[name] = many_s / ALLOWED_S if name.endswith("_page") else many_s / few_s / (MANY / FEW)
    figures |= memory_of_large_photos(small_predictor())
    ratios["memory_after_all_over_after_ten"] = figures["rss_after_all_mb"] / figures["rss_after_ten_mb"]
    print_figures("growth", figures, ratios)


def in_own_process(work: Callable[[Path], float], root: Path) -> tuple[float, float]:
    """Return what a kind of work returns for a data set, and by how many MB it lifts the peak of a new process."""
    # A fork server imports the libraries once; Windows has none.
    context = multiprocessing.get_context("forkserver" if os.name == "posix" else "spawn")
    context.set_forkserver_preload(PRELOADED)
    with ProcessPoolExecutor(1, context) as pool:
        return pool.submit(measured, work, root).result()


def measured(work: Callable[[Path], float], root: Path) -> tuple[float, float]:
    """Do the work in this process, on the home that the data set lies in."""
    os.environ["ATROUS_HOME"] = str(root.parents[1])
    before = peak_memory_bytes(choose_device())
    return work(root), (peak_memory_bytes(choose_device()) - before) / 1e6


def cpu_seconds(act: Callable[[], object]) -> float:
    """Return the seconds of the processor that something takes."""
    began_s = time.process_time()
    act()
    return time.process_time() - began_s


def small_predictor() -> Predictor:
    """Return a small model of random weights, so that what grows is ours."""
    model = build_model(MOBILENET, len(VOC_CLASSES), output_stride=16)
    return Predictor(model, image_size=SIZE_PX, device=choose_device())


# --- work, in this order: each finds what those before it have stored -------------------------------------------------


def pixels(root: Path) -> float:
    """Decode and keep the training pairs."""
    data = open_dataset(root)
    pairs = SquarePairs(data.split("train"), data.num_classes, SIZE_PX)
    return cpu_seconds(lambda: list(pairs.cache()))


def analysis(root: Path) -> float:
    """Read every pair, find what is wrong, count."""
    return cpu_seconds(lambda: analyse(root).stats("train"))


def analysis_again(root: Path) -> float:
    """Find the analysis stored, and count."""
    return cpu_seconds(lambda: analyse(root).stats("train"))


def imports(root: Path) -> float:
    """Recognise a folder as photos with masks of ids, and import it."""
    table = root.parent / "classes.txt"
    table.write_text("\n".join(VOC_CLASSES.names))
    return cpu_seconds(lambda: import_data("auto", root, root.parent / "imported", table=table))


def evaluation(root: Path) -> float:
    """Evaluate a model on a tenth of the photos."""
    data, predictor = open_dataset(root), small_predictor()
    samples = data.split("val")
    pairs = SquarePairs(samples[: len(samples) // 5], data.num_classes, SIZE_PX)
    return cpu_seconds(lambda: list(evaluate(predictor, pairs, data.classes, batch_size=8)))


def counting(root: Path) -> float:
    """Count and store the evaluations of two checkpoints on the validation photos."""
    run = create_run("grown", root, "demo", preset("demo"))

    def mostly_right(truth_HW: NDArray[np.uint8], index: int) -> NDArray[np.uint8]:
        predicted_HW = np.where(truth_HW == VOID, 0, truth_HW).astype(np.uint8)
        return predicted_HW if index % 3 else np.where(predicted_HW == CAT, DOG, predicted_HW).astype(np.uint8)

    return cpu_seconds(lambda: [store_milestone(run, 1, guess_background), store_milestone(run, 2, mostly_right)])


def comparison(_root: Path) -> float:
    """Compare the two, with intervals of all classes."""
    a, b = (load_evaluation(path) for path in stored(list_runs()[0].eval_dir))
    return cpu_seconds(lambda: compare(a.counts()[1], b.counts()[1]))


def report(_root: Path) -> float:
    """Render the report on the two."""
    return cpu_seconds(lambda: render(gather(evaluated_checkpoints(list_runs(), "val"))))


def dataset_page(root: Path) -> float:
    """Show Dataset."""
    return warm_page("dataset", root)


def label_page(root: Path) -> float:
    """Show Label."""
    return warm_page("label", root)


def compare_page(root: Path) -> float:
    """Show Compare."""
    return warm_page("compare", root)


def warm_page(name: str, root: Path) -> float:
    """Return the least seconds of a page's script, after one that fills its caches."""
    app = AppTest.from_file(str(PROJECT_ROOT / "streamlit_app.py"), default_timeout=120).run()
    app.query_params.update({"source": "A folder", "data": str(root)})
    app.switch_page(f"pages/{name}.py").run()
    seconds = [cpu_seconds(app.run) for _ in range(VISITS)]
    assert not app.exception
    return min(seconds)


WORKS = (
    pixels, analysis, analysis_again, imports, evaluation, counting, comparison, report, dataset_page, label_page,
    compare_page,
)  # fmt: skip


# --- large photos -----------------------------------------------------------------------------------------------------


def memory_of_large_photos(predictor: Predictor) -> dict[str, float]:
    """Segment large photos one after the other and return the memory of this process, in MB."""
    noise = np.random.default_rng(0).integers(0, 256, (*MEGAPIXELS[::-1], 3), dtype=np.uint8)
    process, resident_mb = psutil.Process(), []
    for number in range(LARGE_PHOTOS):
        photo = Image.fromarray(np.roll(noise, number, axis=0))
        predictor.predict(photo, with_confidence=True)
        resident_mb.append(process.memory_info().rss / 1e6)
    torch.cuda.empty_cache()
    return {"rss_after_ten_mb": resident_mb[9], "rss_after_all_mb": resident_mb[-1], "rss_most_mb": max(resident_mb)}


if __name__ == "__main__":
    main()
