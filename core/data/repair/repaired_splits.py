"""Which pairs of a mended copy are in which split: copies taken out, scenes kept together, no split left empty.

Only what is wrong beyond doubt takes a pair off the lists: an error in it, or another photo of the same bytes. What may
be meant moves pairs between train and val at most, whole scenes of photos that look the same. Where train or val is
empty nobody chose between them, so both are split anew, stratified.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from core.data.dataset import Sample
from core.data.doctor.pair_checks import ExaminedPair
from core.data.doctor.set_checks import is_to_train_on, leaks, same_photos, scenes
from core.data.splits import stratified_splits

Part = Literal["train", "val"]


@dataclass
class Splits:
    """Names by split, which are changed here, and what was done: names set aside and names moved, with the reason.

    `notes` are those on whole lists: the list (or "" for all of them), what was done, and the detail.
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
    """Change the lists of a copy until the doctor finds no error in them, and no warning that moving pairs can spare.

    `pairs` are all pairs of the copy, examined. Train and val are split anew, 80/20 and stratified, if one is empty.
    """
    splits = Splits({split: list(dict.fromkeys(has)) for split, has in names.items()})
    by_name = {pair.entry.name: pair for pair in pairs}
    errors = {pair.entry.name: [problem for problem in pair.problems if problem.severity == "error"] for pair in pairs}
    splits.put_aside({name: f"{its[0].kind}: {its[0].detail}" for name, its in errors.items() if its})
    _part(splits)
    while _remove_copies(splits, by_name):
        pass
    is_anew = not (splits.names["train"] and splits.names["val"])
    if is_anew:
        _stratify(splits, by_name)
    _divide(splits, by_name, is_anew=is_anew)
    _close_leaks(splits, by_name)
    return splits


def _listed(splits: Splits, by_name: Mapping[str, ExaminedPair]) -> list[ExaminedPair]:
    """Return the pairs that are in a split, their entries as the lists have them now."""
    of: dict[str, list[str]] = {}
    for split, names in splits.names.items():
        for name in names:
            of.setdefault(name, []).append(split)
    return [replace(by_name[name], entry=replace(by_name[name].entry, splits=tuple(has))) for name, has in of.items()]


def _part(splits: Splits) -> None:
    """Take names that are in both train and val off one of them: off val, unless that would empty it."""
    train, val = splits.names["train"], splits.names["val"]
    both = set(train) & set(val)
    loser = "train" if both == set(val) and both != set(train) else "val"
    splits.names[loser] = [name for name in splits.names[loser] if name not in both]
    splits.moved += [(name, f"taken off {loser}: it was in train and val") for name in sorted(both)]


def _remove_copies(splits: Splits, by_name: Mapping[str, ExaminedPair]) -> bool:
    """Set aside copies of photos: those in val, or their twins in train where val would be empty without them."""
    found = [(entry.name, problem) for entry, problem in same_photos(_listed(splits, by_name))]
    val = set(splits.names["val"])
    if val and {name for name, _ in found} >= val:
        twins = [(problem.other, name) if name in val else (name, problem.other) for name, problem in found]
        why = ", which val would be empty without"
    else:
        twins, why = [(name, problem.other) for name, problem in found], ""
    splits.put_aside({twin: f"duplicate photo: a copy of {kept}{why}" for twin, kept in twins})
    return bool(found)


def _close_leaks(splits: Splits, by_name: Mapping[str, ExaminedPair]) -> None:
    """Take the names of val off every other list to train on, and set aside the copies of its photos there."""
    for split, twins in leaks(splits.names, _listed(splits, by_name)).items():
        own = {name for name, twin in twins.items() if name == twin}
        splits.names[split] = [name for name in splits.names[split] if name not in own]
        if own:
            splits.notes.append((split, "lines removed", f"names that are in val too ({len(own)})"))
        copies = {twin: name for name, twin in twins.items() if name != twin}
        splits.put_aside({twin: f"duplicate photo: a copy of {name}, which is in val" for twin, name in copies.items()})


# --- train and val --------------------------------------------------------------------------------------------------


