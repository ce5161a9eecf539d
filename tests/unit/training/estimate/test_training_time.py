"""What a training will take: measured on a tiny model, kept while it holds, and held against a run."""

import itertools
import json
import os
import time
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import pytest

from core.data.analysis import files_key
from core.data.dataset import open_dataset
from core.errors import DataError
from core.files import write_json
from core.model.device_verdict import machine_key
from core.training.estimate import stored_estimates, timing
from core.training.estimate import training_time as estimates
from core.training.estimate.stored_estimates import Alternative, Estimate, estimate_job_dir, find_estimate
from core.training.estimate.timing import Costs
from core.training.estimate.training_time import FASTER
from core.training.run.folders import create_run
from core.training.run.log import RunLog
from core.training.run.records import Epoch
from core.training.settings.config import with_settings
from tests.small_data import write_voc
from tests.unit.training.estimate.estimated import AT_ONCE, CPU, SMALL


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Estimate:
    """An estimate that was really measured."""
    root = write_voc(tmp_path_factory.mktemp("data") / "VOC2012")
    return estimates.estimate(open_dataset(root), SMALL, limits=AT_ONCE)


def stamps(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


# --- measuring ------------------------------------------------------------------------------------------------------


def test_the_total_is_the_sum_of_its_parts(found: Estimate) -> None:
    assert found.seconds_per_epoch == pytest.approx(found.train_seconds + found.validation_seconds)
    assert found.train_seconds == pytest.approx(found.steps_per_epoch * found.seconds_per_step)
    assert found.seconds_per_image == pytest.approx(found.seconds_per_step / 4)
    assert (found.steps_per_epoch, found.num_train_images, found.num_val_images, found.epochs) == (1, 4, 2, 3)
    assert found.total_seconds == pytest.approx(
        found.preparation_seconds
        + found.preflight_seconds
        + found.features_seconds
        + 3 * found.seconds_per_epoch
        + found.last_validation_seconds
        - found.validation_seconds
        + found.num_checkpoints * found.checkpoint_seconds
    )
    assert min(found.seconds_per_step, found.validation_seconds, found.checkpoint_seconds) > 0
    assert 0 <= found.others_share <= 1
    assert not found.is_extrapolated


def test_alternatives_are_held_against_the_chosen_settings(found: Estimate) -> None:
    """On a busy machine one was offered that took longer than the chosen settings."""
    labels = [each.label for each in found.alternatives]
    assert {"32 px instead of 64", "Head on stored features"} <= {*labels, *found.not_faster}
    assert not set(labels) & set(found.not_faster)
    assert found.left_out == ()
    for each in found.alternatives:
        assert each.ratio < FASTER
        assert each.ratio == pytest.approx(each.total_seconds / found.total_seconds)
        assert with_settings(SMALL, each.changes) != SMALL
        assert each.gives_up


def test_it_is_one_json_document_that_reads_back_the_same(found: Estimate) -> None:
    document = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    promised = "seconds_per_image seconds_per_epoch total_seconds device precision alternatives"
    assert set(promised.split()) <= set(document)
    of_each = "label changes seconds_per_epoch total_seconds ratio gives_up"
    assert set(of_each.split()) <= {declared.name for declared in fields(Alternative)}
    assert stored_estimates.from_dict(document) == found


def test_nothing_is_written_and_the_progress_is_told(tiny_voc: Path, home: Path) -> None:
    before, calls = stamps(home), []
    estimates.estimate(open_dataset(tiny_voc), SMALL, lambda *progress: calls.append(progress), limits=AT_ONCE)
    assert stamps(home) == before
    total = calls[-1][1]
    assert calls == [(0, 1), *((done, total) for done in range(1, total + 1))]


def test_a_learning_rate_that_would_run_away_spoils_no_estimate(tiny_voc: Path) -> None:
    config = replace(SMALL, learning_rate=10.0, optimizer="sgd", freeze="backbone")
    costs = timing.measure(config, open_dataset(tiny_voc), CPU, limits=replace(AT_ONCE, enough_s=0.5))
    assert costs.seconds_per_step > 0


def test_weights_that_are_not_here_are_not_needed_to_tell_the_time(tiny_voc: Path) -> None:
    config = replace(SMALL, init="imagenet", class_weighting="balanced")
    assert timing.measure(config, open_dataset(tiny_voc), CPU, limits=AT_ONCE).num_train_images == 4


def test_an_automatic_batch_size_is_told(tiny_voc: Path) -> None:
    costs = timing.measure(replace(SMALL, batch_size=0), open_dataset(tiny_voc), CPU, limits=AT_ONCE)
    assert costs.batch_size == 4, "all there are"


def test_a_single_photo_and_an_empty_split_are_one_sentence(tmp_path: Path, tiny_voc: Path) -> None:
    alone = write_voc(tmp_path / "alone" / "VOC2012", num_train=1, num_val=1)
    with pytest.raises(DataError, match=r"at least 2 photos, but there is 1; .*\.$"):
        estimates.estimate(open_dataset(alone), SMALL, limits=AT_ONCE)
    (tiny_voc / "ImageSets" / "Segmentation" / "val.txt").write_text("")
    with pytest.raises(DataError, match=r"split 'val' of .* is empty"):
        estimates.estimate(open_dataset(tiny_voc), SMALL, limits=AT_ONCE)


def test_when_the_time_is_over_the_rest_is_left_out(tiny_voc: Path) -> None:
    """A clock on which everything takes long: the chosen settings are measured all the same."""
    clock = itertools.count(step=100)
    dataset = open_dataset(tiny_voc)
    found = estimates.estimate(dataset, SMALL, limits=AT_ONCE, clock=lambda: float(next(clock)))
    assert found.alternatives == ()
    assert found.left_out[:2] == ("32 px instead of 64", "Head on stored features")


def test_what_takes_as_long_is_no_alternative(tiny_voc: Path) -> None:
    """A clock by which everything takes alike, as on a machine that is busy."""
    clock = itertools.count(step=0.01)
    found = estimates.estimate(open_dataset(tiny_voc), SMALL, limits=AT_ONCE, clock=lambda: float(next(clock)))
    assert [each.label for each in found.alternatives if each.ratio >= FASTER] == []
    assert "32 px instead of 64" in found.not_faster


# --- what is kept, and while it holds ---------------------------------------------------------------------------------


@pytest.fixture
def kept(tiny_voc: Path) -> Path:
    """The file of an estimate for `SMALL` on the tiny data, as the job leaves it."""
    costs = Costs(
        seconds_per_step=2.0, batch_size=4, num_train_images=4, num_val_images=2, is_extrapolated=False,
        validation_s=0.5, last_validation_s=1.0, checkpoint_s=1.0, features_s=0.0, peak_memory_bytes=None,
        precision="fp32",
    )  # fmt: skip
    found = Estimate(
        **asdict(estimates.parts_of(costs, SMALL, 1.0)),
        device="CPU",
        alternatives=(),
        left_out=(),
        measuring_seconds=9.0,
        others_share=0.0,
        created_s=time.time(),
        data=str(tiny_voc),
        files_key=files_key(tiny_voc),
        settings=SMALL.as_dict(),
        machine=machine_key(),
    )
    folder = estimate_job_dir(tiny_voc, SMALL)
    folder.mkdir(parents=True)
    write_json(folder / stored_estimates.FILE, found.as_dict())
    return folder / stored_estimates.FILE


def test_an_estimate_is_found_for_its_settings_and_data_alone(kept: Path, tiny_voc: Path, home: Path) -> None:
    found = find_estimate(tiny_voc, SMALL)
    assert found
    assert (found.seconds_per_epoch, found.last_validation_seconds) == (3.0, 2.0)
    assert find_estimate(tiny_voc, replace(SMALL, epochs=4)) is None
    assert find_estimate(write_voc(home / "other"), SMALL) is None


@pytest.mark.parametrize(
    "change",
    [
        {"machine": "another"}, {"schema": 0}, {"created_s": 0.0}, {"created_s": 1e12}, {"files_key": "other"},
        {"total_seconds": "long"}, {"total_seconds": -1.0}, {"alternatives": [{}]}, {"alternatives": None},
        {"surprise": 1},
    ],
    ids=str,
)  # fmt: skip
def test_an_estimate_that_no_longer_holds_or_is_damaged_is_none(kept: Path, tiny_voc: Path, change: Any) -> None:
    write_json(kept, json.loads(kept.read_text()) | change)
    assert find_estimate(tiny_voc, SMALL) is None


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"schema": 1}'])
def test_a_torn_estimate_is_none(kept: Path, tiny_voc: Path, text: str) -> None:
    kept.write_text(text)
    assert find_estimate(tiny_voc, SMALL) is None


