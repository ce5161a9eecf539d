"""What an import skipped or decided, in words, with equal cases counted instead of repeated."""

import re
from collections.abc import Collection

UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
"""Control characters, and the halves of characters that stand for the bytes of a file name that is not UTF-8."""

MAX_ERROR = 600
"""Characters of an error: what it quotes of a file may be of any length."""

MAX_NOTED = 8
"""Sentences that an error carries."""


class Notes:
    """Collects sentences for the person who imports."""

    def __init__(self) -> None:
        self._sentences: list[str] = []
        self._counts: dict[str, tuple[int, object]] = {}
        self._called: tuple[str, str] | None = None

    def say(self, sentence: str) -> None:
        """Add a sentence."""
        self._sentences.append(sentence)

    def count(self, what: str, where: object, number: int = 1) -> None:
        """Count cases of one kind; `where` is the file, of which only the first is named."""
        if number:
            before, first = self._counts.get(what, (0, where))
            self._counts[what] = before + number, first

    def count_all(self, what: str, cases: Collection[object]) -> None:
        """Count these cases of one kind."""
        self.count(what, next(iter(cases), ""), len(cases))

    def call(self, folder: object, name: object) -> None:
        """Write a name in place of a folder that nobody knows: an archive's in place of where it is unpacked."""
        self._called = str(folder), str(name)

    def _known(self, text: str) -> str:
        return printable(text.replace(*self._called) if self._called else text)

    def after(self, error: str) -> str:
        """Return what an error says, and behind it what was noted before: it often holds the cause."""
        if len(error) > MAX_ERROR:
            error = f"{error[: MAX_ERROR // 2]} ... {error[-MAX_ERROR // 2 :]}"
        noted = [sentence.rstrip(".") for sentence in self.sentences()]
        return self._known(f"{error} Noted before: {'; '.join(noted[:MAX_NOTED])}." if noted else error)

    def sentences(self) -> tuple[str, ...]:
        """Return all sentences: those that were said, then one for each kind of case."""
        counted = (f"{what}: {number:,}, first in {first}." for what, (number, first) in self._counts.items())
        return tuple(map(self._known, dict.fromkeys((*self._sentences, *counted))))


def printable(text: str) -> str:
    """Return a text that every terminal and file takes: what cannot be printed is a question mark."""
    return UNPRINTABLE.sub("?", text)
