"""Jobs: how far they are, how they ended, and who may hold a folder."""

import shutil
from contextlib import ExitStack
from pathlib import Path

import pytest

from core import jobs, windows
from core.errors import DataError, RunError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "job").mkdir()
    return tmp_path / "job"


def test_a_job_tells_how_far_it_is_while_it_goes_on(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "NOTE_EVERY_S", 0.0)
    with jobs.running(folder) as note:
        note(0, 4)
        note(1, 4)
        now = jobs.progress(folder)
        assert now is not None
        assert (now.done, now.total, now.share) == (1, 4, 0.25)
        assert now.remaining_s(now.began_s + 10) == pytest.approx(30)
    assert jobs.progress(folder) is None
    assert jobs.error(folder) is None


def test_what_comes_before_the_first_photo_is_no_part_of_the_speed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An import of 108 s first promised 8 min 45 s more: its plan was counted as the time of the first photos.

    What was done before the first note, as the bytes of a download that is resumed, took none of the time since.
    """
    monkeypatch.setattr(jobs, "NOTE_EVERY_S", 0.0)
    with monkeypatch.context() as patched:
        patched.setattr("time.time", lambda: 1000.0)
        with jobs.running(folder) as note:
            patched.setattr("time.time", lambda: 1060.0)
            note(20, 100)
            first = jobs.progress(folder)
            patched.setattr("time.time", lambda: 1070.0)
            note(30, 100)
            progress = jobs.progress(folder)
    assert first
    assert progress
    assert first.remaining_s(1065.0) is None
    assert progress.remaining_s(1070.0) == 70.0


def test_an_error_is_kept_as_its_sentence(folder: Path) -> None:
    with pytest.raises(DataError), jobs.running(folder):
        raise DataError("The disk is full.")
    assert jobs.error(folder) == "The disk is full."


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            ValueError("cannot reshape\narray"),
            "It failed (ValueError: cannot reshape array); this is a bug in Atrous",
        ),
        (MemoryError(), "not enough memory"),
        (KeyboardInterrupt(), "interrupted"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_whatever_ends_a_job_is_said(folder: Path, error: BaseException, said: str) -> None:
    """The pass over the files met a bug, and the page said that it ended without a word."""
    with pytest.raises(type(error)), jobs.running(folder):
        raise error
    assert said in str(jobs.error(folder))
    assert "\n" not in str(jobs.error(folder))


def _be_killed_after(folder: Path, done: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave what a process leaves that is killed: the lock is free, and nothing is written any more."""
    with jobs.running(folder) as note:
        if done:
            note(done, 4)
        monkeypatch.setattr(jobs, "write_json", lambda _file, _document: None)


def _go_on_though_asked_to_stop(folder: Path) -> None:
    with jobs.running(folder) as note:
        jobs.request_stop(folder)
        note(1, 4)


@pytest.mark.parametrize("done", [None, 1, 4])
def test_one_that_was_killed_says_so_however_far_it_was(
    folder: Path, monkeypatch: pytest.MonkeyPatch, done: int | None
) -> None:
    """A job killed before its first note, or after its last, left a page that waited for ever."""
    monkeypatch.setattr(jobs, "launch", lambda _arguments, _path: None)
    jobs.start(folder, ["stats"])
    _be_killed_after(folder, done, monkeypatch)
    assert "was killed after" in str(jobs.error(folder))


def test_a_stop_on_request_ends_it_in_words(folder: Path) -> None:
    with pytest.raises(RunError, match="stopped on request"):
        _go_on_though_asked_to_stop(folder)
    assert "stopped on request" in str(jobs.error(folder))
    assert not jobs.is_stop_requested(folder)


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match="cannot be written"):
        jobs.start(tmp_path / "file" / "job", ["stats"])


# --- several at once ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", [b"", b"{", b'{"done": 3, "to', b"[]", b"null", b"7", b'{"done": "x"}', b'{"total": null}', b"\xff\xfe"]
)
def test_progress_that_cannot_be_read_says_no_more_than_that_it_began(folder: Path, text: bytes) -> None:
    """A torn progress.json was a JSONDecodeError on every page that shows the job."""
    with jobs.running(folder):
        (folder / "progress.json").write_bytes(text)
        progress = jobs.progress(folder)
        assert progress is not None
        assert (progress.done, progress.total) == (0, 0)
        assert jobs.error(folder) is None
    (folder / "progress.json").write_bytes(text)
    assert "was killed after 0 of 0" in str(jobs.error(folder))
    assert not jobs.has_ended(folder)


def test_a_job_that_ends_while_somebody_looks_was_not_killed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its note was read, then it wrote its end and let go, then the lock was found free: "killed after 1 of 2"."""
    held = jobs.is_held
    with jobs.running(folder) as note:
        note(1, 2)

        def end_first(path: Path) -> bool:
            monkeypatch.undo()
            (path / "progress.json").write_text('{"is_over": true}')
            return held(path / "nowhere")

        monkeypatch.setattr(jobs, "is_held", end_first)
        assert jobs.error(folder) is None


def test_a_job_that_is_being_started_was_not_killed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Until its process had the lock, another tab said that it ended without a word."""
    seen: list[str | None] = []
    monkeypatch.setattr(jobs, "launch", lambda _arguments, path: seen.append(jobs.error(path)))
    jobs.start(folder, ["stats"])
    assert seen == [None]
    assert not jobs.has_ended(folder)


def test_of_two_who_start_a_job_at_once_both_see_it_going_on(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second one's process found the lock taken, and its page showed that as an error."""

    def be_second(_arguments: list[str], path: Path) -> None:
        stack.enter_context(jobs.running(path))
        raise RunError("The process ended at once: job is being worked on by another process.")

    monkeypatch.setattr(jobs, "launch", be_second)
    with ExitStack() as stack:
        jobs.start(folder, ["stats"])
        assert jobs.progress(folder) is not None


def test_a_folder_that_is_gone_is_held_by_nobody_and_not_made_anew(folder: Path) -> None:
    """The question whether it was held made the folder of a deleted run anew, with a lock in it."""
    (folder / "lock").touch()
    shutil.rmtree(folder)
    assert not jobs.is_held(folder)
    assert jobs.output_of(folder) == ""
    jobs.request_stop(folder)
    with pytest.raises(RunError, match="Cannot lock"), jobs.hold(folder):
        pytest.fail("a deleted folder is held")
    with pytest.raises(RunError, match="check that its folder is there"):
        jobs.launch(["stats"], folder)
    assert not folder.exists()


def test_the_work_goes_on_though_its_folder_was_deleted(folder: Path) -> None:
    with jobs.running(folder) as note:
        shutil.rmtree(folder)
        note(1, 1)
    assert jobs.has_ended(folder)


def test_those_who_ask_do_not_see_each_other(folder: Path) -> None:
    """Two tabs that asked at the same moment each took the other for a trainer."""
    (folder / "lock").touch()
    with (folder / "lock").open("rb") as asked, (folder / "lock").open("rb") as again:
        assert not windows.is_locked(asked)
        assert not windows.is_locked(again)


def test_a_lock_that_cannot_be_opened_is_one_sentence(folder: Path) -> None:
    (folder / "lock").symlink_to("lock")  # as little to be opened as another user's, by root too
    with pytest.raises(RunError, match=r"lock cannot be opened: .*see whose it is"):
        jobs.is_held(folder)
