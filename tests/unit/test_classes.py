"""Classes with names and colours of their own, and the file that names them."""

from pathlib import Path

import numpy as np
import pytest

from core.classes import (
    VOC_CLASSES,
    Classes,
    classes_of,
    classes_of_palette,
    has_voc_palette,
    read_classes,
    write_classes,
)
from core.errors import DataError
from core.voc import PALETTE, VOID

FRUIT = Classes(("background", "red apple", "leaf"), ("#000000", "#cc2222", "#22aa22"))


def test_voc_s_classes_have_voc_s_palette() -> None:
    np.testing.assert_array_equal(VOC_CLASSES.palette, PALETTE)
    assert VOC_CLASSES.css_color(8) == "#400000"  # the devkit's cat


def test_own_colours_come_first_and_void_stays_cream() -> None:
    assert FRUIT.palette[1].tolist() == [0xCC, 0x22, 0x22]
    np.testing.assert_array_equal(FRUIT.palette[3:], PALETTE[3:])
    assert FRUIT.css_color(VOID) == "#e0e0c0"


def test_a_palette_cannot_be_changed_by_accident() -> None:
    with pytest.raises(ValueError, match="read-only"):
        FRUIT.palette[0] = 1


def test_what_is_written_reads_back_and_is_never_overwritten(tmp_path: Path) -> None:
    write_classes(tmp_path, FRUIT)
    assert read_classes(tmp_path / "classes.txt") == FRUIT
    with pytest.raises(DataError, match="exists already"):
        write_classes(tmp_path, VOC_CLASSES)
    assert read_classes(tmp_path / "classes.txt") == FRUIT
    for _ in range(2):
        write_classes(tmp_path, VOC_CLASSES, replace=True)
    assert read_classes(tmp_path / "classes.txt") == VOC_CLASSES
    assert read_classes(tmp_path / "classes-before.txt") == FRUIT
    assert read_classes(tmp_path / "classes-before-2.txt") == VOC_CLASSES


def test_a_name_may_have_spaces_and_needs_no_colour(tmp_path: Path) -> None:
    file = tmp_path / "classes.txt"
    file.write_text("background\nred apple #CC2222\n# 3 leaf\n", encoding="utf-8-sig")
    read = read_classes(file)
    assert read.names == ("background", "red apple", "# 3 leaf")
    assert read.colors == ("#000000", "#cc2222", "#008000")  # VOC's for the first and third id


def test_ids_in_front_of_names_are_no_part_of_them(tmp_path: Path) -> None:
    """`1: leaf` was the name of a class, and of numbers with a gap all names behind it were moved."""
    file = tmp_path / "classes.txt"
    file.write_text("0: background\n1: leaf #112233\n2: 2 stems\n")
    assert read_classes(file).names == ("0: background", "1: leaf", "2: 2 stems")
    file.write_text("0: background\n1: leaf #112233\n2: stem\n")
    assert read_classes(file).names == ("background", "leaf", "stem")
    file.write_text("background\n1 euro\n2 euro\n")
    assert read_classes(file).names == ("background", "1 euro", "2 euro")
    file.write_text("0 background\n2 leaf\n3 stem\n")
    with pytest.raises(DataError, match="numbers its classes 0, 2, 3 and so on, not 0, 1, 2"):
        read_classes(file)


@pytest.mark.parametrize("text", ["", "background\n", "background\nleaf\nleaf\n", "background\nleaf\nleaf #ffffff\n"])
def test_too_few_or_repeated_names_are_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "classes.txt"
    file.write_text(text)
    with pytest.raises(DataError, match="must name 2 to 255 different classes"):
        read_classes(file)


def test_a_folder_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere.*cannot be written"):
        write_classes(tmp_path / "nowhere", FRUIT)


def test_classes_without_colours_take_voc_s() -> None:
    assert classes_of(VOC_CLASSES.names) == VOC_CLASSES
    assert classes_of(("background", "x")).colors == ("#000000", "#800000")


def palette(*colors: tuple[int, int, int]) -> np.ndarray:
    return np.array(colors, dtype=np.uint8)


def test_a_palette_of_its_own_numbers_the_classes() -> None:
    found = classes_of_palette(palette((0, 0, 0), (200, 10, 10), (10, 200, 10)))
    assert found == Classes(("background", "class 1", "class 2"), ("#000000", "#c80a0a", "#0ac80a"))


def test_the_void_and_what_pads_a_palette_are_no_classes() -> None:
    padded = np.zeros((256, 3), dtype=np.uint8)
    padded[:3] = [(9, 9, 9), (200, 10, 10), (10, 200, 10)]
    padded[VOID] = 255
    found = classes_of_palette(padded)
    assert found is not None
    assert len(found) == 3
    assert not has_voc_palette(padded)


@pytest.mark.parametrize(
    ("usual", "is_voc"),
    [(PALETTE, True), (PALETTE[:21], True), (np.arange(256, dtype=np.uint8)[:, None].repeat(3, axis=1), False)],
)
def test_voc_s_palette_and_greys_tell_no_classes_of_their_own(usual: np.ndarray, is_voc: bool) -> None:
    assert classes_of_palette(usual) is None
    assert has_voc_palette(usual) is is_voc


def test_the_palette_of_a_picture_is_none_of_classes() -> None:
    assert classes_of_palette(np.random.default_rng(0).integers(0, 256, (256, 3)).astype(np.uint8)) is None
