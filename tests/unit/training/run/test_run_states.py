"""The states of runs, from the kernel's lock and the log; stopping, and one training at a time."""

import getpass
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from core import jobs
from core.errors import RunError
from core.home import PROJECT_ROOT, checkpoints_dir
from core.jobs import hold, is_held
from core.training.run import edits, folders, machine
from core.training.run.folders import Run, create_run, run_state
from core.training.run.log import LogWriter, read_log
from core.training.run.records import Record, RunEnded, RunStarted, Step
from core.training.settings.presets import preset

NOW_S = 1_000_000.0
STARTED = RunStarted(
    config={"epochs": 10}, device="CPU", precision="fp32", num_params=1, num_train_images=1, num_val_images=1,
    steps_per_epoch=1, epochs_done=0, class_names=[], floor={}, versions={}, fingerprint="", time_s=NOW_S - 5000,
)  # fmt: skip


def log_of(run: Run, *records: Record) -> folders.RunLog:
    writer = LogWriter(run.log_path)
    for record in records:
        writer.write(record)
    writer.close()
    return read_log(run.log_path)


def steps(*ages_s: float) -> list[Step]:
    """Return step records that are so many seconds old."""
    return [
        Step(epoch=1, step=index, loss=1.0, learning_rate=0.1, images_per_second=1.0, time_s=NOW_S - age_s)
        for index, age_s in enumerate(ages_s, start=1)
    ]


def ended(outcome: str, time_s: float = NOW_S) -> RunEnded:
    return RunEnded(outcome=outcome, reason="so", epochs_done=1, best_epoch=None, best_miou=None, time_s=time_s)


# --- the lock and the states ----------------------------------------------------------------------------------------


def test_a_held_run_has_one_holder(run: Run) -> None:
    assert not is_held(run.path)
    with hold(run.path):
        assert is_held(run.path)
        with pytest.raises(RunError, match="being worked on by another process"), hold(run.path):
            pytest.fail("two holders")
        with pytest.raises(RunError, match="is being trained"):
            folders.start(run)
    assert not is_held(run.path)


def test_the_kernel_frees_the_lock_of_a_killed_holder(run: Run) -> None:
    program = f"from pathlib import Path; from core.jobs import hold; import sys\nwith hold(Path({str(run.path)!r})):\n  print('held', flush=True); sys.stdin.read()"  # noqa: E501
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=PROJECT_ROOT
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        assert is_held(run.path)
        assert run_state(run, read_log(run.log_path)) == "running"
        assert [live.path for live in folders.live_runs()] == [run.path]
        holder.kill()
    assert not is_held(run.path)
    assert run_state(run, read_log(run.log_path)) == "crashed"


def test_a_new_run_is_new(run: Run) -> None:
    assert run_state(run, read_log(run.log_path)) == "new"


@pytest.mark.parametrize("outcome", ["finished", "stopped", "failed"])
def test_the_last_record_tells_how_a_run_ended(run: Run, outcome: str) -> None:
    log = log_of(run, STARTED, *steps(100), ended(outcome))
    assert run_state(run, log, now_s=NOW_S) == outcome
    with hold(run.path):
        assert run_state(run, log, now_s=NOW_S) == "running", "held: it was started again"


def test_a_log_without_an_end_and_without_a_holder_is_a_crash(run: Run) -> None:
    assert run_state(run, log_of(run, STARTED, *steps(100)), now_s=NOW_S) == "crashed"


def test_a_run_that_ends_while_somebody_looks_is_not_called_crashed(run: Run) -> None:
    """The log was read, then the trainer wrote its end and let go, then the lock was found free: "crashed"."""
    before_its_end = log_of(run, STARTED, *steps(1))
    log_of(run, ended("finished"))
    assert run_state(run, before_its_end, now_s=NOW_S) == "finished"


@contextmanager
def held_since(run: Run, began_s: float) -> Iterator[None]:
    with hold(run.path):
        os.utime(run.path / "lock", (began_s, began_s))
        yield


@pytest.mark.parametrize(
    ("ages_s", "state"),
    [
        ((3, 2, 1), "running"),
        ((300, 200, 119), "running"),  # 100 s a step: two minutes of silence are nothing
        ((123, 122, 121), "stalled"),
        ((2000, 1600), "running"),
        ((5000, 4601), "stalled"),
        ((299,), "running"),  # one record does not say how long a step takes
        ((301,), "stalled"),
    ],
)
def test_a_held_run_without_news_for_far_longer_than_a_step_is_stalled(
    run: Run, ages_s: tuple[float, ...], state: str
) -> None:
    log = log_of(run, STARTED, *steps(*ages_s))
    with held_since(run, NOW_S - 10_000):
        assert run_state(run, log, now_s=NOW_S) == state


