"""Split views: other splits of a data set, such as folds; its photos and masks stay where they are.

A folder with a split.json opens like any data set, for training, evaluation and the doctor:

    {"schema": 1, "data": "/absolute/path/of/the/data set", "splits": {"train": ["name", ...], "val": [...]}}

A name is that of a photo, without its suffix.
"""

import hashlib
import json
import re
from collections.abc import Collection, Container, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from core.data.pair_names import composed
from core.errors import DataError
from core.files import new_folder, regular, write_json

SCHEMA = 1
SPLIT_FILE = "split.json"
SPLIT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")
"""Names of splits become parts of file names."""


@dataclass(frozen=True)
class SplitView:
    """The split.json of a split view, the data set that it shows, and the names of its photos by split."""

    file: Path
    data: Path
    splits: dict[str, list[str]]

    def refuse_missing(self, photos: Container[str], masks: Container[str]) -> None:
        """Raise `DataError` for a name that is not that of a photo with a mask."""
        for split, names in self.splits.items():
            if missing := [name for name in names if name not in photos or name not in masks]:
                what = "mask" if missing[0] in photos else "photo"
                remedy = f"restore that {what} or take the name out"
                raise DataError(
                    f"{self.file} lists {missing[0]} in {split}, but {self.data} has no {what} of it; {remedy}."
                )


def is_view(folder: Path) -> bool:
    """Return whether a folder is a split view: beside a split.json, data sets have folders, and views have none."""
    return (folder / SPLIT_FILE).is_file() and not any(each.is_dir() for each in folder.glob("[!.]*"))


def read_view(folder: Path) -> SplitView:
    """Read the split.json of a folder; one that cannot be used raises `DataError`."""
    file = folder / SPLIT_FILE
    try:
        document = json.loads(regular(file).read_bytes())
        schema, data, splits = document["schema"], document["data"], document["splits"]
        if schema != SCHEMA:
            raise DataError(f"{file} is of version {schema!r}, not {SCHEMA}; update Atrous, or make it again.")
        names_of = {split: [composed(name) for name in names] for split, names in splits.items()}
        view = SplitView(file, Path(data), names_of)
        if any(isinstance(names, str) for names in splits.values()):
            raise TypeError("a split is a text, not a list of names")
    except (OSError, KeyError, TypeError, ValueError, AttributeError) as error:
        said = error.strerror if isinstance(error, OSError) else f"{type(error).__name__}: {error}"
        raise DataError(f"{file} is not a split view that can be read ({said}); make it again or delete it.") from error
    if not view.data.is_absolute():
        raise DataError(f"{file} names the data set '{data}'; write its whole path, from the root of the disk.")
    if not view.data.is_dir() or is_view(view.data):
        raise DataError(f"{file} shows {data}, where no data set lies; put it back there, or correct the path.")
    if wrong := [split for split in view.splits if not SPLIT_NAME.fullmatch(split)]:
        raise DataError(f"{file} has a split '{wrong[0][:80]}'; name it with letters, digits, _ and - alone.")
    if not any(view.splits.values()):
        raise DataError(f"{file} lists no photo; list at least one, or delete it.")
    return view


def data_of(folder: Path) -> Path:
    """Return the data set that a split view shows; any other folder, also an unusable view, is returned as it is."""
    with suppress(DataError):
        return read_view(folder).data if is_view(folder) else folder
    return folder


def write_view(folder: Path, data: Path, splits: Mapping[str, Sequence[str]]) -> Path:
    """Write a split view of the data set in `data` as a new folder, and return it."""
    listed = {split: list(names) for split, names in splits.items()}
    document = {"schema": SCHEMA, "data": str(data.resolve()), "splits": listed}
    with new_folder(folder) as draft:
        write_json(draft / SPLIT_FILE, document)
    return folder


def folds_of(names: Collection[str], count: int) -> list[dict[str, list[str]]]:
    """Return the splits of each fold: each name is in val of exactly one, and in train of the others.

    Which fold that is follows from a hash of the names: the same on every machine, whatever their order.
    """
    shuffled = sorted(names, key=lambda name: hashlib.sha256(f"fold/{name}".encode()).digest())
    vals = [set(shuffled[number::count]) for number in range(count)]
    return [{"train": sorted(set(names) - val), "val": sorted(val)} for val in vals]
