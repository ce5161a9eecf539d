"""The steps of a presentation, in type and pictures that grow with the screen."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import plotly.graph_objects as go
import streamlit as st

from core.data.images import jpeg_bytes
from core.errors import CoreError
from core.metrics.comparison import Comparison
from core.model.output.render import overlay
from core.model.photo import SUFFIXES, open_photo
from core.report.content import Content
from core.report.html import sections
from core.report.html.charts import LineChart
from core.report.html.figures import caption
from core.report.language.words import Words
from core.study.folder import Study, list_studies
from core.study.results import gather as gather_seeds
from core.training import demo_run
from ui import cached
from ui.charts import NEUTRAL, THEME_COLORS, add_floor, blank, literal
from ui.components import style
from ui.internals import uploader_style
from ui.legend import show_legend
from ui.pictures import reduced
from ui.present.presentation import SEED, Shown, data_sentences, data_title, meaning_sentences, training_sentence
from ui.segment import cached_segments
from ui.segment.photo_source import MAX_PHOTO_MB
from ui.words import plain

STYLE = style("presentation.css")
"""At 1280 px headings are 3rem and text 1.5rem; at 1920 px half as much again."""

PICTURE_PX = 900
NUM_SAMPLES = 4
CHART_PX = 400
CHART_FONT_PX = 20


class Story(NamedTuple):
    """A presentation: a report's content on checkpoints A and B, its language, the photos shown, and the comparison."""

    content: Content
    words: Words
    shown: Sequence[Shown]
    found: Comparison


def show_step(step: str, story: Story) -> None:
    """Draw the step of that name in large type."""
    st.html(STYLE)
    with st.container(key="story", gap="medium"):
        if step in STEPS:
            STEPS[step](story)
        else:
            _show_image(next(each for each in story.shown if each.reason == step), story)


def _show_data(story: Story) -> None:
    content, words = story.content, story.words
    st.title(data_title(content, words), anchor=False)
    st.markdown(data_sentences(content, words))
    if sections.is_of_demo(content):
        st.caption(words("data demo"))
    if content.data is None:
        st.info(words("data gone"))
        return
    classes = content.data.classes
    with st.container(key="samples"):
        samples = content.data.split(content.split)[:NUM_SAMPLES]
        for column, sample in zip(st.columns(len(samples)), samples, strict=True):
            photo = cached.thumbnail(sample.photo, classes=classes, size_px=PICTURE_PX)
            mask = cached.thumbnail(sample.photo, sample.mask, classes=classes, view="mask", size_px=PICTURE_PX)
            column.image(photo, width="stretch", alt=f"{sample.name}: {words('input')}")
            column.image(mask, width="stretch", alt=f"{sample.name}: {words('truth')}")
    st.caption(words("slide samples", split=plain(content.split)))


def _show_training(story: Story) -> None:
    content, words = story.content, story.words
    st.title(words("training"), anchor=False)
    if charts := sections.curves(content):
        loss, miou = (_drawn(chart, words(key), story) for chart, key in zip(charts, ("loss", "miou"), strict=True))
        _name_dots(miou, content)
        miou.update_yaxes(tickformat=".0%")
        for column, figure, key in zip(st.columns(2), (loss, miou), ("loss figure", "miou figure"), strict=True):
            column.plotly_chart(figure, key=key, alt=words(key), config={"displayModeBar": False})
            column.caption(words(key))
        if charts[0].dividers:
            st.caption(words("leg mark"))
    lines = [
        f"{name} · {training_sentence(checkpoint, content, words)}"
        for name, checkpoint in zip("AB", content.checkpoints, strict=True)
    ]
    st.markdown("  \n".join(map(plain, lines)))


def _drawn(chart: LineChart, y_title: str, story: Story) -> go.Figure:
    """Return a chart of the report as a figure whose text and lines suit a projector."""
    words, runs = story.words, story.content.runs
    figure = blank(height=CHART_PX, x_title=words("epoch"), y_title=y_title)
    for line in chart.lines:
        color, dash = THEME_COLORS[line.color], "dash" if line.is_dashed else "solid"
        figure.add_scatter(
            x=[x for x, _ in line.points], y=[y for _, y in line.points], hoverinfo="skip",
            mode="lines" if len(line.points) > 1 else "markers", line={"color": color, "dash": dash, "width": 3},
            name=literal(runs[line.color].name), showlegend=len(runs) > 1 and not line.is_dashed,
        )  # fmt: skip
        marked = [(x, y) for x, y in line.points if x in line.marked]
        figure.add_scatter(
            x=[x for x, _ in marked], y=[y for _, y in marked], mode="markers", hoverinfo="skip", showlegend=False,
            marker={"color": color, "size": 10},
        )  # fmt: skip
    add_floor(figure, chart.floor, f"{words('floor')} {words.percent(chart.floor)}")
    for epoch in chart.dividers:
        figure.add_vline(x=epoch, line={"color": NEUTRAL, "width": 1.5, "dash": "dot"})
    figure.update_layout(font_size=CHART_FONT_PX, legend_font_size=CHART_FONT_PX, separators=words.separators)
    figure.update_xaxes(showgrid=False, tickvals=chart.x_ticks, range=[0, 1.03 * chart.x_range[1]])
    figure.update_yaxes(rangemode="tozero")
    for axes in (figure.update_xaxes, figure.update_yaxes):
        axes(tickfont_size=CHART_FONT_PX, title_font_size=CHART_FONT_PX)
    return figure


