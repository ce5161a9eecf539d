"""The commands doctor, stats, download, import and export-labels."""

import argparse
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.classes import CLASSES_FILE, NUMBERED
from core.commands.document import Add, Document, add_job
from core.errors import DataError
from core.files import write_json
from core.terminal import percent, progress_bar, reporting, say
from core.wording import count

if TYPE_CHECKING:
    from core.data.analysis import Analysis
    from core.data.dataset import Dataset
    from core.data.importers import Imported


def stats(arguments: argparse.Namespace) -> Document:
    """Count photos, sizes, classes and void of a split (or of all photos), and score the floor."""
    from core.data.dataset import open_dataset
    from core.data.images import read_pair

    if arguments.job:  # the dashboard shows what can be counted beside the doctor's findings
        return _analysed(arguments.data, arguments.job).stats().as_dict()
    dataset = open_dataset(arguments.data)
    names = [arguments.split] if arguments.split else [name for name, listed in dataset.splits.items() if listed]
    samples = {sample.name: sample for name in names for sample in dataset.split(name)}
    analysis = _analysed(arguments.data)
    counted = analysis.stats(arguments.split)
    for sample in (samples[name] for name in counted.left_out if name in samples):
        read_pair(sample.photo, sample.mask, dataset.num_classes)  # raises the error of a pair that was left out
    say_unnamed(dataset)
    for found in analysis.report.findings:
        if found.kind == "unread list":
            say(f"{analysis.report.root / found.file}: {found.detail}")
    return counted.as_dict()


def say_unnamed(data: "Dataset") -> None:
    """Print a note on a data set without class names."""
    if not data.has_named_classes:
        numbers = f"Nothing says what the classes of {data.root} are called, so they are numbers"
        say(f"{numbers}; name them in {CLASSES_FILE}.")


def doctor(arguments: argparse.Namespace) -> Document:
    """Find what is wrong with a data set and change nothing; --repair writes a mended copy."""
    if arguments.labels is not None:
        if arguments.repair is not None:
            raise DataError("--labels looks for label errors and --repair writes a copy; give one after the other.")
        return _with_labels(arguments)
    if arguments.repair is None:
        if arguments.split_anew:
            raise DataError("--split-anew writes lists into a repaired copy only; give --repair OUT too.")
        return _analysed(arguments.data, arguments.job).report.as_dict()
    from core.data.repair.repaired_copy import repair

    with reporting("repairing", "photo", arguments.job) as on_progress, _ended_as_by_ctrl_c():
        mended = repair(arguments.data, arguments.repair, on_progress, split_anew=arguments.split_anew)
    return mended.source.as_dict() | {"repaired": mended.as_dict()}


def _with_labels(arguments: argparse.Namespace) -> Document:
    """Return the doctor's report with the findings of a label review, which is stored for the page Dataset."""
    from core.data.dataset import open_dataset
    from core.review.label_review import as_findings, review_labels

    data = open_dataset(arguments.data)
    with reporting("reviewing labels", "photo", arguments.job) as on_progress, _ended_as_by_ctrl_c():
        review = review_labels(data, arguments.labels, on_progress)
    for note in review.notes:
        say(note)
    found, document = as_findings(data, review), _analysed(arguments.data).report.as_dict()
    document["findings"] += found
    document["counts"] |= {"label": len(found)} if found else {}
    worst = [{"file": name, "quality": round(quality, 4)} for name, quality in review.qualities.items()]
    return document | {"labels": {"models": list(review.models), "notes": list(review.notes), "photos": worst}}


def _analysed(path: Path, job: Path | None = None) -> "Analysis":
    """Read every pair, or the stored analysis; reports progress to the terminal, and to a job."""
    from core.data.analysis import analyse

    with reporting("reading", "photo", job) as on_progress:
        return analyse(path, on_progress)


def download(arguments: argparse.Namespace) -> Document:
    """Download PASCAL VOC 2012 (2 GB) and unpack it; an interrupted download is resumed."""
    from core.data.dataset import open_dataset
    from core.data.voc2012 import claim, download_voc, job_dir, known_urls, unpack_voc

    folder = arguments.job or job_dir()
    with progress_bar("VOC 2012", "B") as show, claim(folder) as note, _ended_as_by_ctrl_c():

        def on_progress(done: int, total: int) -> None:
            show(done, total)
            note(done, total)

        if arguments.tar:
            root = unpack_voc(arguments.tar, on_progress=on_progress)
        else:
            root = download_voc(urls=(*arguments.mirror, *known_urls()), on_progress=on_progress)
    splits = open_dataset(root).splits
    names = {sample.name for samples in splits.values() for sample in samples}
    sizes = {name: len(samples) for name, samples in splits.items()}
    return {"data": str(root), "images": len(names), "splits": sizes}


def import_(arguments: argparse.Namespace) -> Document:
    """Convert another tool's annotations to a new data set; the source stays as it is."""
    from core.data.importers import import_data, incoming, parse_classes

    with reporting("importing", "photo", arguments.job) as on_progress, _ended_as_by_ctrl_c():
        imported = import_data(
            arguments.format,
            arguments.source,
            arguments.out,
            photos=arguments.photos,
            table=arguments.table,
            masks=arguments.masks,
            names=arguments.names,
            classes=parse_classes(arguments.classes),
            on_progress=on_progress,
        )
        document = _as_document(imported, has_pixels=arguments.format == "auto")
        if arguments.job:
            # Before the job is over: then the dashboard reads it.
            write_json(arguments.job / incoming.DOCUMENT, document)
            incoming.forget_upload(arguments.source)
    return document


