"""Openings of test splits: a score on the split `test` is shown only after a record that the split was opened.

A test split that is looked at often is no longer a test: whoever chooses by its scores fits the choice to its photos.
Each line of `checkpoints/test_openings.jsonl` is one opening. No torch.
"""

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout

from core.data.dataset import TEST, Dataset, fingerprint
from core.errors import RunError
from core.files import replacing
from core.home import checkpoints_dir
from core.wording import count

FILE = "test_openings.jsonl"
SCHEMA = 1
LATEST_S = 1e11
"""No opening was later, in seconds since 1970."""
WAIT_S = 30.0
"""How long a writer waits for the others; each needs milliseconds."""


@dataclass(frozen=True, kw_only=True)
class Opening:
    """One opening: when (s since 1970), the photos and masks (`fingerprint`), the checkpoint file, and who asked.

    `by` is command, page or python.
    """

    schema: int = SCHEMA
    time_s: float
    fingerprint: str
    checkpoint: str
    checkpoint_hash: str
    data: str
    by: str


def path() -> Path:
    """Return the file of the openings, whether or not it exists."""
    return checkpoints_dir() / FILE


def record(data: Dataset, data_fingerprint: str, checkpoint: Path, checkpoint_hash: str, by: str) -> None:
    """Append an opening; a damaged file, or one that cannot be written, raises `RunError`."""
    opening = Opening(
        time_s=time.time(), fingerprint=data_fingerprint, checkpoint=str(checkpoint.resolve()),
        checkpoint_hash=checkpoint_hash, data=str(data.root), by=by,
    )  # fmt: skip
    openings()  # a damaged file is said, and no line is added to it
    with _locked() as file:
        before = file.read_bytes() if file.exists() else b""
        with replacing(file) as draft:
            draft.write(before + json.dumps(asdict(opening)).encode() + b"\n")


@contextmanager
def _locked() -> Iterator[Path]:
    """Keep other writers out of the block, and turn what the disk refuses into `RunError`."""
    file = path()
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(file.with_name(f".{FILE}.lock"), timeout=WAIT_S):
            yield file
    except (OSError, Timeout) as error:
        why = "another process holds it" if isinstance(error, Timeout) else error.strerror
        raise RunError(
            f"The opening of the test split cannot be recorded in {file} ({why}), so it stays closed; make the folder "
            "writable."
        ) from error


def openings(of: str | None = None) -> list[Opening]:
    """Return the openings of the photos and masks with this fingerprint, of all by default, oldest first.

    A file with a line that is not an opening raises `RunError`: how often a split was opened is then not known.
    """
    file = path()
    try:
        lines = file.read_bytes().splitlines()
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise RunError(f"{file} cannot be read: {error.strerror}; without it no test split is opened.") from error
    found = [_opening(line, number, file) for number, line in enumerate(lines, 1) if line.strip()]
    return [each for each in found if of in (None, each.fingerprint)]


def _opening(line: bytes, number: int, file: Path) -> Opening:
    try:
        stored = json.loads(line)
        if stored["schema"] > SCHEMA:
            raise ValueError(f"of a newer version, {stored['schema']}")
        opening = Opening(**stored)
        texts = (opening.fingerprint, opening.checkpoint, opening.checkpoint_hash, opening.data, opening.by)
        if not all(isinstance(text, str) for text in texts) or not 0 <= opening.time_s < LATEST_S:
            raise ValueError("a value is not of its kind")
    except (ValueError, TypeError, KeyError) as error:
        raise RunError(
            f"Line {number} of {file} is not an opening of a test split ({error}); mend that line or delete it, until "
            "then no score on a test split is shown."
        ) from error
    return opening


def is_recorded(data_fingerprint: str, checkpoint_hash: str) -> bool:
    """Return whether the split was opened for this checkpoint file."""
    return any(each.checkpoint_hash == checkpoint_hash for each in openings(data_fingerprint))


def sentence(found: Sequence[Opening]) -> str:
    """Return how often a test split was opened, as a sentence."""
    if not found:
        return "The test split was never opened."
    last = datetime.fromtimestamp(found[-1].time_s).astimezone()
    checkpoints = len({each.checkpoint_hash for each in found})
    versions = len({each.fingerprint for each in found})
    changed = f" Its photos or masks changed in between: {versions} versions." if versions > 1 else ""
    return (
        f"The test split was opened {count(len(found), 'time')}, for {count(checkpoints, 'checkpoint')}, last on "
        f"{last:%d %b %Y, %H:%M}.{changed}"
    )


def openings_of(data: Dataset) -> list[Opening] | None:
    """Return the openings of the data's test split, as it is now or was before; None if it has none with masks."""
    if not data.splits.get(TEST):
        return None
    now, root = fingerprint(data.splits[TEST]), str(data.root)
    return [each for each in openings() if each.fingerprint == now or each.data == root]
