"""The splits of an import: those that the source's folders are called after, else 80/20 at random from a fixed seed."""

import posixpath
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

from core.data.dataset import LABELLING, Sample, list_files, listed_names, random_splits
from core.data.importers.notes import Notes
from core.data.importers.plan import Plan
from core.data.pair_names import PHOTO_SUFFIXES, composed, plain_path
from core.errors import DataError
from core.files import read_lines
from core.wording import count

SEED = 0
LIST_PLACES = (".", "ImageSets/Segmentation", "ImageSets", "splits")
SPLITS = TRAIN, VAL, TEST = "train", "val", "test"
DRAFTS = "drafts"
"""The list of masks that are not done, in our own exports: their photos are imported, and are in no split."""

Splits = dict[str, tuple[Sample, ...]]

WORD = r"(?:(?P<train>train(?:ing)?)|(?P<val>val(?:id(?:ation)?)?)|(?P<test>test(?:ing)?))"
PHOTOS_OF_SPLIT = re.compile(WORD + r"(?:[-_]?(?:\d{4}|extra|images|imgs|photos))?", re.IGNORECASE)
"""train, valid, test2017, train_images: folders that hold a split, or its photos."""
MASKS_OF_SPLIT = re.compile(WORD + r"[-_]?(?:annot(?:ation)?s?|labels?|masks?|gt)", re.IGNORECASE)
"""trainannot, val_labels, test_masks: folders that hold the masks of a split, beside those of its photos."""
NUMBERED = re.compile(r"(.*?)(\d{1,18})(\D*)", re.DOTALL)
MIN_FRAMES = 3


def split_called(name: str, pattern: re.Pattern[str] = PHOTOS_OF_SPLIT) -> str | None:
    """Return the split that a folder is called after: train, val or test; None for any other name."""
    found = pattern.fullmatch(name)
    return found.lastgroup if found else None


def split_of(file: Path, root: Path) -> str | None:
    """Return the split that the outermost folder below `root` says a file is in, or None."""
    splits = map(split_called, file.relative_to(root).parent.parts)
    return next((split for split in splits if split), None)


def split_in_name(stem: str) -> str | None:
    """Return the split that is a word of a name, as in instances_val2017, or None."""
    splits = map(split_called, re.split(r"[^0-9A-Za-z]+", stem))
    return next((split for split in splits if split), None)


def with_listed_splits(plan: Plan, root: Path, notes: Notes) -> Plan:
    """Return a plan in which photos that no folder puts into a split are in that of the list file that names them.

    Lists are called after splits and lie in the root or in ImageSets. A line is a name, or a path and that of a mask.
    """
    plan = _without_drafts(plan, root, notes)
    if not root.is_dir() or all(drawing.split for drawing in plan.drawings):
        return plan
    split_by_name: dict[str, str] = {}
    splits_by_stem: dict[str, set[str]] = {}
    files = [file for place in LIST_PLACES for file in sorted((root / place).glob("[!.]*.txt"))]
    files = [file for file in files if split_in_name(file.stem) or file.stem == DRAFTS]
    for file in files:
        called = split_in_name(file.stem) or DRAFTS
        for name in {_listed(text) for line in read_lines(file) for text in (line, line.split()[0])}:
            split = split_by_name.setdefault(name, called)
            notes.count("Photos in several lists, of which the first counts", name, split != called)
            splits_by_stem.setdefault(name.rpartition("/")[2], set()).add(split)
    split_by_name |= {name: min(splits) for name, splits in splits_by_stem.items() if len(splits) == 1}
    drawings = []
    for drawing in plan.drawings:
        path = drawing.file.relative_to(root).as_posix() if drawing.file.is_relative_to(root) else drawing.file.name
        names = [_listed(path), composed(drawing.file.stem), composed(drawing.name)]
        chosen = drawing.split or next((split_by_name[name] for name in names if name in split_by_name), None)
        drawings.append(replace(drawing, split=chosen))
    if files and not any(drawing.split for drawing in drawings):
        notes.say(f"The lists of the source ({files[0].name}) name none of its photos, so they are not used.")
    return replace(plan, drawings=drawings)


