"""Which checkpoints are reported on, and what is said when there is nothing to report."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.data.dataset import fingerprint, open_dataset
from core.errors import DataError, RunError
from core.metrics.image_scores import ImageScore
from core.report.content import Content, ReportedCheckpoint, evaluated_checkpoints, gather
from core.report.exports import scores_csv
from core.report.html.charts import Line, LineChart, nice_ticks
from core.report.html.figures import choose
from core.report.html.page import render
from core.report.language.words import Words
from core.training.run import evaluations, openings
from core.training.run.folders import Run
from tests.app.stored import by_size, store_milestone
from tests.small_data import write_voc
from tests.unit.report.conftest import NOW, MakeRun, fine


def test_milestones_are_reported_in_order_and_without_one_the_best(run: Run) -> None:
    """From epoch 1,000 on they were in the order of text, and the report's A and B changed places."""
    for epoch in (1000, 200):
        store_milestone(run, epoch, fine)
    assert [each.epoch for each in evaluated_checkpoints([run], "val")] == [2, 4, 200, 1000]
    for file in run.checkpoints():
        file.unlink()
    store_milestone(run, 3, fine, file="best.pt")
    checkpoints = evaluated_checkpoints([run], "val")
    assert [(each.file.name, each.epoch) for each in checkpoints] == [("best.pt", 3)]


def test_a_checkpoint_of_mid_epoch_is_called_after_its_epoch(run: Run) -> None:
    """It was called after the epoch before, whose weights it no longer has."""
    for file in run.checkpoints():
        file.unlink()
    store_milestone(run, 3, fine, file="last.pt", step_in_epoch=1)
    content = gather(evaluated_checkpoints([run], "val"))
    assert Words("en").labels(content) == ["last.pt (in epoch 4)"]
    assert Words("pt").labels(content) == ["last.pt (na época 4)"]
    assert b",last.pt,3,1,val," in scores_csv(content)


def test_what_is_not_evaluated_says_which_command_does_it(run: Run, one_sentence: Callable[..., str]) -> None:
    file = run.path / "epoch_006.pt"
    file.write_bytes(b"other weights")
    with pytest.raises(RunError) as raised:
        evaluated_checkpoints([run], "val")
    assert f"python -m core evaluate {file} --data {run.data} --split val" in one_sentence(raised.value, file)


def test_an_evaluation_from_before_photos_were_compared_by_content_is_not_reported(
    run: Run, one_sentence: Callable[..., str]
) -> None:
    """The report served scores of photos that had been replaced by black ones of the same size."""
    shutil.rmtree(run.eval_dir)
    store_milestone(run, 2, fine, counted=by_size)
    store_milestone(run, 4, fine)
    file = run.path / "epoch_002.pt"
    with pytest.raises(RunError, match="evaluated before photos were compared by content; do so: python") as raised:
        evaluated_checkpoints([run], "val")
    one_sentence(raised.value, file)
    checkpoints = evaluated_checkpoints([run], "val", lambda *_: store_milestone(run, 2, fine))
    assert all(each.evaluation.is_by_content for each in checkpoints)


def test_where_the_data_is_gone_the_report_says_which_evaluations_counted_photos_by_size(run: Run) -> None:
    shutil.rmtree(run.eval_dir)
    for epoch in (2, 4):
        store_milestone(run, epoch, fine, counted=by_size)
    shutil.rmtree(run.data)
    content = gather(evaluated_checkpoints([run], "val"))
    for language, said in (
        ("en", "before photos were compared by content"),
        ("pt", "comparação das fotos pelo conteúdo"),
    ):
        assert said in render(content, language)
    (mixed,) = evaluated_checkpoints([run], "val")[:1]
    with pytest.raises(DataError, match=r"epoch_002\.pt was evaluated before photos were compared"):
        gather([mixed, replace(mixed, evaluation=replace(mixed.evaluation, fingerprint="content:1"))])


def test_what_is_not_evaluated_is_evaluated_on_request(run: Run) -> None:
    file = run.path / "epoch_006.pt"
    file.write_bytes(b"weights of first after 6")
    asked: list[Path] = []

    def evaluate(checkpoint: Path, dataset: object, split: str) -> None:
        asked.append(checkpoint)
        store_milestone(run, 6, fine)

    checkpoints = evaluated_checkpoints([run], "val", evaluate)
    assert asked == [file]
    assert checkpoints[-1].scores == checkpoints[-2].scores


def test_a_run_without_a_checkpoint_is_told_to_train(run: Run, one_sentence: Callable[..., str]) -> None:
    for file in run.checkpoints():
        file.unlink()
    with pytest.raises(RunError, match="has no checkpoint yet; train it") as raised:
        evaluated_checkpoints([run], "val")
    one_sentence(raised.value, run.path)


def test_scores_on_different_images_are_not_compared(make_run: MakeRun, tmp_path: Path) -> None:
    other = write_voc(tmp_path / "other" / "VOC2012", num_train=4, num_val=11)
    with pytest.raises(DataError, match=r"were scored on different data \(val of .* and val of"):
        gather(
            [
                *evaluated_checkpoints([make_run()], "val"),
                *evaluated_checkpoints([make_run("second", data=other)], "val"),
            ]
        )


def test_nothing_to_report_is_said(content: Content) -> None:
    with pytest.raises(RunError, match="no checkpoint to report on"):
        gather([])


