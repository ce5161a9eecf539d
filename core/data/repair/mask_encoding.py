"""What the values of a set's masks mean, decided for all masks together.

The *form* of a mask is `ids` of classes, `colours`, `greys` of the classes' colours, or other grey `levels`. Valid ids
are never renumbered. Black and white with grey edges (`smoothed`: all masks, or none) is cut in the middle. Nothing is
guessed but the background of colour masks without black, which the report states. `Survey` is the input of the
decision, `Encoding` its result.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image

from core.classes import ASSUMED, CLASSES_FILE, VOC_CLASSES, Classes, classes_of, classes_of_palette
from core.data.dataset import Contents
from core.data.doctor.mask_checks import LOSSY_FORMATS, Colors, MaskFacts, are_grey_levels, luminances, strays
from core.data.doctor.pair_checks import ExaminedPair
from core.data.images import MASK_MODES, load_picture
from core.data.repair.color_counts import MAX_COLORS, ColorCount, num_bright
from core.data.repair.remedies import Unmendable, values_of
from core.voc import BACKGROUND, VOID

Form = Literal["ids", "colours", "greys", "levels", "smoothed"]

BINARY = frozenset((BACKGROUND, VOID))
LEVELS = frozenset(("grey mask", "binary mask"))
"""Findings about masks that hold grey levels instead of ids."""
BLACK = "#000000"


@dataclass(frozen=True)
class Survey:
    """The masks of a set, taken together.

    forms      by name; unreadable masks are left out
    levels     all values of the masks with grey levels
    colors     counts over the masks that are colour pictures
    has_ids    whether any mask holds ids of the assumed classes, or their greys
    keeps_ids  masks with valid ids and another palette than most masks
    """

    forms: Mapping[str, Form]
    levels: frozenset[int]
    colors: ColorCount
    has_ids: bool
    keeps_ids: frozenset[str]


@dataclass(frozen=True)
class Encoding:
    """The classes of the repaired set, the form of each mask, and ids by value for each form.

    `pictures` are masks with too many colours, `keeps_ids` those of `Survey`; `guessed_background` is a colour or "".
    """

    classes: Classes
    forms: Mapping[str, Form]
    id_by_value: Mapping[Form, Mapping[int, int]]
    pictures: frozenset[str]
    keeps_ids: frozenset[str]
    guessed_background: str


def known_classes(contents: Contents, pairs: Sequence[ExaminedPair]) -> Classes | None:
    """Return the classes of a classes.txt or of most masks' palette, None if VOC's are only assumed."""
    if (contents.root / CLASSES_FILE).exists():
        return contents.classes
    colored = [pair for pair in pairs if pair.mask and pair.mask.colors != "grey"]
    other = [pair for pair in colored if pair.mask and pair.mask.colors == "other"]
    if 2 * len(other) <= len(colored):
        return None if contents.classes in ASSUMED else contents.classes
    highest = max(
        (value for pair in pairs if pair.mask and not pair.kinds & LEVELS for value in pair.mask.values - {VOID}),
        default=0,
    )
    return _classes_of_palettes([pair.mask for pair in other if pair.mask], highest)


def _classes_of_palettes(masks: Sequence[MaskFacts], highest: int) -> Classes | None:
    """Return numbered classes up to the highest id, in the colours that most palettes give to the used ids.

    If palettes contradict each other, colours define classes, not ids: return None.
    """
    used = [{value: mask.color_of(value) for value in mask.values - {VOID}} for mask in masks]
    votes: dict[int, Counter[int | None]] = {}
    for colors in used:
        for value, color in colors.items():
            votes.setdefault(value, Counter())[color] += 1
    usual = {value: its.most_common(1)[0][0] for value, its in votes.items()}
    agree = [mask for mask, colors in zip(masks, used, strict=True) if colors.items() <= usual.items()]
    if 2 * len(agree) <= len(masks):
        return None
    longest = max(agree, key=lambda mask: len(mask.palette))
    known = classes_of_palette(np.frombuffer(longest.palette, dtype=np.uint8).reshape(-1, 3))
    if known and len(known) > highest:
        return known
    colors = {value: usual.get(value, longest.color_of(value)) for value in range(max(highest, 1) + 1)}
    return _numbered(
        [VOC_CLASSES.css_color(value) if color is None else f"#{color:06x}" for value, color in colors.items()]
    )


def palettes_of_ids(contents: Contents, given: Classes | None, *, is_named: bool) -> frozenset[Colors]:
    """Return the kinds of palette with which ids define classes; with others, colours do.

    With named classes that is any kind; only grey if `given` is None because palettes contradict each other.
    """
    if is_named:
        return frozenset(("usual", "other", "grey"))
    return frozenset(("grey",)) if given is None and contents.classes not in ASSUMED else frozenset(("usual", "grey"))


def survey(
    pairs: Sequence[ExaminedPair],
    error_kinds: Mapping[str, frozenset[str]],
    classes: Classes,
    palettes: frozenset[Colors],
) -> Survey:
    """Return the forms and values of all masks; `error_kinds` are the doctor's findings by name.

    Only masks that are not plain ids are read again: those without one of these `palettes` count as colours.
    """
    forms: dict[str, Form] = {}
    values: dict[str, frozenset[int]] = {}
    colors = ColorCount()
    keeps_ids = frozenset[str]() if "other" in palettes else _keeping_ids(pairs, classes)
    for pair in pairs:
        if pair.mask and pair.mask.format not in LOSSY_FORMATS:
            name = pair.entry.name
            is_plain = pair.mask.mode in MASK_MODES and (pair.mask.colors in palettes or name in keeps_ids)
            kinds = error_kinds.get(name, frozenset())
            if is_plain:
                forms[name], values[name] = "levels" if kinds & LEVELS else "ids", pair.mask.values
            else:
                forms[name], values[name] = _look(pair, kinds, classes, colors)
    # Pictures that are entirely grey, and not in classes' colours that are grey.
    if colors.pixels and not num_bright(colors.pixels) and not colors.pixels.keys() <= ids_by_color(classes).keys():
        greys = frozenset(color & 255 for color in colors.pixels)
        values |= {name: greys for name in forms if forms[name] == "colours"}
        form: Form = "levels" if _are_levels(greys, classes) else "ids"
        forms |= {name: form for name, found in forms.items() if found == "colours"}
        colors = ColorCount()
    forms |= _greys(forms, values, classes)
    levels = frozenset[int]().union(*(values[name] for name, found in forms.items() if found == "levels"))
    has_ids = any(found == "greys" or (found == "ids" and values[name] - BINARY) for name, found in forms.items())
    return Survey(forms, levels, colors, has_ids, keeps_ids)


def _keeping_ids(pairs: Sequence[ExaminedPair], classes: Classes) -> frozenset[str]:
    """Return masks with another palette than most, but valid ids, whose colours are not those of classes."""
    colored = [pair for pair in pairs if pair.mask and pair.mask.colors != "grey"]
    other = [(pair.entry.name, pair.mask) for pair in colored if pair.mask and pair.mask.colors == "other"]
    known = ids_by_color(classes).keys()
    return frozenset(
        name
        for name, mask in other
        if 2 * len(other) <= len(colored)
        and not strays(mask.values, len(classes))
        and not {mask.color_of(value) for value in mask.values - {VOID}} <= known
    )


def _greys(forms: Mapping[str, Form], values: Mapping[str, frozenset[int]], classes: Classes) -> dict[str, Form]:
    """Return the masks of levels that hold greys of colours: those with void's grey, or all if all values fit.

    A single grey may be chance.
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