def test_an_estimate_ends_with_its_data(kept: Path, tiny_voc: Path) -> None:
    photo = tiny_voc / "JPEGImages" / "photo_0.jpg"
    os.utime(photo, (1, 1))
    assert find_estimate(tiny_voc, SMALL) is None
    tiny_voc.rename(tiny_voc.with_name("gone"))
    assert find_estimate(tiny_voc, SMALL) is None


def test_a_run_keeps_the_estimate_it_was_started_with(kept: Path, tiny_voc: Path) -> None:
    run = create_run("first", tiny_voc, "report", SMALL)
    assert stored_estimates.estimate_of(run) is None, "as in runs from before there were estimates"
    assert stored_estimates.copy_to_run(run) == find_estimate(tiny_voc, SMALL)
    kept.unlink()
    assert stored_estimates.estimate_of(run)
    other = create_run("second", tiny_voc, "report", SMALL)
    assert stored_estimates.copy_to_run(other) is None
    assert not (other.path / stored_estimates.FILE).exists()


def test_what_a_run_took_is_held_against_the_estimate(kept: Path, tiny_voc: Path) -> None:
    found = find_estimate(tiny_voc, SMALL)
    assert found
    log = RunLog(Path("nowhere"))
    assert stored_estimates.pace(found, log) is None
    log.epochs = [epoch_of(1, 3.0), epoch_of(2, 4.5)]
    assert stored_estimates.pace(found, log) == 1.25, "7.5 s instead of 6"
    log.epochs.append(epoch_of(3, 2.5))
    assert stored_estimates.pace(found, log) == 1.0, "after the last epoch photos go one at a time: 10 s"


def epoch_of(number: int, seconds: float) -> Epoch:
    return Epoch(
        epoch=number, step=number, train_loss=1.0, val_loss=1.0, miou=0.4, pixel_accuracy=0.7, iou=[0.7],
        seconds=seconds, train_seconds=seconds, images_per_second=8.0, peak_memory_bytes=1, is_best=False,
    )  # fmt: skip
