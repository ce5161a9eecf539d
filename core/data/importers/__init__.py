"""Annotations of other tools become a data set in VOC's layout.

formats.py        the formats by name, which of them a source is in, and the one way to import them
archive.py        zip and tar, unpacked for as long as they are read
preview.py        what an import would bring, before anything is written
objects/          formats of outlines, strokes and run lengths
masks/            formats of masks
photo_folder.py   the photos beside annotations
source_splits.py  the splits that a source brings, else 80/20
plan.py           what an import is going to write, photo by photo
notes.py          what was skipped or decided, in words
writer.py         the new folder, all or nothing
"""

from core.data.importers.formats import IMPORTERS, import_data, preview_data, recognised
from core.data.importers.writer import Imported

__all__ = ["IMPORTERS", "Imported", "import_data", "preview_data", "recognised"]
