"""The Label page: what to label, the row of photos, proposals, training, other tabs, history and classes."""

import json
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlencode

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from core import jobs
from core.classes import classes_of
from core.data.dataset import open_dataset
from core.data.images import read_mask
from core.data.labelling import (
    LabelSet,
    State,
    claim,
    findings,
    mark_done,
    new_label_set,
    open_label_set,
    read_label,
    remove_class,
    save_label,
)
from core.data.labelling.proposals import proposals_folder, write_proposal, write_ranking
from core.errors import DataError
from core.home import datasets_dir
from core.training.run import folders
from core.training.run.folders import Run, create_run, list_runs
from core.training.run.records import RunEnded
from core.training.settings.presets import few_photos
from tests.app.conftest import Visit, append, button, links, make_pairs, started, texts
from tests.small_data import draw_pair
from tests.small_models import ship_stand_in
from tests.unit.study.trained import begin, study_of
from ui import cached
from ui.label.canvas import CanvasEvent
from ui.label.editor import _take
from ui.label.label_data import _HANDED, UPLOAD, Handed
from ui.label.queue import SLICE
from ui.label.tab import TAB

SIZE = (48, 40)
MINE, OTHER = "a" * 32, "b" * 32


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder of five photos."""
    folder = tmp_path / "my pets"
    folder.mkdir()
    for number in range(5):
        draw_pair(number, SIZE)[0].save(folder / f"pet_{number}.jpg")
    return folder


@pytest.fixture
def launched(launched: list[list[str]], monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What would be started as a process of its own, trainers too."""
    monkeypatch.setattr(folders, "launch", jobs.launch)
    return launched


@pytest.fixture
def pets(photos: Path, home: Path) -> LabelSet:
    """A data set of these photos with two classes and nothing drawn."""
    made = new_label_set("pets", sorted(photos.iterdir()), classes_of(("background", "cat", "dog")), lambda *_: None)
    return open_label_set(made.root)


def draw(pets: LabelSet, name: str, class_id: int = 1, *, is_done: bool = True) -> None:
    """Draw a mask of one class."""
    mask_HW = np.full(SIZE[::-1], class_id, dtype=np.uint8)
    save_label(pets, name, mask_HW, base_version=read_label(pets, name).version)
    if is_done:
        mark_done(pets, name)


@pytest.fixture
def look(visit: Visit, pets: LabelSet) -> Callable[..., AppTest]:
    """Open the data set on Label."""

    def open_it(**query: str) -> AppTest:
        return visit("label", source="A folder", data=str(pets.root), **query)

    return open_it


def states(app: AppTest) -> list[str]:
    """Return the states that the page counts."""
    return list(app.get("button_group")[0].options)


# --- what to label --------------------------------------------------------------------------------------------------


def test_a_folder_of_photos_becomes_a_new_data_set(visit: Visit, photos: Path, home: Path) -> None:
    before = sorted(photos.iterdir())
    app = visit("label")
    assert not app.exception
    assert "Type a folder of photos" in texts(app)
    app.text_input(key="data").set_value(str(photos)).run()
    assert "**5 photos**" in texts(app)
    assert [each.alt for image in app.get("image") for each in image.proto.imgs] == [
        f"pet_{number}.jpg" for number in range(5)
    ], "before it asks"
    classes = app.text_input(key=f"classes of {photos}")
    assert (classes.value, button(app, "Start labelling").disabled) == ("object", False)
    classes.set_value(" , background").run()
    assert "Name at least one class, for instance cat, dog." in texts(app)
    assert button(app, "Start labelling").disabled
    app.text_input(key=f"classes of {photos}").set_value("cat, dog ,background").run()
    button(app, "Start labelling").click().run()
    assert not app.exception
    root = datasets_dir() / "my-pets"
    assert (app.query_params["source"], app.query_params["data"]) == ("A folder", str(root))
    assert open_label_set(root).classes.names == ("background", "cat", "dog")
    assert states(app) == ["All 5", "Unlabelled 5"]
    assert sorted(photos.iterdir()) == before
    button(app, "my-pets").click().run()
    assert not app.exception
    assert "Type a folder of photos" in texts(app), "the way back to the question"


def test_a_class_from_segment_whose_name_holds_a_comma_stays_one(visit: Visit, photos: Path) -> None:
    app = visit("label", source=UPLOAD)
    app.session_state[_HANDED] = Handed([("a.jpg", (photos / "pet_0.jpg").read_bytes())], ["light, red", "car"], "x.pt")
    assert not app.run().exception
    assert [box.value for box in app.text_input if box.key.startswith("classes of")] == ["light red, car"]


