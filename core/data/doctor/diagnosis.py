"""The doctor's report on a data set: bad files become findings, not exceptions.

It examines the photos and masks in the split lists, or all masks without lists. An error makes training or evaluation
fail or give wrong results; a warning may be intended.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from core.data.dataset import LABELLING, LEAST_DONE, LISTS, Contents, Sample, no_masks, random_splits, unread_photos
from core.data.doctor.pair_checks import ExaminedPair, examine_pair
from core.data.doctor.problems import Entry, Problem, Severity, printable
from core.data.doctor.set_checks import check_set, leaks
from core.data.pair_names import PHOTO_SUFFIXES, bare, folded, near
from core.data.statistics.split_stats import in_threads
from core.jobs import OnProgress
from core.wording import count, csv_text

UNREAD_LISTS = ("train.txt", "val.txt", "trainval.txt")
"""Names of lists that lie beside the photos, where nothing reads them."""

UNLABELLED = "no mask"
"""The kind of the finding about photos without a mask."""

BEGUN = "labelling begun"
"""The kind of the finding about a data set with too few labelled photos to train on: so far, not a fault."""

MIN_VAL_PHOTOS = 10
"""With fewer photos in val the score is mostly chance."""


@dataclass(frozen=True)
class Finding:
    """A problem of `file`, relative to the root; `detail` says its effect on training, and the remedy."""

    file: str
    split: str | None
    kind: str
    detail: str
    severity: Severity


@dataclass(frozen=True)
class Report:
    """Numbers of photos and masks examined, and the findings, errors first."""

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
    """Examine every photo and mask once, in the order of the lists; progress counts pairs.

    A folder without lists and without masks raises `DataError`.
    """
    return in_threads(lambda entry: examine_pair(entry, contents), _entries(contents), on_progress)


def report(contents: Contents, examined: Sequence[ExaminedPair]) -> Report:
    """Return the findings about each pair and between pairs; no file is read again."""
    names = names_by_split(contents)
    findings = [
        *_about_splits(contents, names),
        *_about_leaks(names, examined),
        *_about_unread(contents),
        *_about_unlabelled(contents, examined),
        *_about_unread_lists(contents),
        *(_finding(contents, pair.entry, problem) for pair in examined for problem in pair.problems),
        *(_finding(contents, *found) for found in check_set(contents, names, examined)),
    ]
    printed = (replace(found, file=printable(found.file), detail=printable(found.detail)) for found in findings)
    return Report(
        root=contents.root.resolve(),
        images=sum(pair.entry.photo_file is not None for pair in examined),
        masks=sum(pair.entry.mask_file is not None for pair in examined),
        findings=tuple(sorted(printed, key=lambda found: (found.severity, found.kind, found.file))),
    )


def report_csv(examined: Report) -> str:
    """Return the findings as CSV with a header."""
    return csv_text(
        ("severity", "kind", "file", "split", "detail"),
        [(found.severity, found.kind, found.file, found.split or "", found.detail) for found in examined.findings],
    )


def names_by_split(contents: Contents) -> dict[str, list[str]]:
    """Return the names in each split, train and val first, even if empty.

    A list is a split unless none of its photos has a mask, as in VOC's test.txt. This includes lists that
    `open_dataset` refuses, whose names differ from the files' in case or have an extension: they get findings.
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
    """Return a finding with its file relative to the root; a missing file is named where it should be."""
    name = Path(entry.name).name
    photo = entry.photo_file or f"{contents.photo_dir.name}/{name}.jpg"
    mask = entry.mask_file or f"{contents.mask_dir.name}/{name}.png"
    file = problem.file or (mask if problem.is_of_mask else photo)
    relative = file.relative_to(contents.root).as_posix() if isinstance(file, Path) else file
    return Finding(relative, entry.split, problem.kind, problem.detail, problem.severity)


