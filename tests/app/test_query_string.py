"""What stands behind the question mark: a link from elsewhere chooses among what there is, and nothing else."""

from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core import jobs
from core.training.runs import Run
from tests.app.conftest import write_records

HOSTILE = ("../../etc", "/etc/passwd", "![](http://elsewhere/x.png)", "a\0b", "x" * 5000, "<b>x</b>", "$x$")


@pytest.mark.parametrize("value", HOSTILE)
def test_a_run_that_is_not_there_is_told_letter_by_letter(visit: Callable[..., AppTest], value: str) -> None:
    """`?run=![](http://elsewhere/x.png)` made the browser fetch that picture: the warning was drawn as Markdown."""
    page = visit("train", run=value)
    assert not page.exception
    (told,) = [box.value for box in page.warning if "There is no run" in box.value]
    assert "![]" not in told
    assert "<b>" not in told.replace("\\<", "")


@pytest.mark.parametrize("value", HOSTILE)
@pytest.mark.parametrize("page", ["compare", "segment", "dataset"])
def test_what_is_not_there_cannot_be_chosen(
    visit: Callable[..., AppTest],
    make_run: Callable[..., Run],
    demo_data: Path,
    monkeypatch: pytest.MonkeyPatch,
    page: str,
    value: str,
) -> None:
    monkeypatch.setattr(jobs, "launch", lambda *_: None)
    write_records(make_run(), 3, ended="finished")
    query = ("checkpoint", "split", "only") if page != "dataset" else ("source", "split", "only", "look")
    app = visit(page, **dict.fromkeys(query, value))
    assert not app.exception
    assert not [text for text in (*app.markdown, *app.warning, *app.error, *app.caption) if "![](http" in text.value]


@pytest.mark.parametrize("path", ["/" + "x" * 300, "/a\0b"], ids=["too long", "zero byte"])
@pytest.mark.parametrize("page", ["dataset", "train"])
def test_a_path_that_none_can_be_is_one_sentence(visit: Callable[..., AppTest], page: str, path: str) -> None:
    """Both pages broke with a traceback: the system refuses to look at such a path, other than at one that is not."""
    app = visit(page, source="A folder", data=path, **({"run": "new"} if page == "train" else {}))
    assert not app.exception
    (told,) = [error.value for error in app.error]
    assert "File name too long" in told or "This is no path" in told
