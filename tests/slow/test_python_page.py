"""docs/python.md, executed: every block of code, in order, in a folder that holds what they name."""

import re
import shutil
from pathlib import Path

import pytest

from core import jobs
from core.home import PROJECT_ROOT
from core.model.weights.starter import SAMPLES
from tests.processes import trainers, until_state
from tests.small_data import write_voc
from tests.small_models import save_lively_model, ship_stand_in

PAGE = (PROJECT_ROOT / "docs" / "python.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.M | re.S)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning")  # a trainer outlives its starter
def test_the_examples_of_the_page_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(jobs, "PROGRAM", "core")  # ImageNet weights fit the whole network
    ship_stand_in()
    save_lively_model(tmp_path / "mine.pt", seed=1)
    shutil.copy(SAMPLES / "cat.jpg", "photo.jpg")
    write_voc(tmp_path / "my-photos")
    assert len(BLOCKS) >= 4
    names: dict[str, object] = {}
    try:
        for block in BLOCKS:
            exec(compile(block, "docs/python.md", "exec"), names)  # noqa: S102
        until_state(names["run"], "stopped")  # type: ignore[arg-type]
    finally:
        for process in trainers(tmp_path):
            process.kill()
            process.wait()
    assert sorted(file.name for file in (tmp_path / "masks").iterdir()) == ["photo_4.png", "photo_5.png"]
    assert str(names["verdict"]["sentence"]).startswith("mine.pt and starter cannot be told apart")  # type: ignore[index]
