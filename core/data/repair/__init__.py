"""A repaired copy of a data set in VOC's layout; the originals are only read.

repaired_copy.py    the copy: its plan, names and lists
repaired_pair.py    one pair, written or set aside
repaired_splits.py  which pairs of the copy are in which split
mask_encoding.py    what the values of a set's masks mean
label_decisions.py  what a person decided about doubted regions of masks
remedies.py         repairing one mask or one photo
color_counts.py     the colours of masks, and the likely background
"""
