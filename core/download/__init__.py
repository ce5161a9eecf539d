"""Downloading large files.

mirrors.py     a file from one of several servers, resumed after a cut, also on another one
disk_space.py  free space on the disk, and errors of the disk
"""
