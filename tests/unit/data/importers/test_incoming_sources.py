"""Every format, as its tool describes it: what is imported is what was drawn, to the pixel."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.data.importers import import_data
from tests.unit.data.importers.sources import SOURCES


@pytest.mark.parametrize("name", SOURCES)
def test_what_is_imported_is_what_was_drawn(
    tmp_path: Path, sound: Callable[..., Any], listed: Callable[..., Any], name: str
) -> None:
    truth = SOURCES[name](tmp_path / "source")
    options = {"source": tmp_path / "source"} | truth.options
    imported = import_data("auto", options.pop("source"), tmp_path / "out", **options)
    assert imported.format == truth.format
    assert imported.classes.names == truth.classes
    masks = sound(imported)
    assert {mask: truth.differing(mask, mask_HW) for mask, mask_HW in masks.items()} == dict.fromkeys(truth.masks, 0)
    assert {mask: split for split, names in listed(imported).items() for mask in names} == truth.splits
