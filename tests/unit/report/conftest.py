"""A run of 2 epochs and 2 more, evaluated at both milestones, without any training."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from core.report.content import Content, evaluated_checkpoints, gather
from core.report.html.page import render
from core.training.run.folders import Run, create_run
from core.training.run.log import LogWriter
from core.training.run.records import Epoch, RunEnded, RunStarted
from core.training.settings.config import TrainingConfig
from core.voc import CLASS_NAMES, VOID
from tests.app.stored import store_milestone
from tests.small_data import write_voc
from tests.unit.report.reading import Element, read

Mask = NDArray[np.uint8]
NOW = datetime(2026, 3, 7, 9, 5, tzinfo=UTC)
BEGAN_S = 1_700_000_000.0
NUM_VAL = 12
WORSE = 7
"""The image that the later checkpoint made worse."""


def rough(truth_HW: Mask, index: int) -> Mask:
    """Find the left part of every object, and all of one."""
    predicted_HW = np.where(truth_HW == VOID, 0, truth_HW).astype(np.uint8)
    if index != WORSE:
        predicted_HW[:, truth_HW.shape[1] // 3 :] = 0
    return predicted_HW


def fine(truth_HW: Mask, index: int) -> Mask:
    """Find nearly all of every object, and nothing of one."""
    predicted_HW = np.where(truth_HW == VOID, 0, truth_HW).astype(np.uint8)
    predicted_HW[: index + 4] = 0
    return np.zeros_like(predicted_HW) if index == WORSE else predicted_HW


def started(run: Run, epochs: int, epochs_done: int, class_names: list[str]) -> RunStarted:
    """Return the first record of a leg."""
    return RunStarted(
        time_s=BEGAN_S + 1000 * epochs_done, config={**run.config.as_dict(), "epochs": epochs},
        device="Test CPU (2 threads)", precision="fp32", num_params=11_025_477, num_train_images=4,
        num_val_images=NUM_VAL, steps_per_epoch=2, epochs_done=epochs_done, class_names=class_names,
        floor={"pixel_accuracy": 0.75, "miou": 0.25}, versions={"torch": "2.15.0"}, fingerprint="f" * 64,
    )  # fmt: skip


def epoch(number: int, num_classes: int) -> Epoch:
    """Return the record of an epoch."""
    return Epoch(
        epoch=number, step=2 * number, train_loss=2.0 / number, val_loss=2.5 / number, miou=0.1 * number,
        pixel_accuracy=0.75, iou=[0.5] * num_classes, seconds=20.0, train_seconds=15.0, images_per_second=12.5,
        peak_memory_bytes=9, is_best=True,
    )  # fmt: skip


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Four drawn pairs to train on and twelve to evaluate on."""
    return write_voc(tmp_path / "pairs" / "VOC2012", num_train=4, num_val=NUM_VAL)


MakeRun = Callable[..., Run]


@pytest.fixture
def make_run(data: Path) -> MakeRun:
    """Make a run of two legs with its log and both evaluations."""

    def _make_run(name: str = "first", *, class_names: tuple[str, ...] = CLASS_NAMES, data: Path = data) -> Run:
        config = TrainingConfig(
            architecture="deeplabv3_mobilenet_v3_large", output_stride=16, epochs=2, precision="fp32"
        )
        run = create_run(name, data, "report", config)
        writer = LogWriter(run.log_path)
        for leg in (0, 2):
            writer.write(started(run, leg + 2, leg, list(class_names)))
            for number in (leg + 1, leg + 2):
                writer.write(epoch(number, len(class_names)))
            writer.write(RunEnded(outcome="finished", reason="", epochs_done=leg + 2, best_epoch=1, best_miou=0.1))
        writer.close()
        store_milestone(run, 2, rough)
        store_milestone(run, 4, fine)
        return run

    return _make_run


@pytest.fixture
def run(make_run: MakeRun) -> Run:
    """The run."""
    return make_run()


@pytest.fixture
def content(run: Run) -> Content:
    """What a report on the run is written from."""
    return gather(evaluated_checkpoints([run], "val"))


@pytest.fixture
def page(content: Content) -> Element:
    return read(render(content, now=NOW))
