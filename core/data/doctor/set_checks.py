"""Checks between the pairs of a data set."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from core.classes import ASSUMED, CLASSES_FILE
from core.data.dataset import Contents
from core.data.doctor.mask_checks import luminances
from core.data.doctor.pair_checks import ExaminedPair
from core.data.doctor.problems import HIDDEN, Entry, Problem
from core.data.doctor.similar_photos import first_similar
from core.data.pair_names import PHOTO_SUFFIXES, composed
from core.voc import BACKGROUND, VOID

SPLIT_ANEW = "write stratified lists (Splits on the Dataset page, or `doctor DIR --repair OUT --split-anew`)"
REPAIR_ANEW = "make a repaired copy, and write stratified lists there (`doctor DIR --repair OUT --split-anew`)"
"""The remedies for a class with enough photos for train and val: in a folder that opens, and in one that does not."""

NAME_FILES = ("class_names.txt", "labels.txt", "labelmap.txt", "label_colors.txt")
"""Files with class names of labelme, PaddleSeg, CVAT and CamVid."""

Found = Iterator[tuple[Entry, Problem]]


def check_set(contents: Contents, names_by_split: Mapping[str, Sequence[str]], pairs: Sequence[ExaminedPair]) -> Found:
    """Yield the problems between pairs, each with the entry that the finding names."""
    yield from _listed_twice(names_by_split, [pair.entry for pair in pairs])
    yield from same_photos(pairs)
    yield from _similar_photos(pairs)
    yield from _only_in_val(contents, pairs)
    yield from _missing_in_val(contents, pairs)
    yield from _files_of_one_name(contents, [pair.entry for pair in pairs])
    yield from _unnamed_classes(contents, pairs)
    yield from _palettes_that_differ(contents, pairs)
    yield from _grey_among_colored(pairs)
    yield from _grey_among_grey(contents, pairs)


def _copy(other: str, *, is_leak: bool) -> Problem:
    if is_leak:
        detail = f"{other} of train is the same photo, so the score on val is too good; keep it in one of the two."
        return Problem("duplicate photo", detail, is_of_mask=False, other=other)
    detail = f"{other} is the same photo, which counts twice in its split; remove one of them."
    return Problem("duplicate photo", detail, "warning", is_of_mask=False, other=other)


def _listed_twice(names_by_split: Mapping[str, Sequence[str]], entries: Iterable[Entry]) -> Found:
    repeated = {name for names in names_by_split.values() for name, count in Counter(names).items() if count > 1}
    for entry in entries:
        is_leak = {"train", "val"} <= set(entry.splits)
        if is_leak or entry.name in repeated:
            yield entry, _copy(entry.name, is_leak=is_leak)


def same_photos(pairs: Sequence[ExaminedPair]) -> Found:
    """Yield photos with equal bytes under two names; each copy once, at val if another one is in train."""
    groups: dict[bytes, list[Entry]] = {}
    for pair in pairs:
        if pair.photo:
            groups.setdefault(pair.photo.digest, []).append(pair.entry)
    for entries in groups.values():
        first: dict[str, Entry] = {}
        for entry in entries:
            for split in entry.splits:
                first.setdefault(split, entry)
        for entry in entries if len(entries) > 1 else ():
            if "val" in entry.splits and first.get("train", entry) != entry:
                yield entry, _copy(first["train"].name, is_leak=True)
            elif other := next((first[split] for split in entry.splits if first[split] != entry), None):
                yield entry, _copy(other.name, is_leak=False)


def is_to_train_on(split: str) -> bool:
    """Return whether a list must not contain photos of val; VOC's trainval contains them by definition."""
    return split.startswith("train") and not split.startswith("trainval")


def leaks(names_by_split: Mapping[str, Sequence[str]], pairs: Sequence[ExaminedPair]) -> dict[str, dict[str, str]]:
    """Return by training list, except train, the photos of val that it has: names there by names in val."""
    digests = {pair.entry.name: pair.photo.digest for pair in pairs if pair.photo}
    train = set(names_by_split["train"])
    found = {}
    for split in (split for split in names_by_split if is_to_train_on(split) and split != "train"):
        names = set(names_by_split[split])
        # Copies that are in train are reported there, photo by photo.
        copies = {digests[name]: name for name in names_by_split[split] if name in digests and name not in train}
        twins = {name: name if name in names else copies.get(digests.get(name, b"")) for name in names_by_split["val"]}
        found[split] = {name: twin for name, twin in twins.items() if twin is not None}
    return {split: twins for split, twins in found.items() if twins}


