"""The formats that can be imported, by name, and the one way to import them."""

from collections.abc import Callable
from pathlib import Path

from core.data.importers.masks.class_masks import plan_class_masks
from core.data.importers.masks.color_table import plan_color_table
from core.data.importers.notes import Notes, printable
from core.data.importers.objects.coco import plan_coco
from core.data.importers.objects.label_studio import plan_label_studio
from core.data.importers.objects.labelme import plan_labelme
from core.data.importers.plan import Plan, Source
from core.data.importers.writer import Imported, write_dataset
from core.errors import DataError
from core.jobs import OnProgress

Planner = Callable[[Source, Notes], Plan]

IMPORTERS: dict[str, Planner] = {
    "label-studio": plan_label_studio,
    "labelme": plan_labelme,
    "coco": plan_coco,
    "class-masks": plan_class_masks,
    "color-table": plan_color_table,
}


def import_data(
    format: str,  # noqa: A002  the word of the command line
    source: Path,
    out: Path,
    *,
    photos: Path | None = None,
    table: Path | None = None,
    on_progress: OnProgress | None = None,
) -> Imported:
    """Turn annotations of another tool into a new data set in VOC's layout; the source stays as it is.

    `source` is the file or folder of annotations, `photos` the folder of the photos where they do not lie there, and
    `table` a table of colours or classes, or Label Studio's JSON export. `out` must not exist, or be empty, and lies
    outside of both folders. One photo is in memory at a time; `on_progress(done, total)` is called after each.

    Whatever is wrong with what was named or is in it raises `DataError`, and nothing is written.
    """
    if format not in IMPORTERS:
        raise DataError(f"There is no format '{format}' to import; choose one of {', '.join(IMPORTERS)}.")
    if not source.exists():
        raise DataError(f"There is no {source}; name the file or folder of the annotations.")
    if photos and not photos.is_dir():
        raise DataError(f"There is no folder {photos}; name the folder of the photos.")
    if table and not table.is_file():
        raise DataError(f"There is no file {table}; name the table of colours or classes, or the JSON export.")
    _refuse_within(out, source, photos)
    notes = Notes()
    try:
        plan = _planned(IMPORTERS[format], Source(source.resolve(), photos and photos.resolve(), table), notes)
        return write_dataset(plan, out, notes, on_progress)
    except DataError as error:
        raise DataError(notes.after(str(error))) from error


def _planned(planner: Planner, source: Source, notes: Notes) -> Plan:
    try:
        return planner(source, notes)
    except OSError as error:
        where = error.filename or source.path
        raise DataError(f"{where} cannot be read: {error.strerror}; check its name and whose it is.") from error


def _refuse_within(out: Path, source: Path, photos: Path | None) -> None:
    """Refuse to write into the source, where the next import would take the new data set for a part of it."""
    if str(out) != printable(str(out)):
        raise DataError(f"{printable(str(out))} is no name in UTF-8; choose another for the new folder.")
    folders = [folder.resolve() for folder in (source, photos) if folder and folder.is_dir()]
    if not folders:
        folders = [source.resolve().parent]
    for folder in folders:
        if out.resolve().is_relative_to(folder):
            raise DataError(
                f"{out} lies in {folder}, where {source} is read from and which stays as it is; choose a folder "
                "outside of it."
            )
