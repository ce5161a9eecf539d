"""From a photo to its mask, at the photo's own size: the one way that validation, `segment` and the page share.

The other photos of a batch change how convolutions round, in the sixth digit, and so now and then a pixel. Where a mask
is stored or shown, photos therefore go through the model one at a time, in the number format of `mask_precision`; only
validation between epochs batches them.
"""

import hashlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import get_ident
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from core.data.geometry import RESIZE, place_of
from core.data.loading.transforms import normalize, photo_in_square
from core.files import write_json
from core.home import home
from core.model.architectures import early_stage
from core.model.checkpoint.checkpoint_file import OpenedCheckpoint, open_checkpoint
from core.model.device import choose_device, choose_precision, dtype_of
from core.model.device_verdict import machine_key
from core.model.fast import int8 as whole_numbers
from core.model.fast.inference import ready_to_predict
from core.model.predict.tta import NO_TTA, TTA
from core.model.predict.upsampling import Prediction, resolve

SAME_MASK = 0.995
"""Share of the pixels that must keep their class for bf16 to be used."""

LEAST_DEVIATION = 1e-3
"""Added to deviations before their logarithm: a channel that is constant over a photo has none."""


class Features(NamedTuple):
    """A photo to a backbone, float32.

    `last_C` is the mean of each channel of its last map, `early_C` the mean of each channel of an early stage, and then
    the logarithm of its deviation, in which less light or more noise is the same step for any photo.
    """

    last_C: Tensor
    early_C: Tensor


class Predictor:
    """A copy of a model with its preprocessing; training the model further does not change it.

    `precision` is that of weights and activations, `int8` the calibration of a file for that one; logits are fp32 in
    any case. The copy is ready for photos of `image_size` and `sizes`; the first photo of another size takes a little
    longer.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        image_size: int,
        geometry: str = RESIZE,
        device: torch.device,
        precision: str = "fp32",
        sizes: Sequence[int] = (),
        int8: Mapping[str, Sequence[float]] | None = None,
    ) -> None:
        self.image_size = image_size
        self.geometry = geometry
        self.device = device
        self.precision = precision
        shapes = [(1, 3, size, size) for size in (image_size, *sizes)]
        self._dtype = torch.float32 if precision == "int8" else dtype_of(precision)
        held = "fp32" if precision == "int8" else precision
        self._model = ready_to_predict(model.to(device), *shapes, precision=held, int8=int8)

    def logits(self, photos: Sequence[Image.Image]) -> Tensor:
        """Return logits_NKSS, float32, of RGB photos in the model's square of side S, padding included."""
        return self.logits_of(torch.stack([self._in_square(photo) for photo in photos]))

    def logits_of(self, photos_N3SS: Tensor) -> Tensor:
        """Return logits_NKSS, float32, of photos in a square of any side S (uint8, `transforms.photo_in_square`)."""
        return self._output(self._model, photos_N3SS)

    def features_of(self, photos_N3SS: Tensor) -> Tensor:
        """Return the backbone's last map, (N, C, h, w), float32, of photos in a square; see `logits_of`."""
        return self._output(self._model.get_submodule("backbone"), photos_N3SS)

    def _output(self, part: nn.Module, photos_N3SS: Tensor) -> Tensor:
        images_N3SS = normalize(photos_N3SS.to(self.device)).to(self._dtype)
        with torch.inference_mode():
            output: Tensor = part(images_N3SS.contiguous(memory_format=torch.channels_last))["out"]
        return output.float()

    def part_of(self, square_TT: Tensor, size: tuple[int, int]) -> Tensor:
        """Return the part of logits, or the like, that covers a photo of (height, width) in a square of any side T."""
        part_hw: Tensor = place_of(size, square_TT.shape[-1], self.geometry).part(square_TT)
        return part_hw

    def described(self, photo: Image.Image) -> tuple[Tensor, Tensor]:
        """Return logits_Khw of a photo in its part of the square, and the mean of the backbone's features, (C,)."""
        logits_KSS, features = self.described_square(self._in_square(photo), (photo.height, photo.width))
        return self.part_of(logits_KSS, (photo.height, photo.width)), features.last_C

    def described_square(self, photo_3SS: Tensor, size: tuple[int, int]) -> tuple[Tensor, Features]:
        """Return logits_KSS of a photo of (height, width) in the square, padding included, and `features` of it."""
        with self.watching(size) as seen:
            logits_KSS = self.logits_of(photo_3SS[None])[0]
        return logits_KSS, seen[0]

    @contextmanager
    def watching(self, size: tuple[int, int]) -> Iterator[list[Features]]:
        """Yield a list that gets the `features` of each photo of (height, width) that this thread predicts."""
        seen, early, thread = list[Features](), list[Tensor](), get_ident()

        def note_early(_module: nn.Module, _inputs: object, stage_1Chw: Tensor) -> None:
            if get_ident() == thread:  # a dashboard's sessions share the model
                part_Chw = self.part_of(stage_1Chw[0], size).float()
                mean_C = part_Chw.mean(dim=(1, 2))
                # torch.std takes ten times as long.
                deviation_C = (part_Chw - mean_C[:, None, None]).square().mean(dim=(1, 2)).sqrt()
                early.append(torch.cat([mean_C, (deviation_C + LEAST_DEVIATION).log()]))

        def note(_module: nn.Module, _inputs: object, output: dict[str, Tensor]) -> None:
            if get_ident() == thread:
                last_C = self.part_of(output["out"][0], size).float().mean(dim=(1, 2))
                seen.append(Features(last_C, early.pop()))

        backbone = self._model.get_submodule("backbone")
        with early_stage(backbone).register_forward_hook(note_early), backbone.register_forward_hook(note):
            yield seen

    def features(self, photo: Image.Image) -> Features:
        """Return what an RGB photo is to the backbone, without its logits."""
        with self.watching((photo.height, photo.width)) as seen:
            self.features_of(self._in_square(photo)[None])
        return seen[0]

    def _in_square(self, photo: Image.Image) -> Tensor:
        return photo_in_square(photo, self.image_size, self.geometry)

    def predict(self, photo: Image.Image, *, with_confidence: bool = False, with_runner_up: bool = False) -> Prediction:
        """Segment an RGB photo at its own size, in one pass; `tiling.segment` has test-time augmentation."""
        size = (photo.height, photo.width)
        logits_Khw = self.part_of(self.logits([photo])[0], size)
        return resolve(logits_Khw, size, with_confidence=with_confidence, with_runner_up=with_runner_up)


