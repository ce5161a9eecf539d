"""Recognising a format: every reading is offered, none of two is taken; what is no format says what is."""

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.__main__ import main
from core.data.importers import IMPORTERS, contents_of, import_data, preview_data, recognised
from core.data.importers.plan import Source
from core.errors import DataError


@pytest.fixture
def folder(tmp_path: Path, draw_photo: Callable[..., Path]) -> Path:
    """Two photos with masks of ids, and with the same objects in a COCO document."""
    images, annotations = [], []
    for number, name in enumerate(["a", "b"], start=1):
        draw_photo(tmp_path / "set" / "images" / f"{name}.jpg", number)
        (tmp_path / "set" / "masks").mkdir(exist_ok=True)
        mask = Image.new("L", (12, 8))
        mask.paste(1, (0, 0, 3, 2))
        mask.save(tmp_path / "set" / "masks" / f"{name}.png")
        images.append({"id": number, "file_name": f"{name}.jpg"})
        annotations.append({"image_id": number, "category_id": 1, "segmentation": [[0, 0, 3, 0, 3, 2, 0, 2]]})
    categories = [{"id": 1, "name": "leaf"}]
    document = {"images": images, "annotations": annotations, "categories": categories}
    (tmp_path / "set" / "labels.json").write_text(json.dumps(document))
    return tmp_path / "set"


def test_two_readings_are_offered_and_none_is_taken(folder: Path, tmp_path: Path, refused: Callable[..., str]) -> None:
    text = refused("auto", folder)
    assert "can be read in 2 ways: as coco (labels.json" in text
    assert "say which with import coco or import id-masks" in text
    assert (
        import_data("coco", folder, tmp_path / "one").pixels == import_data("id-masks", folder, tmp_path / "two").pixels
    )
    (folder / "labels.json").unlink()
    assert list(recognised(Source(folder))) == ["id-masks"]


def test_the_wrong_format_names_the_right_one(folder: Path, refused: Callable[..., str]) -> None:
    """`import coco` of a folder of YOLO's said that it holds no JSON, and not what it is."""
    assert "another format: import coco (labels.json holds" in refused("labelme", folder)
    assert "another format" not in refused("color-table", folder / "images")


def test_the_command_s_help_names_the_formats_there_are(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    monkeypatch.setattr(sys, "argv", ["core", "import", "--help"])
    with pytest.raises(SystemExit):
        main()
    assert f"auto, or one of {', '.join(IMPORTERS)}\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "expected"),
    [("a.tfrecord", "TFRecord"), ("a.mat", "MATLAB"), ("a.ndjson", "Labelbox"), ("a.zip", "name the archive")],
)
def test_a_format_that_is_known_and_not_read_says_what_to_do(
    tmp_path: Path, refused: Callable[..., str], name: str, expected: str
) -> None:
    (tmp_path / "set").mkdir()
    assert "in no format that is recognised" in refused("auto", tmp_path / "set")
    (tmp_path / "set" / name).write_bytes(b"")
    assert expected in refused("auto", tmp_path / "set")


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("annotations.xml", "<annotations><track/></annotations>", "not for video"),
        ("annotations.xml", "<annotations><image", "is not a whole XML file"),
        ("via.json", '{"project": {}, "config": {}, "file": {}, "view": {}, "metadata": {}}', "is a project of VIA 3"),
        ("labels.json", '{"images": [{"id": 1, "file_na', "is not a whole JSON file"),
        ("a.json", '{"version": "2.0", "item": {}, "annotations": []}', "JSON of V7 Darwin, which is not read; export"),
        ("a.jpg.json", '{"metadata": {}, "instances": []}', "JSON of SuperAnnotate, which is not read"),
        (
            "a.json",
            '[{"image_id": 1, "category_id": 1, "score": 0.5}]',
            "COCO's results, which name no classes and photos",
        ),
    ],
)
def test_a_file_of_a_known_format_that_is_refused_says_why(
    folder: Path, refused: Callable[..., str], name: str, text: str, expected: str
) -> None:
    """Only that the format is not recognised was said."""
    shutil.rmtree(folder / "masks")
    (folder / "labels.json").unlink()
    (folder / name).write_text(text)
    assert expected in refused("auto", folder)
    assert expected in refused("auto", folder / name)


def test_a_preview_shows_what_an_import_would_bring_and_writes_nothing(folder: Path, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    shown = preview_data("coco", Source(folder))
    assert (shown.format, shown.images, shown.classes.names) == ("coco", 2, ("background", "leaf"))
    assert shown.pixels == (2 * 90, 2 * 6, 0)
    assert [picture.name for picture in shown.pictures] == ["a", "b"]
    assert all(picture.photo.size == picture.mask_HW.shape[::-1] == (12, 8) for picture in shown.pictures)
    assert np.array_equal(shown.pictures[0].mask_HW[:2, :3], np.ones((2, 3)))
    assert contents_of(Source(folder)).preview is None, "masks lie beside the labels, so there are two readings"
    assert sorted(tmp_path.rglob("*")) == before
    (folder / "labels.json").rename(tmp_path / "labels.txt")
    only = contents_of(Source(folder))
    assert only.preview
    assert (list(only.readings), only.preview.format, only.preview.pixels) == (["id-masks"], "id-masks", shown.pixels)


@pytest.mark.skipif(sys.platform == "win32", reason="paths are shorter there")
def test_folders_a_thousand_deep_are_looked_through(tmp_path: Path) -> None:
    """A folder in a folder in a folder ... ended in a traceback."""
    deep = tmp_path / "set"
    made = [deep := deep / "d" for _ in range(1200)]
    try:
        (tmp_path / "set").mkdir()
        for folder in made:
            folder.mkdir()
        (deep / "a.mat").touch()
        assert recognised(Source(tmp_path / "set")) == {}
        with pytest.raises(DataError, match="holds MATLAB files"):
            import_data("auto", tmp_path / "set", tmp_path / "out")
    finally:
        (deep / "a.mat").unlink(missing_ok=True)
        for folder in reversed(made):  # `rmtree` gives up at such a depth, too
            folder.rmdir()
