"""The command that segments photos: masks, overlays and what else is asked for, at the photos' own sizes."""

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from core.data.images import write_mask
from core.model.architectures import MOBILENET, build_model
from core.model.weights import starter
from core.model.weights.starter import sample_photos
from core.voc import CLASS_NAMES, VOID
from tests.small_data import draw_pair
from tests.small_models import ship_stand_in
from tests.unit.commands.calls import Command, files_under


def test_a_model_on_offer_is_listed_and_segments_by_its_name(core: Command, tmp_path: Path) -> None:
    document = core("models", "--json").document()
    assert [model["name"] for model in document["models"]] == [
        "coco-voc-mobilenet", "coco-voc-resnet50", "coco-voc-resnet101",
    ]  # fmt: skip
    assert not any(model["is_downloaded"] for model in document["models"])
    file = Path(document["models"][0]["file"])
    file.parent.mkdir(parents=True, exist_ok=True)
    torch.save(build_model(MOBILENET, 21, output_stride=16, has_aux_head=True).state_dict(), file)
    assert str(file) in core("models", "--download", "coco-voc-mobilenet").out
    draw_pair(0, (48, 40))[0].save(tmp_path / "photo.png")
    ended = core(
        "segment", tmp_path / "photo.png", "--checkpoint", "coco-voc-mobilenet", "--out", tmp_path / "out", "--json"
    )
    assert ended.document()["photos"][0]["size"] == [48, 40]
    assert ended.err == "", "nothing about it had to be assumed"


def test_the_starter_opens_by_its_name_in_every_command_that_takes_a_checkpoint(
    core: Command, checkpoint: Path, tiny_voc: Path, tmp_path: Path
) -> None:
    """Nothing is written beside it: it lies in the project, which would no longer be as it was cloned."""
    missing = core("inspect", "starter").sentence()
    assert "starter model" in missing
    ship_stand_in()
    before = files_under(starter.FOLDER)
    photo, data = sample_photos()[0].file, ("--data", tiny_voc)
    assert core("inspect", "starter", "--json").document()["meta"]["image_size"] == 64
    segmented = core("segment", photo, "--checkpoint", "starter", "--out", tmp_path / "out", "--json")
    assert (segmented.document()["photos"][0]["size"], segmented.err) == ([451, 300], "")
    export = ("export", "starter", "--format", "state-dict", "--out", tmp_path / "weights.pt")
    assert core(*export).code == 0
    assert "exists already" in core(*export, "--int8", tmp_path / "missing").sentence(), "before photos are read"
    evaluated = core("evaluate", "starter", *data, "--json")
    assert (evaluated.document()["checkpoint"], evaluated.err) == ("starter", "")
    compared = core("compare", checkpoint, "starter", *data, "--json").document()
    assert compared["b"]["miou"] == evaluated.document()["miou"]
    assert "starter comes with Atrous" in core("models").out
    assert files_under(starter.FOLDER) == before


def test_the_starter_on_data_with_classes_that_it_does_not_know_says_so(
    core: Command, tiny_voc: Path, places: dict[str, str]
) -> None:
    ship_stand_in()
    for file in (tiny_voc / "SegmentationClass").iterdir():
        mask_HW = np.array(Image.open(file))
        write_mask(file, np.where(mask_HW == CLASS_NAMES.index("cat"), CLASS_NAMES.index("bus"), mask_HW))
    said = core("evaluate", "starter", "--data", tiny_voc).err
    assert "starter knows cats, dogs, horses, cows, sheep and people alone; these masks also hold bus" in said
    other = core("evaluate", "starter", "--data", places["two_classes"]).sentence()
    assert "evaluate it on data with its own classes" in other


def test_segment_writes_masks_and_overlays_at_the_photos_own_sizes(
    core: Command, checkpoint: Path, tmp_path: Path
) -> None:
    photos = []
    for number, size in enumerate([(48, 40), (31, 97)]):
        photos.append(tmp_path / f"photo_{number}.png")
        draw_pair(number, size)[0].save(photos[-1])
    document = core("segment", *photos, "--checkpoint", checkpoint, "--out", tmp_path / "out", "--json").document()
    assert [photo["size"] for photo in document["photos"]] == [[48, 40], [31, 97]]
    for photo in document["photos"]:
        assert set(photo) == {"file", "size", "mask", "overlay", "classes", "seconds"}
        assert sum(entry["share"] for entry in photo["classes"]) == pytest.approx(1)
        for kind, mode in (("mask", "P"), ("overlay", "RGB")):
            with Image.open(photo[kind]) as image:
                assert (image.mode, list(image.size)) == (mode, photo["size"])


def test_photos_of_one_name_get_files_of_their_own(core: Command, checkpoint: Path, tmp_path: Path) -> None:
    """a-3.png, a.png and b/a.png: the third was called a-3 as well, and its mask replaced that of the first."""
    photos = [tmp_path / name for name in ("a-3.png", "a.png", "b/a.png", "c/a.png", "a-2.png")]
    for number, photo in enumerate(photos):
        photo.parent.mkdir(exist_ok=True)
        draw_pair(number, (32 + number, 32))[0].save(photo)
    document = core("segment", *photos, "--checkpoint", checkpoint, "--out", tmp_path / "out", "--json").document()
    masks = [Path(photo["mask"]) for photo in document["photos"]]
    assert len(set(masks)) == 5
    for photo, mask in zip(document["photos"], masks, strict=True):
        with Image.open(mask) as image:
            assert list(image.size) == photo["size"]


