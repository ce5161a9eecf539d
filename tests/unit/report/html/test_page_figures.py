"""The report's figures, what else there may be to report, and what people write, which is text."""

import base64
import io
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from core.data.images import read_mask
from core.report.content import Content, evaluated_checkpoints, gather
from core.report.html.page import render
from core.report.language.words import LANGUAGES, Words
from core.training.run.edits import set_note
from core.training.run.folders import Run
from tests.app.stored import guess_background, store_milestone
from tests.small_data import write_voc
from tests.unit.report.conftest import NUM_VAL, WORSE, MakeRun, fine, rough
from tests.unit.report.reading import Element, read, table

MARKUP = '<script>alert("x")</script> & <b>bold</b>'

# --- figures --------------------------------------------------------------------------------------------------------


def opened(picture: Element) -> Image.Image:
    _, _, text = picture.attributes["src"].partition("base64,")
    return Image.open(io.BytesIO(base64.b64decode(text)))


def photos_of(page: Element) -> list[Element]:
    return [each for each in page.with_id("figures").all("figure") if each.attributes.get("class") == "photo"]


def test_the_figures_show_the_same_photos_under_every_checkpoint(content: Content, page: Element) -> None:
    photos = photos_of(page)
    captions = [photo.children[0].text for photo in photos]
    assert [caption.partition(":")[0] for caption in captions] == [
        "Largest gain", "Largest gain", "Middle", "Middle", "Smallest gain", "Largest loss",
    ]  # fmt: skip
    worse = content.names[WORSE]
    assert re.fullmatch(rf"Largest loss: {worse}, −\d+\.\d points of mIoU", captions[-1])
    assert len(set(captions)) == 6
    alts = [picture.attributes["alt"] for picture in photos[-1].all("img")]
    assert alts[0] == f"Photo {worse}"
    assert alts[1].startswith(f"Mask predicted by 2 epochs for {worse}: background and ")
    assert alts[3] == f"Mask predicted by 4 epochs for {worse}: background"
    assert alts[4] == f"{alts[3]}, laid over the photo"
    assert len(alts) == 8


def test_the_pictures_are_those_of_the_stored_masks(content: Content, page: Element) -> None:
    assert content.data is not None
    palette = content.classes.palette
    name = content.names[WORSE]
    sample = next(sample for sample in content.data.split("val") if sample.name == name)
    shown = [opened(picture) for picture in photos_of(page)[-1].all("img")]
    photo, first, over_first, last, _, truth, _, _ = shown
    assert over_first.size == photo.size
    moved = np.any(np.abs(np.asarray(over_first, dtype=int) - np.asarray(photo)) > 40, axis=2)
    assert 0 < moved.mean() < 1, "objects in colour, the rest as it was"
    for picture, file in (
        (first, content.checkpoints[0].evaluation.mask_path(name)),
        (last, content.checkpoints[1].evaluation.mask_path(name)),
        (truth, sample.mask),
    ):
        np.testing.assert_array_equal(np.asarray(picture.convert("RGB")), palette[read_mask(file, 21)])


def test_without_the_data_it_says_so_and_tells_the_rest(run: Run, data: Path) -> None:
    shutil.rmtree(data)
    page = read(render(gather(evaluated_checkpoints([run], "val"))))
    assert "no figures" in page.with_id("figures").text
    assert not page.all("img")
    assert "no longer where they were" in page.with_id("data").text
    assert table(page, "Scores on val (photos: 12)").values()["Mean IoU"]


# --- what else there may be to report -------------------------------------------------------------------------------


def test_one_checkpoint_is_compared_with_the_floor(content: Content) -> None:
    alone = gather(content.checkpoints[:1])
    page = read(render(alone))
    assert "2 epochs beat the floor by" in page.all("header")[0].text
    assert [row[0] for row in table(page, "Differences").rows()[1:]] == ["2 epochs against the floor"]
    assert photos_of(page)[0].children[0].text.startswith("Best: photo_")


