"""Counting what is read of files, whoever reads it."""

import io
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock


class _Counted:
    """A file that is open, and a note of how much of it was read."""

    def __init__(self, file: Any, name: str, reads: Counter[str]) -> None:
        self._file, self._name, self._reads = file, name, reads

    def __enter__(self) -> "_Counted":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __iter__(self) -> Iterator[Any]:
        for line in self._file:
            self._reads[self._name] += len(line)
            yield line

    def read(self, *size: int) -> Any:
        data = self._file.read(*size)
        self._reads[self._name] += len(data)
        return data


@contextmanager
def counted_reads() -> Iterator[Counter[str]]:
    """Count, by the file's name, the bytes (characters of a text) that are read through `pathlib` meanwhile."""
    reads: Counter[str] = Counter()
    opened = io.open

    def open_counted(file: Any, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        found = opened(file, mode, *arguments, **options)
        return _Counted(found, Path(file).name, reads) if "r" in mode and not isinstance(file, int) else found

    with mock.patch("io.open", open_counted):
        yield reads
