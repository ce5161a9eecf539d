"""The sections that tell what came of it: evaluation, figures, verdict, and what the scores mean."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from core.data.images import read_mask
from core.metrics.comparison import Comparison
from core.metrics.confusion import Counts
from core.metrics.guard import floor_hits, suspicion
from core.metrics.image_scores import score_images
from core.report.blocks import (
    Cell,
    figure,
    fraction_cell,
    legend,
    note,
    paragraphs,
    score_table,
    section,
    table,
    text_cell,
)
from core.report.charts import NUM_COLORS, Bars, bar_chart, swatch
from core.report.content import Content, Judged
from core.report.figures import Chosen, choose, difference_uri, mask_uri, photo_uri
from core.report.formulas import formulas
from core.report.markup import Markup, joined, tag
from core.report.tables import SCORE_NAMES, class_tables, conventions_table, scored_classes, scores_table
from core.report.verdicts import Verdicts
from core.report.words import Words
from core.voc import VOID

Mask = NDArray[np.uint8]


# --- 4 evaluation ---------------------------------------------------------------------------------------------------


def evaluation_section(content: Content, words: Words) -> Markup:
    """Return the scores of every checkpoint beside the floor: averages, bars, and class by class."""
    return section(
        4, "evaluation", words("evaluation"),
        paragraphs(words("evaluation intro", section=7)),
        score_table(scores_table(content, words), words, css="scores"),
        *(note(warning, "warning") for warning in warnings(content, words)),
        _class_bars(content, words),
        *(score_table(each, words, css="classes") for each in class_tables(content, words)),
    )  # fmt: skip


def warnings(content: Content, words: Words) -> list[str]:
    """Say of each checkpoint which scores do not beat the floor and why, what it invents and what it lacks."""
    said = []
    for label, judged, counts_NKK in zip(words.labels(content), content.judged, content.counts_CNKK, strict=True):
        for hit in floor_hits(judged.scores):
            written = {"value": words.percent(hit.value), "floor": words.percent(hit.floor)}
            said.append(words(f"{hit.place} the floor", label=label, score=words(hit.name), **written))
        if found := suspicion(judged.scores, counts_NKK):
            said.append(words("suspicion", label=label, cause=words(f"cause {found.kind}")))
        invented = [entry.name for entry in judged.scores.classes if entry.is_invented]
        if invented:
            said.append(words("invented", label=label, names=words.listed(invented)))
        if judged.evaluation.is_old:
            said.append(words("old evaluation", label=label))
    return said


def _class_bars(content: Content, words: Words) -> Markup:
    labels, ids = words.labels(content), scored_classes(content)
    groups = [
        Bars(content.floor.classes[k].name, [judged.scores.classes[k].iou for judged in content.judged]) for k in ids
    ]
    floors = [content.floor.classes[k].iou for k in ids]
    caption = words("bars figure")
    entries = [(swatch(f"s{k % NUM_COLORS}"), label) for k, label in enumerate(labels)]
    entries.append((swatch("floor", is_line=True), words("floor")))
    drawn = bar_chart(caption, groups, write=lambda value: words.number(100 * value), floors=floors)
    return tag("div", figure(drawn, f"{caption} (%).", legend(entries)), class_="single")


# --- 5 figures ------------------------------------------------------------------------------------------------------


def figures_section(content: Content, words: Words) -> Markup:
    """Return input, outputs and mask of the chosen images."""
    if content.data is None:
        return section(5, "figures", words("figures"), paragraphs(words("figures gone")))
    labels = words.labels(content)
    is_pair = len(content.judged) > 1
    intro = words("figures intro", first=labels[0], last=labels[-1]) if is_pair else words("figures intro one")
    shown, present = [], {VOID}
    images = score_images(content.names, content.counts_CNKK[0], content.counts_CNKK[-1])
    for chosen in choose(images, is_pair=is_pair):
        picture, ids = _photo(chosen, content, words)
        shown.append(picture)
        present |= ids
    entries = [
        (swatch(content.classes.css_color(k)), words("void") if k == VOID else content.classes.names[k])
        for k in sorted(present)
    ]
    return section(
        5, "figures", words("figures"), paragraphs(intro),
        note(words("difference meaning", first=labels[0], last=labels[-1])) if is_pair else "",
        tag("div", tag("strong", words("legend")), legend(entries), class_="colours"), *shown,
    )  # fmt: skip


def _photo(chosen: Chosen, content: Content, words: Words) -> tuple[Markup, set[int]]:
    """Return one image under every checkpoint, and the ids that its masks show."""
    assert content.data is not None  # noqa: S101 - without data there are no figures
    name = content.names[chosen.index]
    sample = next(sample for sample in content.data.split(content.split) if sample.name == name)
    num_classes, palette = len(content.classes), content.classes.palette
    truth_HW = read_mask(sample.mask, num_classes)
    masks = [read_mask(judged.evaluation.mask_path(name), num_classes) for judged in content.judged]
    mious = [_miou_of(chosen.index, counts_NKK) for counts_NKK in content.counts_CNKK]
    pictures = [_picture(photo_uri(sample.photo), words("input"), words("photo alt", name=name))]
    for label, mask_HW, miou in zip(words.labels(content), masks, mious, strict=True):
        alt = words("output alt", label=label, name=name, classes=_shown(mask_HW, content, words))
        score = tag("data", words("output score", value=words.per_cent(miou)), value=repr(miou))
        caption = joined(words("output", label=label), tag("br"), score)
        pictures.append(_picture(mask_uri(mask_HW, palette), caption, alt))
    alt = words("truth alt", name=name, classes=_shown(truth_HW, content, words))
    pictures.append(_picture(mask_uri(truth_HW, palette), words("truth"), alt))
    if len(masks) > 1:
        picture = difference_uri(masks, truth_HW)
        pictures.append(_picture(picture, words("difference"), words("difference alt", name=name)))
    about = _photo_caption(chosen, name, mious[-1] - mious[0], words, is_pair=len(masks) > 1)
    ids = {int(k) for mask_HW in (truth_HW, *masks) for k in np.unique(mask_HW)}
    return tag("figure", tag("figcaption", about), tag("div", *pictures, class_="pictures"), class_="photo"), ids


def _miou_of(index: int, counts_NKK: Counts) -> float:
    """Return the mIoU of one image that has a counted pixel."""
    one_NKK = counts_NKK[index : index + 1]
    return score_images([""], one_NKK, one_NKK)[0].b or 0.0


def _photo_caption(chosen: Chosen, name: str, change: float, words: Words, *, is_pair: bool) -> str:
    if is_pair:
        is_gain = change > 0
        keys = {
            "gain": "gain" if is_gain else "gain negative",
            "loss": "loss positive" if is_gain else "loss case",
        }
        reason = words(keys.get(chosen.reason, chosen.reason))
        return words("photo caption", reason=reason, name=name, change=words.points(change))
    reason = words({"gain": "best case", "loss": "worst case"}.get(chosen.reason, chosen.reason))
    return words("photo caption one", reason=reason, name=name)


def _picture(uri: str, caption: str, alt: str) -> Markup:
    return tag("figure", tag("img", src=uri, alt=alt), tag("figcaption", caption))


def _shown(mask_HW: Mask, content: Content, words: Words) -> str:
    return words.listed([content.classes.names[k] for k in np.unique(mask_HW).tolist() if k != VOID])


# --- 6 verdict ------------------------------------------------------------------------------------------------------


def verdict_section(content: Content, verdicts: Verdicts, words: Words) -> Markup:
    """Return the sentence, every comparison with its interval, and the classes of the last."""
    headline = verdicts.headline
    confidence = words.value(100 * headline.confidence)
    intro = words(
        "verdict intro", images=words.number(headline.images), resamples=words.number(headline.resamples),
        confidence=confidence,
    )  # fmt: skip
    return section(
        6, "verdict", words("verdict"),
        tag("p", headline_sentence(content, verdicts, words), class_="lead"),
        paragraphs(intro),
        _comparisons(content, verdicts, confidence, words),
        _ranking(content, verdicts, confidence, words) if verdicts.ranking else "",
        _class_differences(content, headline, confidence, words),
        paragraphs(words("verdict limits")),
    )  # fmt: skip


def headline_sentence(content: Content, verdicts: Verdicts, words: Words) -> str:
    """Return the last checkpoint against the first in a sentence; a single one against the floor."""
    return words.verdict(verdicts.headline, *_compared(content, words))


def _compared(content: Content, words: Words) -> tuple[str, str]:
    labels = words.labels(content)
    return (labels[0], labels[-1]) if len(labels) > 1 else (words("the floor"), labels[0])


def _comparisons(content: Content, verdicts: Verdicts, confidence: str, words: Words) -> Markup:
    labels = words.labels(content)
    pairs = [
        *((words("against", b=b, a=labels[0]), c) for b, c in zip(labels[1:], verdicts.against_first, strict=True)),
        *((words("against", b=b, a=words("the floor")), c)
          for b, c in zip(labels, verdicts.against_floor, strict=True)),
    ]  # fmt: skip
    rows = [
        (
            name,
            [
                Cell(words.points(c.delta_miou), c.delta_miou),
                Cell(words.interval(c.low, c.high)),
                text_cell(words(c.verdict)),
            ],
        )
        for name, c in pairs
    ]
    head = [words("compared"), words("delta"), words("interval", confidence=confidence), words("decision")]
    return table(words("verdicts caption"), head, rows)


def _ranking(content: Content, verdicts: Verdicts, confidence: str, words: Words) -> Markup:
    labels = words.labels(content)
    rows = [
        (
            labels[each.index],
            [
                Cell(str(each.place)),
                fraction_cell(each.miou, words),
                Cell(words.interval(each.low, each.high, signed=False)),
                text_cell(words.listed([labels[other] for other in each.ties_with]) or words("none")),
            ],
        )
        for each in verdicts.ranking
    ]
    rows.append((words("floor"), [Cell(""), fraction_cell(content.floor.miou, words), Cell(""), text_cell("")]))
    head = [words("checkpoint"), words("place"), words("miou"), words("interval of score", confidence=confidence)]
    return table(words("ranking caption"), [*head, words("ties")], rows)


def _class_differences(content: Content, comparison: Comparison, confidence: str, words: Words) -> Markup:
    a, b = _compared(content, words)
    sides: Sequence[Judged] = content.judged
    a_scores = sides[0].scores if len(sides) > 1 else content.floor
    rows = []
    for entry in comparison.classes:
        if entry.delta is None:
            continue
        a_iou, b_iou = a_scores.classes[entry.id].iou, sides[-1].scores.classes[entry.id].iou
        difference = Cell(words.points(entry.delta), entry.delta)
        numbers = [fraction_cell(a_iou, words), fraction_cell(b_iou, words), difference]
        floor = fraction_cell(content.floor.classes[entry.id].iou, words, css="floor-cell")
        cells = [*numbers, Cell(words.interval(entry.low, entry.high)), *([floor] if len(sides) > 1 else [])]
        rows.append((content.floor.classes[entry.id].name, cells))
    head = [words("class"), a, b, words("delta"), words("interval", confidence=confidence)]
    head += [words("floor")] if len(sides) > 1 else []
    caption = words("class verdicts caption", a=a, b=b)
    return joined(table(caption, head, rows), note(words("class verdicts note")))


# --- 7 definitions --------------------------------------------------------------------------------------------------


def definitions_section(content: Content, words: Words) -> Markup:
    """Return every score with its formula, and the same predictions by the rules of other libraries."""
    by_name = formulas()
    entries = []
    for name in ("iou", *SCORE_NAMES, "floor", "delta"):
        entries.append(tag("dt", words(name)))
        entries.append(tag("dd", by_name[name], tag("p", words(f"define {name}"))))
    return section(
        7, "definitions", words("definitions"), paragraphs(words("definitions intro")),
        tag("dl", *entries), score_table(conventions_table(content, words), words, css="conventions"),
        note(words("conventions note")),
    )  # fmt: skip
