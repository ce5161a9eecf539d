"""Masks of ids in any two folders: grey levels, palettes, 16 bits, signed numbers, NumPy arrays, and binary masks.

A value is a class, -1 and 255 are void. Names come from a table (`value_names`), else the classes are numbered and
unnamed. Binary masks hold 0 and one other value; those in JPEG, or smoothed, are cut in the middle. Values that neither
a table nor their order explains, as levels of grey far apart, need a table.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.classes import Classes
from core.data.importers.masks.color_table import recognise_color_table
from core.data.importers.masks.known_names import KNOWN
from core.data.importers.masks.mask_file import CUT, MAX_VALUES, Counts, is_smoothed
from core.data.importers.masks.mask_values import counted, read_values
from core.data.importers.masks.pairs import Pair, find_pairs, is_of_class
from core.data.importers.masks.value_names import ValueNames, names_for
from core.data.importers.notes import Notes
from core.data.importers.photo_folder import PICTURE_SUFFIXES, files_in
from core.data.importers.plan import Plan, Size, Source, Value, drawing_of, is_background, number_labels
from core.data.pair_names import JPEG_SUFFIXES
from core.errors import DataError
from core.voc import BACKGROUND, VOID

WHITE_OF_16_BITS = 65_535
UNSIGNED_VOID = (-1, WHITE_OF_16_BITS, VOID)
MAX_GAP = 8
"""Unnamed values further apart are levels of grey rather than ids."""

MAX_LOOKED_AT = 32
"""Masks whose borders say whether 0 may be the background."""


@dataclass(frozen=True)
class Values:
    """What the values of masks mean: the class of each, or that they are cut in the middle."""

    id_of: dict[int, int]
    is_cut: bool = False


def recognise_id_masks(source: Source) -> str | None:
    """Return what speaks for masks of ids: pairs whose first mask has one number per pixel."""
    if recognise_color_table(source):
        return None
    try:
        pairs = find_pairs(source, Notes())
        read_values(pairs[0].mask)
    except DataError:
        return None
    return None if is_of_class(pairs[0], source) else f"{len(pairs):,} photos with masks, as {pairs[0].mask.name}"


def plan_id_masks(source: Source, notes: Notes) -> Plan:
    """Plan two folders of photos and masks; each mask is read once to see which values there are."""
    names = names_for(source)
    pairs = find_pairs(_with_usual_masks(source, names), notes)
    if names is None:
        _refuse_known(pairs[0].mask)
    counts = counted((pair.mask for pair in pairs), notes, checks_colors=not (names and names.said))
    classes, values = _meaning(counts, names, pairs, source, notes)
    if names and not values.is_cut and (name := names.guess_of_0(sorted(counts))):
        _refuse_0_at_border(name, pairs, source)
        notes.say(f"The value 0 is taken for '{name}'; if it is the background, say so with --classes 0=background.")
    _note_inverted(classes, values, pairs, notes)
    if names is None:
        notes.say(
            "Nothing names the classes, so they are numbers, and 0 is taken for the background; name them in "
            "classes.txt, one a line, or import with --classes, --table or --names."
        )
    drawings = [drawing_of(pair.photo, partial(_paint, pair.mask, values, notes), split=pair.split) for pair in pairs]
    shown = () if values.is_cut else values_of(counts, values.id_of)
    return Plan(classes, drawings, has_named_classes=names is not None, values=shown)


def _note_inverted(classes: Classes, values: Values, pairs: Sequence[Pair], notes: Notes) -> None:
    """Note where the one class lies at the borders of most masks, as a background does."""
    shares = [_share_at_border(_paint(pair.mask, values, Notes(), (0, 0)) == 1) for pair in pairs[:MAX_LOOKED_AT]]
    if len(classes) == len("01") and np.median(shares) > 1 / 2:
        notes.say(
            f"'{classes.names[1]}' lies at the borders of most masks: if it is the background, save the masks the "
            "other way round."
        )


def _share_at_border(is_so_HW: NDArray[np.bool_]) -> float:
    return float(np.mean(np.concatenate([is_so_HW[0], is_so_HW[-1], is_so_HW[:, 0], is_so_HW[:, -1]])))


def _refuse_0_at_border(name: str, pairs: Sequence[Pair], source: Source) -> None:
    """Raise `DataError` where 0 lies at the border of most masks, as a background does, and may be a class."""
    borders = [_share_at_border(read_values(pair.mask) == 0) for pair in pairs[:MAX_LOOKED_AT]]
    if np.median(borders) > 1 / 2:
        raise DataError(
            f"The masks of {source.path} hold 0 at their borders, which the names call '{name}' if they start at 0; "
            f"say which it is with --classes 0=background, or --classes 0={name}."
        )


def unknown_values(source: Source) -> tuple[Value, ...]:
    """Return the values of the masks where a person has to say what they are; none where they are too many."""
    names = names_for(source)
    counts = counted((pair.mask for pair in find_pairs(_with_usual_masks(source, names), Notes())), Notes())
    values = values_of(counts, {0: BACKGROUND} | dict.fromkeys(UNSIGNED_VOID, VOID))
    guess = names.guess_of_0(sorted(counts)) if names else None
    return (replace(values[0], guess=guess), *values[1:]) if values and guess else values


def values_of(counts: Counts, id_of: Mapping[int, int]) -> tuple[Value, ...]:
    """Return values with their ids and pixels in rising order; none where they are more than a person would name."""
    if len(counts) > MAX_VALUES:
        return ()
    return tuple(Value(str(value), id_of.get(value), counts[value]) for value in sorted(counts))


def _with_usual_masks(source: Source, names: ValueNames | None) -> Source:
    usual = names.ending if names and not source.masks else None
    is_there = usual and any(file.stem.endswith(usual) for file in files_in(source.path, PICTURE_SUFFIXES))
    return replace(source, masks=usual) if is_there else source


def _refuse_known(mask: Path) -> None:
    """Raise `DataError` for masks that are called as those of a known data set, where 0 may be a class."""
    called = mask.as_posix()
    if name := next((name for name, known in KNOWN.items() if known.path and known.path.search(called)), None):
        raise DataError(
            f"{mask} is called as the masks of {KNOWN[name].title}, and nothing names its classes; give --names {name} "
            "for its own, or a --table of yours."
        )


def _meaning(
    counts: Counts, names: ValueNames | None, pairs: Sequence[Pair], source: Source, notes: Notes
) -> tuple[Classes, Values]:
    of_binary = names.of([0, 1]) if names else {}
    lossy = next((pair.mask for pair in pairs if pair.mask.suffix.lower() in JPEG_SUFFIXES), None)
    is_binary = names is None or (len(names.in_order) <= len("01") and not names.said)
    if is_binary and is_smoothed(counts, is_lossy=lossy is not None):
        between = sum(number for value, number in counts.items() if 0 < value < VOID)
        notes.say(
            f"The masks are black and white, saved as JPEG or smoothed: {between:,} grey pixels cut at {CUT} of {VOID}."
        )
        return _classes([1], of_binary, source, notes)[0], Values({}, is_cut=True)
    if lossy:
        raise DataError(
            f"{lossy} is a JPEG, which cannot hold ids of classes: it blends them; export the masks as PNG."
        )
    values = sorted(value for value in counts if value not in UNSIGNED_VOID)
    if is_binary and sorted(counts) in ([0, VOID], [VOID], [0, WHITE_OF_16_BITS]):
        white = max(counts)
        notes.say(f"The masks hold 0 and {white} alone: {white} is taken for the object, not for void.")
        return _classes([1], of_binary, source, notes)[0], Values({0: BACKGROUND, white: 1})
    if not values:
        raise DataError(f"The masks of {source.path} hold no value but void; name their folder with --masks.")
    if values[0] < 0 or values[-1] >= 65_535:
        raise DataError(f"The masks of {source.path} hold the value {min(values, key=abs)}; ids go from 0 to 65,534.")
    if names is None:
        return _unnamed(values, counts, source, notes)
    classes, ids = _classes(values, names.of(values), source, notes, names.colors)
    return classes, Values(ids | {void: VOID for void in counts if void in UNSIGNED_VOID and void not in ids})


def _unnamed(values: Sequence[int], counts: Counts, source: Source, notes: Notes) -> tuple[Classes, Values]:
    """Number classes that nothing names: as their values, which have to lie side by side."""
    if any(after - before > MAX_GAP for before, after in zip([0, *values], values, strict=False)):
        listed = ", ".join(map(str, values[:6]))
        raise DataError(
            f"The masks of {source.path} hold the values {listed}, and nothing says what they are; say it with "
            f"--classes {values[-1]}=NAME, one for each, or with a table of lines like '85 leaf' and --table."
        )
    if values[-1] == 0:
        raise DataError(
            f"The masks of {source.path} hold no class: every pixel is 0, the background, or void; name the folder of "
            "the masks with --masks."
        )
    if values[0] > 0:
        notes.say(f"No pixel is 0, the background: the values start at {values[0]}.")
    classes, ids = _classes([value for value in values if value > 0], {}, source, notes)
    return classes, Values({0: BACKGROUND} | ids | {void: VOID for void in counts if void in UNSIGNED_VOID})


def _classes(
    values: Sequence[int],
    names: dict[int, str],
    source: Source,
    notes: Notes,
    colors: Mapping[str, str] | None = None,
) -> tuple[Classes, dict[int, int]]:
    """Return the classes, and the id of each value; without names, colours that are not VOC's keep their number."""
    if not names:
        return _numbered(max(values)), {value: value for value in values}
    if strays := [value for value in values if value not in names]:
        raise DataError(
            f"The masks of {source.path} hold the value {strays[0]}, which the names do not have (they are for "
            f"{min(names)} to {max(names)}); add it with --classes {strays[0]}=NAME, or choose a table with --table."
        )
    classes, ids = number_labels(names.values(), source.path, notes, colors)
    if not any(map(is_background, names.values())):
        notes.say("'background' was added as class 0, as the names have none.")
    return classes, {value: ids[name] for value, name in names.items()}


def _numbered(last: int) -> Classes:
    names = ("background", *(f"class {number}" for number in range(1, last + 1)))
    hues = [Image.new("HSV", (1, 1), (round(number * 158) % 256, 200, 230)) for number in range(last)]
    rgb = [hue.convert("RGB").getpixel((0, 0)) for hue in hues]
    colors = ("#{:02x}{:02x}{:02x}".format(*color) for color in rgb if isinstance(color, tuple))
    return Classes(names, ("#000000", *colors))


def _paint(mask: Path, values: Values, notes: Notes, _size: Size) -> NDArray[np.uint8]:
    read_HW = read_values(mask)
    if values.is_cut:
        return (read_HW >= CUT).astype(np.uint8)
    lowest, highest = min(values.id_of), max(values.id_of)
    ids_N = np.zeros(highest - lowest + 1, dtype=np.uint8)
    for value, class_id in values.id_of.items():
        ids_N[value - lowest] = class_id
    has_void = any(
        of == VOID and np.any(read_HW == value) for value, of in values.id_of.items() if value in UNSIGNED_VOID
    )
    notes.count("Masks with pixels of 255 or -1, which are void", mask, has_void)
    return ids_N[read_HW - lowest]
