"""From a photo to its mask, at the photo's own size.

predictor.py     a model with its preprocessing: the one way that validation, `segment` and the page share
quantization.py  a checkpoint's calibration for int8, on training photos
upsampling.py    logits upsampled and ranked, a strip of rows and a class at a time
tta.py           test-time augmentation: how often and in which ways a photo goes through the model; no torch
tiling.py        a photo in tiles, mirrored, at several sizes
"""
