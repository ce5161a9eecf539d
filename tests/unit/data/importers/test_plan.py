"""What a person corrects: what values and classes are called, what is void, where photos and masks are."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from core.data.importers import Imported, Source, contents_of, import_data, parse_classes, preview_data, values_to_name
from core.data.importers.notes import Notes
from core.data.importers.plan import number_labels
from core.errors import DataError

Sound = Callable[[Imported], dict[str, NDArray[np.uint8]]]

LEAF, STEM = (slice(1, 3), slice(2, 5)), (slice(5, 7), slice(6, 10))
"""6 and 8 of 96 pixels."""


@pytest.fixture
def greys(tmp_path: Path, draw_photo: Callable[..., Path]) -> Path:
    """Masks of 0, 85 and 170, of which nothing says what they are, and 255."""
    mask_HW = np.zeros((8, 12), dtype=np.uint8)
    mask_HW[LEAF], mask_HW[STEM], mask_HW[0] = 85, 170, 255
    for number, name in enumerate("ab"):
        draw_photo(tmp_path / "set" / "images" / f"{name}.jpg", number)
        (tmp_path / "set" / "masks").mkdir(exist_ok=True)
        Image.fromarray(mask_HW).save(tmp_path / "set" / "masks" / f"{name}.png")
    return tmp_path / "set"


@pytest.fixture
def outlines(tmp_path: Path, draw_photo: Callable[..., Path]) -> Path:
    """COCO's outlines of a leaf and of a region that nobody looked at."""
    draw_photo(tmp_path / "coco" / "a.jpg", 0)
    boxes = {1: [2, 1, 5, 1, 5, 3, 2, 3], 2: [6, 5, 10, 5, 10, 7, 6, 7]}
    document = {
        "images": [{"id": 1, "file_name": "a.jpg", "width": 12, "height": 8}],
        "categories": [{"id": 1, "name": "leaf"}, {"id": 2, "name": "crowd"}],
        "annotations": [
            {"id": k, "image_id": 1, "category_id": k, "segmentation": [box]} for k, box in boxes.items()
        ],
    }  # fmt: skip
    (tmp_path / "coco" / "labels.json").write_text(json.dumps(document))
    return tmp_path / "coco"


def truth(leaf: int, stem: int, top: int = 255) -> NDArray[np.uint8]:
    mask_HW = np.zeros((8, 12), dtype=np.uint8)
    mask_HW[LEAF], mask_HW[STEM], mask_HW[0] = leaf, stem, top
    return mask_HW


@pytest.mark.parametrize(
    ("said", "names", "expected_HW"),
    [
        ("0=background,85=leaf,170=stem", ("background", "leaf", "stem"), truth(1, 2)),
        ("85=leaf,170=stem", ("background", "leaf", "stem"), truth(1, 2)),
        ("85=leaf,170=void", ("background", "leaf"), truth(1, 255)),
        ("85=plant,170=plant", ("background", "plant"), truth(1, 1)),
        ("85=background,170=stem,255=sky", ("background", "stem", "sky"), truth(0, 1, 2)),
        ("170=stem,85=leaf", ("background", "stem", "leaf"), truth(2, 1)),
    ],
)
def test_a_person_says_what_values_are_and_what_is_void(
    greys: Path, tmp_path: Path, sound: Sound, said: str, names: tuple[str, ...], expected_HW: NDArray[np.uint8]
) -> None:
    imported = import_data("auto", greys, tmp_path / "out", classes=parse_classes([said]))
    assert imported.classes.names == names
    assert all(np.array_equal(mask_HW, expected_HW) for mask_HW in sound(imported).values())


def test_a_value_that_nobody_named_is_an_error_that_says_how(greys: Path, refused: Callable[..., Any]) -> None:
    assert "--classes 170=NAME" in refused("id-masks", greys)
    assert "--classes 170=NAME" in refused("id-masks", greys, classes=(("85", "leaf"),))
    assert "names 0 classes" in refused("id-masks", greys, classes=(("85", "void"), ("170", "background")))


def test_what_255_is_can_be_said_of_binary_masks(tmp_path: Path, draw_photo: Callable[..., Path]) -> None:
    draw_photo(tmp_path / "set" / "images" / "a.jpg", 0)
    (tmp_path / "set" / "masks").mkdir()
    Image.fromarray(truth(255, 0, top=0)).save(tmp_path / "set" / "masks" / "a.png")
    shown = preview_data("id-masks", Source(tmp_path / "set"))
    assert [(value.called, value.id, value.pixels) for value in shown.values] == [("0", 0, 90), ("255", 1, 6)]
    imported = import_data("auto", tmp_path / "set", tmp_path / "out", classes=(("255", "leaf #11aa22"),))
    assert (imported.classes.names, imported.classes.colors[1]) == (("background", "leaf"), "#11aa22")
    assert imported.pixels == (90, 6)


