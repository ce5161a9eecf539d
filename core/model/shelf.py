"""Models that are open, shared by all who ask: each opened once, few kept, fewer when memory runs short."""

import gc
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Generic, TypeVar

import psutil

from core.free_memory import free_bytes

Key = TypeVar("Key", bound=Hashable)
Model = TypeVar("Model")

LEAST_FREE_SHARE = 0.15
"""Of the machine's memory; below it, models that nobody asked for lately are put away."""


def free_share() -> float:
    """Return the share of the machine's memory that can still be had, of its container if that has less."""
    return free_bytes() / psutil.virtual_memory().total


class ModelShelf(Generic[Key, Model]):
    """Opens models by key and keeps those asked for last; safe to be asked from several threads.

    A model that is put away lives on with whoever still uses it. One that is being opened is waited for by everybody
    who asks for it; where opening fails, each of them gets the error, and the next to ask tries again.

    Args:
        open_model: what opens the model of a key; its errors are passed on.
        capacity: how many models are kept at most.
        is_short: tells whether memory is short; then all but the one asked for are put away, the oldest first, until
            it is not.
    """

    def __init__(
        self,
        open_model: Callable[[Key], Model],
        *,
        capacity: int = 3,
        is_short: Callable[[], bool] = lambda: free_share() < LEAST_FREE_SHARE,
    ) -> None:
        self._open_model = open_model
        self._capacity = capacity
        self._is_short = is_short
        self._lock = threading.Lock()
        self._models: OrderedDict[Key, Future[Model]] = OrderedDict()

    def get(self, key: Key) -> Model:
        """Return the model of a key, opened if it is not on the shelf."""
        with self._lock:
            found = self._models.get(key)
            model = self._models.setdefault(key, Future())
            self._models.move_to_end(key)
            self._make_room(key)
        if found is None:
            self._open(key, model)
        return model.result()

    def keys(self) -> list[Key]:
        """Return the keys of what is kept or being opened, the one least recently asked for first."""
        with self._lock:
            return list(self._models)

    def _open(self, key: Key, model: "Future[Model]") -> None:
        try:
            model.set_result(self._open_model(key))
        except BaseException as error:
            with self._lock:
                if self._models.get(key) is model:
                    del self._models[key]
            model.set_exception(error)
            raise
        with self._lock:
            self._make_room(key)

    def _make_room(self, asked: Key) -> None:
        """Put models away, the one least recently asked for first; the lock is held."""
        for key in [key for key, model in self._models.items() if key != asked and model.done()]:
            if len(self._models) <= self._capacity and not self._is_short():
                return
            del self._models[key]
            gc.collect()  # a model may hang in a cycle; its memory is wanted now
