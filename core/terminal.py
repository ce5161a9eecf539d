"""The terminal: progress on stderr (a bar if it is a terminal), results as tables."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, TextIO

from tqdm import tqdm

from core import jobs
from core.classes import NUMBERED
from core.jobs import OnProgress
from core.training.run.records import (
    Checkpoint,
    Epoch,
    Preflight,
    Preparing,
    Record,
    RunEnded,
    RunStarted,
    Step,
    Validating,
    Warned,
)
from core.wording import count, duration

Document = dict[str, Any]

NOTABLE_SHARE = 0.1
"""Share of the processors that other programs take, from which on a timing mentions it."""


@contextmanager
def closed_pipe_ignored(stream: TextIO) -> Iterator[None]:
    """Ignore that the reader of stdout or stderr has gone, as `| head` does; later output is discarded."""
    try:
        yield
        stream.flush()
    except BrokenPipeError:  # Python flushes again at exit and would print an error
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def say(line: str) -> None:
    """Print a line to stderr; stdout is for the result."""
    with closed_pipe_ignored(sys.stderr):
        tqdm.write(line, file=sys.stderr)  # above a bar that is drawn


@contextmanager
def progress_bar(what: str, unit: str) -> Iterator[OnProgress]:
    """Yield a callback for progress that moves a bar on stderr, if that is a terminal; bytes (B) are shown as MB."""
    with tqdm(desc=what, unit=unit, unit_scale=unit == "B", disable=None, file=sys.stderr, leave=False) as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield show


@contextmanager
def reporting(what: str, unit: str, job: Path | None) -> Iterator[OnProgress]:
    """Yield a callback for progress that moves a bar and, given a job's folder, writes the job's progress."""
    with progress_bar(what, unit) as show, jobs.running(job) if job else nullcontext() as note:

        def on_progress(done: int, total: int) -> None:
            show(done, total)
            if note:
                note(done, total)

        yield on_progress


class TrainingProgress:
    """Shows the records of a training: a bar over all steps, a line for every other event."""

    def __init__(self, name: str) -> None:
        self._bar: tqdm[Any] = tqdm(desc=name, unit="step", disable=None, file=sys.stderr, leave=False)
        self._floor: float | None = None
        self._epochs = 0

    def close(self) -> None:
        """Remove the bar."""
        self._bar.close()

    def show(self, record: Record) -> None:
        """Show one record."""
        match record:
            case Preparing():
                self._bar.set_postfix_str(f"{record.doing}: {record.done}/{record.total}")
            case Preflight():
                say(f"A step, a checkpoint and an evaluation were tried in {record.seconds:.0f} s")
            case RunStarted():
                self._start(record)
            case Step():
                self._bar.update(record.step - self._bar.n)
                self._bar.set_postfix(loss=f"{record.loss:.3f}", images_per_s=f"{record.images_per_second:.1f}")
            case Validating():
                self._bar.set_postfix(validating=f"{record.image}/{record.images}")
            case Epoch():
                say(self._epoch_line(record))
            case Checkpoint():
                say(f"  {record.file} saved and verified, {record.size_bytes / 1e6:.0f} MB")
            case Warned():
                say(f"  warning: {record.message}")
            case RunEnded():
                say(f"{record.outcome}: {record.reason}")

    def advise(self, sentence: str) -> None:
        """Show a sentence about the run's health."""
        say(f"  health: {sentence}")

    def _start(self, started: RunStarted) -> None:
        self._epochs = int(started.config["epochs"])
        self._floor = started.floor["miou"]
        self._bar.total = self._epochs * started.steps_per_epoch
        self._bar.update(started.steps_done)
        say(
            f"{started.num_train_images:,} training and {count(started.num_val_images, 'validation photo')}, "
            f"{count(started.num_params, 'parameter')}, {started.precision} on {started.device}"
        )

    def _epoch_line(self, epoch: Epoch) -> str:
        floor = "" if self._floor is None else f" (floor {_percent(self._floor)})"
        return (
            f"epoch {epoch.epoch}/{self._epochs}  loss {epoch.train_loss:.3f}  "
            f"mIoU {_percent(epoch.miou)}{floor}  {epoch.images_per_second:.1f} images/s  {epoch.seconds:.0f} s"
        )


def _percent(fraction: float | None) -> str:
    return "-" if fraction is None else f"{100 * fraction:.1f} %"


