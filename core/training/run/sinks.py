"""Other outputs of a run's records: a table of its epochs, and TensorBoard's event files.

    log.csv        one line an epoch; rewritten from the log after each epoch, so no epoch appears twice
    tensorboard/   event files, with the setting `tensorboard`

TensorBoard is optional: users who want its files install it.
"""

import csv
import importlib.util
import io
from pathlib import Path
from typing import Any

from core.files import replacing
from core.training.run.log import RunLog
from core.training.run.records import Epoch, Record, RunStarted, Step

COLUMNS = (
    "epoch", "step", "train_loss", "val_loss", "miou", "pixel_accuracy", "floor", "learning_rate", "seconds",
    "images_per_second",
)  # fmt: skip
"""Columns of log.csv; `floor` is the mIoU of background everywhere. A missing value is empty."""

NO_TENSORBOARD = "TensorBoard is not installed, so no events are written; `pip install tensorboard` and resume the run."


def open_sinks(folder: Path, log: RunLog, *, tensorboard: bool) -> "list[Table | TensorBoard]":
    """Return the sinks of the run in a folder; the table is written from `log`."""
    return [Table(folder / "log.csv", log), *([TensorBoard(folder / "tensorboard")] if tensorboard else [])]


def has_tensorboard() -> bool:
    """Return whether TensorBoard is installed."""
    return importlib.util.find_spec("tensorboard") is not None


class Table:
    """Writes log.csv. A sink takes every record of a leg after it is in the log, and is closed at its end."""

    def __init__(self, path: Path, log: RunLog) -> None:
        self._path = path
        self._log = log

    def take(self, record: Record) -> None:
        """Rewrite the table after an epoch, and after the start of a leg, which may have dropped epochs."""
        if isinstance(record, RunStarted | Epoch):
            self._log.read_new()
            with replacing(self._path) as file:
                file.write(table_of(self._log).encode())

    def close(self) -> None:
        """Do nothing: the table is always complete."""


def table_of(log: RunLog) -> str:
    """Return the epochs of a log as CSV with a header, `COLUMNS`."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    learning_rates = {step.epoch: step.learning_rate for step in log.steps}
    for epoch in log.epochs:
        values = {name: getattr(epoch, name, None) for name in COLUMNS}
        legs = [leg for leg in log.legs if leg.epochs_done < epoch.epoch]
        values["floor"] = legs[-1].floor.get("miou") if legs else None
        values["learning_rate"] = learning_rates.get(epoch.epoch)
        writer.writerow(values)
    return text.getvalue()


class TensorBoard:
    """Writes event files; TensorBoard discards the events of steps that are trained again (`purge_step`)."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writer: Any = None

    def take(self, record: Record) -> None:
        """Write the numbers of a step or an epoch."""
        match record:
            case RunStarted() if has_tensorboard():
                from torch.utils.tensorboard import SummaryWriter

                self._writer = SummaryWriter(self._folder, purge_step=record.steps_done + 1)
            case Step():
                self._add(record, "loss/train_step", record.loss)
                self._add(record, "learning_rate", record.learning_rate)
                self._add(record, "images_per_second", record.images_per_second)
            case Epoch():
                self._add(record, "loss/train", record.train_loss)
                self._add(record, "loss/val", record.val_loss)
                self._add(record, "score/miou", record.miou)
                self._add(record, "score/pixel_accuracy", record.pixel_accuracy)
                if self._writer:
                    self._writer.flush()

    def _add(self, record: Step | Epoch, name: str, value: float | None) -> None:
        if self._writer and value is not None:
            self._writer.add_scalar(name, value, record.step, walltime=record.time_s)

    def close(self) -> None:
        """Close the event file."""
        if self._writer:
            self._writer.close()
