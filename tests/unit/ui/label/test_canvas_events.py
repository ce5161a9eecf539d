"""What travels between the canvas in the browser and the server: runs of a mask, and events that nobody trusts."""

import base64
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from streamlit.testing.v1 import AppTest

from core.classes import classes_of
from core.data.labelling import LabelConflictError, TakenOverError
from core.data.labelling.regions import Regions
from core.errors import CoreError, DataError
from core.voc import VOID
from ui.label.canvas import (
    LONGEST_RUN,
    CanvasContent,
    CanvasEvent,
    CanvasPhoto,
    _find_regions,
    _receive,
    _Session,
    mask_runs,
    read_event,
    read_mask_runs,
)

CLASSES = classes_of(("background", "cat", "dog"))
SIZES = hnp.array_shapes(min_dims=2, max_dims=2, max_side=40)


def coded(*runs: tuple[int, int]) -> str:
    return base64.b64encode(np.array([256 * length + value for length, value in runs], "<u4").tobytes()).decode()


def event(**changes: object) -> dict[str, Any]:
    whole = {
        "number": "a 1",
        "action": "save",
        "name": "one",
        "base_version": "",
        "seen_version": "",
        "width": 3,
        "height": 2,
        "mask": coded((6, 1)),
    }
    return whole | changes


@given(hnp.arrays(np.uint8, SIZES, elements=st.sampled_from([0, 1, 2, VOID])))
def test_a_mask_comes_back_as_it_was(mask_HW: Any) -> None:
    text = base64.b64encode(mask_runs(mask_HW).tobytes()).decode()
    assert (read_mask_runs(text, mask_HW.shape[1], mask_HW.shape[0]) == mask_HW).all()


def test_a_run_that_is_too_long_for_its_number_is_cut() -> None:
    mask_HW = np.full((4097, 8193), VOID, np.uint8)
    runs = mask_runs(mask_HW)
    assert (runs >> 8).tolist() == [LONGEST_RUN, LONGEST_RUN, 4097 * 8193 - 2 * LONGEST_RUN]
    text = base64.b64encode(runs.tobytes()).decode()
    assert (read_mask_runs(text, 8193, 4097) == VOID).all()


@pytest.mark.parametrize(
    "changes",
    [
        {"mask": coded((5, 1))},  # too short
        {"mask": coded((7, 1))},  # too long
        {"mask": coded((6, 1), (0, 1))},  # an empty run
        {"mask": coded(*[(1, 0)] * 40)},  # more runs than pixels
        {"mask": "no base64!"},
        {"mask": "AAAA"},  # three bytes
        {"mask": ""},
        {"mask": 7},
        {"width": -3, "height": -2},
        {"width": 3.0},
        {"width": None},
        {"width": 10**6, "height": 10**6},
        {"name": None},
        {"name": "a" * 5000},
        {"action": "delete"},
        {"base_version": 3},
        {"seen_version": 3},
    ],
)
def test_what_the_canvas_would_not_send_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(DataError):
        read_event(event(**changes))


def test_an_event_is_acted_upon_once_and_its_answer_kept() -> None:
    """An answer that is lost on its way makes the browser send the same event again: "next" must not skip a photo."""
    session, seen = _Session(name="one", version=""), []

    def act(event: CanvasEvent) -> str:
        seen.append(event.action)
        return "v1"

    for _ in range(2):
        _receive(session, event(action="next"), act)
    assert seen == ["next"]
    assert session.answer == {"number": "a 1", "version": "v1", "problem": "", "is_kept": False, "is_taken": False}
    assert session.version == "v1"
    assert session.moves_on


def test_the_page_runs_again_after_the_first_save_of_a_photo_alone() -> None:
    """The queue of photos shows which are begun; the saves every few seconds cost the page nothing."""
    session = _Session(name="one", version="v0")
    seen = []
    for number in ("a 1", "a 2"):
        _receive(session, event(number=number), lambda _: "v1")
        seen.append(session.moves_on)
    assert seen == [True, False]


def test_a_save_that_fails_is_said_and_changes_nothing() -> None:
    session = _Session(name="one", version="v0")

    def fail(event: CanvasEvent) -> str:
        raise DataError("The disk is full; make room.")

    for sent in (event(action="next"), event(number="a 2", mask="no base64!")):
        _receive(session, sent, fail)
        assert session.answer["problem"] != ""
        assert session.version == "v0"
        assert not session.moves_on


@pytest.mark.parametrize(("error", "file"), [(LabelConflictError, "file"), (TakenOverError, "")])
def test_after_a_conflict_the_page_runs_again_to_show_the_other_mask(error: type[CoreError], file: str) -> None:
    """Where another tab has the photo, the mask on the disk is sent again: it takes the place of what was drawn."""
    session = _Session(name="one", file="file", version="v0")

    def refuse(event: CanvasEvent) -> str:
        raise error("The mask of 'one' was changed elsewhere.")

    _receive(session, event(), refuse)
    assert session.answer["is_kept"]
    assert session.answer["is_taken"] == (not file)
    assert session.moves_on
    assert session.file == file


def test_ids_are_left_to_who_knows_the_classes_they_were_drawn_with() -> None:
    """A class may have been removed since: the ids are those of `base_version`, which saving translates."""
    mask_HW = read_event(event(mask=coded((6, 3)))).mask_HW
    assert mask_HW is not None
    assert (mask_HW == 3).all()


def photo_of(content: Callable[[], CanvasContent], regions: Callable[[], Regions]) -> CanvasPhoto:
    return CanvasPhoto(
        name="one", file="one.jpg", width=3, height=2, version="v0", classes=CLASSES, content=content, regions=regions
    )


def test_a_photo_that_cannot_be_read_is_not_taken_for_the_one_before() -> None:
    """It was noted as sent before it was read: the next run showed the photo before under its name."""

    def main(content: "Any") -> None:
        import streamlit as st

        from core.classes import classes_of
        from core.errors import DataError
        from ui.label.canvas import CanvasPhoto, show_canvas

        photo = CanvasPhoto(
            name="one", file="one.jpg", width=3, height=2, version="v0", classes=classes_of(("background", "cat")),
            content=content, regions=content,
        )  # fmt: skip
        try:
            show_canvas(photo, key="canvas", on_event=lambda _: "")
        except DataError as error:
            st.error(str(error))

    def fail() -> CanvasContent:
        raise DataError("one.jpg cannot be read.")

    app = AppTest.from_function(main, args=(fail,)).run()
    assert [each.value for each in app.error] == ["one.jpg cannot be read."]
    assert [each.value for each in app.run().error] == ["one.jpg cannot be read."]


def test_regions_that_cannot_be_found_are_a_sentence() -> None:
    session = _Session(name="one")

    def fail() -> Any:
        raise DataError("one.jpg cannot be read.")

    _find_regions(session, photo_of(fail, fail))
    assert session.regions_problem == "one.jpg cannot be read."
    assert session.regions == b""


@pytest.mark.parametrize("sent", [None, "text", [], {}, {"number": 3}])
def test_what_is_not_an_event_is_left_alone(sent: object) -> None:
    session = _Session()
    _receive(session, sent, lambda _: pytest.fail("called"))
    assert session.answer == {}
