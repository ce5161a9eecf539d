"""Annotations of other tools become a data set in VOC's layout.

formats.py        the formats by name, and the one way to import them
coco.py           COCO instances: a JSON file and a folder of photos
labelme.py        JSON files of labelme, one for each photo
label_studio.py   Label Studio's brush labels: its PNG or JSON export
class_masks.py    one mask for each class
color_table.py    masks in colours, and a table of the classes
json_file.py      reading JSON that somebody else wrote
masks.py          reading masks: pictures in any mode, packed strokes
photo_folder.py   the photos beside annotations
source_splits.py  the splits that a source brings, else 80/20
plan.py           what an import is going to write, photo by photo
notes.py          what was skipped or decided, in words
writer.py         the new folder, all or nothing
"""

from core.data.importers.formats import IMPORTERS, import_data
from core.data.importers.writer import Imported

__all__ = ["IMPORTERS", "Imported", "import_data"]
