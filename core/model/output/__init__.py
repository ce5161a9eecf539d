"""Masks as pictures and files.

render.py      overlays, outlines, cut-outs, confidence, differences
results.py     pictures, a table of shares, a zip of them all
coco.py        objects as COCO instances: outlines along the pixels' edges
file_names.py  safe names of files, from names that come from outside
"""
