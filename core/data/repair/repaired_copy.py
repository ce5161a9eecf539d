"""A repaired copy of a data set in VOC's layout; the originals are only read.

    JPEGImages/ SegmentationClass/ ImageSets/Segmentation/   what can be trained on
    classes.txt                                              where the classes are known
    set_aside/photos/ set_aside/masks/                       files that only a guess could repair, copies of photos
    repair.csv                                               file, action and detail of every change

The doctor finds no error in the copy. Warnings that the user may accept stay: masks of background only, a class that is
only in val, photos that look alike in train and val. Where train or val is empty, both are split again, stratified.
Masks without a palette get one, which changes no id; one that contradicts the ids stays, and so does its warning.
Other files (annotations, photos without masks) are not copied.
"""

import csv
import itertools
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from core.classes import CLASSES_FILE, NUMBERED, REPAIR_REPORT, VOC_CLASSES, Classes, write_classes
from core.data.dataset import LISTS, Contents, Sample, read_contents
from core.data.doctor.diagnosis import Report, names_by_split, read_pairs, report, unlisted_pairs, unread_pictures
from core.data.doctor.pair_checks import ExaminedPair
from core.data.doctor.problems import HIDDEN, Entry, Problem, printable
from core.data.doctor.set_checks import check_set
from core.data.repair.label_decisions import Decision, newest, pair_keys, read_decisions
from core.data.repair.mask_encoding import conclude, cut_in_the_middle, known_classes, palettes_of_ids, survey
from core.data.repair.remedies import smoothed_masks
from core.data.repair.repaired_pair import MASKS, PHOTOS, Change, RepairPlan, put_aside, write_pair
from core.data.repair.repaired_splits import Splits, settle
from core.data.statistics.split_stats import in_threads
from core.errors import DataError
from core.files import output_folder
from core.jobs import OnProgress
from core.wording import count, csv_text, numbered

MAYBE_SMOOTHED = frozenset(("lossy mask", "stray ids", "grey mask"))
"""Findings about masks that may be black and white with grey edges."""

MENDED = frozenset(
    ("duplicate photo", "grey mask", "non-ascii name", "odd extension", "rotated photo", *HIDDEN.values())
)
"""Kinds of warnings that a copy no longer gives; it gives no errors at all."""

MAX_NAME_LENGTH = 240
"""File systems allow names of 255 bytes; the rest is for a number and an extension."""


@dataclass(frozen=True)
class RepairReport:
    """The copy, the number of pairs in its lists, the changes, and the doctor's report on the source."""

    root: Path
    images: int
    changes: tuple[Change, ...]
    source: Report

    def as_dict(self) -> dict[str, Any]:
        """Return JSON types with the keys of `repaired` in `core doctor --repair --json`."""
        return {"data": str(self.root), "images": self.images, "changes": [vars(change) for change in self.changes]}


def repair(
    path: Path | str,
    out: Path | str,
    on_progress: OnProgress | None = None,
    *,
    table: Classes | None = None,
    split_anew: bool = False,
) -> RepairReport:
    """Write a repaired copy of a data set to `out`, a new or empty folder: all of it, or nothing.

    `on_progress` counts pairs: reading, writing and reading the copy are a third each. `table` are the classes, if
    other than the folder's. With `split_anew`, as always without lists, train and val are split again. A folder that is
    not a data set, `out` inside it, or fewer than two usable pairs raise `DataError`.
    """
    contents, out = read_contents(Path(path)), Path(out)
    if out.resolve().is_relative_to(contents.root.resolve()):
        raise DataError(f"{out} lies in the data set itself, which stays as it is; choose a folder outside of it.")
    steps = _thirds(on_progress)
    with output_folder(out) as folder:
        pairs = read_pairs(contents, next(steps))
        decisions, about_decisions = _decisions(contents, pairs)
        plan = _plan(contents, pairs, folder, table, decisions)
        written, changes = _write_pairs(plan, pairs, next(steps))
        changes += about_decisions
        changes += [*_about_lists(contents), *_put_unused_aside(plan), *_write_classes(plan)]
        splits, moves = _settle(plan, written, next(steps), split_anew=split_anew)
        changes = [replace(each, file=printable(each.file), detail=printable(each.detail)) for each in changes + moves]
        rows = [(change.file, change.action, change.detail) for change in changes]
        (folder / REPAIR_REPORT).write_text(csv_text(("file", "action", "detail"), rows), encoding="utf-8")
    num_listed = len({name for names in splits.names.values() for name in names})
    return RepairReport(out.resolve(), num_listed, tuple(changes), report(contents, pairs))


