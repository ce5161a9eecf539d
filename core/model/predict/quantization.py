"""Calibrates a checkpoint for int8 on training photos, and keeps it only where masks stay what they were.

It is tried on validation photos: of those trained on a model is surer, and fewer pixels change. The first stages of a
backbone, whose rounding reaches everything after them, return to fp32 one after the other until `SAME_MASK` of the
pixels keep their class, by the mean of the tried photos less its standard error.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from core.data.images import read_photo
from core.data.loading.transforms import normalize, photo_in_square
from core.errors import CheckpointError, ConfigError, DataError
from core.jobs import OnProgress
from core.model.checkpoint.checkpoint_file import CheckpointMeta, OpenedCheckpoint
from core.model.fast import int8
from core.model.fast.inference import folded
from core.model.predict.predictor import SAME_MASK, Predictor

MOST_PHOTOS = 24
"""Of either kind, spread evenly."""
FEWEST_PHOTOS = 3


def calibrated(
    opened: OpenedCheckpoint, train: Sequence[Path], val: Sequence[Path], on_progress: OnProgress | None = None
) -> tuple[OpenedCheckpoint, float]:
    """Return a checkpoint with its calibration for int8, and the share of the tried pixels that keep their class.

    Progress counts photos that went through the model; each stage that returns to fp32 has all of one kind tried again.

    Raises:
        CheckpointError: fewer than `SAME_MASK` of the pixels do.
        ConfigError: nothing here computes in int8.
        DataError: there are too few photos, or one cannot be read.
    """
    if not int8.can_compute():
        raise ConfigError("This PyTorch has no convolutions in int8 for this processor; export without --int8.")
    for photos, kind in ((train, "training"), (val, "validation")):
        if len(photos) < FEWEST_PHOTOS:
            raise DataError(f"A calibration for int8 needs {FEWEST_PHOTOS} {kind} photos; there are {len(photos)}.")
    meta, model = opened.meta, opened.build()
    seen_3SS, tried_3SS = ([_square(photo, meta) for photo in _spread(photos)] for photos in (train, val))
    done, total = 0, len(seen_3SS) + 2 * len(tried_3SS)

    def counted(squares: Sequence[torch.Tensor]) -> Iterator[torch.Tensor]:
        nonlocal done
        for square_3SS in squares:
            yield square_3SS[None]
            done += 1
            if on_progress:
                on_progress(done, max(done, total))

    seen = int8.calibrate(folded(model), map(normalize, counted(seen_3SS)))

    def masks(precision: str, found: dict[str, list[float]]) -> torch.Tensor:
        predictor = Predictor(
            model, image_size=meta.image_size, geometry=meta.geometry, device=torch.device("cpu"), precision=precision,
            int8=found,
        )  # fmt: skip
        return torch.cat([predictor.logits_of(square_13SS).argmax(1) for square_13SS in counted(tried_3SS)])

    exact_NSS, best = masks("fp32", {}), 0.0
    stages = list(dict.fromkeys(name.split(".")[1] for name in seen if name.startswith("backbone.")))
    for num_exact in range(len(stages) // 2 + 1):
        exact = tuple(f"backbone.{stage}." for stage in stages[:num_exact])
        found = {name: _short(each) for name, each in seen.items() if not (exact and name.startswith(exact))}
        same_N = (masks("int8", found) == exact_NSS).float().mean((1, 2))
        share = float(same_N.mean())
        if share - float(same_N.std()) / len(tried_3SS) ** 0.5 >= SAME_MASK:
            return replace(opened, meta=replace(meta, int8=found, int8_bits=int8.BITS)), share
        best, total = max(best, share), total + len(tried_3SS)
    raise CheckpointError(
        f"In int8 {100 * best:.1f} % of the pixels of {len(tried_3SS)} photos keep their class, too few to be sure of "
        f"{100 * SAME_MASK:.1f} %; export {opened.path.name} without --int8."
    )


def _spread(photos: Sequence[Path]) -> list[Path]:
    count = min(MOST_PHOTOS, len(photos))
    return [photos[len(photos) * place // count] for place in range(count)]


def _square(photo: Path, meta: CheckpointMeta) -> torch.Tensor:
    return photo_in_square(read_photo(photo), meta.image_size, meta.geometry)


def _short(values: Sequence[float]) -> list[float]:
    """Return numbers of six digits, which take less room in a file."""
    return [float(f"{value:.6g}") for value in values]