def show_demo(document: Document) -> str:
    """Return the demo's run, data and scores."""
    lines = [f"Run   {document['run']}", f"Data  {document['data']}", f"{count(document['epochs'], 'epoch')} done"]
    for epochs, scores in document["scores"].items():
        lines.append(f"  after {count(int(epochs), 'epoch')}: mIoU {_percent(scores['miou'])}{_floor_of(scores)}")
    return "\n".join(lines)


def _floor_of(scores: Document, name: str = "miou") -> str:
    return f" (background everywhere: {_percent(scores['floor'][name])})"


def show_train(document: Document) -> str:
    """Return how a training ended."""
    scores = document["scores"]
    result = f", mIoU {_percent(scores['miou'])}{_floor_of(scores)}" if scores else ""
    return f"{document['outcome']} after {count(document['epochs_done'], 'epoch')}{result}\n{document['run']}"


def show_estimate(document: Document) -> str:
    """Return how long a training would take, and the alternatives with their drawbacks."""
    step = f"{document['seconds_per_step']:.2f} s a step of {count(document['batch_size'], 'photo')}"
    extrapolated = " (extrapolated from smaller batches)" if document["is_extrapolated"] else ""
    photos = f"{document['num_train_images']:,} training and {count(document['num_val_images'], 'validation photo')}"
    epochs = f"{count(document['epochs'], 'epoch')} of {duration(document['seconds_per_epoch'])}"
    lines = [
        f"{duration(document['total_seconds'])} for {epochs}: {photos}",
        f"{step}{extrapolated}, {document['precision']} on {document['device']}",
    ]
    if document["alternatives"]:
        lines.append(f"{'instead':<24}{'in all':>14}{'ratio':>8}  what it gives up")
    lines += [
        f"{a['label']:<24}{duration(a['total_seconds']):>14}{a['ratio']:>8.2f}  {a['gives_up']}"
        for a in document["alternatives"]
    ]
    if document["left_out"]:
        lines.append(f"not timed: {', '.join(document['left_out'])}")
    if document["others_share"] > NOTABLE_SHARE:
        lines.append(f"Other programs took {_percent(document['others_share'])} of the processors meanwhile.")
    return "\n".join(lines)


def show_doctor(document: Document) -> str:
    """Return the findings, errors first, and the changes of the repaired copy, if there is one."""
    examined = f"{count(document['images'], 'photo')} and {count(document['masks'], 'mask')} examined"
    lines = [f"{examined}." if document["findings"] else f"{examined}: nothing found."]
    for severity in ("error", "warning"):
        found = [finding for finding in document["findings"] if finding["severity"] == severity]
        lines += [count(len(found), severity)] if found else []
        lines += [f"  {f['kind']:<24}{f['file']} ({f['split'] or 'no split'})\n{'':26}{f['detail']}" for f in found]
    return "\n".join(lines + _repaired(document.get("repaired")))


def _repaired(copy: Document | None) -> list[str]:
    if copy is None:
        return []
    lines = [f"{count(copy['images'], 'pair')} in the repaired copy, {count(len(copy['changes']), 'change')}"]
    lines += [f"  {c['action']:<18}{c['file']}: {c['detail']}" for c in copy["changes"]]
    return [*lines, copy["data"]]


def show_stats(document: Document) -> str:
    """Return a table of the photos and classes of a split."""
    floor = document["floor"]
    photos, pixels = count(document["images"], "photo"), count(document["pixels"], "pixel")
    lines = [
        f"{photos}, {pixels}, {_percent(document['void_share'])} void",
        f"background everywhere: {_percent(floor['pixel_accuracy'])} pixel accuracy, {_percent(floor['miou'])} mIoU",
        f"{'class':<16}{'photos':>8}{'objects':>9}{'share':>10}",
    ]
    lines += [
        f"{c['name']:<16}{c['images']:>8}{c['objects'] or '-':>9}{_percent(c['share']):>10}"
        for c in document["classes"]
        if c["images"]
    ]
    named = [] if [c["name"] for c in document["classes"]] == list(NUMBERED.names) else document["classes"]
    absent = [c["name"] for c in named if not c["images"]]
    return "\n".join(lines + ([f"absent: {', '.join(absent)}"] if absent else []))


def show_download(document: Document) -> str:
    """Return the place and splits of a downloaded data set."""
    splits = ", ".join(f"{name} {images:,}" for name, images in document["splits"].items())
    return f"{count(document['images'], 'photo')} with masks: {splits}\n{document['data']}"


