"""What a training will take: measured on a tiny model, added up, kept while it holds, and held against a run."""

import gc
import itertools
import json
import os
import sys
import weakref
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from core import jobs
from core.__main__ import main
from core.data.dataset import open_dataset
from core.errors import DataError, RunError
from core.files import write_json
from core.training import estimate as estimates
from core.training import kept_estimates, timing
from core.training.alternatives import changes_of
from core.training.assignments import parse_settings
from core.training.config import TrainingConfig, with_settings
from core.training.estimate import Estimate
from core.training.kept_estimates import estimate_job_dir, find_estimate
from core.training.log import RunLog
from core.training.prediction import compare
from core.training.presets import PRESETS, preset
from core.training.progress import Progress
from core.training.records import Epoch, Record
from core.training.runs import create_run
from core.training.step_timing import Limits, extrapolated, time_steps
from core.training.timing import Costs
from tests.small_data import write_voc

SMALL = TrainingConfig(
    architecture="deeplabv3_mobilenet_v3_large", output_stride=16, image_size=64, batch_size=4, precision="fp32",
    epochs=3,
)  # fmt: skip
AT_ONCE = Limits(enough_s=0.0, longest_step_s=60.0, most_s=60.0)
CPU = torch.device("cpu")


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
    labels = [each.label for each in found.alternatives]
    assert labels[:2] == ["32 px instead of 64", "Head on stored features"]
    assert found.left_out == ()
    for each in found.alternatives:
        assert each.ratio == pytest.approx(each.total_seconds / found.total_seconds)
        assert with_settings(SMALL, each.changes) != SMALL
        assert each.gives_up


def test_it_is_one_json_document_that_reads_back_the_same(found: Estimate) -> None:
    document = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    promised = "seconds_per_image seconds_per_epoch total_seconds device precision alternatives"
    assert set(promised.split()) <= set(document)
    of_each = "label changes seconds_per_epoch total_seconds ratio gives_up"
    assert set(of_each.split()) <= set(document["alternatives"][0])
    assert estimates.from_dict(document) == found


def test_nothing_is_written_and_the_progress_is_told(tiny_voc: Path, home: Path) -> None:
    before, told = stamps(home), []
    estimates.estimate(open_dataset(tiny_voc), SMALL, lambda *progress: told.append(progress), limits=AT_ONCE)
    assert stamps(home) == before
    total = told[-1][1]
    assert told == [(0, 1), *((done, total) for done in range(1, total + 1))]


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


# --- steps on a clock of our own ------------------------------------------------------------------------------------


class FakeLoop:
    """A loop whose step takes what `seconds` says on a clock that only it moves; the first warms up for a while."""

    device = CPU

    def __init__(self, seconds: float, clock: "FakeClock", steps_per_epoch: int, warm_up_s: float) -> None:
        self.progress = Progress()
        self._seconds, self._clock, self._steps, self._once_s = seconds, clock, steps_per_epoch, warm_up_s

    def train_epoch(self, should_stop: Callable[[], bool]) -> Iterator[Record]:
        while self.progress.step_in_epoch < self._steps:
            if should_stop():
                return
            self._clock.now_s += self._seconds + self._once_s
            self._once_s = 0.0
            self.progress.step_in_epoch += 1
        yield from ()


class FakeClock:
    """A clock that stands still by itself."""

    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def timed_steps(
    batch_size: int, limits: Limits, *, fixed: float, per_photo: float, steps: int = 3, warm_up: float = 1.0
) -> dict[int, float]:
    """Time steps that take `fixed` plus `per_photo` for each photo; there is never more than one loop."""
    clock, alive = FakeClock(), []

    def build(size: int) -> FakeLoop:
        gc.collect()
        assert all(loop() is None for loop in alive)
        loop = FakeLoop(fixed + per_photo * size, clock, steps, warm_up)
        alive.append(weakref.ref(loop))
        return loop

    return {size: cost.seconds for size, cost in time_steps(build, batch_size, limits, clock).items()}


@pytest.mark.parametrize("steps", [1, 3], ids="{} steps an epoch".format)
def test_a_short_step_is_timed_on_the_whole_batch_after_one_to_warm_up(steps: int) -> None:
    limits = Limits(enough_s=3.0, longest_step_s=15.0, most_s=60.0)
    assert timed_steps(16, limits, fixed=0.1, per_photo=0.05, steps=steps) == {16: pytest.approx(0.9)}
    assert timed_steps(3, limits, fixed=0.1, per_photo=0.05, steps=steps) == {3: pytest.approx(0.25)}


