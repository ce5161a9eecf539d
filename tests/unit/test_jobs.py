"""Jobs: how far they are, how they ended, and who may hold a folder."""

from pathlib import Path

import pytest

from core import jobs
from core.errors import DataError, RunError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "job").mkdir()
    return tmp_path / "job"


def test_a_job_tells_how_far_it_is_while_it_goes_on(folder: Path) -> None:
    with jobs.running(folder) as note:
        note(1, 4)
        now = jobs.progress(folder)
        assert now is not None
        assert (now.done, now.total, now.share) == (1, 4, 0.25)
        assert now.remaining_s(now.began_s + 10) == pytest.approx(30)
    assert jobs.progress(folder) is None
    assert jobs.error(folder) is None


def test_an_error_is_kept_as_its_sentence(folder: Path) -> None:
    with pytest.raises(DataError), jobs.running(folder):
        raise DataError("The disk is full.")
    assert jobs.error(folder) == "The disk is full."


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            ValueError("cannot reshape\narray"),
            "It failed (ValueError: cannot reshape array); this is a mistake of Atrous",
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
