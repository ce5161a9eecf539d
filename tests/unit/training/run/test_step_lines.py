"""Step records are read once somebody looks, and thinned when there are very many."""

import itertools
import time
from pathlib import Path

import pytest

from core.training.run import log as log_file
from core.training.run.log import LIMIT, RECENT, LogWriter, RunLog, known_log, read_log
from core.training.run.records import RunStarted, Step, Warned, to_line
from tests.reads import counted_reads

STARTED = RunStarted(
    config={"epochs": 9}, device="cpu", precision="fp32", num_params=1, num_train_images=1, num_val_images=1,
    steps_per_epoch=10, epochs_done=0, class_names=[], floor={}, versions={}, fingerprint="", time_s=0.0,
)  # fmt: skip


def step(number: int) -> Step:
    return Step(time_s=float(number), epoch=1, step=number, loss=1.0, learning_rate=0.1, images_per_second=2.0)


def write(path: Path, *records: object) -> Path:
    writer = LogWriter(path)
    for record in records:
        writer.write(record)  # type: ignore[arg-type]
    writer.close()
    return path


def test_steps_are_those_that_were_written_in_order(tmp_path: Path) -> None:
    log = read_log(write(tmp_path / "log.jsonl", STARTED, *map(step, range(1, 50))))
    assert log.steps == [step(number) for number in range(1, 50)]
    assert log.last == step(49)
    known = known_log(log.path)
    assert known is known_log(log.path)
    assert (known.legs, known.last, known.steps) == (log.legs, log.last, log.steps[-RECENT:])


def test_what_comes_after_a_step_is_last(tmp_path: Path) -> None:
    log = read_log(write(tmp_path / "log.jsonl", STARTED, step(1), Warned(message="hot", time_s=2.0)))
    assert log.last == Warned(message="hot", time_s=2.0)


def test_a_copy_does_not_grow_with_the_log(tmp_path: Path) -> None:
    import copy

    path = write(tmp_path / "log.jsonl", STARTED, step(1))
    log = RunLog(path)
    log.read_new()
    before = copy.copy(log)
    write(path, step(2))
    log.read_new()
    assert (len(before.steps), len(log.steps)) == (1, 2)


def test_very_many_steps_are_thinned_but_not_the_latest(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text(to_line(STARTED) + "".join(to_line(step(number)) for number in range(1, 20_001)))
    log = read_log(path)
    assert len(log.steps) <= LIMIT
    assert log.steps[0] == step(1)
    assert log.steps[-2000:] == [step(number) for number in range(18_001, 20_001)]


def test_a_million_steps_are_read_in_parts_and_leave_a_curve_of_all_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """160 MB were in memory at once, and the first and the last twenty thousand steps stayed. Here a tenth of both."""
    monkeypatch.setattr(log_file, "BLOCK_BYTES", 100_000)
    path = tmp_path / "log.jsonl"
    path.write_text(to_line(STARTED) + "".join(to_line(step(number)) for number in range(1, 100_001)) + '{"kind":')
    with counted_reads() as reads:
        log = read_log(path)
        assert reads["log.jsonl"] == path.stat().st_size
    with path.open("rb") as file:
        assert max(map(len, log_file._blocks_of_lines(file))) < 101_000
    numbers = [each.step for each in log.steps]
    assert numbers == sorted(numbers)
    assert (numbers[0], numbers[-1], log.bad_lines) == (1, 100_000, [])
    assert max(later - one for one, later in itertools.pairwise(numbers)) <= 128, "50 steps a point of 2,000, doubled"


def test_a_step_line_of_another_form_is_left_out(tmp_path: Path) -> None:
    path = write(tmp_path / "log.jsonl", STARTED, step(1))
    with path.open("a") as file:
        file.write('{"kind":"step","loss":"much"}\n')
    write(path, step(3))
    assert [read.step for read in read_log(path).steps] == [1, 3]


@pytest.mark.slow
def test_fifty_long_runs_open_in_a_moment(tmp_path: Path) -> None:
    """Reading every step of them took fifteen seconds, and Home asks for none."""
    text = to_line(STARTED) + "".join(to_line(step(number)) for number in range(1, 20_001))
    for number in range(50):
        (tmp_path / f"{number}.jsonl").write_text(text)
    began_s = time.perf_counter()
    logs = [read_log(tmp_path / f"{number}.jsonl") for number in range(50)]
    assert time.perf_counter() - began_s < 5.0, "0.7 s on a quiet machine"
    assert all(log.last == step(20_000) for log in logs)
