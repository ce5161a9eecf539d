"""The steps of a presentation, in type and pictures that grow with the screen."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import plotly.graph_objects as go
import streamlit as st

from core.errors import DataError
from core.metrics.verdict import sentence
from core.training.run.log import RunLog
from core.voc import VOID
from core.wording import count
from ui import cached
from ui.charts import loss_curves, miou_curves
from ui.compare import cached_comparison
from ui.compare.scores import Side, curves_of, show_warnings
from ui.legend import show_legend
from ui.present.presentation import (
    RULE,
    Shown,
    classes_sentence,
    data_title,
    floor_sentence,
    image_title,
    meaning_sentences,
    training_sentence,
)
from ui.words import percent, plain

STYLE = """<style>
.stMainBlockContainer { padding: 4rem clamp(1rem, 3vw, 4rem) 1rem; }
.st-key-story { min-height: calc(100vh - 6rem); justify-content: center; }
.st-key-story h1 { font-size: clamp(1.75rem, 3.75vw, 4.5rem); line-height: 1.15; padding: 0; }
.st-key-story p, .st-key-story .stHtml > div { font-size: clamp(1.125rem, 1.875vw, 2.25rem) !important;
  line-height: 1.35; }
.st-key-story [data-testid="stCaptionContainer"] p { font-size: clamp(1rem, 1.4vw, 1.7rem) !important; }
.st-key-story [data-testid="stMetricValue"] p { font-size: clamp(3rem, 7vw, 8.5rem) !important; line-height: 1.1; }
.st-key-story img { max-height: 50vh; object-fit: contain; }
.st-key-verdict h1 { font-size: clamp(1.75rem, 4.75vw, 6rem); }
.st-key-samples img { max-height: 25vh; }
@media (min-width: 640px) { /* in the otherwise empty bar of the menu */
  .stMainBlockContainer { padding-top: 0.75rem; }
  .st-key-moves { position: sticky; top: 0.75rem; z-index: 999991; padding: 0 2.5rem; }
}
</style>"""
"""At 1280 px headings are 3rem and text 1.5rem; at 1920 px half as much again."""

PICTURE_PX = 900
NUM_SAMPLES = 3
CHART_PX = 400
CHART_FONT_PX = 20


class Pair(NamedTuple):
    """The two sides of a presentation."""

    a: Side
    b: Side


def show_step(step: str, pair: Pair, shown: Sequence[Shown]) -> None:
    """Draw the step of that name in large type."""
    st.html(STYLE)
    with st.container(key="story", gap="medium"):
        if step in STEPS:
            STEPS[step](pair)
        else:
            _show_image(next(each for each in shown if each.reason == step), pair)


def _show_data(pair: Pair) -> None:
    scores = pair.b.evaluation.scores
    logs = [cached.run_log(side.choice.run.log_path) for side in pair]
    learned = list(dict.fromkeys(log.legs[-1].num_train_images for log in logs if log.legs))
    st.title(data_title(learned, scores), anchor=False)
    st.markdown(f"{classes_sentence(scores)} {floor_sentence(scores)}")
    data = cached.dataset(pair.b.evaluation.data)
    split = pair.b.evaluation.split
    with st.container(key="samples"):
        samples = data.split(split)[:NUM_SAMPLES]
        for column, sample in zip(st.columns(len(samples)), samples, strict=True):
            photo = cached.thumbnail(sample.photo, classes=data.classes, size_px=PICTURE_PX)
            mask = cached.thumbnail(sample.photo, sample.mask, classes=data.classes, view="mask", size_px=PICTURE_PX)
            column.image(photo, width="stretch", alt=f"{sample.name}: photo")
            column.image(mask, width="stretch", alt=f"{sample.name}: true mask")
    st.caption(f"The first photos of {plain(split)}, each above its true mask.")


def _show_training(pair: Pair) -> None:
    st.title("Training", anchor=False)
    curves, logs = curves_of(pair), [cached.run_log(side.choice.run.log_path) for side in pair]
    loss, miou = loss_curves(curves), miou_curves(curves)
    for name, side, log in zip("AB", pair, logs, strict=True):
        _name_dot(miou, name, log, side.choice.scored_epoch)
    left, right = st.columns(2, gap="medium")
    for column, figure, alt in (
        (left, loss, "Training and validation loss over epochs"),
        (right, miou, "Validation mIoU over epochs, with the floor, A and B marked"),
    ):
        _scale_up(figure)
        column.plotly_chart(figure, key=alt, alt=alt, config={"displayModeBar": False})
    lines = [
        f"{name} · {training_sentence(side.label, log, side.choice.epoch)}"
        for name, side, log in zip("AB", pair, logs, strict=True)
    ]
    st.markdown("  \n".join(map(plain, lines)))


def _name_dot(figure: go.Figure, name: str, log: RunLog, epoch: int | None) -> None:
    """Write the name of a checkpoint above its dot, if there is one."""
    miou = next((each.miou for each in log.epochs if each.epoch == epoch), None)
    if miou is not None:
        figure.add_annotation(
            x=epoch, y=miou, text=f"<b>{name}</b>", showarrow=False, xshift=-16, yshift=14, font_size=CHART_FONT_PX + 4
        )


def _scale_up(figure: go.Figure) -> None:
    """Enlarge the text and lines of a chart for a projector."""
    figure.update_layout(height=CHART_PX, font_size=CHART_FONT_PX, legend_font_size=CHART_FONT_PX)
    for axes in (figure.update_xaxes, figure.update_yaxes):
        axes(tickfont_size=CHART_FONT_PX, title_font_size=CHART_FONT_PX)
    figure.update_traces(line_width=3, selector={"mode": "lines"})


def _show_verdict(pair: Pair) -> None:
    found = cached_comparison.compared(pair.a.evaluation.path, pair.b.evaluation.path)
    with st.container(key="verdict"):
        st.title(f"{plain(sentence(found, pair.a.label, pair.b.label))}.", anchor=False)
    floor = pair.b.evaluation.scores.floor.miou
    numbers = {
        f"{name} · {plain(side.label)}": side.evaluation.scores.miou for name, side in zip("AB", pair, strict=True)
    }
    numbers["Floor · background everywhere"] = floor
    for column, (label, miou) in zip(st.columns(3), numbers.items(), strict=True):
        column.metric(label, percent(miou))
    st.caption(f"Mean IoU on {count(pair.b.evaluation.scores.images, 'photo')} of {plain(pair.b.evaluation.split)}.")
    show_warnings(pair)


def _show_image(shown: Shown, pair: Pair) -> None:
    image, data = shown.image, cached.dataset(pair.b.evaluation.data)
    sample = next((each for each in data.split(pair.b.evaluation.split) if each.name == image.name), None)
    if sample is None:
        raise DataError(f"{image.name} is no longer in {data.root}; evaluate the checkpoints again.")
    st.title(image_title(shown), anchor=False)
    pictures = {"Input": cached.thumbnail(sample.photo, classes=data.classes, size_px=PICTURE_PX)}
    masks = {"Truth": sample.mask} | {
        f"{name} · {percent(score)}": side.evaluation.mask_path(image.name)
        for name, side, score in zip("AB", pair, (image.a, image.b), strict=True)
    }
    for caption, mask in masks.items():
        pictures[caption] = cached.thumbnail(sample.photo, mask, classes=data.classes, view="mask", size_px=PICTURE_PX)
    for column, (caption, picture) in zip(st.columns(4, gap="small"), pictures.items(), strict=True):
        column.image(picture, plain(caption), width="stretch", alt=f"{image.name}: {caption}")
    show_legend(_present(image.index, pair), data.classes)
    st.caption(
        f"A is {plain(pair.a.label)}, B is {plain(pair.b.label)}; the mean IoU of {plain(image.name)} alone. {RULE}"
    )


def _present(index: int, pair: Pair) -> list[int]:
    """Return the classes in the truth or a prediction of an image, and void."""
    counts = [cached_comparison.counts(side.evaluation.path)[1][index] for side in pair]
    return [k for k in range(len(counts[0])) if any(each[k].sum() + each[:, k].sum() for each in counts)] + [VOID]


def _show_meaning(pair: Pair) -> None:
    st.title("What it means", anchor=False)
    found = cached_comparison.compared(pair.a.evaluation.path, pair.b.evaluation.path)
    evaluation = pair.b.evaluation
    st.markdown("\n\n".join(plain(text) for text in meaning_sentences(evaluation.scores, evaluation.split, found)))


STEPS: dict[str, Callable[[Pair], None]] = {
    "data": _show_data, "training": _show_training, "verdict": _show_verdict, "meaning": _show_meaning,
}  # fmt: skip
