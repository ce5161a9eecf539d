"""What the repair makes of sets of one odd form: grey levels, colours, palettes of their own."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from core.classes import VOC_CLASSES, Classes
from core.data.dataset import open_dataset
from core.data.images import mask_image, write_mask
from core.data.repair.color_counts import ColorCount
from core.data.repair.repaired_copy import repair
from core.voc import VOID
from tests.faulty_data import BIRD, OWN_PALETTE, SIZE, Patient, cat_mask, examine, grey, levels, luminance, photo_of
from tests.small_data import CAT, DOG
from tests.unit.data.repair.repaired import MAY_STAY, check_copy, mask_in, mend_all


def test_a_set_of_0_255_masks_becomes_background_and_object(patient: Patient, tmp_path: Path) -> None:
    mend_all(patient, {"a": Image.fromarray(grey(255))}, tmp_path / "out")
    assert open_dataset(tmp_path / "out").class_names == ("background", "object")
    assert (mask_in(tmp_path / "out", "t3") == grey(1)).all()


def test_a_0_255_mask_is_the_second_of_two_named_classes(patient: Patient, tmp_path: Path) -> None:
    (patient.root / "classes.txt").write_text("background\nleaf #00ff00\n")
    mend_all(patient, {"a": Image.fromarray(grey(255)), "b": Image.fromarray(grey(1))}, tmp_path / "out")
    assert open_dataset(tmp_path / "out").classes == Classes(("background", "leaf"), ("#000000", "#00ff00"))
    assert (mask_in(tmp_path / "out", "t4") == grey(1)).all()


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA", "I;16"])
def test_grey_levels_of_any_depth_are_numbered_over_the_whole_set(patient: Patient, tmp_path: Path, mode: str) -> None:
    """No mask but one shows all four levels; 170 is class 2 in all of them."""

    def picture(*values: int) -> Image.Image:
        mask_HW = levels(*values)
        if mode == "I;16":
            return Image.fromarray(mask_HW.astype(np.uint16) * 257)
        return Image.fromarray(mask_HW).convert(mode)

    pictures = {"a": picture(0, 170), "b": picture(0, 85, 170, 255), "c": picture(0, 255), "d": picture(0, 85)}
    mend_all(patient, pictures, tmp_path / "out")
    assert open_dataset(tmp_path / "out").class_names == ("background", "class 1", "class 2", "class 3")
    for name, expected in (("t0", (0, 2)), ("t1", (0, 1, 2, 3)), ("t2", (0, 3)), ("t3", (0, 1))):
        assert (mask_in(tmp_path / "out", name) == levels(*expected)).all()


def test_grey_levels_follow_named_classes_and_255_may_be_void(patient: Patient, tmp_path: Path) -> None:
    (patient.root / "classes.txt").write_text("background\nleaf\nstem\n")
    mend_all(patient, {"a": Image.fromarray(levels(0, 60, 120, 255))}, tmp_path / "out")
    assert (mask_in(tmp_path / "out", "t0") == levels(0, 1, 2, VOID)).all()


def test_luminances_of_voc_s_colours_are_recognised(patient: Patient, tmp_path: Path) -> None:
    dog = mask_image(np.where(cat_mask() == CAT, DOG, cat_mask()).astype(np.uint8)).convert("RGB").convert("L")
    mend_all(patient, {"a": luminance(), "b": dog, "c": Image.fromarray(grey(19))}, tmp_path / "out")
    assert open_dataset(tmp_path / "out").classes == VOC_CLASSES
    assert set(np.unique(mask_in(tmp_path / "out", "t1"))) == {0, DOG, VOID}
    assert (mask_in(tmp_path / "out", "t2") == grey(CAT)).all()


def test_colours_of_voc_s_palette_are_its_classes(patient: Patient, tmp_path: Path) -> None:
    bird = mask_image(grey(BIRD)).convert("RGB")
    mend_all(patient, {"a": mask_image(cat_mask()).convert("RGB"), "b": bird}, tmp_path / "out")
    assert (mask_in(tmp_path / "out", "t0") == cat_mask()).all()
    assert (mask_in(tmp_path / "out", "t1") == grey(BIRD)).all()
    assert open_dataset(tmp_path / "out").classes == VOC_CLASSES


def colored(mask_HW: NDArray[np.uint8], *colors: tuple[int, int, int]) -> Image.Image:
    return Image.fromarray(np.array(colors, dtype=np.uint8)[mask_HW])


def test_unknown_colours_are_numbered_by_frequency_with_black_as_background(patient: Patient, tmp_path: Path) -> None:
    pictures = {"a": colored(levels(0, 1, 2, 2), (0, 0, 0), (250, 1, 2), (3, 240, 4))}
    mend_all(patient, pictures, tmp_path / "out")
    classes = open_dataset(tmp_path / "out").classes
    assert classes == Classes(("background", "class 1", "class 2"), ("#000000", "#03f004", "#fa0102"))
    assert (mask_in(tmp_path / "out", "t0") == levels(0, 2, 1, 1)).all()


def test_a_table_tells_what_colours_mean(patient: Patient, tmp_path: Path) -> None:
    table = Classes(("ground", "leaf", "stem"), ("#010101", "#fa0102", "#03f004"))
    for name in [*patient.train, *patient.val]:
        colored(levels(0, 1, 2), (1, 1, 1), (250, 1, 2), (3, 240, 4)).save(patient.mask(name))
    colored(levels(0, 1, 2), (1, 1, 1), (250, 1, 2), (9, 9, 90)).save(patient.mask("t1"))
    report = repair(patient.root, tmp_path / "out", table=table)
    check_copy(tmp_path / "out", report)
    assert open_dataset(tmp_path / "out").classes == table
    assert (mask_in(tmp_path / "out", "t0") == levels(0, 1, 2)).all()
    aside = {change.file: change.detail for change in report.changes if change.action == "set aside"}
    assert aside == {"JPEGImages/t1.jpg": "33.3 % of its pixels have colours without a known class"}


def test_a_palette_of_its_own_gives_numbered_classes_a_file(patient: Patient, tmp_path: Path) -> None:
    for name in [*patient.train, *patient.val]:
        write_mask(patient.mask(name), levels(0, 1, 1), OWN_PALETTE)
    check_copy(tmp_path / "out", repair(patient.root, tmp_path / "out"))
    classes = open_dataset(tmp_path / "out").classes
    assert (classes.names[:2], classes.colors[1]) == (("background", "class 1"), "#c80a3c")
    assert (mask_in(tmp_path / "out", "t0") == levels(0, 1, 1)).all()


def test_sound_ids_are_kept_in_any_number_of_colours(patient: Patient, tmp_path: Path) -> None:
    """A palette of 150 colours was taken for one of pictures, and the ids were numbered by their frequency."""
    palette = np.zeros((256, 3), dtype=np.uint8)
    palette[1:150] = np.random.default_rng(0).integers(1, 256, (149, 3))
    masks = [levels(0, 149, 3, 3), levels(0, 77, 77, 3), levels(2, 3)]
    names = [*patient.train, *patient.val]
    for number, name in enumerate(names):
        write_mask(patient.mask(name), masks[number % 3], palette)
    check_copy(tmp_path / "out", repair(patient.root, tmp_path / "out"))
    classes = open_dataset(tmp_path / "out").classes
    assert classes.names == ("background", *(f"class {class_id}" for class_id in range(1, 150)))
    assert (classes.palette[:150] == palette[:150]).all()
    for number, name in enumerate(names):
        assert (mask_in(tmp_path / "out", name) == masks[number % 3]).all()


def test_palettes_that_contradict_each_other_are_read_by_their_colours(patient: Patient, tmp_path: Path) -> None:
    """A program that gives every picture a palette of its own numbers the same colours in another order each time."""
    colors = np.array([[0, 0, 0], [250, 1, 2], [3, 240, 4], [9, 8, 200]], dtype=np.uint8)
    names = [*patient.train, *patient.val]
    for number, name in enumerate(names):
        order = np.random.default_rng(number).permutation(4)
        palette = np.zeros((256, 3), dtype=np.uint8)
        palette[:4] = colors[order]
        write_mask(patient.mask(name), np.argsort(order).astype(np.uint8)[levels(0, 1, 1, 2, 2, 2, 3)], palette)
    check_copy(tmp_path / "out", repair(patient.root, tmp_path / "out"))
    assert open_dataset(tmp_path / "out").classes.colors[:2] == ("#000000", "#03f004")
    for name in names:
        assert (mask_in(tmp_path / "out", name) == levels(0, 2, 2, 1, 1, 1, 3)).all()


def test_one_mask_in_another_palette_keeps_its_ids_and_that_is_said(patient: Patient, tmp_path: Path) -> None:
    """A warning set the pair aside."""
    write_mask(patient.mask("t1"), levels(0, 1, 1), OWN_PALETTE)
    report = repair(patient.root, tmp_path / "out")
    check_copy(tmp_path / "out", report)
    assert (mask_in(tmp_path / "out", "t1") == levels(0, 1, 1)).all()
    assert ["the ids kept" in change.detail for change in report.changes] == [True]


def test_palettes_that_contradict_the_ids_stay_and_so_does_the_warning(patient: Patient, tmp_path: Path) -> None:
    """The copy had the colours of the classes in every palette, and nothing told of the contradiction any more."""
    (patient.root / "classes.txt").write_text("background #000000\nleaf #c80000\nstem #0000c8\n")
    usual = np.array([(0, 0, 0), (200, 0, 0), (0, 0, 200), *[(0, 0, 0)] * 253], dtype=np.uint8)
    exchanged = usual[[0, 2, 1, *range(3, 256)]]
    mask_HW = levels(0, 1, 2)
    names = [*patient.train, *patient.val]
    for number, name in enumerate(names):
        write_mask(patient.mask(name), mask_HW, exchanged if number % 2 else usual)
    write_mask(patient.mask("t1"), mask_HW[::2, ::2], exchanged)
    report = repair(patient.root, tmp_path / "out")
    check_copy(tmp_path / "out", report, (*MAY_STAY, "other palette"))
    assert [examine(root).counts["other palette"] for root in (patient.root, report.root)] == [len(names) // 2] * 2
    assert [change.file for change in report.changes if "palette" in change.detail] == []
    assert (mask_in(tmp_path / "out", "t3") == mask_HW).all()
    for name, palette in (("t1", exchanged), ("t3", exchanged), ("t2", usual)):
        with Image.open(tmp_path / "out" / "SegmentationClass" / f"{name}.png") as mask:
            assert (np.array(mask.getpalette("RGB")[:9]) == palette[:3].ravel()).all()


def test_photos_of_background_alone_stay(patient: Patient, tmp_path: Path) -> None:
    """Photos without any object, which teach what is none, were set aside for a warning that says "unless meant"."""
    for name in ("t1", "t2", "v1"):
        write_mask(patient.mask(name), grey(0))
    report = repair(patient.root, tmp_path / "out")
    check_copy(tmp_path / "out", report)
    assert (report.images, report.changes) == (52, ())


def test_the_colour_at_most_borders_is_the_background_where_none_is_black(patient: Patient, tmp_path: Path) -> None:
    """White masks with coloured objects became masks without any background, white one class of many."""
    mask_HW = grey(1)
    mask_HW[30:, :] = 2
    colors = (255, 255, 255), (250, 1, 2), (3, 240, 4)
    report = mend_all(patient, {"a": colored(grey(1), *colors), "b": colored(mask_HW, *colors)}, tmp_path / "out")
    assert open_dataset(tmp_path / "out").classes.colors == ("#ffffff", "#fa0102", "#03f004")
    assert (mask_in(tmp_path / "out", "t0") == grey(1)).all()
    guess = [change.detail for change in report.changes if change.action == "background guessed"]
    assert len(guess) == 1
    assert "#ffffff" in guess[0]


def test_pictures_among_colour_masks_are_set_aside_and_the_others_numbered(patient: Patient, tmp_path: Path) -> None:
    """Every colour of every mask was kept: a set of photos in the place of masks took all memory."""
    for name in [*patient.train, *patient.val]:
        colored(levels(0, 1, 1, 2), (0, 0, 0), (250, 1, 2), (3, 240, 4)).save(patient.mask(name))
    photo_of(50).save(patient.mask("t1"))
    report = repair(patient.root, tmp_path / "out")
    check_copy(tmp_path / "out", report)
    assert (mask_in(tmp_path / "out", "t0") == levels(0, 1, 1, 2)).all()
    aside = {change.file: change.detail for change in report.changes if change.action == "set aside"}
    assert aside == {"JPEGImages/t1.jpg": "more than 64 colours, so it is a picture, not a mask"}


def test_no_more_colours_are_counted_than_can_be_of_use() -> None:
    count = ColorCount()
    for number in range(200):
        count.add(f"photo {number}", photo_of(number))
        colors = np.random.default_rng(number).integers(0, 256, (40, 3)).astype(np.uint8)
        count.add(f"mask {number}", Image.fromarray(colors[levels(*range(40))]))
    assert len(count.pictures) == 200
    assert len(count.pixels) <= 2 * 64


def test_a_few_stray_pixels_become_void_and_that_is_said(patient: Patient, tmp_path: Path) -> None:
    mask_HW = cat_mask()
    mask_HW[0, :5] = 99
    write_mask(patient.mask("t3"), mask_HW)
    report = repair(patient.root, tmp_path / "out")
    check_copy(tmp_path / "out", report)
    assert [vars(change) for change in report.changes] == [
        {
            "file": "SegmentationClass/t3.png",
            "action": "mask mended",
            "detail": "0.26 % of pixels of unknown ids made void",
        }
    ]
    assert (mask_in(tmp_path / "out", "t3")[0, :6] == [VOID] * 5 + [0]).all()


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_black_and_white_with_grey_edges_is_cut_in_the_middle(patient: Patient, tmp_path: Path, suffix: str) -> None:
    """Kvasir's masks are JPEGs, others are smoothed by resizing: no pair was left, and nothing said what to do."""
    large = Image.new("L", (960, 640))
    ImageDraw.Draw(large).ellipse((230, 155, 666, 502), fill=255)
    smooth = large.resize(SIZE, Image.Resampling.BILINEAR)
    for name in [*patient.train, *patient.val]:
        patient.mask(name).unlink()
        smooth.save(patient.mask(name).with_suffix(suffix), quality=90)
    report = repair(patient.root, tmp_path / "out")
    check_copy(tmp_path / "out", report)
    assert open_dataset(tmp_path / "out").class_names == ("background", "object")
    expected_HW = np.asarray(smooth) >= 128
    assert np.count_nonzero((mask_in(tmp_path / "out", name) == 1) != expected_HW) <= (4 if suffix == ".jpg" else 0)
    assert "black and white with grey edges, cut at 128 of 255" in {change.detail for change in report.changes}
