"""Openings of a test split: recorded before its scores are shown, by several processes at once, never half."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from core.data.dataset import fingerprint, open_dataset
from core.data.splits import set_aside_test
from core.errors import RunError
from core.home import PROJECT_ROOT
from core.training.run import evaluations, openings
from tests.small_data import replace_quietly, with_last_bit_flipped
from tests.unit.training.run.test_evaluations import NAMES, RESULTS

OPEN_TWENTY_TIMES = """
import sys
from pathlib import Path
from core.data.dataset import open_dataset
from core.training.run import openings
data = open_dataset(sys.argv[1])
for _ in range(20):
    openings.record(data, "sha256:a", Path("best.pt"), "b" * 64, "command")
"""


def record(root: Path, fingerprint: str = "f" * 64, checkpoint_hash: str = "c" * 64, by: str = "page") -> None:
    openings.record(open_dataset(root), fingerprint, root / "epoch_010.pt", checkpoint_hash, by)


def test_an_opening_is_counted_for_its_photos_alone(tiny_voc: Path) -> None:
    assert openings.openings() == []
    assert openings.sentence([]) == "The test split was never opened."
    record(tiny_voc)
    record(tiny_voc, by="command")
    record(tiny_voc, "0" * 64)
    found = openings.openings("f" * 64)
    assert [(each.by, each.data, each.schema) for each in found] == [
        ("page", str(tiny_voc), 1),
        ("command", str(tiny_voc), 1),
    ]
    assert openings.sentence(found).startswith("The test split was opened 2 times, for 1 checkpoint, last on ")


def test_two_processes_that_open_at_once_are_both_counted(tiny_voc: Path) -> None:
    command = [sys.executable, "-c", OPEN_TWENTY_TIMES, str(tiny_voc)]
    processes = [subprocess.Popen(command, cwd=PROJECT_ROOT) for _ in range(2)]
    assert [process.wait() for process in processes] == [0, 0]
    assert len(openings.openings("sha256:a")) == 40


def test_a_score_on_test_is_found_only_with_its_record(tiny_voc: Path, tmp_path: Path) -> None:
    """An evaluation stored before openings were recorded, or whose record is gone, is not shown."""
    for split in ("test", "val"):
        stored = evaluations.store(
            tmp_path / "eval", checkpoint="best.pt", checkpoint_hash="c" * 64, epoch=1, split=split,
            data=str(tiny_voc), fingerprint="f" * 64, results=RESULTS, class_names=NAMES,
        )  # fmt: skip
    assert stored == evaluations.find(tmp_path / "eval", "c" * 64, "val", None)
    of_test: list[Callable[[], object]] = [
        lambda: evaluations.find(tmp_path / "eval", "c" * 64, "test", "f" * 64),
        lambda: evaluations.latest_of(tmp_path / "eval", "best.pt", "test", "f" * 64),
    ]
    record(tiny_voc, "0" * 64)
    record(tiny_voc, checkpoint_hash="d" * 64)
    assert [find() for find in of_test] == [None, None], "recorded for other photos, and for another checkpoint"
    record(tiny_voc)
    assert all(find() for find in of_test)


OF_NO_TIME = (
    b'{"schema": 1, "time_s": %s, "fingerprint": "f", "checkpoint": "c", "checkpoint_hash": "c", "data": "d", '
    b'"by": "page"}'
)


@pytest.mark.parametrize(
    ("line", "why"),
    [(b'{"schema": 1, "time_s"', "Expecting"), (b"[]", "list indices"), (b'{"schema": 2}', "newer version, 2"),
     (b'{"schema": 1}', "missing"), (b"\xff\x00", "Expecting"),
     (OF_NO_TIME % b'"noon"', "not supported"), (OF_NO_TIME % b"null", "not supported"),
     (OF_NO_TIME % b"1e20", "not of its kind")],
)  # fmt: skip
def test_a_damaged_file_is_said_and_closes_test(
    tiny_voc: Path, line: bytes, why: str, one_sentence: Callable[..., str]
) -> None:
    record(tiny_voc)
    whole = openings.path().read_bytes() + line
    openings.path().write_bytes(whole)
    for act in (lambda: openings.openings("f" * 64), lambda: record(tiny_voc)):
        with pytest.raises(RunError) as raised:
            act()
        assert f"Line 2 of {openings.path()} is not an opening" in one_sentence(raised.value, openings.path())
        assert why in str(raised.value)
    assert openings.path().read_bytes() == whole, "nothing is added to it"


def test_a_file_that_cannot_be_written_keeps_test_closed(tiny_voc: Path, one_sentence: Callable[..., str]) -> None:
    openings.path().parent.write_text("a file where the folder should be")
    with pytest.raises(RunError, match="so it stays closed") as raised:
        record(tiny_voc)
    one_sentence(raised.value, openings.path())


def test_a_test_split_that_is_set_aside_is_counted_as_it_is_now(tiny_voc: Path) -> None:
    assert openings.openings_of(open_dataset(tiny_voc)) is None
    set_aside_test(tiny_voc, 0.25)
    data = open_dataset(tiny_voc)
    assert openings.openings_of(data) == []
    record(tiny_voc, fingerprint(data.split("test")))
    assert [each.by for each in openings.openings_of(data) or ()] == ["page"]
    assert json.loads(openings.path().read_text())["schema"] == openings.SCHEMA


def test_openings_from_before_a_mask_of_test_was_mended_are_counted(tiny_voc: Path) -> None:
    """Else one pixel makes an opened split look closed."""
    set_aside_test(tiny_voc, 0.25)
    data = open_dataset(tiny_voc)
    for of in (fingerprint(data.split("test")), "another", "another"):
        record(data.root, of)
    mask = data.split("test")[0].mask
    replace_quietly(mask, with_last_bit_flipped(mask))
    found = openings.openings_of(open_dataset(tiny_voc)) or []
    assert len(found) == 3
    assert "opened 3 times" in openings.sentence(found)
    assert "changed in between: 2 versions" in openings.sentence(found)
