"""A model for other programs: its format is asked for, its file written under `exports/` and compared."""

from typing import NamedTuple

import streamlit as st

from core.errors import DataError
from core.files import unused
from core.home import exports_dir
from core.model.checkpoint.stated import NOTHING
from core.wording import megabytes
from ui.page import showing_errors
from ui.segment.cached_segments import GivenFile, Source
from ui.words import code


class Format(NamedTuple):
    """A format of `core.model.checkpoint.export` as a person reads it: what it is called, and how its files end."""

    label: str
    suffix: str


FORMATS = {
    "state-dict": Format("PyTorch state dict", ".pt"),
    "safetensors": Format("safetensors", ".safetensors"),
    "onnx": Format("ONNX", ".onnx"),
    "torch-export": Format("torch.export", ".pt2"),
}

HELP = (
    "State dict and safetensors hold the weights under torchvision's names; ONNX and torch.export hold a program that "
    "needs no torchvision. Classes, photo size, geometry and normalisation go along with each. A model of the geometry "
    "fit wants photos resized by their longer side and padded to a square with the mean colour."
)


def offer_export(source: Source, stem: str) -> None:
    """Offer to write the model that `source` names to a new file, called `stem` and after its format."""
    with st.popover("Export the model", icon=":material/ios_share:", help="A file for other programs"):
        chosen = st.radio("Format", list(FORMATS), key="export format", help=HELP,
                          format_func=lambda name: FORMATS[name].label)  # fmt: skip
        if st.button("Write the file", key="export", type="primary"):
            with showing_errors():
                _export(source, chosen, stem)


def _export(source: Source, chosen: str, stem: str) -> None:
    """Write the file, and say where it lies and how near its logits are."""
    from core.model.checkpoint.export import export
    from core.model.weights.pretrained import open_named

    folder = exports_dir()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{folder} cannot be made: {error.strerror}; free it.") from error
    with st.spinner("Writing, reopening and comparing …"):
        path, given = source if isinstance(source, GivenFile) else (source, NOTHING)
        written = export(open_named(path, given=given), chosen, unused(folder / f"{stem}{FORMATS[chosen].suffix}"))
    st.success(
        f"{code(written.file)}, {megabytes(written.size_bytes)}. Reopened and compared: logits {written.nearness}.",
        icon=":material/check:",
    )
