"""What the values of a set's masks mean: decided once for all of them, so that one level is one class everywhere.

A *form* is what the values of a mask are: `ids` of classes, `colours`, `greys` that the classes' colours turn into, or
any other grey `levels`. Ids that are sound are never numbered anew, whatever their colours are. What cannot be known is
not guessed, but for the background of colour masks without black, and that guess is told. `Survey` is what was seen of
all masks, `Reading` what was concluded.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
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

Form = Literal["ids", "colours", "greys", "levels"]

BINARY = frozenset((BACKGROUND, VOID))
LEVELS = frozenset(("grey mask", "binary mask"))
"""What the doctor finds where values are grey levels and no ids."""
BLACK = "#000000"


@dataclass(frozen=True)
class Survey:
    """What the masks of a set hold, taken together.

    forms    by name; masks that cannot be read are left out
    levels   all values of the masks whose values are levels
    colors   what was counted over the masks that are colour pictures
    has_ids  whether any mask tells ids of the assumed classes already, by itself or by its greys
    kept     masks whose ids count though their palette is another one than that of most masks
    """

    forms: Mapping[str, Form]
    levels: frozenset[int]
    colors: ColorCount
    has_ids: bool
    kept: frozenset[str]


@dataclass(frozen=True)
class Reading:
    """The classes of the mended set, the form of each mask, and the ids by the values of each form.

    `pictures` are masks of too many colours, `kept` those of `Survey`; `guessed_background` is a colour, or "".
    """

    classes: Classes
    forms: Mapping[str, Form]
    id_by_value: Mapping[Form, Mapping[int, int]]
    pictures: frozenset[str]
    kept: frozenset[str]
    guessed_background: str


# --- looking --------------------------------------------------------------------------------------------------------


def known_classes(contents: Contents, pairs: Sequence[ExaminedPair]) -> Classes | None:
    """Return the classes if a classes.txt or the palette of most masks tells them; None if VOC's are only assumed."""
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
    """Return numbered classes up to the highest id, in the colours that most palettes give the ids they use.

    Where palettes contradict each other the colours are what masks mean, not the ids: None.
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
    """Return what palette a mask has whose ids count; one of another has colours that count.

    Where the classes `is_named` that is any, and none where `given` is None since palettes contradict each other.
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
    """Look at all masks; `error_kinds` are those that the doctor found by name.

    Only masks that are no plain ids are read again: those without one of these `palettes` are taken for colours.
    """
    forms: dict[str, Form] = {}
    values: dict[str, frozenset[int]] = {}
    colors = ColorCount()
    kept = frozenset[str]() if "other" in palettes else _kept(pairs, classes)
    for pair in pairs:
        if pair.mask and pair.mask.format not in LOSSY_FORMATS:
            name = pair.entry.name
            is_plain = pair.mask.mode in MASK_MODES and (pair.mask.colors in palettes or name in kept)
            kinds = error_kinds.get(name, frozenset())
            forms[name], values[name] = _plain(pair.mask, kinds) if is_plain else _look(pair, kinds, classes, colors)
    if colors.pixels and _are_greys(colors.pixels, classes):
        greys = frozenset(color & 255 for color in colors.pixels)
        values |= {name: greys for name in forms if forms[name] == "colours"}
        form: Form = "levels" if _are_levels(greys, classes) else "ids"
        forms |= {name: form for name, found in forms.items() if found == "colours"}
        colors = ColorCount()
    forms |= _greys(forms, values, classes)
    levels = frozenset[int]().union(*(values[name] for name, found in forms.items() if found == "levels"))
    has_ids = any(found == "greys" or (found == "ids" and values[name] - BINARY) for name, found in forms.items())
    return Survey(forms, levels, colors, has_ids, kept)


def _kept(pairs: Sequence[ExaminedPair], classes: Classes) -> frozenset[str]:
    """Return masks whose palette is not the one of most, but whose ids are sound, where its colours explain nothing."""
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


def _plain(mask: MaskFacts, kinds: frozenset[str]) -> tuple[Form, frozenset[int]]:
    return "levels" if kinds & LEVELS else "ids", mask.values


def _look(
    pair: ExaminedPair, kinds: frozenset[str], classes: Classes, colors: ColorCount
) -> tuple[Form, frozenset[int]]:
    """Return the form of a mask and its values (of ids and levels); its colours, if it is of these, are counted."""
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


def _are_greys(colors: Mapping[int, int], classes: Classes) -> bool:
    """Tell whether colour pictures are grey throughout, and not in colours of classes that happen to be grey."""
    return not num_bright(colors) and not colors.keys() <= ids_by_color(classes).keys()


# --- concluding -----------------------------------------------------------------------------------------------------


def conclude(seen: Survey, given: Classes | None, assumed: Classes) -> Reading:
    """Decide what the values mean; `given` are the classes if they are known to be these, else others are `assumed`."""
    inferred = None if given else _infer(seen)
    classes = given or inferred or assumed
    greys = {grey: class_id for grey, class_id in luminances(classes).items() if class_id is not None}
    levels = _ids_by_level(sorted(seen.levels - {BACKGROUND}), classes) if given or inferred else {}
    ids = {class_id: class_id for class_id in (*range(len(classes)), VOID)}
    by_form: dict[Form, dict[int, int]] = {
        "ids": ids, "colours": ids_by_color(classes), "greys": greys, "levels": levels,
    }  # fmt: skip
    guessed = inferred.colors[0] if inferred and inferred.colors[0] != BLACK else ""
    return Reading(classes, seen.forms, by_form, frozenset(seen.colors.pictures), seen.kept, guessed)


def _infer(seen: Survey) -> Classes | None:
    """Return the classes of a set in which all masks are of one form that VOC's palette does not explain."""
    if seen.has_ids or bool(seen.levels) == bool(seen.colors.pixels):
        return None
    return _from_colors(seen.colors) if seen.colors.pixels else _from_levels(seen.levels)


def _from_colors(colors: ColorCount) -> Classes | None:
    """Number unknown colours, the most frequent first, after that of the background."""
    by_frequency = [color for color, _ in sorted(colors.pixels.items(), key=lambda item: (-item[1], item[0]))]
    if not 0 < len(set(by_frequency) - {0}) <= MAX_COLORS or set(by_frequency) & ids_by_color(VOC_CLASSES).keys() - {0}:
        return None
    background = colors.background()
    numbered = [background, *(color for color in by_frequency if color != background)]
    return _numbered([f"#{color:06x}" for color in numbered])


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