def open_predictor(checkpoint: Path | OpenedCheckpoint, tta: TTA = NO_TTA) -> tuple[Predictor, OpenedCheckpoint]:
    """Open a checkpoint for prediction, in the number format that keeps its masks; raises `CheckpointError`.

    A file that was calibrated for int8 (`quantization`) predicts so where it is faster, which is tried once on a
    machine: a busy moment must not give the same file other masks. A calibration for another rounding is ignored.
    """
    opened = checkpoint if isinstance(checkpoint, OpenedCheckpoint) else open_checkpoint(checkpoint)
    model, device, meta = opened.build(), choose_device(), opened.meta
    wanted = str(meta.config.get("precision", "auto"))
    precision = mask_precision(model, image_size=meta.image_size, device=device, wanted=wanted)
    sizes = tta.sizes(meta.image_size)
    about: dict[str, Any] = {
        "image_size": meta.image_size, "geometry": meta.geometry, "device": device, "sizes": sizes,
    }  # fmt: skip
    predictor = Predictor(model, precision=precision, **about)
    is_calibrated = bool(meta.int8) and meta.int8_bits == whole_numbers.BITS
    if is_calibrated and device.type == "cpu" and whole_numbers.can_compute():
        other = Predictor(model, precision="int8", int8=meta.int8, **about)
        about_int8 = (precision, meta.architecture, meta.image_size, sorted(meta.int8.items()))
        if _was_faster(hashlib.sha256(repr(about_int8).encode()).hexdigest()[:16], other, predictor):
            return other, opened
    return predictor, opened


def _was_faster(key: str, one: Predictor, other: Predictor) -> bool:
    """Return whether `one` was faster in the first trial of this name; on a full disk it is tried again."""
    file = home() / "cache" / f"int8-{machine_key()}-{key}.json"
    try:
        return bool(json.loads(file.read_text(encoding="utf-8"))["is_faster"])
    except (OSError, ValueError, KeyError, TypeError):  # none, or damaged
        verdict = is_faster(one, other)
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        write_json(file, {"is_faster": verdict})
    return verdict


def is_faster(one: Predictor, other: Predictor) -> bool:
    """Return whether one predictor is faster than another of the same model, by a picture in turn, twice."""
    picture_13SS = _blobs(one.image_size)
    times_s: list[list[float]] = []
    for _ in range(2):
        times_s.append([])
        for predictor in (one, other):
            began_s = time.perf_counter()
            predictor.logits_of(picture_13SS)
            times_s[-1].append(time.perf_counter() - began_s)
    own_s, others_s = (min(times) for times in zip(*times_s, strict=True))
    return bool(own_s < others_s)


def mask_precision(model: nn.Module, *, image_size: int, device: torch.device, wanted: str = "auto") -> str:
    """Return the number format for masks that are stored or shown: bf16 where it is fast and keeps `SAME_MASK`.

    Tried on one fixed picture. A model whose classes are near a tie everywhere gets fp32, and so does one whose
    training asked for fp32 (`wanted`).
    """
    if "fp32" in (wanted, choose_precision("auto", device)):
        return "fp32"
    exact_KSS, rounded_KSS = (
        Predictor(model, image_size=image_size, device=device, precision=precision).logits_of(_blobs(image_size))[0]
        for precision in ("fp32", "bf16")
    )
    same = (exact_KSS.argmax(0) == rounded_KSS.argmax(0)).float().mean()
    return "bf16" if float(same) >= SAME_MASK else "fp32"


def _blobs(image_size: int) -> Tensor:
    """Return a picture of soft blobs of random colours, uint8 (1, 3, S, S)."""
    colors_N3SS = torch.rand((1, 3, 8, 8), generator=torch.Generator().manual_seed(0))
    size = (image_size, image_size)
    return (255 * F.interpolate(colors_N3SS, size, mode="bilinear", align_corners=False)).to(torch.uint8)
