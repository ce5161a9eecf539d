"""What the values of a set's masks mean: decided once for all of them, so that one level is one class everywhere.

A *form* is what the values of a mask are: `ids` of classes, `colours`, `greys` that the classes' colours turn into, or
any other grey `levels`. What cannot be known is never guessed: no meaning is given to it. `Survey` is what was seen of
all masks, `Reading` what was concluded.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image

from core.classes import CLASSES_FILE, VOC_CLASSES, Classes, classes_of, classes_of_palette
from core.data.checks import ExaminedPair
from core.data.dataset import Contents
from core.data.images import MASK_MODES, load_picture
from core.data.mask_checks import LOSSY_FORMATS, MaskFacts, are_grey_levels, luminances
from core.data.remedies import Unmendable, colors_of, values_of
from core.voc import BACKGROUND, VOID

Form = Literal["ids", "colours", "greys", "levels"]

MAX_COLORS = 64
"""Masks with more unknown colours than this are photos, or their edges are blended."""
BINARY = frozenset((BACKGROUND, VOID))


@dataclass(frozen=True)
class Survey:
    """What the masks of a set hold, taken together.

    forms    by name; masks that cannot be read are left out
    levels   all values of the masks whose values are levels
    colors   pixels by colour (0xRRGGBB) of the masks that are colour pictures, transparent pixels left out
    has_ids  whether any mask tells ids of the assumed classes already, by itself or by its greys
    """

    forms: Mapping[str, Form]
    levels: frozenset[int]
    colors: Counter[int]
    has_ids: bool


@dataclass(frozen=True)
class Reading:
    """The classes of the mended set, the form of each mask, and the ids by the values of each form."""

    classes: Classes
    forms: Mapping[str, Form]
    id_by_value: Mapping[Form, Mapping[int, int]]


# --- looking --------------------------------------------------------------------------------------------------------


def known_classes(contents: Contents, pairs: Sequence[ExaminedPair]) -> Classes | None:
    """Return the classes if a classes.txt or the palette of most masks tells them; None if VOC's are only assumed."""
    if (contents.root / CLASSES_FILE).exists():
        return contents.classes
    colored = [pair for pair in pairs if pair.mask and pair.mask.colors != "grey"]
    other = [pair for pair in colored if pair.mask and pair.mask.colors == "other"]
    if 2 * len(other) <= len(colored):
        return None if contents.classes == VOC_CLASSES else contents.classes
    file = other[0].entry.mask_file
    palette = load_picture(file, "mask").getpalette("RGB") if file else None
    return classes_of_palette(np.array(palette or [], dtype=np.uint8).reshape(-1, 3))


def survey(
    pairs: Sequence[ExaminedPair], error_kinds: Mapping[str, frozenset[str]], classes: Classes, *, is_named: bool
) -> Survey:
    """Look at all masks; `error_kinds` are those that the doctor found by name.

    Only masks that are no plain ids are read again. Palettes that differ from the classes' are taken for colours,
    unless the classes `is_named`: then ids are what counts.
    """
    forms: dict[str, Form] = {}
    values: dict[str, frozenset[int]] = {}
    colors: Counter[int] = Counter()
    for pair in pairs:
        if pair.mask and pair.mask.format not in LOSSY_FORMATS:
            name = pair.entry.name
            is_plain = pair.mask.mode in MASK_MODES and (is_named or pair.mask.colors != "other")
            kinds = error_kinds.get(name, frozenset())
            forms[name], values[name], its = _plain(pair.mask, kinds) if is_plain else _look(pair, kinds, classes)
            colors += its
    if colors and _are_greys(colors, classes):
        values |= {name: frozenset(color & 255 for color in colors) for name in forms if forms[name] == "colours"}
        form: Form = "levels" if _are_levels(frozenset(color & 255 for color in colors), classes) else "ids"
        forms |= {name: form for name, found in forms.items() if found == "colours"}
        colors = Counter()
    forms |= _greys(forms, values, classes)
    levels = frozenset[int]().union(*(values[name] for name, found in forms.items() if found == "levels"))
    has_ids = any(found == "greys" or (found == "ids" and values[name] - BINARY) for name, found in forms.items())
    return Survey(forms, levels, colors, has_ids)


def _greys(forms: Mapping[str, Form], values: Mapping[str, frozenset[int]], classes: Classes) -> dict[str, Form]:
    """Return the masks among those of levels that hold greys of colours: those with void's, or all if all look so.

    One grey alone could be chance.
    """
    greys = luminances(classes)
    names = [name for name, form in forms.items() if form == "levels"]
    every = frozenset[int]().union(*(values[name] for name in names))
    are_all = every <= greys.keys() and (len(every - {BACKGROUND}) > 1 or _holds_void(every, classes))
    return {
        name: "greys"
        for name in names
        if are_all or (values[name] <= greys.keys() and _holds_void(values[name], classes))
    }


def _holds_void(values: frozenset[int], classes: Classes) -> bool:
    greys = luminances(classes)
    return any(greys.get(value) == VOID for value in values)


def _plain(mask: MaskFacts, kinds: frozenset[str]) -> tuple[Form, frozenset[int], Counter[int]]:
    return "levels" if kinds & {"grey mask", "binary mask"} else "ids", mask.values, Counter()


