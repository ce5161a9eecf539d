"""The plan of a study: which trainings it has. No torch.

A *recipe* is one combination of the varied settings; a *cell* is one training: a recipe with a seed, a share of the
training photos and, in a study with folds, a fold.
"""

import itertools
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from core.data.dataset import TEST, Dataset, Sample, fingerprint
from core.errors import ConfigError
from core.training.settings.config import TrainingConfig, from_dict, with_settings
from core.training.settings.presets import parse_settings, present_name, preset
from core.wording import count

T = TypeVar("T")

SCHEMA = 1
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,49}")
MAX_CELLS = 1000
MAX_SEEDS = 100
MAX_PHOTOS = 10_000_000
LATEST_S = 1e11
"""No plan was made later, in seconds since 1970."""

SAME_RESULT = ("num_workers", "checkpoint_seconds", "tensorboard")
"""Settings that change how a run is trained, and nothing that it learns: runs that differ in them are one cell."""

ELSEWHERE = {"seed": "--seeds", "train_fraction": "--fractions"}
"""Settings that a study varies by options of their own."""


@dataclass(frozen=True)
class Recipe:
    """The varied settings of some runs, in the plan's order; none if a study varies nothing."""

    settings: tuple[tuple[str, Any], ...]

    @property
    def label(self) -> str:
        """The settings as text, as in `10 epochs, output_stride=8`."""
        named = [count(value, "epoch") if key == "epochs" else f"{key}={value}" for key, value in self.settings]
        return ", ".join(named) or "the preset"

    @property
    def key(self) -> str:
        """The settings as a study's files name them: `epochs=10, output_stride=8`."""
        return ", ".join(f"{key}={value}" for key, value in self.settings) or "the preset"


@dataclass(frozen=True)
class Cell:
    """One training of a study; `fold` counts from 1, None without folds. `fraction` is the share of the photos."""

    recipe: Recipe
    fraction: float
    seed: int
    fold: int | None

    @property
    def label(self) -> str:
        """The cell as text for a line of progress."""
        return self._named(self.recipe.label)

    @property
    def key(self) -> str:
        """The cell as a study's files name it."""
        return self._named(self.recipe.key)

    def _named(self, recipe: str) -> str:
        fold = "" if self.fold is None else f", fold {self.fold}"
        share = "" if self.fraction == 1 else f", {100 * self.fraction:g} % of the photos"
        return f"{recipe}, seed {self.seed}{fold}{share}"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a study trains.

    `data` is an absolute path, `settings` those of every run before `vary`, `fingerprint` of the photos and masks of
    train and val when it was planned. `folds` is 0 without folds.
    """

    name: str
    data: str
    preset: str
    settings: TrainingConfig
    vary: tuple[tuple[str, tuple[Any, ...]], ...]
    seeds: tuple[int, ...]
    folds: int
    fractions: tuple[float, ...]
    created_s: float
    fingerprint: str

    @property
    def recipes(self) -> list[Recipe]:
        """Every combination of the varied settings."""
        keys = [key for key, _ in self.vary]
        combined = itertools.product(*(values for _, values in self.vary))
        return [Recipe(tuple(zip(keys, values, strict=True))) for values in combined]

    @property
    def fold_numbers(self) -> list[int | None]:
        """The folds, counted from 1, or None alone without folds."""
        return list(range(1, self.folds + 1)) if self.folds else [None]

    def cells(self) -> list[Cell]:
        """Return the trainings in the order in which they are done: one seed of all recipes, then the next.

        Large shares come first, so that the first two recipes can be compared as early as possible.
        """
        shares = sorted(self.fractions, reverse=True)
        order = itertools.product(self.seeds, shares, self.fold_numbers, self.recipes)
        return [Cell(recipe, share, seed, fold) for seed, share, fold, recipe in order]

    def config(self, cell: Cell) -> TrainingConfig:
        """Return the settings of a cell's run."""
        own = {"seed": cell.seed, "train_fraction": cell.fraction}
        return with_settings(self.settings, dict(cell.recipe.settings) | own)

    def as_dict(self) -> dict[str, Any]:
        """Return the document in study.json."""
        vary = {key: list(values) for key, values in self.vary}
        return {"schema": SCHEMA} | asdict(self) | {"vary": vary, "settings": self.settings.as_dict()}


def plan_from_dict(document: Mapping[str, Any]) -> Plan:
    """Return the plan in a study.json; another document raises KeyError, TypeError, ValueError or `ConfigError`."""
    values = dict(document)
    if values.pop("schema") != SCHEMA:
        raise ValueError("it was made by a newer version; update this one")
    values["settings"] = from_dict(values["settings"])
    values["vary"] = tuple((key, tuple(its)) for key, its in values["vary"].items())
    plan = Plan(**values | {name: tuple(values[name]) for name in ("seeds", "fractions")})
    texts = (plan.name, plan.data, plan.preset, plan.fingerprint)
    numbers = (plan.created_s, plan.folds, *plan.seeds, *plan.fractions)
    if not all(isinstance(text, str) for text in texts) or not all(type(number) in (int, float) for number in numbers):
        raise TypeError("a value is not of its type")
    if not plan.fractions or not 0 <= plan.created_s < LATEST_S or not Path(plan.data).is_absolute():
        raise ValueError("it lacks shares of the photos, the time or the place of the data")
    _check_numbers(len(plan.seeds), plan.folds, plan.fractions, MAX_PHOTOS)
    return plan


