"""The formats by name, which of them a source is in, and the one way to import them."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from core.data.importers.archive import is_archive, unpacked
from core.data.importers.masks.class_masks import plan_class_masks, recognise_class_masks
from core.data.importers.masks.color_table import plan_color_table, recognise_color_table, refuse_table
from core.data.importers.masks.id_masks import plan_id_masks, recognise_id_masks, unknown_values
from core.data.importers.masks.value_names import values_called
from core.data.importers.notes import Notes, printable
from core.data.importers.objects.coco import plan_coco, plan_coco_panoptic, recognise_coco, recognise_coco_panoptic
from core.data.importers.objects.cvat_xml import plan_cvat_xml, recognise_cvat_xml, refuse_cvat_xml
from core.data.importers.objects.json_file import read_json, refuse_unread
from core.data.importers.objects.label_studio import plan_label_studio, recognise_label_studio
from core.data.importers.objects.labelme import plan_labelme, recognise_labelme
from core.data.importers.objects.supervisely import plan_supervisely, recognise_supervisely
from core.data.importers.objects.via import plan_via, recognise_via, refuse_version_3
from core.data.importers.objects.yolo_seg import plan_yolo, recognise_yolo
from core.data.importers.photo_folder import files_in, picture_folders
from core.data.importers.plan import Plan, Source, Value, with_classes
from core.data.importers.preview import Preview, preview_of
from core.data.importers.source_splits import with_listed_splits
from core.data.importers.writer import Imported, write_dataset
from core.errors import DataError
from core.jobs import OnProgress

AUTO = "auto"


@dataclass(frozen=True)
class Format:
    """What a person calls a format, how it is recognised (what speaks for it, None where nothing does) and read.

    `options` are the fields of `Source` that it reads; every format reads `classes` too.
    """

    title: str
    recognise: Callable[[Source], str | None]
    plan: Callable[[Source, Notes], Plan]
    options: tuple[str, ...] = ("photos",)


IMPORTERS = {
    "coco": Format("COCO JSON", recognise_coco, plan_coco),
    "coco-panoptic": Format("COCO panoptic", recognise_coco_panoptic, plan_coco_panoptic),
    "labelme": Format("labelme", recognise_labelme, plan_labelme),
    "label-studio": Format("Label Studio", recognise_label_studio, plan_label_studio, ("photos", "table")),
    "cvat-xml": Format("CVAT's XML for images", recognise_cvat_xml, plan_cvat_xml),
    "yolo-seg": Format("YOLO's polygons", recognise_yolo, plan_yolo, ("photos", "table")),
    "supervisely": Format("Supervisely", recognise_supervisely, plan_supervisely),
    "via": Format("VGG Image Annotator", recognise_via, plan_via, ("photos", "names")),
    "class-masks": Format("One mask for each class", recognise_class_masks, plan_class_masks, ("photos", "table")),
    "color-table": Format(
        "Masks in colours, with a table", recognise_color_table, plan_color_table, ("photos", "masks", "table")
    ),
    "id-masks": Format("Masks of ids", recognise_id_masks, plan_id_masks, ("photos", "masks", "names", "table")),
}


EXPORT_OTHERWISE = {
    ".tfrecord": "TFRecord files; export COCO JSON or masks",
    ".ndjson": "Labelbox's NDJSON; convert it to COCO JSON with Labelbox's own tools",
    ".mat": "MATLAB files; save the masks as PNG",
    ".nii": "NIfTI volumes; save their slices as PNG",
    ".gz": "compressed files; unpack them, and save volumes as PNG slices",
    ".dcm": "DICOM files; save the photos and masks as PNG",
    ".h5": "HDF5 files; save the photos and masks as PNG",
    ".parquet": "Parquet files; save the photos and masks as PNG",
    ".7z": "a 7z archive; unpack it first",
    ".rar": "a RAR archive; unpack it first",
    ".zip": "an archive in it; unpack it first, or name the archive itself",
    ".tar": "an archive in it; unpack it first, or name the archive itself",
    ".001": "a part of an archive; join the parts, or unpack them, first",
    ".z01": "a part of an archive; join the parts, or unpack them, first",
}
"""What is known and not read, and what to do instead."""


def import_data(
    format: str,  # noqa: A002  the word of the command line
    source: Path,
    out: Path,
    *,
    on_progress: OnProgress | None = None,
    **options: Any,
) -> Imported:
    """Turn annotations of another tool into a new data set in VOC's layout; the source stays as it is.

    `format` is one of `IMPORTERS`, or `auto` to recognise it. `source` is the file, folder or archive of annotations,
    `options` are the other fields of `Source`. `out` must not exist, or be empty, and lies outside of `source` and
    `photos`. One photo is in memory at a time; `on_progress(done, total)` is called after each.

    Whatever is wrong with what was named or is in it raises `DataError`, and nothing is written.
    """
    named = Source(source, **options)
    _refuse_missing(format, named)
    _refuse_within(out, source, named.photos)
    notes = Notes()
    with _planned(format, named, notes) as (name, plan, _evidence):
        return replace(write_dataset(plan, out, notes, on_progress), format=name)


def preview_data(
    format: str,  # noqa: A002
    source: Source,
) -> Preview:
    """Return what an import would bring, without writing anything; what is wrong raises `DataError`."""
    _refuse_missing(format, source)
    notes = Notes()
    with _planned(format, source, notes) as (name, plan, evidence):
        return preview_of(plan, name, evidence, notes)


@dataclass(frozen=True)
class Contents:
    """What a folder, file or archive may be, with what speaks for it, and its folders with their pictures.

    `preview` is that of the one format it may be in, None where there are several, or none, or something is wrong.
    """

    readings: dict[str, str]
    folders: dict[str, int]
    preview: Preview | None


def contents_of(source: Source) -> Contents:
    """Return what a source may be and holds, unpacked once; an archive that cannot be unpacked raises `DataError`."""
    _refuse_missing(AUTO, source)
    notes = Notes()
    with _opened(source, notes) as opened:
        readings = recognised(opened)
        preview = None
        with suppress(DataError):  # which `preview_data` raises
            for name, evidence in readings.items() if len(readings) == 1 else ():
                plan = with_listed_splits(_plan(name, opened, notes), opened.path, notes)
                preview = preview_of(plan, name, evidence, notes)
        return Contents(readings, picture_folders(opened.path), preview)


def values_to_name(source: Source) -> tuple[Value, ...]:
    """Return the values of masks of ids that cannot be imported before a person says what they are."""
    with _opened(source, Notes()) as opened:
        return unknown_values(opened)


def recognised(source: Source) -> dict[str, str]:
    """Return the formats that a folder or file may be in, each with what speaks for it."""
    found = {name: known.recognise(source) for name, known in IMPORTERS.items()}
    return {name: evidence for name, evidence in found.items() if evidence}


@contextmanager
def _planned(name: str, source: Source, notes: Notes) -> Iterator[tuple[str, Plan, str]]:
    """Yield the format, the plan and the evidence while the archive is unpacked; an error carries the notes."""
    try:
        with _opened(source, notes) as opened:
            evidence = ""
            if name == AUTO:
                name, evidence = _recognised_alone(opened, source.path)
            _refuse_unread(name, source)
            plan = _plan(name, opened, notes)
            if opened.classes and not (name == "id-masks" and values_called(opened)):
                plan = with_classes(plan, opened, notes)
            yield name, with_listed_splits(plan, opened.path, notes), evidence
    except DataError as error:
        raise DataError(notes.after(str(error))) from error


def _plan(name: str, source: Source, notes: Notes) -> Plan:
    """Plan an import; where that fails, the error names the formats that the source is recognised as."""
    try:
        return IMPORTERS[name].plan(source, notes)
    except DataError as error:
        found = recognised(source)
        if name in found or not found:
            raise
        listed = " or ".join(f"import {other} ({evidence})" for other, evidence in found.items())
        raise DataError(f"{error} It is recognised as another format: {listed}.") from error


@contextmanager
def _opened(source: Source, notes: Notes) -> Iterator[Source]:
    """Give a source with whole paths, and for an archive the folder that it was unpacked to."""
    path = source.path.resolve()
    try:
        if not is_archive(path):
            yield _located(source, path)
            return
        with unpacked(path, notes) as unpacked_to:
            folder = unpacked_to.resolve()
            notes.call(folder, path)
            yield _located(source, folder, folder)
    except OSError as error:
        where = error.filename or source.path
        raise DataError(f"{where} cannot be read: {error.strerror}; check its name and whose it is.") from error


def _located(source: Source, path: Path, archive: Path | None = None) -> Source:
    """Return a source with whole paths; what is in an archive comes before what is in the folder of the program."""

    def whole(given: Path | None) -> Path | None:
        inside = archive / given if archive and given else None
        is_inside = inside and archive and inside.exists() and inside.resolve().is_relative_to(archive)
        return inside if is_inside else given and given.resolve()

    located = replace(source, path=path, photos=whole(source.photos), table=whole(source.table))
    if located.photos and not located.photos.is_dir():
        raise DataError(f"There is no folder {source.photos}; name the folder of the photos.")
    if located.table and not located.table.is_file():
        raise DataError(f"There is no file {source.table}; name the table of colours or classes, or the JSON export.")
    return located


def _recognised_alone(source: Source, shown: Path) -> tuple[str, str]:
    """Return the one format that a source may be in and what speaks for it; none or several raise `DataError`."""
    found = recognised(source)
    if len(found) == 1:
        return next(iter(found.items()))
    if found:
        listed = ", or ".join(f"as {name} ({evidence})" for name, evidence in found.items())
        raise DataError(
            f"{shown} can be read in {len(found)} ways: {listed}; say which with import {' or import '.join(found)}."
        )
    files = files_in(source.path, EXPORT_OTHERWISE) if source.path.is_dir() else [source.path]
    suffixes = {file.suffix.lower() for file in files}
    if unread := next((advice for suffix, advice in EXPORT_OTHERWISE.items() if suffix in suffixes), None):
        raise DataError(f"{shown} holds {unread}.")
    _refuse_known_files(source)
    try:
        IMPORTERS["id-masks"].plan(source, Notes())
        cause = ""
    except DataError as error:
        cause = f" As photos and masks: {error}"
    raise DataError(
        f"{shown} is in no format that is recognised; name one instead of auto: {', '.join(IMPORTERS)}.{cause}"
    )


def _refuse_known_files(source: Source) -> None:
    """Raise `DataError` for files of a format that is known, and that cannot be read or are of a kind that is not."""
    is_json = source.path.suffix.lower() == ".json"
    for file in files_in(source.path, (".json",)) if source.path.is_dir() else [source.path] if is_json else []:
        refuse_version_3(read_json(file), file)
        refuse_unread(read_json(file), file)
    if source.path.is_dir() or source.path.suffix.lower() == ".xml":
        refuse_cvat_xml(source)
    if source.path.is_dir():
        refuse_table(source)


def _refuse_missing(name: str, source: Source) -> None:
    if name not in (AUTO, *IMPORTERS):
        raise DataError(f"There is no format '{name}' to import; choose one of {', '.join((AUTO, *IMPORTERS))}.")
    if not source.path.exists():
        raise DataError(f"There is no {source.path}; name the file or folder of the annotations.")


def _refuse_unread(name: str, source: Source) -> None:
    given = [option for option in ("masks", "names", "table") if getattr(source, option)]
    if unread := [option for option in given if option not in IMPORTERS[name].options]:
        raise DataError(f"The format {name} does not read --{unread[0]}; leave it out, or name another format.")


def _refuse_within(out: Path, source: Path, photos: Path | None) -> None:
    """Refuse to write into the source, where the next import would take the new data set for a part of it."""
    if str(out) != printable(str(out)):
        raise DataError(f"{printable(str(out))} is not a name in UTF-8; choose another for the new folder.")
    folders = [folder.resolve() for folder in (source, photos) if folder and folder.is_dir()]
    if not folders and not is_archive(source):
        folders = [source.resolve().parent]
    place = Path(os.path.realpath(out))  # `resolve` raises for links in circles
    for folder in folders:
        if place.is_relative_to(folder):
            raise DataError(
                f"{out} lies in {folder}, where {source} is read from and which stays as it is; choose a folder "
                "outside of it."
            )
