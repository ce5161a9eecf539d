"""What the dashboard costs beside fifty nights of training or three hundred runs, in bounds only a mistake reaches."""

import json
import subprocess
import sys

import pytest

from core.home import PROJECT_ROOT

pytestmark = pytest.mark.slow


def test_pages_beside_fifty_long_runs_stay_quick() -> None:
    """Home took 15 s when it read every step of every run; a live tick 200 ms when it drew every figure anew.

    Bounded is processor time, at twice what is allowed, since a busy machine slows that down too; what is read is
    counted.
    """
    command = [sys.executable, "-m", "core", "bench", "dashboard", "--json"]
    ended = subprocess.run(command, cwd=PROJECT_ROOT, capture_output=True, text=True, check=True)
    figures = {name.removeprefix("dashboard."): value for name, value in json.loads(ended.stdout)["figures"].items()}
    assert figures["log_bytes_read"] == figures["log_bytes_added"] > 0
    assert figures["home_cpu_s"] < 1.0
    assert figures["train_cpu_s"] < 1.0
    assert figures["tick_cpu_ms"] < 100
    assert figures["home_many_cpu_s"] < 1.4
    assert figures["train_many_cpu_s"] < 1.4
