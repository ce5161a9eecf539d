"""Numbers and states as text for the screen. Only here are fractions shown as percent; a missing score is a dash."""

import re
from typing import NamedTuple

from core.training.run.learning import WHAT_TO_DO, WHY

MISSING = "\N{EN DASH}"


class State(NamedTuple):
    """The badge of a run's state: label, colour, icon, meaning."""

    label: str
    color: str
    icon: str
    meaning: str


STATES: dict[str, State] = {
    "new": State("New", "gray", ":material/fiber_new:", "Made, but never started."),
    "running": State("Running", "blue", ":material/play_arrow:", "A trainer is at work; closing this page is fine."),
    "stalled": State(
        "Stalled", "orange", ":material/hourglass_disabled:", "The trainer is alive but writes no records."
    ),
    "finished": State("Finished", "green", ":material/check:", "Every planned epoch is done."),
    "stopped": State("Stopped", "gray", ":material/stop:", "Stopped on request; *Resume* on Train goes on from there."),
    "failed": State("Failed", "red", ":material/error:", "The trainer ended with an error; Train shows it."),
    "crashed": State("Crashed", "red", ":material/bolt:", "The trainer ended without a record of its end."),
    "unknown": State(
        "Not known",
        "gray",
        ":material/lock:",
        "Its lock or log belongs to another user and cannot be opened, so its state is unknown.",
    ),
}


MARKDOWN = re.compile(r"([\\\[\]<$`*~])")


def plain(text: str) -> str:
    """Return a text escaped for Markdown: names of files and classes may look like links or pictures."""
    return MARKDOWN.sub(r"\\\1", text)


def advised(sentence: str) -> str:
    """Return advice escaped for Markdown, with what its two parts begin with in bold."""
    return re.sub(rf"\b({WHY}|{WHAT_TO_DO}):", r"**\1:**", plain(sentence))


def advised_on(label: str, sentence: str) -> str:
    """Return `advised` after a label and a colon, so without a capital: `3 epochs: the mIoU of ...`."""
    return advised(f"{label}: {sentence[:1].lower()}{sentence[1:]}")


def code(text: object) -> str:
    """Return a path or an id as Markdown code; a backtick becomes an apostrophe."""
    return f"`{' '.join(str(text).replace('`', chr(39)).split())}`"


def without_pictures(markdown: str) -> str:
    """Return Markdown without pictures, which a browser would fetch: a note may come with somebody else's run."""
    return markdown.replace("![", "!\\[")


def percent(fraction: float | None, digits: int = 1) -> str:
    """Return a fraction as percent: 0.4321 is `43.2 %`."""
    return MISSING if fraction is None else f"{100 * fraction:.{digits}f} %"


def points(difference: float) -> str:
    """Return the difference of two fractions in percentage points, with its sign unless it rounds to zero."""
    return "0.0 points" if abs(difference) < 0.0005 else f"{100 * difference:+.1f} points"
