"""Annotations that are outlines, strokes and run lengths of objects.

coco.py               COCO: a JSON file and a folder of photos; panoptic, with PNGs too
coco_file.py          what a JSON file of COCO's says
labelme.py            JSON files of labelme, one for each photo
label_studio.py       Label Studio: brush labels as PNG, or its JSON export
label_studio_json.py  that JSON export
cvat_xml.py           CVAT's XML for images
yolo_seg.py           YOLO's text files of polygons
supervisely.py        a project of Supervisely
via.py                VGG Image Annotator: a project, JSON or CSV
json_file.py          reading JSON that somebody else wrote
outlines.py           polygons and run lengths as regions of pixels
"""
