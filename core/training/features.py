"""Features of a frozen backbone, computed once for every photo and stored: an epoch then trains the head alone.

    cache/features/KEY/features.npy    bf16 as uint16, shape (N, F, h, w, C): N photos in F forms, plain and, if
                                       training flips them, mirrored; KEY hashes the backbone's weights and the pixels

bf16 has three digits: ResNet-50 at stride 16 and 256 px takes 1 MB for a photo, and twice that with flips.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from core.data.loading import array_cache
from core.data.loading.decoded_pairs import SquarePairs
from core.data.loading.loader import TrainingBatches, TrainingPairs
from core.data.loading.transforms import TrainingTransform, normalize
from core.files import new_folder
from core.home import home
from core.model.device import dtype_of
from core.model.fast.inference import ready_to_predict
from core.model.predict.predictor import Predictor
from core.training.distributed import World
from core.training.settings.config import TrainingConfig


class Backbone:
    """The frozen stages of a model, prepared once, which turn photos into features."""

    def __init__(self, frozen: nn.Sequential, image_size: int, precision: str) -> None:
        self._device = next(frozen.parameters()).device
        self._dtype = dtype_of(precision)
        self._stages: nn.Module = ready_to_predict(frozen, (1, 3, image_size, image_size), precision=precision)
        digest = hashlib.sha256(precision.encode())
        for tensor in frozen.state_dict().values():
            digest.update(tensor.cpu().numpy().tobytes())
        self.key = digest.hexdigest()

    def features(self, photos_N3SS: Tensor) -> NDArray[np.uint16]:
        """Return the features of square photos (uint8) as the bits of bf16: uint16, shape (N, h, w, C)."""
        images_N3SS = normalize(photos_N3SS.to(self._device)).to(self._dtype)
        with torch.inference_mode():
            features_NChw = self._stages(images_N3SS.contiguous(memory_format=torch.channels_last))
        bits: NDArray[np.uint16] = features_NChw.permute(0, 2, 3, 1).bfloat16().view(torch.uint16).cpu().numpy()
        return bits


class FeaturePairs:
    """Features and ids by index, in place of the photos and ids of `SquarePairs`; computed each time until stored."""

    def __init__(self, pairs: SquarePairs, backbone: Callable[[], Backbone], *, has_flips: bool) -> None:
        self.pairs = pairs
        self.samples = pairs.samples
        self._make_backbone = backbone
        self._num_forms = 2 if has_flips else 1
        self._features_NFhwC: NDArray[np.uint16] | None = None

    def __len__(self) -> int:
        """Return the number of pairs."""
        return len(self.pairs)

    def pair(self, index: int, *, is_flipped: bool = False) -> tuple[Tensor, Tensor]:
        """Return the features of a photo, bf16 (C, h, w), and its ids, uint8 (S, S)."""
        _, mask_SS = self.pairs[index]
        bits_FhwC = self._compute(index) if self._features_NFhwC is None else self._features_NFhwC[index]
        features_hwC = torch.from_numpy(np.array(bits_FhwC[int(is_flipped)])).view(torch.bfloat16)
        return features_hwC.permute(2, 0, 1), mask_SS.flip(-1) if is_flipped else mask_SS

    def open_cached(self) -> bool:
        """Open the stored features, if any, and return whether features come from memory now."""
        self.pairs.open_cached()
        file = self._place() / "features.npy"
        if self._features_NFhwC is None:
            with suppress(FileNotFoundError, NotADirectoryError):
                self._features_NFhwC = array_cache.mapped(file).view(np.uint16)
        return self._features_NFhwC is not None

    def hold(self, count: int) -> None:
        """Compute `count` features into memory and use them for all photos: enough to time a step."""
        some = [self._compute(index) for index in range(min(count, len(self)))]
        self._features_NFhwC = np.stack([some[index % len(some)] for index in range(len(self))])

    def cache(self) -> Iterator[None]:
        """Compute and store the features of every photo, and yield after each; without disk space, do nothing."""
        if self.open_cached():
            return
        shape = (len(self), *self._compute(0).shape)
        place = self._place()
        if array_cache.make_room(place.parent, self.nbytes):
            # The disk may still fill up, and another process may have stored the same features meanwhile.
            with suppress(OSError), new_folder(place) as folder:
                rows = map(self._compute, range(len(self)))
                yield from array_cache.write_rows(folder / "features.npy", shape, np.uint16, rows)
            self.open_cached()

    @property
    def nbytes(self) -> int:
        """Bytes of all stored features."""
        return len(self) * self._compute(0).nbytes

    @property
    def shape(self) -> tuple[int, int, int]:
        """The shape of a photo's features, (C, h, w)."""
        channels, height, width = self.pair(0)[0].shape
        return channels, height, width

    @cached_property
    def _backbone(self) -> Backbone:
        return self._make_backbone()

    def _compute(self, index: int) -> NDArray[np.uint16]:
        photo_3SS, _ = self.pairs[index]
        forms = [photo_3SS, photo_3SS.flip(-1)][: self._num_forms]
        return self._backbone.features(torch.stack(forms))

    def _place(self) -> Path:
        asked = f"{self.pairs.place().name} {self._num_forms} {self._backbone.key}"
        return home() / "cache" / "features" / hashlib.sha256(asked.encode()).hexdigest()[:24]