def _look(
    pair: ExaminedPair, kinds: frozenset[str], classes: Classes, colors: ColorCount
) -> tuple[Form, frozenset[int]]:
    """Return the form of a mask and its values (of ids and levels), and count its colours if it has any."""
    file = pair.entry.mask_file
    picture = load_picture(file, "mask") if file else Image.new("L", (1, 1))
    if picture.mode in ("P", "RGBA") or "colour mask" in kinds:
        colors.add(pair.entry.name, picture)
        return "colours", frozenset()
    try:
        values = frozenset(np.unique(values_of(picture)).tolist())
    except Unmendable:
        return "ids", frozenset()
    return "levels" if _are_levels(values, classes) else "ids", values


def _are_levels(values: frozenset[int], classes: Classes) -> bool:
    return values == BINARY or are_grey_levels(values, classes)


def conclude(seen: Survey, given: Classes | None, assumed: Classes) -> Encoding:
    """Return what the values mean; `given` are the classes if known, else they are inferred or `assumed`."""
    inferred = None
    # Only if all masks are of one form that VOC's palette does not explain.
    if not given and not seen.has_ids and bool(seen.levels) != bool(seen.colors.pixels):
        inferred = _from_colors(seen.colors) if seen.colors.pixels else _from_levels(seen.levels)
    classes = given or inferred or assumed
    greys = {grey: class_id for grey, class_id in luminances(classes).items() if class_id is not None}
    levels = _ids_by_level(sorted(seen.levels - {BACKGROUND}), classes) if given or inferred else {}
    ids = {class_id: class_id for class_id in (*range(len(classes)), VOID)}
    by_form: dict[Form, dict[int, int]] = {
        "ids": ids, "colours": ids_by_color(classes), "greys": greys, "levels": levels,
    }  # fmt: skip
    guessed = inferred.colors[0] if inferred and inferred.colors[0] != BLACK else ""
    return Encoding(classes, seen.forms, by_form, frozenset(seen.colors.pictures), seen.keeps_ids, guessed)


