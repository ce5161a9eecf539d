"""The command line as a contract: its usage, and one line for a wrong input that leaves nothing behind."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from core import terminal
from core.home import PROJECT_ROOT
from tests.unit.commands.calls import Command, core_process, files_under

COMMANDS = (
    "demo", "doctor", "train", "estimate", "stats", "download", "import", "evaluate", "inspect", "segment", "bench",
    "report", "export", "models", "export-labels", "study", "explain", "trust",
)  # fmt: skip

# --- usage ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_s_help_has_an_example(core: Command, command: str) -> None:
    ended = core(command, "--help")
    assert ended.code == 0
    assert f"python -m core {command}" in ended.out.split("Example:")[1]
    assert "--json" in ended.out


def test_the_help_names_every_command(core: Command) -> None:
    ended = core("--help")
    assert ended.code == 0
    assert set(COMMANDS) <= set(ended.out.replace("\n", " ").split())


@pytest.mark.parametrize(
    "arguments",
    [
        [], ["dance"], ["stats"], ["stats", "a", "b"], ["evaluate", "c.pt"], ["segment", "p.jpg", "--out", "o"],
        ["segment", "p.jpg", "--checkpoint", "c.pt", "--out", "o", "--scales", "a,b"],
        ["segment", "p.jpg", "--checkpoint", "c.pt", "--out", "o", "--abstain", "2"],
        ["segment", "p.jpg", "--checkpoint", "c.pt", "--out", "o", "--temperature", "warm"],
        ["segment", "p.jpg", "--checkpoint", "c.pt", "--out", "o", "--palette", "pastel"],
        ["train"], ["train", "run", "--new", "n"], ["train", "--new", "n"], ["train", "run", "--data", "d"],
        ["train", "run", "--set", "epochs=1"], ["train", "run", "--preset", "demo"],
        ["train", "--new", "n", "--data", "d", "--extend", "5"], ["train", "run", "--extend", "ten"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_wrong_usage_ends_with_2(core: Command, arguments: list[str]) -> None:
    ended = core(*arguments)
    assert ended.code == 2
    assert ended.out == ""
    assert "usage:" in ended.err


def test_it_runs_as_a_program_from_any_folder(tiny_voc: Path) -> None:
    ended = core_process("stats", tiny_voc, "--split", "val", "--json", cwd=tiny_voc)
    assert ended.document()["images"] == 2
    assert ended.err == ""
    assert "no folder" in core_process("stats", tiny_voc / "none", cwd=tiny_voc).sentence()
    assert core_process("stats").code == 2


# --- wrong inputs ---------------------------------------------------------------------------------------------------


WRONG = [
    "stats {none}",
    "stats {text}",
    "stats {voc} --split test",
    "stats {empty}",
    "doctor {none}",
    "doctor {text}",
    "doctor {empty}",
    "train --new ../n --data {voc}",
    "train --new n --data {none}",
    "train --new n --data {voc} --preset fastest",
    "train --new n --data {voc} --set epoch=3",
    "train --new n --data {voc} --set epochs",
    "train --new n --data {voc} --set batch_size=1",
    "train --new n --data {voc} {mobile} --set train_fraction=0.1",
    "train --new n --data {voc} {mobile} --set init=imagenet",
    "train --new n --data {damaged} {mobile}",
    "estimate --data {none}",
    "estimate --data {voc} --preset nothing",
    "estimate --data {voc} {mobile} --set train_fraction=0.1",
    "train {empty}",
    "train {text}",
    "train {none}",
    "inspect {none}",
    "inspect {text}",
    "inspect {photo}",
    "inspect {empty}",
    "inspect coco-voc-mobilenet",
    "export {none} --format state-dict --out {out}",
    "export {checkpoint} --format tflite --out {out}",
    "export {checkpoint} --format state-dict --out {text}",
    "export {checkpoint} --format safetensors --out {none}/out.safetensors",
    "models --download resnet50",
    "models --download coco-voc-resnet101",
    "evaluate {text} --data {voc}",
    "evaluate {checkpoint} --data {voc} --split test",
    "evaluate {checkpoint} --data {none} --masks {out}",
    "evaluate {checkpoint} --data {damaged} --masks {out}",
    "evaluate {checkpoint} --data {two_classes} --masks {out}",
    "evaluate {checkpoint} --data {voc} --masks {full}",
    "evaluate {checkpoint} --data {voc} --masks {text}",
    "evaluate {checkpoint} --data {voc} --masks {text}/a/b",
    "report {none}",
    "report {empty}",
    "report {text} --out {out}",
    "segment {none} --checkpoint {checkpoint} --out {out}",
    "segment {photo} {text} --checkpoint {checkpoint} --out {out}",
    "segment {empty} --checkpoint {checkpoint} --out {out}",
    "segment {photo} --checkpoint {text} --out {out}",
    "segment {photo} --checkpoint coco-voc-resnet50 --out {out}",
    "segment {photo} --checkpoint {checkpoint} --out {full}",
    "segment {photo} --checkpoint {checkpoint} --out {text}",
    "segment {photo} --checkpoint {checkpoint} --out {text}/a/b",
    "segment {photo} --checkpoint {checkpoint} --out {out} --scales 9",
    "segment {photo} --checkpoint {checkpoint} --out {out} --tiles 9",
    "segment {photo} --checkpoint {checkpoint} --out {out} --zip {text}",
    "segment {photo} --checkpoint {checkpoint} --out {out} --zip {none}/all.zip",
    "segment {photo} {damaged}/JPEGImages/photo_0.jpg --checkpoint {checkpoint} --out {out} --cutouts --csv",
    "explain {photo} --checkpoint {checkpoint} --at 48,0 --out {out}",
    "explain {none} --checkpoint {checkpoint} --at 0,0 --out {out}",
    "explain {photo} --checkpoint {text} --at 0,0 --out {out}",
    "explain {photo} --checkpoint {checkpoint} --at 0,0 --out {text}",
    "bench nothing",
]


@pytest.mark.parametrize("line", WRONG)
def test_a_wrong_input_is_one_sentence_and_leaves_nothing_behind(
    core: Command, places: dict[str, str], home: Path, line: str
) -> None:
    before = files_under(home)
    sentence = core(*line.format(**places).split()).sentence()
    assert len(sentence) > 20
    assert sentence[-1] == "."
    kept = ("torch-home", ".training")  # what was downloaded, and the lock of the one who trains
    folders = {Path("checkpoints"), Path("cache"), Path("cache/pixels")}  # which may stay, empty
    left = {path for path in files_under(home) - before - folders if path.parts[0] not in kept}
    assert left == set()
    assert (home / "full" / "photo_mask.png").read_text() == "mine"


ENDLESS = [
    "stats {odd}",
    "download --tar {odd}",
    "import coco {odd} --out {out}",
    "import color-table {voc} --out {out} --table {odd}",
    "train {odd}",
    "train --new n --data {odd}",
    "evaluate {odd} --data {voc}",
    "compare {checkpoint} {odd} --data {voc}",
    "inspect {odd}",
    "export {checkpoint} --format state-dict --out {odd}",
    "report {odd}",
    "segment {odd} --checkpoint {checkpoint} --out {out}",
    "segment {photo} --checkpoint {odd} --out {out}",
    "explain {odd} --checkpoint {checkpoint} --at 0,0 --out {out}",
]


@pytest.mark.skipif(sys.platform == "win32", reason="pipes and devices of POSIX")
@pytest.mark.parametrize("line", ENDLESS)
def test_what_is_no_file_is_one_sentence(core: Command, places: dict[str, str], tmp_path: Path, line: str) -> None:
    """A pipe was waited for for ever, /dev/zero ended in MemoryError, and a name too long or a loop in a traceback."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for odd in (tmp_path / "pipe", "/dev/zero", tmp_path / "loop", "x" * 5000):
        assert core(*line.format(**places, odd=odd).split()).sentence().endswith(".")