class TrainingFeatures(TrainingPairs):
    """Features and ids by (epoch, index), mirrored where `TrainingPairs` would mirror the photo."""

    def __init__(self, features: FeaturePairs, transform: TrainingTransform, seed: int) -> None:
        super().__init__(features.pairs, transform, seed)
        self._features = features

    def open_cached(self) -> bool:
        """Open the stored features, if any."""
        return self._features.open_cached()

    def as_input(self, photos_N3SS: Tensor) -> Tensor:
        """Return a batch of features as it is."""
        return photos_N3SS

    def __getitem__(self, key: tuple[int, int]) -> tuple[Tensor, Tensor]:
        _, index = key
        with self.seeded(key):
            return self._features.pair(index, is_flipped=self.transform.draws_flip())


def training_batches(
    config: TrainingConfig,
    source: SquarePairs | FeaturePairs,
    batch_size: int,
    world: World,
    device: torch.device,
    resident_on: torch.device | None,
) -> TrainingBatches:
    """Return this process's part of the batches on `device`; photos stay on `resident_on` (`memory.residence`)."""
    transform = TrainingTransform(
        config.image_size, flip=config.flip, scale_min=config.scale_min, scale_max=config.scale_max
    )
    part = (world.rank, world.size)
    if isinstance(source, FeaturePairs):  # memory-mapped: loader processes would have no work
        features = TrainingFeatures(source, transform, config.seed)
        return TrainingBatches(features, batch_size, 0, config.seed, part, device)
    pairs = TrainingPairs(source, transform, config.seed, resident_on)
    return TrainingBatches(pairs, batch_size, config.num_workers, config.seed, part, device)


class HeadPredictor(Predictor):
    """A predictor for stored features: the stages of the model after them."""

    def __init__(
        self, rest: nn.Sequential, features_shape: Sequence[int], *, image_size: int, geometry: str, precision: str
    ) -> None:
        self.image_size = image_size
        self.geometry = geometry
        self.device = next(rest.parameters()).device
        self.precision = precision
        self._rest = ready_to_predict(rest, (1, *features_shape), precision=precision)

    def logits_of(self, photos_N3SS: Tensor) -> Tensor:
        """Return logits_NKSS, float32, of features_NChw."""
        features_NChw = photos_N3SS.to(self.device, dtype_of(self.precision))
        with torch.inference_mode():
            coarse_NKhw = self._rest(features_NChw.contiguous(memory_format=torch.channels_last)).float()
        return F.interpolate(coarse_NKhw, (self.image_size,) * 2, mode="bilinear", align_corners=False)
