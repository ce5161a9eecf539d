"""The sections that tell what was done: data, model and training."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from core.home import demo_dir
from core.report.blocks import Cell, facts, figure, fraction_cell, legend, note, paragraphs, section, table, text_cell
from core.report.charts import NUM_COLORS, Series, line_chart, swatch
from core.report.content import Content, Leg, Trained
from core.report.markup import Markup, joined, tag
from core.report.words import MISSING, Words
from core.training import runs
from core.training.config import TrainingConfig
from core.training.records import Epoch
from core.voc import IMAGE_MEAN, IMAGE_STD

MAX_EPOCH_ROWS = 50
LEG_COLUMNS = (
    "leg", "began", "epochs", "duration", "seconds per epoch", "images per second", "precision format", "device",
)  # fmt: skip


# --- 1 data ---------------------------------------------------------------------------------------------------------


def data_section(content: Content, words: Words) -> Markup:
    """Return where the images come from, how many there are, and what predicting background would score."""
    scores = content.floor
    intro = words("data intro", images=words.number(scores.images), split=content.split)
    is_demo = Path(content.evaluation.data) == demo_dir()
    by_size = [words.label(each, content) for each in content.judged if not each.evaluation.is_by_content]
    return section(
        1, "data", words("data"),
        paragraphs(
            intro, words("data demo") if is_demo else "", "" if content.data else words("data gone"),
            words("data by size", names=words.listed(by_size)) if by_size else "", words("floor meaning"),
        ),
        _data_facts(content, words),
        _splits(content, words),
        _classes(content, words),
    )  # fmt: skip


def _data_facts(content: Content, words: Words) -> Markup:
    scores, evaluation = content.floor, content.evaluation
    pixels = sum(entry.truth_pixels for entry in scores.classes)
    rows: list[tuple[str, str | Cell]] = [(words("source"), tag("code", evaluation.data))]
    if content.data:
        rows.append((words("splits"), words("splits listed" if content.has_lists else "splits drawn")))
    rows += [
        (words("scored split"), content.split),
        (words("num classes"), words.number(len(scores.classes))),
        (words("scored pixels"), words.number(pixels)),
        (words("void share"), _percent(evaluation.scores.void_share, words)),
        (words("floor accuracy"), _percent(scores.pixel_accuracy, words)),
        (words("floor miou"), _percent(scores.miou, words)),
        (words("data fingerprint"), tag("code", evaluation.fingerprint, class_="hash")),
    ]
    return facts(words("data"), rows)


def _percent(fraction: float | None, words: Words) -> Cell:
    return Cell(words.percent(fraction), fraction)


def _splits(content: Content, words: Words) -> Markup:
    if content.data is None:
        return Markup()
    rows = [(name, [Cell(words.number(len(samples)))]) for name, samples in content.data.splits.items()]
    return table(words("splits caption"), [words("split"), words("photos")], rows, css="narrow")


def _classes(content: Content, words: Words) -> Markup:
    classes, truth_NK = content.floor.classes, content.counts_CNKK[0].sum(axis=2)
    pixels = sum(entry.truth_pixels for entry in classes)
    rows = [
        (
            joined(swatch(content.classes.css_color(entry.id)), " ", entry.name),
            [
                Cell(words.number(int((truth_NK[:, entry.id] > 0).sum()))),
                Cell(words.number(entry.truth_pixels)),
                fraction_cell(entry.truth_pixels / pixels, words),
            ],
        )
        for entry in classes
        if entry.truth_pixels
    ]
    absent = [entry.name for entry in classes if not entry.truth_pixels]
    head = [words("class"), words("shown in"), words("pixels"), words("pixel share")]
    caption = words("classes caption", images=words.number(content.floor.images))
    return joined(
        table(caption, head, rows, css="narrow"), note(words("absent", names=words.listed(absent))) if absent else ""
    )


# --- 2 model --------------------------------------------------------------------------------------------------------


def model_section(content: Content, words: Words) -> Markup:
    """Return what was trained."""
    rows = {
        "architecture": [trained.run.config.architecture for trained in content.trained],
        "parameters": [_parameters(trained, words) for trained in content.trained],
        "output stride": [str(trained.run.config.output_stride) for trained in content.trained],
        "init": [words(f"init {trained.init}") for trained in content.trained],
        "aux head": [words("yes" if trained.run.config.aux_weight > 0 else "no") for trained in content.trained],
        "num classes": [words.number(len(content.floor.classes))] * len(content.trained),
        "preprocessing": [_preprocessing(trained.run.config, words) for trained in content.trained],
    }
    return section(
        2, "model", words("model"), paragraphs(words("model intro")),
        _beside(words("model caption"), content, {words(key): values for key, values in rows.items()}, words),
    )  # fmt: skip


def _beside(caption: str, content: Content, rows: dict[str, list[str]], words: Words) -> Markup:
    """Return facts of one run, or those of several runs side by side, those that differ marked."""
    if len(content.trained) == 1:
        return facts(caption, [(name, values[0]) for name, values in rows.items()])
    names = [trained.name for trained in content.trained]
    marked = [
        (f"{name} •" if len(set(values)) > 1 else name, [text_cell(value) for value in values])
        for name, values in rows.items()
    ]
    return joined(table(caption, [words("setting"), *names], marked, css="beside"), note(words("settings note")))


def _parameters(trained: Trained, words: Words) -> str:
    return words.number(trained.log.legs[-1].num_params) if trained.log.legs else words("unknown")


def _preprocessing(config: TrainingConfig, words: Words) -> str:
    mean, std = ("; ".join(words.number(value, 3) for value in values) for values in (IMAGE_MEAN, IMAGE_STD))
    geometry = words(f"geometry {config.geometry}", size=config.image_size)
    return words("preprocessing text", geometry=geometry, mean=mean, std=std)


# --- 3 training -----------------------------------------------------------------------------------------------------


def training_section(content: Content, words: Words) -> Markup:
    """Return settings, legs, curves and the table of epochs of every run."""
    logged = [trained for trained in content.trained if trained.log.legs]
    parts = [words("not logged", run=trained.name) for trained in content.trained if not trained.log.legs]
    counts = [
        words(
            "train images", run=trained.name, train=words.number(leg.num_train_images),
            val=words.number(leg.num_val_images), steps=words.number(leg.steps_per_epoch),
        )
        for trained in logged for leg in trained.log.legs[-1:]
    ]  # fmt: skip
    return section(
        3, "training", words("training"),
        paragraphs(words("training intro"), *counts, *parts),
        *(note(words("note", run=trained.name, note=trained.run.note))
          for trained in content.trained if trained.run.note),
        _curves(content, words) if any(trained.log.epochs for trained in logged) else "",
        *(_legs(trained, words) for trained in logged),
        _settings(content, words),
        *(_epochs(trained, words) for trained in logged if trained.log.epochs),
    )  # fmt: skip


def _settings(content: Content, words: Words) -> Markup:
    configs: list[dict[str, Any]] = [
        {**trained.run.config.as_dict(), "epochs": runs.target_epochs(trained.run, trained.log)}
        for trained in content.trained
    ]
    rows = {words.setting(name): [words.value(config[name]) for config in configs] for name in configs[0]}
    return _beside(words("settings caption"), content, rows, words)


def _legs(trained: Trained, words: Words) -> Markup:
    head = [words(key) for key in LEG_COLUMNS]
    rows = [(str(number), _leg_cells(leg, words)) for number, leg in enumerate(trained.legs, start=1)]
    return table(words("legs caption", run=trained.name), head, rows)


def _leg_cells(leg: Leg, words: Words) -> list[Cell]:
    began = datetime.fromtimestamp(leg.started.time_s).astimezone()
    numbers = [epoch.epoch for epoch in leg.epochs]
    reached = words("epoch range", first=numbers[0], last=numbers[-1]) if numbers else words("no epochs")
    processes = leg.started.num_processes
    device = leg.started.device
    return [
        text_cell(words.moment(began)),
        text_cell(reached),
        text_cell(words.duration(leg.seconds) if leg.epochs else MISSING),
        Cell(words.number(leg.seconds_per_epoch, 1), leg.seconds_per_epoch),
        Cell(words.number(leg.images_per_second, 1), leg.images_per_second),
        text_cell(leg.started.precision),
        text_cell(device if processes == 1 else words("processes text", device=device, count=processes)),
    ]


def _curves(content: Content, words: Words) -> Markup:
    loss, miou = _series(content, words)
    dividers = sorted({leg.epochs_done for t in content.trained for leg in t.log.legs if leg.epochs_done})
    floors = {t.log.legs[-1].floor.get("miou") for t in content.trained if t.log.legs}
    floor = floors.pop() if len(floors) == 1 else None
    after = f" {words('leg mark')}" if dividers else ""
    legs = words("loss figure"), words("miou figure")
    color = "s0" if len(content.trained) == 1 else ""
    kinds = [
        (swatch(color, is_line=True), words("train short")),
        (swatch(color, is_line=True, is_dashed=True), words("val short")),
    ]
    named = [(swatch(f"s{k % NUM_COLORS}", is_line=True), trained.name) for k, trained in enumerate(content.trained)]
    several = named if len(named) > 1 else []
    drawn = [
        line_chart(legs[0], loss, x_title=words("epoch"), write=_writer(loss, words), dividers=dividers),
        line_chart(legs[1], miou, x_title=words("epoch"), write=lambda y: f"{words.number(100 * y)} %", floor=floor,
                   dividers=dividers),
    ]  # fmt: skip
    floor_entry = [(swatch("floor", is_line=True), words("floor"))] if floor is not None else []
    return tag(
        "div",
        figure(drawn[0], f"{legs[0]}.{after}", legend([*kinds, *several])),
        figure(drawn[1], f"{legs[1]}.{after}", legend([*several, *floor_entry])),
        class_="pair",
    )


def _writer(series: Sequence[Series], words: Words) -> Any:
    highest = max((y for line in series for _, y in line.points if y is not None), default=1.0)
    digits = 1 if highest > 1 else 2
    return lambda y: words.number(y, digits)


def _series(content: Content, words: Words) -> tuple[list[Series], list[Series]]:
    loss, miou = [], []
    for k, trained in enumerate(content.trained):
        epochs = trained.log.epochs
        marked = frozenset(float(j.epoch) for j in content.of_run(trained) if j.epoch and not j.step_in_epoch)
        loss.append(Series(f"{trained.name}, {words('train short')}", k, [(e.epoch, e.train_loss) for e in epochs]))
        loss.append(Series(f"{trained.name}, {words('val short')}", k, [(e.epoch, e.val_loss) for e in epochs],
                           is_dashed=True))  # fmt: skip
        miou.append(Series(trained.name, k, [(e.epoch, e.miou) for e in epochs], marked=marked))
    return loss, miou


def _epochs(trained: Trained, words: Words) -> Markup:
    epochs, best = trained.log.epochs, trained.log.best_epoch
    stride = -(-len(epochs) // MAX_EPOCH_ROWS)
    kept = [e for e in epochs if e is best or e is epochs[-1] or e.epoch % stride == 0]
    floor = trained.log.legs[-1].floor
    caption = words(
        "epochs caption", run=trained.name, miou=words.percent(floor.get("miou")),
        accuracy=words.percent(floor.get("pixel_accuracy")),
    )  # fmt: skip
    head = ["epoch", "train loss", "val loss", "miou", "pixel_accuracy", "seconds"]
    names = [f"{words(key)} (%)" if key in ("miou", "pixel_accuracy") else words(key) for key in head]
    rows = [(str(epoch.epoch), _epoch_cells(epoch, words, is_best=epoch is best)) for epoch in kept]
    thinned = f" {words('epochs thinned', stride=stride)}" if stride > 1 else ""
    return joined(table(caption, names, rows, css="epochs"), note(words("best mark") + thinned))


def _epoch_cells(epoch: Epoch, words: Words, *, is_best: bool) -> list[Cell]:
    return [
        Cell(words.number(epoch.train_loss, 3), epoch.train_loss),
        Cell(words.number(epoch.val_loss, 3), epoch.val_loss),
        fraction_cell(epoch.miou, words, css="best" if is_best else None),
        fraction_cell(epoch.pixel_accuracy, words),
        Cell(words.number(epoch.seconds, 1), epoch.seconds),
    ]
