"""Which pairs of a repaired copy are in which split.

The lists of the user stay as they are but for what is certainly wrong: pairs with errors and copies of a photo leave
all lists, and no photo stays in both train and val. Where train or val is empty, both are split again, stratified.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from core.data.dataset import Sample
from core.data.doctor.pair_checks import ExaminedPair
from core.data.doctor.set_checks import leaks, same_photos
from core.data.splits import stratified_splits


@dataclass
class Splits:
    """Names by split, updated in place by `settle`, and what was changed.

    aside   names taken off all lists, with the reason
    moved   names taken off one list, with the reason
    notes   changes of whole lists: the list ("" for all), the action, the detail
    """

    names: dict[str, list[str]]
    aside: dict[str, str] = field(default_factory=dict)
    moved: list[tuple[str, str]] = field(default_factory=list)
    notes: list[tuple[str, str, str]] = field(default_factory=list)

    def put_aside(self, reasons: Mapping[str, str]) -> None:
        """Take names off all lists, each for its reason."""
        self.aside |= reasons
        self.names = {split: [name for name in has if name not in reasons] for split, has in self.names.items()}


def settle(pairs: Sequence[ExaminedPair], names: Mapping[str, Sequence[str]]) -> Splits:
    """Return lists of the copy's pairs in which the doctor finds no error.

    `names` are those by split; if train or val is empty, both are split again, 80/20 and stratified.
    """
    splits = Splits({split: list(dict.fromkeys(has)) for split, has in names.items()})
    by_name = {pair.entry.name: pair for pair in pairs}
    errors = {pair.entry.name: [problem for problem in pair.problems if problem.severity == "error"] for pair in pairs}
    splits.put_aside({name: f"{its[0].kind}: {its[0].detail}" for name, its in errors.items() if its})
    _part(splits)
    while _remove_copies(splits, by_name):
        pass
    if not (splits.names["train"] and splits.names["val"]):
        _stratify(splits, by_name)
    _close_leaks(splits, by_name)
    return splits


def _listed(splits: Splits, by_name: Mapping[str, ExaminedPair]) -> list[ExaminedPair]:
    """Return the pairs that are in a split, their entries as the lists are now."""
    of: dict[str, list[str]] = {}
    for split, names in splits.names.items():
        for name in names:
            of.setdefault(name, []).append(split)
    return [replace(by_name[name], entry=replace(by_name[name].entry, splits=tuple(has))) for name, has in of.items()]


def _part(splits: Splits) -> None:
    """Take names that are in both train and val off val, or off train where val would be empty without them."""
    train, val = splits.names["train"], splits.names["val"]
    both = set(train) & set(val)
    loser = "train" if both == set(val) and both != set(train) else "val"
    splits.names[loser] = [name for name in splits.names[loser] if name not in both]
    splits.moved += [(name, f"taken off {loser}: it was in train and val") for name in sorted(both)]


def _remove_copies(splits: Splits, by_name: Mapping[str, ExaminedPair]) -> bool:
    """Set copies of photos aside and return whether there were any.

    Of a photo in train and val, the copy in val goes, or the one in train where val would be empty without it.
    """
    found = [(entry.name, problem) for entry, problem in same_photos(_listed(splits, by_name))]
    val = set(splits.names["val"])
    if val and {name for name, _ in found} >= val:
        twins = [(problem.other, name) if name in val else (name, problem.other) for name, problem in found]
        why = ", which val would be empty without"
    else:
        twins, why = [(name, problem.other) for name, problem in found], ""
    splits.put_aside({twin: f"duplicate photo: a copy of {original}{why}" for twin, original in twins})
    return bool(found)


def _stratify(splits: Splits, by_name: Mapping[str, ExaminedPair]) -> None:
    """Split the pairs of train and val again."""
    pairs = [by_name[name] for part in ("train", "val") for name in splits.names[part]]
    samples = [
        Sample(pair.entry.name, pair.entry.photo, pair.entry.mask)
        for pair in pairs
        if pair.entry.photo and pair.entry.mask
    ]
    parts = stratified_splits(samples, {pair.entry.name: pair.class_ids for pair in pairs}, seed=0)
    splits.names |= {part: [sample.name for sample in has] for part, has in parts.items()}
    detail = "train and val are split 80/20 so that both show every class, as far as there are photos for it"
    splits.notes.append(("", "split anew", detail))


def _close_leaks(splits: Splits, by_name: Mapping[str, ExaminedPair]) -> None:
    """Take the names of val off every other training list, and set copies of its photos there aside."""
    for split, twins in leaks(splits.names, _listed(splits, by_name)).items():
        own = {name for name, twin in twins.items() if name == twin}
        splits.names[split] = [name for name in splits.names[split] if name not in own]
        if own:
            splits.notes.append((split, "lines removed", f"names that are in val too ({len(own)})"))
        copies = {twin: name for name, twin in twins.items() if name != twin}
        splits.put_aside({twin: f"duplicate photo: a copy of {name}, which is in val" for twin, name in copies.items()})
