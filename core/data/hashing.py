"""SHA-256 of files, cached until a file changes.

    cache/content/FOLDER.json     one folder of photos or masks; FOLDER is a hash of its path
        first line                SHA-256 of all that follows
        rest                      {"schema": 1, "files": {name: [size, mtime_ns, ctime_ns, SHA-256 of the content]}}

A file counts as unchanged if its stamp is equal (`core.files.Stamp`). Any number of processes may read and write the
cache: at worst one hashes a photo again. A damaged cache file is ignored.
"""

import hashlib
import json
import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from core.errors import DataError
from core.files import Stamp, forget_oldest, regular, replacing, stamp_of
from core.home import home

SCHEMA = 1
MAX_FOLDERS = 64
"""Folders in the cache, on the disk and in memory; the oldest are deleted."""

MAX_THREADS = 4

SETTLED_NS = 2 * 10**9
"""A file counts as settled once its last change is this old: FAT counts time in steps of two seconds.

Until then a second change can leave the same stamp, so the file is read each time. Git does the same with its index
(git-scm.com/docs/racy-git).
"""

BY_CONTENT = "content:"
"""Prefix of fingerprints. Those of early versions lack it: they hashed the size of photos, not their content."""

Known = dict[str, tuple[Stamp, str]]
"""One folder's files by name: the stamp when the file was read, and the SHA-256."""

_memory: dict[str, Known] = {}


def is_by_content(fingerprint: str) -> bool:
    """Return whether a fingerprint is of the content of photos, and not of an early version."""
    return fingerprint.startswith(BY_CONTENT)


def hashes(files: Sequence[Path]) -> list[str]:
    """Return the SHA-256 of each file, as hex; an unreadable file raises `DataError`."""
    now_ns = time.time_ns()
    stamps = [_existing(file) for file in files]
    places = [os.path.split(each.path) for each in stamps]
    known = {folder: _known(folder) for folder in {folder for folder, _ in places}}
    entries = [known[folder].get(name) for folder, name in places]
    found = [entry[1] if entry and entry[0] == each else None for entry, each in zip(entries, stamps, strict=True)]
    missing = {each: place for each, place, digest in zip(stamps, places, found, strict=True) if digest is None}
    if not missing:
        return [digest for digest in found if digest]
    with ThreadPoolExecutor(MAX_THREADS) as pool:
        read = dict(zip(missing, pool.map(_hash, missing), strict=True))
    settled = [each for each in missing if _is_settled(each, now_ns)]
    for each in settled:
        folder, name = missing[each]
        known[folder][name] = each, read[each]
    for folder in {missing[each][0] for each in settled}:
        _keep(folder, known[folder])
    return [digest or read[each] for digest, each in zip(found, stamps, strict=True)]


def _existing(file: Path) -> Stamp:
    try:
        return stamp_of(file, file.stat())
    except OSError as error:
        raise _unreadable(file, error) from error


def _hash(file: Stamp) -> str:
    try:
        return hashlib.sha256(regular(Path(file.path)).read_bytes()).hexdigest()
    except OSError as error:
        raise _unreadable(Path(file.path), error) from error


def _unreadable(file: Path, error: OSError) -> DataError:
    return DataError(f"{file} cannot be read: {error.strerror}; restore it.")


def _is_settled(file: Stamp, now_ns: int) -> bool:
    changed_ns = file.ctime_ns if os.name == "posix" else max(file.mtime_ns, file.ctime_ns)
    return changed_ns < now_ns - SETTLED_NS


def _known(folder: str) -> Known:
    """Return the entries of a folder, read from the disk the first time."""
    if folder not in _memory:
        while len(_memory) >= MAX_FOLDERS:
            _memory.pop(next(iter(_memory)), None)
        _memory[folder] = _read(folder)
    return _memory[folder]


def _file(folder: str) -> Path:
    return home() / "cache" / "content" / f"{hashlib.sha256(os.fsencode(folder)).hexdigest()[:24]}.json"


def _read(folder: str) -> Known:
    """Return the entries of a folder on the disk; none if the file is missing, damaged or of another version."""
    try:
        seal, _, text = _file(folder).read_bytes().partition(b"\n")
        document = json.loads(text)
        if seal.decode() != hashlib.sha256(text).hexdigest() or document["schema"] != SCHEMA:
            return {}
        return {
            name: (Stamp(os.path.join(folder, name), *times), digest)  # noqa: PTH118 - of thousands, and `Path` takes ten times as long
            for name, (*times, digest) in document["files"].items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _keep(folder: str, known: Known) -> None:
    """Write the entries of a folder, merged with those that other processes wrote; on a full disk, do nothing."""
    file = _file(folder)
    with suppress(OSError):
        there = set(os.listdir(folder))  # noqa: PTH208 - names are enough
        entries = {name: entry for name, entry in (_read(folder) | known).items() if name in there}
        document = {"schema": SCHEMA, "files": {name: [*then[1:], digest] for name, (then, digest) in entries.items()}}
        text = json.dumps(document, separators=(",", ":")).encode()
        file.parent.mkdir(parents=True, exist_ok=True)
        with replacing(file) as new:
            new.write(hashlib.sha256(text).hexdigest().encode() + b"\n" + text)
        forget_oldest(file.parent, "*.json", MAX_FOLDERS)
