"""Annotations that are pictures.

class_masks.py   one mask for each class
color_table.py   masks in colours, and a table of the classes
id_masks.py      masks of ids in any two folders, with or without names
pairs.py         which mask is which photo's, in any layout
picture_path.py  what a path says: photo or mask, split, and what the two share
value_names.py   what values are called: tables, known data sets
known_names.py   the classes of known data sets
mask_file.py     reading masks: pictures in any mode, packed strokes
mask_values.py   the number of each pixel of a mask
"""
