"""VOC from mirrors that cut, lie and die, and from tars that are no VOC: whole, or one sentence and nothing left."""

import hashlib
import io
import json
import signal
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import IO, Any

import numpy as np
import pytest

from core import jobs
from core.__main__ import main
from core.data import download, voc_tar
from core.data import mirror as mirror_module
from core.data.dataset import open_dataset
from core.data.download import claim, download_voc, job_dir, known_urls, unpack_voc, voc_dir
from core.errors import DataError, RunError
from core.home import PROJECT_ROOT
from tests.small_data import write_list, write_voc

NAME = "VOCtrainval_11-May-2012.tar"
FULL_DISK = Path("/dev/full")
needs_full_disk = pytest.mark.skipif(not FULL_DISK.exists(), reason="this system has no /dev/full")


class Mirror(ThreadingHTTPServer):
    """A web server with one file, and its faults."""

    daemon_threads = True

    def __init__(self, file: bytes) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.file = file
        self.cuts: list[int] = []
        """How many bytes each of the next answers sends before its connection ends."""
        self.status = 200
        self.kind = "application/x-tar"
        self.knows_ranges, self.tells_length = True, True
        self.content_range = "bytes {begin}-{end}/{total}"
        self.is_silent, self.over = False, Event()
        self.ranges: list[str | None] = []
        """The Range of every request."""
        self.served = 0
        """Bytes of the file that were sent, over all answers."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/{NAME}"


class Answer(BaseHTTPRequestHandler):
    server: Mirror

    def do_GET(self) -> None:
        mirror, wanted = self.server, self.headers["Range"]
        mirror.ranges.append(wanted)
        if mirror.is_silent:
            mirror.over.wait()
            return
        if mirror.status != 200:
            self.send_error(mirror.status)
            return
        begin = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and mirror.knows_ranges else None
        if begin is not None and begin >= len(mirror.file):
            self.send_error(416)
            return
        self.send_response(200 if begin is None else 206)
        if begin is not None:
            total = len(mirror.file)
            self.send_header("Content-Range", mirror.content_range.format(begin=begin, end=total - 1, total=total))
        self._send(mirror.file[begin or 0 :])

    def _send(self, data: bytes) -> None:
        mirror = self.server
        self.send_header("Content-Type", mirror.kind)
        if mirror.tells_length:
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        sent = data[: mirror.cuts.pop(0)] if mirror.cuts else data
        mirror.served += len(sent)
        with suppress(ConnectionError):  # whoever asked was interrupted
            self.wfile.write(sent)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving(file: bytes) -> Iterator[Mirror]:
    with Mirror(file) as mirror:
        thread = Thread(target=mirror.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield mirror
        finally:
            mirror.over.set()
            mirror.shutdown()
            thread.join()


@pytest.fixture(autouse=True)
def no_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that nobody runs for all but this machine: no test gets out."""
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "127.0.0.1")


def pack(folder: Path, prefix: str = "VOCdevkit/VOC2012", mode: str = "w") -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode=mode) as archive:  # type: ignore[call-overload]
        archive.add(folder, prefix)
    return packed.getvalue()


