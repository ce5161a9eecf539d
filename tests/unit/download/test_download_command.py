"""The command that downloads VOC: one line for what fails, one holder at a time, and signals."""

import json
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from core import jobs
from core.__main__ import main
from core.data import voc2012 as voc_tar
from core.data.voc2012 import claim, job_dir, known_urls, voc_dir
from core.errors import RunError
from tests.unit.download.mirrors import Mirror, dead_url, host_of, md5_of

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def core(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], packed: bytes) -> Command:
    """Run `download` in this process, VOC being what is packed here."""
    from torchvision.datasets.voc import DATASET_YEAR_DICT

    monkeypatch.setitem(DATASET_YEAR_DICT["2012"], "md5", md5_of(packed))

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["core", "download", *map(str, arguments)])
        code = main()
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def test_the_command_downloads_from_a_mirror_of_one_s_own(core: Command, mirror: Mirror) -> None:
    expected = {"data": str(voc_dir()), "images": 6, "splits": {"train": 4, "val": 2, "trainval": 6}}
    for _ in range(2):
        code, out, err = core("--mirror", dead_url(), "--mirror", mirror.url, "--json")
        assert (code, json.loads(out), err) == (0, expected, "")
    assert mirror.ranges == [None]
    code, out, _ = core()
    assert out == f"6 photos with masks: train 4, val 2, trainval 6\n{voc_dir()}\n"
    assert jobs.progress(job_dir()) is None
    assert jobs.error(job_dir()) is None


def test_the_command_without_a_network_is_one_line(core: Command) -> None:
    code, out, err = core("--json")
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert all(f"{host_of(url)} (Connection refused)" in err for url in known_urls())
    assert jobs.error(job_dir()) == err.strip()


def test_the_command_unpacks_a_tar(core: Command, packed: bytes, tmp_path: Path) -> None:
    tar = tmp_path / "own.tar"
    tar.write_bytes(packed)
    code, out, err = core("--tar", tar, "--json", "--job", job_dir())
    assert (code, json.loads(out)["images"], err) == (0, 6, "")
    assert tar.exists()


def test_the_command_notes_how_far_it_is(
    core: Command, mirror: Mirror, packed: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[jobs.JobProgress | None] = []
    monkeypatch.setattr(jobs, "NOTE_EVERY_S", 0.0)
    monkeypatch.setattr(voc_tar, "_check_opens", lambda _: seen.append(jobs.progress(job_dir())))
    core("--mirror", mirror.url, "--job", job_dir())
    assert seen[0] is not None
    assert (seen[0].share, seen[0].total) == (1.0, len(packed) + len(packed) // 20)


def test_a_second_download_at_the_same_time_is_refused(core: Command, mirror: Mirror) -> None:
    with claim(job_dir()):
        for arguments in ((), ("--job", job_dir())):
            code, out, err = core("--mirror", mirror.url, *arguments)
            assert (code, out) == (1, "")
            assert err == "VOC 2012 is being downloaded by another process already; wait until it has ended.\n"
        with pytest.raises(RunError), claim(job_dir()):
            pass
    assert mirror.ranges == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_ended_by_a_signal_it_goes_on_at_the_next_start(
    core: Command, mirror: Mirror, part: Path, packed: bytes, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    @contextmanager
    def ended_early(*_: str) -> Iterator[Callable[[int, int], None]]:
        yield lambda _done, _total: signal.raise_signal(number)

    before = signal.getsignal(signal.SIGTERM)
    with monkeypatch.context() as patch:
        patch.setattr("core.commands.data.progress_bar", ended_early)
        assert core("--mirror", mirror.url) == (130, "", "Interrupted.\n")
    assert signal.getsignal(signal.SIGTERM) == before
    assert part.read_bytes() == packed[: part.stat().st_size]
    assert not jobs.is_held(job_dir())
    have = part.stat().st_size
    assert core("--mirror", mirror.url)[0] == 0
    assert mirror.ranges == [None, f"bytes={have}-"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_ended_while_unpacking_nothing_half_unpacked_is_left(
    core: Command, packed: bytes, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    @contextmanager
    def ended_early(*_: str) -> Iterator[Callable[[int, int], None]]:
        yield lambda _done, _total: signal.raise_signal(number)

    monkeypatch.setattr("core.commands.data.progress_bar", ended_early)
    (tmp_path / "own.tar").write_bytes(packed)
    assert core("--tar", tmp_path / "own.tar")[0] == 130
    assert {path.name for path in root.iterdir()} == {"job"}


def test_a_tar_and_a_mirror_at_once_are_wrong_usage(core: Command) -> None:
    with pytest.raises(SystemExit) as ending:
        core("--tar", "a.tar", "--mirror", "http://127.0.0.1/")
    assert ending.value.code == 2
