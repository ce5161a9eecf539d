"""VOC from mirrors that cut: what was fetched stays, and a download goes on where it stopped."""

from pathlib import Path

import pytest

from core.data.voc2012 import voc_dir
from core.download import mirrors as mirror_module
from tests.unit.download.mirrors import NAME, Fetch, Mirror, refused, serving


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
    ("stated", "reason"), [("bytes 5-9/10", "the bytes from 5 on"), ("lines 1-2", "without its position")]
)
def test_another_part_than_asked_for_is_not_appended(
    fetch: Fetch, mirror: Mirror, part: Path, packed: bytes, stated: str, reason: str
) -> None:
    part.write_bytes(packed[:1000])
    mirror.content_range = stated
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
