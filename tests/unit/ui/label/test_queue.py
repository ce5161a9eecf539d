"""The queue of Label: which photos are in it, in which order, and what comes next."""

import hashlib

import pytest

from core.data.labelling import State
from core.data.labelling.proposals import RankedPhoto
from ui.label.queue import ALL, AS_THEY_LIE, AT_RANDOM, UNSURE_FIRST, beside, first_to_label, in_order, next_to_label

STATES = {"a": State.DONE, "b": State.UNLABELLED, "c": State.STARTED, "d": State.PROPOSED, "e": State.UNLABELLED}
RANKING = {"e": RankedPhoto(0.9, "unsure everywhere"), "b": RankedPhoto(0.5, "unsure at the edges"),
           "gone": RankedPhoto(0.4, "deleted since")}  # fmt: skip


@pytest.mark.parametrize(
    ("only", "order", "names"),
    [
        (ALL, AS_THEY_LIE, "abcde"),
        (ALL, AT_RANDOM, "".join(sorted("abcde", key=lambda name: hashlib.sha256(name.encode()).digest()))),
        (ALL, UNSURE_FIRST, "ebacd"),
        ("unlabelled", AS_THEY_LIE, "be"),
        ("unlabelled", UNSURE_FIRST, "eb"),
        ("done", UNSURE_FIRST, "a"),
    ],
)
def test_photos_are_filtered_and_ordered(only: str, order: str, names: str) -> None:
    assert in_order(STATES, only, order, RANKING) == list(names)


@pytest.mark.parametrize(
    ("name", "step", "expected"),
    [("b", 1, "c"), ("b", -1, "a"), ("e", 1, "e"), ("a", -1, "a"), ("not in the filter", 1, "a")],
)
def test_next_and_previous_stop_at_the_ends(name: str, step: int, expected: str) -> None:
    assert beside(list("abcde"), name, step) == expected


def test_without_photos_next_stays() -> None:
    assert beside([], "b", 1) == "b"


@pytest.mark.parametrize(("name", "expected"), [("a", "b"), ("c", "d"), ("e", "b"), ("b", "c"), ("elsewhere", "b")])
def test_after_done_comes_what_is_not_done_from_the_start_again_after_the_last(name: str, expected: str) -> None:
    assert next_to_label(list("abcde"), STATES, name) == expected


def test_once_all_are_done_the_photo_stays_open() -> None:
    done = dict.fromkeys("abc", State.DONE)
    assert next_to_label(list("abc"), done, "b") == "b"
    assert first_to_label(list("abc"), done) == "a"
    assert first_to_label([], done) is None
