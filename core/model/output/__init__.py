"""What a person takes away of segmented photos.

render.py      overlays, outlines, cut-outs, confidence, differences
results.py     pictures, a table of shares, a zip of them all
coco.py        objects as COCO instances: outlines along the pixels' edges
file_names.py  names from outside made harmless
"""
