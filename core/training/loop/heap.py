"""The memory that a step frees: glibc keeps it for the next step instead of giving it back to Linux.

Large tensors are mapped and unmapped one by one, so in each step Linux clears the same gigabytes again, page by page:
up to a third of the processor's time (dev/LOG.md). A kept heap is a tenth larger, and between steps no other program
can use it. So it is given back every few minutes and at the end of a training, and where memory is scarce none is kept.
Allocators of other systems stay as they are.
"""

import ctypes
import functools
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self, TypeVar

T = TypeVar("T")

KEPT_S = 120.0
"""Seconds between two times that all is given back: the step after takes a second or two longer."""

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_MMAP_MAX = -1, -3, -4
"""glibc's numbers of its settings (malloc.h)."""
NEVER = -1
DEFAULT_MMAP_MAX = 65_536
LARGEST_THRESHOLD = 32 * 1024**2
"""The size up to which glibc by itself learns not to map tensors; it gives back from twice that on."""


class KeptHeap:
    """The heap of a process that trains: `during_step` for each step; as a context, gives back what was kept.

    What is computed photo by photo or batch by batch beside the steps is iterated over by `keeping`.
    """

    def __init__(self) -> None:
        self.is_kept = False
        self._was_kept = False
        self._given_back_s = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._was_kept and (libc := _libc()):
            _set(libc, {M_TRIM_THRESHOLD: 2 * LARGEST_THRESHOLD})
            libc.malloc_trim(0)

    @contextmanager
    def during_step(self) -> Iterator[None]:
        """Let all tensors of a step lie in the heap, and keep it once they are freed."""
        libc = _libc() if self.is_kept else None
        if libc is None:
            yield
            return
        self._was_kept = True
        _set(libc, {M_MMAP_MAX: 0, M_TRIM_THRESHOLD: NEVER})
        try:
            yield
        finally:
            _set(libc, {M_MMAP_MAX: DEFAULT_MMAP_MAX, M_MMAP_THRESHOLD: LARGEST_THRESHOLD})
            if time.monotonic() - self._given_back_s > KEPT_S:
                libc.malloc_trim(0)
                self._given_back_s = time.monotonic()

    def keeping(self, items: Iterator[T]) -> Iterator[T]:
        """Yield what an iterator yields, each item computed as a step."""
        while True:
            with self.during_step():
                try:
                    item = next(items)
                except StopIteration:
                    return
            yield item


def _set(libc: Any, settings: dict[int, int]) -> None:
    for setting, value in settings.items():
        libc.mallopt(setting, value)


@functools.cache
def _libc() -> Any:
    """Return the C library of this process if it is glibc, else None."""
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)
    return libc if hasattr(libc, "gnu_get_libc_version") else None