def test_a_long_step_is_reckoned_on_the_line_through_two_smaller_ones() -> None:
    limits = Limits(enough_s=3.0, longest_step_s=15.0, most_s=60.0)
    timed = timed_steps(16, limits, fixed=0.5, per_photo=1.5, warm_up=0.0)
    assert timed == {2: pytest.approx(3.5), 8: pytest.approx(12.5)}
    assert extrapolated(timed, 16) == pytest.approx(0.5 + 1.5 * 16)


def test_a_step_of_many_seconds_counts_the_first_time_and_ends_the_timing() -> None:
    limits = Limits(enough_s=4.0, longest_step_s=1.0, most_s=20.0)
    assert timed_steps(16, limits, fixed=0.0, per_photo=2.0) == {2: pytest.approx(5), 4: pytest.approx(9)}
    assert timed_steps(16, limits, fixed=0.0, per_photo=5.0) == {2: pytest.approx(11)}


def test_the_line_is_never_steeper_than_through_nothing_nor_falls() -> None:
    assert extrapolated({2: 1.0}, 16) == 8.0
    assert extrapolated({2: 1.0, 4: 3.0}, 16) == 12.0, "noise made the larger one look worse than twice the smaller"
    assert extrapolated({2: 2.0, 4: 1.0}, 16) == 1.0
    assert extrapolated({2: 2.0, 16: 5.0}, 16) == 5.0


# --- alternatives ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("has_fast_bf16", [True, False])
def test_every_alternative_is_valid_and_different(name: str, precision: str, has_fast_bf16: bool) -> None:
    config = replace(preset(name), precision="auto")
    changes = changes_of(config, precision, has_fast_bf16=has_fast_bf16)
    assert len({change.label for change in changes}) == len(changes)
    for change in changes:
        changed = with_settings(config, change.changes)
        assert changed.as_dict() != config.as_dict()
        assert change.gives_up[-1] == "."
    offers_precision = any("precision" in change.changes for change in changes)
    assert offers_precision == (precision == "bf16" or has_fast_bf16)


def test_what_is_chosen_already_is_no_alternative() -> None:
    config = replace(SMALL, image_size=32, freeze="backbone", store_features=True)
    assert changes_of(config, "fp32", has_fast_bf16=False) == []


def test_the_head_on_stored_features_gives_up_what_cannot_be_stored() -> None:
    """Its settings must be valid ones, whatever is augmented."""
    config = replace(SMALL, scale_min=0.5, aux_weight=0.5, freeze="backbone")
    change = next(each for each in changes_of(config, "fp32", has_fast_bf16=False) if "features" in each.label)
    assert change.changes == {"store_features": True, "scale_min": 1.0, "aux_weight": 0.0}
    assert with_settings(config, change.changes).store_features
    assert "Random scales and the auxiliary head go too" in change.gives_up


def test_a_frozen_random_backbone_is_not_praised() -> None:
    def given_up(init: str) -> str:
        changes = changes_of(replace(SMALL, init=init), "fp32", has_fast_bf16=False)
        return next(change.gives_up for change in changes if "freeze" in change.changes)

    assert given_up("random").startswith("Nearly everything")
    assert not given_up("imagenet").startswith("Nearly everything")


@pytest.mark.parametrize(
    ("checkpoint_seconds", "seconds", "saves"), [(0, 10, 10), (60, 10, 2), (60, 25, 4), (60, 90, 10)]
)
def test_checkpoints_are_counted_by_the_settings(checkpoint_seconds: float, seconds: float, saves: int) -> None:
    config = TrainingConfig(epochs=10, checkpoint_seconds=checkpoint_seconds)
    best, milestone = 5, 1
    assert estimates.count_checkpoints(config, seconds) == saves + best + milestone


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
        created_s=estimates.time.time(),
        data=str(tiny_voc),
        files_key=estimates.files_key(tiny_voc),
        settings=SMALL.as_dict(),
        machine=estimates.machine_key(),
    )
    folder = estimate_job_dir(tiny_voc, SMALL)
    folder.mkdir(parents=True)
    write_json(folder / kept_estimates.FILE, found.as_dict())
    return folder / kept_estimates.FILE


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
    assert kept_estimates.estimate_of(run) is None, "as in runs from before there were estimates"
    assert kept_estimates.keep_with(run) == find_estimate(tiny_voc, SMALL)
    kept.unlink()
    assert kept_estimates.estimate_of(run)
    other = create_run("second", tiny_voc, "report", SMALL)
    assert kept_estimates.keep_with(other) is None
    assert not (other.path / kept_estimates.FILE).exists()


