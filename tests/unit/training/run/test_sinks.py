"""The table and the event files beside the log hold what the log holds, and nothing twice."""

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core import jobs
from core.training.loop.trainer import train
from core.training.run import sinks
from core.training.run.folders import create_run
from core.training.run.log import LogWriter, read_log
from core.training.run.records import Epoch, Record, RunStarted, Step, Warned
from core.training.run.sinks import COLUMNS, open_sinks, table_of
from core.training.settings.config import TrainingConfig

STARTED = RunStarted(
    config={"epochs": 3}, device="CPU", precision="fp32", num_params=5, num_train_images=4, num_val_images=2,
    steps_per_epoch=2, epochs_done=0, class_names=["background", "cat"], floor={"miou": 0.25, "pixel_accuracy": 0.5},
    versions={}, fingerprint="f00d",
)  # fmt: skip
EPOCH = Epoch(
    epoch=1, step=2, train_loss=1.5, val_loss=None, miou=0.25, pixel_accuracy=0.75, iou=[0.5, None], seconds=2.0,
    train_seconds=1.5, images_per_second=2.5, peak_memory_bytes=10**10, is_best=True,
)  # fmt: skip


def step(number: int, loss: float = 1.5) -> Step:
    return Step(epoch=(number + 1) // 2, step=number, loss=loss, learning_rate=number / 8, images_per_second=3.25)


def epoch(number: int, miou: float = 0.25) -> Epoch:
    return replace(EPOCH, epoch=number, step=2 * number, miou=miou)


def write(folder: Path, *records: Record, tensorboard: bool = False) -> None:
    """Write a leg as the trainer does: the log first, then each sink."""
    log = read_log(folder / "log.jsonl")
    writer, opened = LogWriter(folder / "log.jsonl"), open_sinks(folder, log, tensorboard=tensorboard)
    for record in records:
        writer.write(record)
        for sink in opened:
            sink.take(record)
    for sink in opened:
        sink.close()
    writer.close()


FIRST_LEG = (STARTED, step(1), step(2), epoch(1), step(3), step(4, loss=9.0), epoch(2, miou=0.5), step(5))
SECOND_LEG = (
    replace(STARTED, epochs_done=1, steps_done=3, floor={"miou": 0.125}), step(4), epoch(2), step(5), step(6), epoch(3),
)  # fmt: skip
"""It goes on from step 3: what the first leg did after that is lost."""


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "log.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_an_epoch_is_a_line(tmp_path: Path) -> None:
    write(tmp_path, STARTED, step(1), step(2), EPOCH)
    assert (tmp_path / "log.csv").read_text() == (
        "epoch,step,train_loss,val_loss,miou,pixel_accuracy,floor,learning_rate,seconds,images_per_second\n"
        "1,2,1.5,,0.25,0.75,0.25,0.25,2.0,2.5\n"
    )
    assert ",".join(COLUMNS) == (tmp_path / "log.csv").read_text().splitlines()[0]


def test_a_leg_that_goes_on_doubles_no_line(tmp_path: Path) -> None:
    write(tmp_path, *FIRST_LEG)
    assert [row["miou"] for row in rows(tmp_path)] == ["0.25", "0.5"]
    write(tmp_path, SECOND_LEG[0])
    assert [row["epoch"] for row in rows(tmp_path)] == ["1"], "what is lost is gone at once"
    write(tmp_path, *SECOND_LEG)
    assert [(row["epoch"], row["miou"], row["floor"]) for row in rows(tmp_path)] == [
        ("1", "0.25", "0.25"), ("2", "0.25", "0.125"), ("3", "0.25", "0.125"),
    ]  # fmt: skip
    assert (tmp_path / "log.csv").read_text() == table_of(read_log(tmp_path / "log.jsonl"))


def scalars(folder: Path, tag: str) -> list[tuple[int, float]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events: Any = EventAccumulator(str(folder / "tensorboard"))  # type: ignore[no-untyped-call]
    events.Reload()
    return [(event.step, event.value) for event in events.Scalars(tag)]


def test_tensorboard_reads_the_events_back_and_none_twice(tmp_path: Path) -> None:
    write(tmp_path, *FIRST_LEG, tensorboard=True)
    assert scalars(tmp_path, "loss/train_step") == [(1, 1.5), (2, 1.5), (3, 1.5), (4, 9.0), (5, 1.5)]
    assert scalars(tmp_path, "score/miou") == [(2, 0.25), (4, 0.5)]
    write(tmp_path, *SECOND_LEG, tensorboard=True)
    assert scalars(tmp_path, "loss/train_step") == [(number, 1.5) for number in range(1, 7)]
    assert scalars(tmp_path, "learning_rate") == [(number, number / 8) for number in range(1, 7)]
    assert scalars(tmp_path, "score/miou") == [(2, 0.25), (4, 0.25), (6, 0.25)]


def test_without_the_setting_there_are_no_events(tmp_path: Path) -> None:
    write(tmp_path, *FIRST_LEG)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log.csv", "log.jsonl"]


@pytest.mark.slow
@pytest.mark.parametrize("is_installed", [True, False])
def test_a_run_without_tensorboard_warns_and_goes_on(
    tiny_voc: Path, monkeypatch: pytest.MonkeyPatch, is_installed: bool
) -> None:
    if not is_installed:
        find = sinks.importlib.util.find_spec
        monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "tensorboard" else find(name))
    config = TrainingConfig(
        architecture="deeplabv3_mobilenet_v3_large", output_stride=16, image_size=32, batch_size=2, precision="fp32",
        epochs=1, tensorboard=True,
    )  # fmt: skip
    run = create_run("first", tiny_voc, "report", config)
    with jobs.hold(run.path):
        records = list(train(run))
    messages = [record.message for record in records if isinstance(record, Warned)]
    assert messages == ([] if is_installed else [sinks.NO_TENSORBOARD])
    assert (run.path / "tensorboard").exists() == is_installed
    assert [row["epoch"] for row in rows(run.path)] == ["1"]
    if is_installed:
        assert scalars(run.path, "loss/train")[0][0] == read_log(run.log_path).epochs[0].step
