"""The log: every record survives, and a reader copes with whatever a killed writer leaves."""

import json
import math
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import pytest

from core.errors import RunError
from core.home import PROJECT_ROOT
from core.training.run.log import RESERVE_BYTES, LogWriter, RunLog, read_log
from core.training.run.records import (
    KINDS,
    Checkpoint,
    Epoch,
    Preflight,
    Preparing,
    Record,
    RunEnded,
    RunStarted,
    Step,
    Validating,
    Warned,
    from_line,
    seconds_between,
    to_line,
)

STARTED = RunStarted(
    time_s=1.0, config={"epochs": 3}, device="CPU", precision="fp32", num_params=5, num_train_images=4,
    num_val_images=2, steps_per_epoch=2, epochs_done=0, class_names=["background", "Übung\u2028"],
    floor={"miou": 0.03, "pixel_accuracy": None}, versions={"torch": "2"}, fingerprint="f00d",
)  # fmt: skip
STEP = Step(time_s=2.0, epoch=1, step=1, loss=1.5, learning_rate=1e-3, images_per_second=3.25)
EPOCH = Epoch(
    time_s=3.0, epoch=1, step=2, train_loss=1.0, val_loss=None, miou=0.1 + 0.2, pixel_accuracy=0.7, iou=[0.5, None],
    seconds=2.0, train_seconds=1.5, images_per_second=2.0, peak_memory_bytes=10**10, is_best=True,
)  # fmt: skip
ENDED = RunEnded(time_s=9.0, outcome="finished", reason="3 epochs done", epochs_done=3, best_epoch=1, best_miou=0.3)
PREFLIGHT = Preflight(
    time_s=0.5, seconds=9.5, step_seconds=2.0, eval_seconds_per_image=0.25, checkpoint_bytes=10**8,
    needed_disk_bytes=3 * 10**8, free_disk_bytes=10**11, free_memory_bytes=10**10, peak_memory_bytes=10**9,
)  # fmt: skip
ALL = [
    Preparing(time_s=0.1, doing="Opening", done=0, total=0, epochs=50),
    Preparing(time_s=0.1, doing="Reading", done=1, total=6), PREFLIGHT, STARTED, STEP,
    Validating(time_s=2.5, epoch=1, image=1, images=2), EPOCH,
    Checkpoint(time_s=4.0, file="best.pt", epoch=1, verified=True, size_bytes=123), Warned(time_s=5.0, message='"b"\n'),
    ENDED,
]  # fmt: skip


