"""Legs that are trained in this process, and what they warn of."""

from typing import Any

from core import jobs
from core.training.loop.trainer import train
from core.training.run.folders import Run
from core.training.run.records import Record, Warned

SETTINGS: dict[str, Any] = {
    "architecture": "deeplabv3_mobilenet_v3_large", "output_stride": 16, "image_size": 32, "batch_size": 2,
    "precision": "fp32", "epochs": 1,
}  # fmt: skip


def leg(run: Run, extend_to: int | None = None) -> list[Record]:
    with jobs.hold(run.path):
        return list(train(run, extend_to=extend_to))


def warnings_of(records: list[Record]) -> list[str]:
    return [record.message for record in records if isinstance(record, Warned)]
