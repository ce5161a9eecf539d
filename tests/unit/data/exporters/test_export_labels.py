"""Masks and proposals for CVAT and Label Studio: our own importers read them back to the pixel."""

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.classes import Classes
from core.data.exporters import EXPORTERS, export_labels
from core.data.exporters.label_studio_tasks import encode_brush
from core.data.importers import import_data
from core.data.importers.masks.mask_file import decode_brush
from core.data.labelling import (
    LabelSet,
    State,
    mark_done,
    new_label_set,
    open_label_set,
    read_label,
    rename_class,
    save_label,
)
from core.data.labelling.proposals import write_about, write_proposal
from core.errors import DataError
from tests.unit.data.labelling.labelled import drawn, photos

SIZES = {
    "a b.jpg": (31, 17),
    "umlaut ä.png": (1, 1),
    "wide.jpg": (257, 3),
    "tall.tif": (5, 301),
    "turned.jpg": (40, 23),
}
ALIKE = Classes(
    ("background", "leaf", "stem-2", "Ast", "root"), ("#102030", "#22aa22", "#22aa22", "#000000", "#e0e0c0")
)
SUFFIXES = {"cvat": ".zip", "label-studio": ".json"}


@pytest.fixture
def mixed(home: Path) -> LabelSet:
    """Photos of odd sizes and names, one turned by EXIF; classes of one colour, one of them in that of void."""
    files = [photos(home / "mixed photos", [name], size)[0] for name, size in SIZES.items()]
    exif = Image.Exif()
    exif[0x0112] = 6
    with Image.open(files[-1]) as plain:
        plain.save(files[-1], exif=exif)
    empty = photos(home / "mixed photos", ["nothing.jpg"], (9, 8))
    return open_label_set(new_label_set("mixed", files + empty, ALIKE).root)


def shown(label_set: LabelSet, name: str) -> tuple[int, int]:
    height, width = read_label(label_set, name).mask_HW.shape
    return width, height


def by_name(root: Path, classes: Classes) -> dict[str, list[list[str]]]:
    """Return the class name of every pixel of every mask."""
    names = np.array([*classes.names, *[""] * (256 - len(classes))], dtype=object)
    names[255] = "void"
    found = {}
    for file in sorted((root / "SegmentationClass").glob("*.png")):
        with Image.open(file) as mask:
            found[file.stem] = names[np.array(mask)].tolist()
    return found


@pytest.mark.parametrize("called", EXPORTERS)
@pytest.mark.parametrize("proposals", [False, True])
def test_what_is_exported_is_read_back_to_the_pixel(
    mixed: LabelSet,
    home: Path,
    called: str,
    proposals: bool,
) -> None:
    names = list(mixed.photos)
    assert shown(mixed, "turned") == (23, 40)
    for number, name in enumerate(names):
        ids = (0,) if name == "nothing" else (0, 1, 2, 3, 4, 255) if number != 1 else (3,)
        mask_HW = drawn(number, shown(mixed, name), ids)
        if proposals:
            write_proposal(mixed, name, mask_HW, {"checkpoint": f"leaves/{name}.pt"})
        save_label(mixed, name, mask_HW, base_version="")
        if number % 2:
            mark_done(mixed, name)
    expected = by_name(mixed.root, ALIKE)
    if proposals:
        write_about(mixed, {"checkpoint": "the newest.pt"})
        for file in mixed.masks().values():
            file.unlink()
    out = home / "out" / f"labels{SUFFIXES[called]}"
    out.parent.mkdir()
    seen = []
    exported = export_labels(
        mixed, called, out, proposals=proposals, on_progress=lambda done, total: seen.append((done, total))
    )
    assert (exported.file, exported.photos, seen[-1]) == (out, 6, (6, 6))
    assert list(out.parent.iterdir()) == [out]
    options = {} if called == "cvat" else {"photos": mixed.photo_dir}
    imported = import_data("auto", out, home / "back", **options)
    assert set(imported.classes.names) == set(ALIKE.names)
    assert by_name(imported.root, imported.classes) == expected
    if called == "cvat":
        drafts = {name for name, state in open_label_set(imported.root).states().items() if state == State.STARTED}
        assert drafts == (set() if proposals else set(names[::2]))
    if called == "label-studio":
        versions = {task["predictions"][0]["model_version"] for task in json.loads(out.read_text())}
        assert versions == ({f"leaves/{name}.pt" for name in names} if proposals else {"drawn in Atrous"})
        assert "predictions" in " ".join(imported.notes)


