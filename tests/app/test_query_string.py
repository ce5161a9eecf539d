"""What stands behind the question mark: a link from elsewhere chooses among what there is, and nothing else."""

from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core import jobs
from core.training.run.folders import Run
from tests.app.conftest import make_pairs, write_records

HOSTILE = ("../../etc", "/etc/passwd", "![](http://elsewhere/x.png)", "a\0b", "x" * 5000, "<b>x</b>", "$x$")


@pytest.mark.parametrize("value", HOSTILE)
def test_a_run_that_is_not_there_is_told_letter_by_letter(visit: Callable[..., AppTest], value: str) -> None:
    """`?run=![](http://elsewhere/x.png)` made the browser fetch that picture: the warning was drawn as Markdown."""
    page = visit("train", run=value)
    assert not page.exception
    (shown,) = [box.value for box in page.warning if "There is no run" in box.value]
    assert "![]" not in shown
    assert "<b>" not in shown.replace("\\<", "")


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
@pytest.mark.parametrize(
    ("page", "query"),
    [
        ("dataset", {"source": "A folder", "data": ""}), ("train", {"source": "A folder", "run": "new", "data": ""}),
        ("dataset", {"source": "Bring data", "from": ""}),
    ],
)  # fmt: skip
def test_a_path_that_none_can_be_is_one_sentence(
    visit: Callable[..., AppTest], page: str, query: dict[str, str], path: str
) -> None:
    """Both pages broke with a traceback: the system refuses to look at such a path, other than at one that is not."""
    app = visit(page, **{name: value or path for name, value in query.items()})
    assert not app.exception
    (shown,) = [error.value for error in app.error]
    assert "File name too long" in shown or "This is not a path" in shown


@pytest.mark.parametrize("value", HOSTILE)
def test_an_export_is_called_letter_by_letter(visit: Callable[..., AppTest], tmp_path: Path, value: str) -> None:
    (tmp_path / "torn.zip").write_bytes(b"PK")
    query = {"from": str(tmp_path / "torn.zip"), "called": value, "format": value, "into": value}
    app = visit("dataset", source="Bring data", **query)
    assert not app.exception
    (shown,) = [error.value for error in app.error]
    assert "cannot be unpacked" in shown
    assert "![]" not in shown
    assert "<b>" not in shown.replace("\\<", "")


def test_a_page_in_use_hands_no_value_back_to_the_browser(visit: Callable[..., AppTest], tmp_path: Path) -> None:
    """Of two quick clicks on tabs the second was undone: the run of the first gave the browser its value again."""

    def handed(app: AppTest) -> dict[str, bool]:
        widgets = [*app.get("button_group"), *app.text_input]
        return {each.key: each.proto.set_value for each in widgets if each.key in ("source", "preset", "data")}

    app = visit("train", source="A folder", data=str(make_pairs(tmp_path / "own")))
    assert handed(app) == {"source": True, "preset": True, "data": True}
    assert all(handed(app.run()).values()), "of two runs in a row the browser may draw the second alone"
    app.get("button_group")[1].set_value("demo").run()
    assert app.query_params["preset"] == "demo"
    assert not any(handed(app).values())
