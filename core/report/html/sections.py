"""The sections' rows, charts, warnings and commands, made from the report's content."""

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from markupsafe import Markup

from core.home import demo_dir
from core.metrics.guard import floor_hits, suspicion
from core.report.content import Content, ReportedRun
from core.report.html.charts import NUM_COLORS, Line, LineChart
from core.report.language.words import Words
from core.report.tables import scored_classes
from core.study.findings import learning_curves, sentences
from core.study.learning_curve import sentence as curve_sentence
from core.training.demo_run import is_demo
from core.training.run import folders
from core.training.run.folders import Run
from core.training.run.log import RunLog
from core.training.run.milestones import is_chosen
from core.training.run.records import Epoch
from core.training.settings.config import TrainingConfig
from core.training.settings.presets import preset
from core.voc import IMAGE_MEAN, IMAGE_STD
from core.windows import command_line

MAX_EPOCH_ROWS = 50
MAX_OPENINGS = 50

Rows = list[tuple[str, list[str]]]
"""Names, each with a value for every run."""


def is_of_demo(content: Content) -> bool:
    """Return whether the data are the demo's drawn scenes."""
    return Path(content.evaluation.data) == demo_dir()


def openings(content: Content, words: Words) -> list[tuple[str, str, str]]:
    """Return when the test split was opened, for which checkpoint, and by whom; the last `MAX_OPENINGS`."""
    return [
        (words.moment(datetime.fromtimestamp(each.time_s).astimezone()), "/".join(Path(each.checkpoint).parts[-2:]),
         words(f"by {each.by}"))
        for each in (content.openings or ())[-MAX_OPENINGS:]
    ]  # fmt: skip


def study_verdicts(content: Content, words: Words) -> list[str]:
    """Return a sentence for each recipe of the study against the first."""
    if content.study is None:
        return []
    labels = [words.recipe(each.recipe) for each in content.study.recipes]
    return [f"{text}." for text in sentences(content.study, labels, words.language)]


def study_curves(content: Content, words: Words) -> list[str]:
    """Return for each recipe with a learning curve a sentence on what twice as many images would add."""
    curves = learning_curves(content.study) if content.study else []
    return [f"{words.recipe(recipe)}: {curve_sentence(curve, words.language)}." for recipe, curve in curves]


def chosen_labels(content: Content, words: Words) -> list[str]:
    """Return the names of the checkpoints that were chosen by their scores on the split that is reported."""
    named = zip(words.labels(content), content.checkpoints, strict=True)
    return [label for label, checkpoint in named if is_chosen(checkpoint.file, content.split)]


def model(content: Content, words: Words) -> Rows:
    """Return the facts about the models."""
    values: dict[str, Callable[[ReportedRun, TrainingConfig], str]] = {
        "architecture": lambda _, config: _value(config.architecture, words),
        "parameters": lambda reported, _: (
            words.number(reported.log.legs[-1].num_params) if reported.log.legs else words("unknown")
        ),
        "output stride": lambda _, config: str(config.output_stride),
        "init": lambda reported, _: words(f"init {reported.init}"),
        "aux head": lambda _, config: words("yes" if config.aux_weight > 0 else "no"),
        "num classes": lambda *_: words.number(len(content.floor.classes)),
        "preprocessing": lambda _, config: _preprocessing(config, words),
    }
    return [(words(key), [value(each, each.run.config) for each in content.runs]) for key, value in values.items()]


def _preprocessing(config: TrainingConfig, words: Words) -> str:
    mean, std = ("; ".join(words.number(value, 3) for value in values) for values in (IMAGE_MEAN, IMAGE_STD))
    geometry = words(f"geometry {config.geometry}", size=config.image_size)
    return words("preprocessing text", geometry=geometry, mean=mean, std=std)


def settings(content: Content, words: Words) -> Rows:
    """Return every setting; the number of epochs is the one last asked for."""
    configs: list[dict[str, Any]] = [
        {**reported.run.config.as_dict(), "epochs": folders.target_epochs(reported.run, reported.log)}
        for reported in content.runs
    ]
    return [(words.settings[name], [_value(config[name], words) for config in configs]) for name in configs[0]]


def _value(value: Any, words: Words) -> str:
    """Return the value of a setting; a word, which the command takes as it is, is set as code in every language."""
    return Markup("<code>{}</code>").format(value) if isinstance(value, str) else words.value(value)


