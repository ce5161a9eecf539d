"""The split lists of a data set that is being labelled: they hold the photos that are done, and no others.

`labelling/planned_splits.json` holds the lists from which photos were taken off until they are done.
"""

import hashlib
import json
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path

from core.data.dataset import LABELLING, LISTS, TRAIN_SHARE, Sample, list_files, listed_names, random_splits
from core.data.splits import PARTS, keep_lists, write_lists
from core.files import read_lines, replacing, write_json

SEED = 0
LEAST_TO_TRAIN = 2
UNIONS = ("trainval", "trainaug")
PLANNED = Path(LABELLING) / "planned_splits.json"


def split_of(name: str) -> str:
    """Return train or val by a hash of seed and name, 80/20: other photos make no difference."""
    digest = hashlib.sha256(f"{SEED}/{name}".encode()).digest()
    return "train" if int.from_bytes(digest[:8]) < TRAIN_SHARE * 2**64 else "val"


def listed(root: Path, photos: Mapping[str, Path]) -> dict[str, list[str]]:
    """Return the names in each split list."""
    return {file.stem: listed_names(file, photos) for file in list_files(root)}


def add(root: Path, photos: Mapping[str, Path], name: str) -> str:
    """List a photo, and return the split it is in: that in which it was planned, else train or val.

    trainval gets it too, if there is one.
    The first three go to both splits and train once more, whatever their hashes: a model can then be trained, for which
    BatchNorm needs two photos. One that is listed stays where it is.
    """
    lists = listed(root, photos)
    if found := next((split for split in (*PARTS, *lists) if name in lists.get(split, ())), None):
        return found
    planned = _planned(root).get(name, [])
    num_train, num_val = (len(lists.get(part, ())) for part in PARTS)
    if set(planned) - set(UNIONS):
        split = next(each for each in (*PARTS, *planned) if each in planned and each not in UNIONS)
    elif num_val and num_train < LEAST_TO_TRAIN:
        split = "train"
    else:
        split = "val" if num_train and not num_val else split_of(name)
    unions = {"train": UNIONS, "val": UNIONS[:1]}.get(split, ())
    wanted = dict.fromkeys([split, *planned, *(other for other in lists if other in unions)])
    for each in reversed(wanted):  # the split itself last: with it the photo is done
        file = root / LISTS / f"{each}.txt"
        text = file.read_bytes() if file.exists() else b""
        with replacing(file) as target:
            target.write(text + (b"" if not text or text.endswith(b"\n") else b"\n") + f"{name}\n".encode())
    return split


def take_off(root: Path, photos: Mapping[str, Path], names: Collection[str], splits: Collection[str]) -> None:
    """Remove photos from these lists."""
    for file in (file for file in list_files(root) if file.stem in splits):
        lines = read_lines(file)
        kept = [line for line, name in zip(lines, listed_names(file, photos), strict=True) if name not in names]
        if kept != lines:
            with replacing(file) as target:
                target.write("".join(f"{line}\n" for line in kept).encode())


def prepare(root: Path, photos: Mapping[str, Path], masks: Mapping[str, Path], name: str) -> None:
    """Let a photo get its first mask without being truth: write lists where none are, and take the photo off.

    Photos without masks are taken off lists that will be read; the lists as they were are kept beside, once.
    """
    write_missing(root, photos, masks)
    lists = listed(root, photos)
    read = {split for split, its in lists.items() if split in PARTS or name in its or not masks.keys().isdisjoint(its)}
    ahead = {each for split in read for each in lists[split] if each in photos and each not in masks}
    if ahead:
        known = _planned(root)
        if not known:
            keep_lists(root)
        planned = {each: [split for split in lists if each in lists[split]] for each in sorted(ahead)}
        write_json(root / PLANNED, planned | known)
        take_off(root, photos, ahead, lists)


def write_missing(root: Path, photos: Mapping[str, Path], masks: Mapping[str, Path]) -> None:
    """Give a data set without lists the random split that it has had so far as lists."""
    if not list_files(root):
        pairs = [Sample(each, photos[each], file) for each, file in sorted(masks.items()) if each in photos]
        write_lists(root, random_splits(pairs, SEED) if pairs else dict.fromkeys(PARTS, ()))


def _planned(root: Path) -> dict[str, list[str]]:
    """Return the lists in which each photo was; those that no list of this folder can be called are left out."""
    with suppress(OSError, ValueError, AttributeError, TypeError):
        document = json.loads((root / PLANNED).read_text(encoding="utf-8"))
        return {
            name: [split for split in splits if isinstance(split, str) and (root / LISTS / f"{split}.txt").exists()]
            for name, splits in document.items()
        }
    return {}
