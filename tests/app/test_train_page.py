"""The Train page: a new run, a live one, one that is over, one that broke."""

import base64
import io
import itertools
import json
import shutil
import time
from pathlib import Path
from urllib.parse import parse_qs

import numpy as np
import pytest
from PIL import Image, ImageSequence
from streamlit.testing.v1 import AppTest

from core import jobs
from core.data.images import write_mask
from core.model import device_verdict
from core.model.device_verdict import Verdict
from core.training.run import folders
from core.training.run.folders import Run
from core.training.run.records import Checkpoint, RunEnded, Validating, Warned
from core.training.settings.config import TrainingConfig
from core.training.settings.presets import preset
from tests.app.conftest import (
    CAT,
    MakeRun,
    Visit,
    append,
    button,
    epoch_record,
    links,
    make_pairs,
    started,
    texts,
    write_records,
)
from tests.app.stored import guess_half, store_milestone


def alts(app: AppTest) -> list[str]:
    """Return the alt text of every image."""
    return [image.proto.imgs[0].alt for image in app.get("image")]


def test_nothing_yet_shows_every_setting(visit: Visit) -> None:
    app = visit("train")
    assert not app.exception
    inputs = [*app.number_input, *app.selectbox, *app.toggle]
    keys = {each.key.partition(".")[2] for each in inputs if each.key}
    assert keys == set(TrainingConfig().as_dict())
    assert all("`" in each.help for each in inputs if each.key), (
        "each says what it means and its name on the command line"
    )
    assert button(app, "Start training")