def test_segment_writes_what_else_is_asked_for(core: Command, checkpoint: Path, tmp_path: Path) -> None:
    photos = [tmp_path / "a" / "cat.png", tmp_path / "b" / "cat.png"]
    for number, photo in enumerate(photos):
        photo.parent.mkdir()
        draw_pair(number, (150, 90))[0].save(photo)
    out, archive = tmp_path / "out", tmp_path / "all.zip"
    ended = core(
        "segment", *photos, "--checkpoint", checkpoint, "--out", out, "--json", "--flip", "--scales", "1,1.25",
        "--tiles", 70, "--abstain", 0.01, "--cutouts", "--polygons", "--csv", "--zip", archive, "--palette", "safe",
    )  # fmt: skip
    document = ended.document()
    assert set(document) == {"photos", "polygons", "csv", "zip"}
    written = {Path(document["polygons"]), Path(document["csv"])}
    for photo in document["photos"]:
        assert photo["passes"] == 4 * 3 * 2
        written |= {Path(photo["mask"]), Path(photo["overlay"]), *map(Path, photo["cutouts"])}
        assert len(photo["cutouts"]) == sum(entry["id"] not in (0, VOID) for entry in photo["classes"])
    assert {path.name for path in written} >= {"cat_mask.png", "cat-2_mask.png", "objects.json", "classes.csv"}
    assert {out / path for path in files_under(out)} == written
    with zipfile.ZipFile(archive) as opened:
        assert {name: opened.read(name) for name in opened.namelist()} == {f.name: f.read_bytes() for f in written}
    objects = json.loads(Path(document["polygons"]).read_text())
    assert [image["file_name"] for image in objects["images"]] == ["cat.png", "cat.png"]
    lines = Path(document["csv"]).read_text().splitlines()
    assert len(lines) == 1 + sum(len(photo["classes"]) for photo in document["photos"])

    said = core("segment", photos[0], "--checkpoint", checkpoint, "--out", tmp_path / "again", "--cutouts")
    assert said.code == 0
    assert "cat_overlay.png" in said.out
    once_more = core("segment", photos[0], "--checkpoint", checkpoint, "--out", tmp_path / "again", "--csv")
    assert "nothing is overwritten" in once_more.sentence()


def test_a_model_that_is_never_sure_enough_leaves_void(core: Command, checkpoint: Path, tmp_path: Path) -> None:
    draw_pair(0)[0].save(tmp_path / "photo.png")
    arguments = ("segment", tmp_path / "photo.png", "--checkpoint", checkpoint, "--out", tmp_path / "out")
    (photo,) = core(*arguments, "--abstain", 1, "--json").document()["photos"]
    assert [entry["name"] for entry in photo["classes"]] == ["void"]
    with Image.open(photo["mask"]) as mask:
        assert (np.asarray(mask) == VOID).all()


def test_a_temperature_changes_confidence_and_neither_masks_nor_what_is_abstained_from(
    core: Command, checkpoint: Path, tmp_path: Path
) -> None:
    """A threshold that `trust` prints is of the model's own confidence, so it holds with a temperature too."""
    draw_pair(0)[0].save(tmp_path / "photo.png")
    arguments = ("segment", tmp_path / "photo.png", "--checkpoint", checkpoint, "--abstain", 0.1, "--json", "--out")
    own, warm = (core(*arguments, tmp_path / name, *more).document() for name, more in (
        ("own", ()), ("warm", ("--temperature", 2)),
    ))  # fmt: skip
    assert (warm.pop("temperature"), own.get("temperature")) == (2, None)
    assert (tmp_path / "own" / "photo_mask.png").read_bytes() == (tmp_path / "warm" / "photo_mask.png").read_bytes()
    before, after = ({c["name"]: c["mean_confidence"] for c in each["photos"][0]["classes"]} for each in (own, warm))
    assert all(after[name] < before[name] for name in before if name != "void")
    assert "python -m core trust" in core(*arguments, tmp_path / "none", "--temperature", "auto").sentence()
    assert "above 0" in core(*arguments, tmp_path / "none", "--temperature", 0).sentence()
    assert "one pass" in core(*arguments, tmp_path / "none", "--temperature", 2, "--flip").sentence()
    assert not (tmp_path / "none").exists()


def test_what_is_decided_about_a_photo_is_said_beside_the_document(
    core: Command, checkpoint: Path, tmp_path: Path
) -> None:
    Image.new("RGBA", (30, 20), (200, 0, 0, 0)).save(tmp_path / "cut.png")
    ended = core("segment", tmp_path / "cut.png", "--checkpoint", checkpoint, "--out", tmp_path / "out", "--json")
    assert ended.document()["photos"]
    assert "cut.png: What is transparent in it is laid on white." in ended.err
