"""The demo data set: 200 painted scenes with exact masks in the layout of PASCAL VOC, drawn in seconds, no download.

pen -> light -> plants, animals, people, vehicles -> scenery, figures -> settings -> scene -> writer
"""

from core.data.demo.scene import draw_scene
from core.data.demo.writer import is_demo_data, write_demo

__all__ = ["draw_scene", "is_demo_data", "write_demo"]