def test_a_run_resumed_after_a_week_is_running_before_its_first_record(run: Run) -> None:
    """It read "stalled" while its trainer loaded PyTorch: the newest record was of the week before."""
    log = log_of(run, STARTED, *steps(7 * 86400))
    with held_since(run, NOW_S - 60):
        assert run_state(run, log, now_s=NOW_S) == "running"
    with held_since(run, NOW_S - 600):
        assert run_state(run, log, now_s=NOW_S) == "stalled"


def test_the_pause_between_two_legs_is_no_usual_step(run: Run) -> None:
    """A run resumed after a week would have counted as stalled only after ten weeks of silence."""
    week_s = 7 * 86400
    resumed = replace(STARTED, steps_done=2, epochs_done=0, time_s=NOW_S - 403)
    again = [replace(step, step=step.step + 2) for step in steps(402, 401, 400)]
    log = log_of(run, STARTED, *steps(week_s + 1, week_s), ended("stopped", NOW_S - week_s), resumed, *again)
    with held_since(run, resumed.time_s):
        assert run_state(run, log, now_s=NOW_S) == "stalled"


def test_the_target_is_what_the_latest_leg_was_asked_for(run: Run) -> None:
    assert folders.target_epochs(run, read_log(run.log_path)) == 10
    assert folders.target_epochs(run, log_of(run, STARTED, replace(STARTED, config={"epochs": 50}))) == 50


def test_a_clock_that_was_set_is_no_silence(run: Run) -> None:
    """An hour forward: the run was called stalled until its next record, an hour back: the other way round."""
    first, second = (replace(step, uptime_s=1000.0 + step.step) for step in steps(3, 2))
    log = log_of(run, STARTED, first, second)
    with held_since(run, NOW_S - 10):
        for jump_s in (3600, -3600, 0):
            assert run_state(run, log, now_s=NOW_S + jump_s, uptime_s=1003.0) == "running"
            assert run_state(run, log, now_s=NOW_S + jump_s, uptime_s=1302.5) == "stalled"


def test_a_jump_between_two_steps_makes_them_no_slower(run: Run) -> None:
    first, second = (replace(step, uptime_s=1000.0 + step.step) for step in steps(5000, 1))
    log = log_of(run, STARTED, first, second)
    with held_since(run, NOW_S - 6000):
        assert run_state(run, log, now_s=NOW_S, uptime_s=1002.0 + 121) == "stalled"


def test_after_the_machine_slept_a_run_is_running(run: Run) -> None:
    """The count of seconds stands still while a machine sleeps; the time of day does not."""
    log = log_of(run, STARTED, *(replace(step, uptime_s=1000.0 + step.step) for step in steps(11_520, 11_519)))
    with held_since(run, NOW_S - 20_000):
        assert run_state(run, log, now_s=NOW_S, uptime_s=1003.0) == "running"


# --- several users and tabs -----------------------------------------------------------------------------------------


