"""What is taken away: pictures at the photo's size, a table, a zip that never holds all of it in memory."""

import csv
import io
import tracemalloc
import zipfile
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image

from core.classes import VOC_CLASSES
from core.errors import PhotoError
from core.model.output import results
from core.model.output.results import areas_csv, cutouts, mask_and_overlay, write_zip
from core.model.photo import class_areas
from core.palettes import SAFE, recolored
from core.voc import VOID
from tests.small_data import CAT, DOG, draw_pair


def opened(content: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(content))
    image.load()
    return image


def test_the_mask_keeps_ids_and_colours_whatever_the_overlay_is_painted_with() -> None:
    photo, mask_HW = draw_pair(0)
    plain, safe = (
        dict(mask_and_overlay("cat", photo, mask_HW, VOC_CLASSES, shown))
        for shown in (VOC_CLASSES, recolored(VOC_CLASSES, SAFE))
    )
    assert list(plain) == ["cat_mask.png", "cat_overlay.png"]
    assert plain["cat_mask.png"] == safe["cat_mask.png"]
    np.testing.assert_array_equal(np.asarray(opened(plain["cat_mask.png"])), mask_HW)
    assert plain["cat_overlay.png"] != safe["cat_overlay.png"]
    assert opened(plain["cat_overlay.png"]).size == photo.size


def test_a_cut_out_holds_its_class_and_nothing_else_of_the_photo() -> None:
    """Under a transparent pixel its colour would still be in the file: a face that was cut away could be had back."""
    photo, mask_HW = draw_pair(0)
    mask_HW[:4, :4] = DOG
    files = dict(cutouts("pets", photo, mask_HW, VOC_CLASSES))
    assert list(files) == ["pets_cutout_08-cat.png", "pets_cutout_12-dog.png"]
    for class_id, content in zip((CAT, DOG), files.values(), strict=True):
        cut = opened(content)
        assert (cut.mode, cut.size) == ("RGBA", photo.size)
        cut_HW4 = np.asarray(cut)
        np.testing.assert_array_equal(cut_HW4[..., 3] == 255, mask_HW == class_id)
        np.testing.assert_array_equal(cut_HW4[mask_HW == class_id, :3], np.asarray(photo)[mask_HW == class_id])
        assert not cut_HW4[mask_HW != class_id].any()


def test_the_table_tells_every_class_and_computes_nothing() -> None:
    mask_HW = np.array([[0, 8, 8, VOID]], dtype=np.uint8)
    areas = class_areas(mask_HW, np.array([[1, 0.5, 0.7, 0.2]], np.float32), VOC_CLASSES.names)
    lines = list(csv.DictReader(io.StringIO(areas_csv([("=1+1.jpg", areas), ("b.jpg", areas[:1])]))))
    assert len(lines) == 4
    assert lines[0] == {
        "photo": "'=1+1.jpg",
        "class": "cat",
        "id": "8",
        "pixels": "2",
        "share": "0.500000",
        "mean_confidence": "0.6000",
    }
    assert sum(float(line["share"]) for line in lines[:3]) == pytest.approx(1)
    assert {line["class"] for line in lines[:3]} == {"background", "cat", "void"}


def many_files(count: int, size: int) -> Iterator[tuple[str, bytes]]:
    for number in range(count):
        yield f"{number}.png", np.random.default_rng(number).bytes(size)


class Away(io.RawIOBase):
    """A place that cannot be rewound and keeps nothing, as a connection."""

    written = 0

    def writable(self) -> bool:
        return True

    def write(self, content: object) -> int:
        size = memoryview(content).nbytes  # type: ignore[arg-type]
        self.written += size
        return size


def test_a_zip_of_many_files_is_streamed() -> None:
    tracemalloc.start()
    try:
        away = Away()
        assert write_zip(away, many_files(60, 1_000_000)) == 60  # type: ignore[arg-type]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert away.written > 60_000_000
    assert peak < 5_000_000


def test_a_zip_holds_what_was_put_into_it_and_is_the_same_each_time() -> None:
    files = [("a_mask.png", b"p" * 500), ("classes.csv", b"x,y\n" * 500)]
    buffers = [io.BytesIO(), io.BytesIO()]
    for buffer in buffers:
        write_zip(buffer, files)
    assert buffers[0].getvalue() == buffers[1].getvalue()
    with zipfile.ZipFile(buffers[0]) as archive:
        assert archive.testzip() is None
        assert [(name, archive.read(name)) for name in archive.namelist()] == files


def test_a_zip_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "MAX_ZIP_BYTES", 3_000_000)
    with pytest.raises(PhotoError, match="over 3 MB; take fewer photos"):
        write_zip(io.BytesIO(), many_files(10, 1_000_000))