def _look(pair: ExaminedPair, kinds: frozenset[str], classes: Classes) -> tuple[Form, frozenset[int], Counter[int]]:
    """Return the form of a mask, its values (of ids and levels), and its colours (of colour pictures)."""
    file = pair.entry.mask_file
    picture = load_picture(file, "mask") if file else Image.new("L", (1, 1))
    if picture.mode in ("P", "RGBA") or "colour mask" in kinds:
        color_HW, is_clear_HW = colors_of(picture)
        found, counts = np.unique(color_HW[~is_clear_HW], return_counts=True)
        return "colours", frozenset(), Counter(dict(zip(found.tolist(), counts.tolist(), strict=True)))
    try:
        values = frozenset(np.unique(values_of(picture)).tolist())
    except Unmendable:
        return "ids", frozenset(), Counter()
    return "levels" if _are_levels(values, classes) else "ids", values, Counter()


def _are_levels(values: frozenset[int], classes: Classes) -> bool:
    return values == BINARY or are_grey_levels(values, classes)


def _are_greys(colors: Counter[int], classes: Classes) -> bool:
    """Tell whether colour pictures are grey throughout, and not in colours of classes that happen to be grey."""
    is_grey = all(color >> 16 == color >> 8 & 255 == color & 255 for color in colors)
    return is_grey and not colors.keys() <= ids_by_color(classes).keys()


# --- concluding -----------------------------------------------------------------------------------------------------


def conclude(seen: Survey, given: Classes | None) -> Reading:
    """Decide what the values mean; `given` are the classes if they are known to be these, else VOC's are assumed."""
    inferred = None if given else _infer(seen)
    classes = given or inferred or VOC_CLASSES
    greys = {grey: class_id for grey, class_id in luminances(classes).items() if class_id is not None}
    levels = _ids_by_level(sorted(seen.levels - {BACKGROUND}), classes) if given or inferred else {}
    ids = {class_id: class_id for class_id in (*range(len(classes)), VOID)}
    return Reading(
        classes, seen.forms, {"ids": ids, "colours": ids_by_color(classes), "greys": greys, "levels": levels}
    )


def _infer(seen: Survey) -> Classes | None:
    """Return the classes of a set in which all masks are of one form that VOC's palette does not explain."""
    if seen.has_ids or bool(seen.levels) == bool(seen.colors):
        return None
    return _from_colors(seen.colors) if seen.colors else _from_levels(seen.levels)


def _from_colors(colors: Counter[int]) -> Classes | None:
    """Number unknown colours, the most frequent first, black as the background."""
    unknown = [color for color, _ in sorted(colors.items(), key=lambda item: (-item[1], item[0])) if color]
    if not 0 < len(unknown) <= MAX_COLORS or set(unknown) & ids_by_color(VOC_CLASSES).keys():
        return None
    return _numbered(["#000000", *(f"#{color:06x}" for color in unknown)])


def _from_levels(levels: frozenset[int]) -> Classes | None:
    """Number levels, the darkest first."""
    objects = levels - {BACKGROUND} - ({VOID} if _has_void(levels) else set())
    if not objects:
        return None
    if len(objects) == 1:
        return classes_of(("background", "object"))
    return _numbered([VOC_CLASSES.css_color(class_id) for class_id in range(len(objects) + 1)])


def _numbered(colors: list[str]) -> Classes:
    """Name classes by their numbers; two at least, as every set has."""
    colors = colors if len(colors) > 1 else [*colors, VOC_CLASSES.css_color(1)]
    return Classes(("background", *(f"class {number}" for number in range(1, len(colors)))), tuple(colors))


def _has_void(levels: frozenset[int]) -> bool:
    """Tell whether 255 is void among levels: it is one of them where all are spread evenly up to it."""
    found = sorted(levels | {BACKGROUND})
    even = np.linspace(BACKGROUND, VOID, len(found))
    return VOID in levels and bool(np.abs(np.array(found) - even).max() > 1)


def _ids_by_level(objects: Sequence[int], classes: Classes) -> dict[int, int]:
    """Return the ids of levels, the background's left out of `objects`: by their order, or by where they lie."""
    if len(objects) == len(classes) and objects[-1] == VOID:
        return dict(zip([BACKGROUND, *objects[:-1]], range(len(classes)), strict=True)) | {VOID: VOID}
    if len(objects) == len(classes) - 1:
        return dict(zip([BACKGROUND, *objects], range(len(classes)), strict=True))
    step = VOID / (len(classes) - 1)
    is_even = len(objects) > 1 and all(abs(level - round(level / step) * step) <= 1 for level in objects)
    return {level: round(level / step) for level in [BACKGROUND, *objects]} if is_even else {}


def ids_by_color(classes: Classes) -> dict[int, int]:
    """Return ids by colour (0xRRGGBB), void's too; a colour of two classes tells nothing and is left out."""
    ids = [*range(len(classes)), VOID]
    colors = [int(classes.css_color(class_id)[1:], 16) for class_id in ids]
    counts = Counter(colors)
    return {color: class_id for color, class_id in zip(colors, ids, strict=True) if counts[color] == 1}
