"""Run folders: made once, never overwritten, and what a person does with them."""

import json
import shlex
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from core.errors import CoreError, RunError
from core.home import checkpoints_dir
from core.jobs import hold
from core.training.run import edits, evaluations, folders
from core.training.run.folders import Run, create_run, list_runs, open_run
from core.training.run.milestones import epoch_of, milestone, sample_folders
from core.training.settings.config import with_settings
from core.training.settings.presets import parse_settings, preset

# --- folders --------------------------------------------------------------------------------------------------------


def test_a_run_comes_back_as_it_was_asked_for(run: Run, tiny_voc: Path) -> None:
    assert run.path.parent == checkpoints_dir()
    assert run.path.name.endswith("_first_try")
    assert (run.name, run.preset, run.config) == ("first try", "demo", preset("demo"))
    assert run.data == str(tiny_voc.resolve())
    assert open_run(run.path) == run


def test_two_runs_of_one_name_in_one_minute_get_two_folders(run: Run, tiny_voc: Path) -> None:
    config = (run.path / "config.json").read_bytes()
    others = [create_run("first try", tiny_voc, "report", preset("report")) for _ in range(2)]
    assert len({run.path, *(other.path for other in others)}) == 3
    assert (run.path / "config.json").read_bytes() == config


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../x", "a/b", "a\\b", "/etc", ".hidden", "-rf", "a\nb", "a\0b", "é", "x" * 61, "a:b", " a"]
)
def test_a_name_that_is_no_plain_file_name_is_refused(name: str, tiny_voc: Path) -> None:
    with pytest.raises(RunError, match="cannot name a run"):
        create_run(name, tiny_voc, "demo", preset("demo"))
    assert not checkpoints_dir().exists()


def test_runs_are_listed_newest_first_and_broken_ones_told(run: Run, tiny_voc: Path) -> None:
    second = create_run("second", tiny_voc, "demo", preset("demo"))
    (checkpoints_dir() / "notes").mkdir()
    broken = checkpoints_dir() / "broken"
    broken.mkdir()
    (broken / "config.json").write_text("{")
    assert list_runs() == [second, run]
    _, sentences = folders.read_runs()
    assert len(sentences) == 1
    assert str(broken) in sentences[0]
    assert list_runs(checkpoints_dir() / "nowhere") == []


@pytest.mark.parametrize(
    "document",
    ["", "[]", "null", "{}", '{"schema": "x"}', b"\xff", {"schema": 99}, {"settings": {"epochs": 0}},
     {"settings": {"unknown": 1}}, {"settings": None}, {"created_s": "yesterday"}],
)  # fmt: skip
def test_a_config_that_cannot_be_read_is_one_sentence(run: Run, document: object) -> None:
    file = run.path / "config.json"
    if isinstance(document, dict):
        document = json.dumps(json.loads(file.read_text()) | document)
    file.write_bytes(document if isinstance(document, bytes) else str(document).encode())
    with pytest.raises(RunError) as caught:
        open_run(run.path)
    assert "\n" not in str(caught.value)
    assert str(run.path) in str(caught.value)


def test_what_is_no_run_folder_is_one_sentence(tmp_path: Path) -> None:
    """A file in place of the folder was a NotADirectoryError with a traceback."""
    (tmp_path / "file").write_text("x")
    for path in (tmp_path, tmp_path / "none", tmp_path / "file"):
        with pytest.raises(RunError, match="is not a run folder"):
            open_run(path)


def test_checkpoints_are_listed_milestones_first(run: Run) -> None:
    """From epoch 1,000 on they stood in the order of text, 1000, 200, 999: Compare and the report took B for A."""
    milestones = [milestone(run.path, epoch).name for epoch in (10, 50, 200, 999, 1000, 10_000)]
    for name in ("last.pt", *reversed(milestones), "best.pt", "notes.txt", ".last.pt.x.part"):
        (run.path / name).touch()
    assert [file.name for file in run.checkpoints()] == [*milestones, "best.pt", "last.pt"]
    assert milestones == [
        "epoch_010.pt", "epoch_050.pt", "epoch_200.pt", "epoch_999.pt", "epoch_1000.pt", "epoch_10000.pt"
    ]  # fmt: skip


def test_samples_are_in_the_order_of_their_epochs(run: Run) -> None:
    for name in ("epoch_1000", "epoch_200", "epoch_999", "notes"):
        (run.path / "samples" / name).mkdir(parents=True)
    assert [epoch_of(folder) for folder in sample_folders(run.path)] == [200, 999, 1000]


