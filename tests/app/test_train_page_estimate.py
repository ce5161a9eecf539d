"""How long a training takes, on the Train page: measured on request, and beside what it takes."""

import time
from pathlib import Path
from typing import Any

import pytest

from core import jobs
from core.data.analysis import files_key
from core.files import write_json
from core.model.device_verdict import machine_key
from core.training.estimate import stored_estimates
from core.training.estimate.stored_estimates import Alternative, Estimate
from core.training.settings.presets import preset
from tests.app.conftest import MakeRun, Visit, button, texts, write_records


def estimate_for(data: Path, **changes: Any) -> Estimate:
    """Return an estimate for the demo preset on some data, as its job would leave it."""
    return Estimate(
        seconds_per_image=0.05, seconds_per_step=0.8, seconds_per_epoch=10.0, total_seconds=120.0,
        preparation_seconds=1.0, preflight_seconds=4.0, features_seconds=0.0, train_seconds=8.0, validation_seconds=2.0,
        last_validation_seconds=4.0, checkpoint_seconds=2.0, num_checkpoints=3, epochs=10, batch_size=16,
        steps_per_epoch=10, num_train_images=160, num_val_images=40, peak_memory_bytes=2_000_000_000, precision="bf16",
        is_extrapolated=False, device="a CPU (2 threads)", left_out=("fp32 arithmetic",), measuring_seconds=20.0,
        not_faster=("Output stride 16",),
        alternatives=(Alternative(label="Frozen backbone", changes={"freeze": "backbone"}, seconds_per_epoch=3.0,
                                  total_seconds=40.0, ratio=0.33, gives_up="Nearly everything.",
                                  is_extrapolated=False),),
        created_s=time.time(), data=str(data), files_key=files_key(data), settings=preset("demo").as_dict(),
        machine=machine_key(), others_share=0.0, **changes,
    )  # fmt: skip


def test_how_long_it_takes_is_measured_on_request(
    visit: Visit, demo_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    launched: list[list[str]] = []
    monkeypatch.setattr(jobs, "launch", lambda arguments, _path: launched.append(arguments))
    app = visit("train", run="new")
    button(app, "How long will it take?").click().run()
    assert not app.exception
    assert launched[0][:5] == ["estimate", "--data", str(demo_data), "--preset", "demo"]


def test_while_a_run_trains_the_form_stays_and_says_why_nothing_is_timed(
    visit: Visit, make_run: MakeRun, demo_data: Path
) -> None:
    """*How long will it take?* took the name and *Start* from the form, because something was training."""
    run = make_run("nightly")
    with jobs.hold(run.path):
        app = visit("train", run="new")
        assert not app.exception
        assert button(app, "How long will it take?").disabled
        assert "nightly is training: timed beside it, both would run at half their speed." in texts(app)
        assert app.text_input(key="demo.name")
        assert button(app, "Start training")


def test_an_estimate_and_what_would_take_less(visit: Visit, demo_data: Path) -> None:
    folder = stored_estimates.estimate_job_dir(demo_data, preset("demo"))
    folder.mkdir(parents=True)
    write_json(folder / stored_estimates.FILE, estimate_for(demo_data).as_dict())
    app = visit("train", run="new")
    assert not app.exception
    said = texts(app)
    assert "About 2 min for 10 epochs" in said
    assert "10 steps of 0.8 s" in said
    assert "Not timed, for lack of time or memory: fp32 arithmetic." in said
    assert "Timed, and not faster here: Output stride 16." in said
    assert "**Frozen backbone** · 40 s, 0.33 times as long" in said
    assert "Gives up: Nearly everything." in said
    assert app.selectbox(key="demo.freeze").value == "none"
    button(app, "Use this").click().run()
    assert not app.exception
    assert app.selectbox(key="demo.freeze").value == "backbone"
    assert button(app, "How long will it take?"), "these settings are not timed yet"
    assert app.number_input(key="demo.image_size").value == preset("demo").image_size


def test_what_was_estimated_stays_beside_what_it_takes(visit: Visit, make_run: MakeRun, demo_data: Path) -> None:
    run = make_run()
    write_records(run, 3, ended="finished")
    write_json(run.path / stored_estimates.FILE, estimate_for(demo_data).as_dict())
    assert "Estimated 2 min in all; at the pace of the 3 epochs done" in texts(visit("train"))
