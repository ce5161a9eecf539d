"""What an import is going to write, decided before anything is written."""

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.classes import NAMED_COLOR, Classes, css_color
from core.data.importers.notes import Notes, printable
from core.data.pair_names import composed
from core.errors import DataError
from core.files import regular
from core.voc import BACKGROUND, PALETTE, VOID
from core.wording import count

BACKGROUND_NAMES = frozenset({"background", "_background_"})
VOID_NAMES = frozenset({"void", "unlabelled", "unlabeled", "ignore", "__ignore__"})

OF_OBJECT = re.compile(r"(?!class|label)(.*[^\W\d_])[-_. ]?\d+", re.IGNORECASE)
"""A label with the number of an object behind it, as old versions of labelme ask for: person-1."""

ANOTHER = re.compile(r",(?=[^,=]+=)")

Size = tuple[int, int]
"""Width and height in px."""

Called = tuple[tuple[str, str], ...]
"""What a value of masks, or a class of the source, is called, with a colour behind it if there is one."""


@dataclass(frozen=True)
class Source:
    """What a person named: the annotations, and where it was needed more.

    `photos` is the folder of the photos, `table` a table of colours or classes, `masks` the folder of the masks below
    `path` or the ending of their names, `names` the name of a known list of classes. In an archive, `photos` and
    `table` may be names of what it holds. `classes` says what some values of masks, or classes of the source, are
    called: pairs as `parse_classes` returns them.
    """

    path: Path
    photos: Path | None = None
    table: Path | None = None
    masks: str | None = None
    names: str | None = None
    classes: Called = ()


@dataclass(frozen=True)
class Drawing:
    """A photo and how its mask comes about.

    `file` is the photo, or the file that carries it. `read` returns its bytes. `size` is the frame the annotation was
    drawn in, None where only the mask itself says it. `paint` takes that frame, or else the size of the upright photo,
    and returns the ids, shape (H, W), uint8. `split` is train, val or test if the source says so.
    """

    name: str
    file: Path
    read: Callable[[], bytes]
    paint: Callable[[Size], NDArray[np.uint8]]
    size: Size | None = None
    split: str | None = None


@dataclass(frozen=True)
class Value:
    """A value of masks, or a class of the source, the id that it becomes (None: nobody knows), and its pixels.

    `guess` is what a list of names calls a value 0 that may be the background.
    """

    called: str
    id: int | None
    pixels: int
    guess: str = ""


@dataclass(frozen=True)
class Plan:
    """The classes, whether the source names them, what to draw, and the values of its masks if they are few."""

    classes: Classes
    drawings: Sequence[Drawing]
    has_named_classes: bool = True
    values: tuple[Value, ...] = ()


class Canvas:
    """A mask that grows region by region; later regions cover earlier ones.

    Where an object is that cannot be drawn, nobody knows what is background: in the end that is void (`finished`).
    Objects without a pixel in their photo are noted.
    """

    def __init__(self, size: Size, notes: Notes, file: Path) -> None:
        self._notes, self._file = notes, file
        self.mask_HW = np.full(size[::-1], BACKGROUND, dtype=np.uint8)
        self._is_unknown_HW: NDArray[np.bool_] | None = None

    def leave_void(self, region_HW: NDArray[np.bool_] | None) -> None:
        """Leave a region void as far as nothing else is drawn there; None is the whole photo."""
        if self._is_unknown_HW is None:
            self._is_unknown_HW = np.zeros(self.mask_HW.shape, dtype=np.bool_)
        self._is_unknown_HW |= True if region_HW is None else region_HW

    def finished(self) -> NDArray[np.uint8]:
        """Return the mask with void where an object could not be drawn."""
        if self._is_unknown_HW is not None:
            self.mask_HW[self._is_unknown_HW & (self.mask_HW == BACKGROUND)] = VOID
        return self.mask_HW

    def paint(self, region_HW: NDArray[np.bool_], class_id: int) -> int:
        """Give a region to a class and return how many pixels of it belonged to another one before."""
        before = self.mask_HW[region_HW]
        self._notes.count("Objects without a pixel in their photo", self._file, before.size == 0)
        self.mask_HW[region_HW] = class_id
        return int(np.count_nonzero((before != BACKGROUND) & (before != class_id)))


def drawing_of(
    photo: Path, paint: Callable[[Size], NDArray[np.uint8]], size: Size | None = None, split: str | None = None
) -> Drawing:
    """Return the drawing of a photo that is a file."""
    return Drawing(photo.stem, photo, lambda: regular(photo).read_bytes(), paint, size, split)


def box_region(left: float, top: float, right: float, bottom: float, size: Size) -> NDArray[np.bool_]:
    """Return the pixels that a box touches, shape (H, W)."""
    region_HW = np.zeros(size[::-1], dtype=np.bool_)
    rows = slice(max(0, math.floor(top)), max(0, math.ceil(bottom)))
    region_HW[rows, max(0, math.floor(left)) : max(0, math.ceil(right))] = True
    return region_HW


def tidy(label: str) -> str:
    """Return a label as one line without double spaces, an umlaut as one sign."""
    return printable(" ".join(composed(label).split()))