@pytest.fixture(scope="session")
def voc_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """VOC as it is published: six pairs, and a megabyte of what segmentation does not need."""
    folder = write_voc(tmp_path_factory.mktemp("voc") / "VOC2012")
    write_list(folder, "trainval", [f"photo_{number}" for number in range(6)])
    for name in ("Annotations/photo_0.xml", "ImageSets/Main/train.txt", "SegmentationObject/photo_0.png"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(np.random.default_rng(0).bytes(350_000))
    return folder


@pytest.fixture(scope="session")
def packed(voc_folder: Path) -> bytes:
    return pack(voc_folder)


@pytest.fixture
def mirror(packed: bytes) -> Iterator[Mirror]:
    with serving(packed) as server:
        yield server


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "datasets" / "voc2012"


@pytest.fixture
def part(root: Path) -> Path:
    root.mkdir(parents=True)
    return root / f"{NAME}.part"


def md5_of(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


@pytest.fixture
def fetch(packed: bytes) -> Callable[..., Path]:
    """Download from these mirrors, with the MD5 of the packed data."""

    def fetch(*mirrors: Mirror | str, **options: Any) -> Path:
        urls = [mirror if isinstance(mirror, str) else mirror.url for mirror in mirrors]
        return download_voc(urls=urls, **{"md5": md5_of(packed)} | options)

    return fetch


Fetch = Callable[..., Path]


def refused(act: Callable[[], object]) -> str:
    """Return the one sentence with which something is refused."""
    with pytest.raises(DataError) as caught:
        act()
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert sentence.endswith(".")
    return sentence


def left_in(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")} if folder.exists() else set()


def host_of(url: str) -> str:
    return url.split("/")[2]


def dead_url() -> str:
    """Return an address on a port that was free an instant ago."""
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        return f"http://127.0.0.1:{server.server_address[1]}/{NAME}"


# --- what there is in the end ---------------------------------------------------------------------------------------


def test_what_segmentation_needs_is_there_and_nothing_else(fetch: Fetch, mirror: Mirror, root: Path) -> None:
    assert fetch(mirror) == voc_dir() == root / "VOCdevkit" / "VOC2012"
    assert {path.name for path in root.iterdir()} == {"VOCdevkit"}
    assert {path.name for path in voc_dir().iterdir()} == {"JPEGImages", "SegmentationClass", "ImageSets"}
    assert {path.name for path in (voc_dir() / "ImageSets").iterdir()} == {"Segmentation"}
    sizes = {name: len(samples) for name, samples in open_dataset(voc_dir()).splits.items()}
    assert sizes == {"train": 4, "val": 2, "trainval": 6}


def test_torchvision_opens_it(fetch: Fetch, mirror: Mirror, root: Path) -> None:
    from torchvision.datasets import VOCSegmentation

    fetch(mirror)
    for split, num_images in (("train", 4), ("val", 2), ("trainval", 6)):
        opened = VOCSegmentation(root, "2012", image_set=split, download=False)
        assert len(opened) == num_images
        photo, mask = opened[0]
        with photo, mask:
            assert (photo.size, mask.size, mask.mode) == ((48, 40), (48, 40), "P")


def test_the_facts_are_torchvision_s() -> None:
    from torchvision.datasets.voc import DATASET_YEAR_DICT

    facts = DATASET_YEAR_DICT["2012"]
    assert known_urls()[0] == facts["url"]
    assert facts["filename"] == NAME
    assert Path(facts["base_dir"]) == Path(download.DEVKIT, download.RELEASE)
    assert all(url.endswith(NAME) for url in known_urls())


def test_what_is_there_is_left_as_it_is(fetch: Fetch, mirror: Mirror, tmp_path: Path) -> None:
    (fetch(mirror) / "mine.txt").write_text("mine")
    num_requests = len(mirror.ranges)
    assert fetch(mirror) == unpack_voc(tmp_path / "none.tar") == voc_dir()
    assert len(mirror.ranges) == num_requests
    assert (voc_dir() / "mine.txt").read_text() == "mine"


def test_something_else_in_its_place_is_not_touched(fetch: Fetch, mirror: Mirror, root: Path) -> None:
    (root / "VOCdevkit").mkdir(parents=True)
    (root / "VOCdevkit" / "mine.txt").write_text("mine")
    assert "move it away" in refused(lambda: fetch(mirror))
    assert mirror.ranges == []
    assert left_in(root) == {"VOCdevkit", "VOCdevkit/mine.txt"}


def test_the_progress_goes_up_to_its_total(fetch: Fetch, mirror: Mirror, packed: bytes) -> None:
    seen: list[tuple[int, int]] = []
    fetch(mirror, on_progress=lambda done, total: seen.append((done, total)))
    total = len(packed) + len(packed) // 20
    assert {told for _, told in seen} == {total}
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert seen[-1] == (total, total)
    assert (len(packed), total) in seen


def test_importing_it_does_not_import_torch() -> None:
    program = "import sys, core.data.download as d; d.voc_dir(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], cwd=PROJECT_ROOT, check=False).returncode == 0


# --- cuts -----------------------------------------------------------------------------------------------------------


def test_a_cut_connection_is_resumed(fetch: Fetch, mirror: Mirror, packed: bytes) -> None:
    mirror.cuts = [300_000, 1, 200_000]
    fetch(mirror)
    assert mirror.ranges == [None, "bytes=300000-", "bytes=300001-", "bytes=500001-"]
    assert mirror.served == len(packed)


def test_an_interrupted_download_goes_on_at_the_next_start(
    fetch: Fetch, mirror: Mirror, packed: bytes, part: Path
) -> None:
    def interrupt(done: int, _total: int) -> None:
        if done >= 100_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(mirror, on_progress=interrupt)
    have = part.stat().st_size
    assert 100_000 <= have < len(packed)
    assert part.read_bytes() == packed[:have]
    assert not voc_dir().exists()
    fetch(mirror)
    assert mirror.ranges == [None, f"bytes={have}-"]
    assert not part.exists()


def test_another_mirror_goes_on_where_the_first_gave_up(fetch: Fetch, mirror: Mirror, packed: bytes) -> None:
    with serving(packed) as first:
        first.cuts = [400_000, 0, 0, 0]
        fetch(first, mirror)
        assert first.ranges == [None, *["bytes=400000-"] * mirror_module.ATTEMPTS]
    assert mirror.ranges == ["bytes=400000-"]
    assert first.served + mirror.served == len(packed)


def test_a_server_without_ranges_begins_anew(fetch: Fetch, mirror: Mirror, part: Path, packed: bytes) -> None:
    mirror.knows_ranges = False
    mirror.cuts = [300_000]
    fetch(mirror)
    assert mirror.ranges == [None, "bytes=300000-"]
    assert mirror.served == 300_000 + len(packed)


def test_a_server_without_ranges_that_always_cuts_is_given_up(fetch: Fetch, mirror: Mirror, part: Path) -> None:
    """Each answer brings bytes, but never one more than the last: without a bound this went on for ever."""
    mirror.knows_ranges = False
    mirror.cuts = [300_000] * 10
    sentence = refused(lambda: fetch(mirror))
    assert len(mirror.ranges) == 1 + mirror_module.ATTEMPTS
    assert "broke off after 300,000 of" in sentence
    assert "the first 1 MB" in sentence
    assert part.stat().st_size == 300_000


def test_a_server_that_tells_no_length_is_checked_by_the_md5(fetch: Fetch, mirror: Mirror, part: Path) -> None:
    mirror.tells_length = False
    mirror.cuts = [300_000]
    assert "MD5" in refused(lambda: fetch(mirror))
    assert not part.exists()
    assert fetch(mirror) == voc_dir()


@pytest.mark.parametrize("surplus", [0, 1000])
def test_when_nothing_is_missing_the_md5_decides(
    fetch: Fetch, mirror: Mirror, part: Path, packed: bytes, surplus: int
) -> None:
    """A partial file may be whole (killed before it got its name) or too long: either way the server answers 416."""
    part.write_bytes(packed + bytes(surplus))
    fetch(mirror)
    assert mirror.ranges == [f"bytes={len(packed) + surplus}-", *[None] * bool(surplus)]


def test_a_wrong_beginning_is_not_held_against_the_mirror(fetch: Fetch, mirror: Mirror, part: Path) -> None:
    part.write_bytes(b"of something else")
    fetch(mirror)
    assert mirror.ranges == ["bytes=17-", None]


@pytest.mark.parametrize(
    ("told", "reason"), [("bytes 5-9/10", "the bytes from 5 on"), ("lines 1-2", "without telling which")]
)
def test_another_part_than_asked_for_is_not_appended(
    fetch: Fetch, mirror: Mirror, part: Path, packed: bytes, told: str, reason: str
) -> None:
    part.write_bytes(packed[:1000])
    mirror.content_range = told
    assert reason in refused(lambda: fetch(mirror))
    assert part.read_bytes() == packed[:1000]


def test_a_part_without_a_total_is_taken(fetch: Fetch, mirror: Mirror, part: Path, packed: bytes) -> None:
    part.write_bytes(packed[:600_000])
    mirror.content_range = "bytes {begin}-{end}/*"
    mirror.cuts = [10]
    assert fetch(mirror) == voc_dir()
    assert mirror.ranges == ["bytes=600000-", "bytes=600010-"]


def test_a_tar_that_is_whole_already_is_not_fetched_again(
    fetch: Fetch, part: Path, root: Path, packed: bytes, mirror: Mirror
) -> None:
    (root / NAME).write_bytes(packed)
    assert fetch(mirror) == voc_dir()
    assert mirror.ranges == []
    assert not (root / NAME).exists()


# --- mirrors --------------------------------------------------------------------------------------------------------


def test_a_wrong_checksum_is_refused_and_nothing_is_left(mirror: Mirror, fetch: Fetch, root: Path) -> None:
    wrong = "0" * 32
    sentence = refused(lambda: fetch(mirror, md5=wrong))
    assert wrong in sentence
    assert host_of(mirror.url) in sentence
    assert len(mirror.ranges) == 1
    assert left_in(root) == set()


def test_after_a_wrong_checksum_the_next_mirror_is_asked_for_all(fetch: Fetch, mirror: Mirror, packed: bytes) -> None:
    with serving(packed[::-1]) as liar:
        fetch(liar, mirror)
    assert (liar.ranges, mirror.ranges) == ([None], [None])


def test_a_dead_mirror_is_passed_over(fetch: Fetch, mirror: Mirror) -> None:
    assert fetch(dead_url(), mirror) == voc_dir()


def test_mirrors_that_all_fail_are_one_sentence(fetch: Fetch, mirror: Mirror, packed: bytes, root: Path) -> None:
    mirror.status = 404
    dead = dead_url()
    with serving(b"<html>blocked</html>") as wall:
        wall.kind = "text/html; charset=utf-8"
        sentence = refused(lambda: fetch(dead, mirror, wall, "http://[1", "http://127.0.0.1:x/"))
    assert f"{host_of(dead)} (Connection refused)" in sentence
    assert f"{host_of(mirror.url)} (it answers 404 Not Found)" in sentence
    assert f"{host_of(wall.url)} (it answers with a web page)" in sentence
    assert "[1 (no usable address" in sentence
    assert f"get {NAME} elsewhere" in sentence
    assert "python -m core download --tar FILE" in sentence
    assert left_in(root) == set()


def test_a_web_page_does_not_cost_what_was_fetched(fetch: Fetch, mirror: Mirror, packed: bytes, part: Path) -> None:
    """A firewall answers everything with a page and 200, as a server that ignores ranges would."""
    part.write_bytes(packed[:1000])
    with serving(b"<html>blocked</html>") as wall:
        wall.kind, wall.knows_ranges = "text/html", False
        assert fetch(wall, mirror) == voc_dir()
    assert mirror.ranges == ["bytes=1000-"]


def test_a_silent_mirror_is_given_up(fetch: Fetch, mirror: Mirror, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirror_module, "TIMEOUT_S", 0.1)
    mirror.is_silent = True
    assert "timed out" in refused(lambda: fetch(mirror))
    assert len(mirror.ranges) == mirror_module.ATTEMPTS


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/voc.tar", "file:///etc/hosts", "voc.tar", ""])
def test_a_mirror_is_an_address_of_the_web(fetch: Fetch, mirror: Mirror, url: str) -> None:
    assert "begins with http://" in refused(lambda: fetch(mirror, url))
    assert mirror.ranges == []


# --- the disk -------------------------------------------------------------------------------------------------------


def test_too_little_room_is_said_before_anything_is_written(
    fetch: Fetch, mirror: Mirror, root: Path, packed: bytes, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    usage = type("Usage", (), {"free": 12_000})
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    sentence = refused(lambda: fetch(mirror))
    assert f"needs 3 MB in {root}, where 1 MB are free" in sentence
    (tmp_path / "own.tar").write_bytes(packed)
    assert "make room" in refused(lambda: unpack_voc(tmp_path / "own.tar"))
    assert left_in(root) == set()


@needs_full_disk
def test_a_disk_that_fills_up_while_downloading(fetch: Fetch, mirror: Mirror, part: Path, root: Path) -> None:
    part.symlink_to(FULL_DISK)
    sentence = refused(lambda: fetch(mirror))
    assert f"The disk is full: VOC 2012 needs 3 MB more in {root}" in sentence
    assert "goes on where it stopped" in sentence
    assert left_in(root) == {part.name}
    part.unlink()
    assert fetch(mirror) == voc_dir()


@needs_full_disk
def test_a_disk_that_fills_up_while_unpacking(
    fetch: Fetch, mirror: Mirror, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The third photo is written to /dev/full, which answers as a full disk does."""

    def open_third_elsewhere(path: str, mode: str = "r") -> IO[Any]:
        return (FULL_DISK if Path(path).name == "photo_2.jpg" else Path(path)).open(mode)

    with monkeypatch.context() as patch:
        patch.setattr(tarfile, "bltn_open", open_third_elsewhere)
        sentence = refused(lambda: fetch(mirror))
    assert (
        f"The disk is full: VOC 2012 needs 1 MB more in {root}; make room and start again, {root / NAME} stays"
        in sentence
    )
    assert left_in(root) == {NAME}, "the tar is whole: it need not be fetched again"
    num_requests = len(mirror.ranges)
    assert fetch(mirror) == voc_dir()
    assert len(mirror.ranges) == num_requests


def test_a_home_that_cannot_be_written_is_one_sentence(
    fetch: Fetch, mirror: Mirror, tmp_path: Path, root: Path
) -> None:
    (tmp_path / "datasets").write_text("a file where the folder would be")
    assert "cannot be written" in refused(lambda: fetch(mirror))


def test_what_a_killed_process_left_half_unpacked_is_swept_away(fetch: Fetch, mirror: Mirror, root: Path) -> None:
    stale = root / ".VOCdevkit.abc.part"
    (stale / "VOC2012").mkdir(parents=True)
    fetch(mirror)
    assert not stale.exists()


# --- tars of one's own ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
@pytest.mark.parametrize("prefix", ["VOCdevkit/VOC2012", "./VOCdevkit/VOC2012", "VOC2012", "."])
def test_a_tar_of_one_s_own_may_be_packed_in_other_ways(
    voc_folder: Path, tmp_path: Path, mode: str, prefix: str
) -> None:
    tar = tmp_path / "own.tar"
    tar.write_bytes(pack(voc_folder, prefix, mode))
    seen: list[tuple[int, int]] = []
    folder = unpack_voc(tar, tmp_path / "other", lambda done, total: seen.append((done, total)))
    assert folder == tmp_path / "other" / "VOCdevkit" / "VOC2012"
    assert len(open_dataset(folder).split("train")) == 4
    assert seen[-1][0] == seen[-1][1] == sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    assert tar.exists()


def test_augmented_masks_come_along(voc_folder: Path, tmp_path: Path) -> None:
    from shutil import copytree

    own = copytree(voc_folder, tmp_path / "own")
    copytree(own / "SegmentationClass", own / "SegmentationClassAug")
    (tmp_path / "own.tar").write_bytes(pack(own))
    assert len(list((unpack_voc(tmp_path / "own.tar") / "SegmentationClassAug").iterdir())) == 6


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_a_tar_that_was_cut_off_is_refused(
    voc_folder: Path, tmp_path: Path, root: Path, mode: str, share: float
) -> None:
    data = pack(voc_folder, mode=mode)
    tar = tmp_path / "own.tar"
    tar.write_bytes(data[: int(share * len(data))])
    assert str(tar) in refused(lambda: unpack_voc(tar))
    assert left_in(root) == set()


def test_a_file_that_is_no_tar_or_not_there_is_refused(tmp_path: Path, root: Path) -> None:
    text = tmp_path / "text.tar"
    text.write_text("no tar at all\n" * 100)
    assert "get it once more" in refused(lambda: unpack_voc(text))
    for path in (tmp_path / "none.tar", tmp_path):
        assert f"no file {path};" in refused(lambda path=path: unpack_voc(path))  # type: ignore[misc]
    assert left_in(root) == set()


@pytest.mark.parametrize("missing", ["JPEGImages", "SegmentationClass", "ImageSets"])
def test_a_tar_without_voc_s_folders_is_refused(voc_folder: Path, tmp_path: Path, root: Path, missing: str) -> None:
    from shutil import copytree, ignore_patterns

    own = copytree(voc_folder, tmp_path / "own", ignore=ignore_patterns(missing))
    (tmp_path / "own.tar").write_bytes(pack(own))
    assert "holds no VOC 2012" in refused(lambda: unpack_voc(tmp_path / "own.tar"))
    assert left_in(root) == set()


def test_a_tar_whose_lists_name_a_photo_it_lacks_is_refused(voc_folder: Path, tmp_path: Path, root: Path) -> None:
    from shutil import copytree, ignore_patterns

    own = copytree(voc_folder, tmp_path / "own", ignore=ignore_patterns("photo_3.jpg"))
    (tmp_path / "own.tar").write_bytes(pack(own))
    sentence = refused(lambda: unpack_voc(tmp_path / "own.tar"))
    assert "train.txt names photo_3, but its photo is missing" in sentence
    assert ".part" not in sentence
    assert left_in(root) == set()


def strange(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, link
    return member


def fault_of(member: tarfile.TarInfo) -> str:
    """Return what the sentence says about a strange member."""
    if member.isreg():
        return "a path out of the folder"
    return f"a link to {member.linkname}" if member.linkname else "a device"


STRANGE = [
    strange("../outside.txt"),
    strange("VOCdevkit/VOC2012/JPEGImages/../../../../outside.jpg"),
    strange("/outside.txt"),
    strange("VOCdevkit/VOC2012/JPEGImages/a.jpg", tarfile.SYMTYPE, "/etc/hosts"),
    strange("VOCdevkit/VOC2012/JPEGImages/b", tarfile.SYMTYPE, "../../../.."),
    strange("VOCdevkit/VOC2012/JPEGImages/c.jpg", tarfile.LNKTYPE, "../../outside.txt"),
    strange("VOCdevkit/VOC2012/JPEGImages/d.jpg", tarfile.CHRTYPE),
    strange("VOCdevkit/VOC2012/JPEGImages/e.jpg", tarfile.FIFOTYPE),
]


@pytest.mark.parametrize("member", STRANGE, ids=lambda member: member.name)
def test_a_tar_with_a_way_out_is_refused(packed: bytes, tmp_path: Path, root: Path, member: tarfile.TarInfo) -> None:
    tar = tmp_path / "own.tar"
    tar.write_bytes(packed)
    with tarfile.open(tar, "a") as archive:
        archive.addfile(member)
    before = left_in(tmp_path)
    assert f"{tar} holds {member.name}, {fault_of(member)}, and" in refused(lambda: unpack_voc(tar))
    assert left_in(tmp_path) == before
    assert not root.exists()


# --- the command ----------------------------------------------------------------------------------------------------


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
    seen: list[jobs.Progress | None] = []
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
