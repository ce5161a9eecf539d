"""Open models, shared: opened once however many ask, few kept, put away when memory is short. No clocks, no sleeps."""

import gc
import threading
import weakref
from collections.abc import Callable

import pytest

from core.model.shelf import ModelShelf, free_share

PATIENCE_S = 30


class Model:
    """Stands for a model."""

    def __init__(self, key: str) -> None:
        self.key = key


def never() -> bool:
    return False


def in_threads(count: int, act: Callable[[], None]) -> None:
    """Let so many threads act at the same moment."""
    together = threading.Barrier(count)

    def begin() -> None:
        together.wait(PATIENCE_S)
        act()

    threads = [threading.Thread(target=begin) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
        assert not thread.is_alive()


def test_many_who_ask_at_once_share_one_model_that_was_opened_once() -> None:
    """Two users of the dashboard who opened the same checkpoint held it in memory twice."""
    opened: list[str] = []
    others_wait, got = threading.Semaphore(0), []

    def open_slowly(key: str) -> Model:
        opened.append(key)
        for _ in range(7):
            assert others_wait.acquire(timeout=PATIENCE_S)
        return Model(key)

    shelf = ModelShelf(open_slowly, is_short=never)

    def ask() -> None:
        others_wait.release()
        got.append(shelf.get("a"))

    in_threads(8, ask)
    assert opened == ["a"]
    assert len(got) == 8
    assert len({id(model) for model in got}) == 1


def test_one_model_is_opened_while_another_is_asked_for() -> None:
    """The lock is not held while a model is opened: that takes seconds."""
    a_is_being_opened, b_was_given = threading.Event(), threading.Event()

    def open_model(key: str) -> Model:
        if key == "a":
            a_is_being_opened.set()
            assert b_was_given.wait(PATIENCE_S)
        return Model(key)

    shelf = ModelShelf(open_model, is_short=never)
    asks_for_a = threading.Thread(target=shelf.get, args=("a",))
    asks_for_a.start()
    assert a_is_being_opened.wait(PATIENCE_S)
    assert shelf.get("b").key == "b"
    b_was_given.set()
    asks_for_a.join(PATIENCE_S)
    assert set(shelf.keys()) == {"a", "b"}


def test_the_one_least_recently_asked_for_goes_first() -> None:
    shelf = ModelShelf(Model, capacity=2, is_short=never)
    for key in "abac":
        shelf.get(key)
    assert shelf.keys() == ["a", "c"]


def test_what_is_put_away_leaves_the_memory_but_not_the_hands_of_who_uses_it() -> None:
    shelf = ModelShelf(Model, capacity=1, is_short=never)
    used, seen = shelf.get("a"), weakref.ref(shelf.get("a"))
    shelf.get("b")
    assert used.key == "a"
    assert seen() is used
    del used
    gc.collect()
    assert seen() is None
    assert shelf.keys() == ["b"]


def test_short_memory_puts_away_only_as_many_as_it_takes() -> None:
    shortages: list[bool] = []
    shelf = ModelShelf(Model, capacity=9, is_short=lambda: shortages.pop(0) if shortages else False)
    for key in "abcd":
        shelf.get(key)
    shortages += [True, True, False]
    shelf.get("d")
    assert shelf.keys() == ["c", "d"]


def test_the_model_that_is_asked_for_stays_however_short_memory_is() -> None:
    shelf = ModelShelf(Model, capacity=9, is_short=lambda: True)
    for key in "ab":
        assert shelf.get(key).key == key
    assert shelf.keys() == ["b"]


def test_an_error_reaches_all_who_wait_and_the_next_tries_again() -> None:
    attempts, errors = [], []

    def open_model(key: str) -> Model:
        attempts.append(key)
        if len(attempts) == 1:
            raise FileNotFoundError(key)
        return Model(key)

    shelf = ModelShelf(open_model, is_short=never)
    with pytest.raises(FileNotFoundError) as caught:
        shelf.get("a")
    errors.append(caught.value)
    assert shelf.keys() == []
    assert shelf.get("a").key == "a"
    assert attempts == ["a", "a"]


def test_whoever_waits_for_a_model_that_fails_gets_the_error_too() -> None:
    is_waited_for, errors = threading.Event(), []

    class Watched(ModelShelf[str, Model]):
        """Tells when a second one asks."""

        def _make_room(self, asked: str) -> None:
            super()._make_room(asked)
            if threading.current_thread() is second:
                is_waited_for.set()

    def fail(key: str) -> Model:
        second.start()
        assert is_waited_for.wait(PATIENCE_S)
        raise FileNotFoundError(key)

    def ask() -> None:
        with pytest.raises(FileNotFoundError) as caught:
            shelf.get("a")
        errors.append(caught.value)

    shelf = Watched(fail, is_short=never)
    second = threading.Thread(target=ask)
    ask()
    second.join(PATIENCE_S)
    assert len(errors) == 2


def test_the_share_that_is_free_is_one() -> None:
    assert 0 < free_share() <= 1
