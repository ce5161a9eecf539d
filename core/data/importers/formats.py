"""The formats that can be imported, by name, and the one way to import them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from core.data.importers.class_masks import plan_class_masks
from core.data.importers.coco import plan_coco
from core.data.importers.color_table import plan_color_table
from core.data.importers.label_studio import plan_label_studio
from core.data.importers.labelme import plan_labelme
from core.data.importers.notes import Notes
from core.data.importers.plan import Plan, Source
from core.data.importers.writer import Imported, OnProgress, write_dataset
from core.errors import DataError


@dataclass(frozen=True)
class Importer:
    """What plans an import, and one line that says what the source is."""

    plan: Callable[[Source, Notes], Plan]
    help: str


IMPORTERS = {
    "label-studio": Importer(plan_label_studio, "Label Studio's brush labels, exported as PNG or as JSON"),
    "labelme": Importer(plan_labelme, "labelme's JSON files, one a photo"),
    "coco": Importer(plan_coco, "COCO instances, one JSON file for all photos"),
    "class-masks": Importer(plan_class_masks, "one mask for each class: CLASS/PHOTO.png or PHOTO_CLASS.png"),
    "color-table": Importer(plan_color_table, "masks in colours with a table of them, as CamVid and Cityscapes"),
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
    `table` a table of colours or classes, or Label Studio's JSON export. `out` must not exist, or be empty. One photo
    is in memory at a time; `on_progress(done, total)` is called after each.

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
    notes = Notes()
    try:
        plan = IMPORTERS[format].plan(Source(source.resolve(), photos and photos.resolve(), table), notes)
    except OSError as error:
        raise DataError(f"{source} cannot be read: {error.strerror}; check whose folder it is.") from error
    return write_dataset(plan, out, notes, on_progress)
