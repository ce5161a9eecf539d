"""Computes items in threads before they are asked for: a map in order that holds few results."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def in_turn(pool: ThreadPoolExecutor, function: Callable[[T], R], items: Iterable[T], num_ahead: int) -> Iterator[R]:
    """Yield `function(item)` of every item in order; at most `num_ahead` items after it are taken before it is yielded.

    An error, whether of the function or of the items, is raised in its turn, after the results before it.
    """
    coming, waiting = iter(items), deque[Future[R]]()
    while True:
        try:
            for item in islice(coming, num_ahead + 1 - len(waiting)):
                waiting.append(pool.submit(function, item))
        except Exception:  # raised again, once the results before it are out
            while waiting:
                yield waiting.popleft().result()
            raise
        if not waiting:
            return
        yield waiting.popleft().result()