def show_import(document: Document) -> str:
    """Return the classes, notes and place of an imported data set."""
    classes = [one["name"] if isinstance(one, dict) else one for one in document["classes"]]
    held = f"{count(document['images'], 'photo')} of {count(len(classes), 'class', 'classes')}: {', '.join(classes)}"
    return "\n".join([held, *(f"  {note}" for note in document["notes"]), document["data"]])


def show_export_labels(document: Document) -> str:
    """Return the place of the file for another tool, and what to do with it there."""
    return f"{count(document['photos'], 'photo')} in {document['file']}\n{document['next']}"


def show_evaluate(document: Document) -> str:
    """Return a table of scores beside the floor, and a warning if they are implausible."""
    if "corruptions" in document:
        return _show_corrupted(document)
    from core.metrics.guard import suspicion
    from core.metrics.scores import Scores

    speed = f"{document['images_per_second']:.1f} a second"
    speed += ", in int8" if document.get("number_format") == "int8" else ""
    lines = [
        f"{count(document['images'], 'photo')} of {document['split']}, {speed}",
        f"{'mIoU':<16}{_percent(document['miou']):>8}{_floor_of(document)}",
        f"{'pixel accuracy':<16}{_percent(document['pixel_accuracy']):>8}{_floor_of(document, 'pixel_accuracy')}",
    ]
    names = ("precision", "recall", "f1", "fw_iou", "boundary_iou", "boundary_f")
    lines += [f"{name.replace('_', ' '):<16}{_percent(document[name]):>8}" for name in names]
    lines += [f"  {c['name']:<14}{_percent(c['iou']):>8}" for c in document["classes"] if c["iou"] is not None]
    if odd := suspicion(Scores.from_dict(document)):
        lines.append(f"Do not believe these scores yet: {odd.cause}.")
    return "\n".join(lines)


def _show_corrupted(document: Document) -> str:
    """Return mIoU by corruption and level, and which hurts most."""
    clean, rows, of = (
        document["clean"],
        document["corruptions"],
        f"the {document['split_images']:,} of {document['split']}",
    )
    lines = [
        f"{count(document['images'], 'photo')} of {of}; level 0: mIoU {_percent(clean['miou'])}{_floor_of(clean)}",
        f"{'level':<12}{'1':>8}{'2':>8}{'3':>8}{'4':>8}{'5':>8}{'mean':>8}",
    ]
    for row in rows:
        values = [*(level["miou"] for level in row["levels"]), row["mean_miou"]]
        lines.append(f"{row['name']:<12}" + "".join(f"{_percent(value):>8}" for value in values))
    if known := [row for row in rows if row["mean_miou"] is not None]:
        lines.append(f"It loses most under {min(known, key=lambda row: row['mean_miou'])['name']}.")
    return "\n".join([*lines, document["stored_in"]])


def show_compare(document: Document) -> str:
    """Return the verdict, both scores beside the floor, and the images that gained and lost most."""
    lines = [f"{document['sentence']}."]
    lines += [f"  {side.upper()}  {_percent(document[side]['miou']):>8}{_floor_of(document[side])}" for side in "ab"]
    for kind in ("winners", "losers"):
        lines.append(f"{kind}:" if document[kind] else f"no {kind}")
        lines += [
            f"  {image['image']}  {_percent(image['a'])} -> {_percent(image['b'])}" for image in document[kind][:5]
        ]
    return "\n".join(lines)


def show_report(document: Document) -> str:
    """Return the files of the report."""
    return "\n".join(document[key] for key in ("file", "tables") if key in document)


def show_segment(document: Document) -> str:
    """Return the classes in each photo, and the files written."""
    lines = []
    for photo in document["photos"]:
        shares = ", ".join(f"{c['name']} {_percent(c['share'])}" for c in photo["classes"])
        files = [photo["mask"], photo["overlay"], *photo.get("cutouts", [])]
        lines += [f"{photo['file']}: {shares}", *(f"  {file}" for file in files)]
    return "\n".join(lines + [document[key] for key in ("polygons", "csv", "zip") if key in document])


def show_bench(document: Document) -> str:
    """Return the ratios of the benchmarks; the last line is the JSON document."""
    ratios = [f"{name:<32}{ratio:6.2f} x" for name, ratio in document["ratios"].items()]
    return "\n".join([f"against the report's loop, on {document['device']}", *ratios, json.dumps(document)])
