"""Photos to bring to Segment, and the pictures it shows of them."""

import io
import json

import numpy as np
from PIL import Image
from streamlit.testing.v1 import AppTest

SIZE = (50, 34)


def photo_bytes(kind: str = "JPEG") -> bytes:
    noise = np.random.default_rng(0).integers(0, 256, (SIZE[1], SIZE[0], 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, format=kind)
    return buffer.getvalue()


def upload(app: AppTest, *files: tuple[str, bytes]) -> AppTest:
    return app.file_uploader[0].set_value([(name, data, "image/jpeg") for name, data in files]).run()


def helps(app: AppTest) -> str:
    """Return the texts of help beside captions."""
    return "\n".join(caption.proto.help for caption in app.caption)


def pictures(app: AppTest) -> list[str]:
    """Return the alt texts of the pictures that report their pixels, or lie under a slider."""
    shown = [json.loads(element.proto.json) for element in app.get("bidi_component")]
    return [data.get("alt") or data["right_alt"] for data in shown]
