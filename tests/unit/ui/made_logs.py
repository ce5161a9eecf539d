"""Logs and records as a trainer writes them, of a run that never was."""

from pathlib import Path
from typing import Any

from core.training.run.log import RunLog
from core.training.run.records import Epoch, Record, RunStarted, Step, to_line


def log_of(*records: Record) -> RunLog:
    """Return the log that these records make."""
    log = RunLog(Path("nowhere"))
    log.take(to_line(record).strip().encode() for record in records)
    return log


def leg(**changes: Any) -> RunStarted:
    values: dict[str, Any] = {
        "config": {"epochs": 4}, "device": "cpu", "precision": "fp32", "num_params": 1, "num_train_images": 40,
        "num_val_images": 8, "steps_per_epoch": 10, "epochs_done": 0, "class_names": ["background", "cat"],
        "floor": {"miou": 0.35, "pixel_accuracy": 0.7}, "versions": {}, "fingerprint": "", "time_s": 1000.0,
    }  # fmt: skip
    return RunStarted(**values | changes)


def step(number: int, time_s: float) -> Step:
    return Step(
        epoch=1 + (number - 1) // 10, step=number, loss=1.0, learning_rate=0.1, images_per_second=8.0, time_s=time_s
    )


def epoch(number: int, **changes: Any) -> Epoch:
    values: dict[str, Any] = {
        "epoch": number, "step": 10 * number, "train_loss": 1.0, "val_loss": 1.0, "miou": 0.4, "pixel_accuracy": 0.7,
        "iou": [0.7, 0.2], "seconds": 50.0, "train_seconds": 40.0, "images_per_second": 8.0, "peak_memory_bytes": 1,
        "is_best": False,
    }  # fmt: skip
    return Epoch(**values | changes)
