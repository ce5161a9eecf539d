"""What a person says of a checkpoint file that does not say it itself: asked for beside the file, out of the way."""

from typing import TYPE_CHECKING

import streamlit as st

from core.data.geometry import GEOMETRIES
from core.model.checkpoint.stated import AVERAGED, MAX_IMAGE_SIZE, RAW, STRIDES, Given, classes_in

if TYPE_CHECKING:
    from core.model.checkpoint.checkpoint_file import CheckpointMeta

FOREIGN_FORMATS = ("state dict", "safetensors")
WEIGHTS = {RAW: "Trained", AVERAGED: "Averaged (EMA)"}


def says_itself(file_format: str) -> bool:
    """Tell whether a file of this format says what it is, as those of this project do."""
    return file_format not in FOREIGN_FORMATS


def ask_given(assumed: "CheckpointMeta") -> Given:
    """Ask for what a file does not say; what is left as it is stays assumed."""
    with st.popover("What the file does not say", icon=":material/help:"):
        size_px = st.number_input("Photo size (px)", 1, MAX_IMAGE_SIZE, assumed.image_size, key="given_size",
                                  help="The size to which its training resized photos.")  # fmt: skip
        geometry = st.segmented_control("Geometry", GEOMETRIES, default=assumed.geometry, key="given_geometry",
                                        help="How its training resized photos to a square: both sides, or with their "
                                        "aspect ratio and padding.")  # fmt: skip
        stride = st.segmented_control("Output stride", STRIDES, default=assumed.output_stride, key="given_stride",
                                      help="8 or 16, as it was trained; another one gives a worse mask.")  # fmt: skip
        names = st.text_input("Class names", key="given_classes", placeholder="voc, or names between commas",
                              help="One for each class, the background first; voc for VOC's 21.")  # fmt: skip
        weights = st.segmented_control("Weights", list(WEIGHTS), key="given_weights", format_func=WEIGHTS.__getitem__,
                                       help="Where the file holds both; trained ones unless you choose.")  # fmt: skip
    return Given(
        image_size=size_px if size_px != assumed.image_size else None,
        geometry=geometry if geometry != assumed.geometry else None,
        output_stride=stride if stride != assumed.output_stride else None,
        classes=classes_in(names) if names.strip() else None,
        weights=weights,
    )
