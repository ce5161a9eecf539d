"""What a person decided about doubted regions of masks: `reviews/decisions.jsonl` in the home, a line for each.

    schema, time_s, data, photo    when, about which data set (its path) and photo (its name)
    pair                           a hash of the photo's and the mask's content
    decision                       keep, take (the suggested class), void, or open: nothing is decided
    class_given, class_suggested   names of classes
    box, size, runs                left, top, right, bottom; height and width of the mask; pixels of the box, row by
                                   row, that are outside and inside by turns

Lines are only ever appended, so nothing that was decided is lost: of two lines about one region the later one holds, a
line that is torn or of a newer version is skipped, counted, and stays. A decision is about the content of a pair: it
survives a move of the folder, and does not touch a mask that was drawn anew.
"""

import hashlib
import json
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from core.classes import Classes
from core.data.dataset import Sample, pair_hashes
from core.errors import DataError
from core.home import home
from core.voc import VOID
from core.wording import count

SCHEMA = 1
WAIT_S = 20.0
SAME_SHARE = 0.5
"""Two regions of one mask are the same if they share so much of their union: another model draws it a little larger."""

Action = Literal["keep", "take", "void", "open"]


@dataclass(frozen=True)
class LabelRegion:
    """A connected part of a photo's mask whose label is doubted; the fields are those of the file."""

    photo: str
    pair: str
    class_given: str
    class_suggested: str
    box: tuple[int, int, int, int]
    size: tuple[int, int]
    runs: str

    @cached_property
    def key(self) -> str:
        """A hash of all that it is."""
        return hashlib.sha256(json.dumps(asdict(self)).encode()).hexdigest()[:16]

    @property
    def is_inside_HW(self) -> NDArray[np.bool_]:  # noqa: N802 - axes
        """Its pixels, at the size of the mask."""
        left, top, right, bottom = self.box
        whole_HW = np.zeros(self.size, dtype=np.bool_)
        whole_HW[top:bottom, left:right] = self._is_inside_box()
        return whole_HW

    def _is_inside_box(self) -> NDArray[np.bool_]:
        left, top, right, bottom = self.box
        runs = _numbers(self.runs)
        return np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(bottom - top, right - left)

    @cached_property
    def pixels(self) -> int:
        """The number of its pixels."""
        return int(_numbers(self.runs)[1::2].sum())

    def refuse_misfit(self) -> None:
        """Raise ValueError unless the box lies in the mask and the runs fill it; nothing of its size is built."""
        (left, top, right, bottom), (height, width) = self.box, self.size
        if not (0 <= left < right <= width and 0 <= top < bottom <= height):
            raise ValueError("its box does not lie in the mask")
        runs = _numbers(self.runs)
        area = (right - left) * (bottom - top)
        if (runs < 0).any() or (runs > area).any() or runs.sum() != area or not self.pixels:
            raise ValueError("its runs do not fill its box")

    def is_same(self, other: "LabelRegion") -> bool:
        """Return whether another region of the same mask means these pixels, with the same two classes."""
        classes = (self.class_given, self.class_suggested) == (other.class_given, other.class_suggested)
        if self.pair != other.pair or self.size != other.size or not classes:
            return False
        if (self.box, self.runs) == (other.box, other.runs):
            return True
        shared = self._shared_pixels(other)
        return shared >= SAME_SHARE * (self.pixels + other.pixels - shared)

    def _shared_pixels(self, other: "LabelRegion") -> int:
        (left, top), (right, bottom) = map(max, self.box[:2], other.box[:2]), map(min, self.box[2:], other.box[2:])
        if left >= right or top >= bottom:
            return 0
        mine, its = (
            each._is_inside_box()[top - each.box[1] : bottom - each.box[1], left - each.box[0] : right - each.box[0]]
            for each in (self, other)
        )
        return int(np.count_nonzero(mine & its))


def _numbers(runs: str) -> NDArray[np.int64]:
    return np.array(runs.split(), dtype=np.int64)


@dataclass(frozen=True)
class Decision:
    """What was decided about a region, of the data set at `data`."""

    region: LabelRegion
    action: Action
    data: str


def region_of(photo: str, pair: str, classes: tuple[str, str], is_inside_HW: NDArray[np.bool_]) -> LabelRegion:
    """Return the region of these pixels of a mask; `classes` are the given and the suggested one."""
    rows, columns = np.flatnonzero(is_inside_HW.any(axis=1)), np.flatnonzero(is_inside_HW.any(axis=0))
    box = (int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)
    inside_P = is_inside_HW[box[1] : box[3], box[0] : box[2]].ravel()
    changes = np.flatnonzero(np.diff(inside_P, prepend=False))
    runs = " ".join(map(str, np.diff(changes, prepend=0, append=len(inside_P)).tolist()))
    height, width = is_inside_HW.shape
    return LabelRegion(photo, pair, *classes, box, (height, width), runs)