def test_a_run_deleted_while_its_state_is_asked_for_is_no_error(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lock was held, then the folder was gone, then the time of the lock was asked for: FileNotFoundError."""
    log = log_of(run, STARTED)
    shutil.rmtree(run.path)
    assert run_state(run, log) == "crashed"
    assert log.newest() == STARTED
    assert log.read_new() == 0


def test_what_cannot_be_opened_hides_no_other_run(run: Run, tiny_voc: Path) -> None:
    """A folder whose lock belonged to another user, as a container leaves it, emptied Home and Train."""
    other, third = (create_run(name, tiny_voc, "demo", preset("demo")) for name in ("other", "third"))
    (run.path / "lock").symlink_to("lock")  # as little to be opened as another user's, by root too
    log_of(third, STARTED).path.unlink()
    third.log_path.symlink_to("log.jsonl")
    with hold(other.path):
        assert run_state(run, log_of(run, STARTED)) == "unknown"
        assert run_state(third, read_log(third.log_path)) == "unknown"
        assert [live.path for live in folders.live_runs()] == [other.path]
    with pytest.raises(RunError, match="see whose it is"):
        folders.start(run)
    with pytest.raises(RunError, match="see whose it is"):
        edits.delete(run)
    folders.refuse_if_busy(other)


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="users of Windows have no ids")
def test_the_state_of_another_user_s_run_is_seen_as_far_as_its_files_are_open(
    run: Run, tiny_voc: Path, tmp_path: Path
) -> None:
    """Asking for the lock needed writing: of a run that anybody may read, another user saw an error."""
    private = create_run("private", tiny_voc, "demo", preset("demo"))
    for each in (run, private):
        log_of(each, STARTED, ended("finished"))
        (each.path / "lock").touch(mode=0o644)
    (private.path / "lock").chmod(0)
    if os.getuid() == 0:  # the program below becomes nobody, who has to get here
        for folder in (tmp_path, *tmp_path.parents):
            folder.chmod(folder.stat().st_mode | 0o011)
    program = (
        "import os, sys; from pathlib import Path; from core.training.run import folders\n"
        "from core.training.run.log import read_log\n"
        "if os.getuid() == 0:\n  os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "print(*[folders.run_state(run, read_log(run.log_path)) for run in folders.list_runs(Path(sys.argv[1]))])"
    )
    command = [sys.executable, "-c", program, str(checkpoints_dir())]
    seen = subprocess.run(command, cwd=PROJECT_ROOT, capture_output=True, text=True, check=True)
    assert seen.stdout.split() == ["unknown", "finished"]


# --- stopping -------------------------------------------------------------------------------------------------------


def test_a_request_to_stop_is_for_the_holder_of_its_moment(run: Run) -> None:
    """It was forgotten only after torch was imported: a stop asked for in the first seconds of a run was lost."""
    jobs.request_stop(run.path)
    with hold(run.path):
        assert not jobs.is_stop_requested(run.path), "asked before anybody trained"
        jobs.request_stop(run.path)
        assert jobs.is_stop_requested(run.path)
    assert not jobs.is_stop_requested(run.path)


def test_a_trainer_that_cannot_begin_is_told_with_what_it_printed(run: Run) -> None:
    (run.path / "config.json").write_text("{}")
    with pytest.raises(RunError, match=r"ended at once: .*config\.json"):
        folders.start(run)


def test_the_end_of_what_was_printed_is_shown(run: Run) -> None:
    assert jobs.output_of(run.path) == ""
    (run.path / "trainer.log").write_bytes(b"x" * 9000 + "\nKilled: é".encode())
    assert jobs.output_of(run.path, max_bytes=12).endswith("Killed: é")
    assert len(jobs.output_of(run.path)) <= 4000


# --- one training at a time -----------------------------------------------------------------------------------------


def test_a_run_elsewhere_on_the_machine_holds_it(run: Run, tiny_voc: Path, tmp_path: Path) -> None:
    elsewhere = create_run("other", tiny_voc, "demo", preset("demo"), folder=tmp_path / "elsewhere")
    with machine.alone(elsewhere.path):
        for start in (lambda: folders.start(run), lambda: folders.refuse_if_busy(run)):
            with pytest.raises(RunError, match=elsewhere.path.name) as caught:
                start()
            assert "--beside" in str(caught.value)
        with pytest.raises(RunError, match="is being trained"), machine.alone(run.path):
            pytest.fail("two hold the machine")
        with machine.alone(run.path, beside=True):
            pass
    with machine.alone(run.path):
        pass


def test_the_kernel_frees_the_machine_of_a_killed_trainer(run: Run) -> None:
    program = f"from pathlib import Path; from core.training.run.machine import alone; import sys\nwith alone(Path({str(run.path)!r})):\n  print('held', flush=True); sys.stdin.read()"  # noqa: E501
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=PROJECT_ROOT
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(RunError, match=run.path.name):
            machine.refuse_if_held()
        holder.kill()
    machine.refuse_if_held()


def test_without_a_home_of_its_own_the_lock_is_the_machine_s(monkeypatch: pytest.MonkeyPatch) -> None:
    assert machine.locks_dir().is_relative_to(checkpoints_dir().parent)
    monkeypatch.delenv("ATROUS_HOME")
    assert machine.locks_dir().parent == Path(tempfile.gettempdir())
    assert getpass.getuser() in machine.locks_dir().name


def test_a_lock_that_cannot_be_made_is_one_sentence(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "locks_dir", lambda: run.path / "config.json" / "below")
    with pytest.raises(RunError, match=r"^Cannot lock .*config\.json") as caught:
        machine.refuse_if_held()
    assert "\n" not in str(caught.value)