def is_background(label: str) -> bool:
    """Return whether a label means the background."""
    return label.casefold() in BACKGROUND_NAMES


def is_void(label: str) -> bool:
    """Return whether a label means pixels that do not count."""
    return label.casefold() in VOID_NAMES


def number_labels(
    labels: Iterable[str], where: Path, notes: Notes, colors: Mapping[str, str] | None = None
) -> tuple[Classes, dict[str, int]]:
    """Return the classes of some labels in their order, and the id of each label.

    The background is 0 whether it is labelled or not, void labels are 255, all others count from 1. Colours are
    `#rrggbb` by label, VOC's by id where none is given. No label at all, or more than 254, raise `DataError`.
    """
    given = colors or {}
    ids: dict[str, int] = {}
    names, chosen = ["background"], [css_color(PALETTE[BACKGROUND])]
    for label in dict.fromkeys(labels):
        if not label:
            raise DataError(f"{where} has a class whose name is empty; give it a name.")
        if is_background(label):
            ids[label] = BACKGROUND
            chosen[0] = given.get(label, chosen[0])
        elif is_void(label):
            ids[label] = VOID
            notes.say(f"'{label}' is void: its pixels are neither trained nor scored.")
        else:
            ids[label] = len(names)
            names.append(label)
            chosen.append(given.get(label, css_color(PALETTE[min(ids[label], VOID)])))
    if not 2 <= len(names) <= VOID:
        raise DataError(
            f"{where} names {count(len(names) - 1, 'class', 'classes')} beside the background; there must be 1 to "
            f"{VOID - 1}."
        )
    _note_alike(names, notes)
    return Classes(tuple(names), tuple(chosen)), ids


def _note_alike(names: Sequence[str], notes: Notes) -> None:
    """Note classes that may be one: those of one name but for upper and lower case, or for a number behind it."""
    numbered = {name: OF_OBJECT.sub(r"\1", name) for name in names if OF_OBJECT.fullmatch(name)}
    for differ, base_of in (
        ("in upper and lower case", {name: name.casefold() for name in names}),
        ("in the number behind them", numbered if 2 * len(numbered) >= len(names) else {}),
    ):
        first_of: dict[str, str] = {}
        pairs = [(first, name) for name, base in base_of.items() if (first := first_of.setdefault(base, name)) != name]
        for first, second in pairs[:1]:
            notes.say(
                f"The classes {first} and {second} differ only {differ}: if they are one, say so with --classes "
                f'"{first}={base_of[first]},{second}={base_of[first]}".'
            )


def parse_classes(texts: Iterable[str]) -> Called:
    """Return the pairs in texts as `1=leaf,2=dead leaf #8b5a2b,255=void`; a part without a `=` raises `DataError`.

    A comma belongs to a name unless a `=` follows it. A JSON list of pairs is taken as it is: names may hold anything.
    """
    texts = list(texts)
    if len(texts) == 1 and texts[0].startswith("[["):
        return tuple((str(key), str(name)) for key, name in json.loads(texts[0]))
    parts = [part for text in texts for part in ANOTHER.split(text)]
    pairs = tuple((key.strip(), tidy(name)) for key, _, name in (part.partition("=") for part in parts))
    if wrong := [part for part, pair in zip(parts, pairs, strict=True) if not all(pair)]:
        raise DataError(f"'{wrong[0]}' does not say what is called how; write a value or a class, = and a name.")
    return pairs


def colors_in(called: Mapping[Any, str]) -> tuple[dict[Any, str], dict[str, str]]:
    """Return names without the colours behind them, and the colour of each name that has one."""
    parts = {key: NAMED_COLOR.fullmatch(name) for key, name in called.items()}
    names = {key: tidy(found[1]) if (found := parts[key]) else name for key, name in called.items()}
    return names, {found[1]: found[2].lower() for found in parts.values() if found}


def with_classes(plan: Plan, source: Source, notes: Notes) -> Plan:
    """Return a plan whose classes are called as the source says; classes of one name become one, void is 255."""
    if strays := [key for key, _ in source.classes if key not in plan.classes.names]:
        raise DataError(
            f"{source.path} has no class '{strays[0]}' that could be called otherwise; it has "
            f"{', '.join(plan.classes.names)}."
        )
    called, given = colors_in(dict(source.classes))
    labels = [called.get(name, name) for name in plan.classes.names]
    colors = dict(zip(reversed(labels), reversed(plan.classes.colors), strict=True)) | given
    classes, ids = number_labels(labels, source.path, notes, colors)
    ids_256 = np.arange(VOID + 1, dtype=np.uint8)
    ids_256[: len(labels)] = [ids[label] for label in labels]
    drawings = [replace(drawing, paint=partial(_repaint, drawing.paint, ids_256)) for drawing in plan.drawings]
    return Plan(classes, drawings)


def _repaint(paint: Callable[[Size], NDArray[np.uint8]], ids_256: NDArray[np.uint8], size: Size) -> NDArray[np.uint8]:
    return ids_256[paint(size)]