def test_start_makes_a_run_with_what_was_asked(visit: Visit, demo_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.training.demo_run.make_data", lambda _on_progress: demo_data)
    started: list[Run] = []
    monkeypatch.setattr(folders, "start", started.append)
    app = visit("train", run="new", preset="Demo")
    app.number_input(key="demo.epochs").set_value(7)
    app.text_input(key="demo.name").set_value("my try").run()
    button(app, "Start training").click().run()
    assert not app.exception
    assert [(run.name, run.config.epochs, run.preset, run.data) for run in started] == [
        ("my try", 7, "demo", str(demo_data))
    ]
    assert app.query_params["run"] == started[0].path.name
    assert "Made, but never started" in texts(app) or "never started" in texts(app)


def test_a_setting_that_does_not_fit_another_is_set_right_and_said(visit: Visit, demo_data: Path) -> None:
    """MobileNet was an error in red until the stride, hidden among more settings, was changed too."""
    app = visit("train", preset="The report's recipe")
    place = _place_of_more_settings(app)
    app.selectbox(key="report.architecture").set_value("deeplabv3_mobilenet_v3_large").run()
    assert not app.exception
    assert not app.error
    assert _place_of_more_settings(app) == place, "where it moves, the browser closes it"
    assert app.selectbox(key="report.output_stride").value == 16
    said = "Output stride is 8, but deeplabv3_mobilenet_v3_large has 16 only: Output stride is now 16."
    assert said in [info.value for info in app.info]
    assert not button(app, "Start training").disabled
    assert app.number_input(key="report.epochs").proto.default == preset("report").epochs, (
        "an emptied box returns to it"
    )
    app.number_input(key="report.batch_size").set_value(4).run()
    assert said not in [info.value for info in app.info]
    assert app.selectbox(key="report.architecture").value == "deeplabv3_mobilenet_v3_large"


def _place_of_more_settings(app: AppTest) -> list[int]:
    """Return the place in the page of each expander."""
    return [place for place, block in app.main.children.items() if block.type == "expander"]


def test_what_was_chosen_last_stays_where_the_others_can_follow(visit: Visit, demo_data: Path) -> None:
    app = visit("train", preset="The report's recipe")
    app.selectbox(key="report.init").set_value("starter").run()
    assert app.selectbox(key="report.architecture").value == "deeplabv3_efficientnet_lite0"
    app.selectbox(key="report.architecture").set_value("deeplabv3_resnet50").run()
    assert app.selectbox(key="report.init").value == "auto"
    app.toggle(key="report.store_features").set_value(True).run()
    assert app.selectbox(key="report.freeze").value == "backbone"
    app.number_input(key="report.aux_weight").set_value(0.4).run()
    assert not app.toggle(key="report.store_features").value
    assert not app.error
    assert not app.exception


def test_own_photos_start_from_installed_weights_and_random_ones_are_a_warning(visit: Visit, tmp_path: Path) -> None:
    """A folder of one's own began with the student's recipe: random weights, 36 minutes an epoch."""
    app = visit("train", source="A folder", data=str(make_pairs(tmp_path / "own")))
    assert app.selectbox(key="own-photos.architecture").value == "deeplabv3_efficientnet_lite0"
    assert "Starts from ImageNet weights, which are on this machine." in texts(app)
    assert not app.warning
    app.selectbox(key="own-photos.init").set_value("random").run()
    assert "needs thousands of photos" in app.warning[0].value


def test_a_new_run_says_what_a_trial_found_out_about_the_gpu(visit: Visit, demo_data: Path) -> None:
    said = "Imagined GPU is not used, and the CPU is: in a trial, a training step takes 2 s there and 1 s without it"
    device_verdict.store(Verdict(device="Imagined GPU", is_used=False, sentence=said, created_s=time.time()))
    app = visit("train")
    assert f"When a GPU was last tried here ({time.strftime('%Y-%m-%d')}): {said}." in texts(app)
    app.selectbox(key="demo.device").set_value("cpu").run()
    assert said not in texts(app)


def test_a_bad_name_and_missing_data_leave_no_folder(visit: Visit, home: Path, demo_data: Path) -> None:
    app = visit("train", source="A folder", data=str(home / "nowhere"))
    assert "There is no folder" in app.error[0].value
    assert button(app, "Start training").disabled, "it was offered, and failed once it was pressed"
    assert folders.list_runs() == []


def test_a_live_run_can_be_watched_and_stopped(visit: Visit, make_run: MakeRun, demo_data: Path) -> None:
    run = make_run("nightly")
    write_records(run, 1, extra_steps=2)
    with jobs.hold(run.path):
        app = visit("train")
        said = texts(app)
        assert "1 of 3 epochs · about 32 s left" in said
        assert "Latest mIoU" not in said, "the latest epoch is the best"
        assert "Latest pixel accuracy: 75.0 % (+5.0 points)" in said
        assert "Photos per second: 12.5" in said
        keys = [chart.proto.id.split("-")[-1] for chart in app.get("plotly_chart")]
        assert keys == ["loss"], "one epoch and two classes are numbers"
        assert "background: 80.0 %" in said
        assert "--set epochs=3" not in said, "what is closed is not drawn: it kept the browser from showing numbers"
        for name in ("Learning rate and speed", "Log and the command"):
            app.session_state[name] = True
        app.run()
        assert "--set epochs=3" in texts(app)
        keys = [chart.proto.id.split("-")[-1] for chart in app.get("plotly_chart")]
        assert keys == ["loss", "learning rate", "throughput"]
        button(app, "Stop").click().run()
        assert jobs.is_stop_requested(run.path)
        assert "Asked to stop" in texts(app)
    assert not app.exception


def test_a_run_that_validates_says_so(visit: Visit, make_run: MakeRun, demo_data: Path) -> None:
    run = make_run()
    write_records(run, 1, extra_steps=4)
    append(run, Validating(epoch=2, image=1, images=2))
    with jobs.hold(run.path):
        assert "Validating after epoch 2: photo 1 of 2" in texts(visit("train"))


def test_a_trainer_that_tells_nothing_yet(visit: Visit, make_run: MakeRun) -> None:
    with jobs.hold(make_run().path):
        app = visit("train")
    assert not app.exception
    assert "Getting ready" in texts(app)


def test_a_finished_run_can_be_extended(
    visit: Visit, make_run: MakeRun, demo_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run()
    write_records(run, 3, ended="finished")
    asked: list[int] = []
    monkeypatch.setattr(folders, "start", lambda _run, *, extend_to: asked.append(extend_to))
    app = visit("train", run=run.path.name)
    assert "Best mIoU, epoch 3: 30.0 % (+26.5 points)" in texts(app)
    assert "Finished" in texts(app)
    app.session_state["Checkpoints"] = True
    app.run()
    assert app.dataframe[0].value.iloc[0].tolist() == ["last.pt", "3", "30.0 %", "158 MB", "reopened, same answer"]
    keys = [chart.proto.id.split("-")[-1] for chart in app.get("plotly_chart")]
    assert keys[:3] == ["loss", "miou", "growth"]
    app.number_input[0].set_value(5)
    button(app, "Extend").click().run()
    assert asked == [5]
    assert not app.exception


def test_a_run_that_is_over_leads_to_compare_segment_and_the_report(
    visit: Visit, make_run: MakeRun, demo_data: Path
) -> None:
    """It ended in numbers: where to go from there was left to the sidebar, and which checkpoints to the memory."""
    run = make_run()
    write_records(run, 3, ended="finished")
    for epoch in (1, 3):
        (run.path / f"epoch_{epoch:03d}.pt").write_bytes(b"not a checkpoint")
    assert not visit("train", run=run.path.name).get("download_button"), "nothing is evaluated yet"
    for epoch in (1, 3):
        store_milestone(run, epoch, guess_half)
    app = visit("train", run=run.path.name)
    assert not app.exception
    found = {label: parse_qs(link.partition("?")[2])["checkpoint"] for label, link in links(app).items()
             if "checkpoint" in link}  # fmt: skip
    first, third = (f"{run.path.name}/epoch_{epoch:03d}.pt" for epoch in (1, 3))
    assert found == {"**Compare 1 with 3**": [first, third], "Segment a photo": [third]}
    assert "Save the report" in [each.proto.label for each in app.get("download_button")]
    assert {"Title", "Author", "Course", "Date"} <= {each.label for each in app.text_input}, "as on Compare"
    assert "Extend" in {each.label for each in app.button}
    val = next(demo_data.rglob("val.txt"))
    val.write_text("\n".join(val.read_text().splitlines()[1:]) + "\n")
    app.checkbox(key="report trust").check().run()
    assert len(app.error) == 1, "val has changed since"
    assert {"Extend", "Delete the run"} <= {each.label for each in app.button}, "the rest of the page stays"


def test_a_run_with_one_checkpoint_or_none_leads_where_it_can(visit: Visit, make_run: MakeRun, demo_data: Path) -> None:
    run = make_run()
    assert _leading_on(visit("train", run=run.path.name)) == []
    write_records(run, 3, ended="finished")
    assert _leading_on(visit("train", run=run.path.name)) == ["**Scores and photos**", "Segment a photo"]


def test_a_run_that_ended_in_its_first_epoch_leads_nowhere_and_says_why(
    visit: Visit, make_run: MakeRun, demo_data: Path
) -> None:
    run = make_run()
    write_records(run, 0)
    (run.path / "last.pt").write_bytes(b"not a checkpoint")
    ended = RunEnded(outcome="stopped", reason="", epochs_done=0, best_epoch=None, best_miou=None)
    append(run, Checkpoint(file="last.pt", epoch=0, verified=True, size_bytes=1, step_in_epoch=2), ended)
    app = visit("train", run=run.path.name)
    assert not app.exception
    assert _leading_on(app) == []
    assert "It ended within its first epoch, so nothing is scored" in texts(app)


def _leading_on(app: AppTest) -> list[str]:
    return [label for label, link in links(app).items() if "checkpoint=" in link]


def test_every_setting_of_a_run_is_in_a_table_with_its_preset_beside(
    visit: Visit, make_run: MakeRun, demo_data: Path
) -> None:
    run = make_run(learning_rate=0.01)
    app = visit("train", run=run.path.name)
    table = app.table[0].value
    assert len(table) == len(TrainingConfig().as_dict())
    differing = table[table["Preset Demo"] != "same"]
    assert differing.to_dict("index") == {
        "Epochs": {"Value": "**3**", "Preset Demo": "10"},
        "Learning rate": {"Value": "**0.01**", "Preset Demo": "0.001"},
    }
    assert table.loc["Random flip", "Value"] == "yes"
    append(run, started(run, epochs_done=3, config=run.config.as_dict() | {"epochs": 50}))
    app.session_state["Log and the command"] = True
    app.run()
    assert app.table[0].value.loc["Epochs", "Value"] == "**50**"
    made, extended = next(code.value for code in app.code if "--new" in code.value).splitlines()
    assert "--set epochs=3" in made
    assert extended == "python -m core train checkpoints/RUN --extend 50"


def test_a_run_that_ends_near_the_floor_says_why_and_what_helps(
    visit: Visit, make_run: MakeRun, demo_data: Path
) -> None:
    run = make_run()
    write_records(run, 0)
    append(run, epoch_record(1, 0.05), RunEnded(outcome="finished", reason="", epochs_done=1, best_epoch=1,
                                               best_miou=0.05))  # fmt: skip
    app = visit("train", run=run.path.name)
    (said,) = (warning.value for warning in app.warning)
    assert button(app, "Extend").proto.type == "primary", "as advised"
    assert "Set up a new run on this data" not in texts(app)
    assert said.startswith("The mIoU of 5.0 % is 1.5 points above the floor of 3.5 %")
    assert said.endswith("**Why:** it was trained for 4 steps only. **What to do:** extend the run.")


def test_a_checkpoint_of_mid_epoch_has_no_score_of_the_epoch_before(
    visit: Visit, make_run: MakeRun, demo_data: Path
) -> None:
    """Stopped in epoch 3, last.pt was shown with epoch 2 and its mIoU, which are of other weights."""
    run = make_run()
    write_records(run, 2, ended="stopped", extra_steps=2)
    app = visit("train", run=run.path.name)
    app.session_state["Checkpoints"] = True
    row = app.run().dataframe[0].value.iloc[0].tolist()
    assert row == ["last.pt", "in epoch 3", "not evaluated", "158 MB", "reopened, same answer"]


@pytest.mark.parametrize(("done", "proposed"), [(5_000, 10_000), (5_001, 10_000), (9_999, 10_000), (10_000, None)])
def test_what_is_proposed_to_extend_to_can_be_asked_for(
    visit: Visit, make_run: MakeRun, demo_data: Path, done: int, proposed: int | None
) -> None:
    """After 5,001 epochs twice as many were proposed, more than the form took: the page raised."""
    run = make_run(epochs=done)
    write_records(run, 3, ended="finished")
    app = visit("train", run=run.path.name)
    assert not app.exception
    assert [entry.value for entry in app.number_input] == ([proposed] if proposed else [])
    assert ("10,000 epochs that a run can have" in texts(app)) == (proposed is None)


@pytest.mark.parametrize("ended", ["finished", "stopped"])
def test_a_run_without_its_last_pt_says_what_can_be_done(
    visit: Visit, make_run: MakeRun, demo_data: Path, ended: str
) -> None:
    """*Extend* was offered, and failed once it was pressed."""
    run = make_run()
    write_records(run, 3, ended=ended)
    (run.path / "last.pt").rename(run.path / "epoch_003.pt")
    app = visit("train", run=run.path.name)
    assert not app.exception
    assert "put a copy of it back or start a new run; epoch_003.pt can be compared and used as before." in texts(app)
    assert not {"Extend", "Resume"} & {each.label for each in app.button}


def test_samples_show_photo_truth_and_newest_mask(visit: Visit, make_run: MakeRun, demo_data: Path) -> None:
    run = make_run()
    write_records(run, 2, ended="finished")
    for epoch in (1, 2):
        folder = run.path / "samples" / f"epoch_{epoch:03d}"
        folder.mkdir(parents=True)
        write_mask(folder / "photo_4.png", np.full((30, 40), CAT, dtype=np.uint8))
    app = visit("train")
    assert not app.exception
    assert alts(app) == ["photo_4: the photo, its true mask, and the mask predicted after epoch 2"]
    legend = " ".join(str(html.proto.body) for html in app.get("html"))
    assert [name for name in ("background", "cat", "void", "dog") if name in legend] == ["background", "cat", "void"]
    app.select_slider[0].set_value(run.path / "samples" / "epoch_001").run()
    assert alts(app)[0].endswith("predicted after epoch 1")


def test_samples_of_data_that_is_gone_are_explained(visit: Visit, make_run: MakeRun) -> None:
    run = make_run()
    write_records(run, 1, ended="finished")
    (run.path / "samples" / "epoch_001").mkdir(parents=True)
    app = visit("train")
    assert not app.exception
    assert app.error[0].value.startswith("The photos of this run cannot be shown: There is no folder")


def test_a_crash_shows_what_the_trainer_printed(visit: Visit, make_run: MakeRun) -> None:
    run = make_run()
    write_records(run, 1)
    (run.path / "trainer.log").write_text("Killed by the kernel: out of memory")
    app = visit("train")
    assert "ended without a record of its end" in app.error[0].value
    assert "out of memory" in texts(app)
    assert button(app, "Resume")


def test_a_failure_says_its_reason_and_bad_lines_are_told(visit: Visit, make_run: MakeRun) -> None:
    run = make_run()
    run.log_path.write_text("{torn\n")
    append(run, Warned(message="The data has changed."))
    write_records(run, 1, ended="failed")
    app = visit("train")
    assert not app.exception
    assert app.error[0].value == "The run failed: failed on purpose"
    assert app.warning[0].value == "The data has changed."
    assert "1 line of log.jsonl cannot be read" in app.warning[1].value


def test_a_start_that_fails_is_one_sentence(visit: Visit, make_run: MakeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    def _refuse(run: Run, **options: object) -> None:
        raise folders.RunError("first is being trained; wait for it or stop it first.")

    make_run()
    monkeypatch.setattr(folders, "start", _refuse)
    app = visit("train")
    button(app, "Start").click().run()
    assert not app.exception
    assert [error.value for error in app.error] == ["first is being trained; wait for it or stop it first."]


def test_a_run_that_is_not_there_is_said(visit: Visit) -> None:
    app = visit("train", run="2020-01-01_0000_gone")
    assert "There is no run 2020-01-01_0000_gone" in app.warning[0].value
    assert button(app, "Start training")


def test_background_everywhere_is_said_in_words(visit: Visit, make_run: MakeRun, demo_data: Path) -> None:
    run = make_run()
    write_records(run, 1)
    for number in (2, 3, 4):
        append(run, epoch_record(number, 0.03, iou=[0.7, *[None] * 7, 0.0, *[None] * 12]))
    with jobs.hold(run.path):
        app = visit("train")
    assert any("background" in warning.value and "3 epochs" in warning.value for warning in [*app.warning, *app.info])


def test_a_bug_is_not_dressed_up_as_an_error_message(visit: Visit, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a CoreError becomes a sentence; everything else must be seen as what it is."""

    def _break() -> list[Run]:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(folders, "list_runs", _break)
    app = visit("train")
    assert len(app.exception) == 1
    assert not app.error


def test_another_run_can_be_laid_beside(visit: Visit, make_run: MakeRun, demo_data: Path) -> None:
    for name in ("first", "second"):
        write_records(make_run(name), 3, ended="finished")
    app = visit("train")
    app.multiselect(key="beside").set_value(["first"]).run()
    assert not app.exception
    charts = {chart.proto.id.split("-")[-1]: chart.proto.spec for chart in app.get("plotly_chart")}
    miou = json.loads(charts["miou"])
    assert {"first", "second"} <= {trace.get("name") for trace in miou["data"]}


def test_the_samples_can_be_played_as_a_film(visit: Visit, make_run: MakeRun, demo_data: Path) -> None:
    """The film never played: Streamlit turns the bytes of an animated WebP into a JPEG of its first picture."""
    run = make_run()
    write_records(run, 4, ended="finished")
    for epoch in (1, 2, 3, 4):
        folder = run.path / "samples" / f"epoch_{epoch:03d}"
        folder.mkdir(parents=True)
        write_mask(folder / "photo_4.png", np.full((30, 40), CAT if epoch > 1 else 0, dtype=np.uint8))
        if epoch != 2:
            shutil.copy(folder / "photo_4.png", folder / "photo_5.png")
    app = visit("train")
    app.toggle(key="film").set_value(True).run()
    assert not app.exception
    image, other = (each.proto.imgs[0] for each in app.get("image"))
    kind, sent = image.url.split(";base64,")
    assert kind == "data:image/webp"
    with Image.open(io.BytesIO(base64.b64decode(other.url.split(",")[1]))) as film:
        assert film.n_frames == 3, "a film with more pictures than the one beside it runs out of step"
    with Image.open(io.BytesIO(base64.b64decode(sent))) as film:
        assert (film.n_frames, film.info["loop"]) == (3, 0)
        frames_HWC = [np.asarray(frame.convert("RGB")).astype(int) for frame in ImageSequence.Iterator(film)]
        bands_hWC = [frame_HWC[-30:] for frame_HWC in frames_HWC]
    assert all(np.abs(a - b).max() > 100 for a, b in itertools.pairwise(bands_hWC)), "each says which epoch it is"
    first, last = (f"epoch {epoch} \N{MIDDLE DOT} {100 * epoch_record(epoch).miou:.1f} %" for epoch in (1, 4))
    assert image.alt.endswith(f"epoch by epoch, from {first} to {last}")
