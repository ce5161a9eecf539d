"""What befalls masks that are being drawn when processes die, meet, or the disk is full. All of it real."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from core.data.dataset import open_dataset
from core.data.labelling import (
    LabelSet,
    history,
    mark_done,
    open_label_set,
    read_label,
    remove_class,
    save_label,
)
from core.errors import DataError
from core.home import PROJECT_ROOT
from core.voc import VOID
from tests.unit.data.labelling.labelled import drawn, new_set, on_disk

pytestmark = pytest.mark.slow

IMPORTS = """
import json, os, resource, signal, sys
from pathlib import Path
from core.data.labelling import *
from tests.unit.data.labelling.labelled import drawn
label_set = open_label_set(Path(sys.argv[1]))
"""

KILLED = (
    IMPORTS
    + """
# An act is done again and again, each time in a process that is killed at the next operation on files, until one lives;
# then in processes that the system kills in the middle of writing, as soon as a file has more bytes than a limit.
def act():
    if sys.argv[2] == "save":
        save_label(label_set, "a", drawn(2), base_version=read_label(label_set, "a").version)
        mark_done(label_set, "a")
    else:
        remove_class(label_set, 1, 255)

def hook(event, arguments):
    global left
    if event in ("open", "os.rename", "os.mkdir", "os.remove", "os.link", "os.rmdir", "os.truncate", "shutil.copyfile"):
        left -= 1
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)

def files():
    return {str(p.relative_to(label_set.root)): p.read_bytes().hex() for p in label_set.root.rglob("*") if p.is_file()}

def put(state):
    for path in [path for path in label_set.root.rglob("*") if path.is_file()]:
        path.unlink()
    for name, content in state.items():
        (label_set.root / name).parent.mkdir(parents=True, exist_ok=True)
        (label_set.root / name).write_bytes(bytes.fromhex(content))

before = files()

def trial(steps, limit):
    global left
    pid = os.fork()
    if not pid:
        left = steps
        sys.addaudithook(hook)
        if limit:
            signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        act()
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    print(json.dumps({"code": code, "files": files()}), flush=True)
    put(before)
    return code

for trials in (((steps, 0) for steps in range(1, 1000)), ((0, limit) for limit in range(1, 10000, 90))):
    for steps, limit in trials:
        if not trial(steps, limit):
            break
"""
)

SAVES = (
    IMPORTS
    + """
tab, names, conflicts = sys.argv[2], sys.argv[3].split(","), 0
print("ready", flush=True)
sys.stdin.readline()
for number, name in enumerate(names):
    version = read_label(label_set, name).version
    try:
        save_label(label_set, name, drawn(100 * int(tab) + number), base_version=version)
        mark_done(label_set, name)
    except LabelConflictError:
        conflicts += 1