def test_uploads_become_a_new_data_set_and_a_file_that_is_no_photo_is_named(visit: Visit, photos: Path) -> None:
    app = visit("label", source="Upload photos")
    files = [(file.name, file.read_bytes(), "image/jpeg") for file in sorted(photos.iterdir())[:2]]
    app.file_uploader[0].set_value([*files, ("torn.jpg", b"no photo", "image/jpeg")]).run()
    assert "Cannot be read, and will be left out: torn.jpg." in texts(app)
    assert "more" not in [caption.value.rpartition(" ")[2] for caption in app.caption], "all three are shown or named"
    assert "3 photos that were here are gone" in texts(visit("label", **app.query_params)), "after a reload"
    key = next(box.key for box in app.text_input if box.key.startswith("classes of"))
    app.text_input(key=key).set_value("cat").run()
    button(app, "Start labelling").click().run()
    assert not app.exception
    assert states(app) == ["All 2", "Unlabelled 2"]
    assert "torn.jpg" in texts(app)
    assert "uploads" not in app.query_params


@pytest.mark.parametrize(("inside", "sentence"), [("", "photo"), ("notes.txt", "photo"), (None, "There is no")])
def test_a_folder_without_photos_is_a_sentence(visit: Visit, tmp_path: Path, inside: str | None, sentence: str) -> None:
    folder = tmp_path / "empty"
    if inside is not None:
        folder.mkdir()
    if inside:
        (folder / inside).write_text("nothing")
    app = visit("label", source="A folder", data=str(folder))
    assert not app.exception
    assert len(app.error) == 1
    assert sentence in app.error[0].value


def test_a_data_set_is_labelled_where_it_lies(visit: Visit, tmp_path: Path) -> None:
    root = make_pairs(tmp_path / "cats")
    app = visit("label", source="A folder", data=str(root), photo="photo_3")
    assert not app.exception
    assert states(app) == ["All 6", "Done 6"]
    assert "**photo_3**" in texts(app)
    assert not datasets_dir().exists()


# --- the row of photos ----------------------------------------------------------------------------------------------


def test_the_page_opens_what_is_to_be_done_and_filters(look: Callable[..., AppTest], pets: LabelSet) -> None:
    draw(pets, "pet_0")
    draw(pets, "pet_1", is_done=False)
    write_proposal(pets, "pet_3", np.ones(SIZE[::-1], np.uint8), {})
    app = look(order="as they lie")
    assert not app.exception
    assert states(app) == ["All 5", "Unlabelled 2", "Proposed 1", "Started 1", "Done 1"]
    assert app.query_params["photo"] == "pet_1"
    app = look(only="done")
    assert "**pet_0**" in texts(app)
    app = look(photo="pet_3")
    assert {"Accept", "Discard"} <= {each.label for each in app.button}


def test_an_order_by_a_model_says_its_reason(look: Callable[..., AppTest], pets: LabelSet) -> None:
    orders = next(group for group in look().get("button_group") if group.key == "order")
    assert orders.options == ["At random", "In file order"]
    write_proposal(pets, "pet_4", np.ones(SIZE[::-1], np.uint8), {})
    write_ranking(pets, "hash", [{"name": "pet_4", "score": 0.9, "reason": "unsure between cat and dog"}])
    app = look(order="unsure first")
    assert app.query_params["photo"] == "pet_4"
    assert "pet_4: unsure between cat and dog" in texts(app)


