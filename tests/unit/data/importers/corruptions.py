"""Small damage to a source that another program exported: one key, value, byte or file at a time, from a seed.

Where what is left is as valid as before and means something else, no reader can notice: a corner that is another
number, a class of another name, a digit among the bytes of a picture without a checksum. Those are not `is_seen`.
"""

import json
import random
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from PIL import Image

from core.files import encoding_of

LONG = "long " * 2000
ODD: tuple[Any, ...] = (float("nan"), float("inf"), float("-inf"), -1, 1e308, "", None, LONG, [[]], {}, "7", True)
NAMES = {"label", "name", "classTitle", "title", "brushlabels", "polygonlabels", "ellipselabels"}
"""Members that may be called anything: any text is a class."""
SHAPES = {"segmentation", "points", "exterior", "interior", "origin", "value", "z_order", "rotation"} | {
    "all_points_x",
    "all_points_y",
}
"""Members in which any number is one: a corner may lie outside of the photo, and anything may lie above."""
NUMBERS = {"points", "z_order", "rotation", "left", "top", "xtl", "ytl", "xbr", "ybr", "cx", "cy", "rx", "ry"}
"""The same of XML."""
PICTURES = (".png", ".jpg")
LINES = (".txt", ".csv", ".yaml")


@dataclass(frozen=True)
class Corruption:
    """What was done, and whether a reader can see it."""

    what: str
    is_seen: bool = True


def corrupt(root: Path, chance: random.Random) -> Corruption:
    """Damage one file below a folder."""
    file = chance.choice(sorted(path for path in root.rglob("*") if path.is_file()))
    inside = {".json": _json, ".xml": _xml, **dict.fromkeys(PICTURES, _resized), **dict.fromkeys(LINES, _word)}
    files = (_renamed, _moved, _emptied, _truncated, _deleted, _duplicated, _flipped, _folder)
    # What is in a file has many more ways to be wrong than where it lies.
    kinds: list[Callable[[Path, Path, random.Random], Corruption]] = [*files, *[inside[file.suffix]] * len(files)]
    # A file that carries its photo may take it along and call it anything.
    is_alone = not any(path.suffix in PICTURES for path in root.rglob("*"))
    done = chance.choice(kinds)(file, root, chance)
    can_go = is_alone and (not file.is_file() or done.what.endswith("imagePath"))
    return Corruption(f"{file.relative_to(root)} {done.what}", done.is_seen and not can_go)


# --- the file ---------------------------------------------------------------------------------------------------------


def _renamed(file: Path, _root: Path, chance: random.Random) -> Corruption:
    names = ("renamed" + file.suffix, file.stem + ".bak", file.name.upper(), f"_{file.name}")
    file.rename(file.with_name(name := chance.choice(names)))
    return Corruption(f"renamed to {name}")


def _elsewhere(file: Path, root: Path, chance: random.Random) -> Path:
    """Return another folder, new or with files in it, in which nothing is called as the file."""
    folders = {each.parent for each in root.rglob("*") if each.is_file()} | {root, root / "elsewhere"}
    folder = chance.choice(sorted(folder for folder in folders if not (folder / file.name).exists()))
    folder.mkdir(exist_ok=True)
    return folder


def _moved(file: Path, root: Path, chance: random.Random) -> Corruption:
    file.replace((folder := _elsewhere(file, root, chance)) / file.name)
    return Corruption(f"moved to {folder.relative_to(root)}")


def _emptied(file: Path, _root: Path, _chance: random.Random) -> Corruption:
    file.write_bytes(b"")
    return Corruption("emptied")


def _truncated(file: Path, _root: Path, chance: random.Random) -> Corruption:
    data = file.read_bytes()
    file.write_bytes(data[: (end := chance.randrange(len(data)))])
    return Corruption(f"truncated to {end} bytes", file.suffix not in LINES)  # half of a number is a number


def _deleted(file: Path, _root: Path, _chance: random.Random) -> Corruption:
    file.unlink()
    return Corruption("deleted")


def _duplicated(file: Path, root: Path, chance: random.Random) -> Corruption:
    beside = file.with_name(f"{file.stem} copy{file.suffix}")
    copy = beside if chance.random() < 0.5 else _elsewhere(file, root, chance) / file.name
    shutil.copyfile(file, copy)
    return Corruption(f"copied to {copy.relative_to(root)}")


