"""What is wrong with a data set: nothing is raised for a bad file, everything is reported.

diagnosis.py    the report, file by file
problems.py     the words for what can be wrong
pair_checks.py  with a photo and its mask
mask_checks.py  with a mask's values
set_checks.py   between pairs, each of which may be sound by itself
"""
