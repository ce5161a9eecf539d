"""Time to the same validation mIoU on the demo data: `python -m core bench race`.

First the report's loop (256 px, batch 16) trains for `BENCH_REPORT_S` seconds, 140 by default, and is evaluated after
every epoch, which is not counted. Then a real run, a process of its own, trains the Demo preset at 128 px in batches of
8, planned for 12 epochs, with its validation, checkpoints and log counted. The ratio is the seconds that the report's
loop took to its best mIoU over those that the run took to pass it. From the run's log comes also the share of its time
in which no model was at work: loading, logging and saving.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from core.data.dataset import Dataset, open_dataset
from core.data.demo import write_demo
from core.data.loading.decoded_pairs import SquarePairs
from core.home import PROJECT_ROOT
from core.metrics.image_scores import summarize
from core.model.device import choose_device
from core.model.predict.predictor import Predictor
from core.training.evaluation import evaluate
from core.training.run import folders
from core.training.run.log import RunLog, read_log
from core.training.run.records import seconds_between
from tests.bench._report_loop import report_loop, report_model
from tests.bench._rounds import print_figures, seconds_of

REPORT_S = float(os.environ.get("BENCH_REPORT_S", "140"))
REPORT_PX, REPORT_BATCH_SIZE = 256, 16
SETTINGS = ("image_size=128", "batch_size=8", "epochs=12", "schedule_epochs=12")


def main() -> None:
    """Train both, then print them."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["ATROUS_HOME"] = folder
        dataset = open_dataset(write_demo(Path(folder) / "demo"))
        report_s, report_miou = best_of_report(dataset)
        log = train_ours(dataset, Path(folder))
    began, last = log.legs[-1], log.epochs[-1]
    passed = next((epoch for epoch in log.epochs if (epoch.miou or 0.0) >= report_miou), None)
    figures = {
        "floor_miou": began.floor["miou"],
        "report_miou": report_miou,
        "report_s": report_s,
        "ours_miou": max(epoch.miou or 0.0 for epoch in log.epochs),
        "ours_s": seconds_between(began, last),
        "share_without_model": share_without_model(log),
    }
    ratios = {}
    if passed:
        figures["ours_s_until_passed"] = seconds_between(began, passed)
        ratios["time_to_same_miou"] = report_s / figures["ours_s_until_passed"]
    print_figures("race", figures, ratios)


def best_of_report(dataset: Dataset) -> tuple[float, float]:
    """Return the best mIoU of the report's loop and the seconds of training until then."""
    device = choose_device()
    samples, num_classes = dataset.split("train"), dataset.num_classes
    model = report_model(num_classes)
    train_epoch = report_loop(samples, model, REPORT_PX, REPORT_BATCH_SIZE, device)
    pairs = SquarePairs(dataset.split("val"), num_classes, REPORT_PX)
    trained_s = best_s = best_miou = 0.0
    while trained_s < REPORT_S:
        trained_s += seconds_of(train_epoch)
        model.eval()
        results = list(evaluate(Predictor(model, image_size=REPORT_PX, device=device), pairs, dataset.classes))
        model.train()
        miou = summarize(results, dataset.class_names).miou or 0.0
        print(f"report {trained_s:9.1f} s  mIoU {miou:.4f}", flush=True)
        if miou > best_miou:
            best_s, best_miou = trained_s, miou
    return best_s, best_miou


def train_ours(dataset: Dataset, home: Path) -> RunLog:
    """Train the Demo preset in a process of its own and return its log."""
    command = [sys.executable, "-m", "core", "train", "--new", "race", "--data", str(dataset.root), "--preset", "demo"]
    command += [argument for setting in SETTINGS for argument in ("--set", setting)]
    subprocess.run(command, cwd=PROJECT_ROOT, env=os.environ | {"ATROUS_HOME": str(home)}, check=True)
    (run,) = folders.list_runs()
    log = read_log(run.log_path)
    for epoch in log.epochs:
        print(f"ours   {seconds_between(log.legs[-1], epoch):9.1f} s  mIoU {epoch.miou or 0.0:.4f}", flush=True)
    return log


def share_without_model(log: RunLog) -> float:
    """Return the share of the time in which photos were loaded, or records and checkpoints written."""
    total_s = seconds_between(log.legs[-1], log.epochs[-1])
    return 1 - sum(epoch.seconds - epoch.data_seconds for epoch in log.epochs) / total_s


if __name__ == "__main__":
    main()
