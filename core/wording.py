"""Numbers with their nouns, as every page, command and message writes them."""


def count(number: int, noun: str, plural: str | None = None) -> str:
    """Return a number with its noun: `1 photo`, `1,464 photos`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"
