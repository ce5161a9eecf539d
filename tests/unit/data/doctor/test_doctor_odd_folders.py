"""What the doctor, and the sentence that opens no data set, say of folders in which next to nothing can be read."""

import re
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest

from core.data.dataset import open_dataset
from core.data.images import write_mask
from core.errors import DataError
from core.voc import CLASS_NAMES
from tests.faulty_data import cat_mask, examine
from tests.small_data import write_list, write_pairs
from tests.unit.data.doctor.test_diagnosis import found_in


def only_default(root: Path) -> None:
    write_list(root, "default", ["a", "b"])


def only_trainval(root: Path) -> None:
    write_list(root, "trainval", ["a", "b"])


def masks_with_an_ending(root: Path) -> None:
    for mask in sorted((root / "masks").iterdir()):
        mask.rename(mask.with_stem(f"{mask.stem}_mask"))


def heic(root: Path) -> None:
    for photo in sorted((root / "images").iterdir()):
        photo.rename(photo.with_suffix(".HEIC"))


def damaged(root: Path) -> None:
    for photo in sorted((root / "images").iterdir()):
        photo.write_bytes(b"no photo")


def decomposed(root: Path) -> None:
    """Name photos as macOS does, u and two dots apart."""
    for folder, form in (("images", "NFD"), ("masks", "NFC")):
        for file in sorted((root / folder).iterdir()):
            file.rename(file.with_stem(unicodedata.normalize(form, f"\u00fc{file.stem}")))


SMALL = {"class only in val", "class missing in val", "few validation photos"}
"""The findings on so few photos in any case."""


@pytest.mark.parametrize(
    ("plant", "kinds"),
    [
        (only_default, {"empty split"}),
        (only_trainval, {"empty split"}),
        (masks_with_an_ending, {"odd name"}),
        (heic, {"empty split", "missing photo"}),
        (damaged, {"unreadable photo"}),
        (decomposed, {"non-ascii name"}),
    ],
)
def test_where_no_photo_of_train_or_val_is_read_the_doctor_says_why(
    tmp_path: Path, plant: Callable[[Path], None], kinds: set[str]
) -> None:
    """The comparison of no photos at all ended in "cannot reshape array of size 0", with the repair and the page."""
    write_pairs(tmp_path / "images", tmp_path / "masks", ["a", "b"])
    (tmp_path / "classes.txt").write_text("\n".join(CLASS_NAMES))
    plant(tmp_path)
    assert set(examine(tmp_path).counts) - SMALL == kinds


def test_the_sentence_that_opens_no_data_set_names_the_file_that_is_nearly_a_photo(tmp_path: Path) -> None:
    for name, plant, near in (("one", heic, "a.HEIC"), ("two", masks_with_an_ending, "a.jpg")):
        root = tmp_path / name
        write_pairs(root / "images", root / "masks", ["a", "b"])
        plant(root)
        with pytest.raises(DataError, match=f"no photo of that name, only {near}"):
            open_dataset(root)


def test_an_ending_parts_no_pair_from_its_own_photo(tmp_path: Path) -> None:
    """Beside a.png, a second mask a_mask.png has no photo: a.jpg is taken."""
    write_pairs(tmp_path / "images", tmp_path / "masks", ["a", "b"])
    write_mask(tmp_path / "masks" / "a_mask.png", cat_mask())
    assert ("missing photo", "error", None, "images/a_mask.jpg") in found_in(examine(tmp_path))


def test_a_list_that_lies_where_nothing_reads_it_is_told(tmp_path: Path) -> None:
    """PaddleSeg's train.txt and val.txt lie beside the photos, and the pairs were split at random without a word."""
    write_pairs(tmp_path / "images", tmp_path / "masks", ["a", "b"])
    (tmp_path / "train.txt").write_text("images/a.jpg masks/a.png\n")
    assert ("unread list", "warning", "train", "train.txt") in found_in(examine(tmp_path))
    write_list(tmp_path, "train", ["a"])
    assert "unread list" not in examine(tmp_path).counts


@pytest.mark.parametrize(
    ("held", "said"),
    [("train/a.png", "holds folders (train) and no masks"), ("a.gif", "no masks that are read, but a.gif")],
)
def test_a_folder_of_masks_that_holds_none_says_what_it_holds(tmp_path: Path, held: str, said: str) -> None:
    write_pairs(tmp_path / "images", tmp_path / "other", ["a"])
    (tmp_path / "masks" / held).parent.mkdir(parents=True)
    (tmp_path / "masks" / held).write_bytes(b"GIF89a")
    for opens in (open_dataset, examine):
        with pytest.raises(DataError, match=re.escape(said)):
            opens(tmp_path)