def cut_in_the_middle(names: Iterable[str], given: Classes | None) -> Encoding:
    """Return the encoding of masks that are all black and white with grey edges."""
    forms: dict[str, Form] = dict.fromkeys(names, "smoothed")
    return Encoding(given or classes_of(("background", "object")), forms, {}, frozenset(), frozenset(), "")


def _from_colors(colors: ColorCount) -> Classes | None:
    """Number unknown colours: the background first, then by frequency."""
    by_frequency = [color for color, _ in sorted(colors.pixels.items(), key=lambda item: (-item[1], item[0]))]
    if not 0 < len(set(by_frequency) - {0}) <= MAX_COLORS or set(by_frequency) & ids_by_color(VOC_CLASSES).keys() - {0}:
        return None
    background = colors.background()
    numbered = [background, *(color for color in by_frequency if color != background)]
    return _numbered([f"#{color:06x}" for color in numbered])


def _from_levels(levels: frozenset[int]) -> Classes | None:
    """Number levels, darkest first."""
    objects = levels - {BACKGROUND} - ({VOID} if _has_void(levels) else set())
    if not objects:
        return None
    if len(objects) == 1:
        return classes_of(("background", "object"))
    return _numbered([VOC_CLASSES.css_color(class_id) for class_id in range(len(objects) + 1)])


def _numbered(colors: list[str]) -> Classes:
    """Return classes named by number, at least two."""
    colors = colors if len(colors) > 1 else [*colors, VOC_CLASSES.css_color(1)]
    return Classes(("background", *(f"class {number}" for number in range(1, len(colors)))), tuple(colors))


def _has_void(levels: frozenset[int]) -> bool:
    """Return whether 255 is void: not if all levels are evenly spread up to it."""
    found = sorted(levels | {BACKGROUND})
    even = np.linspace(BACKGROUND, VOID, len(found))
    return VOID in levels and bool(np.abs(np.array(found) - even).max() > 1)


def _ids_by_level(objects: Sequence[int], classes: Classes) -> dict[int, int]:
    """Return ids by level (`objects` lack the background's), by order or by position in [0, 255]."""
    if len(objects) == len(classes) and objects[-1] == VOID:
        return dict(zip([BACKGROUND, *objects[:-1]], range(len(classes)), strict=True)) | {VOID: VOID}
    if len(objects) == len(classes) - 1:
        return dict(zip([BACKGROUND, *objects], range(len(classes)), strict=True))
    step = VOID / (len(classes) - 1)
    is_even = len(objects) > 1 and all(abs(level - round(level / step) * step) <= 1 for level in objects)
    return {level: round(level / step) for level in [BACKGROUND, *objects]} if is_even else {}


def ids_by_color(classes: Classes) -> dict[int, int]:
    """Return ids by colour (0xRRGGBB), with void; colours of two classes are left out."""
    ids = [*range(len(classes)), VOID]
    colors = [int(classes.css_color(class_id)[1:], 16) for class_id in ids]
    counts = Counter(colors)
    return {color: class_id for color, class_id in zip(colors, ids, strict=True) if counts[color] == 1}
