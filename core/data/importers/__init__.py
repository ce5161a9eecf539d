"""Annotations of other tools become a data set in VOC's layout.

formats.py        where a format is registered, which one a source is in, the one way to import
archive.py        zip and tar, unpacked for as long as they are read
preview.py        what an import would bring, before anything is written
objects/          formats of outlines, strokes and run lengths
masks/            formats of masks
photo_folder.py   the photos beside annotations
source_splits.py  the splits that a source brings, else 80/20
plan.py           what an import is going to write, photo by photo
notes.py          what was skipped or decided, in words
writer.py         the new folder, all or nothing
incoming.py       uploaded archives, names of new data sets, the job of the dashboard
"""

from core.data.importers.formats import IMPORTERS, contents_of, import_data, preview_data, recognised, values_to_name
from core.data.importers.plan import Source, parse_classes
from core.data.importers.writer import Imported

__all__ = [
    "IMPORTERS", "Imported", "Source", "contents_of", "import_data", "parse_classes", "preview_data",
    "recognised", "values_to_name",
]  # fmt: skip
