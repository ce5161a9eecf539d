"""A photo with the mask that is exported for it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class LabelledPhoto:
    """A photo, its mask (H, W), its split (None for a draft or a proposal), and who or what drew the mask."""

    name: str
    file: Path
    mask_HW: NDArray[np.uint8]
    split: str | None
    drawn_by: str