def would_mend(found: Report) -> bool:
    """Return whether a repaired copy would mend one of these findings, or carry out a decision about labels."""
    root = str(found.root)
    return any(each.severity == "error" or each.kind in MENDED for each in found.findings) or any(
        each.data == root and each.action in ("take", "void") for each in read_decisions()[0]
    )


def changes_of(root: Path) -> list[Change]:
    """Return what the repair changed, from the report in a repaired copy; nothing for any other folder."""
    try:
        with (root / REPAIR_REPORT).open(encoding="utf-8", newline="") as file:
            return [Change(row["file"], row["action"], row["detail"]) for row in csv.DictReader(file)]
    except (OSError, ValueError, KeyError):
        return []


def _thirds(on_progress: OnProgress | None) -> Iterator[OnProgress]:
    """Return callbacks for three passes; the total of the first is the total of all."""
    count = 0

    def step(pass_number: int) -> OnProgress:
        def report_step(done: int, total: int) -> None:
            nonlocal count
            count = count or total
            if on_progress:
                on_progress(int(count * (pass_number + done / total) / 3 + 1e-6), count)

        return report_step

    return map(step, range(3))


def _decisions(contents: Contents, pairs: Sequence[ExaminedPair]) -> tuple[dict[str, list[Decision]], list[Change]]:
    """Return by name what a person decided to change in the masks, and notes on decisions that cannot be applied."""
    found, notes = read_decisions()
    changes = [Change(contents.mask_dir.name, "decisions left out", note) for note in notes]
    names = {decision.region.photo for decision in found}
    entries = [pair.entry for pair in pairs if pair.photo and pair.mask]
    hashed = pair_keys(Sample(e.name, e.photo, e.mask) for e in entries if found and e.photo and e.mask)
    of_pair: dict[str, list[Decision]] = {}
    for decision in found:
        of_pair.setdefault(decision.region.pair, []).append(decision)
    root = str(contents.root.resolve())
    for name in sorted(names & hashed.keys()):
        old = [each for each in found if (each.data, each.region.photo) == (root, name)]
        if any(each.region.pair != hashed[name] and each.action in ("take", "void") for each in old):
            detail = "photo or mask have changed since a region was decided; look at it again under Labels"
            changes.append(Change(f"{contents.mask_dir.name}/{name}.png", "decision left out", detail))
    held = {name: newest(of_pair[pair]) for name, pair in hashed.items() if pair in of_pair}
    return {name: [each for each in its if each.action in ("take", "void")] for name, its in held.items()}, changes


