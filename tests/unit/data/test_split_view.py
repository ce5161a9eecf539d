"""Other splits of a data set whose photos stay where they are: what opens, and what is refused in one sentence."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from core.data.analysis import analyse, files_key
from core.data.dataset import fingerprint, open_dataset
from core.data.repair.repaired_copy import repair
from core.data.split_view import data_of, write_view
from core.data.splits import write_lists
from core.errors import DataError
from tests.small_data import write_pairs, write_voc

OTHER = {"train": ["photo_0", "photo_5"], "val": ["photo_1", "photo_4"]}


def names_of(root: Path) -> dict[str, list[str]]:
    return {split: [sample.name for sample in its] for split, its in open_dataset(root).splits.items()}


@pytest.mark.parametrize("layout", ["with lists", "without"])
def test_a_view_has_the_photos_and_classes_of_its_data_in_other_splits(tmp_path: Path, layout: str) -> None:
    root = tmp_path / "data"
    names = [f"photo_{number}" for number in range(6)]
    write_voc(root) if layout == "with lists" else write_pairs(root / "images", root / "masks", names)
    view = write_view(tmp_path / "views" / "one", root, OTHER)
    of_data, of_view = open_dataset(root), open_dataset(view)
    assert names_of(view) == OTHER
    assert (of_view.classes, of_view.has_named_classes) == (of_data.classes, of_data.has_named_classes)
    by_name = {sample.name: sample for its in of_data.splits.values() for sample in its}
    assert of_view.split("val") == (by_name["photo_1"], by_name["photo_4"])
    assert fingerprint(of_view.split("val")) == fingerprint([by_name["photo_1"], by_name["photo_4"]])
    assert (of_view.root, data_of(view), data_of(root)) == (view, root, root)


def test_the_doctor_reads_a_view_and_sees_when_data_or_view_change(tiny_voc: Path, tmp_path: Path) -> None:
    view = write_view(tmp_path / "view", tiny_voc, {"train": ["photo_0", "photo_1"], "val": ["photo_1"]})
    found = analyse(view)
    assert found.splits == {"train": ("photo_0", "photo_1"), "val": ("photo_1",)}
    kinds = set(found.report.counts)
    assert {"few validation photos", "duplicate photo"} <= kinds
    assert "unlisted pairs" not in kinds
    assert found.report.root == analyse(view).report.root == tiny_voc.resolve(), "findings name files of the data"
    before = files_key(view)
    assert before != files_key(tiny_voc)
    (tiny_voc / "SegmentationClass" / "photo_0.png").touch()
    after = files_key(view)
    shutil.rmtree(view)
    write_view(view, tiny_voc, {"train": ["photo_0"], "val": ["photo_1"]})
    assert len({before, after, files_key(view)}) == 3


def test_a_repaired_copy_of_a_view_holds_its_photos_and_lists(tiny_voc: Path, tmp_path: Path) -> None:
    copy = repair(write_view(tmp_path / "view", tiny_voc, OTHER), tmp_path / "copy").root
    assert names_of(copy) == OTHER
    assert len(list((copy / "JPEGImages").iterdir())) == 4


def test_lists_are_not_written_into_a_view(tiny_voc: Path, tmp_path: Path) -> None:
    view = write_view(tmp_path / "view", tiny_voc, OTHER)
    with pytest.raises(DataError, match="is a split view"):
        write_lists(view, open_dataset(view).splits)
    assert [file.name for file in view.iterdir()] == ["split.json"]


def test_a_data_set_with_a_split_json_of_another_program_opens_as_before(tiny_voc: Path) -> None:
    (tiny_voc / "split.json").write_text('{"train": ["photo_5"]}')
    assert names_of(tiny_voc)["val"] == ["photo_4", "photo_5"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"data": "tiny/VOC2012"}, "whole path"),
        ({"data": "/gone/away"}, "where no data set lies"),
        ({"data": "."}, "whole path"),
        ({"data": 7}, "cannot be read|can be read"),
        ({"schema": 2}, "update Atrous"),
        ({"splits": {"train": ["photo_0"], "val": ["photo_99"]}}, "lists photo_99 in val, but .* has no photo of it"),
        (
            {"splits": {"train": ["photo_0"], "val": ["unlabelled"]}},
            "lists unlabelled in val, but .* has no mask of it",
        ),
        ({"splits": {"train": ["../../tiny/VOC2012/JPEGImages/photo_0"], "val": ["photo_1"]}}, "has no photo of it"),
        ({"splits": {"../../out": ["photo_0"]}}, "name it with letters"),
        ({"splits": {"train": "photo_0"}}, "not a list"),
        ({"splits": {"train": [3]}}, "can be read"),
        ({"splits": ["photo_0"]}, "can be read"),
        ({"splits": {"train": [], "val": []}}, "lists no photo"),
        ({"splits": {}}, "lists no photo"),
        (None, "can be read"),
    ],
)
def test_a_view_that_cannot_be_used_is_refused_in_one_sentence(
    tiny_voc: Path,
    tmp_path: Path,
    changes: dict[str, object] | None,
    said: str,
    one_sentence: Callable[[object, Path], str],
) -> None:
    shutil.copy(tiny_voc / "JPEGImages" / "photo_0.jpg", tiny_voc / "JPEGImages" / "unlabelled.jpg")
    file = write_view(tmp_path / "view", tiny_voc, OTHER) / "split.json"
    document = json.loads(file.read_text())
    file.write_text(json.dumps(document | changes) if changes else '{"schema": 1, "da')
    for use in (open_dataset, analyse):
        with pytest.raises(DataError, match=said) as refused:
            use(file.parent)
        one_sentence(refused.value, file)


def test_a_view_of_a_view_is_refused(tiny_voc: Path, tmp_path: Path) -> None:
    """It could show itself, and would be read for ever."""
    view = write_view(tmp_path / "view", tiny_voc, OTHER)
    (view / "split.json").write_text(json.dumps({"schema": 1, "data": str(view), "splits": OTHER}))
    with pytest.raises(DataError, match="no data set"):
        open_dataset(view)
