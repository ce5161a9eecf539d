"""The texts of a language (`en.toml`, `pt.toml`), and its way to write numbers, times and names.

Percent exists only here; a missing number is a dash, never a zero. Spaces within a number are narrow and do not break.
"""

import dataclasses
import tomllib
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from core.classes import Classes
from core.metrics.comparison import Comparison
from core.metrics.verdict import sentence
from core.report.content import Content, ReportedCheckpoint
from core.study.plan import Recipe
from core.training.run.milestones import epoch_of
from core.training.settings.config import TrainingConfig

LANGUAGES: Mapping[str, str] = {"en": "English", "pt": "Português"}

MISSING = "\N{EN DASH}"
MINUS = "\N{MINUS SIGN}"
NARROW = "\N{NARROW NO-BREAK SPACE}"
HARD_SPACE = "\N{NO-BREAK SPACE}"


class Words:
    """The texts of one language, by key: `words("verdict")`."""

    def __init__(self, language: str = "en") -> None:
        self.language = language
        self.separators = ",." if language == "pt" else ".,"  # of decimals and of thousands, as plotly takes them
        file = Path(__file__).with_name(f"{language}.toml")
        document = tomllib.loads(file.read_text(encoding="utf-8"))
        self.texts: dict[str, str] = document["texts"]
        self._months: list[str] = document["months"]
        labels = {field.name: str(field.metadata["label"]) for field in dataclasses.fields(TrainingConfig)}
        self.settings: dict[str, str] = document.get("settings", labels)
        self._classes: dict[str, str] = document.get("classes", {})

    def __call__(self, key: str, **values: object) -> str:
        """Return a text with its placeholders filled in."""
        return self.texts[key].format(**values)

    def value(self, value: Any) -> str:
        """Return the value of a setting as text."""
        if isinstance(value, bool):
            return self("yes" if value else "no")
        return f"{value:g}".replace(".", self.separators[0]) if isinstance(value, float) else str(value)

    def class_name(self, name: str) -> str:
        """Return the name of a class: VOC's, which the drawn scenes have too, in this language, any other as it is."""
        return self._classes.get(name, name)

    def named(self, classes: Classes) -> Classes:
        """Return classes with their names in this language, as they are where two would then have the same."""
        names = tuple(map(self.class_name, classes.names))
        return Classes(names, classes.colors) if len(set(names)) == len(names) else classes

    def listed(self, names: list[str]) -> str:
        """Return `a, b and c`."""
        return self("and").join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else "".join(names)

    def listed_classes(self, names: Iterable[str]) -> str:
        """Return the names of classes in this language, as `listed`."""
        return self.listed([self.class_name(name) for name in names])

    def number(self, value: float | None, digits: int = 0) -> str:
        """Return a number with `digits` decimals: 1,464.5 in English, 1 464,5 in Portuguese."""
        if value is None:
            return MISSING
        text = f"{value:,.{digits}f}"
        if float(text.replace(",", "")) == 0:
            text = text.removeprefix("-")
        if self.language == "pt":
            text = text.replace(",", NARROW).replace(".", ",")
        return text.replace("-", MINUS)

    def per_cent(self, fraction: float | None) -> str:
        """Return a fraction in percent without the sign, for tables with percent in their caption: 0.4321 is 43.2."""
        return self.number(None if fraction is None else 100 * fraction, 1)

    def percent(self, fraction: float | None) -> str:
        """Return a fraction in percent with the sign: 43.2 %."""
        return MISSING if fraction is None else f"{self.per_cent(fraction)}{HARD_SPACE}%"

    def points(self, fraction: float | None) -> str:
        """Return a difference of fractions in percentage points, with its sign unless it rounds to zero."""
        written = self.per_cent(fraction)
        is_positive = fraction is not None and round(100 * fraction, 1) > 0
        return f"+{written}" if is_positive else written

    def interval(self, low: float | None, high: float | None, *, signed: bool = True) -> str:
        """Return the two ends of an interval in points."""
        if low is None or high is None:
            return MISSING
        write = self.points if signed else self.per_cent
        return self("epoch range", first=write(low), last=write(high))

    def duration(self, seconds: float) -> str:
        """Return a time in its two largest units: 45 s, 2 min 10 s, 3 h 5 min."""
        whole = round(seconds)
        for size, unit, small, smaller in ((3600, "h", 60, "min"), (60, "min", 1, "s")):
            if whole >= size:
                rest = whole % size // small
                written = f"{whole // size} {unit}" + (f" {rest} {smaller}" if rest else "")
                return written.replace(" ", HARD_SPACE)
        return f"{whole}{HARD_SPACE}s"

    def moment(self, when: datetime) -> str:
        """Return a date with its time of day."""
        month = self._months[when.month - 1]
        return self("date", day=when.day, month=month, year=when.year, time=f"{when:%H:%M}")

    def label(self, checkpoint: ReportedCheckpoint, content: Content) -> str:
        """Return a checkpoint's name: its epochs, after the run's name if there are several runs."""
        label = "" if checkpoint.epoch is None else self._epochs(checkpoint.epoch, checkpoint.step_in_epoch)
        if epoch_of(checkpoint.file) is None:
            file = checkpoint.file.name
            label = self("saved label", file=file, epochs=label) if label else file
        if len(content.runs) == 1:
            return label
        return self("named label", run=content.run_name(checkpoint.run), label=label)

    def labels(self, content: Content) -> list[str]:
        """Return the checkpoints' names, in order."""
        return [self.label(checkpoint, content) for checkpoint in content.checkpoints]

    def recipe(self, recipe: Recipe) -> str:
        """Return a recipe's varied settings with their labels."""
        named = [
            self._epochs(value, 0) if key == "epochs" else f"{self.settings[key]}: {self.value(value)}"
            for key, value in recipe.settings
        ]
        return "; ".join(named) or self("the preset")

    def _epochs(self, count: int, step_in_epoch: int) -> str:
        if step_in_epoch:
            return self("in epoch label", epoch=count + 1)
        return self("one epoch label") if count == 1 else self("epochs label", count=count)

    def verdict(self, comparison: Comparison, a_label: str, b_label: str) -> str:
        """Return a comparison as a sentence."""
        said = sentence(comparison, a_label, b_label, self.language)
        if said.startswith(self("the floor")):  # a run's name at the beginning stays as it is
            said = f"{said[0].upper()}{said[1:]}"
        return f"{said}."
