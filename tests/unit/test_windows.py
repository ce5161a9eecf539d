"""What Windows does otherwise, tried anywhere."""

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from core.windows import PAUSES_S, command_line, detached, move


def test_a_process_is_let_go_on_either_platform() -> None:
    """start_new_session does nothing on Windows: Ctrl-C on the server ended the trainer."""
    assert detached(is_windows=False) == {"start_new_session": True}
    # learn.microsoft.com/windows/win32/procthread/process-creation-flags: 0x200 and 0x08000000
    assert detached(is_windows=True) == {"creationflags": 0x08000200}


@pytest.mark.skipif(sys.platform == "win32", reason="looks at a POSIX session")
def test_a_process_that_is_let_go_has_a_session_of_its_own() -> None:
    script = "import os; print(os.getsid(0) == os.getpid())"
    ended = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, **detached())
    assert ended.stdout == b"True\n"


@pytest.mark.parametrize(
    ("words", "posix", "windows"),
    [
        (["train", "--data", "/data/a b"], "train --data '/data/a b'", 'train --data "/data/a b"'),
        (
            ["--data", "C:\\Users\\Jo\\my photos"],
            "--data 'C:\\Users\\Jo\\my photos'",
            '--data "C:\\Users\\Jo\\my photos"',
        ),
        (["--new", "first", Path("x")], "--new first x", "--new first x"),
        (["--new", ""], "--new ''", '--new ""'),
    ],
)
def test_a_command_is_quoted_for_the_shell_of_the_machine(words: list[object], posix: str, windows: str) -> None:
    """On Windows it was quoted as for a POSIX shell: cmd takes an apostrophe for a part of the word."""
    assert command_line(words, is_windows=False) == posix
    assert command_line(words, is_windows=True) == windows
    assert shlex.split(posix) == [str(word) for word in words]


class Reader:
    """A file that cannot be replaced for some tries, as one that is open on Windows."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, tries: int, winerror: int | None) -> None:
        self.tries, self.paused = tries, list[float]()
        replace = Path.replace

        def replaced(source: Path, target: Path) -> Path:
            if self.tries:
                self.tries -= 1
                error = PermissionError(13, "Access is denied", str(target))
                if winerror:
                    error.winerror = winerror  # type: ignore[attr-defined]
                raise error
            return replace(source, target)

        monkeypatch.setattr(Path, "replace", replaced)

    def move(self, source: Path, target: Path) -> None:
        move(source, target, pause=self.paused.append)


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    (tmp_path / "new").write_text("new")
    (tmp_path / "old").write_text("old")
    return tmp_path / "new", tmp_path / "old"


@pytest.mark.parametrize("winerror", [5, 32])
def test_a_file_that_is_read_is_replaced_once_it_is_closed(
    files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, winerror: int
) -> None:
    """Whoever looked at last.pt at the wrong moment ended the run."""
    reader = Reader(monkeypatch, 3, winerror)
    reader.move(*files)
    assert files[1].read_text() == "new"
    assert reader.paused == list(PAUSES_S[:3])


def test_one_that_stays_open_is_told_in_words_after_ten_seconds(
    files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = Reader(monkeypatch, 10**6, 32)
    with pytest.raises(PermissionError, match="another program has it open") as caught:
        reader.move(*files)
    assert caught.value.filename == str(files[1])
    assert sum(reader.paused) == pytest.approx(10, abs=0.5)
    assert [file.read_text() for file in files] == ["new", "old"]


def test_what_is_forbidden_otherwise_is_not_tried_again(
    files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = Reader(monkeypatch, 1, None)
    with pytest.raises(PermissionError, match="Access is denied"):
        reader.move(*files)
    assert reader.paused == []