def _stratify(splits: Splits, by_name: Mapping[str, ExaminedPair]) -> None:
    """Split the pairs of train and val, of which one is empty, anew."""
    pairs = [by_name[name] for part in ("train", "val") for name in splits.names[part]]
    samples = [Sample(each.entry.name, each.entry.photo, each.entry.mask) for each in pairs
               if each.entry.photo and each.entry.mask]  # fmt: skip
    parts = stratified_splits(samples, {each.entry.name: each.class_ids for each in pairs}, seed=0)
    splits.names |= {part: [sample.name for sample in has] for part, has in parts.items()}
    detail = "train and val are split 80/20 so that both show every class, as far as there are photos for it"
    splits.notes.append(("", "split anew", detail))


def _divide(splits: Splits, by_name: Mapping[str, ExaminedPair], *, is_anew: bool) -> None:
    """Move scenes between train and val, and bring the lists in line with it; each move is told of lists kept."""
    before = {name: part for part in ("train", "val") for name in splits.names[part]}
    if len(before) < 2:
        return
    division = _Division(splits.names, by_name)
    division.settle()
    moved = {name: part for name, part in division.part_of.items() if part != before[name]}
    if not is_anew:
        splits.moved += [(name, f"moved to {part}: {division.reasons[name]}") for name, part in moved.items()]
    for split, names in splits.names.items():
        gone_to = "val" if is_to_train_on(split) else "train" if split == "val" else None
        come = [name for name, part in moved.items() if part == split]
        splits.names[split] = [name for name in names if moved.get(name, "") != gone_to] + come
    if division.has_scenes_in_both():
        detail = "too many photos look like one scene to part it from the others, so photos of train and val look alike"
        splits.notes.append(("", "left as they are", f"{detail}: the score on val may be too good"))


