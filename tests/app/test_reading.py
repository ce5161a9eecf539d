"""What a page reads of the logs of runs: once all of it, afterwards what was appended."""

from collections.abc import Callable
from pathlib import Path

import pytest

from core import jobs
from core.training.run.folders import Run
from core.training.run.records import Validating
from tests.app.conftest import Visit, append, write_records
from tests.reads import counted_reads


@pytest.fixture
def live(make_run: Callable[..., Run], demo_data: Path) -> Run:
    """A run that the test holds, after others: finished, stopped, crashed."""
    for name, ended in (("over", "finished"), ("halted", "stopped"), ("dead", None)):
        write_records(make_run(name), 3, ended=ended)
    run = make_run("live")
    write_records(run, 2, extra_steps=1)
    return run


@pytest.mark.parametrize("page", ["", "train"])
def test_a_look_reads_of_all_logs_only_what_is_new(visit: Visit, live: Run, page: str) -> None:
    """A crashed run was read as a whole at every look, because its end might have been recorded since."""
    logs = list(live.path.parent.glob("*/log.jsonl"))
    with jobs.hold(live.path):
        with counted_reads() as reads:
            app = visit(page)
        assert reads["log.jsonl"] == sum(log.stat().st_size for log in logs), "each of them once"
        with counted_reads() as reads:
            app.run()
        assert reads["log.jsonl"] == 0
        before = live.log_path.stat().st_size
        append(live, Validating(epoch=3, image=1, images=2))
        with counted_reads() as reads:
            app.run()
        assert reads["log.jsonl"] == live.log_path.stat().st_size - before
    assert not app.exception
