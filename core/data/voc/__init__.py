"""PASCAL VOC 2012 from the web or from a tar.

download.py  the download: its servers, and the data set whole or not at all
tar.py       unpacking: only what segmentation needs, nothing outside the folder
"""