def step(number: int) -> Step:
    return replace(STEP, step=number, epoch=(number + 1) // 2, time_s=float(number))


def epoch(number: int, miou: float | None = 0.1) -> Epoch:
    return replace(EPOCH, epoch=number, step=2 * number, miou=miou)


def write(path: Path, *records: Record) -> None:
    writer = LogWriter(path)
    for record in records:
        writer.write(record)
    writer.close()


@pytest.mark.parametrize("record", ALL, ids=lambda record: record.kind)
def test_each_record_is_one_line_and_comes_back_equal(record: Record) -> None:
    line = to_line(record)
    assert line.endswith("\n")
    assert len(line.splitlines()) == 1
    assert from_line(line) == record
    document = json.loads(line)
    assert document["kind"] == record.kind
    assert {"kind", *(field.name for field in fields(record))} == document.keys()


def test_there_is_an_example_of_every_kind() -> None:
    assert {record.kind for record in ALL} == KINDS.keys()


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_number_that_is_no_json_is_never_written(bad: float) -> None:
    with pytest.raises(ValueError, match="JSON"):
        to_line(replace(STEP, loss=bad))


def test_keys_of_a_newer_version_are_ignored() -> None:
    assert from_line(json.dumps({**json.loads(to_line(STEP)), "new": 1})) == STEP


@pytest.mark.parametrize("line", ["", "x", "[]", "{}", '{"kind":"sunshine"}', '{"kind":"step","epoch":1}', "null"])
def test_what_is_no_record_is_a_value_error(line: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        from_line(line)


def test_a_whole_log_is_sorted_into_its_kinds(tmp_path: Path) -> None:
    write(tmp_path / "log.jsonl", *ALL)
    log = read_log(tmp_path / "log.jsonl")
    assert (log.legs, log.steps, log.epochs) == ([STARTED], [STEP], [EPOCH])
    assert [record.file for record in log.checkpoints] == ["best.pt"]
    assert [record.message for record in log.warnings] == ['"b"\n']
    assert log.last == ENDED
    assert log.bad_lines == []


def test_a_missing_log_is_empty(tmp_path: Path) -> None:
    log = read_log(tmp_path / "none.jsonl")
    assert (log.last, log.steps, log.best_epoch) == (None, [], None)


def test_a_torn_last_line_waits_for_its_end(tmp_path: Path) -> None:
    """LlamaFactory#10715: half a line of JSON crashed the monitor."""
    path = tmp_path / "log.jsonl"
    line = to_line(step(2)).encode()
    path.write_bytes(to_line(step(1)).encode() + line[:20])
    log = RunLog(path)
    assert log.read_new() == 1
    assert log.last == step(1)
    with path.open("ab") as file:
        file.write(line[20:])
    assert log.read_new() == 1
    assert log.last == step(2)
    assert log.bad_lines == []


def test_a_writer_closes_a_torn_line_so_that_only_that_one_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text(to_line(step(1)) + '{"kind":"step","epo')
    write(path, step(2))
    log = read_log(path)
    assert log.steps == [step(1), step(2)]
    assert log.bad_lines == ['{"kind":"step","epo']


def test_a_bad_line_in_the_middle_is_reported_and_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_bytes(to_line(step(1)).encode() + b"\xff\x00garbage\n\n" + to_line(step(2)).encode())
    log = read_log(path)
    assert log.steps == [step(1), step(2)]
    assert len(log.bad_lines) == 1


def test_following_a_log_reads_only_what_is_new(tmp_path: Path) -> None:
    """What was read before is overwritten with other bytes of the same length: nobody may look there again."""
    path = tmp_path / "log.jsonl"
    write(path, *(step(number) for number in range(1, 6)))
    log = RunLog(path)
    assert log.read_new() == 5
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.write(b"#" * (size - 1))
    write(path, step(6))
    assert log.read_new() == 1
    assert log.read_new() == 0
    assert [record.step for record in log.steps] == [1, 2, 3, 4, 5, 6]
    assert log.bad_lines == []


def test_a_log_that_became_shorter_is_read_anew(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    write(path, step(1), step(2))
    log = RunLog(path)
    log.read_new()
    path.unlink()
    write(path, step(7))
    log.read_new()
    assert log.steps == [step(7)]


def test_a_leg_drops_what_was_lost_since_the_checkpoint_it_starts_from(tmp_path: Path) -> None:
    """ultralytics#22364: epochs of an interrupted training and of its resumption mixed in one log."""
    path = tmp_path / "log.jsonl"
    write(path, STARTED, step(1), step(2), epoch(1), step(3), step(4), epoch(2), step(5))
    write(path, replace(STARTED, epochs_done=1, steps_done=3), step(4), epoch(2, miou=0.9), step(5))
    log = read_log(path)
    assert [record.step for record in log.steps] == [1, 2, 3, 4, 5]
    assert [(record.epoch, record.miou) for record in log.epochs] == [(1, 0.1), (2, 0.9)]
    assert len(log.legs) == 2


def test_the_best_epoch_is_the_first_with_the_highest_miou(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    write(path, STARTED, epoch(1, None), epoch(2, 0.5), epoch(3, 0.5), epoch(4, 0.0))
    best = read_log(path).best_epoch
    assert best is not None
    assert best.epoch == 2


def test_the_best_epoch_is_one_that_was_scored_on_the_photos_of_the_latest_leg(tmp_path: Path) -> None:
    """After the validation photos had changed, the log said that scores "do not compare", and then compared them."""
    path = tmp_path / "log.jsonl"
    write(path, STARTED, epoch(1, 0.9), epoch(2, 0.8), replace(STARTED, epochs_done=2, best_since=2))
    assert read_log(path).best_epoch is None
    write(path, epoch(3, 0.1), epoch(4, 0.2), epoch(5, 0.1))
    log = read_log(path)
    assert log.best_epoch is not None
    assert log.best_epoch.epoch == 4
    assert [record.epoch for record in log.comparable_epochs] == [3, 4, 5]


# --- room, time and versions ----------------------------------------------------------------------------------------


def test_a_log_of_an_earlier_version_has_no_uptime_and_no_preflight(tmp_path: Path) -> None:
    line = json.loads(to_line(STEP))
    del line["uptime_s"]
    assert from_line(json.dumps(line)) == STEP
    write(tmp_path / "log.jsonl", STARTED, STEP, ENDED)
    assert read_log(tmp_path / "log.jsonl").preflight is None


def test_a_kind_that_a_newer_version_writes_is_told_and_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    write(path, STARTED, STEP)
    with path.open("a") as file:
        file.write('{"kind":"thought","time_s":3.0,"text":"?"}\n')
    write(path, EPOCH)
    log = read_log(path)
    assert (log.steps, log.epochs, log.last) == ([STEP], [EPOCH], EPOCH)
    assert [json.loads(bad)["kind"] for bad in log.bad_lines] == ["thought"]


def test_the_last_preflight_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    write(path, PREFLIGHT, STARTED, ENDED, replace(PREFLIGHT, seconds=3.0), STARTED)
    assert read_log(path).preflight == replace(PREFLIGHT, seconds=3.0)


def test_time_between_records_knows_no_change_of_the_clock() -> None:
    earlier = replace(STEP, time_s=5000.0, uptime_s=100.0)
    assert seconds_between(earlier, replace(STEP, time_s=1400.0, uptime_s=103.5)) == 3.5
    assert seconds_between(earlier, replace(STEP, time_s=5004.0)) == 4.0, "an old log has only the clock"


def test_a_full_disk_is_one_sentence(tmp_path: Path, one_sentence: Callable[[object, Path], str]) -> None:
    full = tmp_path / "log.jsonl"
    full.symlink_to("/dev/full")
    writer = LogWriter(full)
    for write_one in (writer.write, writer.write_last):
        with pytest.raises(RunError) as caught:
            write_one(STEP)
        assert "No space left" in one_sentence(caught.value, full)
    writer.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log.jsonl"]


SHORT = """
import resource, sys
from pathlib import Path
from core.errors import RunError
from core.training.run.log import LogWriter
from core.training.run.records import Warned
writer = LogWriter(Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, resource.RLIM_INFINITY))
written = 0
try:
    while True:
        writer.write(Warned(message="x" * 70))
        written += 1
except RunError as error:
    print(written)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
writer.write_last(Warned(message="the end"))
"""


def test_a_record_for_which_there_is_no_room_is_not_written_in_part(tmp_path: Path) -> None:
    """The half line was closed by the next record, which was lost with it: the one with the end."""
    path = tmp_path / "log.jsonl"
    command = [sys.executable, "-c", SHORT, str(path)]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=PROJECT_ROOT, check=True)
    log = read_log(path)
    assert log.bad_lines == []
    assert len(log.warnings) == int(ended.stdout) + 1
    assert log.warnings[-1].message == "the end"


def test_room_for_the_last_record_is_kept_while_the_log_is_written(tmp_path: Path) -> None:
    writer = LogWriter(tmp_path / "log.jsonl")
    reserve = tmp_path / ".log.jsonl.reserve"
    assert reserve.stat().st_size == RESERVE_BYTES
    writer.write(STEP)
    assert reserve.exists()
    writer.write_last(ENDED)
    assert not reserve.exists()
    writer.close()