print(conflicts)
"""
)


def program(text: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", text, *arguments], cwd=PROJECT_ROOT, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": str(PROJECT_ROOT)},
    )  # fmt: skip


def states_after_kills(label_set: LabelSet, what: str) -> Iterator[tuple[int, int]]:
    """Put the folder into the state after a kill at each operation on files in turn; yield its number and exit code."""
    output, _ = program(KILLED, str(label_set.root), what).communicate()
    for number, line in enumerate(output.splitlines()):
        ended = json.loads(line)
        for path in [path for path in label_set.root.rglob("*") if path.is_file()]:
            path.unlink()
        for name, content in ended["files"].items():
            (label_set.root / name).parent.mkdir(parents=True, exist_ok=True)
            (label_set.root / name).write_bytes(bytes.fromhex(content))
        yield number, ended["code"]


def test_a_save_that_is_killed_leaves_the_old_mask_or_the_new_one(home: Path) -> None:
    label_set = new_set(home)
    first_HW = drawn(1, ids=(1,))  # a small file: the limits stop writing the large one that replaces it
    save_label(label_set, "a", first_HW, base_version="")
    old, new, codes = 0, 0, set()
    for _, code in states_after_kills(label_set, "save"):
        codes.add(code)
        mask_HW = on_disk(label_set, "a")
        is_new = np.array_equal(mask_HW, drawn(2))
        assert is_new or np.array_equal(mask_HW, first_HW)
        old, new = old + (not is_new), new + is_new
        assert not is_new or any(np.array_equal(_mask(entry), first_HW) for entry in history(label_set, "a"))
        again = open_label_set(label_set.root)
        save_label(again, "a", drawn(3), base_version=read_label(again, "a").version)
        assert mark_done(again, "a") == mark_done(again, "a")
        assert [s.name for samples in open_dataset(again.root).splits.values() for s in samples] == ["a"]
    assert codes == {0, -signal.SIGKILL, -signal.SIGXFSZ}
    assert old > 5, "it was killed before the mask was in its place"
    assert new > 3, "and after that"


def _mask(entry: object) -> np.ndarray:
    from PIL import Image

    with Image.open(entry.file) as mask:  # type: ignore[attr-defined]
        return np.array(mask)


def test_a_removal_of_a_class_that_is_killed_is_not_begun_or_is_finished(home: Path) -> None:
    label_set = new_set(home)
    for seed, name in enumerate(label_set.photos):
        save_label(label_set, name, drawn(seed), base_version="")
        mark_done(label_set, name)
    before = {name: on_disk(label_set, name) for name in label_set.photos}
    ids_256 = np.arange(256)
    ids_256[:3] = 0, VOID, 1
    found = []
    for number, _ in states_after_kills(label_set, "remove"):
        again = open_label_set(label_set.root)
        found.append(len(again.classes))
        for name, mask_HW in before.items():
            now_HW = on_disk(again, name)
            np.testing.assert_array_equal(now_HW, mask_HW if found[-1] == 3 else ids_256[mask_HW], str(number))
            if found[-1] == 2:
                assert any(np.array_equal(_mask(entry), mask_HW) for entry in history(again, name))
        assert len(open_dataset(again.root).classes) == found[-1]
    assert min(found.count(2), found.count(3)) > 5


def test_two_tabs_that_save_one_photo_at_once_lose_nothing(home: Path) -> None:
    label_set = new_set(home)
    programs = [program(SAVES, str(label_set.root), tab, ",".join("a" * 9)) for tab in "12"]
    for each in programs:
        assert each.stdout
        assert each.stdout.readline() == "ready\n"
    outputs = _together(programs)
    kept = [_mask(entry) for entry in history(label_set, "a")] + [on_disk(label_set, "a")]
    for tab in (1, 2):
        for number in range(9):
            assert any(np.array_equal(mask_HW, drawn(100 * tab + number)) for mask_HW in kept), (tab, number)
    conflicts = sum(map(int, outputs))
    assert conflicts == sum(entry.kind == "unsaved" for entry in history(label_set, "a"))


def test_two_tabs_that_finish_photos_at_once_list_each_once(home: Path) -> None:
    names = [f"p{number}" for number in range(16)]
    label_set = new_set(home, [f"{name}.jpg" for name in names])
    programs = [
        program(SAVES, str(label_set.root), tab, ",".join(its)) for tab, its in (("1", names[::2]), ("2", names[1::2]))
    ]
    for each in programs:
        assert each.stdout
        assert each.stdout.readline() == "ready\n"
    assert [output.strip() for output in _together(programs)] == ["0", "0"]
    listed = [s.name for samples in open_dataset(label_set.root).splits.values() for s in samples]
    assert sorted(listed) == sorted(names)
    assert all(open_dataset(label_set.root).splits.values())


def _together(programs: list[subprocess.Popen[str]]) -> list[str]:
    """Let programs that wait go on at the same time, and return what they print."""
    for each in programs:
        assert each.stdin
        each.stdin.write("\n")
        each.stdin.flush()
    outputs = [each.communicate()[0] for each in programs]
    assert [each.returncode for each in programs] == [0] * len(programs)
    return outputs


@pytest.fixture
def small_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A disk of 4 MB in memory, where this user may mount one; data sets are made there."""
    disk = tmp_path / "disk"
    disk.mkdir()
    try:
        mount = [shutil.which("mount") or "mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(disk)]
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"a small disk cannot be mounted here: {error}")
    monkeypatch.setenv("ATROUS_HOME", str(disk))
    yield disk
    subprocess.run([shutil.which("umount") or "umount", "-l", str(disk)], check=True)


def test_a_full_disk_leaves_masks_lists_and_classes_as_they_were(small_disk: Path) -> None:
    label_set = new_set(small_disk)
    for name in ("a", "b"):
        save_label(label_set, name, drawn(1), base_version="")
        mark_done(label_set, name)
    with (small_disk / "filler").open("wb", buffering=0) as file, suppress(OSError):
        while file.write(b"\1" * 1000):
            pass

    def held() -> dict[str, bytes]:
        files = [path for path in label_set.root.rglob("*") if path.is_file()]
        return {str(path): path.read_bytes() for path in files}

    before, version = held(), read_label(label_set, "a").version
    for act in (
        lambda: save_label(label_set, "a", drawn(2), base_version=version),
        lambda: save_label(label_set, "a", drawn(2), base_version=version),
        lambda: save_label(label_set, "c", drawn(2), base_version=""),
        lambda: mark_done(label_set, "c"),
        lambda: remove_class(label_set, 1),
    ):
        with pytest.raises(DataError, match="No space left on device; make room") as caught:
            act()
        assert "\n" not in str(caught.value)
        assert held() == before
    (small_disk / "filler").unlink()
    save_label(label_set, "a", drawn(2), base_version=version)
    remove_class(open_label_set(label_set.root), 1)
    assert [len(history(label_set, name)) for name in ("a", "b", "c")] == [2, 1, 0]
