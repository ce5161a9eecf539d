"""Starting weights, and the models on offer.

initial.py     loads random, ImageNet, COCO or starter weights into a model
available.py   which starting weights a training can have, and whether they are on this machine; no torch
pretrained.py  the models on offer, and names for checkpoints; no torch until one is opened
starter.py     the model that comes with Atrous, and the photos to try it on; no torch
hub.py         torch hub's cache folder: files downloaded once, whole and checked; no torch
"""
