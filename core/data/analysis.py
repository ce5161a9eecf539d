"""The analysis of a data set: statistics and findings from one pass over its files, cached until a file changes.

    cache/FOLDER/analysis.json    classes, findings, names by split, and the `PairFacts` of every pair; FOLDER is a hash
                                  of the path of the data

A changed, added or removed photo, mask, list or classes.txt makes a cached analysis invalid. Nothing is written into
the data set.
"""

import hashlib
import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from core.classes import CLASSES_FILE, Classes
from core.data.dataset import AUGMENTED_MASKS, LAYOUTS, LISTS, PLACES, read_contents
from core.data.doctor import diagnosis
from core.data.pair_names import PHOTO_SUFFIXES
from core.data.split_view import SPLIT_FILE, data_of, is_view
from core.data.statistics.pair_facts import PairFacts
from core.data.statistics.split_stats import SplitStats, summarize
from core.errors import DataError
from core.files import replacing, stamp_of
from core.home import home
from core.jobs import OnProgress
from core.voc import VOID

SCHEMA = 9
"""Incremented when the format or the counting changes."""


@dataclass(frozen=True, kw_only=True)
class Analysis:
    """The result of one pass over a data set.

    key       `files_key` of the files that were read
    report    the doctor's findings
    splits    names by split, train and val first, as listed: with broken pairs and repeated names
    facts     the facts of every usable pair, by name
    """

    root: Path
    key: str
    classes: Classes
    report: diagnosis.Report
    splits: dict[str, tuple[str, ...]]
    facts: dict[str, PairFacts]

    @property
    def class_ids(self) -> dict[str, frozenset[int]]:
        """The ids of the classes in every usable pair, by name."""
        return {name: frozenset(facts.pixels) - {VOID} for name, facts in self.facts.items()}

    def stats(self, split: str | None = None) -> SplitStats:
        """Return the statistics of a split, or of all photos, each counted once; unusable pairs are left out.

        A split that does not exist raises `DataError`.
        """
        if split is not None and split not in self.splits:
            raise DataError(f"{self.root} has no split '{split}'; it has {', '.join(self.splits)}.")
        every = dict.fromkeys(name for names in self.splits.values() for name in names)
        names = list(every) if split is None else self.splits[split]
        used = [name for name in names if name in self.facts]
        left_out = [name for name in names if name not in self.facts]
        return summarize(used, [self.facts[name] for name in used], self.classes.names, left_out)


def analyse(path: Path | str, on_progress: OnProgress | None = None) -> Analysis:
    """Return the cached analysis of a data set, or read every pair and cache it; broken files become findings.

    A folder that is not a data set raises `DataError`. A full disk or a changing file only prevents
    caching.
    """
    root, key = _root(Path(path)), files_key(path)
    found = _stored(root, key)
    if found:
        return found
    contents = read_contents(root)
    examined = diagnosis.read_pairs(contents, on_progress)
    report = diagnosis.report(contents, examined)
    usable = {pair.entry.name: pair.facts for pair in examined if pair.facts}
    document = {
        "schema": SCHEMA,
        "key": key,
        "classes": {"names": list(contents.classes.names), "colors": list(contents.classes.colors)},
        "report": {
            "images": report.images,
            "masks": report.masks,
            "findings": [list(asdict(finding).values()) for finding in report.findings],
        },
        "splits": diagnosis.names_by_split(contents),
        "facts": {name: facts.as_dict() for name, facts in usable.items()},
    }
    if files_key(root) == key:  # else files changed meanwhile, and the findings mix two states
        _store(root, document)
    return _analysis(root, document)


def find(path: Path | str) -> Analysis | None:
    """Return the cached analysis of a data set, None if it is missing or invalid; raises as `analyse`."""
    return _stored(_root(Path(path)), files_key(path))


def job_dir(path: Path | str) -> Path:
    """Return the folder of a data set's analysis and of the job that runs it (`core.jobs`)."""
    return home() / "cache" / hashlib.sha256(os.fsencode(_root(Path(path)))).hexdigest()[:16]


def files_key(path: Path | str) -> str:
    """Return a SHA-256 over the names and stamps of all files that the analysis reads; none is opened."""
    shown = _root(Path(path))
    root = _root(data_of(shown))
    stamps = [*_stamps(shown, shown, (SPLIT_FILE,)), *_stamps(root, root, (CLASSES_FILE, *diagnosis.UNREAD_LISTS))]
    stamps += _stamps(root, root / LISTS, (".txt",))
    for folder in (*(name for layout in LAYOUTS for name in layout), AUGMENTED_MASKS):
        stamps += _stamps(root, root / folder, PHOTO_SUFFIXES)
    return hashlib.sha256("\n".join(sorted(stamps)).encode(errors="surrogateescape")).hexdigest()


def _stamps(root: Path, folder: Path, endings: tuple[str, ...]) -> list[str]:
    place = folder.relative_to(root).as_posix()
    try:
        with os.scandir(folder) as entries:
            return [f"{place}/{_stamp(entry)}" for entry in entries if entry.name.lower().endswith(endings)]
    except OSError:
        return []  # a missing folder is not part of the data; `read_contents` reports an unreadable one


def _stamp(entry: "os.DirEntry[str]") -> str:
    try:
        status = entry.stat()
    except OSError:  # a broken link
        return entry.name
    return "\0".join(map(str, (entry.name, *stamp_of(entry.path, status)[1:])))


def _root(path: Path) -> Path:
    """Return the folder with photos, masks and lists, at the path or below, or a split view; else raise `DataError`."""
    if is_view(path):
        return path.resolve()
    for place in PLACES:
        for photos, masks in LAYOUTS:
            if (path / place / photos).is_dir() and (path / place / masks).is_dir():
                return (path / place).resolve()
    return read_contents(path).root.resolve()  # raises the error


def _analysis(root: Path, document: dict[str, Any]) -> Analysis:
    """Return the analysis in a document; another format raises KeyError, TypeError, ValueError or the like."""
    classes, report = document["classes"], document["report"]
    return Analysis(
        root=root,
        key=document["key"],
        classes=Classes(tuple(classes["names"]), tuple(classes["colors"])),
        report=diagnosis.Report(
            root=_root(data_of(root)),
            images=report["images"],
            masks=report["masks"],
            findings=tuple(diagnosis.Finding(*values) for values in report["findings"]),
        ),
        splits={split: tuple(names) for split, names in document["splits"].items()},
        facts={name: PairFacts.from_dict(facts) for name, facts in document["facts"].items()},
    )


def _store(root: Path, document: dict[str, Any]) -> None:
    """Write the document; if the cache cannot be written, do nothing."""
    folder = job_dir(root)
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        with replacing(folder / "analysis.json") as file:
            file.write(json.dumps(document, allow_nan=False, separators=(",", ":")).encode())


def _stored(root: Path, key: str) -> Analysis | None:
    """Return the cached analysis of these files, None if it is missing, damaged or invalid."""
    try:
        document = json.loads((job_dir(root) / "analysis.json").read_bytes())
        if (document["schema"], document["key"]) == (SCHEMA, key):
            return _analysis(root, document)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, DataError):
        pass
    return None