def _about_splits(contents: Contents, names_by_split: Mapping[str, Sequence[str]]) -> Iterator[Finding]:
    done = {name for names in names_by_split.values() for name in names}
    if 0 < len(done) < LEAST_DONE <= len(contents.photos) and (contents.root / LABELLING).is_dir():
        are = "is" if len(done) == 1 else "are"
        detail = (
            f"{len(done)} of {count(len(contents.photos), 'photo')} {are} labelled; press Done on "
            f"{LEAST_DONE - len(done)} more on the page Label to train."
        )
        yield Finding(LISTS.as_posix(), None, BEGUN, detail, "warning")
        return
    for split, names in names_by_split.items():
        if not names:
            file = (LISTS / f"{split}.txt").as_posix() if contents.lists else contents.mask_dir.name
            detail = f"There is no photo in {split}, so it cannot be used; list at least one photo."
            yield Finding(file, split, "empty split", detail, "error")
    if 0 < (num_val := len(set(names_by_split["val"]))) < MIN_VAL_PHOTOS:
        file = (LISTS / "val.txt").as_posix() if contents.lists else contents.mask_dir.name
        detail = (
            f"val has {count(num_val, 'photo')}, so its score is mostly chance; label more photos, ten or more for val."
        )
        yield Finding(file, "val", "few validation photos", detail, "warning")
    if num_unlisted := len(unlisted_pairs(contents)):
        pairs = f"{num_unlisted} pair{'s are' if num_unlisted > 1 else ' is'} in no split"
        detail = f"{pairs}, so they are not used; add their names to a list, or remove the files."
        yield Finding(LISTS.as_posix(), None, "unlisted pairs", detail, "warning")


def _about_leaks(names_by_split: Mapping[str, Sequence[str]], examined: Sequence[ExaminedPair]) -> Iterator[Finding]:
    """Report every training list, except train, that has photos of val."""
    for split, names in leaks(names_by_split, examined).items():
        photos = f"{len(names)} photo{'s of val are' if len(names) > 1 else ' of val is'} in {split}"
        detail = f"{photos} too, so the score on val is too good after training on it; take them off {split}."
        yield Finding((LISTS / f"{split}.txt").as_posix(), split, "leak", detail, "error")


def _about_unread(contents: Contents) -> Iterator[Finding]:
    for file in unread_pictures(contents):
        detail = "Its name is not UTF-8, so it is never read; rename photo and mask."
        yield Finding(file.relative_to(contents.root).as_posix(), None, "odd name", detail, "warning")


def _about_unlabelled(contents: Contents, examined: Sequence[ExaminedPair]) -> Iterator[Finding]:
    """Report photos without a mask, once; where there are lists, they decide which photos are used."""
    used = {pair.entry.photo_file for pair in examined}
    left = [photo for photo in contents.photos.values() if photo not in used] if not contents.lists else []
    if left:
        photos = "1 photo has no mask and is" if len(left) == 1 else f"{len(left)} photos have no mask and are"
        file = left[0].relative_to(contents.root).as_posix()
        yield Finding(file, None, UNLABELLED, f"{photos} not used; draw masks on the page Label.", "warning")


def _about_unread_lists(contents: Contents) -> Iterator[Finding]:
    """Report lists in the places of other programs, if there are none where they are read."""
    for name in UNREAD_LISTS if not contents.lists else ():
        if (contents.root / name).is_file():
            detail = f"This list is not read; write its names, one a line, to {(LISTS / name).as_posix()}."
            yield Finding(name, Path(name).stem, "unread list", detail, "warning")


def unread_pictures(contents: Contents) -> list[Path]:
    """Return the photos and masks that are never read because their names are not UTF-8."""
    files = (file for folder in (contents.photo_dir, contents.mask_dir) for file in sorted(folder.iterdir()))
    return [file for file in files if file.suffix.lower() in PHOTO_SUFFIXES and not file.name.isprintable()]


def unlisted_pairs(contents: Contents) -> list[str]:
    """Return the names of pairs in no list, ignoring case; none if there are no lists, or those of a split view."""
    listed = {spelling for names in contents.lists.values() for name in names for spelling in folded(name)}
    pairs = [name for name in contents.masks if name in contents.photos] if contents.lists and not contents.view else []
    return [name for name in pairs if name.casefold() not in listed]
