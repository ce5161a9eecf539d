"""Data: folders of photos and masks, how they become tensors, what is in them and what is wrong with them.

dataset.py     which photos, masks and splits a folder holds
splits.py      random and stratified splits
images.py      reading photos and masks, writing masks as VOC does
srgb.py        any mode and colour profile -> 8-bit sRGB
bit_depth.py   photos of more than 8 bits and of odd bands: which are read, and how to scale them
geometry.py    where a photo of any shape lies in the square that a model sees
pair_names.py  one name as photos, masks and lists write it
hashing.py     what every file holds, as SHA-256, read once until it changes
voc2012.py     PASCAL VOC 2012, from the web or from a tar
analysis.py    one pass for statistics and doctor, kept until a file changes
loading/       pairs -> seeded batches of tensors
statistics/    what a pair and a split show
doctor/        what is wrong with a data set
repair/        a mended copy of a data set
importers/     annotations of other tools -> a data set
demo/          the drawn data set
"""
