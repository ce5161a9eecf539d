"""A photo to be segmented.

photo_file.py  a file -> upright RGB photo, or an error in one sentence; what its mask holds
limits.py      files that are refused before a pixel is decoded
"""