def _name_dots(figure: go.Figure, content: Content) -> None:
    """Write A and B above their dots."""
    for name, checkpoint in zip("AB", content.checkpoints, strict=True):
        log = next(each.log for each in content.runs if each.run.path == checkpoint.run.path)
        epoch = None if checkpoint.step_in_epoch else checkpoint.epoch
        miou = next((each.miou for each in log.epochs if each.epoch == epoch), None)
        if miou is not None:
            figure.add_annotation(
                x=epoch, y=miou, text=f"<b>{name}</b>", showarrow=False, xshift=-16, yshift=14,
                font_size=CHART_FONT_PX + 4,
            )  # fmt: skip


def _show_verdict(story: Story) -> None:
    content, words = story.content, story.words
    labels = words.labels(content)
    with st.container(key="verdict"):
        st.title(plain(words.verdict(story.found, *labels)), anchor=False)
    numbers = [
        (f"{name} · {plain(label)}", checkpoint.scores.miou)
        for name, label, checkpoint in zip("AB", labels, content.checkpoints, strict=True)
    ]
    numbers.append((words("floor"), content.floor.miou))
    for column, (label, miou) in zip(st.columns(len(numbers)), numbers, strict=True):
        column.metric(label, words.percent(miou))
    st.caption(words("slide scored", images=words.number(content.floor.images), split=plain(content.split)))
    if warnings := sections.warnings(content, words):
        st.warning("\n".join(f"- {plain(text)}" for text in warnings), icon=":material/warning:")


def _show_image(shown: Shown, story: Story) -> None:
    """Draw a photo, and the true mask and both predictions laid over it, two by two; the words stand beside them."""
    image, content, words = shown.image, story.content, story.words
    title = plain(caption(shown.reason, image.name, image.gain, words))
    if content.data is None:
        st.title(title, anchor=False)
        st.info(words("figures gone"))
        return
    classes = content.data.classes
    sample = next(each for each in content.data.split(content.split) if each.name == image.name)
    pictures = {words("input"): cached.thumbnail(sample.photo, classes=classes, size_px=PICTURE_PX)}
    masks = {words("truth"): sample.mask} | {
        f"{name} · {words.percent(score)}": checkpoint.evaluation.mask_path(image.name)
        for name, checkpoint, score in zip("AB", content.checkpoints, (image.a, image.b), strict=True)
    }
    for name, mask in masks.items():
        pictures[name] = cached.thumbnail(sample.photo, mask, classes=classes, view="overlay", size_px=PICTURE_PX)
    with st.container(key="pictures"):
        left, right = st.columns([5, 2], gap="medium")
        four = list(pictures.items())
        for row in (four[:2], four[2:]):
            for column, (name, picture) in zip(left.columns(2, gap="small"), row, strict=True):
                column.image(picture, plain(name), width="stretch", alt=f"{image.name}: {name}")
        with right:
            st.title(title, anchor=False)
            present = cached.classes_in([*masks.values()], classes)
            show_legend(present, words.named(classes), words("void"))
            a, b = (f"{name} ({plain(label)})" for name, label in zip("AB", words.labels(content), strict=True))
            st.caption(f"{words('figures intro', first=a, last=b)} {words('slide random', seed=SEED)}")


def _show_yours(story: Story) -> None:
    """Ask for a photo of the audience's, and draw it beside what both checkpoints see in it."""
    content, words = story.content, story.words
    st.title(words("slide yours"), anchor=False)
    if words.language != "en":
        st.html(uploader_style(words("choose photo")))
    file = st.file_uploader(
        words("slide yours"), type=SUFFIXES, max_upload_size=MAX_PHOTO_MB, key="photo of the audience",
        label_visibility="collapsed",
    )  # fmt: skip
    if not file:
        st.caption(words("slide yours asked", limit=MAX_PHOTO_MB))
        return
    labels, present = words.labels(content), set()
    drawn = [label for label, each in zip(labels, content.checkpoints, strict=True) if demo_run.is_drawn(each.run)]
    if drawn:
        st.info(words("slide drawn", labels=plain(words.listed(drawn))), icon=":material/draw:")
    with st.container(key="yours"):
        plain_column, *columns = st.columns(3)
        photo = reduced(open_photo(file.getvalue(), file.name), PICTURE_PX)
        plain_column.image(jpeg_bytes(photo), words("input"), width="stretch", alt=f"{file.name}: {words('input')}")
        for column, name, label, checkpoint in zip(columns, "AB", labels, content.checkpoints, strict=True):
            found = cached_segments.segmented(checkpoint.file, file.getvalue(), file.name)
            mask_HW = found.answers().reduced(*photo.size).mask_HW
            covered = jpeg_bytes(overlay(photo, mask_HW, found.classes.palette))
            column.image(covered, f"{name} · {plain(label)}", width="stretch", alt=f"{file.name}: {name}")
            present |= {area.id for area in found.areas}
        show_legend(present, words.named(content.classes))


def _show_meaning(story: Story) -> None:
    st.title(story.words("slide meaning"), anchor=False)
    data = Path(story.content.evaluation.data)
    study = next((each.name for each in list_studies() if Path(each.plan.data) == data and _has_seeds(each)), None)
    sentences = meaning_sentences(story.content, story.found, story.words, study)
    st.markdown("\n\n".join(map(plain, sentences)))


def _has_seeds(study: Study) -> bool:
    """Return whether two seeds of a recipe are done at least."""
    with suppress(CoreError):
        return any(len(each.seeds) > 1 for each in gather_seeds(study, study.cells()))
    return False


STEPS: dict[str, Callable[[Story], None]] = {
    "data": _show_data, "training": _show_training, "verdict": _show_verdict, "yours": _show_yours,
    "meaning": _show_meaning,
}  # fmt: skip
