"""From pairs on disk to seeded batches of tensors.

ahead.py               a map in threads, ahead of who takes its results
array_cache.py         large arrays in cache/, mapped into memory
decoded_pairs.py       pairs decoded and resized once, and cached
transforms.py          photo -> tensor, the same for training and prediction; augmentation by flip and scale
batch_augmentation.py  the same augmentation, of whole batches on their device
loader.py              batches, the same for a seed and epoch on every machine
"""
