"""What is wrong between the pairs of a data set, though each may be sound by itself."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np

from core.classes import CLASSES_FILE, VOC_CLASSES
from core.data.checks import ExaminedPair
from core.data.dataset import PHOTO_SUFFIXES, Contents
from core.data.mask_checks import luminances
from core.data.problems import Entry, Problem
from core.voc import BACKGROUND, VOID

MAX_HASH_DISTANCE = 2
MAX_GREY_DIFFERENCE = 8.0
"""Photos are similar if their hashes are and their 9 x 8 thumbnails differ by no more grey levels on average."""

Found = Iterator[tuple[Entry, Problem]]


def check_set(contents: Contents, names_by_split: Mapping[str, Sequence[str]], pairs: Sequence[ExaminedPair]) -> Found:
    """Tell what is wrong between pairs, each problem with the entry that it is told for."""
    yield from _listed_twice(names_by_split, [pair.entry for pair in pairs])
    yield from _same_photos(pairs)
    yield from _similar_photos(pairs)
    yield from _only_in_val(pairs, contents.classes.names)
    yield from _files_of_one_name(contents, [pair.entry for pair in pairs])
    yield from _unnamed_classes(contents, pairs)
    yield from _grey_among_colored(pairs)
    yield from _grey_among_grey(contents, pairs)


# --- photos ---------------------------------------------------------------------------------------------------------


def _copy(other: str, *, is_leak: bool) -> Problem:
    if is_leak:
        detail = f"{other} of train is the same photo, so the score on val is too good; keep it in one of the two."
        return Problem("duplicate photo", detail, is_of_mask=False, other=other)
    detail = f"{other} is the same photo, which counts twice in its split; remove one of them."
    return Problem("duplicate photo", detail, "warning", is_of_mask=False, other=other)


def _listed_twice(names_by_split: Mapping[str, Sequence[str]], entries: Iterable[Entry]) -> Found:
    repeated = {name for names in names_by_split.values() for name, count in Counter(names).items() if count > 1}
    for entry in entries:
        is_leak = {"train", "val"} <= set(entry.splits)
        if is_leak or entry.name in repeated:
            yield entry, _copy(entry.name, is_leak=is_leak)


def _same_photos(pairs: Sequence[ExaminedPair]) -> Found:
    """Find equal bytes under two names; each copy is told once, at val if the other one is in train."""
    groups: dict[bytes, list[Entry]] = {}
    for pair in pairs:
        if pair.photo:
            groups.setdefault(pair.photo.digest, []).append(pair.entry)
    for entries in groups.values():
        told: dict[str, tuple[Entry, Problem]] = {}
        for one, two in combinations(entries, 2):
            first, second = (two, one) if "train" in two.splits and "val" in one.splits else (one, two)
            is_leak = "train" in first.splits and "val" in second.splits
            if (is_leak or set(first.splits) & set(second.splits)) and second.name not in told:
                told[second.name] = second, _copy(first.name, is_leak=is_leak)
        yield from told.values()


def _similar_photos(pairs: Sequence[ExaminedPair]) -> Found:
    train = [(pair.entry, pair.photo) for pair in pairs if pair.photo and "train" in pair.entry.splits]
    val = [(pair.entry, pair.photo) for pair in pairs if pair.photo and "val" in pair.entry.splits]
    hashes_N = np.array([photo.hash for _, photo in train], dtype=np.uint64)
    for entry, photo in val:
        close = np.flatnonzero(np.bitwise_count(hashes_N ^ photo.hash) <= MAX_HASH_DISTANCE)
        for other, its in (train[index] for index in close):
            if its.digest != photo.digest and np.abs(its.grey_89 - photo.grey_89).mean() <= MAX_GREY_DIFFERENCE:
                remedy = "keep such photos in one split, if they are of one scene"
                detail = f"{other.name} of train looks the same, so the score on val may be too good; {remedy}."
                yield entry, Problem("similar photo", detail, "warning", is_of_mask=False, other=other.name)
                break


def _files_of_one_name(contents: Contents, entries: Iterable[Entry]) -> Found:
    """Tell of files that are never read because another one has their name."""
    for what, folder in (("photos", contents.photo_dir), ("masks", contents.mask_dir)):
        used = {entry.name: entry.photo if what == "photos" else entry.mask for entry in entries}
        for file in sorted(folder.iterdir()):
            entry_s_own = used.get(file.stem)
            if file.suffix.lower() in PHOTO_SUFFIXES and entry_s_own and entry_s_own != file:
                entry = next(entry for entry in entries if entry.name == file.stem)
                detail = f"{entry_s_own.name} has the same name and is used in its place; remove or rename one of them."
                yield entry, Problem(f"two {what} of one name", detail, "warning", file=file)


# --- classes --------------------------------------------------------------------------------------------------------


def _only_in_val(pairs: Sequence[ExaminedPair], class_names: Sequence[str]) -> Found:
    """Tell a class that train never shows at the first mask of val that does."""
    taught = {class_id for pair in pairs if "train" in pair.entry.splits for class_id in pair.class_ids}
    for pair in pairs:
        for class_id in sorted(pair.class_ids - taught) if "val" in pair.entry.splits else ():
            taught.add(class_id)
            remedy = "list a photo of it in train"
            detail = f"'{class_names[class_id]}' is in val but never in train, so it cannot be learnt; {remedy}."
            yield pair.entry, Problem("class only in val", detail, "warning")


def _unnamed_classes(contents: Contents, pairs: Sequence[ExaminedPair]) -> Found:
    """Tell once that the colours of masks are those of no named classes."""
    if (contents.root / CLASSES_FILE).exists():
        return
    remedy = f"name the classes in {CLASSES_FILE}, one a line, the background first"
    other = [pair.entry for pair in pairs if pair.mask and pair.mask.colors == "other"]
    usual = [pair.entry for pair in pairs if pair.mask and pair.mask.colors == "usual"]
    if other:
        masks = f"{len(other)} mask{'s have' if len(other) > 1 else ' has'} another palette than the classes"
        detail = f"{masks}, so wrong names may be shown for what is learnt; {remedy}."
        yield other[0], Problem("unnamed classes", detail, "warning")
    elif contents.classes != VOC_CLASSES and usual:
        detail = f"The masks have a palette of their own, so their classes are numbers without names; {remedy}."
        yield usual[0], Problem("unnamed classes", detail, "warning")


def _grey_among_colored(pairs: Sequence[ExaminedPair]) -> Found:
    """Tell of masks without a palette where most masks of their folder have one."""
    for group in _by_folder(pairs):
        num_colored = sum(pair.mask is not None and pair.mask.colors != "grey" for pair in group)
        for pair in group if 2 * num_colored > len(group) else ():
            if _is_sound_grey(pair):
                remedy = "make sure that its ids mean the same classes"
                detail = f"It has no palette, though most masks do: its ids may be of other classes; {remedy}."
                yield pair.entry, Problem("grey mask", detail, "warning")


def _grey_among_grey(contents: Contents, pairs: Sequence[ExaminedPair]) -> Found:
    """Tell of masks whose greys pass for ids, while most grey masks of their folder are pictures of the palette."""
    greys = luminances(contents.classes).keys()
    for group in _by_folder(pairs):
        sound = [pair for pair in group if _is_sound_grey(pair)]
        pictures = [p for p in group if p.mask and "grey mask" in p.kinds and p.mask.values <= greys]
        for pair in sound if len(pictures) > len(sound) else ():
            if pair.mask and pair.mask.values <= greys:
                harm = "Most masks hold the greys of colours, so these are no ids either, and wrong classes are learnt"
                yield pair.entry, Problem("grey mask", f"{harm}; number the levels, as the repair does.")


def _by_folder(pairs: Sequence[ExaminedPair]) -> list[list[ExaminedPair]]:
    """Group by the folder of the masks: those of `SegmentationClassAug` have another origin."""
    groups: dict[Path, list[ExaminedPair]] = {}
    for pair in pairs:
        if pair.mask and pair.entry.mask_file:
            groups.setdefault(pair.entry.mask_file.parent, []).append(pair)
    return list(groups.values())


def _is_sound_grey(pair: ExaminedPair) -> bool:
    """Tell whether a mask without a palette holds ids of classes, as far as can be seen by itself."""
    objects = pair.mask.values - {BACKGROUND, VOID} if pair.mask and pair.mask.colors == "grey" else None
    return bool(objects) and not any(problem.is_of_mask and problem.severity == "error" for problem in pair.problems)
