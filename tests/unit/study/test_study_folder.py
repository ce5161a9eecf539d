"""A study on the disk: which runs are its trainings, and how far each is."""

import json
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from core import jobs
from core.data.dataset import open_dataset
from core.errors import ConfigError, DataError, RunError
from core.home import studies_dir
from core.study.findings import find
from core.study.folder import create_study, is_working, list_studies, open_study
from core.study.plan import make_plan
from core.training.run.log import RunLog
from core.training.run.records import RunEnded, to_line
from tests.small_data import replace_quietly, with_last_bit_flipped, write_voc
from tests.unit.study.trained import begin, fail, finish, study_of


def states_of(study: object) -> list[str]:
    return [each.state for each in study.cells()]  # type: ignore[attr-defined]


def test_a_study_is_a_folder_that_opens_by_its_name(tiny_voc: Path) -> None:
    study = study_of(tiny_voc, vary=["epochs=1,2"], seeds=2)
    assert study.path == studies_dir() / "first"
    assert (open_study("first"), open_study(study.path), list_studies()) == (study, study, [study])
    assert states_of(study) == ["missing"] * 4
    for bad, said in (("none", "has no study none; there is first"), ("../first", "cannot name"), ("", "cannot name")):
        with pytest.raises(RunError, match=said):
            open_study(bad)
    (study.path / "study.json").write_text("{")
    with pytest.raises(RunError, match="cannot be read"):
        open_study("first")
    assert list_studies() == [], "a damaged study hides no other"


def test_every_photo_of_train_and_val_is_in_val_of_one_fold(tmp_path: Path) -> None:
    root = write_voc(tmp_path / "data", num_train=8, num_val=3)
    (root / "ImageSets" / "Segmentation" / "test.txt").write_text("photo_10\n")
    (root / "ImageSets" / "Segmentation" / "val.txt").write_text("photo_8\nphoto_9\n")
    study = study_of(root, folds=4, seeds=1)
    folds = [open_dataset(study.data(fold)) for fold in (1, 2, 3, 4)]
    vals = [[sample.name for sample in fold.split("val")] for fold in folds]
    assert Counter(name for val in vals for name in val) == {f"photo_{number}": 1 for number in range(10)}
    assert sorted(map(len, vals)) == [2, 2, 3, 3]
    for fold, val in zip(folds, vals, strict=True):
        train = {sample.name for sample in fold.split("train")}
        assert train == {f"photo_{number}" for number in range(10)} - set(val)
    again = study_of(root, "second", folds=4, seeds=1)
    assert [open_dataset(again.data(fold)).splits for fold in (1, 2, 3, 4)] == [fold.splits for fold in folds]


def test_the_state_of_each_training_follows_from_its_run(tiny_voc: Path) -> None:
    study = study_of(tiny_voc, vary=["epochs=1,2"], seeds=3)
    cells = study.plan.cells()
    finish(study, cells[0])
    fail(study, cells[1], "no memory")
    (begin(study, cells[2]).path / "lock").touch()
    unscored = finish(study, cells[3])
    shutil.rmtree(unscored.eval_dir)
    held = begin(study, cells[4])
    with jobs.hold(held.path):
        assert states_of(study) == ["done", "failed", "interrupted", "unscored", "training", "missing"]
        assert not is_working(study)
    with jobs.hold(study.path):
        assert is_working(study)
    done = study.cells()[0]
    assert (done.evaluation.epoch, done.run.config.seed) == (1, 0)  # type: ignore[union-attr]


