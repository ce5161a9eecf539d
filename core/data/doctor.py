"""What is wrong with a data set, file by file: nothing is raised for a bad file, everything is reported.

Examined are the photos and masks that the split lists name, or all masks where there are no lists. A finding is an
error where training or evaluation would fail or be wrong, a warning where it may be meant.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from core.data.checks import Entry, ExaminedPair, Problem, Severity, examine_pair
from core.data.dataset import LISTS, Contents, Sample, random_splits, read_contents
from core.data.stats import MAX_THREADS
from core.errors import DataError

MAX_HASH_DISTANCE = 2
MAX_GREY_DIFFERENCE = 8.0
"""Photos are similar if their hashes are and their 9 x 8 thumbnails differ by no more grey levels on average."""


@dataclass(frozen=True)
class Finding:
    """Something wrong: `file` relative to the root; `detail` says what it does to training, and the remedy."""

    file: str
    split: str | None
    kind: str
    detail: str
    severity: Severity


@dataclass(frozen=True)
class Report:
    """What was examined (numbers of photos and masks that exist) and what was found, errors first."""

    root: Path
    images: int
    masks: int
    findings: tuple[Finding, ...]

    @property
    def counts(self) -> dict[str, int]:
        """Number of findings by kind."""
        return dict(Counter(finding.kind for finding in self.findings))

    def as_dict(self) -> dict[str, Any]:
        """Return JSON types with the keys of `core doctor --json`."""
        findings = [vars(finding) for finding in self.findings]
        return {"images": self.images, "masks": self.masks, "findings": findings, "counts": self.counts}


def examine(path: Path | str, on_progress: Callable[[int, int], None] | None = None) -> Report:
    """Check every photo and mask of a data set; `on_progress(done, total)` is called after each pair.

    Only a folder that is no data set at all, or a list that is no text, raises `DataError`.
    """
    contents = read_contents(Path(path))
    names_by_split = _names_by_split(contents)
    entries = _entries(contents, names_by_split)
    examined = []
    with ThreadPoolExecutor(MAX_THREADS) as pool:
        for pair in pool.map(lambda entry: examine_pair(entry, len(contents.classes)), entries):
            examined.append(pair)
            if on_progress:
                on_progress(len(examined), len(entries))
    findings = [
        *_empty_splits(contents, names_by_split),
        *(_finding(contents, pair.entry, problem) for pair in examined for problem in pair.problems),
        *(_finding(contents, entry, problem) for entry, problem in _over_all(contents, names_by_split, examined)),
    ]
    return Report(
        root=contents.root.resolve(),
        images=sum(entry.photo is not None for entry in entries),
        masks=sum(entry.mask is not None for entry in entries),
        findings=tuple(sorted(findings, key=lambda found: (found.severity, found.kind, found.file))),
    )


# --- which files ----------------------------------------------------------------------------------------------------


def _names_by_split(contents: Contents) -> dict[str, list[str]]:
    """Return the names in each split, train and val first; both are there, if only as empty ones."""
    found: dict[str, list[str]] = {"train": [], "val": []}
    if contents.lists:
        for file, names in contents.lists.items():
            # Photos without truth, as VOC's test.txt, are no split; train and val must have masks.
            if not names or file.stem in found or contents.has_masks_of(names):
                found[file.stem] = names
        return found
    pairs = [
        Sample(name, contents.photos[name], mask) for name, mask in contents.masks.items() if name in contents.photos
    ]
    return found | {split: [sample.name for sample in part] for split, part in random_splits(pairs, seed=0).items()}


def _entries(contents: Contents, names_by_split: dict[str, list[str]]) -> list[Entry]:
    if not contents.masks and not contents.lists:
        raise DataError(f"{contents.mask_dir} holds no masks; put one PNG per photo there, under the photo's name.")
    splits: dict[str, list[str]] = {}
    for split, names in names_by_split.items():
        for name in dict.fromkeys(names):
            splits.setdefault(name, []).append(split)
    names = [*splits, *(name for name in contents.masks if not contents.lists and name not in splits)]
    return [
        Entry(name, tuple(splits.get(name, ())), contents.photos.get(name), contents.masks.get(name)) for name in names
    ]


def _finding(contents: Contents, entry: Entry, problem: Problem) -> Finding:
    """Name the file: where one is missing, the place it should be in."""
    photo = entry.photo or contents.photo_dir / f"{entry.name}.jpg"
    mask = entry.mask or contents.mask_dir / f"{entry.name}.png"
    file = (mask if problem.is_of_mask else photo).relative_to(contents.root)
    return Finding(file.as_posix(), entry.split, problem.kind, problem.detail, problem.severity)


# --- over all pairs -------------------------------------------------------------------------------------------------


def _empty_splits(contents: Contents, names_by_split: dict[str, list[str]]) -> Iterator[Finding]:
    for split, names in names_by_split.items():
        if not names:
            file = (LISTS / f"{split}.txt").as_posix() if contents.lists else contents.mask_dir.name
            detail = f"There is no photo in {split}, so nothing can be done with it; list at least one photo."
            yield Finding(file, split, "empty split", detail, "error")


def _over_all(
    contents: Contents, names_by_split: dict[str, list[str]], examined: Sequence[ExaminedPair]
) -> Iterator[tuple[Entry, Problem]]:
    yield from _listed_twice(names_by_split, [pair.entry for pair in examined])
    yield from _duplicates(examined)
    yield from _similar(examined)
    yield from _only_in_val(examined, contents.classes.names)


def _copy(other: str, *, is_leak: bool) -> Problem:
    if is_leak:
        detail = f"{other} of train is the same photo, so the score on val is too good; keep it in one of the two."
        return Problem("duplicate photo", detail, is_of_mask=False)
    detail = f"{other} is the same photo, which counts twice in its split; remove one of them."
    return Problem("duplicate photo", detail, "warning", is_of_mask=False)


def _listed_twice(names_by_split: dict[str, list[str]], entries: Iterable[Entry]) -> Iterator[tuple[Entry, Problem]]:
    repeated = {name for names in names_by_split.values() for name, count in Counter(names).items() if count > 1}
    for entry in entries:
        is_leak = {"train", "val"} <= set(entry.splits)
        if is_leak or entry.name in repeated:
            yield entry, _copy(entry.name, is_leak=is_leak)


def _duplicates(examined: Sequence[ExaminedPair]) -> Iterator[tuple[Entry, Problem]]:
    """Find equal bytes under two names; each copy is told once, at val if the other one is in train."""
    groups: dict[bytes, list[Entry]] = {}
    for pair in examined:
        if pair.photo:
            groups.setdefault(pair.photo.digest, []).append(pair.entry)
    for entries in groups.values():
        told: dict[str, tuple[Entry, Problem]] = {}
        for first, second in combinations(entries, 2):
            is_leak = "train" in first.splits and "val" in second.splits
            if (is_leak or set(first.splits) & set(second.splits)) and second.name not in told:
                told[second.name] = second, _copy(first.name, is_leak=is_leak)
        yield from told.values()


def _similar(examined: Sequence[ExaminedPair]) -> Iterator[tuple[Entry, Problem]]:
    train = [(pair.entry, pair.photo) for pair in examined if pair.photo and "train" in pair.entry.splits]
    val = [(pair.entry, pair.photo) for pair in examined if pair.photo and "val" in pair.entry.splits]
    hashes_N = np.array([photo.hash for _, photo in train], dtype=np.uint64)
    for entry, photo in val:
        close = np.flatnonzero(np.bitwise_count(hashes_N ^ photo.hash) <= MAX_HASH_DISTANCE)
        for other, its in (train[index] for index in close):
            if its.digest != photo.digest and np.abs(its.grey_89 - photo.grey_89).mean() <= MAX_GREY_DIFFERENCE:
                remedy = "keep such photos in one split, if they are of one scene"
                detail = f"{other.name} of train looks the same, so the score on val may be too good; {remedy}."
                yield entry, Problem("similar photo", detail, "warning", is_of_mask=False)
                break


def _only_in_val(examined: Sequence[ExaminedPair], class_names: Sequence[str]) -> Iterator[tuple[Entry, Problem]]:
    """Tell a class that train never shows at the first mask of val that does."""
    taught = {class_id for pair in examined if "train" in pair.entry.splits for class_id in pair.class_ids}
    for pair in examined:
        for class_id in sorted(pair.class_ids - taught) if "val" in pair.entry.splits else ():
            taught.add(class_id)
            remedy = "list a photo of it in train"
            detail = f"'{class_names[class_id]}' is in val but never in train, so it cannot be learnt; {remedy}."
            yield pair.entry, Problem("class only in val", detail, "warning")
