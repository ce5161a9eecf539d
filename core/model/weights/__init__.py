"""Where a model starts from, and the models on offer.

initial.py     random, ImageNet, COCO or starter weights, loaded into a model
available.py   which of them a training can start from, and whether they are on this machine; no torch
pretrained.py  the models on offer; no torch until one is opened
starter.py     the model that comes with Atrous, and the photos to try it on; no torch
hub.py         torch hub's cache folder: files fetched once, whole and checked; no torch
"""