@pytest.mark.parametrize(
    "words",
    [["bench", ""], ["train", "--new", "", "--data", "x"], ["train", ""], ["stats", ""], ["stats", "x", "--split", ""],
     ["stats", "x", "--split="], ["inspect", "--json", ""], ["models", "--download", ""], ["models", "--download="]],
)  # fmt: skip
def test_an_empty_argument_is_wrong_usage(core: Command, words: list[str]) -> None:
    """An empty benchmark ran all, an empty run was a TypeError, an empty path the folder one stands in."""
    ended = core(*words)
    assert ended.code == 2
    assert "an argument is empty" in ended.err


def test_with_json_a_wrong_input_is_still_one_line_on_stderr(core: Command, places: dict[str, str]) -> None:
    for line in ("stats {none} --json", "inspect {text} --json", "evaluate {text} --data {voc} --json"):
        core(*line.format(**places).split()).sentence()


def test_a_pickled_checkpoint_is_one_line_and_no_warning_of_torch(tmp_path: Path) -> None:
    """torch printed a warning about the pickle protocol above the sentence."""
    import pickle

    file = tmp_path / "model.pkl"
    file.write_bytes(pickle.dumps({"weights": [1, 2, 3]}))
    assert "pickled Python objects" in core_process("inspect", file).sentence()


