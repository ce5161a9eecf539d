"""What the doctor says about masks that are done, a few at a time: a page asks again and again, and most are known."""

from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from core.classes import Classes
from core.data.doctor.mask_checks import check_mask
from core.data.images import load_picture, photo_size
from core.data.labelling.label_set import LabelSet, State
from core.errors import DataError
from core.files import Stamp, stamp

AT_ONCE = 16
"""Masks that one call reads: of 12 megapixels each takes about 0.1 s."""


class Findings(NamedTuple):
    """The kind of problem by photo, and how many of the photos that are done were examined."""

    kinds: dict[str, str]
    examined: int
    done: int


def mask_findings(label_set: LabelSet) -> Findings:
    """Return what is wrong with the masks that are done, of those examined so far and up to 16 more."""
    masks = label_set.masks()
    done = [name for name, state in label_set.states().items() if state == State.DONE]
    kinds: dict[str, str] = {}
    examined, misses = 0, _kind.cache_info().misses
    for name in done:
        if _kind.cache_info().misses - misses >= AT_ONCE:
            break
        examined += 1
        if kind := _kind(stamp(masks[name]), stamp(label_set.photos[name]), label_set.classes):
            kinds[name] = kind
    return Findings(kinds, examined, len(done))


@lru_cache(maxsize=16_384)
def _kind(mask: Stamp, photo: Stamp, classes: Classes) -> str:
    """Return the kind of a mask's worst problem, empty if it has none."""
    try:
        facts, problem, _ = check_mask(load_picture(Path(mask.path), "mask"), classes)
        if problem:
            return problem.kind
        return "" if facts.size == photo_size(Path(photo.path)) else "another size"
    except DataError:
        return "unreadable"