def _plan(
    contents: Contents,
    pairs: Sequence[ExaminedPair],
    folder: Path,
    table: Classes | None,
    decisions: Mapping[str, Sequence[Decision]],
) -> RepairPlan:
    """Decide what mask values mean, and the new names."""
    found: dict[str, list[Problem]] = {pair.entry.name: list(pair.problems) for pair in pairs}
    for entry, problem in check_set(contents, names_by_split(contents), pairs):
        found[entry.name].append(problem)
    kinds = {name: frozenset(p.kind for p in its if p.severity == "error") for name, its in found.items()}
    assumed = VOC_CLASSES if contents.classes == VOC_CLASSES else NUMBERED
    given = table or known_classes(contents, pairs)
    is_named = bool(table) or (contents.root / CLASSES_FILE).exists() or given not in (None, contents.classes)
    files = {pair.entry.name: pair.entry.mask_file for pair in pairs if pair.mask and pair.entry.mask_file}
    may_be_cut = (not given or len(given) == len("01")) and any(its & MAYBE_SMOOTHED for its in kinds.values())
    if smoothed := smoothed_masks(files) if may_be_cut else frozenset():
        encoding = cut_in_the_middle(smoothed, given)
    else:
        seen = survey(pairs, kinds, given or assumed, palettes_of_ids(contents, given, is_named=is_named))
        encoding = conclude(seen, given, assumed)
    photos = {pair.entry.name: pair.entry.photo_file for pair in pairs}
    return RepairPlan(contents, found, photos, encoding, new_names([pair.entry for pair in pairs]), folder, decisions)


def _write_pairs(
    plan: RepairPlan, pairs: Sequence[ExaminedPair], on_progress: OnProgress
) -> tuple[dict[str, str], list[Change]]:
    """Write all repairable pairs; return their new names by the old ones, and the changes."""
    for place in (PHOTOS, MASKS, LISTS):
        (plan.folder / place).mkdir(parents=True)
    written: dict[str, str] = {}
    changes: list[Change] = []
    results = in_threads(lambda pair: write_pair(plan, pair), pairs, on_progress)
    for pair, (is_written, its) in zip(pairs, results, strict=True):
        changes += its
        written |= {pair.entry.name: plan.names[pair.entry.name]} if is_written else {}
    return written, changes


def _put_unused_aside(plan: RepairPlan) -> Iterator[Change]:
    """Set files aside that another file of the same name hides."""
    for what, kind in HIDDEN.items():
        hidden = (problem.file for its in plan.problems.values() for problem in its if problem.kind == kind)
        for file in (file for file in hidden if file):
            failure = put_aside(plan.folder, file, what)
            detail = f"{kind} ({failure})" if failure else kind
            yield Change(plan.relative(file), "left out" if failure else "set aside", detail)


def _write_classes(plan: RepairPlan) -> Iterator[Change]:
    classes, background = plan.encoding.classes, plan.encoding.guessed_background
    if background:
        detail = f"the colour {background} is taken for it, since no mask has black and this one is at most borders"
        yield Change(CLASSES_FILE, "background guessed", detail)
    if classes != NUMBERED:  # also VOC's: the copy's folder is not recognized as VOC's
        write_classes(plan.folder, classes)
        is_named = (plan.contents.root / CLASSES_FILE).exists() or classes == VOC_CLASSES
        if classes != plan.contents.classes or not is_named:
            yield Change(CLASSES_FILE, "classes named", f"{', '.join(classes.names)}: edit the names in {CLASSES_FILE}")


def _about_lists(contents: Contents) -> Iterator[Change]:
    """Yield the changes of lists, and the pairs that are not copied."""
    for file in unread_pictures(contents):
        yield Change(file.relative_to(contents.root).as_posix(), "left out", "its name is not UTF-8")
    used = names_by_split(contents)
    for file, names in contents.lists.items():
        place = file.relative_to(contents.root).as_posix()
        if file.stem not in used:
            yield Change(place, "left out", "none of its photos has a mask")
        for name in (name for name, times in Counter(names).items() if times > 1 and file.stem in used):
            yield Change(place, "line removed", f"{name} was listed more than once")
    if unlisted := unlisted_pairs(contents):
        yield Change(
            LISTS.as_posix(), "left out", f"pairs that are in no list ({len(unlisted)}): {', '.join(unlisted)}"
        )


