"""VOC from mirrors that lie and die: whole, or one sentence and nothing left."""

import subprocess
import sys
from pathlib import Path

import pytest

from core.data import voc2012
from core.data.dataset import open_dataset
from core.data.voc2012 import known_urls, unpack_voc, voc_dir
from core.download import mirrors as mirror_module
from core.home import PROJECT_ROOT
from tests.unit.download.mirrors import NAME, Fetch, Mirror, dead_url, host_of, left_in, refused, serving

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
    assert Path(facts["base_dir"]) == Path(voc2012.DEVKIT, voc2012.RELEASE)
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
    assert {stated for _, stated in seen} == {total}
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert seen[-1] == (total, total)
    assert (len(packed), total) in seen


def test_importing_it_does_not_import_torch() -> None:
    program = "import sys, core.data.voc2012 as d; d.voc_dir(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], cwd=PROJECT_ROOT, check=False).returncode == 0


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
