"""Which class of a label set each class of a model becomes. Imports no torch.

In this order: what the user chose; equal names, in any case, with VOC's spellings; else, where not one name agrees,
everything that the model finds becomes one class of the set (*object against background*). A class of the model that
became none is background, since it is none of the set's classes. Whatever was decided is said in words.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from core.errors import ConfigError
from core.voc import BACKGROUND
from core.wording import count

OTHER_SPELLINGS = {
    "airplane": "aeroplane", "plane": "aeroplane", "bike": "bicycle", "table": "diningtable", "motorcycle": "motorbike",
    "people": "person", "human": "person", "plant": "pottedplant", "couch": "sofa", "tv": "tvmonitor",
    "monitor": "tvmonitor", "television": "tvmonitor", "cattle": "cow",
}  # fmt: skip
"""Other words for VOC's classes."""
NUMBERED_NAME = re.compile(r"class ?\d+")
"""A name that says nothing: of another data set, class 3 is another thing."""


@dataclass(frozen=True)
class ClassMapping:
    """For each class id of a model the id that it becomes, and sentences about what was decided."""

    targets: tuple[int, ...]
    notes: tuple[str, ...] = ()

    def groups(self) -> dict[int, list[int]]:
        """Return the ids of the model's classes by the id that they become, in the order of those."""
        return {
            target: [each for each, to in enumerate(self.targets) if to == target]
            for target in sorted(set(self.targets))
        }


def map_classes(
    model_names: Sequence[str],
    set_names: Sequence[str],
    *,
    can_find: Collection[str] | None = None,
    has_same_numbers: bool = False,
    object_class: str | None = None,
    chosen: Mapping[str, str] | None = None,
) -> ClassMapping:
    """Decide which class of the set each class of a model becomes.

    Args:
        model_names: the model's classes by id, the background first.
        set_names: the set's classes by id, the background first.
        can_find: those of the model's classes that it can find; all if None.
        has_same_numbers: whether the model was trained on this set, so that class 3 is the same thing in both.
        object_class: a class of the set that everything else becomes, whatever its name.
        chosen: classes of the set by classes of the model.

    Raises:
        ConfigError: a name is unknown, or no name agrees and nothing says which class of several is meant.
    """
    ids = {name: each for each, name in enumerate(set_names)}
    for name in (*(chosen or {}).values(), *([object_class] if object_class else [])):
        if name not in ids:
            raise ConfigError(f"There is no class '{name}' in the data set; it has {', '.join(set_names)}.")
    if object_class == set_names[BACKGROUND]:
        raise ConfigError(f"Objects cannot all become {object_class}; choose another class.")
    for name in chosen or {}:
        if name not in model_names:
            raise ConfigError(f"The model has no class '{name}'; it has {', '.join(model_names)}.")
    targets = {0: BACKGROUND} | {model_names.index(name): ids[to] for name, to in (chosen or {}).items()}
    findable = [each for each in range(1, len(model_names)) if can_find is None or model_names[each] in can_find]
    if not object_class:
        words = [_word(name) for name in set_names]
        by_word = {word: each for each, word in enumerate(words) if each != BACKGROUND and words.count(word) == 1}
        for each in findable:
            name = model_names[each]
            same = ids.get(name, by_word.get(_word(name)))
            if same and (has_same_numbers or not NUMBERED_NAME.fullmatch(name.casefold())):
                targets.setdefault(each, same)
    return _completed(targets, findable, model_names, set_names, object_class)


def _completed(
    targets: dict[int, int], findable: Sequence[int], model_names: Sequence[str], set_names: Sequence[str],
    object_class: str | None,
) -> ClassMapping:  # fmt: skip
    """Map the classes that are left, all onto one class or onto the background, and say so."""
    left = [each for each in findable if each not in targets]
    named = _listed(model_names[each] for each in left)
    notes = []
    if object_class is None and not any(targets.values()):
        if len(set_names) > 2:
            raise ConfigError(
                f"None of the classes that the model finds ({named}) is one of the data set's "
                f"({_listed(set_names[1:])}); say which class its objects are (--class), or label a few photos and "
                "train on them."
            )
        object_class = set_names[1]
    if object_class is not None:
        notes.append(f"Whatever the model finds counts as {object_class}: {named}.")
    elif left:
        notes.append(f"Not classes of the data set, so background: {named}.")
    rest = BACKGROUND if object_class is None else list(set_names).index(object_class)
    found = {each: targets.get(each, rest if each in left else BACKGROUND) for each in range(len(model_names))}
    missing = [name for each, name in enumerate(set_names) if each not in found.values() and each != BACKGROUND]
    if missing:
        notes.append(f"The model cannot find {_listed(missing)}.")
    if len(set(found.values())) < 2:
        raise ConfigError(
            "Every class of the model would become the same class, so it has nothing to propose; map one to "
            "another class (--map, --class)."
        )
    return ClassMapping(tuple(found[each] for each in range(len(model_names))), tuple(notes))


def _listed(names: Iterable[str]) -> str:
    every = list(names)
    return ", ".join(every[:8]) + (f" and {count(len(every) - 8, 'other')}" if len(every) > 8 else "")


def _word(name: str) -> str:
    """Return a name without case, spaces, signs and a last s, in VOC's spelling."""
    word = re.sub(r"[\W_]+", "", name.casefold())
    singular = word.removesuffix("s")
    return OTHER_SPELLINGS.get(word, OTHER_SPELLINGS.get(singular, singular))
