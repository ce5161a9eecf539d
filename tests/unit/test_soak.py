"""What the soak program concludes from what it saw: a leak, a file left behind."""

from pathlib import Path

import pytest

from tests.soak.soak import Sample, Soak, conclude, growth_mb, left_behind


def samples(memory_mb: list[float], open_files: int = 40) -> list[Sample]:
    return [Sample(number, 10.0 * number, mb, open_files, 9, 1.0) for number, mb in enumerate(memory_mb, start=1)]


def test_growth_is_told_per_round_once_the_caches_are_full() -> None:
    assert growth_mb(samples([200, 300, 310, 320, 330])) == pytest.approx(10)
    assert growth_mb(samples([200, 300, 310, 310, 310])) == pytest.approx(0)
    assert growth_mb(samples([200, 300, 310])) is None


def test_what_nobody_should_find_is_found(tmp_path: Path) -> None:
    run = tmp_path / "checkpoints" / "run"
    (tmp_path / "tmp").mkdir()
    run.mkdir(parents=True)
    for name in ("config.json", "log.jsonl", "lock", "epoch_003.pt"):
        (run / name).touch()
    assert left_behind(tmp_path) == []
    for file in (run / "stop", run / ".last.pt.part", run / ".log.jsonl.reserve", tmp_path / "tmp" / "x"):
        file.touch()
    assert {Path(name).name for name in left_behind(tmp_path)} == {"stop", ".last.pt.part", ".log.jsonl.reserve", "x"}


@pytest.mark.parametrize(
    ("soak", "code"),
    [
        (Soak(samples([200] * 6)), 0),
        (Soak(samples([200, 200, *range(200, 300, 20)])), 1),
        (Soak(samples([200, 200, 200]) + samples([200], open_files=190)), 1),
        (Soak(samples([200]), errors=["train: it broke"]), 1),
        (Soak(samples([200]), left=["tmp/x"]), 1),
        (Soak(), 1),
    ],
    ids=["calm", "memory", "files", "error", "left", "no round"],
)
def test_the_exit_code_says_whether_something_is_wrong(soak: Soak, code: int) -> None:
    assert conclude(soak, 1.0, has_browser=False) == code