def _run_unread(stream: str, *arguments: object) -> tuple[int, str]:
    """Run a command of which nobody reads stdout, or stderr; return its exit code and what the other one holds."""
    reader, writer = os.pipe()
    os.close(reader)
    other = "stderr" if stream == "stdout" else "stdout"
    ended = subprocess.run(
        [sys.executable, "-m", "core", *map(str, arguments)],
        cwd=PROJECT_ROOT, stdin=subprocess.DEVNULL, text=True, check=False, **{stream: writer, other: subprocess.PIPE},
    )  # fmt: skip
    os.close(writer)
    return ended.returncode, str(getattr(ended, other))


@pytest.mark.parametrize("line", ["doctor {voc}", "stats {voc} --json", "doctor --help", "models"])
def test_a_closed_pipe_is_no_error(places: dict[str, str], line: str) -> None:
    """`python -m core doctor DIR | head -3` printed the traceback of a BrokenPipeError, and ended with 1 or 120."""
    assert _run_unread("stdout", *line.format(**places).split()) == (0, "")


def test_an_error_that_nobody_reads_keeps_its_exit_code(places: dict[str, str]) -> None:
    assert _run_unread("stderr", "stats", places["none"]) == (1, "")


@pytest.mark.parametrize("line", ["estimate --data {voc}", "evaluate {text} --data {voc}"])
def test_a_job_takes_its_lock_before_torch_is_imported(places: dict[str, str], tmp_path: Path, line: str) -> None:
    """A page waits until the job's lock is held; an estimate imported torch first, for seconds."""
    program = """
import sys
from core import jobs
from core.__main__ import main

def hold(folder):
    print("torch" in sys.modules)
    raise SystemExit

jobs.hold = hold
main()
"""
    arguments = [*line.format(**places).split(), "--job", str(tmp_path / "job")]
    ended = subprocess.run(
        [sys.executable, "-c", program, *arguments], cwd=PROJECT_ROOT, capture_output=True, text=True, check=True
    )
    assert ended.stdout.strip() == "False"


class Screen(io.StringIO):
    """A terminal that keeps what is written to it."""

    def isatty(self) -> bool:
        return True


def test_a_note_has_its_own_line_above_a_progress_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was printed behind the bar: `evaluating: 50%|...| 1/2 epoch_010.pt was evaluated before ...`."""
    screen = Screen()
    monkeypatch.setattr(sys, "stderr", screen)
    with terminal.progress_bar("evaluating", "photo") as on_progress:
        on_progress(1, 2)
        terminal.say("A note.")
    shown = [line.rpartition("\r")[2] for line in screen.getvalue().split("\n")]
    assert "evaluating" in screen.getvalue()
    assert shown[0] == "A note."
