"""Visits to pages, small data drawn on the spot, and run folders written with the trainer's own records."""

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from core import jobs
from core.data.images import write_mask
from core.home import PROJECT_ROOT, demo_dir
from core.training.run.folders import Run, create_run
from core.training.run.log import LogWriter
from core.training.run.records import Checkpoint, Epoch, Record, RunEnded, RunStarted, Step
from core.training.settings.config import with_settings
from core.training.settings.presets import preset
from core.voc import CLASS_NAMES

Visit = Callable[..., AppTest]
MakeRun = Callable[..., Run]

FLOOR = {"pixel_accuracy": 0.7, "miou": 0.035}
CAT = CLASS_NAMES.index("cat")


@pytest.fixture(scope="module", autouse=True)
def thin(thin_networks: None) -> None:
    """Pages show the same of a network of 40 layers as of one of 150."""


@pytest.fixture
def visit() -> Iterator[Callable[..., AppTest]]:
    """Open a page as a person does; afterwards session state must hold ids and choices alone."""
    visited: list[AppTest] = []

    def _visit(page: str = "", **query: str) -> AppTest:
        app = AppTest.from_file(str(PROJECT_ROOT / "streamlit_app.py"), default_timeout=30).run()
        if page:
            app.query_params.update(query)
            app.switch_page(f"pages/{page}.py").run()
        visited.append(app)
        return app

    yield _visit
    for app in visited:
        values = app.session_state.values()
        assert not [value for value in values if _is_junk(value)], "session state holds ids and choices only"


def _is_junk(value: object) -> bool:
    torch = sys.modules.get("torch")
    return isinstance(value, ModuleType | np.ndarray) or (torch is not None and isinstance(value, torch.Tensor))


def make_pairs(root: Path, num_train: int = 4, num_val: int = 2) -> Path:
    """Write a small VOC folder: a cat on the right half of every photo, a column of void between."""
    photos, masks, lists = root / "JPEGImages", root / "SegmentationClass", root / "ImageSets" / "Segmentation"
    for folder in (photos, masks, lists):
        folder.mkdir(parents=True)
    names = [f"photo_{index}" for index in range(num_train + num_val)]
    mask_HW = np.zeros((30, 40), dtype=np.uint8)
    mask_HW[:, 20], mask_HW[:, 21:] = 255, CAT
    for shade, name in enumerate(names):
        Image.new("RGB", (40, 30), (40 * shade, 90, 120)).save(photos / f"{name}.jpg")
        write_mask(masks / f"{name}.png", mask_HW)
    for split, members in {"train": names[:num_train], "val": names[num_train:]}.items():
        (lists / f"{split}.txt").write_text("".join(f"{name}\n" for name in members))
    return root


@pytest.fixture
def demo_data(home: Path) -> Path:
    """A few pairs where the demo data would be."""
    return make_pairs(demo_dir())


def started(run: Run, *, epochs_done: int = 0, **changes: Any) -> RunStarted:
    """Return the first record of a leg of a run that has 4 steps an epoch."""
    values: dict[str, Any] = {
        "config": run.config.as_dict(), "device": "Test CPU (2 threads)", "precision": "fp32", "num_params": 39_600_000,
        "num_train_images": 4, "num_val_images": 2, "steps_per_epoch": 4, "epochs_done": epochs_done,
        "steps_done": 4 * epochs_done, "class_names": list(CLASS_NAMES), "floor": FLOOR, "versions": {},
        "fingerprint": "f",
    }  # fmt: skip
    return RunStarted(**values | changes)


def epoch_record(epoch: int, miou: float | None = None, **changes: Any) -> Epoch:
    """Return the record of an epoch; its mIoU is 10 % times the epoch by default."""
    iou = [{0: 0.8, CAT: 0.25}.get(k) for k in range(len(CLASS_NAMES))]
    values: dict[str, Any] = {
        "epoch": epoch, "step": 4 * epoch, "train_loss": 2.0 / epoch, "val_loss": 2.5 / epoch,
        "miou": 0.1 * epoch if miou is None else miou, "pixel_accuracy": 0.75, "iou": iou,
        "seconds": 20.0, "train_seconds": 15.0, "images_per_second": 12.0, "peak_memory_bytes": 900_000_000,
        "is_best": True,
    }  # fmt: skip
    return Epoch(**values | changes)


def write_records(run: Run, epochs: int, *, ended: str | None = None, extra_steps: int = 0) -> None:
    """Write the log of a run after some epochs and steps, and its end if it came."""
    writer = LogWriter(run.log_path)
    begin = time.time() - 1000
    writer.write(started(run, time_s=begin))
    for epoch in range(1, epochs + 1):
        for step in range(4 * epoch - 3, 4 * epoch + 1):
            writer.write(_step(epoch, step, begin))
        writer.write(epoch_record(epoch))
    for step in range(4 * epochs + 1, 4 * epochs + extra_steps + 1):
        writer.write(_step(epochs + 1, step, time.time() - 4 * epochs - 1000))
    if epochs:
        (run.path / "last.pt").write_bytes(b"not a checkpoint")
        saved = Checkpoint(
            file="last.pt", epoch=epochs, verified=True, size_bytes=158_000_000, step_in_epoch=extra_steps
        )
        writer.write(saved)
    if ended:
        writer.write(
            RunEnded(outcome=ended, reason=f"{ended} on purpose", epochs_done=epochs, best_epoch=epochs, best_miou=0.1)
        )
    writer.close()


def append(run: Run, *records: Record) -> None:
    """Add records to the log of a run."""
    writer = LogWriter(run.log_path)
    for record in records:
        writer.write(record)
    writer.close()


def _step(epoch: int, step: int, begin: float) -> Step:
    return Step(
        epoch=epoch, step=step, loss=3.0 / step, learning_rate=1e-3, images_per_second=12.5, time_s=begin + 5.0 * step
    )


@pytest.fixture
def make_run(home: Path) -> Callable[..., Run]:
    """Make a run of 3 planned epochs on the demo data."""

    def _make_run(name: str = "first", **settings: Any) -> Run:
        config = with_settings(preset("demo"), {"epochs": 3, **settings})
        return create_run(name, demo_dir(), "demo", config)

    return _make_run


def texts(app: AppTest) -> str:
    """Return everything a page says, for a look at what is on it."""
    kinds = ("title", "subheader", "markdown", "caption", "info", "warning", "error", "code", "success")
    said = [str(element.value) for kind in kinds for element in app.get(kind)]
    said += [f"{metric.label}: {metric.value} ({metric.delta})" for metric in app.metric]
    said += [str(bar.proto.text) for bar in app.get("progress")]
    return "\n".join(said)


def links(app: AppTest) -> dict[str, str]:
    """Return the page links by label, with the page and query they lead to."""
    return {link.proto.label: f"{link.proto.page}?{link.proto.query_string}" for link in app.get("page_link")}


def button(app: AppTest, label: str) -> object:
    """Return the button with this label."""
    return next(each for each in app.button if each.label == label)


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What would be started as a process of its own; nothing is."""
    started: list[list[str]] = []
    monkeypatch.setattr(jobs, "launch", lambda arguments, _path: started.append(arguments))
    return started