def _as_document(imported: "Imported", *, has_pixels: bool) -> Document:
    classes: list[Any] = list(imported.classes.names)
    if has_pixels:
        counted = zip(classes, imported.pixels, strict=True)
        classes = [{"id": at, "name": name, "pixels": pixels} for at, (name, pixels) in enumerate(counted)]
    held = {"format": imported.format, "images": imported.images, "classes": classes, "splits": imported.splits}
    return {"data": str(imported.root), **held, "notes": list(imported.notes)}


def export_labels(arguments: argparse.Namespace) -> Document:
    """Write the masks that were drawn on the page Label, or a model's proposals, for CVAT or Label Studio."""
    from core.data.exporters import NEXT_STEPS, export_labels
    from core.data.labelling import open_label_set

    label_set = open_label_set(arguments.data)
    with progress_bar("exporting", "photo") as on_progress, _ended_as_by_ctrl_c():
        exported = export_labels(
            label_set, arguments.format, arguments.out, proposals=arguments.proposals, on_progress=on_progress
        )
    held = {"file": str(exported.file), "format": arguments.format, "photos": exported.photos}
    return held | {"classes": list(label_set.classes.names), "next": NEXT_STEPS[arguments.format](label_set.classes)}


@contextmanager
def _ended_as_by_ctrl_c() -> Iterator[None]:
    """End the block with `KeyboardInterrupt` on SIGTERM too, so that no half-written folder stays.

    Ctrl-C is set as well: a shell starts background commands with Ctrl-C ignored.
    """
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = [signal.signal(number, signal.default_int_handler) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


class _ImportFormats:
    """The names of the formats, for the help alone: reading them takes NumPy, which the other commands may not need."""

    def __str__(self) -> str:
        """Return the names, divided by commas."""
        from core.data.importers import IMPORTERS

        return ", ".join(IMPORTERS)


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
        f"{photos}, {pixels}, {percent(document['void_share'])} void",
        f"background everywhere: {percent(floor['pixel_accuracy'])} pixel accuracy, {percent(floor['miou'])} mIoU",
        f"{'class':<16}{'photos':>8}{'objects':>9}{'share':>10}",
    ]
    lines += [
        f"{c['name']:<16}{c['images']:>8}{c['objects'] or '-':>9}{percent(c['share']):>10}"
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


def add_to(add: Add) -> None:
    """Declare the arguments."""
    command = add(doctor, show_doctor, "doctor datasets/demo --repair datasets/mended")
    command.add_argument("data", type=Path, metavar="DIR", help="data set")
    command.add_argument("--repair", type=Path, metavar="OUT", help="new folder for a mended copy")
    command.add_argument(
        "--labels",
        type=Path,
        metavar="BY",
        help="label errors too, by a study, a run or a checkpoint that did not train on them",
    )
    command.add_argument("--split-anew", action="store_true", help="split train and val of the copy again, stratified")
    add_job(command)

    command = add(stats, show_stats, "stats datasets/demo --split val")
    command.add_argument("data", type=Path, metavar="DIR", help="data set")
    command.add_argument("--split", metavar="S", help="count this split alone")
    add_job(command)

    command = add(download, show_download, "download")
    source = command.add_mutually_exclusive_group()
    source.add_argument("--tar", type=Path, metavar="FILE", help="unpack this tar of VOC 2012 instead")
    source.add_argument(
        "--mirror", action="append", default=[], metavar="URL", help="try this address first; may be repeated"
    )
    add_job(command)

    command = add(import_, show_import, "import auto export.zip --out datasets/mine")
    command.add_argument("format", metavar="FORMAT", help="auto, or one of %(default)s", default=_ImportFormats())
    command.add_argument("source", type=Path, metavar="SOURCE", help="file, folder, zip or tar of the annotations")
    command.add_argument("--out", type=Path, required=True, metavar="DIR", help="new folder for the data set")
    command.add_argument("--photos", type=Path, metavar="DIR", help="folder of the photos, if they lie elsewhere")
    command.add_argument("--masks", metavar="WHAT", help="folder of the masks in SOURCE, or the ending of their names")
    command.add_argument(
        "--names",
        metavar="SET",
        help="names of ade20k, cityscapes, cityscapes-train, camvid, pet or loveda; the attribute of VIA's regions",
    )
    command.add_argument("--table", type=Path, metavar="FILE", help="table of colours or classes, or JSON export")
    command.add_argument(
        "--classes", action="append", default=[], metavar="WHAT=NAME,...",
        help="what values of masks, or classes of SOURCE, are called: 85=leaf,170=stem #8b5a2b,255=void",
    )  # fmt: skip
    add_job(command)

    command = add(export_labels, show_export_labels, "export-labels datasets/mine --format cvat --out mine.zip")
    command.add_argument("data", type=Path, metavar="DIR", help="data set")
    command.add_argument("--format", required=True, metavar="FORMAT", help="cvat or label-studio")
    command.add_argument("--out", type=Path, required=True, metavar="FILE", help="new zip or JSON file")
    command.add_argument("--proposals", action="store_true", help="proposals for unlabelled photos instead")
