"""Peak memory of a training against the report's loop: `python -m core bench memory`.

Each trains a few steps of the report's recipe (256 px, stride 8, batch 4) in a process of its own, on the same photos;
the ratio is ours over the report's, so that less is better.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from core.data.dataset import open_dataset
from core.data.demo import write_demo
from core.home import PROJECT_ROOT
from core.model.device import choose_device, choose_precision
from core.training.loop.memory import peak_memory_bytes
from tests.bench._report_loop import report_loop, report_model
from tests.bench._rounds import print_figures
from tests.bench.training import SIZE_PX, epochs_of, our_loop, prepare

BATCH_SIZE = 4
IMAGES = 2 * BATCH_SIZE


def main() -> None:
    """Train in a process for each kind, then print them."""
    kinds = ["report", "fp32", *(["bf16"] if choose_precision("auto", choose_device()) == "bf16" else [])]
    with tempfile.TemporaryDirectory() as folder:
        write_demo(Path(folder), num_train=IMAGES, num_val=2)
        figures = {f"{kind}_peak_mb": peak_of(kind, folder) for kind in kinds}
    print_figures(
        "memory", figures, {kind: figures[f"{kind}_peak_mb"] / figures["report_peak_mb"] for kind in kinds[1:]}
    )


def peak_of(kind: str, folder: str) -> float:
    """Return the peak memory, in MB, of a process that trains an epoch."""
    command = [sys.executable, "-m", "tests.bench.memory", kind, folder]
    ended = subprocess.run(
        command, cwd=PROJECT_ROOT, env=os.environ | {"ATROUS_HOME": folder}, capture_output=True, text=True, check=True
    )
    peak_mb = float(json.loads(ended.stdout.splitlines()[-1]))
    print(f"{kind:<28}{peak_mb:9.0f} MB", flush=True)
    return peak_mb


def train(kind: str, folder: str) -> None:
    """Train two epochs, and print the peak memory of this process in MB."""
    device, dataset = choose_device(), open_dataset(folder)
    if kind == "report":
        model = report_model(dataset.num_classes)
        train_epoch = report_loop(dataset.split("train"), model, SIZE_PX, BATCH_SIZE, device)
    else:
        settings = {"precision": kind, "output_stride": 8, "batch_size": BATCH_SIZE}
        loop = our_loop(dataset.split("train"), dataset, settings)
        prepare(loop)
        train_epoch = epochs_of(loop, 1)
    for _ in range(2):
        train_epoch()
    print(json.dumps(peak_memory_bytes(device) / 1e6))


if __name__ == "__main__":
    main() if len(sys.argv) == 1 else train(*sys.argv[1:])
