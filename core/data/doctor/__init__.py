"""The doctor: finds what is wrong with a data set; bad files become findings, not exceptions.

diagnosis.py       the report, file by file
problems.py        types: a name with its files, and a problem
pair_checks.py     checks of a photo and its mask
mask_checks.py     checks of a mask's values
set_checks.py      checks between pairs
similar_photos.py  photos that look the same, found without comparing all pairs
"""
