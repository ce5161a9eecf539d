"""A repaired copy of a data set in VOC's layout; the originals are only read.

repaired_copy.py    the copy: its plan, its names and its lists
repaired_pair.py    how a pair gets into the copy, or is set aside with the reason
repaired_splits.py  which pairs of the copy are in which split
mask_encoding.py    what the values of a set's masks mean, decided once for all of them
remedies.py         how one mask or one photo is mended
color_counts.py     which colours masks hold, and which is likely the background
"""