def _without_drafts(plan: Plan, root: Path, notes: Notes) -> Plan:
    """Return the plan of a data set that is labelled here with the photos that its lists name: others are drafts."""
    files = list_files(root) if (root / LABELLING / "lock").exists() else []
    if not files:
        return plan
    stems = {drawing.file.stem for drawing in plan.drawings}
    done = {name for file in files for name in listed_names(file, stems)}
    drafts = [drawing.file for drawing in plan.drawings if composed(drawing.file.stem) not in done]
    if len(drafts) == len(plan.drawings):
        raise DataError(f"No photo of {root} is labelled and done yet; finish some on the page Label.")
    notes.count_all("Drafts that are not done on the page Label left out", drafts)
    return replace(plan, drawings=[drawing for drawing in plan.drawings if drawing.file not in set(drafts)])


def _listed(text: str) -> str:
    """Return a name in a list as it is compared: without the suffix of a photo, with plain slashes."""
    path = plain_path(text)
    stem, suffix = posixpath.splitext(path)
    return stem if suffix.lower() in PHOTO_SUFFIXES else path


def choose_splits(samples: Sequence[Sample], given: Mapping[str, str | None], notes: Notes) -> Splits:
    """Return the splits that the source gives its samples by name, as far as they can be trained with.

    Samples without a split join train, if others have one; drafts join none, unless there is nothing else. Where train
    or val stays empty, whatever is not in test is split at random; so are all samples where no split is given, or test
    alone.
    """
    drafts = [sample for sample in samples if given[sample.name] == DRAFTS]
    if len(drafts) < len(samples):
        notes.count_all(
            "Drafts are in no split until they are done on the page Label", [one.photo.name for one in drafts]
        )
        samples = [sample for sample in samples if given[sample.name] != DRAFTS]
    else:
        given = dict.fromkeys(given)
    strays = [sample for sample in samples if any(given.values()) and not given[sample.name]]
    notes.count_all("Photos outside the folders and lists of splits put into train", [one.photo.name for one in strays])
    parts = {split: tuple(sample for sample in samples if (given[sample.name] or TRAIN) == split) for split in SPLITS}
    if parts[TRAIN] and parts[VAL]:
        sizes = ", ".join(f"{count(len(part), 'photo')} in {name}" for name, part in parts.items() if part)
        notes.say(f"The splits of the source are kept: {sizes}.")
    else:
        _say_why_random(parts, is_given=any(given.values()), notes=notes)
        pool, test = (parts[TRAIN] + parts[VAL], parts[TEST]) if parts[TRAIN] + parts[VAL] else (parts[TEST], ())
        parts = {**_random(pool, notes), TEST: test}
    return {name: part for name, part in parts.items() if part or name != TEST}


def _say_why_random(parts: Splits, *, is_given: bool, notes: Notes) -> None:
    missing = "splits"
    if is_given:
        missing = " or ".join(name for name in (TRAIN, VAL) if not parts[name])
    which = "its photos outside test" if parts[TEST] and (parts[TRAIN] or parts[VAL]) else "its photos"
    notes.say(f"The source has no {missing}, so {which} were split 80/20 at random (seed {SEED}).")


def _random(samples: Sequence[Sample], notes: Notes) -> Splits:
    """Split at random, with at least one photo in val if there are two."""
    splits = random_splits([*samples], SEED)
    if not splits[VAL] and len(samples) > 1:
        splits = {TRAIN: splits[TRAIN][:-1], VAL: splits[TRAIN][-1:]}
    if not splits[VAL]:
        notes.say("There is one photo only, so val is empty; add photos before you train.")
    if are_frames(sample.name for sample in samples):
        notes.say(
            "The photos are numbered in equal steps: if they are frames of a video, val shows nearly what train does; "
            "put whole videos into folders called train and val."
        )
    return splits


def are_frames(names: Iterable[str]) -> bool:
    """Return whether at least half of the names are numbered in equal steps, as the frames of a video are."""
    numbers: dict[tuple[str, str], list[int]] = {}
    total = 0
    for name in names:
        total += 1
        if parts := NUMBERED.fullmatch(name):
            numbers.setdefault((parts[1], parts[3]), []).append(int(parts[2]))
    in_steps = sum(len(found) for found in numbers.values() if _is_in_steps(sorted(found)))
    return in_steps > 0 and 2 * in_steps >= total


def _is_in_steps(numbers: Sequence[int]) -> bool:
    steps = Counter(after - before for before, after in pairwise(numbers))
    return len(numbers) >= MIN_FRAMES and 2 * steps.most_common(1)[0][1] > len(numbers) - 1