def test_what_a_run_took_is_held_against_the_estimate(kept: Path, tiny_voc: Path) -> None:
    found = find_estimate(tiny_voc, SMALL)
    assert found
    log = RunLog(Path("nowhere"))
    assert compare(found, log) is None
    log.epochs = [epoch_of(1, 3.0), epoch_of(2, 4.5)]
    held = compare(found, log)
    assert held
    assert (held.epochs_done, held.predicted_seconds, held.actual_seconds, held.ratio) == (2, 6.0, 7.5, 1.25)
    assert held.expected_total_seconds == pytest.approx(1.25 * found.total_seconds)
    log.epochs.append(epoch_of(3, 2.5))
    held = compare(found, log)
    assert held
    assert (held.predicted_seconds, held.ratio) == (10.0, 1.0), "after the last epoch photos go one at a time"


def epoch_of(number: int, seconds: float) -> Epoch:
    return Epoch(
        epoch=number, step=number, train_loss=1.0, val_loss=1.0, miou=0.4, pixel_accuracy=0.7, iou=[0.7],
        seconds=seconds, train_seconds=seconds, images_per_second=8.0, peak_memory_bytes=1, is_best=False,
    )  # fmt: skip


# --- the job and the command ----------------------------------------------------------------------------------------


def test_the_job_is_asked_for_the_same_settings(tiny_voc: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(jobs, "start", lambda *arguments: asked.append(arguments))
    config = replace(preset("demo"), flip=False, epochs=7, weight_decay=1e-7, architecture=SMALL.architecture)
    kept_estimates.start_estimate(tiny_voc, "demo", config)
    folder, (command, _, data, _, name, *settings) = asked[0]
    assert (folder, command, data, name) == (estimate_job_dir(tiny_voc, config), "estimate", str(tiny_voc), "demo")
    assert with_settings(preset(name), parse_settings(settings[1::2])) == config


def test_nothing_is_timed_beside_a_run(tiny_voc: Path) -> None:
    run = create_run("busy", tiny_voc, "report", SMALL)
    with jobs.hold(run.path), pytest.raises(RunError, match=r"busy is being trained.*\.$"):
        kept_estimates.start_estimate(tiny_voc, "report", SMALL)
    assert not estimate_job_dir(tiny_voc, SMALL).exists()


@pytest.fixture
def core(monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Run a command in this process, with little patience."""
    monkeypatch.setattr(os, "nice", lambda _: 0)
    for name in ("CHOSEN", "ALTERNATIVE"):
        monkeypatch.setattr(timing, name, AT_ONCE)

    def run(*arguments: object) -> int:
        monkeypatch.setattr(sys, "argv", ["core", "estimate", *map(str, arguments)])
        return main()

    return run


def settings_of(config: TrainingConfig) -> list[str]:
    return [text for name, value in config.as_dict().items() for text in ("--set", f"{name}={value}")]


def test_the_job_leaves_what_the_command_prints(
    core: Callable[..., int], tiny_voc: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = estimate_job_dir(tiny_voc, SMALL)
    folder.mkdir(parents=True)
    assert core("--data", tiny_voc, *settings_of(SMALL), "--json", "--job", folder) == 0
    printed = json.loads(capsys.readouterr().out)
    found = find_estimate(tiny_voc, SMALL)
    assert found
    assert json.loads(json.dumps(found.as_dict())) == printed
    assert jobs.error(folder) is None


def test_a_person_reads_a_table(core: Callable[..., int], tiny_voc: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert core("--data", tiny_voc, *settings_of(SMALL)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "for 3 epochs of" in lines[0]
    assert "4 training and 2 validation photos" in lines[0]
    assert any(line.startswith("32 px instead of 64") for line in lines)


def test_what_goes_wrong_in_the_job_is_told_where_the_page_looks(
    core: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "job"
    folder.mkdir()
    assert core("--data", tmp_path / "none", "--job", folder) == 1
    sentence = capsys.readouterr().err.strip()
    assert sentence == jobs.error(folder)
    assert "There is no folder" in sentence
    assert not (folder / kept_estimates.FILE).exists()
