"""Annotations that are pictures.

class_masks.py  one mask for each class
color_table.py  masks in colours, and a table of the classes
mask_file.py    reading masks: pictures in any mode, packed strokes
"""
