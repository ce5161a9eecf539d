"""Which pairs of a mended copy are in which split: copies taken out, classes brought to train, no split left empty."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from core.data.checks import ExaminedPair
from core.data.dataset import TRAIN_SHARE, Contents
from core.data.problems import Entry, Problem
from core.data.set_checks import check_set

COPIES = ("duplicate photo", "similar photo")


@dataclass
class Splits:
    """Names by split, which are changed here, and what was done: names set aside and names moved, with the reason.

    `stays` are names that a finding stays with, since nothing can be done about it.
    """

    names: dict[str, list[str]]
    aside: dict[str, str] = field(default_factory=dict)
    moved: list[tuple[str, str]] = field(default_factory=list)
    stays: set[str] = field(default_factory=set)

    def put_aside(self, names: Iterable[str], reason: str) -> None:
        """Take names off all lists."""
        self.aside |= dict.fromkeys(names, reason)
        self.names = {split: [name for name in has if name not in self.aside] for split, has in self.names.items()}

    def move(self, name: str, to: str, reason: str) -> None:
        """Move a name between train and val; lists such as trainaug must not hold a name of val."""
        left = {"train", "val", *(split for split in self.names if split.startswith("train"))} - {"trainval"}
        gone = left - {to} if to == "val" else {"val"}
        self.names = {split: [n for n in has if n != name or split not in gone] for split, has in self.names.items()}
        self.names[to] += [name] if name not in self.names[to] else []
        self.moved.append((name, f"moved to {to}: {reason}"))


def settle(contents: Contents, pairs: Sequence[ExaminedPair], names: dict[str, list[str]]) -> Splits:
    """Change the lists of a copy until the doctor has nothing to say about them, or nothing can be done.

    `pairs` are all pairs of the copy, examined; every step sets a pair aside or moves one, so this comes to an end.
    """
    splits = Splits({split: list(dict.fromkeys(has)) for split, has in names.items()})
    by_name = {pair.entry.name: pair for pair in pairs}
    for pair in pairs:
        if pair.problems:
            splits.put_aside([pair.entry.name], f"{pair.problems[0].kind}: {pair.problems[0].detail}")
    for _ in range(2 * len(pairs) + 2):
        _fill(splits, by_name)
        found = list(check_set(contents, splits.names, _listed(splits, by_name)))
        if not (_part(splits) or _remove_copies(splits, found) or _teach(splits, by_name, found)):
            break
    return splits


def _listed(splits: Splits, by_name: dict[str, ExaminedPair]) -> list[ExaminedPair]:
    """Return the pairs that are in a split, their entries as the lists have them now."""
    of: dict[str, list[str]] = {}
    for split, names in splits.names.items():
        for name in names:
            of.setdefault(name, []).append(split)
    return [replace(by_name[name], entry=replace(by_name[name].entry, splits=tuple(has))) for name, has in of.items()]


def _part(splits: Splits) -> bool:
    """Take names that are in both train and val off one of them: off val, unless that would empty it."""
    train, val = splits.names["train"], splits.names["val"]
    both = set(train) & set(val)
    loser = "train" if both == set(val) and both != set(train) else "val"
    splits.names[loser] = [name for name in splits.names[loser] if name not in both]
    splits.moved += [(name, f"taken off {loser}: it was in train and val") for name in sorted(both)]
    return bool(both)


def _remove_copies(splits: Splits, found: Sequence[tuple[Entry, Problem]]) -> bool:
    """Set aside the copies of photos: those in val, or their twins in train where val would be empty without them."""
    copies = [(entry.name, problem) for entry, problem in found if problem.kind in COPIES]
    if {name for name, _ in copies} >= set(splits.names["val"]) and splits.names["val"]:
        for name, problem in copies:
            twin, kept = (problem.other, name) if name in splits.names["val"] else (name, problem.other)
            splits.put_aside([twin], f"{problem.kind}: a copy of {kept}, which val would be empty without")
    else:
        for name, problem in copies:
            splits.put_aside([name], f"{problem.kind}: a copy of {problem.other}")
    return bool(copies)


def _teach(splits: Splits, by_name: dict[str, ExaminedPair], found: Sequence[tuple[Entry, Problem]]) -> bool:
    """Move to train the first pair of val that shows a class which train does not; val keeps one pair at least."""
    lacking = [entry.name for entry, problem in found if problem.kind == "class only in val"]
    name = next((name for name in lacking if name not in splits.stays), None)
    if name is None:
        return False
    if len(splits.names["val"]) == 1:
        spare = _spare(splits.names["train"], by_name)
        if spare is None:
            splits.stays.add(name)
            return True
        splits.move(spare, "val", "val would be empty without it")
    splits.move(name, "train", "it shows a class that train did not")
    return True


def _fill(splits: Splits, by_name: dict[str, ExaminedPair]) -> None:
    """Give an empty val a fifth of train, an empty train four fifths of val; one pair alone stays where it is."""
    for empty, full, share in (("val", "train", 1 - TRAIN_SHARE), ("train", "val", TRAIN_SHARE)):
        num_full = len(splits.names[full])
        if splits.names[empty] or num_full < 2:
            continue
        for _ in range(min(num_full - 1, max(1, round(share * num_full)))):
            names = splits.names[full]
            name = _spare(names, by_name) if empty == "val" else None
            splits.move(name or _in_random_order(names)[0], empty, f"{empty} was empty")


def _spare(train: Sequence[str], by_name: dict[str, ExaminedPair]) -> str | None:
    """Return a name whose classes other pairs of train show too, None if there is none."""
    for name in _in_random_order(train):
        others = frozenset[int]().union(*(by_name[other].class_ids for other in train if other != name))
        if by_name[name].class_ids <= others and others:
            return name
    return None


def _in_random_order(names: Sequence[str]) -> list[str]:
    """Sort by a hash of the names: random, but the same every time."""
    return sorted(names, key=lambda name: hashlib.sha256(name.encode()).digest())
