"""One pass over a data set that answers both what is in it and what is wrong with it, kept until a file changes.

Reading thousands of photos takes a while, so it is done once: what the doctor found and the facts of every pair are
stored beside the data, or in the cache of Atrous where the data may not be written. A changed, added or removed photo,
mask or list, or another classes.txt, makes the stored analysis count for nothing.

analysis.json   a seal on the first line, then classes, findings, names by split, and the `PairFacts` of every pair
heat.npz        where the classes of each pair lie, read only when it is asked for:
                pair (M,) int32, class_id (M,) uint8, heat (M, 16, 16) uint8
"""

import hashlib
import hmac
import io
import json
import os
import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.classes import CLASSES_FILE, Classes
from core.data import doctor
from core.data.dataset import AUGMENTED_MASKS, LAYOUTS, LISTS, PLACES, read_contents
from core.data.facts import GRID, PairFacts
from core.data.pair_names import PHOTO_SUFFIXES
from core.data.stats import OnProgress, SplitStats, summarize
from core.errors import DataError
from core.files import replacing, stamp_of, write_once
from core.home import home
from core.voc import VOID

SCHEMA = 7
"""Goes up whenever what is stored, or how it is counted, changes."""
WRITABLE_BITS = 0o222


@dataclass(frozen=True, kw_only=True)
class Analysis:
    """What one pass over a data set found.

    key       `files_key` of the files that were read
    report    what the doctor says
    splits    names by split, train and val first, as they are listed: broken pairs too, and twice what is listed twice
    """

    root: Path
    key: str
    classes: Classes
    report: doctor.Report
    splits: dict[str, tuple[str, ...]]
    _facts: dict[str, PairFacts] = field(repr=False)
    _heat_npz: bytes = field(repr=False)

    @cached_property
    def facts(self) -> dict[str, PairFacts]:
        """What every pair shows that can be used, by name."""
        heat: dict[str, dict[int, NDArray[np.uint8]]] = {name: {} for name in self._facts}
        names = list(self._facts)
        with np.load(io.BytesIO(self._heat_npz), allow_pickle=False) as arrays:
            pairs, class_ids, heat_MGG = (arrays[name] for name in ("pair", "class_id", "heat"))
        for pair, class_id, heat_GG in zip(pairs.tolist(), class_ids.tolist(), heat_MGG, strict=True):
            heat[names[pair]][class_id] = heat_GG
        return {name: replace(facts, heat=heat[name]) for name, facts in self._facts.items()}

    @property
    def class_ids(self) -> dict[str, frozenset[int]]:
        """The classes in every photo that can be used, by name; see `core.data.splits`."""
        return {name: frozenset(facts.pixels) - {VOID} for name, facts in self._facts.items()}

    def stats(self, split: str | None = None) -> SplitStats:
        """Return the statistics of a split, or of all photos, each counted once; what cannot be used is left out.

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
    """Return the stored analysis of a data set, or read every pair and store it; broken files are only reported.

    A folder that is no data set raises `DataError`. Where nothing can be stored, or a file changed meanwhile, it is
    counted again the next time.
    """
    root, key = _root(Path(path)), files_key(path)
    found = _stored(root, key)
    if found:
        return found
    contents = read_contents(root)
    examined = doctor.read_pairs(contents, on_progress)
    usable = {pair.entry.name: pair.facts for pair in examined if pair.facts}
    heat_npz = _packed_heat(list(usable.values()))
    document = {
        "schema": SCHEMA,
        "key": key,
        "heat": hashlib.sha256(heat_npz).hexdigest(),
        "classes": {"names": list(contents.classes.names), "colors": list(contents.classes.colors)},
        "report": _report_document(doctor.report(contents, examined)),
        "splits": doctor.names_by_split(contents),
        "facts": {name: facts.as_dict() for name, facts in usable.items()},
    }
    if files_key(root) == key:  # else a file came or went meanwhile, and these findings are of no state of the folder
        _store(root, document, heat_npz)
    return _analysis(root, document, heat_npz)


def find(path: Path | str) -> Analysis | None:
    """Return the stored analysis of a data set if none of its files has changed since; nothing but names is read.

    A folder that is no data set raises `DataError`.
    """
    return _stored(_root(Path(path)), files_key(path))


def job_dir(path: Path | str) -> Path:
    """Return the folder of the job that analyses a data set (see `core.jobs`): never within the data."""
    return _home_folder(_root(Path(path)))


def files_key(path: Path | str) -> str:
    """Return a SHA-256 over name, times of change and size of every file that the analysis reads; none is opened."""
    root = _root(Path(path))
    stamps = [*_stamps(root, root, (CLASSES_FILE, *doctor.UNREAD_LISTS)), *_stamps(root, root / LISTS, (".txt",))]
    for folder in (*(name for layout in LAYOUTS for name in layout), AUGMENTED_MASKS):
        stamps += _stamps(root, root / folder, PHOTO_SUFFIXES)
    return hashlib.sha256("\n".join(sorted(stamps)).encode(errors="surrogateescape")).hexdigest()


def _stamps(root: Path, folder: Path, endings: tuple[str, ...]) -> list[str]:
    place = folder.relative_to(root).as_posix()
    try:
        with os.scandir(folder) as entries:
            return [f"{place}/{_stamp(entry)}" for entry in entries if entry.name.lower().endswith(endings)]
    except OSError:
        return []  # a folder that is not there is no part of the data; one that cannot be read is told by read_contents


def _stamp(entry: "os.DirEntry[str]") -> str:
    try:
        status = entry.stat()
    except OSError:  # a link that leads nowhere
        return entry.name
    return "\0".join(map(str, (entry.name, *stamp_of(entry.path, status)[1:])))


def _root(path: Path) -> Path:
    """Return the folder that holds photos, masks and lists, wherever above it the path begins; else `DataError`."""
    for place in PLACES:
        for photos, masks in LAYOUTS:
            if (path / place / photos).is_dir() and (path / place / masks).is_dir():
                return (path / place).resolve()
    return read_contents(path).root.resolve()  # which says what is missing


# --- what is in the two files ---------------------------------------------------------------------------------------


def _packed_heat(facts: Sequence[PairFacts]) -> bytes:
    rows = [(pair, class_id, heat) for pair, each in enumerate(facts) for class_id, heat in each.heat.items()]
    file = io.BytesIO()
    np.savez_compressed(
        file,
        pair=np.array([pair for pair, _, _ in rows], dtype=np.int32),
        class_id=np.array([class_id for _, class_id, _ in rows], dtype=np.uint8),
        heat=np.array([heat for _, _, heat in rows], dtype=np.uint8).reshape(-1, GRID, GRID),
    )
    return file.getvalue()


def _report_document(report: doctor.Report) -> dict[str, Any]:
    return {
        "images": report.images,
        "masks": report.masks,
        "findings": [list(asdict(finding).values()) for finding in report.findings],
    }


def _analysis(root: Path, document: dict[str, Any], heat_npz: bytes) -> Analysis:
    """Return the analysis that a document is of; another form raises KeyError, TypeError, ValueError or the like."""
    classes, report = document["classes"], document["report"]
    facts = {name: PairFacts.from_dict(each) for name, each in document["facts"].items()}
    if any(
        class_id >= len(classes["names"]) and class_id != VOID for each in facts.values() for class_id in each.pixels
    ):
        raise ValueError("an id without a class")
    return Analysis(
        root=root,
        key=document["key"],
        classes=Classes(tuple(classes["names"]), tuple(classes["colors"])),
        report=doctor.Report(
            root=root,
            images=report["images"],
            masks=report["masks"],
            findings=tuple(doctor.Finding(*values) for values in report["findings"]),
        ),
        splits={split: tuple(names) for split, names in document["splits"].items()},
        _facts=facts,
        _heat_npz=heat_npz,
    )


# --- where the two files are ----------------------------------------------------------------------------------------


def _home_folder(root: Path) -> Path:
    return home() / "cache" / hashlib.sha256(os.fsencode(root)).hexdigest()[:16]


def _may_write(folder: Path) -> bool:
    """Tell whether a folder is meant to be written: root may write what is marked read-only, and still must not."""
    return os.access(folder, os.W_OK) and bool(folder.stat().st_mode & WRITABLE_BITS)


def _store(root: Path, document: dict[str, Any], heat_npz: bytes) -> None:
    """Write both files, the one that vouches for the other last; a place that cannot be written is passed over."""
    text = json.dumps(document, allow_nan=False, separators=(",", ":")).encode()
    for folder in (*([root / ".atrous"] if _may_write(root) else []), _home_folder(root)):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with replacing(folder / "heat.npz") as file:
                file.write(heat_npz)
            with replacing(folder / "analysis.json") as file:
                file.write(f"{_seal(text)}\n".encode() + text)
        except OSError:
            continue
        return


def _seal(text: bytes) -> str:
    """Return what only this home can write over a document: findings that came with a data set count for nothing."""
    file = home() / "cache" / "seal"
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        write_once(file, secrets.token_bytes(32))  # of two who begin at once, both use the first one's
    return hmac.new(file.read_bytes(), text, hashlib.sha256).hexdigest()


def _stored(root: Path, key: str) -> Analysis | None:
    """Return what was stored for these very files; one that is damaged, or of another version, is as good as none."""
    for folder in (root / ".atrous", _home_folder(root)):
        try:
            seal, _, text = (folder / "analysis.json").read_bytes().partition(b"\n")
            if not hmac.compare_digest(seal, _seal(text).encode()):
                continue
            document = json.loads(text)
            heat_npz = (folder / "heat.npz").read_bytes()
            digest = hashlib.sha256(heat_npz).hexdigest()
            if (document["schema"], document["key"], document["heat"]) == (SCHEMA, key, digest):
                return _analysis(root, document, heat_npz)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, DataError):
            continue
    return None
