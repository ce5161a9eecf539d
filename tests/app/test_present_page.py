"""Present: every step of the story, the way through it and out of it, and addresses that name what is not there."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.training.run.evaluations import BY_SIZE
from core.training.run.folders import Run, create_run
from tests.app.conftest import Visit, append, links, make_pairs, started, texts, write_records
from tests.app.segment.photos import photo_bytes, upload
from tests.app.stored import by_size, guess_background, guess_half, store_milestone
from tests.small_models import save_lively_model
from tests.unit.study.trained import finish, study_of

STEPS = ("data", "training", "verdict", "gain", "median", "loss", "random", "yours", "meaning")


@pytest.fixture
def run(make_run: Callable[..., Run], home: Path) -> Run:
    """A finished run with two milestones, evaluated on twelve photos: the first predicts background everywhere."""
    run = make_run()
    make_pairs(Path(run.data), num_val=12)
    write_records(run, 3, ended="finished")
    store_milestone(run, 1, guess_background)
    store_milestone(run, 3, guess_half)
    return run


@pytest.fixture
def ids(run: Run) -> list[str]:
    """What stands for the pair in the address."""
    return [f"{run.path.name}/epoch_001.pt", f"{run.path.name}/epoch_003.pt"]


def spaced(text: str) -> str:
    """Return a text with ordinary spaces."""
    return text.replace("\N{NO-BREAK SPACE}", " ")


def pictures(app: AppTest) -> list[str]:
    return [picture.alt for image in app.image for picture in image.proto.imgs]


def test_compare_leads_to_it_with_its_pair_and_split(visit: Visit, ids: list[str]) -> None:
    target = links(visit("compare", checkpoint=ids))["Present"]
    assert (
        target == f"present?checkpoint={ids[0].replace('/', '%2F')}&checkpoint={ids[1].replace('/', '%2F')}&split=val"
    )


def test_no_page_lists_it_and_it_leads_back(visit: Visit, ids: list[str]) -> None:
    assert "Present" not in links(visit())
    app = visit("present", checkpoint=ids)
    assert "Present" not in links(app)
    assert links(app)["Leave"].startswith("compare?checkpoint=")


def test_the_buttons_go_through_the_story_and_the_address_keeps_the_step(visit: Visit, ids: list[str]) -> None:
    app = visit("present", checkpoint=ids, split="val")
    assert app.button(key="Back").disabled
    assert [button.proto.shortcut for button in app.button] == ["left", "right", ""]
    for place, step in enumerate(STEPS[1:], start=2):
        app.button(key="Next").click().run()
        assert not app.exception
        assert app.query_params["step"] == step
        assert f"{place} / 9" in texts(app)
        assert app.query_params["checkpoint"] == ids
    assert app.button(key="Next").disabled
    app.button(key="Back").click().run()
    assert app.query_params["step"] == "yours"


def test_the_data(visit: Visit, ids: list[str]) -> None:
    app = visit("present", checkpoint=ids)
    assert app.title[0].value == "Photos: 4 to train on, 12 to evaluate on"
    said = spaced(texts(app))
    assert "Classes in the masks, the background apart: 1." in said
    assert "Predicting background everywhere already has a pixel accuracy of 51.3 % and a mean IoU of 25.6 %" in said
    assert pictures(app) == [f"photo_{n}: {what}" for n in (4, 5, 6, 7) for what in ("Input", "Mask (truth)")]


def test_the_training(visit: Visit, run: Run, ids: list[str]) -> None:
    app = visit("present", checkpoint=ids, step="training")
    said = spaced(texts(app))
    assert "A · 1 epoch: 20 s on Test CPU (2 threads)." in said
    assert "B · 3 epochs: 1 min on Test CPU (2 threads)." in said
    loss, miou = app.get("plotly_chart")
    assert loss.proto.alt == "Loss over the epochs: training (solid) and validation (dashed)"
    assert "Floor 3.5 %" in spaced(json.loads(miou.proto.spec)["data"][-1]["name"])
    notes = json.loads(miou.proto.spec)["layout"]["annotations"]
    assert [(note["text"], note["x"]) for note in notes] == [("<b>A</b>", 1), ("<b>B</b>", 3)]
    assert "Dotted" not in said
    append(run, started(run, epochs_done=3))
    assert "Dotted vertical lines: the training was resumed or extended here" in texts(app.run())


def test_the_verdict(visit: Visit, ids: list[str]) -> None:
    app = visit("present", checkpoint=ids, step="verdict")
    assert app.title[0].value.startswith("3 epochs beat 1 epoch by ")
    assert " interval " in app.title[0].value
    values = {metric.label: spaced(metric.value) for metric in app.metric}
    assert list(values) == ["A · 1 epoch", "B · 3 epochs", "Floor"]
    assert values["A · 1 epoch"] == values["Floor"] == "25.6 %"
    assert "it predicts background everywhere" in app.warning[0].value


@pytest.mark.parametrize("step", ["gain", "median", "loss", "random"])
def test_an_image(visit: Visit, ids: list[str], step: str) -> None:
    app = visit("present", checkpoint=ids, step=step)
    assert not app.exception
    assert [image.captions[0].split(" · ")[0] for image in app.image] == ["Input", "Mask (truth)", "A", "B"]
    assert all(pictures(app))
    assert "chosen by rule and not by eye" in texts(app)
    if step == "loss":
        # `guess_half` sees but half of the first image.
        assert pictures(app)[0] == "photo_4: Input"
        assert app.title[0].value == "Smallest gain: photo_4, +33.3 points of mIoU"


def test_the_meaning(visit: Visit, run: Run, ids: list[str]) -> None:
    app = visit("present", checkpoint=ids, step="meaning")
    said = texts(app)
    assert "of the split val: 12, each whole" in said
    assert "points above it" in said
    assert "does not cover another seed or another run" in said
    assert "A study with several seeds does (Train, Repeat with seeds)." in said
    study = study_of(Path(run.data), seeds=2)
    for cell in study.plan.cells():
        assert "“first”" not in texts(visit("present", checkpoint=ids, step="meaning")), "two seeds must be done"
        finish(study, cell)
    assert "several seeds does: “first”, on Compare." in texts(visit("present", checkpoint=ids, step="meaning"))


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ("data", "Fotos: 4 para treino, 12 para avaliação"), ("training", "Treino"), ("verdict", "pontos de mIoU"),
        ("gain", "Maior ganho: "), ("random", "Ao acaso: "), ("yours", "A sua foto"),
        ("meaning", "O que significa"),
    ],
)  # fmt: skip
def test_it_speaks_portuguese_if_the_address_says_so(visit: Visit, ids: list[str], step: str, said: str) -> None:
    app = visit("present", checkpoint=ids, step=step, language="pt")
    assert not app.exception
    assert said in app.title[0].value
    assert [button.label for button in app.button] == ["Voltar", "Seguinte", "English"]
    assert "Sair" in links(app)


def test_the_language_stays_in_the_address(visit: Visit, ids: list[str]) -> None:
    app = visit("present", checkpoint=ids, step="meaning", language="nowhere")
    assert app.title[0].value == "What it means"
    app.button(key="in pt").click().run()
    assert app.title[0].value == "O que significa"
    assert (app.query_params["language"], app.query_params["step"]) == ("pt", "meaning")
    app.button(key="Back").click().run()
    assert app.title[0].value == "A sua foto"
    assert app.query_params["language"] == "pt"


@pytest.mark.parametrize("step", ["nowhere", "../x", "9", ""])
def test_a_step_that_is_none_begins_the_story(visit: Visit, ids: list[str], step: str) -> None:
    app = visit("present", checkpoint=ids, step=step, split="![](http://elsewhere/x.png)")
    assert not app.exception
    assert "1 / 9" in texts(app)


def test_without_a_pair_it_shows_the_one_that_compare_opens_with(visit: Visit, run: Run) -> None:
    assert "3 epochs beat 1 epoch" in visit("present", step="verdict").title[0].value


@pytest.mark.parametrize("wanted", [["../../etc/passwd", "x"], ["first", "first"], ["![](http://elsewhere/x.png)"]])
def test_checkpoints_that_are_not_there_are_not_replaced_by_others(visit: Visit, run: Run, wanted: list[str]) -> None:
    app = visit("present", checkpoint=wanted)
    assert not app.exception
    assert "does not name two that exist" in app.info[0].value
    assert "Go to Compare" in links(app)
    assert not app.button


def test_one_checkpoint_named_twice_is_no_pair(visit: Visit, ids: list[str]) -> None:
    assert "does not name two" in visit("present", checkpoint=[ids[0], ids[0]]).info[0].value


def test_what_is_not_evaluated_is_told_with_the_way_to_compare(visit: Visit, run: Run, ids: list[str]) -> None:
    app = visit("present", checkpoint=[ids[0], f"{run.path.name}/last.pt"], split="val")
    assert not app.exception
    assert app.info[0].value == "last (3 epochs) is not evaluated on val yet; Compare does that."
    assert links(app)["Evaluate on Compare"].endswith("last.pt&split=val")
    both = visit("present", checkpoint=ids, split="train")
    assert both.info[0].value == "1 epoch and 3 epochs are not evaluated on train yet; Compare does that."


def test_an_evaluation_from_before_photos_were_compared_by_content_is_said(
    visit: Visit, run: Run, ids: list[str]
) -> None:
    shutil.rmtree(run.eval_dir)
    for epoch in (1, 3):
        store_milestone(run, epoch, guess_half, counted=by_size)
    app = visit("present", checkpoint=ids)
    assert not app.exception
    assert [info.value for info in app.info][:2] == [
        f"{label} {BY_SIZE}, and has to be evaluated again." for label in ("1 epoch", "3 epochs")
    ]
    shutil.rmtree(run.data)
    app = visit("present", checkpoint=ids, step="verdict")
    assert not app.exception
    assert f"3 epochs {BY_SIZE}: its scores may be of other photos." in [warning.value for warning in app.warning]


def test_data_that_is_gone_leaves_the_verdict(visit: Visit, run: Run, ids: list[str]) -> None:
    Path(run.data).rename(Path(run.data).with_name("moved"))
    app = visit("present", checkpoint=ids, step="verdict")
    assert app.title[0].value.startswith("3 epochs beat 1 epoch")
    app.button(key="Next").click().run()
    assert not app.exception
    assert "no longer where they were scored" in app.info[0].value
    assert not app.button(key="Next").disabled


def test_a_photo_of_the_audience_is_segmented_by_both(
    visit: Visit, make_run: Callable[..., Run], demo_data: Path, tmp_path: Path
) -> None:
    run = make_run()
    write_records(run, 3, ended="finished")
    for epoch, guess in ((1, guess_background), (3, guess_half)):
        weights = save_lively_model(tmp_path / f"{epoch}.pt", seed=epoch).read_bytes()
        store_milestone(run, epoch, guess, weights=weights)
    app = visit("present", step="yours")
    assert "both checkpoints segment it" in texts(app)
    upload(app, ("mine.jpg", photo_bytes()))
    assert not app.exception
    assert pictures(app) == ["mine.jpg: Input", "mine.jpg: A", "mine.jpg: B"]
    assert app.info[0].value.startswith("Trained on drawn scenes only: 1 epoch and 3 epochs.")
    upload(app, ("mine.jpg", b"no photo"))
    assert "mine.jpg" in app.error[0].value


def test_two_images_have_no_middle(visit: Visit, make_run: Callable[..., Run], demo_data: Path) -> None:
    run = make_run()
    write_records(run, 3, ended="finished")
    store_milestone(run, 1, guess_background)
    store_milestone(run, 3, guess_half)
    app = visit("present", step="random")
    assert not app.exception
    assert "1 / 7" in texts(app)
    app = visit("present", step="meaning")
    assert "These photos do not decide between 1 epoch and 3 epochs" in texts(app)


def test_different_data_is_refused_in_one_sentence(visit: Visit, run: Run, ids: list[str], tmp_path: Path) -> None:
    elsewhere = make_pairs(tmp_path / "elsewhere", num_val=3)
    other = create_run("other", elsewhere, "demo", run.config)
    store_milestone(other, 9, guess_half, data=elsewhere)
    app = visit("present", checkpoint=[ids[1], f"{other.path.name}/epoch_009.pt"])
    assert not app.exception
    assert "first, 3 epochs and other, 9 epochs were scored on different data" in app.error[0].value
