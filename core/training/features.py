"""Features of a backbone's frozen stages, computed once for every photo and stored: epochs train what follows them.

    cache/features/KEY/features.npy    bf16 as uint16, shape (N, F, h, w, C): N photos in F forms; KEY hashes the
                                       stages' weights, the pixels and the forms

A photo has one form, the photo itself, or with random scales `NUM_SCALED`, each scaled and cut as one of the first
epochs would; and as many mirror images if training flips photos. bf16 has three digits: ResNet-50 at stride 16 and
256 px takes 1 MB for a form.
"""

import hashlib
import math
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
from core.data.loading.loader import TrainingBatches, TrainingPairs, seeded
from core.data.loading.transforms import Augmentation, TrainingTransform, normalize
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
        digest = hashlib.sha256(f"{precision} {frozen}".encode())  # strides and rates are in its words alone
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


SCHEMA = 1
"""Part of the key: incremented when the same seed draws other scales."""

NUM_SCALED = 4
"""Random scales of a photo that are stored; on VOC's animals twice as many score no better (dev/LOG.md)."""

PIXELS_AT_ONCE = 8 * 256**2
"""Pixels of the photos that go through the stages at once: one at a time takes twice as long on two cores."""


class FeaturePairs:
    """Features and ids by index, in place of the photos and ids of `SquarePairs`; computed each time until stored.

    For a `training`, each photo has several forms, drawn from its seed; of random scales no more than it has epochs.
    """

    def __init__(
        self, pairs: SquarePairs, backbone: Callable[[], Backbone], training: TrainingConfig | None = None
    ) -> None:
        self.pairs = pairs
        self.samples = pairs.samples
        self.transform = transform_of(training) if training else TrainingTransform(pairs.image_size)
        self._make_backbone = backbone
        self._seed, num_epochs = (training.seed, training.epochs) if training else (0, 1)
        self._num_scaled = min(NUM_SCALED, num_epochs) if self.transform.has_scales else 1
        self._num_sides = 2 if self.transform.has_flips else 1
        self._features_NFhwC: NDArray[np.uint16] | None = None

    def __len__(self) -> int:
        """Return the number of pairs."""
        return len(self.pairs)

    @property
    def num_forms(self) -> int:
        """The number of forms of each photo."""
        return self._num_scaled * self._num_sides

    def form_in(self, epoch: int) -> int:
        """Return the number of the form that an epoch trains on, drawn by torch's global generator.

        With random scales, each of the first epochs has the form that it would train on without storing; later epochs
        draw one of those.
        """
        drawn = self.transform.draw()
        number = 0
        if self.transform.has_scales:
            number = epoch - 1 if epoch <= NUM_SCALED else int(torch.randint(0, NUM_SCALED, ()))
        return number * self._num_sides + int(drawn.is_flipped)

    def _augmentation(self, index: int, form: int) -> Augmentation:
        number, side = divmod(form, self._num_sides)
        with seeded(self._seed, number + 1, index):
            return self.transform.draw()._replace(is_flipped=side == 1)

    def pair(self, index: int, form: int = 0) -> tuple[Tensor, Tensor]:
        """Return the features of a photo in one of its forms, bf16 (C, h, w), and its ids, uint8 (S, S)."""
        photo_3SS, mask_SS = self.pairs[index]
        stored_NFhwC = self._features_NFhwC
        bits_hwC = self._compute(photo_3SS, index, [form])[0] if stored_NFhwC is None else stored_NFhwC[index, form]
        features_hwC = torch.from_numpy(np.array(bits_hwC)).view(torch.bfloat16)
        return features_hwC.permute(2, 0, 1), self.transform.mask_as(self._augmentation(index, form), mask_SS)

    def open_cached(self) -> bool:
        """Open the stored features, if any, and return whether features come from memory now."""
        self.pairs.open_cached()
        file = self._place() / "features.npy"
        if self._features_NFhwC is None:
            with suppress(FileNotFoundError, NotADirectoryError):
                self._features_NFhwC = array_cache.mapped(file).view(np.uint16)
        return self._features_NFhwC is not None

    def hold(self, count: int) -> None:
        """Compute `count` features into memory and use them for all photos and forms: enough to time a step."""
        some_NhwC = np.concatenate([self._compute(self.pairs[at][0], at, [0]) for at in range(min(count, len(self)))])
        rows_NFhwC = some_NhwC[np.arange(len(self)) % len(some_NhwC), None]
        self._features_NFhwC = np.broadcast_to(rows_NFhwC, (len(self), self.num_forms, *some_NhwC.shape[1:]))

    def cache(self) -> Iterator[None]:
        """Compute and store the features of every photo, and yield after each; without disk space, do nothing."""
        if self.open_cached():
            return
        place = self._place()
        if array_cache.make_room(place.parent, self.nbytes):
            # The disk may still fill up, and another process may have stored the same features meanwhile.
            with suppress(OSError), new_folder(place) as folder:
                shape = (len(self), self.num_forms, *self._form_shape)
                rows = map(self.all_forms, range(len(self)))
                yield from array_cache.write_rows(folder / "features.npy", shape, np.uint16, rows)
            self.open_cached()

    @property
    def nbytes(self) -> int:
        """Bytes of all stored features."""
        return len(self) * self.nbytes_of_photo

    @property
    def nbytes_of_photo(self) -> int:
        """Bytes of all forms of a photo."""
        return self.num_forms * math.prod(self._form_shape) * np.dtype(np.uint16).itemsize

    @property
    def shape(self) -> tuple[int, int, int]:
        """The shape of a photo's features, (C, h, w)."""
        height, width, channels = self._form_shape
        return channels, height, width

    @cached_property
    def _form_shape(self) -> tuple[int, ...]:
        return self._compute(self.pairs[0][0], 0, [0]).shape[1:]

    @staticmethod
    def folder() -> Path:
        """Return the folder of all stored features."""
        return home() / "cache" / "features"

    @cached_property
    def _backbone(self) -> Backbone:
        return self._make_backbone()

    def all_forms(self, index: int) -> NDArray[np.uint16]:
        """Compute the features of all forms of a photo, the bits of bf16: uint16, shape (F, h, w, C)."""
        photo_3SS, _ = self.pairs[index]
        step = max(1, PIXELS_AT_ONCE // self.pairs.image_size**2)
        forms = range(self.num_forms)
        return np.concatenate([self._compute(photo_3SS, index, forms[at : at + step]) for at in forms[::step]])

    def _compute(self, photo_3SS: Tensor, index: int, forms: Sequence[int]) -> NDArray[np.uint16]:
        pictures = [self.transform.photo_as(self._augmentation(index, form), photo_3SS) for form in forms]
        return self._backbone.features(torch.stack(pictures))

    def _place(self) -> Path:
        asked = f"{self.pairs.place().name} {self.num_forms} {self._backbone.key}"
        if self.transform.has_scales:
            asked += f" {SCHEMA} {self._num_sides} {self._seed} {self.transform.scales}"
        return self.folder() / hashlib.sha256(asked.encode()).hexdigest()[:24]


class TrainingFeatures(TrainingPairs):
    """Features and ids by (epoch, index), in one of the photo's forms."""

    def __init__(self, features: FeaturePairs, seed: int) -> None:
        super().__init__(features.pairs, features.transform, seed)
        self._features = features

    def open_cached(self) -> bool:
        """Open the stored features, if any."""
        return self._features.open_cached()

    def as_input(self, photos_N3SS: Tensor) -> Tensor:
        """Return a batch of features, bf16 (N, C, h, w) in `channels_last`."""
        return photos_N3SS.permute(0, 3, 1, 2)

    def __getitem__(self, key: tuple[int, int]) -> tuple[Tensor, Tensor]:
        epoch, index = key
        with seeded(self._seed, *key):
            form = self._features.form_in(epoch)
        features_Chw, mask_SS = self._features.pair(index, form)
        return features_Chw.permute(1, 2, 0), mask_SS  # as stored, so that a batch is in `channels_last`


def transform_of(config: TrainingConfig) -> TrainingTransform:
    """Return the augmentation of a training."""
    return TrainingTransform(
        config.image_size, flip=config.flip, scale_min=config.scale_min, scale_max=config.scale_max
    )


def training_batches(
    config: TrainingConfig,
    source: SquarePairs | FeaturePairs,
    batch_size: int,
    world: World,
    device: torch.device,
    resident_on: torch.device | None,
) -> TrainingBatches:
    """Return this process's part of the batches on `device`; photos stay on `resident_on` (`memory.residence`)."""
    part = (world.rank, world.size)
    if isinstance(source, FeaturePairs):  # memory-mapped: loader processes would have little work
        features = TrainingFeatures(source, config.seed)
        return TrainingBatches(features, batch_size, 0, config.seed, part, device)
    pairs = TrainingPairs(source, transform_of(config), config.seed, resident_on)
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