def _similar_photos(pairs: Sequence[ExaminedPair]) -> Found:
    """Yield each photo of val that looks like one of train and is not a copy."""
    seen = [(pair.entry, pair.photo) for pair in pairs if pair.photo and {"train", "val"} & set(pair.entry.splits)]
    train = [(entry, photo) for entry, photo in seen if "train" in entry.splits]
    val = [(entry, photo) for entry, photo in seen if "val" in entry.splits]
    found = first_similar([photo for _, photo in val], [photo for _, photo in train])
    for (entry, _), at in zip(val, found, strict=True):
        if at is not None:
            other = train[at][0].name
            remedy = "keep such photos in one split, if they are of one scene"
            detail = f"{other} of train looks the same, so the score on val may be too good; {remedy}."
            yield entry, Problem("similar photo", detail, "warning", is_of_mask=False, other=other)


def _files_of_one_name(contents: Contents, entries: Iterable[Entry]) -> Found:
    """Yield files that are never read because another one has their name."""
    by_name = {entry.name: entry for entry in entries}
    for what, folder in (("photos", contents.photo_dir), ("masks", contents.mask_dir)):
        for file in sorted(folder.iterdir()):
            entry = by_name.get(composed(file.stem))
            used = entry and (entry.photo if what == "photos" else entry.mask)
            if file.suffix.lower() in PHOTO_SUFFIXES and entry and used and used != file:
                detail = f"{used.name} has the same name and is used in its place; remove or rename one of them."
                yield entry, Problem(HIDDEN[what], detail, "warning", file=file)


def _only_in_val(contents: Contents, pairs: Sequence[ExaminedPair]) -> Found:
    """Yield each class that is only in val, at the first mask of val with it."""
    taught = {class_id for pair in pairs if "train" in pair.entry.splits for class_id in pair.class_ids}
    for pair in pairs:
        for class_id in sorted(pair.class_ids - taught) if "val" in pair.entry.splits else ():
            taught.add(class_id)
            name, remedy = contents.classes.names[class_id], _to_share(class_id, "train", contents, pairs)
            detail = f"'{name}' is in val but never in train, so it cannot be learnt; {remedy}."
            yield pair.entry, Problem("class only in val", detail, "warning")


def _missing_in_val(contents: Contents, pairs: Sequence[ExaminedPair]) -> Found:
    """Yield each class that is only in train, at the first usable mask with it; not if val is empty."""
    scored = {class_id for pair in pairs if "val" in pair.entry.splits for class_id in pair.class_ids}
    sound = [pair for pair in pairs if "train" in pair.entry.splits and pair.facts] if scored else []
    for pair in sound:
        for class_id in sorted(pair.class_ids - scored):
            scored.add(class_id)
            name, remedy = contents.classes.names[class_id], _to_share(class_id, "val", contents, pairs)
            detail = f"'{name}' is in train but never in val, so no score says how well it is learned; {remedy}."
            yield pair.entry, Problem("class missing in val", detail, "warning")


def _to_share(class_id: int, split: str, contents: Contents, pairs: Sequence[ExaminedPair]) -> str:
    """Return what brings a class into `split` too."""
    split_up = [pair for pair in pairs if pair.facts and {"train", "val"} & set(pair.entry.splits)]
    if sum(class_id in pair.class_ids for pair in split_up) < 2:
        return f"label more photos of it{f', and list one in {split}' if contents.lists else ''}"
    is_opened = all(pair.entry.photo and pair.entry.mask for pair in pairs)
    return SPLIT_ANEW if is_opened else REPAIR_ANEW


def _unnamed_classes(contents: Contents, pairs: Sequence[ExaminedPair]) -> Found:
    """Yield one problem if nothing names the classes of the masks' colours or ids."""
    if (contents.root / CLASSES_FILE).exists():
        return
    remedy = f"name the classes in {CLASSES_FILE}, one a line, the background first"
    if beside := next((name for name in NAME_FILES if (contents.root / name).is_file()), None):
        remedy += f" ({beside} may say how, which is not read)"
    other = [pair.entry for pair in pairs if pair.mask and pair.mask.colors == "other"]
    usual = [pair.entry for pair in pairs if pair.mask and pair.mask.colors == "usual"]
    if other:
        masks = f"{len(other)} mask{'s have' if len(other) > 1 else ' has'} another palette than the classes"
        detail = f"{masks}, so wrong names may be shown for what is learnt; {remedy}."
        yield other[0], Problem("unnamed classes", detail, "warning")
    elif contents.classes not in ASSUMED and usual:
        detail = f"The masks have a palette of their own, so their classes are numbers without names; {remedy}."
        yield usual[0], Problem("unnamed classes", detail, "warning")
    elif not contents.has_named_classes and (shown := [p.entry for p in pairs if p.class_ids - {BACKGROUND}]):
        detail = f"Nothing says what the classes are called, so they are numbers without names; {remedy}."
        yield shown[0], Problem("unnamed classes", detail, "warning")


