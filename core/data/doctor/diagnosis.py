"""What is wrong with a data set, file by file: nothing is raised for a bad file, everything is reported.

Examined are the photos and masks that the split lists name, or all masks where there are no lists. A finding is an
error where training or evaluation would fail or be wrong, a warning where it may be meant.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from core.data.dataset import (
    LISTS,
    Contents,
    Sample,
    no_masks,
    random_splits,
    unread_photos,
)
from core.data.doctor.pair_checks import ExaminedPair, examine_pair
from core.data.doctor.problems import Entry, Problem, Severity, printable
from core.data.doctor.set_checks import check_set, leaks
from core.data.pair_names import PHOTO_SUFFIXES, bare, folded, near
from core.data.statistics.split_stats import MAX_THREADS
from core.jobs import OnProgress
from core.wording import count, csv_text

UNREAD_LISTS = ("train.txt", "val.txt", "trainval.txt")
"""What lists are called that lie beside the photos, where nothing reads them."""

MIN_VAL_PHOTOS = 10
"""With fewer photos in val a score is mostly luck."""


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


def read_pairs(contents: Contents, on_progress: OnProgress | None = None) -> list[ExaminedPair]:
    """Read every photo and mask once: the one pass over all files, in the order of the lists.

    A folder without lists and without masks raises `DataError`.
    """
    entries = _entries(contents)
    examined = []
    with ThreadPoolExecutor(MAX_THREADS) as pool:
        for pair in pool.map(lambda entry: examine_pair(entry, contents), entries):
            examined.append(pair)
            if on_progress:
                on_progress(len(examined), len(entries))
    return examined


def report(contents: Contents, examined: Sequence[ExaminedPair]) -> Report:
    """Sum up what is wrong with each pair and between them; no file is read again."""
    names = names_by_split(contents)
    findings = [
        *_about_splits(contents, names),
        *_about_leaks(names, examined),
        *_about_unread(contents),
        *_about_unread_lists(contents),
        *(_finding(contents, pair.entry, problem) for pair in examined for problem in pair.problems),
        *(_finding(contents, *found) for found in check_set(contents, names, examined)),
    ]
    told = (replace(found, file=printable(found.file), detail=printable(found.detail)) for found in findings)
    return Report(
        root=contents.root.resolve(),
        images=sum(pair.entry.photo_file is not None for pair in examined),
        masks=sum(pair.entry.mask_file is not None for pair in examined),
        findings=tuple(sorted(told, key=lambda found: (found.severity, found.kind, found.file))),
    )


def report_csv(examined: Report) -> str:
    """Return the findings as CSV for a spreadsheet, a header first."""
    return csv_text(
        ("severity", "kind", "file", "split", "detail"),
        [(found.severity, found.kind, found.file, found.split or "", found.detail) for found in examined.findings],
    )


# --- which files ----------------------------------------------------------------------------------------------------


def names_by_split(contents: Contents) -> dict[str, list[str]]:
    """Return the names in each split, train and val first; both are there, if only as empty ones.

    Besides, every list of `Contents.lists` is one unless it holds photos without truth, as VOC's test.txt. So these are
    all the splits of `open_dataset`, and more: a list whose names differ from the files' in case, or have an
    extension, is one that can be told of, while there it holds nothing that can be used.
    """
    found: dict[str, list[str]] = {"train": [], "val": []}
    if contents.lists:
        masks = {spelling for name in contents.masks for spelling in (name.casefold(), bare(name))}
        for file, names in contents.lists.items():
            # train and val must have masks, so they are splits even if they have none.
            if not names or file.stem in found or any(folded(name) & masks for name in names):
                found[file.stem] = names
        return found
    photo_of = near(contents.photos, contents.masks)
    photos = {name: contents.photos.get(name) or photo_of(name) for name in contents.masks}
    pairs = [Sample(name, photo, contents.masks[name]) for name, photo in photos.items() if photo]
    return found | {split: [sample.name for sample in part] for split, part in random_splits(pairs, seed=0).items()}


def _entries(contents: Contents) -> list[Entry]:
    if not contents.masks and not contents.lists:
        raise no_masks(contents.mask_dir)
    splits: dict[str, list[str]] = {}
    for split, names in names_by_split(contents).items():
        for name in dict.fromkeys(names):
            splits.setdefault(name, []).append(split)
    near_photo, near_mask = near(contents.photos, contents.masks), near(contents.masks, contents.photos)
    unread = unread_photos(contents.photo_dir)
    names = [*splits, *(name for name in contents.masks if not contents.lists and name not in splits)]
    return [
        Entry(
            name,
            tuple(splits.get(name, ())),
            contents.photos.get(name),
            contents.masks.get(name),
            near_photo(name),
            near_mask(name),
            unread.get(name),
        )
        for name in names
    ]


def _finding(contents: Contents, entry: Entry, problem: Problem) -> Finding:
    """Name the file, always one within the root: where one is missing, the place it should be in."""
    name = Path(entry.name).name
    photo = entry.photo_file or f"{contents.photo_dir.name}/{name}.jpg"
    mask = entry.mask_file or f"{contents.mask_dir.name}/{name}.png"
    file = problem.file or (mask if problem.is_of_mask else photo)
    relative = file.relative_to(contents.root).as_posix() if isinstance(file, Path) else file
    return Finding(relative, entry.split, problem.kind, problem.detail, problem.severity)


def _about_splits(contents: Contents, names_by_split: Mapping[str, Sequence[str]]) -> Iterator[Finding]:
    for split, names in names_by_split.items():
        if not names:
            file = (LISTS / f"{split}.txt").as_posix() if contents.lists else contents.mask_dir.name
            detail = f"There is no photo in {split}, so nothing can be done with it; list at least one photo."
            yield Finding(file, split, "empty split", detail, "error")
    if 0 < (num_val := len(set(names_by_split["val"]))) < MIN_VAL_PHOTOS:
        file = (LISTS / "val.txt").as_posix() if contents.lists else contents.mask_dir.name
        detail = (
            f"val has {count(num_val, 'photo')}, so its score is mostly luck; label more photos, ten or more for val."
        )
        yield Finding(file, "val", "few validation photos", detail, "warning")
    if num_unlisted := len(unlisted_pairs(contents)):
        pairs = f"{num_unlisted} pair{'s are' if num_unlisted > 1 else ' is'} in no split"
        detail = f"{pairs}, so nothing is learnt from them; add their names to a list, or remove the files."
        yield Finding(LISTS.as_posix(), None, "unlisted pairs", detail, "warning")


def _about_leaks(names_by_split: Mapping[str, Sequence[str]], examined: Sequence[ExaminedPair]) -> Iterator[Finding]:
    """Tell once of every other list to train on that photos of val are in it."""
    for split, names in leaks(names_by_split, examined).items():
        photos = f"{len(names)} photo{'s of val are' if len(names) > 1 else ' of val is'} in {split}"
        detail = f"{photos} too, so the score on val is too good after training on it; take them off {split}."
        yield Finding((LISTS / f"{split}.txt").as_posix(), split, "leak", detail, "error")


def _about_unread(contents: Contents) -> Iterator[Finding]:
    for file in unread_pictures(contents):
        detail = "Its name is no text in UTF-8, so it is never read; rename it, and photo and mask alike."
        yield Finding(file.relative_to(contents.root).as_posix(), None, "odd name", detail, "warning")


def _about_unread_lists(contents: Contents) -> Iterator[Finding]:
    """Tell of lists that lie where other programs want them, while the pairs are split at random."""
    for name in UNREAD_LISTS if not contents.lists else ():
        if (contents.root / name).is_file():
            detail = f"This list is not read; write its names, one a line, to {(LISTS / name).as_posix()}."
            yield Finding(name, Path(name).stem, "unread list", detail, "warning")


def unread_pictures(contents: Contents) -> list[Path]:
    """Return the photos and masks whose names are no text, which nothing reads."""
    files = (file for folder in (contents.photo_dir, contents.mask_dir) for file in sorted(folder.iterdir()))
    return [file for file in files if file.suffix.lower() in PHOTO_SUFFIXES and not file.name.isprintable()]


def unlisted_pairs(contents: Contents) -> list[str]:
    """Return the names of pairs that no list names, in whatever case; none where there are no lists."""
    listed = {spelling for names in contents.lists.values() for name in names for spelling in folded(name)}
    pairs = [name for name in contents.masks if name in contents.photos] if contents.lists else []
    return [name for name in pairs if name.casefold() not in listed]