def test_predictions_are_not_read_beside_an_annotation(mixed: LabelSet, home: Path) -> None:
    """An export of a project in which somebody annotates: what a model proposed for the rest is no truth."""
    for name in ("wide", "tall"):
        save_label(mixed, name, drawn(1, shown(mixed, name), (0, 1)), base_version="")
    out = export_labels(mixed, "label-studio", home / "tasks.json").file
    tasks = json.loads(out.read_text())
    tasks[0]["annotations"] = tasks[0].pop("predictions")
    out.write_text(json.dumps(tasks))
    imported = import_data("auto", out, home / "back", photos=mixed.photo_dir)
    assert imported.images == 1


def test_a_proposal_of_another_size_is_not_exported(mixed: LabelSet, home: Path) -> None:
    write_proposal(mixed, "wide", drawn(1, (5, 5)), {})
    with pytest.raises(DataError, match=r"proposal for 'wide' of .* cannot be read"):
        export_labels(mixed, "cvat", home / "x.zip", proposals=True)
    assert not (home / "x.zip").exists()


def test_cvat_finds_every_label_by_a_colour_of_its_own(mixed: LabelSet, home: Path) -> None:
    save_label(mixed, "wide", drawn(1, (257, 3), (0, 1, 2, 3, 4, 255)), base_version="")
    mark_done(mixed, "wide")
    save_label(mixed, "tall", drawn(1, (5, 301), (0, 1)), base_version="")
    export_labels(mixed, "cvat", home / "x.zip")
    with zipfile.ZipFile(home / "x.zip") as archive:
        assert archive.testzip() is None
        lines = archive.read("labelmap.txt").decode().splitlines()
        split = next(part for part in ("train", "val") if f"ImageSets/Segmentation/{part}.txt" in archive.namelist())
        assert archive.read(f"ImageSets/Segmentation/{split}.txt") == b"wide\n"
        assert archive.read("ImageSets/Segmentation/drafts.txt") == b"tall\n"
        assert archive.read("JPEGImages/wide.jpg") == mixed.photos["wide"].read_bytes()
        with archive.open("SegmentationClass/wide.png") as file, Image.open(file) as mask:
            assert mask.mode == "RGB"
    assert lines[:3] == ["# label:color_rgb:parts:actions", "background:0,0,0::", "leaf:34,170,34::"]
    assert lines[-1] == "void:224,224,192::"
    colors = [line.split(":")[1] for line in lines[1:]]
    assert len(set(colors)) == len(colors) == 6


@pytest.mark.parametrize("shape", [(1, 1), (1, 2), (7, 13), (301, 499)])
def test_a_packed_region_is_unpacked_to_the_same(shape: tuple[int, int]) -> None:
    """The decoder of label-studio-sdk 1.0.11 gives the same for these; runs beyond 65,536 bytes have several pieces."""
    rows_HW = np.add.outer(np.arange(shape[0]), np.arange(shape[1]))
    noise_HW = np.random.default_rng(0).random(shape) < 0.5
    for region_HW in (np.zeros(shape, dtype=bool), np.ones(shape, dtype=bool), noise_HW, rows_HW // 9 % 2 == 0):
        np.testing.assert_array_equal(decode_brush(encode_brush(region_HW), shape[::-1]), region_HW)


def test_the_packed_bits_are_those_of_label_studio() -> None:
    """Golden value: `encode_rle` of label-studio-sdk 1.0.11 for three pixels, of which the last is painted."""
    assert list(encode_brush(np.array([[False, False, True]]))) == [0, 0, 0, 12, 57, 27, 252, 224, 17, 255, 128]


@pytest.mark.parametrize(
    ("spoil", "called", "says"),
    [
        (lambda s: s, "cvat", "has no masks yet"),
        (lambda s: s, "voc", "There is no format 'voc'"),
        (lambda s: mark_done(rename_class(s, 1, "a:b"), "wide"), "cvat", "cannot hold the class name 'a:b'"),
        (lambda s: mark_done(rename_class(s, 1, "#1"), "wide"), "cvat", "cannot hold the class name '#1'"),
        (lambda s: (mark_done(s, "wide"), (s.mask_dir / "wide.png").write_bytes(b"x")), "cvat", "cannot be read"),
        (lambda s: (mark_done(s, "wide"), (s.root / "out").touch()), "label-studio", "exists already"),
    ],
)
def test_what_cannot_be_exported_is_one_sentence_and_leaves_no_file(
    mixed: LabelSet,
    spoil: object,
    called: str,
    says: str,
) -> None:
    spoil(mixed)  # type: ignore[operator]
    before = sorted(mixed.root.iterdir())
    with pytest.raises(DataError, match=says):
        export_labels(open_label_set(mixed.root), called, mixed.root / "out")
    assert sorted(mixed.root.iterdir()) == before
