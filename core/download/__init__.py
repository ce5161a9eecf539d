"""Fetching large files.

mirrors.py     a file from one of several servers, resumed after a cut, also elsewhere
disk_space.py  room on the disk, and what the disk says when there is none
"""