def pair_keys(samples: Iterable[Sample]) -> dict[str, str]:
    """Return a hash of the content of photo and mask by name; an unreadable file raises `DataError`."""
    return {
        sample.name: hashlib.sha256(" ".join(both).encode()).hexdigest()[:32]
        for sample, both in pair_hashes(list(samples)).items()
    }


def decisions_file() -> Path:
    """Return the file of all decisions, there or not."""
    return home() / "reviews" / "decisions.jsonl"


def decide(region: LabelRegion, action: Action, data: Path) -> None:
    """Append a decision, flushed to the disk; a file that cannot be written raises `DataError`."""
    file = decisions_file()
    line = {"schema": SCHEMA, "time_s": time.time(), "data": str(data), "decision": action} | asdict(region)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(file.with_name("lock"), timeout=WAIT_S), file.open("a+b") as target:
            if target.tell():
                target.seek(-1, os.SEEK_END)
                is_torn = target.read() != b"\n"  # its writer was killed
                target.write(b"\n" if is_torn else b"")
            target.write(json.dumps(line, allow_nan=False).encode() + b"\n")
            target.flush()
            os.fsync(target.fileno())
    except (OSError, Timeout) as error:
        why = getattr(error, "strerror", None) or "another process holds it"
        raise DataError(f"The decision cannot be written to {file}: {why}; make room or check whose it is.") from error


def read_decisions() -> tuple[list[Decision], list[str]]:
    """Return the decisions that hold, oldest first, and sentences about lines that cannot be read."""
    file = decisions_file()
    found: dict[str, Decision] = {}
    unread = newer = 0
    for line in _lines(file):
        try:
            values = json.loads(line)
            if values["schema"] > SCHEMA:
                newer += 1
                continue
            decision = _decision(values)
        except (ValueError, KeyError, TypeError, OverflowError):
            unread += 1
            continue
        found.pop(decision.region.key, None)
        found[decision.region.key] = decision
    notes = [f"{count(unread, 'line')} of {file} cannot be read; the other decisions hold."] if unread else []
    notes += [f"{count(newer, 'decision')} in {file} came from a newer version; update this one."] if newer else []
    return list(found.values()), notes


def _lines(file: Path) -> list[bytes]:
    try:
        return [line for line in file.read_bytes().split(b"\n") if line.strip()]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise DataError(f"{file} cannot be read: {error.strerror}; check whose it is.") from error


def _decision(values: Mapping[str, Any]) -> Decision:
    """Return the decision in a line; another form raises ValueError, KeyError, TypeError or OverflowError."""
    box, size = tuple(map(int, values["box"])), tuple(map(int, values["size"]))
    texts = [values[name] for name in ("photo", "pair", "class_given", "class_suggested", "runs", "data")]
    if (
        values["decision"] not in get_args(Action)
        or (len(box), len(size)) != (4, 2)
        or not all(isinstance(text, str) for text in texts)
    ):
        raise ValueError("it is not a decision")
    photo, pair, given, suggested, runs, data = texts
    region = LabelRegion(photo, pair, given, suggested, box, size, runs)  # type: ignore[arg-type]
    region.refuse_misfit()
    return Decision(region, values["decision"], data)


def decided(region: LabelRegion, decisions: Sequence[Decision]) -> Action:
    """Return what holds for a region: the newest decision about it, or about one that is the same; else open."""
    return next((each.action for each in reversed(decisions) if each.region.is_same(region)), "open")


def newest(decisions: Sequence[Decision]) -> list[Decision]:
    """Return the decisions, oldest first, without those that a later one about the same region replaced."""
    return [
        each
        for at, each in enumerate(decisions)
        if not any(later.region.is_same(each.region) for later in decisions[at + 1 :])
    ]


def apply_decisions(
    mask_HW: NDArray[np.uint8], decisions: Iterable[Decision], classes: Classes
) -> tuple[NDArray[np.uint8], list[str]]:
    """Return a mask with the classes, or void, that were decided, and what was changed in words.

    Only pixels that have the given class change. A region of another size, or of a class that is none of these, is
    left out, in words too.
    """
    ids = {name: each for each, name in enumerate(classes.names)}
    changed_HW, words = mask_HW.copy(), []
    for decision in decisions:
        region, is_void = decision.region, decision.action == "void"
        given = ids.get(region.class_given)
        new = VOID if is_void else ids.get(region.class_suggested)
        to = "void" if is_void else region.class_suggested
        where = f"at {region.box[0]}, {region.box[1]}"
        if region.size != mask_HW.shape or given is None or new is None:
            words.append(f"the decision {region.class_given} to {to} {where} left out, since it does not fit")
            continue
        is_inside_HW = region.is_inside_HW & (changed_HW == given)
        changed_HW[is_inside_HW] = new
        pixels = count(int(np.count_nonzero(is_inside_HW)), "pixel")
        words.append(f"{region.class_given} to {to} as decided, {pixels} {where}")
    return changed_HW, words
