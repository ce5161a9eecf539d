"""A photo that somebody wants segmented.

photo_file.py  any file -> RGB photo, or one sentence; what its mask holds
limits.py      what is refused before a pixel is decoded
"""
