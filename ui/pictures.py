"""Pictures in rows of one height, however wide or tall each is, so that a page of them stays calm."""

import base64
import io

import streamlit as st
from PIL import Image

KINDS = {b"\x89PNG": "png", b"RIFF": "webp"}
"""By how a file begins; any other is a JPEG."""

ROW_HEIGHT_PX = 132
WIDEST = 3
"""Width over height beyond which a picture is drawn lower than its row."""


def show_picture(picture: bytes, caption: str, alt: str, *, height_px: int = ROW_HEIGHT_PX) -> None:
    """Draw an encoded picture `height_px` high; meant for a container that is `horizontal`."""
    with Image.open(io.BytesIO(picture)) as image:
        width = min(WIDEST * height_px, max(1, round(height_px * image.width / image.height)))
    st.image(picture, caption, width=width, alt=alt)


def data_url(picture: bytes) -> str:
    """Return a picture, the bytes of a PNG, WebP or JPEG file, as an address that holds all of it, films too."""
    kind = KINDS.get(picture[:4], "jpeg")
    return f"data:image/{kind};base64,{base64.b64encode(picture).decode()}"