def _settle(
    plan: RepairPlan, written: Mapping[str, str], on_progress: OnProgress, *, split_anew: bool
) -> tuple[Splits, list[Change]]:
    """Write lists without errors, and move pairs that are in none of them aside."""
    drafts = {
        split: [written[name] for name in dict.fromkeys(names) if name in written]
        for split, names in names_by_split(plan.contents).items()
    }
    chosen = list(dict.fromkeys([*drafts["train"], *drafts["val"]]))
    if split_anew or not plan.contents.lists or not chosen:
        drafts |= {
            "train": chosen or list(written.values()),
            "val": [],
        }  # `settle` splits both again where val is empty
    _write_lists(plan.folder, drafts)
    copy = read_contents(plan.folder)
    splits = settle(read_pairs(copy, on_progress) if written else [], drafts)
    if min(len(splits.names["train"]), len(splits.names["val"])) < 1:
        num_left = len(splits.names["train"]) + len(splits.names["val"])
        raise DataError(
            f"Only {num_left} of {count(len(plan.names), 'pair')} of {plan.contents.root} can be used, and train "
            "and val need one each; run the doctor to see what is wrong with the others."
        )
    _write_lists(plan.folder, splits.names)
    return splits, [*_put_unlisted_aside(plan, copy, splits, written), *_about_new_lists(splits)]


def _write_lists(folder: Path, names_by_list: Mapping[str, Sequence[str]]) -> None:
    """Write train and val, and every other list that has names."""
    for split, names in names_by_list.items():
        file = folder / LISTS / f"{split}.txt"
        file.unlink(missing_ok=True)
        if names or split in ("train", "val"):
            file.write_text("".join(f"{name}\n" for name in names), encoding="utf-8")


def _put_unlisted_aside(
    plan: RepairPlan, copy: Contents, splits: Splits, written: Mapping[str, str]
) -> Iterator[Change]:
    """Move the files of pairs that were taken off all lists, and yield these changes and moves."""
    old_names = {new: old for old, new in written.items()}
    for new, reason in splits.aside.items():
        for what, file in (("photos", copy.photos[new]), ("masks", copy.masks[new])):
            put_aside(plan.folder, file, what)
            file.unlink()
        yield Change(plan.photo_of(old_names[new]), "set aside", reason)
    for new, what in splits.moved:
        if new not in splits.aside:
            yield Change(plan.photo_of(old_names[new]), "moved", what)


def _about_new_lists(splits: Splits) -> Iterator[Change]:
    for split, action, detail in splits.notes:
        yield Change((LISTS / f"{split}.txt" if split else LISTS).as_posix(), action, detail)
    for split, names in splits.names.items():
        if not names:
            yield Change((LISTS / f"{split}.txt").as_posix(), "left out", "no pair is left in it")


def new_names(entries: Sequence[Entry]) -> dict[str, str]:
    """Return the new name of every entry by its old one: its photo's, made plain and unique."""
    wanted = {entry.name: entry.photo_file.stem if entry.photo_file else entry.name for entry in entries}
    names: dict[str, str] = {}
    taken: set[str] = set()
    for name in sorted(wanted, key=lambda name: plain(wanted[name]) != wanted[name]):  # plain names keep theirs
        names[name] = _free(plain(wanted[name]), taken)
        taken.add(names[name].casefold())
    return names


def plain(name: str) -> str:
    """Return a name in ASCII, at most 240 letters, without spaces and slashes; "" if that is impossible."""
    letters = "".join(c for c in unicodedata.normalize("NFKD", name) if not unicodedata.combining(c))
    return re.sub(r"[\s/\\]+", "_", letters.strip())[:MAX_NAME_LENGTH] if letters.isascii() else ""


def _free(name: str, taken: set[str]) -> str:
    """Return the name, with a number if it is taken; photo_1, photo_2 and so on for ""."""
    candidates = numbered(name, "_") if name else (f"photo_{number}" for number in itertools.count(1))
    return next(candidate for candidate in candidates if candidate.casefold() not in taken)
