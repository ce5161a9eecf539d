"""What is said of masks and photos before the first epoch, and of the run's health in the terminal."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.data.dataset import Sample, open_dataset
from core.data.images import read_mask, write_mask
from core.errors import DataError
from core.training.loop.preflight import data_warnings
from core.voc import VOID
from tests.faulty_data import examine
from tests.small_data import CAT, write_voc
from tests.unit.commands.calls import MOBILE, Command

BACKGROUND_HW = np.zeros((40, 48), np.uint8)
ALL_VOID_HW = np.full((40, 48), VOID, np.uint8)
BINARY_HW = np.pad(np.full((20, 24), VOID, np.uint8), ((10, 10), (12, 12)))


def grey(mask_HW: np.ndarray) -> Callable[[Path], None]:
    return lambda file: Image.fromarray(mask_HW).save(file)


def with_palette(mask_HW: np.ndarray) -> Callable[[Path], None]:
    return lambda file: write_mask(file, mask_HW)


def jpeg(file: Path) -> None:
    file.unlink()
    Image.fromarray(np.full((40, 48), CAT, np.uint8)).save(file.with_suffix(".jpg"))


def warnings_about(root: Path) -> list[str]:
    data = open_dataset(root)

    def counts(samples: Sequence[Sample]) -> np.ndarray:
        ids = (read_mask(sample.mask, data.num_classes).ravel() for sample in samples)
        return np.array([np.bincount(each, minlength=256)[: data.num_classes] for each in ids])

    train, val = data.split("train"), data.split("val")
    return data_warnings(train, val, counts(train), counts(val), data.classes)


# Pairs 0 to 19 are of train, 20 and 21 of val; each sentence by its beginning and end.
CASES: list[tuple[str, Callable[[Path], None], Sequence[int], list[tuple[str, str]]]] = [
    ("sound", with_palette(BACKGROUND_HW), [], []),
    ("some all void", with_palette(ALL_VOID_HW), [0, 1], []),
    ("some empty", with_palette(BACKGROUND_HW), range(19), []),
    ("255 in VOC's colour of void", with_palette(BINARY_HW), [0, 20], []),
    ("one 0/255", grey(BINARY_HW), [3], [("In 1 of 20 training masks, photo_3.png first", "class id instead of 255.")]),
    (
        "0/255",
        grey(BINARY_HW),
        range(22),
        [
            ("In 20 of 20 training masks, photo_0.png first, the doctor finds an error (binary mask).", "of 255."),
            ("In 2 of 2 validation masks, photo_20.png first, the doctor finds an error (binary mask).", "of 255."),
        ],
    ),
    (
        "many all void",
        with_palette(ALL_VOID_HW),
        range(3),
        [
            (
                "In 3 of 20 training masks, photo_0.png first, the doctor finds an error (all void).",
                "draw the mask again.",
            )
        ],
    ),
    ("val all void", with_palette(ALL_VOID_HW), [20, 21], [("All validation masks are void", "draw them again.")]),
    (
        "nothing shown",
        with_palette(BACKGROUND_HW),
        range(20),
        [("All training masks show background alone", "photos.")],
    ),
    ("lossy", jpeg, [2], [("In 1 of 20 training masks, photo_2.jpg first", "export it again as PNG.")]),
]


@pytest.mark.parametrize(
    ("write", "numbers", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_what_the_doctor_calls_an_error_in_masks_is_said(
    tmp_path: Path, write: Callable[[Path], None], numbers: Sequence[int], expected: list[tuple[str, str]]
) -> None:
    """On masks of 0 and 255 a training went through, of background alone, and said nothing."""
    root = write_voc(tmp_path / "VOC2012", num_train=20, num_val=2)
    for number in numbers:
        write(root / "SegmentationClass" / f"photo_{number}.png")
    said = warnings_about(root)
    assert len(said) == len(expected), said
    for sentence, (begin, end) in zip(said, expected, strict=True):
        assert sentence.startswith(begin)
        assert sentence.endswith(end)
    kinds = {finding.kind for finding in examine(root).findings if finding.severity == "error"}
    assert all(kind in "".join(said) or kind == "all void" for kind in kinds), "the doctor knows no other error"


def test_masks_that_are_all_void_are_not_trained_on(tmp_path: Path) -> None:
    """A training on them said "loss 0.000" epoch by epoch, and "finished"."""
    root = write_voc(tmp_path / "VOC2012")
    for number in range(4):
        write_mask(root / "SegmentationClass" / f"photo_{number}.png", ALL_VOID_HW)
    with pytest.raises(DataError, match=r"Every training mask in .*SegmentationClass is all void \(255\)"):
        warnings_about(root)


def test_a_validation_photo_that_is_trained_on_is_said(tiny_voc: Path) -> None:
    assert warnings_about(tiny_voc) == []
    data = open_dataset(tiny_voc)
    shutil.copy(data.split("train")[0].photo, data.split("val")[1].photo)
    (said,) = warnings_about(tiny_voc)
    assert said.startswith("The model trains on 1 of 2 validation photos, photo_5.jpg first")


# --- on the terminal ------------------------------------------------------------------------------------------------


def settings_of(epochs: int) -> list[str]:
    return [
        "--preset",
        "demo",
        "--set",
        f"epochs={epochs}",
        "--set",
        "batch_size=2",
        "--set",
        "train_fraction=1",
        *MOBILE,
    ]


@pytest.mark.slow
def test_train_ends_in_one_sentence_before_an_epoch_is_spent_on_void(core: Command, tmp_path: Path) -> None:
    root = write_voc(tmp_path / "VOC2012")
    for number in range(6):
        write_mask(root / "SegmentationClass" / f"photo_{number}.png", ALL_VOID_HW)
    ended = core("train", "--new", "n", "--data", root, *settings_of(1))
    assert "nothing to train on" in ended.sentence()


@pytest.mark.slow
def test_train_says_errors_before_the_first_epoch_and_health_when_it_changes_and_at_the_end(
    core: Command, tmp_path: Path
) -> None:
    """The page said that no object was found; the terminal showed epochs until it was "finished"."""
    root = write_voc(tmp_path / "VOC2012")
    for number in range(6):
        grey(BINARY_HW)(root / "SegmentationClass" / f"photo_{number}.png")
    lines = core("train", "--new", "n", "--data", root, *settings_of(5)).err.splitlines()
    epochs = [at for at, line in enumerate(lines) if line.startswith("epoch ")]
    mask_lines = [at for at, line in enumerate(lines) if line.startswith("  warning: In ")]
    health = {at: line for at, line in enumerate(lines) if line.startswith("  health: No object was found")}
    assert len(epochs) == 5, lines
    assert len(mask_lines) == 2
    assert mask_lines[-1] < epochs[0]
    assert [line.split(":")[1].split("latest ")[1][:8] for line in health.values()] == ["3 epochs"]
    weak = [at for at, line in enumerate(lines) if line.startswith("  health: The mIoU of")]
    assert "label more photos" in lines[weak[-1]], "there are fewer than ten"
    assert epochs[2] < min(health) < epochs[3]
    assert epochs[4] < weak[-1] < lines.index("finished: 5 epochs done")
    random = [at for at, line in enumerate(lines) if "from random weights this needs thousands of photos" in line]
    assert len(random) == 1
    assert random[0] < epochs[0]