def test_runs_of_one_name_are_called_by_their_folders(make_run: MakeRun) -> None:
    content = gather(evaluated_checkpoints([make_run(), make_run()], "val"))
    names = [reported.name for reported in content.runs]
    assert names == [reported.run.path.name for reported in content.runs]
    assert len(set(names)) == 2


def test_legs_share_the_epochs_that_count(content: Content) -> None:
    legs = content.runs[0].legs
    assert [[epoch.epoch for epoch in leg.epochs] for leg in legs] == [[1, 2], [3, 4]]
    assert [(leg.seconds, leg.seconds_per_epoch, leg.images_per_second) for leg in legs] == [(40.0, 20.0, 12.5)] * 2


# --- which photos ---------------------------------------------------------------------------------------------------


def image(index: int, a: float | None, b: float | None) -> ImageScore:
    return ImageScore(index, f"photo_{index}", a, b)


def test_photos_are_chosen_by_gain_each_once() -> None:
    gains = [0.1, -0.3, 0.5, 0.0, 0.4, -0.2, 0.2, 0.3, -0.1]
    images = [image(k, 0.4, 0.4 + gain) for k, gain in enumerate(gains)]
    chosen = choose([*images, image(9, None, None)], is_pair=True)
    assert [(each.index, each.reason) for each in chosen] == [
        (2, "gain"), (4, "gain"), (6, "median"), (0, "median"), (5, "loss"), (1, "loss"),
    ]  # fmt: skip


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 5])
def test_few_photos_are_all_different(count: int) -> None:
    chosen = choose([image(k, 0.1, 0.1 * k) for k in range(count)], is_pair=True)
    indices = [each.index for each in chosen]
    assert len(set(indices)) == len(indices) == min(count, 3)
    assert not chosen or chosen[0] == type(chosen[0])(count - 1, "gain")


def test_of_one_checkpoint_the_best_and_worst_are_chosen() -> None:
    chosen = choose([image(k, score, score) for k, score in enumerate([0.2, 0.9, 0.5])], is_pair=False)
    assert [each.index for each in chosen] == [1, 2, 0]


# --- charts -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("highest", "ticks"),
    [(1.0, [0, 0.25, 0.5, 0.75, 1.0]), (2.7, [0, 1, 2, 3]), (0.113, [0, 0.05, 0.1, 0.15]), (0.0, [0, 1])],
)
def test_ticks_are_round_and_reach_the_highest(highest: float, ticks: list[float]) -> None:
    np.testing.assert_allclose(nice_ticks(highest), ticks)


@pytest.mark.parametrize(("highest", "digits"), [(0.09, 1), (0.113, 0), (0.3, 0), (0.01, 1)])
def test_ticks_of_half_a_percent_are_not_rounded(highest: float, digits: int) -> None:
    """A report's axis read 0, 2, 5, 8 and 10 %."""
    chart = LineChart([Line(0, ((0.0, highest),))])
    assert chart.percent_digits == digits


def test_a_line_has_a_gap_where_a_value_is_missing() -> None:
    line = Line(0, [(1, 0.1), (2, None), (3, 0.2), (4, 0.4)], marked=frozenset({4.0}))
    chart = LineChart([line], floor=0.1)
    path = chart.path(line)
    assert (path.count("M"), path.count("L")) == (2, 1)
    assert chart.dots(line) == [(4, 0.4)]
    assert (chart.x(1), chart.x(4), chart.y(0), chart.y(0.4)) == (0, chart.WIDTH, chart.HEIGHT, 0)


@pytest.mark.parametrize(("language", "never", "once"), [
    ("en", "It was never opened.", "Number of times that it was opened: 1."),
    ("pt", "Nunca foi aberta.", "Número de vezes que foi aberta: 1."),
])  # fmt: skip
def test_the_openings_of_a_test_split_and_a_choice_on_val_are_reported(
    run: Run, language: str, never: str, once: str
) -> None:
    """Beside val scores too: the count is what a reader needs to trust the test scores."""
    (Path(run.data) / "ImageSets" / "Segmentation" / "test.txt").write_text("photo_0\nphoto_1\n")
    store_milestone(run, 4, lambda truth_HW, _: truth_HW * 0, file="best.pt")
    best = evaluations.find(run.eval_dir, evaluations.file_hash(run.path / "best.pt"), "val", None)
    assert best
    content = gather([ReportedCheckpoint(run, run.path / "best.pt", best)])
    said = render(content, language, now=NOW)
    assert never in said
    assert ("was chosen on val" if language == "en" else "foi escolhido em «val»") in said
    data = open_dataset(run.data)
    openings.record(data, fingerprint(data.split("test")), run.path / "best.pt", best.checkpoint_hash, "page")
    said = render(gather(content.checkpoints), language, now=NOW)
    assert once in said
    assert f"{run.path.name}/best.pt" in said
    assert not content.test_photos, "val is not a matter of test"
    tested = store_milestone(run, 4, lambda truth_HW, _: truth_HW * 0, file="best.pt", split="test")
    content = gather([ReportedCheckpoint(run, run.path / "best.pt", tested)])
    assert list(content.test_photos.values()) == [None], "its log is of other lists"
    for seen, key in ((None, "test unknown"), (1, "test trained on"), (0, "")):
        said = render(replace(content, test_photos={"mine": seen}), language, now=NOW)
        texts = {each: Words(language)(each, run="mine", count=seen) for each in ("test unknown", "test trained on")}
        assert [each for each, text in texts.items() if text in said] == [key] * bool(key)