def _palettes_that_differ(contents: Contents, pairs: Sequence[ExaminedPair]) -> Found:
    """Yield masks whose palette shows an id in another colour than one before, or in that of another class.

    Programs that choose a palette for each picture number its colours anew: the classes are colours then, not ids.
    Where nothing names the classes, `_unnamed_classes` tells masks with another palette than most.
    """
    has_names = (contents.root / CLASSES_FILE).exists()
    id_of = (
        {int(color[1:], 16): class_id for class_id, color in enumerate(contents.classes.colors)} if has_names else {}
    )
    first_of = {class_id: (color, CLASSES_FILE) for color, class_id in id_of.items()} if _are_usual(pairs) else {}
    for pair in pairs:
        own = pair.mask.values - {VOID} if pair.mask and pair.mask.colors == "other" else ()
        colors = {value: color for value in own if pair.mask and (color := pair.mask.color_of(value)) is not None}
        for value, color in sorted(colors.items()):
            first, where = first_of.setdefault(value, (color, pair.entry.name))
            what = ""
            if first != color:
                what = f"as #{color:06x}, and {where} as #{first:06x}"
            elif id_of.get(color, value) != value and {*colors.values()} <= id_of.keys():
                what = f"in the colour of class {id_of[color]}"
            if what:
                remedy = "import the folder as color-table if colours are the classes, with a table of them"
                yield pair.entry, Problem("other palette", f"Its palette shows id {value} {what}; {remedy}.", "warning")
                break


def _are_usual(pairs: Sequence[ExaminedPair]) -> bool:
    return any(pair.mask and pair.mask.colors == "usual" for pair in pairs)


def _grey_among_colored(pairs: Sequence[ExaminedPair]) -> Found:
    """Yield masks without a palette if most masks of their folder have one."""
    for group in _by_folder(pairs):
        num_colored = sum(pair.mask is not None and pair.mask.colors != "grey" for pair in group)
        for pair in group if 2 * num_colored > len(group) else ():
            if _is_sound_grey(pair):
                remedy = "make sure that its ids mean the same classes"
                detail = f"It has no palette, though most masks do: its ids may be of other classes; {remedy}."
                yield pair.entry, Problem("grey mask", detail, "warning")


def _grey_among_grey(contents: Contents, pairs: Sequence[ExaminedPair]) -> Found:
    """Yield masks whose greys pass for ids, if most grey masks of their folder hold greys of colours."""
    greys = luminances(contents.classes).keys()
    for group in _by_folder(pairs):
        sound = [pair for pair in group if _is_sound_grey(pair)]
        pictures = [p for p in group if p.mask and "grey mask" in p.kinds and p.mask.values <= greys]
        for pair in sound if len(pictures) > len(sound) else ():
            if pair.mask and pair.mask.values <= greys:
                harm = "Most masks hold the greys of colours, so these are not ids either, and wrong classes are learnt"
                yield pair.entry, Problem("grey mask", f"{harm}; number the levels, as the repair does.")


def _by_folder(pairs: Sequence[ExaminedPair]) -> list[list[ExaminedPair]]:
    """Group pairs by the folder of the masks: those in `SegmentationClassAug` have another origin."""
    groups: dict[Path, list[ExaminedPair]] = {}
    for pair in pairs:
        if pair.mask and pair.entry.mask_file:
            groups.setdefault(pair.entry.mask_file.parent, []).append(pair)
    return list(groups.values())


def _is_sound_grey(pair: ExaminedPair) -> bool:
    """Return whether a mask without a palette holds class ids, as far as the mask alone shows."""
    objects = pair.mask.values - {BACKGROUND, VOID} if pair.mask and pair.mask.colors == "grey" else None
    return bool(objects) and not any(problem.is_of_mask and problem.severity == "error" for problem in pair.problems)
