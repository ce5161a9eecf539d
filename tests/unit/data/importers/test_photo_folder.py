"""Photos that annotations name, and that are not there."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.data.importers import import_data
from core.data.importers.photo_folder import files_in

CORNERS = [(1, 1), (5, 1), (5, 4), (1, 4)]
FLAT = [number for corner in CORNERS for number in corner]


def coco(root: Path, paths: list[str], name: str = "instances.json") -> str:
    images = [{"id": at, "file_name": path, "width": 12, "height": 8} for at, path in enumerate(paths)]
    one: dict[str, Any] = {"category_id": 1, "segmentation": [FLAT], "iscrowd": 0, "bbox": [1, 1, 4, 3]}
    annotations = [one | {"id": at, "image_id": at} for at in range(len(paths))]
    document = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "leaf"}]}
    (root / name).write_text(json.dumps(document))
    return "coco"


def via(root: Path, paths: list[str]) -> str:
    xs, ys = ([*part] for part in zip(*CORNERS, strict=True))
    shape = {"name": "polygon", "all_points_x": xs, "all_points_y": ys}
    region = {"shape_attributes": shape, "region_attributes": {"class": "leaf"}}
    entries = {path: {"filename": path, "size": -1, "regions": [region]} for path in paths}
    (root / "via.json").write_text(json.dumps(entries))
    return "via"


def cvat(root: Path, paths: list[str]) -> str:
    points = ";".join(f"{x},{y}" for x, y in CORNERS)
    shape = f'<polygon label="leaf" points="{points}"/>'
    images = (f'<image name="{path}" width="12" height="8">{shape}</image>' for path in paths)
    (root / "annotations.xml").write_text(f"<annotations>{''.join(images)}</annotations>")
    return "cvat-xml"


def cvat_subsets(root: Path, paths: list[str]) -> str:
    name = cvat(root, paths)
    file = root / "annotations.xml"
    text = file.read_text()
    for path in paths:
        subset, _, last = path.rpartition("/")
        text = text.replace(f'name="{path}"', f'name="{last}" subset="{subset}"')
    file.write_text(text)
    return name


def labelme(root: Path, paths: list[str]) -> str:
    for path in paths:
        document = {"shapes": [{"label": "leaf", "points": CORNERS}], "imagePath": path.rpartition("/")[2]}
        file = root / f"{path.rpartition('/')[0]}/sheet of {Path(path).stem}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(document))
    return "labelme"


@pytest.mark.parametrize("annotate", [coco, via, cvat, cvat_subsets, labelme])
@pytest.mark.parametrize("is_reversed", [False, True])
def test_a_photo_that_is_missing_is_not_another_entry_s(
    tmp_path: Path,
    draw_photo: Callable[..., Path],
    refused: Callable[..., str],
    annotate: Callable[[Path, list[str]], str],
    *,
    is_reversed: bool,
) -> None:
    """The photo of plotB got the annotation of plotA's, which was not there, and its own was left out."""
    root = tmp_path / "set"
    for number, name in enumerate(["plotB/1.png", "plotB/2.png"]):
        draw_photo(root / name, number, (12, 8))
    paths = ["plotA/1.png", "plotB/1.png", "plotB/2.png"]
    text = refused(annotate(root, paths[::-1] if is_reversed else paths), root)
    assert f"does not hold {'1.png' if annotate is cvat_subsets else 'plotA/1.png'}" in text
    draw_photo(root / "plotA" / "1.png", 3, (12, 8))
    imported = import_data(annotate(root, paths), root, tmp_path / "out")
    assert imported.images == 3
    assert not any("Second entries" in note for note in imported.notes)


def test_a_photo_of_another_split_is_not_an_entry_s(
    tmp_path: Path, draw_photo: Callable[..., Path], refused: Callable[..., str]
) -> None:
    """The only photo of a name was taken although it lay in val, and the file was that of train."""
    root = tmp_path / "set"
    for number, name in enumerate(["train/1.png", "val/1.png", "val/2.png"]):
        draw_photo(root / name, number, (12, 8))
    coco(root, ["1.png", "2.png"], "instances_train.json")
    coco(root, ["1.png"], "instances_val.json")
    assert "2 photos" not in (text := refused("coco", root))
    assert "does not hold, first 2.png" in text
    draw_photo(root / "2.png", 5, (12, 8))
    assert import_data("coco", root, tmp_path / "out").splits == {"train": 2, "val": 1}


@pytest.mark.skipif(sys.platform == "win32", reason="links need a right there")
def test_folders_behind_links_are_looked_through_once(tmp_path: Path) -> None:
    """`images/val`, a link to another disk, was left out without a word."""
    for file in ("set/images/train/1.png", "set/images/two/2.png", "elsewhere/3.png"):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).touch()
    root = tmp_path / "set" / "images"
    for name, target in {"val": tmp_path / "elsewhere", "again": root / "train", "loop": root}.items():
        (root / name).symlink_to(target)
    (tmp_path / "elsewhere" / "back").symlink_to(root)
    found = [file.relative_to(root).as_posix() for file in files_in(root, [".png"])]
    assert found == ["train/1.png", "two/2.png", "val/3.png"]


def test_the_ending_of_a_photo_may_be_another_and_one_that_is_not_read_is_named(
    tmp_path: Path, draw_photo: Callable[..., Path], refused: Callable[..., str]
) -> None:
    """Photos that were saved as JPEG for us are called otherwise in the file, and `a.HEIC` was said to be missing."""
    root = tmp_path / "set"
    root.mkdir()
    (root / "a.HEIC").touch()
    coco(root, ["a.HEIC", "b"])
    draw_photo(root / "b.jpg", 1, (12, 8))
    assert "are as a.HEIC, which is not read; save them as JPEG" in refused("coco", root)
    draw_photo(root / "a.jpg", 2, (12, 8))
    imported = import_data("coco", root, tmp_path / "out")
    assert imported.images == 2
    assert any("Photos found under their name with another ending: 2" in note for note in imported.notes)
    draw_photo(root / "a.png", 3, (12, 8))
    assert "are as a.HEIC" in refused("coco", root), "nobody knows which of the two it is"


@pytest.mark.parametrize(
    ("place", "file", "is_found"),
    [
        ("", "instances.json", True),
        ("", "instances_train.json", True),
        ("train", "instances_train.json", True),
        ("val", "instances_train.json", False),
        ("masks", "instances.json", False),
    ],
)
def test_another_ending_is_that_of_a_photo_of_the_split_alone(
    tmp_path: Path,
    draw_photo: Callable[..., Path],
    refused: Callable[..., str],
    place: str,
    file: str,
    *,
    is_found: bool,
) -> None:
    """A mask became the photo; one in no folder of a split was refused, and the note told all the same."""
    root = tmp_path / "set"
    draw_photo(root / "a.jpg", 1, (12, 8))
    draw_photo(root / place / "c.png", 2, (12, 8))
    coco(root, ["a.jpg", "c.jpg"], file)
    if file != "instances.json":
        draw_photo(root / "b.jpg", 3, (12, 8))
        coco(root, ["b.jpg"], "instances_val.json")
    if is_found:
        imported = import_data("coco", root, tmp_path / "out")
        assert any("another ending: 1" in note for note in imported.notes)
    else:
        assert "does not hold, first c.jpg" in (text := refused("coco", root))
        assert "another ending" not in text
