"""Damaged exports: a reader draws what was meant, or says in one sentence or a note what it could not read.

`CORRUPTIONS=1000 SEED=3 make test ARGS="-k damage"` looks further than the suite does.
"""

import os
import random
import re
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from core.data.importers import IMPORTERS, Imported, import_data
from core.errors import CoreError
from core.files import delete_folder
from core.voc import VOID
from tests.unit.data.importers.corruptions import corrupt
from tests.unit.data.importers.sources import SOURCES, Truth

NUMBER = int(os.environ.get("CORRUPTIONS", "300"))
SEED = os.environ.get("SEED", "0")
MAX_SENTENCE = 1500
COUNTED = re.compile(r"(.*): ([\d,]+), first in .*", re.DOTALL)
ABOUT_SPLITS = ("The splits of the source", "The source has no", "The photos are numbered", "There is one photo only")


class Restored:
    """A small source that is whole again whenever it is asked for."""

    def __init__(self, name: str, root: Path) -> None:
        self.root, self.out = root, root.with_name(f"{root.name} out")
        self.truth: Truth = SOURCES[name](root)
        self._files = {file: file.read_bytes() for file in sorted(root.rglob("*")) if file.is_file()}

    def whole(self) -> Path:
        delete_folder(self.out)
        for path in (path for path in sorted(self.root.rglob("*"), reverse=True) if path not in self._files):
            if path.is_file():
                path.unlink()
        for file, data in self._files.items():
            if file.is_dir():
                file.rmdir()
            if not file.is_file() or file.read_bytes() != data:
                file.write_bytes(data)
        return self.root

    def imported(self, name: str) -> Imported:
        return import_data(name, **({"source": self.root, "out": self.out} | self.truth.options))


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Restored]:
    return {name: Restored(name, tmp_path_factory.mktemp("source") / name) for name in SOURCES}


def masks_of(imported: Imported) -> dict[str, NDArray[np.str_]]:
    """Return the masks by photo; a pixel is the name of its class, as damage may change the order of classes."""
    names = np.array([*imported.classes.names, *["?"] * (VOID - len(imported.classes)), "void"])
    return {mask.stem: names[np.asarray(Image.open(mask))] for mask in (imported.root / "SegmentationClass").iterdir()}


def cautions_of(imported: Imported) -> dict[str, int]:
    """Return what was noted, and how often each kind of case; how photos were split says nothing about masks."""
    found = {}
    for note in imported.notes:
        if not note.startswith(ABOUT_SPLITS):
            counted = COUNTED.fullmatch(note)
            found[counted[1] if counted else note] = int(counted[2].replace(",", "")) if counted else 1
    return found


@pytest.mark.parametrize("name", IMPORTERS)
def test_damage_is_said_or_changes_nothing(name: str, sources: dict[str, Restored]) -> None:
    """300 of each format: anything but a `CoreError` fails, as does another mask without a new note."""
    chosen = {key: source for key, source in sources.items() if source.truth.format == name}
    assert chosen
    wrong = []
    for key, source in chosen.items():
        source.whole()
        imported = source.imported(name)
        masks, cautions = masks_of(imported), cautions_of(imported)
        for number in range(max(1, NUMBER // len(chosen))):
            done = corrupt(source.whole(), random.Random(f"{SEED} {key} {number}"))
            where = f"{key} {number}: {done.what}"
            try:
                imported = source.imported("auto" if number % 4 == 3 else name)
            except CoreError as error:
                text = str(error)
                if "\n" in text or not text.endswith(".") or len(text) > MAX_SENTENCE or source.out.exists():
                    wrong.append(f"{where} ends in: {text[:300]}")
                continue
            found = masks_of(imported)
            is_noted = any(count > cautions.get(what, 0) for what, count in cautions_of(imported).items())
            photos = [one for one in masks.keys() | found if not np.array_equal(masks.get(one, ()), found.get(one, ()))]
            if photos and done.is_seen and not is_noted:
                wrong.append(f"{where} changes {photos} as {imported.format}, and nothing is said")
    assert not wrong, "\n".join(wrong)
