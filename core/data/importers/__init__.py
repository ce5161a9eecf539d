"""Annotations of other tools become a data set in VOC's layout.

json_file, notes -> plan, splits -> photo_folder, pictures, shapes, brush_rle -> one module a format -> writer
-> formats
"""

from core.data.importers.formats import IMPORTERS, import_data
from core.data.importers.writer import Imported

__all__ = ["IMPORTERS", "Imported", "import_data"]