def test_classes_of_outlines_are_called_otherwise_become_one_or_void(
    outlines: Path, tmp_path: Path, sound: Sound
) -> None:
    shown = preview_data("coco", Source(outlines))
    assert [(value.called, value.id) for value in shown.values] == [("background", 0), ("leaf", 1), ("crowd", 2)]
    voided = import_data("coco", outlines, tmp_path / "a", classes=(("crowd", "void"), ("leaf", "green leaf")))
    assert voided.classes.names == ("background", "green leaf")
    assert np.array_equal(sound(voided)["a"], truth(1, 255, top=0))
    merged = import_data("coco", outlines, tmp_path / "b", classes=(("crowd", "leaf"),))
    assert (merged.classes.names, merged.pixels) == (("background", "leaf"), (82, 14))
    with pytest.raises(
        DataError, match="no class 'sky' that could be called otherwise; it has background, leaf, crowd"
    ):
        import_data("coco", outlines, tmp_path / "c", classes=(("sky", "void"),))
    assert not (tmp_path / "c").exists()


def test_the_values_to_name_are_found_where_the_import_cannot_go_on(greys: Path) -> None:
    assert [(value.called, value.id, value.pixels) for value in values_to_name(Source(greys))] == [
        ("0", 0, 140), ("85", None, 12), ("170", None, 16), ("255", 255, 24),
    ]  # fmt: skip


def test_folders_in_an_archive_are_named_as_they_are_in_it(tmp_path: Path, draw_photo: Callable[..., Path]) -> None:
    """Two folders hold photos of one name, and two its masks; the program has folders of these names too."""
    draw_photo(tmp_path / "set" / "core" / "a.png", 0)
    draw_photo(tmp_path / "set" / "docs" / "a.png", 1)
    for folder, leaf in (("masks_a", 1), ("masks_b", 2)):
        (tmp_path / "set" / folder).mkdir()
        Image.fromarray(truth(leaf, 1, top=0)).save(tmp_path / "set" / folder / "a.png")
    archive = Path(shutil.make_archive(str(tmp_path / "packed"), "zip", tmp_path / "set"))
    assert contents_of(Source(archive)).folders == {"core": 1, "docs": 1, "masks_a": 1, "masks_b": 1}
    imported = import_data("id-masks", archive, tmp_path / "out", photos=Path("core"), masks="masks_b")
    assert imported.pixels == (82, 8, 6)
    [photo] = (imported.root / "JPEGImages").iterdir()
    assert photo.read_bytes() == (tmp_path / "set" / "core" / "a.png").read_bytes()
    with pytest.raises(DataError, match="There is no folder nowhere"):
        import_data("id-masks", archive, tmp_path / "no", photos=Path("nowhere"))


@pytest.mark.parametrize(("option", "value"), [("masks", "_gt"), ("names", "pet"), ("table", Path(__file__))])
def test_an_option_that_the_format_does_not_read_is_said(
    outlines: Path, refused: Callable[..., Any], option: str, value: object
) -> None:
    """It was ignored, and the import was as without it."""
    assert f"coco does not read --{option}" in refused("coco", outlines, **{option: value})


@pytest.mark.parametrize(
    ("texts", "pairs"),
    [
        ([], ()),
        (["1=leaf,2=dead  leaf"], (("1", "leaf"), ("2", "dead leaf"))),
        (["1=leaf, green,-1=void", "3=a"], (("1", "leaf, green"), ("-1", "void"), ("3", "a"))),
    ],
)
def test_what_is_called_how_is_read_from_text(texts: list[str], pairs: object) -> None:
    assert parse_classes(texts) == pairs


@pytest.mark.parametrize("text", ["1", "1=", "=leaf", ""])
def test_text_that_names_nothing_is_refused(text: str) -> None:
    with pytest.raises(DataError, match="does not say what is called how"):
        parse_classes([text])


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (
            ["leaf", "stem", "Leaf"],
            'upper and lower case: if they are one, say so with --classes "leaf=leaf,Leaf=leaf"',
        ),
        (
            ["leaf-1", "stem-1", "leaf-2"],
            'the number behind them: if they are one, say so with --classes "leaf-1=leaf,',
        ),
        (["stage", "grass", "leaf", "leaf 2", "leaf 3"], ""),
        (["class 1", "class 2"], ""),
    ],
)
def test_classes_that_may_be_one_are_noted(labels: list[str], expected: str) -> None:
    """Old versions of labelme ask for person-1, person-2: each became a class, and nothing was said."""
    notes = Notes()
    number_labels(labels, Path("x.json"), notes)
    assert " ".join(notes.sentences()).count("differ only") == bool(expected)
    assert expected in " ".join(notes.sentences())