def curves(content: Content) -> tuple[LineChart, LineChart] | None:
    """Return loss and mean IoU over the epochs, with the evaluated checkpoints marked; None without an epoch."""
    logged = [reported for reported in content.runs if reported.log.legs]
    if not any(reported.log.epochs for reported in logged):
        return None
    loss, miou = [], []
    for k, reported in enumerate(content.runs):
        color, epochs = k % NUM_COLORS, reported.log.epochs
        marked = frozenset(float(j.epoch) for j in content.of_run(reported) if j.epoch and not j.step_in_epoch)
        loss.append(Line(color, [(e.epoch, e.train_loss) for e in epochs]))
        loss.append(Line(color, [(e.epoch, e.val_loss) for e in epochs], is_dashed=True))
        miou.append(Line(color, [(e.epoch, e.miou) for e in epochs], marked=marked))
    dividers = sorted({leg.epochs_done for reported in logged for leg in reported.log.legs if leg.epochs_done})
    floors = {reported.log.legs[-1].floor.get("miou") for reported in logged}
    return LineChart(loss, None, dividers), LineChart(miou, floors.pop() if len(floors) == 1 else None, dividers)


def shown_epochs(log: RunLog) -> tuple[int, list[Epoch]]:
    """Return a stride and the epochs for a table: each multiple of the stride, the best and the last."""
    stride = -(-len(log.epochs) // MAX_EPOCH_ROWS)
    best, last = log.best_epoch, log.epochs[-1]
    return stride, [e for e in log.epochs if e is best or e is last or e.epoch % stride == 0]


def warnings(content: Content, words: Words) -> list[str]:
    """Return the warnings: scores not above the floor and their likely cause, absent classes predicted, old scores."""
    said = []
    for label, checkpoint in zip(words.labels(content), content.checkpoints, strict=True):
        for hit in floor_hits(checkpoint.scores):
            written = {"value": words.percent(hit.value), "floor": words.percent(hit.floor)}
            said.append(words(f"{hit.place} the floor", label=label, score=words(f"score {hit.name}"), **written))
        if found := suspicion(checkpoint.scores):
            said.append(words("suspicion", label=label, cause=words(f"cause {found.kind}")))
        only_predicted = [entry.name for entry in checkpoint.scores.classes if entry.is_only_predicted]
        if only_predicted:
            said.append(words("invented", label=label, names=words.listed_classes(only_predicted)))
        if checkpoint.evaluation.is_old:
            said.append(words("old evaluation", label=label))
    return said


def bars(content: Content, words: Words) -> list[tuple[str, list[float | None], float | None]]:
    """Return for each scored class its name, the IoU of each checkpoint, and the floor's."""
    classes = content.floor.classes
    return [
        (
            words.class_name(classes[k].name),
            [each.scores.classes[k].iou for each in content.checkpoints],
            classes[k].iou,
        )
        for k in scored_classes(content)
    ]


def commands(content: Content, words: Words, options: Sequence[str] = ()) -> list[str]:
    """Return the commands that reproduce the runs, their scores and this report; `RUN` is a run's folder.

    `options` are those of the last command that say what stands at the report's head.
    """
    several = len(content.runs) > 1
    names = [f"checkpoints/RUN_{k + 1}" if several else "checkpoints/RUN" for k in range(len(content.runs))]
    is_drawn = is_of_demo(content) and not all(_is_remade_by_demo(each.run) for each in content.runs)
    lines = [f"python -m core demo   # {words('demo comment')}"] if is_drawn else []
    for reported, folder in zip(content.runs, names, strict=True):
        lines += _commands_of(reported, content, folder)
    folders_of = dict(zip((each.run.path for each in content.runs), names, strict=True))
    files = [f"{folders_of[each.run.path]}/{each.file.name}" for each in content.checkpoints]
    asked = ["--split", content.split] if content.split != "val" else []
    asked += ["--trust"] if content.trust else []
    return [
        *lines,
        command_line(["python", "-m", "core", "report", *files, "--language", words.language, *asked, *options]),
    ]


def _is_remade_by_demo(run: Run) -> bool:
    """Return whether `core demo` trains such a run today; the demo had other settings before."""
    return is_demo(run) and run.config == preset("demo")


def _commands_of(reported: ReportedRun, content: Content, folder: str) -> Sequence[str]:
    train = folders.commands(reported.run, reported.log, folder)
    on = command_line(["--data", content.evaluation.data, "--split", content.split])
    files = [f"{folder}/{checkpoint.file.name}" for checkpoint in content.of_run(reported)]
    lines = [*(["python -m core demo"] if _is_remade_by_demo(reported.run) else train)]
    lines += [f"python -m core evaluate {file} {on}" for file in files]
    if content.trust and content.trust.robustness:
        photos = len(content.trust.robustness[0].names)
        lines += [f"python -m core evaluate {file} {on} --corruptions --photos {photos}" for file in files]
    if content.trust:
        held_out = zip(content.checkpoints, content.trust.held_out, strict=True)
        counted = [each for each, found in held_out if found and each.run.path == reported.run.path]
        lines += [f"python -m core trust {folder}/{each.file.name} {on}" for each in counted]
    return lines