def test_several_runs_stand_side_by_side_with_a_ranking(make_run: MakeRun) -> None:
    content = gather(evaluated_checkpoints([make_run(), make_run("second")], "val"))
    page = read(render(content))
    assert table(page, "Scores on").rows()[0][1:] == [
        "first, 2 epochs", "first, 4 epochs", "second, 2 epochs", "second, 4 epochs", "Floor",
    ]  # fmt: skip
    ranking = table(page, "Ranking").rows()[1:]
    assert [row[1] for row in ranking] == ["1", "1", "1", "1", ""], "12 images do not tell four checkpoints apart"
    assert ranking[0][4].endswith("second, 4 epochs")
    assert table(page, "Settings").rows()[0] == ["Setting", "first", "second"]
    assert "checkpoints/RUN_1/epoch_004.pt checkpoints/RUN_2/epoch_002.pt" in page.all("pre")[0].text


def test_settings_that_differ_are_marked(make_run: MakeRun) -> None:
    first, second = make_run(), make_run("second")
    other = replace(second, config=replace(second.config, seed=5))
    page = read(render(gather([*evaluated_checkpoints([first], "val"), *evaluated_checkpoints([other], "val")])))
    marked = [row for row in table(page, "Settings").rows() if row[0].endswith("•")]
    assert marked == [["Seed •", "0", "5"]]


def test_scores_on_the_floor_carry_a_warning_with_the_likely_cause(run: Run) -> None:
    store_milestone(run, 6, guess_background)
    page = read(render(gather(evaluated_checkpoints([run], "val"))))
    warnings = [each.text for each in page.all("p") if each.attributes.get("class") == "warning"]
    assert [text for text in warnings if text.startswith("6 epochs: the mean IoU of")]
    assert "6 epochs: it predicts background everywhere, which is what the floor is." in warnings


def test_a_long_training_is_told_in_part_and_says_so(content: Content) -> None:
    log = content.runs[0].log
    log.epochs[:] = [replace(log.epochs[0], epoch=number, miou=0.2) for number in range(1, 121)]
    log.epochs[66] = replace(log.epochs[66], miou=0.9)
    epochs = table(page := read(render(content)), "first, epoch by epoch")
    shown = [row[0] for row in epochs.rows()[1:]]
    assert len(shown) == 41
    assert "67" in shown, "the best"
    assert shown[-1] == "120"
    assert "Every 3th" not in page.text
    assert "One epoch in 3" in page.text


# --- what people write ----------------------------------------------------------------------------------------------


def test_markup_in_names_and_notes_is_text(make_run: MakeRun, tmp_path: Path) -> None:
    """Class names, folders, photos and notes come from elsewhere, and a report is opened by others."""
    names = ["background", *(f"{MARKUP} {k} \"quoted\" & 'single'" for k in range(1, 21))]
    data = write_voc(tmp_path / "a <b>&amp; folder" / "VOC2012", num_train=2, num_val=NUM_VAL)
    (data / "classes.txt").write_text("".join(f"{name}\n" for name in names))
    for folder, suffix in (("JPEGImages", ".jpg"), ("SegmentationClass", ".png")):
        (data / folder / f"photo_2{suffix}").rename(data / folder / f"<i>photo&{suffix}")
    lists = data / "ImageSets" / "Segmentation" / "val.txt"
    lists.write_text(lists.read_text().replace("photo_2\n", "<i>photo&\n"))
    run = set_note(make_run(class_names=tuple(names), data=data), MARKUP)
    (run.path / "about.json").write_text(json.dumps({"schema": 1, "name": MARKUP, "note": MARKUP}))
    for language in LANGUAGES:
        page = read(render(gather(evaluated_checkpoints([replace(run, name=MARKUP)], "val")), language))
        assert not {"script", "b", "i"} & {element.name for element in page.all()}
        assert page.all("h1")[0].text == MARKUP
        assert MARKUP in page.with_id("training").text
        assert f"{data}" in page.with_id("data").text
        shown = table(page, Words(language)("classes scores caption")).values()
        assert set(shown) == {Words(language).class_name("background"), names[8], names[12]}
    assert any(names[8] in picture.attributes["alt"] for picture in page.all("img"))
    assert "&lt;script&gt;" in render(gather(evaluated_checkpoints([run], "val")))


def test_the_two_guesses_differ(content: Content) -> None:
    """The tests above need checkpoints that score differently."""
    assert rough is not fine
    assert content.checkpoints[0].scores.miou != content.checkpoints[1].scores.miou
