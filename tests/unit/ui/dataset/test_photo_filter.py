"""Which photos a click on a chart asks for."""

import pytest

from core.classes import VOC_CLASSES
from core.data.statistics.pair_facts import PairFacts
from ui.dataset.browser import PhotoFilter, parse

CAT, DOG = 8, 12
FACTS = PairFacts(
    size=(50, 40), pixels={0: 1900, CAT: 90, 255: 10}, objects={CAT: 3}, brightness=0.5, contrast=0.1,
    color_mean=(0.5, 0.5, 0.5), color_std=(0.1, 0.1, 0.1),
)  # fmt: skip


@pytest.mark.parametrize("text", ["class:8", "class:8+12", "objects:3", "objects:0", "size:50x40"])
def test_a_filter_reads_back_as_it_is_written(text: str) -> None:
    assert parse(text, 21).text() == text
    assert parse(text, 21)


@pytest.mark.parametrize("text", ["", "class:21", "class:8+99", "class:x", "size:50", "objects:1+2", "class:8;rm", "x"])
def test_what_is_no_filter_asks_for_nothing(text: str) -> None:
    assert parse(text, 21) == PhotoFilter()
    assert not parse(text, 21)


@pytest.mark.parametrize(
    ("text", "is_shown"),
    [("class:8", True), ("class:12", False), ("class:8+12", False), ("objects:3", True), ("objects:1", False),
     ("size:50x40", True), ("size:40x50", False), ("", True)],
)  # fmt: skip
def test_a_photo_is_shown_if_it_has_what_is_asked(text: str, is_shown: bool) -> None:
    assert parse(text, 21).matches(FACTS) is is_shown


def test_a_filter_says_in_words_what_it_asks() -> None:
    words = [parse(text, 21).words(VOC_CLASSES) for text in ("class:8+12", "objects:1", "size:50x40")]
    assert words == ["cat and dog", "1 object", "50 × 40 px"]  # noqa: RUF001
