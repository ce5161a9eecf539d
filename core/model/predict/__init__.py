"""From a photo to its mask, at the photo's own size.

predictor.py   the one way validation, `segment` and the page all go
upsampling.py  logits upsampled and ranked, a strip of rows and a class at a time
tta.py         test-time augmentation: how often and in which ways a photo goes through the model; no torch
tiling.py      a photo in tiles, mirrored, at several sizes
"""
