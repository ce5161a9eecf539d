"""What all importers share: names, photos that EXIF turns, splits, the source, the command."""

import json
import os
import shutil
import sys
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image

from core.__main__ import main
from core.data.dataset import open_dataset
from core.data.images import read_photo
from core.data.importers import IMPORTERS, import_data
from core.errors import DataError

SIZE = (12, 8)


def write_mask_file(file: Path, size: tuple[int, int] = SIZE) -> None:
    """Draw a mask whose left half is of the class."""
    file.parent.mkdir(parents=True, exist_ok=True)
    mask = Image.new("L", size)
    mask.paste(255, (0, 0, size[0] // 2, size[1]))
    mask.save(file)


@pytest.fixture
def source(tmp_path: Path, draw_photo: Callable[..., Path]) -> Path:
    """A folder with masks of the class leaf, four photos, two of them of one name but for the suffix and spaces."""
    root = tmp_path / "set"
    for number, name in enumerate(["my photo.jpg", "my_photo.jpg", "MY\tphoto.png", "other.jpg"]):
        draw_photo(root / "images" / name, number)
        write_mask_file(root / "masks" / "leaf" / f"{Path(name).stem}.png")
    return root


def test_names_are_one_word_each_and_differ_even_where_case_does_not_count(
    source: Path, tmp_path: Path, sound: Callable[..., Any]
) -> None:
    done: list[tuple[int, int]] = []
    before = {path: path.is_file() and path.read_bytes() for path in source.rglob("*")}
    imported = import_data(
        "class-masks", source, tmp_path / "out", on_progress=lambda at, total: done.append((at, total))
    )
    assert set(sound(imported)) == {"MY_photo", "my_photo-2", "my_photo-3", "other"}
    assert {split: len(samples) for split, samples in open_dataset(imported.root).splits.items()} == {
        "train": 3,
        "val": 1,
    }
    assert done == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert {path: path.is_file() and path.read_bytes() for path in source.rglob("*")} == before


def test_the_split_is_the_same_each_time(source: Path, tmp_path: Path) -> None:
    lists = []
    for name in ("one", "two"):
        imported = import_data("class-masks", source, tmp_path / name)
        lists.append((imported.root / "ImageSets" / "Segmentation" / "val.txt").read_text())
    assert lists[0] == lists[1] != ""


def test_two_photos_are_one_for_each_split_and_one_is_told(source: Path, tmp_path: Path) -> None:
    for name in ("MY\tphoto", "my_photo"):
        (source / "masks" / "leaf" / f"{name}.png").unlink()
    imported = import_data("class-masks", source, tmp_path / "two")
    assert {name: len(found) for name, found in open_dataset(imported.root).splits.items()} == {"train": 1, "val": 1}
    (source / "masks" / "leaf" / "my photo.png").unlink()
    assert any("one photo only" in note for note in import_data("class-masks", source, tmp_path / "one").notes)


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
@pytest.mark.parametrize("is_upright", [True, False])
def test_a_photo_that_exif_turns_is_saved_as_its_mask_lies(
    source: Path,
    tmp_path: Path,
    draw_photo: Callable[..., Path],
    sound: Callable[..., Any],
    suffix: str,
    is_upright: bool,
) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    photo = draw_photo(source / "images" / f"turned{suffix}", 9, exif=exif)
    assert read_photo(photo).size == SIZE[::-1]
    write_mask_file(source / "masks" / "leaf" / "turned.png", SIZE[::-1] if is_upright else SIZE)
    imported = import_data("class-masks", source, tmp_path / "out")
    mask_HW = sound(imported)["turned"]
    saved = read_photo(imported.root / "JPEGImages" / f"turned{suffix}")
    assert saved.size == mask_HW.shape[::-1] == (SIZE[::-1] if is_upright else SIZE)
    with Image.open(photo) as stored:
        expected = read_photo(photo) if is_upright else stored.convert("RGB")
    difference_HW3 = np.abs(np.asarray(saved, dtype=np.int16) - np.asarray(expected, dtype=np.int16))
    assert difference_HW3.mean() <= (3 if suffix == ".jpg" else 0)
    with Image.open(imported.root / "JPEGImages" / f"turned{suffix}") as file:
        assert not file.getexif()
    assert any(("upright" if is_upright else "unturned") in note for note in imported.notes)


def test_a_square_photo_is_taken_as_people_see_it(
    source: Path, tmp_path: Path, draw_photo: Callable[..., Path]
) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 3
    photo = draw_photo(source / "images" / "square.png", 9, (8, 8), exif=exif)
    write_mask_file(source / "masks" / "leaf" / "square.png", (8, 8))
    imported = import_data("class-masks", source, tmp_path / "out")
    saved = read_photo(imported.root / "JPEGImages" / "square.png")
    assert np.array_equal(np.asarray(saved), np.asarray(read_photo(photo)))
    assert any("masks fit both ways: check that they are drawn on the upright photo: 1" in n for n in imported.notes)


def test_a_damaged_photo_leaves_nothing_behind(source: Path, refused: Callable[..., str]) -> None:
    photo = source / "images" / "other.jpg"
    photo.write_bytes(photo.read_bytes()[:200])
    assert str(photo) in refused("class-masks", source)


def test_wrong_names_are_one_sentence(source: Path, tmp_path: Path, refused: Callable[..., str]) -> None:
    assert "choose one of auto, coco, coco-panoptic" in refused("yolo", source)
    assert str(tmp_path / "none") in refused("coco", tmp_path / "none")
    assert str(tmp_path / "none") in refused("coco", source, photos=tmp_path / "none")
    assert str(tmp_path / "none") in refused("coco", source, table=tmp_path / "none")
    shutil.copytree(source, tmp_path / "out")
    assert "nothing is overwritten" in refused("class-masks", source)


@pytest.mark.parametrize("name", IMPORTERS)
def test_no_format_takes_an_empty_folder_or_a_picture(
    tmp_path: Path, draw_photo: Callable[..., Path], refused: Callable[..., str], name: str
) -> None:
    (tmp_path / "empty").mkdir()
    photo = draw_photo(tmp_path / "photo.jpg", 1)
    for source in (tmp_path / "empty", photo):
        assert str(source) in refused(name, source)


def test_the_command_prints_the_promised_keys(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (source / "masks" / "leaf" / "other.png").unlink()
    arguments = ["core", "import", "class-masks", str(source), "--out", str(tmp_path / "out")]
    monkeypatch.setattr(sys, "argv", [*arguments, "--json"])
    assert main() == 0
    document = json.loads(capsys.readouterr().out)
    assert list(document) == ["data", "format", "images", "classes", "splits", "notes"]
    assert (document["images"], document["classes"]) == (3, ["background", "leaf"])
    assert main() == 1, "the folder is not new any more"
    assert capsys.readouterr().err.count("\n") == 1
    monkeypatch.setattr(sys, "argv", [*arguments[:-1], str(tmp_path / "other")])
    assert main() == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[0] == "3 photos of 2 classes: background, leaf"
    assert shown[-1] == str(tmp_path / "other")
    with pytest.raises(DataError):
        import_data("class-masks", source, tmp_path / "out")


def test_long_names_are_shortened_and_stay_different(
    tmp_path: Path, draw_photo: Callable[..., Path], sound: Callable[..., Any]
) -> None:
    """A photo's name of 245 characters ended in 'File name too long', said of the new folder."""
    root, stems = tmp_path / "set", ["a" * 240 + "1", "a" * 240 + "2", "\u00e4" * 120, "plain"]
    for number, stem in enumerate(stems):
        draw_photo(root / "images" / f"{stem}.png", number)
        write_mask_file(root / "masks" / "leaf" / f"{stem}.png")
    imported = import_data("class-masks", root, tmp_path / "out")
    assert set(sound(imported)) == {"a" * 100, "a" * 98 + "-2", "\u00e4" * 100, "plain"}
    assert any("Names shortened to 100 characters: 3" in note for note in imported.notes)


def test_the_new_folder_lies_outside_of_what_is_read(
    source: Path, tmp_path: Path, draw_photo: Callable[..., Path]
) -> None:
    """An import into its own source was a part of the source from then on."""
    photos = draw_photo(tmp_path / "photos" / "a.jpg", 1).parent
    before = sorted(tmp_path.rglob("*"))
    for out in (source, source / "out", source / "masks" / "deep" / "out", photos / "out"):
        with pytest.raises(DataError, match="choose a folder outside of it") as error:
            import_data("class-masks", source, out, photos=photos)
        assert str(out) in str(error.value)
    file = tmp_path / "i.json"
    file.write_text("{}")
    with pytest.raises(DataError, match="outside of it"):
        import_data("coco", file, tmp_path / "out")
    file.unlink()
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
@pytest.mark.parametrize(
    ("out", "expected"),
    [
        ("link to source/out", "choose a folder outside of it"),
        ("holder", "holds files already"),
        ("link to holder", "holds files already"),
        ("file", "holds files already"),
        ("file/out", "cannot be written"),
        ("loop", "cannot be written"),
        ("loop/out", "cannot be written"),
        ("/proc/out", "cannot be written"),
        ("holder/set/images/../../set/out", "choose a folder outside of it"),
    ],
)
def test_a_target_that_cannot_be_is_one_sentence(source: Path, tmp_path: Path, out: str, expected: str) -> None:
    """The source inside the target or the reverse, through links too; links in circles; what nobody can write to."""
    (tmp_path / "holder").mkdir()
    source = source.rename(tmp_path / "holder" / "set")
    (tmp_path / "link to source").symlink_to(source)
    (tmp_path / "link to holder").symlink_to(tmp_path / "holder")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "file").touch()
    before = sorted(tmp_path.rglob("*"))
    for named in (source, tmp_path / "link to source"):
        with pytest.raises(DataError, match=expected) as error:
            import_data("class-masks", named, tmp_path / out)
        assert "\n" not in str(error.value)
    with pytest.raises(DataError, match="There is no"):
        import_data("class-masks", tmp_path / "loop", tmp_path / "out")
    assert sorted(tmp_path.rglob("*")) == before


def test_a_failed_import_removes_the_folders_it_made(source: Path, tmp_path: Path) -> None:
    """`--out new/deep/out` left new/deep behind when a photo could not be read."""
    (source / "images" / "other.jpg").write_bytes(b"no picture")
    (tmp_path / "there").mkdir()
    for out in (tmp_path / "new" / "deep" / "out", tmp_path / "there" / "deep" / "out"):
        with pytest.raises(DataError, match="cannot be read"):
            import_data("class-masks", source, out)
    assert {path.name for path in tmp_path.iterdir()} == {"set", "there"}
    assert not [*(tmp_path / "there").iterdir()]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a file name cannot be other than UTF-8")
def test_names_that_are_no_utf_8_are_made_plain(
    source: Path, tmp_path: Path, sound: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    """A photo called as a Windows of old did was imported, and then the note about it ended in a traceback."""
    odd = os.fsdecode(b"caf\xe9")
    (source / "images" / "other.jpg").rename(source / "images" / f"{odd}.jpg")
    (source / "masks" / "leaf" / "other.png").rename(source / "masks" / "leaf" / f"{odd}.png")
    (source / "masks" / "leaf" / "my photo.png").rename(source / "masks" / "leaf" / f"{odd}2.png")
    imported = import_data("class-masks", source, tmp_path / "out")
    assert "caf_" in sound(imported)
    assert any("caf?2.png" in note for note in imported.notes)
    (source / "images" / f"{odd}.jpg").write_bytes(b"no picture")
    monkeypatch.setattr(sys, "argv", ["core", "import", "class-masks", str(source), "--out", str(tmp_path / "other")])
    assert main() == 1
    shown = capfd.readouterr().err
    assert "caf?.jpg cannot be read" in shown
    assert "Traceback" not in shown
    with pytest.raises(DataError, match="not a name in UTF-8") as error:
        import_data("class-masks", source, tmp_path / odd)
    str(error.value).encode()
    assert not (tmp_path / odd).exists()


def test_a_random_split_is_told_and_frames_of_a_video_are_warned_of(
    tmp_path: Path, draw_photo: Callable[..., Path]
) -> None:
    """Frames next to each other came into train and val, and the score was that of having seen the answer."""
    for name, stems in {"film": ["f_0030", "f_0060", "f_0090", "f_0120"], "mixed": ["f1", "f5", "g", "f90"]}.items():
        for number, stem in enumerate(stems):
            draw_photo(tmp_path / name / "images" / f"{stem}.png", number)
            write_mask_file(tmp_path / name / "masks" / "leaf" / f"{stem}.png")
        imported = import_data("class-masks", tmp_path / name, tmp_path / f"{name} out")
        assert any("no splits, so its photos were split 80/20 at random (seed 0)." in note for note in imported.notes)
        assert any("frames of a video" in note for note in imported.notes) is (name == "film")


def test_what_was_noted_before_an_error_is_told_with_it(
    source: Path, draw_photo: Callable[..., Path], refused: Callable[..., str]
) -> None:
    draw_photo(source / "images" / "no mask.jpg", 5)
    (source / "masks" / "leaf" / "stray.png").write_bytes((source / "masks" / "leaf" / "other.png").read_bytes())
    (source / "images" / "other.jpg").write_bytes(b"")
    text = refused("class-masks", source)
    assert text.index("other.jpg") < text.index("Noted before: Masks without a photo left out: 1")


def test_names_are_the_same_in_composed_and_decomposed_letters(
    tmp_path: Path, draw_photo: Callable[..., Path], sound: Callable[..., Any]
) -> None:
    """macOS writes an umlaut as two signs, everybody else as one."""
    photo = draw_photo(tmp_path / "set" / unicodedata.normalize("NFD", "über.jpg"), 1)
    leaf = {"id": 1, "image_id": 1, "category_id": 1, "segmentation": [[0, 0, 2, 0, 2, 2, 0, 2]]}
    image = {"id": 1, "file_name": unicodedata.normalize("NFC", photo.name)}
    document = {"images": [image], "categories": [{"id": 1, "name": "leaf"}], "annotations": [leaf]}
    (tmp_path / "set" / "labels.json").write_text(json.dumps(document))
    imported = import_data("coco", tmp_path / "set", tmp_path / "out")
    assert [mask_HW.sum() for mask_HW in sound(imported).values()] == [4]
    image["file_name"] = "ÜBER.JPG"
    (tmp_path / "set" / "labels.json").write_text(json.dumps(document))
    again = import_data("coco", tmp_path / "set", tmp_path / "again")
    assert any("differs in upper and lower case: 1" in note for note in again.notes)