def test_the_command_shown_makes_the_same_run_again(run: Run) -> None:
    """It began from the defaults where `train --new` begins from a preset: the copy trained in fp32."""
    for made_with in (run.preset, "cpu-fast", "one that is gone"):
        words = shlex.split(folders.command(replace(run, preset=made_with)))
        assert words[:6] == ["python", "-m", "core", "train", "--new", "first try"]
        options = list(zip(words[4::2], words[5::2], strict=True))
        assignments = [value for option, value in options if option == "--set"]
        assert with_settings(preset(dict(options)["--preset"]), parse_settings(assignments)) == run.config


# --- what a person does with a folder -------------------------------------------------------------------------------


def test_a_run_is_renamed_and_its_config_and_folder_stay(run: Run) -> None:
    config = (run.path / "config.json").read_bytes()
    renamed = edits.rename(edits.set_note(run, "Übung: to 50\nepochs"), "second try")
    assert (renamed.name, renamed.note, renamed.path) == ("second try", "Übung: to 50\nepochs", run.path)
    assert open_run(run.path) == renamed == list_runs()[0]
    assert (run.path / "config.json").read_bytes() == config
    assert edits.set_note(renamed, "").name == "second try"
    with hold(run.path):
        assert edits.rename(run, "third").name == "third", "a live one too"


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "é", "x" * 61])
def test_a_run_is_renamed_to_plain_names_only(run: Run, name: str) -> None:
    with pytest.raises(RunError, match="cannot name a run"):
        edits.rename(run, name)
    assert open_run(run.path) == run


def test_a_note_has_an_end(run: Run) -> None:
    edits.set_note(run, "x" * edits.MAX_NOTE)
    with pytest.raises(RunError, match="shorten it to 10,000"):
        edits.set_note(run, "x" * (edits.MAX_NOTE + 1))


@pytest.mark.parametrize("text", ["", "{", "[]", '{"schema": 1}', '{"name": "x"}', b"\xff"])
def test_what_is_damaged_about_a_run_hides_no_run(run: Run, text: str | bytes) -> None:
    (run.path / "about.json").write_bytes(text if isinstance(text, bytes) else text.encode())
    assert open_run(run.path) == run


def test_a_run_is_deleted_with_all_that_is_in_it(run: Run, tiny_voc: Path) -> None:
    other = create_run("other", tiny_voc, "demo", preset("demo"))
    (run.path / "eval" / "val-1").mkdir(parents=True)
    (run.path / "eval" / "val-1" / "scores.json").touch()
    edits.delete(run)
    assert list(checkpoints_dir().iterdir()) == [other.path]
    with pytest.raises(RunError, match="is not a run folder"):
        open_run(run.path)


def test_a_run_that_is_worked_on_is_not_deleted(run: Run) -> None:
    with hold(run.path), pytest.raises(RunError, match="is being trained"):
        edits.delete(run)
    job = run.eval_dir / "job-val-best"
    job.mkdir(parents=True)
    with hold(job), pytest.raises(RunError, match="is being evaluated"):
        edits.delete(run)
    assert list_runs() == [run]


def test_what_an_interrupted_deletion_left_is_seen_by_nobody_and_swept(
    run: Run, tiny_voc: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = create_run("other", tiny_voc, "demo", preset("demo"))

    def interrupt(path: Path, **_: object) -> None:
        if path.exists():
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("shutil.rmtree", interrupt)
        with pytest.raises(KeyboardInterrupt):
            edits.delete(run)
    (left,) = (path for path in checkpoints_dir().iterdir() if path.name.startswith("."))
    assert (left / "config.json").exists()
    assert folders.read_runs()[1] == []
    assert list_runs() == [other]
    assert not left.exists()


def test_two_who_delete_a_run_both_succeed(run: Run) -> None:
    edits.delete(run)
    edits.delete(run)
    assert list_runs() == []


def test_a_run_that_is_deleted_while_it_is_listed_is_not_called_broken(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its folder was found, then deleted, then opened: "is not a run folder" stood on Home as a warning."""
    opened = folders.open_run

    def delete_first(path: Path) -> Run:
        shutil.rmtree(path)
        return opened(path)

    monkeypatch.setattr(folders, "open_run", delete_first)
    assert folders.read_runs() == ([], [])


def test_a_name_and_a_note_given_in_two_tabs_are_both_kept(run: Run) -> None:
    """Each wrote both, the other one's as it had seen it before: the later one took the earlier one's work."""
    edits.set_note(run, "from the first tab")
    edits.rename(run, "from the second")
    assert (open_run(run.path).name, open_run(run.path).note) == ("from the second", "from the first tab")


def test_a_run_that_is_gone_is_neither_edited_nor_evaluated_nor_started(run: Run) -> None:
    """Evaluating a run that another tab had deleted made its folder anew, without a config."""
    edits.delete(run)
    for act in (
        lambda: edits.rename(run, "second"),
        lambda: evaluations.start(run.eval_dir, run.path / "last.pt", run.data, "val"),
        lambda: folders.start(run),
    ):
        with pytest.raises(CoreError):
            act()
    assert not run.path.exists()
