"""What the Dataset page finds and mends: faults, splits, and classes without a name."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.data.analysis import analyse
from core.data.dataset import open_dataset
from core.data.images import read_mask, write_mask
from core.data.repair.label_decisions import pair_keys, region_of
from core.data.repair.repaired_copy import repair
from core.home import demo_dir
from core.review.label_errors import Suspicion
from core.review.label_review import Review, store
from core.training.run.folders import create_run
from core.training.settings.config import TrainingConfig
from tests.app.conftest import MakeRun, Visit, button, make_pairs, texts

# --- findings and repair --------------------------------------------------------------------------------------------


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """A folder whose list names a photo that is not there, and with a mask that is torn."""
    root = make_pairs(tmp_path / "mine")
    (root / "SegmentationClass" / "photo_1.png").write_bytes(b"torn")
    (root / "JPEGImages" / "photo_0.jpg").unlink()
    analyse(root)
    return root


def test_a_folder_that_cannot_be_opened_still_shows_what_is_wrong(visit: Visit, broken: Path) -> None:
    app = visit("dataset", source="A folder", data=str(broken), look="Splits")
    assert not app.exception
    assert "its photo is missing" in app.error[0].value
    headings = [each.value for each in app.subheader]
    assert headings[:2] == ["A repaired copy", "What the doctor found"], "first the way out, whatever the address names"
    table = app.dataframe[0].value
    assert sorted(table["Kind"]) == ["few validation photos", "missing photo", "unnamed classes", "unreadable mask"]
    files = [
        "ImageSets/Segmentation/val.txt",
        "JPEGImages/photo_0.jpg",
        "SegmentationClass/photo_0.png",
        "SegmentationClass/photo_1.png",
    ]
    assert sorted(table["File"]) == files
    assert app.get("download_button")[0].proto.label == "Findings as CSV"


def test_findings_by_kind(visit: Visit, broken: Path) -> None:
    for name in ("photo_2", "photo_3"):
        write_mask(broken / "SegmentationClass" / f"{name}.png", np.full((30, 40), 9, dtype=np.uint8))
    analyse(broken)
    app = visit("dataset", source="A folder", data=str(broken), look="Findings")
    app.button_group(key="kinds").set_value(["missing photo"]).run()
    assert list(app.dataframe[0].value["Kind"]) == ["missing photo"]
    app.button_group(key="kinds").set_value(["class missing in val"]).run()
    assert "(doctor DIR --repair OUT --split-anew)" in app.dataframe[0].value.iloc[0, -1], "a cell is not Markdown"


def test_clean_data_says_so(visit: Visit, home: Path) -> None:
    demo_data = make_pairs(demo_dir(), num_val=10)
    shades = np.random.default_rng(0).integers(0, 256, (14, 6, 8, 3), dtype=np.uint8)
    for number, shade in enumerate(shades):  # photos that do not look alike
        photo = Image.fromarray(shade).resize((40, 30), Image.Resampling.NEAREST)
        photo.save(demo_data / "JPEGImages" / f"photo_{number}.jpg")
    analyse(demo_data)
    app = visit("dataset", look="Findings")
    assert app.success[0].value == "14 photos and 14 masks read: nothing is wrong with them."


def test_a_copy_that_would_mend_nothing_is_not_recommended(visit: Visit, tmp_path: Path) -> None:
    """Its button was the one in colour, whatever the findings were."""
    root = make_pairs(tmp_path / "mine")
    analyse(root)
    app = visit("dataset", source="A folder", data=str(root), look="Findings")
    assert "split anew" not in texts(app), "it has lists"
    assert any("few validation photos" in frame.value.to_string() for frame in app.dataframe)
    assert (app.button[-1].label, app.button[-1].proto.type) == ("Make a repaired copy", "secondary")
    assert "It would mend none of these findings" in texts(app)


def test_the_repair_button_makes_a_copy(visit: Visit, broken: Path, tmp_path: Path, launched: list[list[str]]) -> None:
    app = visit("dataset", source="A folder", data=str(broken), look="Findings")
    app.text_input(key=f"repair {broken}").set_value(str(tmp_path / "copy")).run()
    assert app.button[-1].proto.type == "primary"
    app.button[-1].click().run()
    assert not app.exception
    assert launched[0][:4] == ["doctor", str(broken), "--repair", str(tmp_path / "copy")]
    repair(broken, tmp_path / "copy")
    app.run()
    assert not app.exception
    assert app.query_params["data"] == str(tmp_path / "copy"), "the page goes to the copy"
    assert app.expander[0].label.startswith("A repaired copy: set aside (2)"), "and says what was done"
    again = visit("dataset", source="A folder", data=str(broken))
    assert again.text_input(key=f"repair {broken}").value.endswith("mine-repaired"), (
        "errors open the findings, a name is proposed"
    )
    again.text_input(key=f"repair {broken}").set_value(str(tmp_path / "copy")).run()
    assert "There is a copy" in again.success[0].value


# --- splits and classes ---------------------------------------------------------------------------------------------


@pytest.fixture
def unlisted(tmp_path: Path) -> Path:
    """Pairs without lists, whose masks have greys instead of a palette."""
    root = make_pairs(tmp_path / "mine", num_train=8)
    shutil.rmtree(root / "ImageSets")
    for mask in (root / "SegmentationClass").iterdir():
        ids_HW = np.array(Image.open(mask))
        Image.fromarray(np.where(ids_HW == 8, 2, 0).astype(np.uint8), mode="L").save(mask)
    analyse(root)
    return root


def test_random_and_stratified_are_compared_and_the_lists_written(
    visit: Visit, unlisted: Path, launched: list[list[str]]
) -> None:
    assert "the pairs are split anew" in texts(visit("dataset", source="A folder", data=str(unlisted), look="Findings"))
    app = visit("dataset", source="A folder", data=str(unlisted), look="Splits")
    assert not app.exception
    assert not app.get("plotly_chart"), "shares of a single class are no chart"
    assert "random 80/20" in texts(app)
    assert "Furthest from a fifth, in points, among classes with five photos or more: random " in texts(app)
    next(button for button in app.button if "stratified" in button.label).click().run()
    assert not app.exception
    lists = sorted(file.name for file in (unlisted / "ImageSets" / "Segmentation").iterdir())
    assert lists == ["train.txt", "val.txt"]


def test_lists_that_are_there_are_replaced_once_that_is_confirmed_and_kept_beside(
    visit: Visit, tmp_path: Path, launched: list[list[str]]
) -> None:
    """Lists that once were written could not be written anew: the button was gone."""
    root = make_pairs(tmp_path / "mine", num_train=8)
    lists = root / "ImageSets" / "Segmentation"
    (lists / "train_more.txt").write_text((lists / "train.txt").read_text())
    (lists / "note.md").write_text("mine")
    before = {file.name: file.read_bytes() for file in lists.iterdir()}
    analyse(root)
    app = visit("dataset", source="A folder", data=str(root), look="Splits")
    button = next(button for button in app.button if "stratified" in button.label)
    assert button.disabled
    app.checkbox(key="replace lists").check().run()
    next(button for button in app.button if "stratified" in button.label).click().run()
    assert not app.exception
    kept = {file.name: file.read_bytes() for file in (root / "ImageSets" / "Segmentation-before").iterdir()}
    assert kept == before
    now = {file.stem: set(file.read_text().split()) for file in lists.glob("*.txt")}
    assert (len(now["train"]), len(now["val"])) == (8, 2)
    assert now["train"] | now["val"] == {f"photo_{number}" for number in range(10)}
    assert not now["train_more"] & now["val"]
    assert (lists / "note.md").read_text() == "mine"


def test_classes_that_nothing_names_can_be_named(visit: Visit, unlisted: Path, launched: list[list[str]]) -> None:
    app = visit("dataset", source="A folder", data=str(unlisted), look="Content")
    assert "only numbers" in app.expander[0].label
    next(button for button in app.button if button.label == "Name the classes").click().run()
    assert not app.exception
    written = (unlisted / "classes.txt").read_text().splitlines()
    assert [line.rpartition(" ")[0] for line in written] == ["background", "class 1", "class 2"]
    analyse(unlisted)
    app.run()
    assert app.expander[0].label == "Class names and colours", "they have names now"


def test_names_can_be_changed_and_those_before_are_kept(
    visit: Visit, unlisted: Path, launched: list[list[str]]
) -> None:
    (unlisted / "classes.txt").write_text("ground\nweed\nleaf #00ff00\n")
    analyse(unlisted)
    app = visit("dataset", source="A folder", data=str(unlisted), look="Content")
    app.toggle(key=f"change classes of {unlisted}").set_value(True).run()
    button(app, "Name the classes").click().run()
    assert not app.exception
    assert (unlisted / "classes-before.txt").read_text() == "ground\nweed\nleaf #00ff00\n"
    assert (unlisted / "classes.txt").read_text().splitlines()[2] == "leaf #00ff00"


# --- labels -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def reviewed(tmp_path: Path) -> Path:
    """A folder in which a review doubts one cat, which may be a dog."""
    data = open_dataset(make_pairs(tmp_path / "mine"))
    analyse(data.root)
    sample = data.split("val")[0]
    names = (data.class_names[8], data.class_names[12])
    region = region_of(sample.name, pair_keys([sample])[sample.name], names, read_mask(sample.mask, 21) == 8)
    review = Review(("run/epoch_010.pt",), ("4 photos left out.",), (Suspicion(region, 0.7, 570),), {"photo_4": 0.3})
    store(data.root, review)
    return data.root


def test_a_doubted_label_is_decided_and_the_decision_survives_a_reload(visit: Visit, reviewed: Path) -> None:
    before = (reviewed / "SegmentationClass" / "photo_4.png").read_bytes()
    app = visit("dataset", source="A folder", data=str(reviewed), look="Findings", about="Labels")
    assert not app.exception
    assert "1 to decide" in texts(app)
    alts = [picture.alt for image in app.get("image") for picture in image.proto.imgs]
    assert [alt.partition(",")[0] for alt in alts] == ["photo", "label: class 8", "suggestion: class 12"]
    button(app, "Take class 12").click().run()
    assert not app.exception
    assert "0 to decide" in texts(app)
    app = visit("dataset", source="A folder", data=str(reviewed), look="Findings", about="Labels")
    assert "0 to decide" in texts(app)
    app.segmented_control(key="regions").set_value("Decided").run()
    assert "the suggestion is taken" in texts(app)
    button(app, "Undo").click().run()
    assert "1 to decide" in texts(app)
    assert (reviewed / "SegmentationClass" / "photo_4.png").read_bytes() == before
    write_mask(reviewed / "SegmentationClass" / "photo_4.png", np.full((30, 40), 8, dtype=np.uint8))
    analyse(reviewed)
    app = visit("dataset", source="A folder", data=str(reviewed), look="Findings", about="Labels")
    assert "have changed since the review" in texts(app)
    assert not app.exception


def test_a_review_is_started_by_a_run(
    visit: Visit, reviewed: Path, make_run: MakeRun, launched: list[list[str]]
) -> None:
    app = visit("dataset", source="A folder", data=str(reviewed), look="Findings", about="Labels")
    assert "no trained model yet" in app.info[0].value
    run = make_run("mine")
    (run.path / "epoch_010.pt").touch()
    app = visit("dataset", source="A folder", data=str(reviewed), look="Findings", about="Labels")
    button(app, "Review again").click().run()
    assert launched[0][:4] == ["doctor", str(reviewed), "--labels", str(run.path)]


def test_models_of_this_data_come_first_and_others_are_said_to_be_of_other_data(
    visit: Visit, reviewed: Path, make_run: MakeRun, demo_data: Path
) -> None:
    of_scenes, own = make_run("scenes"), create_run("own", reviewed, "report", TrainingConfig())
    for run in (own, of_scenes):
        (run.path / "epoch_001.pt").touch()
    app = visit("dataset", source="A folder", data=str(reviewed), look="Findings", about="Labels")
    (reviewed_by,) = [box for box in app.selectbox if box.label == "Reviewed by"]
    assert reviewed_by.options == [
        f"Run {own.path.name}", f"Run {of_scenes.path.name}, trained on other data",
    ]  # fmt: skip