def test_of_many_photos_only_the_row_is_read(
    visit: Visit, tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With 2,000 photos the page reads those in sight alone."""
    root = tmp_path / "many"
    (root / "JPEGImages").mkdir(parents=True)
    draw_pair(0, SIZE)[0].save(root / "JPEGImages" / "0.jpg")
    data = (root / "JPEGImages" / "0.jpg").read_bytes()
    for number in range(1, 2000):
        (root / "JPEGImages" / f"{number}.jpg").write_bytes(data)
    made: list[Path] = []
    read = cached.read_photo
    monkeypatch.setattr(cached, "read_photo", lambda path, **how: (made.append(path), read(path, **how))[1])
    app = visit("label", source="A folder", data=str(root), photo="1000")
    assert not app.exception
    assert states(app) == ["All 2000", "Unlabelled 2000"]
    assert 0 < len(made) <= SLICE


# --- proposals ------------------------------------------------------------------------------------------------------


def test_a_proposal_is_accepted_or_discarded(look: Callable[..., AppTest], pets: LabelSet) -> None:
    for name in ("pet_0", "pet_1"):
        write_proposal(pets, name, np.full(SIZE[::-1], 2, np.uint8), {})
    app = look(photo="pet_0")
    assert not pets.masks(), "a proposal is nobody's mask"
    button(app, "Accept").click().run()
    assert not app.exception
    assert pets.states()["pet_0"] == State.STARTED
    assert (read_mask(pets.masks()["pet_0"], 3) == 2).all()
    app = look(photo="pet_1")
    button(app, "Discard").click().run()
    assert pets.states()["pet_1"] == State.UNLABELLED


def test_a_proposal_of_only_background_is_said_and_asked_about(look: Callable[..., AppTest], pets: LabelSet) -> None:
    """It looked like the bare photo, and key A made an empty mask of a photo full of dogs."""
    for name in ("pet_0", "pet_1"):
        write_proposal(pets, name, np.full(SIZE[::-1], name == "pet_1", np.uint8), {})
    assert "only background" not in texts(look(photo="pet_1"))
    app = look(photo="pet_0")
    assert "Proposal: only background" in texts(app)
    button(app, "Accept").click().run()
    assert not app.exception
    assert pets.states()["pet_0"] == State.PROPOSED, "asked, not accepted"
    assert button(app, "Yes, all of it").proto.shortcut == "y", "not A, pressed twice"
    button(app, "Yes, all of it").click().run()
    assert pets.states()["pet_0"] == State.STARTED
    assert not read_mask(pets.masks()["pet_0"], 3).any()


def test_the_starter_proposes_in_a_process_of_its_own(
    look: Callable[..., AppTest], pets: LabelSet, launched: list[list[str]]
) -> None:
    ship_stand_in()
    draw(pets, "pet_2")
    app = look()
    assert "Its objects become" not in [box.label for box in app.selectbox], "it knows cats and dogs by name"
    assert "Not classes of the data set, so background:" in texts(app), "what the starter also finds"
    button(app, "Propose").click().run()
    assert not app.exception
    arguments = launched[0]
    assert arguments[:4] == ["propose", str(pets.root), "--checkpoint", "starter"]
    assert sorted(each for each in arguments if each.startswith("--first=")) == [
        f"--first=pet_{number}" for number in (0, 1, 3, 4)
    ]


def test_a_failed_proposal_says_why(look: Callable[..., AppTest], pets: LabelSet) -> None:
    proposals_folder(pets.root).mkdir(parents=True)
    (proposals_folder(pets.root) / "progress.json").write_text(json.dumps({"error": "The checkpoint is torn."}))
    assert "The checkpoint is torn." in texts(look())


# --- training -------------------------------------------------------------------------------------------------------


def test_three_photos_are_trained_on(look: Callable[..., AppTest], pets: LabelSet, launched: list[list[str]]) -> None:
    draw(pets, "pet_0")
    draw(pets, "pet_1", 2)
    app = look()
    assert button(app, "Train on these").disabled
    draw(pets, "pet_2")
    app.run()
    button(app, "Train on these 3").click().run()
    assert not app.exception
    run = list_runs()[0]
    assert (run.name, run.data, launched[0][:1]) == ("pets 3 photos", str(pets.root), ["train"])
    assert {split: len(samples) for split, samples in open_dataset(pets.root).splits.items()} == {"train": 2, "val": 1}


def end(run: Run) -> None:
    """Write what a trainer leaves that has finished."""
    for name in ("best.pt", "epoch_001.pt"):
        (run.path / name).write_bytes(b"not a checkpoint")
    append(run, started(run), RunEnded(outcome="finished", reason="", epochs_done=1, best_epoch=1, best_miou=0.5))


def test_after_its_training_a_tab_proposes_and_another_one_offers_it(
    look: Callable[..., AppTest], pets: LabelSet, launched: list[list[str]]
) -> None:
    for name in ("pet_0", "pet_1", "pet_2"):
        draw(pets, name)
    app = look()
    button(app, "Train on these 3").click().run()
    run = list_runs()[0]
    end(run)
    other = look()
    assert not other.exception
    assert len(launched) == 1, "a tab that did not train starts nothing"
    assert other.selectbox(key="helper").value == f"{run.path.name}/epoch_001.pt", (
        "on few photos the best epoch is luck"
    )
    assert "Segment with it" in links(other)
    app.run()
    assert not app.exception
    assert launched[1][:4] == ["propose", str(pets.root), "--checkpoint", str(run.path / "epoch_001.pt")]
    app.run()
    assert len(launched) == 2, "once"


# --- other tabs, history, classes -----------------------------------------------------------------------------------


def test_done_makes_truth_only_of_what_this_tab_has(pets: LabelSet) -> None:
    """A key is not a disabled button: a proposal, or the draft of another tab, is not listed."""
    event = CanvasEvent("pet_0", "", "", None, "done")
    write_proposal(pets, "pet_0", np.full(SIZE[::-1], 2, dtype=np.uint8), {})
    with pytest.raises(DataError, match="accept or discard"):
        _take(pets.root, list(pets.photos), event)
    claim(pets, "pet_1", OTHER)
    with pytest.raises(DataError, match="another tab"):
        _take(pets.root, list(pets.photos), event._replace(name="pet_1"))
    assert set(open_label_set(pets.root).states().values()) == {State.PROPOSED, State.UNLABELLED}


def test_a_second_tab_is_warned_and_may_take_over(look: Callable[..., AppTest], pets: LabelSet) -> None:
    app = look(photo="pet_0")
    assert claim(pets, "pet_0", OTHER) is None
    app.session_state[TAB] = MINE
    app.run()
    assert not app.exception
    button(app, "Take over").click().run()
    assert "Take over" not in [each.label for each in app.button]
    assert claim(pets, "pet_0", OTHER) is not None, "it is this tab's now"


def test_an_earlier_mask_is_restored(look: Callable[..., AppTest], pets: LabelSet) -> None:
    draw(pets, "pet_0", 1)
    draw(pets, "pet_0", 2)
    app = look(photo="pet_0")
    draw(pets, "pet_0", 0)
    app.run()
    (earlier,) = [box for box in app.selectbox if box.label == "Earlier masks"]
    assert earlier.index == 0, "its picture was that of the mask before, while the browser named the newest"
    button(app, "Restore").click().run()
    assert not app.exception
    assert (read_mask(pets.masks()["pet_0"], 3) == 2).all()


def test_an_earlier_mask_of_a_class_that_is_gone_is_shown_and_restored(
    look: Callable[..., AppTest], pets: LabelSet
) -> None:
    """Its ids were read as those of today, and the error stood where the button was."""
    draw(pets, "pet_0", 2)
    draw(pets, "pet_0", 1)
    remove_class(pets, 2)
    app = look(photo="pet_0")
    assert not app.error
    button(app, "Restore").click().run()
    assert not app.exception
    assert not app.error
    assert (read_mask(pets.masks()["pet_0"], 2) == 0).all()


def test_the_doctor_s_line_names_the_masks_that_are_done_and_wrong(
    look: Callable[..., AppTest], pets: LabelSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(findings, "AT_ONCE", 2)
    for number, class_id in enumerate((1, 0, 255)):
        draw(pets, f"pet_{number}", class_id)
    draw(pets, "pet_3", 0, is_done=False)
    assert "Doctor, 2 of 3 masks that are done: pet_1: empty mask." in texts(look()).replace("\\_", "_")
    app = look()
    assert "Doctor, 3 masks that are done: pet_1: empty mask; pet_2: all void." in texts(app).replace("\\_", "_")
    draw(pets, "pet_1", 2)
    app = look()
    assert "Doctor, 3 masks that are done: pet_2: all void." in texts(app).replace("\\_", "_")
    assert not app.error
    (pets.photo_dir / "pet_0.jpg").unlink()
    assert "pet_0, but its photo is missing" in look(photo="pet_1").error[0].value, "the error at which Dataset stops"


def test_a_mask_that_cannot_be_read_is_set_aside(look: Callable[..., AppTest], pets: LabelSet) -> None:
    draw(pets, "pet_0")
    pets.masks()["pet_0"].write_bytes(b"torn")
    app = look(photo="pet_0")
    assert not app.exception
    assert "cannot be read" in app.error[0].value
    button(app, "Set its mask aside").click().run()
    assert not app.exception
    assert pets.states()["pet_0"] == State.UNLABELLED


def test_classes_are_added_renamed_recoloured_and_removed(look: Callable[..., AppTest], pets: LabelSet) -> None:
    draw(pets, "pet_0", 2)
    app = look()
    app.text_input(key="name of class 3").set_value("bird").run()
    button(app, "Add the class").click().run()
    assert open_label_set(pets.root).classes.names == ("background", "cat", "dog", "bird")
    app.selectbox(key="class to change").set_value(2).run()
    app.text_input(key="name of 2 dog").set_value("puppy").run()
    button(app, "Save").click().run()
    assert open_label_set(pets.root).classes.names[2] == "puppy"
    app.selectbox(key="pixels of 2").set_value(1).run()
    app.toggle(key="remove 2 puppy").set_value(True).run()
    assert "1,920 pixels in 1 mask become cat" in texts(app)
    training = create_run("pets", pets.root, "own-photos", few_photos(1, pets.classes.names))
    with jobs.hold(training.path):
        button(app, "Remove it").click().run()
    assert "pets is training on" in app.error[0].value
    assert len(open_label_set(pets.root).classes) == 4
    button(app, "Remove it").click().run()
    assert not app.exception
    assert open_label_set(pets.root).classes.names == ("background", "cat", "bird")
    assert (read_mask(pets.masks()["pet_0"], 3) == 1).all()


def test_no_class_is_removed_under_a_study(look: Callable[..., AppTest], pets: LabelSet) -> None:
    """Its runs train on split views of the data set, and were not seen; nor was a study between two of its runs."""
    for name in ("pet_0", "pet_1", "pet_2", "pet_3"):
        draw(pets, name, 2)
    study = study_of(pets.root, folds=2, seeds=1)
    in_study = begin(study, study.plan.cells()[0])
    of_view = create_run("by hand", study.data(2), "own-photos", few_photos(4, pets.classes.names))
    app = look()
    app.selectbox(key="class to change").set_value(2).run()
    app.toggle(key="remove 2 dog").set_value(True).run()
    for folder, name in ((study.path, study.name), (in_study.path, in_study.name), (of_view.path, of_view.name)):
        with jobs.hold(folder):
            button(app, "Remove it").click().run()
        assert f"{name} is training on" in app.error[0].value
        assert len(open_label_set(pets.root).classes) == 3
    button(app, "Remove it").click().run()
    assert not app.exception
    assert open_label_set(pets.root).classes.names == ("background", "cat")


@pytest.mark.parametrize("tool", ["cvat", "label-studio"])
def test_masks_are_exported_for_other_tools(
    look: Callable[..., AppTest], pets: LabelSet, home: Path, tool: str
) -> None:
    draw(pets, "pet_0")
    app = look()
    next(group for group in app.get("button_group") if group.key == "export for").set_value(tool).run()
    button(app, "Export").click().run()
    assert not app.exception
    assert f"pets-{tool}" in texts(app)
    assert len(list((home / "exports").iterdir())) == 1


# --- ways to it -----------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("launched")
def test_other_pages_lead_here(visit: Visit, photos: Path, pets: LabelSet, tmp_path: Path) -> None:
    assert "label?source=A+folder" in links(visit())["Label photos"]
    app = visit("dataset", source="A folder", data=str(photos))
    assert not app.error
    assert "holds photos without masks" in app.info[0].value
    assert "my+pets" in links(app)["Label these photos"]
    assert {"Segment a photo", "Import it as another tool's export"} <= links(app).keys()
    app = visit("dataset", source="A folder", data=str(pets.root))
    assert not app.exception
    assert not app.error
    assert "pets" in links(app)["Label these photos"]
    (tmp_path / "bare" / "JPEGImages").mkdir(parents=True)
    (tmp_path / "bare" / "SegmentationClass").mkdir()
    draw_pair(0)[0].save(tmp_path / "bare" / "JPEGImages" / "a.jpg")
    assert "bare" in links(visit("dataset", source="A folder", data=str(tmp_path / "bare")))["Label these photos"]
    root = make_pairs(tmp_path / "cats")
    large = visit("dataset", source="A folder", data=str(root), photo="photo_1")
    assert "photo=photo_1" in links(large)["Open in Label"]
    assert "Photos without masks: label them here" in links(visit("dataset", source="Bring data"))


def test_home_leads_back_to_what_is_being_labelled(visit: Visit, pets: LabelSet) -> None:
    """A set of photos without a run stood nowhere on Home: the next morning its path had to be remembered."""
    draw(pets, "pet_0")
    app = visit()
    assert not app.exception
    assert "**pets**: 1 of 5 photos done" in texts(app)
    assert links(app)["Go on labelling"].partition("?")[2] == urlencode({"source": "A folder", "data": pets.root})