def make_plan(
    name: str, dataset: Dataset, *, preset_name: str, changes: Mapping[str, Any], vary: Sequence[str] = (),
    seeds: int = 3, folds: int = 0, fractions: Sequence[float] = (),
) -> Plan:  # fmt: skip
    """Return the plan of a study; what cannot be trained raises `ConfigError`.

    `changes` are the settings that differ from the preset, `vary` texts such as `epochs=10,50`. Without `fractions`,
    the share of the photos is that of the settings.
    """
    plan = draft_plan(
        name, dataset, preset_name=preset_name, changes=changes, vary=vary, seeds=seeds, folds=folds,
        fractions=fractions,
    )  # fmt: skip
    return replace(plan, fingerprint=fingerprint(photos_of(dataset)))


def draft_plan(
    name: str, dataset: Dataset, *, preset_name: str, changes: Mapping[str, Any], vary: Sequence[str] = (),
    seeds: int = 3, folds: int = 0, fractions: Sequence[float] = (),
) -> Plan:  # fmt: skip
    """Return the plan that `make_plan` makes, without its fingerprint: no photo is read."""
    if not NAME.fullmatch(name):
        raise ConfigError(f"'{name}' cannot name a study; use up to 50 letters, digits and . _ + - without a space.")
    settings, varied = with_settings(preset(preset_name), changes), _varied(vary)
    _refuse_elsewhere(changes, dict(varied), has_fractions=bool(fractions))
    samples = photos_of(dataset)
    _check_numbers(seeds, folds, fractions, len(photos_to_fold(dataset)) if folds else len(samples))
    plan = Plan(
        name=name,
        data=str(dataset.root),
        preset=present_name(preset_name),
        settings=settings,
        vary=varied,
        seeds=tuple(range(seeds)),
        folds=folds,
        fractions=tuple(map(float, fractions)) or (settings.train_fraction,),
        created_s=time.time(),
        fingerprint="",
    )
    cells = plan.cells()
    if len(cells) > MAX_CELLS:
        raise ConfigError(f"This study has {len(cells):,} runs, and {MAX_CELLS:,} is the most; vary less.")
    for cell in cells:
        plan.config(cell)  # raises the error of settings that do not go together
    return plan


def part(cells: Sequence[T], number: int, count: int) -> list[T]:
    """Return the cells, or their states, of part `number` of `count`, from 1: every `count`-th."""
    return list(cells[number - 1 :: count])


def photos_of(dataset: Dataset) -> tuple[Sample, ...]:
    """Return the photos of a study, those of train and val, by name and each once."""
    by_name = {sample.name: sample for split in ("train", "val") for sample in dataset.split(split)}
    return tuple(by_name[name] for name in sorted(by_name))


def photos_to_fold(dataset: Dataset) -> tuple[Sample, ...]:
    """Return `photos_of` a data set without those that its split test also lists."""
    test = {sample.name for sample in dataset.splits.get(TEST, ())}
    return tuple(sample for sample in photos_of(dataset) if sample.name not in test)


def _varied(texts: Sequence[str]) -> tuple[tuple[str, tuple[Any, ...]], ...]:
    """Return the typed values of each varied setting; texts are as in `epochs=10,50`."""
    varied: dict[str, tuple[Any, ...]] = {}
    for text in texts:
        name, _, values = text.partition("=")
        key = name.strip()
        parsed = [parse_settings([f"{key}={value}"])[key] for value in values.split(",")] if values else []
        if key in SAME_RESULT:
            raise ConfigError(f"{key} cannot be varied: it changes nothing that a run learns.")
        if key in varied:
            raise ConfigError(f"{key} is varied twice; give all its values at once, as in {key}={values},...")
        if len(parsed) < 2 or len(set(parsed)) < len(parsed):
            raise ConfigError(f"'{text}' does not vary a setting; give two or more values, as in epochs=10,50.")
        varied[key] = tuple(parsed)
    return tuple(varied.items())


def _refuse_elsewhere(changes: Mapping[str, Any], varied: Mapping[str, Any], *, has_fractions: bool) -> None:
    """Raise `ConfigError` for settings that have options of their own, or are given twice."""
    for key, option in ELSEWHERE.items():
        if key in varied or (key in changes and (key == "seed" or has_fractions)):
            raise ConfigError(f"{key} is not set here; a study varies it by {option}.")
    if both := [key for key in varied if key in changes]:
        raise ConfigError(f"{both[0]} is both set and varied; give it once.")


def _check_numbers(seeds: int, folds: int, fractions: Sequence[float], num_photos: int) -> None:
    if not 1 <= seeds <= MAX_SEEDS:
        raise ConfigError(f"The number of seeds is {seeds}; it must lie between 1 and {MAX_SEEDS}.")
    if folds < 0 or folds == 1:
        raise ConfigError(f"The number of folds is {folds}; it must be 2 or more, or left out.")
    if folds > num_photos:
        raise ConfigError(f"{folds} folds need as many photos, and train and val have {num_photos}; take fewer folds.")
    if wrong := [share for share in fractions if not 0 < share <= 1]:
        raise ConfigError(f"The share {wrong[0]:g} of the photos does not lie in (0, 1]; write 0.5 for half of them.")
    if len(set(fractions)) < len(fractions):
        raise ConfigError("A share of the photos is given twice; give each once.")
