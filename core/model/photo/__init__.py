"""A photo to be segmented.

photo_file.py  any file -> RGB photo, or one sentence; the classes in a mask
limits.py      files that are refused before a pixel is decoded
"""
