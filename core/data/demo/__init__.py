"""The demo data set: 200 painted scenes with exact masks in PASCAL VOC's layout, drawn in seconds, no download.

pen.py         shapes, and their silhouettes
light.py       times of day, seasons, soft shading
animals.py     cows, sheep, birds and people
vehicles.py    cars, buses, trains, boats, aeroplanes
plants.py      potted plants, a class; trees, scenery
scenery.py     sky, ridges, water, trees, the ground
places.py      the six places, their buildings, and where figures stand
scene.py       the labelled figures; one scene and its mask
voc_writer.py  the VOC folder, all or nothing
"""

from core.data.demo.scene import draw_scene
from core.data.demo.voc_writer import drawn_as, is_demo_data, write_demo

__all__ = ["draw_scene", "drawn_as", "is_demo_data", "write_demo"]