def test_a_log_is_read_again_only_after_a_change(tiny_voc: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each rerun of a page read the logs of all runs, those of a study with folds twice."""
    study = study_of(tiny_voc, folds=2, seeds=1)
    first, second = study.plan.cells()
    finish(study, first)
    began, read = begin(study, second), list[Path]()
    original = RunLog.read_new
    monkeypatch.setattr(RunLog, "read_new", lambda log: read.append(log.path) or original(log))  # type: ignore[func-returns-value]
    for _ in range(3):
        assert [state.state for state in find(study).states] == ["done", "interrupted"]
    assert Counter(read) == {run.log_path: 1 for run in study.runs()}
    with began.log_path.open("a") as log:
        log.write(to_line(RunEnded(outcome="failed", reason="", epochs_done=0, best_epoch=None, best_miou=None)) + "\n")
    assert states_of(study) == ["done", "failed"]
    assert read[2:] == [began.log_path]


def test_a_run_is_known_by_its_settings_and_fold_whatever_its_folder(tiny_voc: Path, tmp_path: Path) -> None:
    """Runs may be trained on another machine, whose home is elsewhere, and copied here."""
    study = study_of(tiny_voc, vary=["epochs=1,2"], seeds=1, folds=2)
    run = finish(study, study.plan.cells()[2])
    file = run.path / "config.json"
    config = json.loads(file.read_text())
    config["data"] = f"C:\\atrous\\studies\\first\\{study.data(2).relative_to(study.path)}".replace("/", "\\")
    config["settings"] |= {"num_workers": 3, "checkpoint_seconds": 9.0}
    file.write_text(json.dumps(config))
    run.path.rename(study.runs_dir / "any")
    assert states_of(study) == ["missing", "missing", "done", "missing"]
    shutil.rmtree(study.runs_dir / "any")
    assert states_of(study) == ["missing"] * 4, "deleted by hand"


def test_runs_on_photos_that_have_changed_are_not_counted(tmp_path: Path) -> None:
    """A run that did not train on the changed photo, and is not scored on it, stays valid."""
    root = write_voc(tmp_path / "data", num_train=8, num_val=2)
    study = study_of(root, seeds=3, fractions=[0.25])
    for cell in study.plan.cells():
        finish(study, cell)
    assert states_of(study) == ["done"] * 3
    assert study.changed_data(study.cells()) is None
    trained_on = [{sample.name for sample in _train(root, seed)} for seed in range(3)]  # two photos each
    changed = next(iter(trained_on[0] - trained_on[1]))
    file = root / "SegmentationClass" / f"{changed}.png"
    replace_quietly(file, with_last_bit_flipped(file))
    assert states_of(study) == ["invalid" if changed in names else "done" for names in trained_on]
    assert states_of(study)[:2] == ["invalid", "done"]
    assert "have changed since first was planned" in str(study.changed_data(study.cells()))
    finish(study, study.plan.cells()[0])
    assert states_of(study)[0] == "done", "trained again on the photos of now"
    val = root / "JPEGImages" / "photo_9.jpg"
    replace_quietly(val, with_last_bit_flipped(val))
    assert states_of(study) == ["invalid"] * 3


def test_a_copied_study_is_a_study_of_its_own(tiny_voc: Path) -> None:
    """More seeds for the copy went to the first."""
    first = study_of(tiny_voc, seeds=1)
    shutil.copytree(first.path, first.path.with_name("copy"))
    copy = open_study("copy")
    assert (copy.name, copy.plan.name) == ("copy", "copy")
    create_study(replace(copy.plan, seeds=(0, 1)), copy.path.parent)
    assert [len(open_study(name).plan.seeds) for name in ("first", "copy")] == [1, 2]
    assert {each.name for each in list_studies()} == {"first", "copy"}


def test_runs_of_another_number_of_classes_are_not_counted(tiny_voc: Path) -> None:
    """Their confusion counts have other shapes: a class was added to classes.txt between two runs."""
    study = study_of(tiny_voc, seeds=2)
    finish(study, study.plan.cells()[0])
    names = open_dataset(tiny_voc).class_names
    (tiny_voc / "classes.txt").write_text("\n".join([*names, "unicorn"]))
    finish(study, study.plan.cells()[1])
    assert states_of(study) == ["invalid", "done"]
    assert "The classes of" in str(study.changed_data(study.cells()))


def test_photos_that_became_a_test_split_end_a_study_whose_folds_hold_them(tmp_path: Path) -> None:
    """Else its models would train on photos of the test split, without a record of an opening."""
    root = write_voc(tmp_path / "data", num_train=8, num_val=2)
    lists = root / "ImageSets" / "Segmentation"
    (lists / "test.txt").write_text((lists / "val.txt").read_text())  # as some data sets list them twice
    study = study_of(root, seeds=1, folds=2)
    in_folds = {sample.name for part in ("train", "val") for sample in open_dataset(study.data(1)).split(part)}
    assert in_folds == {f"photo_{number}" for number in range(8)}, "without the two of test"
    (lists / "test.txt").write_text("photo_9\nphoto_3\n")
    with pytest.raises(DataError, match=r"1 photo of the folds of first, such as photo_3"):
        study.cells()


@pytest.mark.parametrize(
    "damage",
    [
        {"created_s": "x"}, {"created_s": 1e20}, {"folds": "3"}, {"folds": -1}, {"folds": True}, {"fractions": []},
        {"fractions": [2]}, {"seeds": []}, {"seeds": ["a"]}, {"data": 5}, {"data": "here"}, {"fingerprint": None},
        {"vary": []}, {"settings": 3},
    ],
)  # fmt: skip
def test_a_damaged_plan_is_said_and_hides_no_other_study(tiny_voc: Path, damage: dict[str, object]) -> None:
    whole, damaged = study_of(tiny_voc, "whole"), study_of(tiny_voc, "damaged")
    file = damaged.path / "study.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | damage))
    assert list_studies() == [whole]
    with pytest.raises(RunError, match=r"study\.json cannot be read"):
        open_study("damaged")


def _train(root: Path, seed: int) -> tuple[object, ...]:
    from core.data.seeding import fraction_of

    return fraction_of(open_dataset(root).split("train"), 0.25, seed)


def test_a_photo_of_a_fold_that_is_gone_is_named(tiny_voc: Path) -> None:
    study = study_of(tiny_voc, seeds=1, folds=2)
    (tiny_voc / "JPEGImages" / "photo_3.jpg").unlink()
    with pytest.raises(DataError, match="lists photo_3"):
        study.cells()


def test_a_study_of_the_same_plan_goes_on_and_may_get_more_seeds(tiny_voc: Path) -> None:
    study = study_of(tiny_voc, vary=["epochs=1,2"], seeds=2)
    finish(study, study.plan.cells()[0])
    assert study_of(tiny_voc, vary=["epochs=1,2"], seeds=2) == study
    more = study_of(tiny_voc, vary=["epochs=1,2"], seeds=3)
    assert states_of(more) == ["done", *["missing"] * 5]
    assert open_study("first") == more
    for asked, said in (
        ({"vary": ["epochs=1,2"], "seeds": 2}, "other seeds"),
        ({"vary": ["epochs=1,3"], "seeds": 3}, "other vary"),
        ({"vary": ["epochs=1,2"], "seeds": 3, "folds": 2}, "other folds"),
        ({"vary": ["epochs=1,2"], "seeds": 3, "changes": {"image_size": 64}}, "other settings"),
    ):
        with pytest.raises(ConfigError, match=said):
            study_of(tiny_voc, **asked)


def test_a_study_of_a_split_view_has_folds_of_its_data(tiny_voc: Path, tmp_path: Path) -> None:
    from core.data.split_view import write_view

    view = write_view(tmp_path / "view", tiny_voc, {"train": ["photo_0", "photo_1"], "val": ["photo_2"]})
    study = create_study(make_plan("of-view", open_dataset(view), preset_name="report", changes={}, seeds=1, folds=3))
    names = {sample.name for fold in (1, 2, 3) for sample in open_dataset(study.data(fold)).split("val")}
    assert names == {"photo_0", "photo_1", "photo_2"}