def _flipped(file: Path, _root: Path, chance: random.Random) -> Corruption:
    data = bytearray(file.read_bytes())
    for _ in range(chance.randint(1, 3)):
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    file.write_bytes(data)
    return Corruption("with bytes flipped", file.suffix == ".png")


def _folder(file: Path, _root: Path, _chance: random.Random) -> Corruption:
    file.unlink()
    file.mkdir()
    return Corruption("replaced by a folder")


def _resized(file: Path, root: Path, chance: random.Random) -> Corruption:
    with Image.open(file) as picture:
        size = picture.width + chance.choice((-1, 1, 10)), picture.height
        picture.resize(size, Image.Resampling.NEAREST).save(file)
    # Corners in shares of the sides fit any size.
    return Corruption(f"resized to {size}", not (root / "data.yaml").exists())


# --- what is in it ----------------------------------------------------------------------------------------------------


def _json(file: Path, _root: Path, chance: random.Random) -> Corruption:
    data = file.read_bytes()
    document = json.loads(data.decode(encoding_of(data) or ""))
    path, container, key = chance.choice(list(_places(document, ())))
    before = container[key]
    if isinstance(container, dict) and chance.random() < 0.3:
        del container[key]
        # These have a default, and what has a number is an item of a list.
        is_seen = key not in ("rotation", "iscrowd") and not key.isdigit()
        done = Corruption("without " + "/".join(path), is_seen)
    else:
        container[key] = chance.choice([odd for odd in ODD if repr(odd) != repr(before)])
        done = Corruption(f"with {container[key]!r:.20} for {before!r:.40} in {'/'.join(path)}")
        done = Corruption(done.what, not _is_as_good(path, before, container[key]))
    file.write_text(json.dumps(document), encoding="utf-8")
    return done


def _places(node: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any, Any]]:
    """Give every place in a document: its path, what holds it, and the key there."""
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in items:
        yield (*path, str(key)), node, key
        yield from _places(value, (*path, str(key)))


def _is_as_good(path: tuple[str, ...], before: Any, after: Any) -> bool:
    """Return whether another value means something else and is not wrong."""
    if isinstance(after, str) and isinstance(before, str):
        return after.strip() != "" and bool(NAMES.intersection(path[-2:]))
    if path[-1] == "iscrowd" and after is None:  # which is said to mean none
        return True
    return type(after) is int and type(before) in (int, float) and bool(SHAPES.intersection(path))


def _xml(file: Path, _root: Path, chance: random.Random) -> Corruption:
    tree = ET.parse(file)  # noqa: S314  our own
    element = chance.choice(list(tree.iter()))
    key = chance.choice([*element.attrib, None])
    if key is None:
        done, element.tag = Corruption(f"with <renamed> for <{element.tag}>", element.tag != "meta"), "renamed"
    elif chance.random() < 0.3:
        done = Corruption(f"without {element.tag}/{key} {element.attrib.pop(key)!r:.40}", key != "rotation")
    else:
        text, before, new = _worded(element.attrib[key], chance)
        element.set(key, text)
        is_free = text.strip() != "" if key in NAMES else key in NUMBERS and new in ("-1", "7")
        done = Corruption(f"with {new!r:.20} for {before!r:.40} in {element.tag}/{key}", not is_free)
    tree.write(file, encoding="utf-8")
    return done


def _worded(text: str, chance: random.Random) -> tuple[str, str, str]:
    """Return a text with an odd value for one of its words, that word, and the value."""
    words = [found.span() for found in re.finditer(r"[^\s,;:\[\]'\"]+", text)]
    start, end = chance.choice(words) if words else (0, len(text))
    odd = chance.choice([odd for odd in ODD if odd is not True])
    new = "" if odd is None else str(odd)
    return text[:start] + new + text[end:], text[start:end], new


def _word(file: Path, _root: Path, chance: random.Random) -> Corruption:
    lines = file.read_text(encoding="utf-8").splitlines()
    at = chance.randrange(len(lines))
    lines[at], before, new = _worded(lines[at], chance)
    file.write_text("\n".join(lines), encoding="utf-8")
    is_name = bool(re.search(r"[^\W\d]", before) and re.search(r"[^\W\d]|[{[]", lines[at]))
    return Corruption(f"with {new!r:.20} for {before!r:.40} in line {at}", not is_name and new not in ("-1", "7"))
