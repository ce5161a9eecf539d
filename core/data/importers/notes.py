"""What an import skipped or decided, in words, with equal cases counted instead of repeated."""


class Notes:
    """Collects sentences for the person who imports."""

    def __init__(self) -> None:
        self._sentences: list[str] = []
        self._counts: dict[str, tuple[int, object]] = {}

    def say(self, sentence: str) -> None:
        """Add a sentence."""
        self._sentences.append(sentence)

    def count(self, what: str, where: object, number: int = 1) -> None:
        """Count cases of one kind; `where` tells the file, of which only the first is named."""
        if number:
            before, first = self._counts.get(what, (0, where))
            self._counts[what] = before + number, first

    def sentences(self) -> tuple[str, ...]:
        """Return all sentences: those that were said, then one for each kind of case."""
        counted = (f"{what}: {number:,}, first in {first}." for what, (number, first) in self._counts.items())
        return (*self._sentences, *counted)
