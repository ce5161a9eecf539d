"""The exports of the Compare page: made once they are asked for, from the evaluations that the page shows."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import streamlit as st

from core.training.run.folders import Run
from tests.app.conftest import Visit, write_records
from tests.app.stored import guess_background, guess_half, store_milestone


@pytest.fixture
def offered(monkeypatch: pytest.MonkeyPatch) -> dict[str, Callable[[], Any]]:
    """Return what makes each file, by the name under which it is offered."""
    made: dict[str, Callable[[], Any]] = {}
    original = st.download_button

    def spy(label: str, data: Any, file_name: str, *args: Any, **options: Any) -> bool:
        made[file_name] = data
        return original(label, data, file_name, *args, **options)

    monkeypatch.setattr(st, "download_button", spy)
    return made


@pytest.fixture
def run(make_run: Callable[..., Run], demo_data: Path) -> Run:
    run = make_run()
    write_records(run, 3, ended="finished")
    store_milestone(run, 1, guess_background)
    store_milestone(run, 3, guess_half)
    return run


def test_every_export_opens(visit: Visit, run: Run, offered: dict[str, Callable[[], Any]]) -> None:
    app = visit("compare")
    assert not app.exception
    names = [f"{run.path.name}-report-en.html", "scores.csv", "classes.csv", "tables.tex", "report.json"]
    assert list(offered) == names
    page, scores, classes, tex, document = (offered[name]() for name in names)
    assert page.startswith(b'<!DOCTYPE html>\n<html lang="en">')
    assert "3 epochs and 1 epoch cannot be told apart on 2 photos" in page.decode()
    assert [row["checkpoint"] for row in csv.DictReader(io.StringIO(scores.decode()))] == [
        "epoch_001.pt", "epoch_003.pt", "floor",
    ]  # fmt: skip
    assert len(classes.splitlines()) == 1 + 3 * 21
    assert tex.decode().count(r"\begin{tabular}") == 2
    assert json.loads(document)["checkpoints"][1]["epoch"] == 3


def test_title_and_author_are_asked_for(visit: Visit, run: Run, offered: dict[str, Callable[[], Any]]) -> None:
    app = visit("compare")
    asked = {field.label: field for field in app.text_input}
    asked["Title"].set_value("Fifty epochs, <b>or ten</b>")
    asked["Author"].set_value("A. Student")
    asked["Date"].set_value("May").run()
    page = offered[f"{run.path.name}-report-en.html"]().decode()
    assert "<h1>Fifty epochs, &lt;b&gt;or ten&lt;/b&gt;</h1>" in page
    assert '<p class="byline">A. Student · May</p>' in page


def test_the_language_is_that_of_the_report(visit: Visit, run: Run, offered: dict[str, Callable[[], Any]]) -> None:
    app = visit("compare")
    control = next(each for each in app.get("button_group") if "Language" in each.proto.label)
    control.set_value("pt").run()
    assert not app.exception
    assert b'<html lang="pt">' in offered[f"{run.path.name}-report-pt.html"]()
    assert "Piso" in offered["tables.tex"]().decode()