class _Division:
    """Train and val, neither empty, while whole scenes are moved between them; sizes are kept as the lists have them.

    A scene is a group of names; where scenes cannot be kept together, every name is one of its own.
    """

    def __init__(self, names: Mapping[str, Sequence[str]], by_name: Mapping[str, ExaminedPair]) -> None:
        parts: tuple[Part, Part] = ("train", "val")
        self.part_of: dict[str, Part] = {name: part for part in parts for name in names[part]}
        self.reasons: dict[str, str] = {}
        self._class_ids = {name: by_name[name].class_ids for name in self.part_of}
        self._own_scenes = _in_random_order(scenes([by_name[name] for name in self.part_of]))
        self._scenes = self._own_scenes
        self._wanted: dict[Part, int] = {part: len(names[part]) for part in parts}
        self._shown_in_val = self._shown_in(names["val"])

    def settle(self) -> None:
        """Keep scenes together, fill what is empty, and show in train every class that val shows, if all that can be.

        A class that val showed before stays in it where train can spare a scene. Where a part would keep less than half
        of its size, scenes are parted as they were.
        """
        before = dict(self.part_of)
        self._gather()
        self._fill()
        if any(self._is_short(part) for part in self._wanted) and len(self._scenes) < len(self.part_of):
            self.part_of, self.reasons = before, {}
            self._scenes = _in_random_order([name] for name in self.part_of)
            self._fill()
        self._teach()
        self._test()
        self._fill()

    def has_scenes_in_both(self) -> bool:
        """Tell whether photos that look the same are in train and val still."""
        return any(self._is_mixed(scene) for scene in self._own_scenes)

    def _is_mixed(self, scene: Sequence[str]) -> bool:
        return len({self.part_of[name] for name in scene}) > 1

    def _size(self, part: Part) -> int:
        return sum(its == part for its in self.part_of.values())

    def _is_short(self, part: Part) -> bool:
        return 2 * self._size(part) < self._wanted[part]

    def _scenes_in(self, part: Part) -> list[list[str]]:
        return [scene for scene in self._scenes if self.part_of[scene[0]] == part]

    def _shown_in(self, names: Iterable[str]) -> Counter[int]:
        """Return in how many of these photos each class is."""
        return Counter(class_id for name in names for class_id in self._class_ids[name])

    def _shown_in_train(self) -> Counter[int]:
        return self._shown_in(name for name, part in self.part_of.items() if part == "train")

    def _is_spare(self, scene: Sequence[str], shown: Counter[int]) -> bool:
        """Tell whether other photos of train show the classes of a scene of train too."""
        return all(shown[class_id] > count for class_id, count in self._shown_in(scene).items())

    def _move(self, scene: Sequence[str], to: Part, reason: str) -> None:
        for name in scene:
            if self.part_of[name] != to:
                self.part_of[name] = to
                self.reasons[name] = reason

    def _gather(self) -> None:
        """Give each scene that is in both parts to one: largest first, to val if that gets nearer to its size."""
        mixed = sorted((scene for scene in self._scenes if self._is_mixed(scene)), key=len, reverse=True)
        in_mixed = {name for scene in mixed for name in scene}
        size = sum(part == "val" and name not in in_mixed for name, part in self.part_of.items())
        for scene in mixed:
            to: Part = "val" if self._gets_nearer(size, scene, "val") else "train"
            size += len(scene) if to == "val" else 0
            self._move(scene, to, "photos that look the same stay in one split")

    def _gets_nearer(self, size: int, scene: Sequence[str], part: Part) -> bool:
        return abs(size + len(scene) - self._wanted[part]) < abs(size - self._wanted[part])

    def _fill(self) -> None:
        """Bring a part that is short to its size; val gets what train can spare, or if there is no such scene, one."""
        pairs: tuple[tuple[Part, Part], ...] = (("val", "train"), ("train", "val"))
        for short, other in pairs:
            if not self._is_short(short):
                continue
            shown, size, left = self._shown_in_train(), self._size(short), self._scenes_in(other)
            reason = f"{short} was too small" if size else f"{short} was empty"
            for scene in left[: len(left) - 1]:
                if self._gets_nearer(size, scene, short) and (short == "train" or self._is_spare(scene, shown)):
                    self._move(scene, short, reason)
                    size += len(scene)
                    shown.subtract(self._shown_in(scene))
            if not size and len(left) > 1:
                wanted = self._wanted[short]
                self._move(min(left, key=lambda scene: abs(len(scene) - wanted)), short, reason)

    def _teach(self) -> None:
        """Move to train the scenes of val that show classes which train does not; val keeps one at least."""
        shown, size = self._shown_in_train(), self._size("val")
        scene_of = {name: scene for scene in self._scenes for name in scene}
        for name in [name for name, part in self.part_of.items() if part == "val"]:
            if self.part_of[name] == "train" or all(shown[class_id] for class_id in self._class_ids[name]):
                continue
            scene = scene_of[name]
            if len(scene) == size:
                all_shown = shown + self._shown_in(scene)
                spare = next((its for its in self._scenes_in("train") if self._is_spare(its, all_shown)), None)
                if spare is None:
                    continue
                self._move(spare, "val", "val would be empty without it")
                shown.subtract(self._shown_in(spare))
                size += len(spare)
            self._move(scene, "train", "it shows a class that train did not")
            shown.update(self._shown_in(scene))
            size -= len(scene)

    def _test(self) -> None:
        """Move to val what train can spare of the classes that val has lost on the way, the smallest scene first."""
        shown_in_val = self._shown_in(name for name, part in self.part_of.items() if part == "val")
        shown = self._shown_in_train()
        for class_id in sorted(self._shown_in_val):
            spare = [scene for scene in self._scenes_in("train") if class_id in self._shown_in(scene)
                     and self._is_spare(scene, shown)]  # fmt: skip
            if shown_in_val[class_id] or not spare:
                continue
            scene = min(spare, key=len)
            self._move(scene, "val", "val had lost a class that it shows")
            shown.subtract(self._shown_in(scene))
            shown_in_val.update(self._shown_in(scene))


def _in_random_order(groups: Iterable[list[str]]) -> list[list[str]]:
    """Sort by a hash of the first name in each: random, but the same every time."""
    return sorted(groups, key=lambda names: hashlib.sha256(min(names).encode()).digest())
