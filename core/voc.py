"""Constants of PASCAL VOC 2012 segmentation and of ImageNet preprocessing.

The palette is the VOC devkit's `VOClabelcolormap`, mean and standard deviation are those of torchvision's weights.
"""

import numpy as np

VOID = 255
"""The id of pixels that are neither trained on nor counted."""

BACKGROUND = 0

CLASS_NAMES = (
    "background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
    "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip

IMAGE_MEAN = (0.485, 0.456, 0.406)
IMAGE_STD = (0.229, 0.224, 0.225)


def _devkit_color(class_id: int) -> tuple[int, int, int]:
    """Spread the bits of the id over red, green and blue, highest bit first."""
    red = green = blue = 0
    for shift in range(8):
        bits = class_id >> (3 * shift)
        red |= (bits & 1) << (7 - shift)
        green |= (bits >> 1 & 1) << (7 - shift)
        blue |= (bits >> 2 & 1) << (7 - shift)
    return red, green, blue


PALETTE = np.array([_devkit_color(class_id) for class_id in range(256)], dtype=np.uint8)
"""Colour of every id, shape (256, 3), RGB; row 255 (void) is cream."""
