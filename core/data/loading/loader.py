"""Training pairs in batches: the same for a seed and epoch on every machine and for any number of loader processes.

The exception is random scaling on a GPU: the same augmentation is drawn, and masks are the same, but photos may differ
by 1 of 255 from those of a CPU.
"""

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Generic, TypeVar

import torch
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from core.data.loading.batch_augmentation import augmented_batch
from core.data.loading.decoded_pairs import SquarePairs
from core.data.loading.transforms import Augmentation, TrainingTransform, normalize
from core.data.seeding import mixed_seed
from core.errors import DataError

T = TypeVar("T")

CPU = torch.device("cpu")


@contextmanager
def seeded(*numbers: int) -> Iterator[None]:
    """Seed torch's global generator by numbers in a `with` block, and restore it after."""
    with torch.random.fork_rng(devices=[]):
        # Not `torch.manual_seed`, which seeds the GPU's generators too: they draw nothing here.
        torch.default_generator.manual_seed(mixed_seed(*numbers))
        yield


class TrainingPairs(TorchDataset[tuple[Tensor, Tensor]]):
    """Augmented pairs by (epoch, index); a pair depends on the seed, epoch and index only.

    With `resident_on`, cached pairs are copied to that device once, if its memory suffices, and `resident_batch`
    augments them there.
    """

    def __init__(
        self,
        pairs: SquarePairs,
        transform: TrainingTransform,
        seed: int,
        resident_on: torch.device | None = None,
    ) -> None:
        self.pairs = pairs
        self.transform = transform
        self._seed = seed
        self._resident_on = resident_on
        self._resident_N4SS: Tensor | None = None

    def __len__(self) -> int:
        """Return the number of pairs."""
        return len(self.pairs)

    def open_cached(self) -> bool:
        """Map cached pairs, and copy them to the device if asked; return whether they were cached."""
        is_cached = self.pairs.open_cached()
        if is_cached and self._resident_on:
            with suppress(torch.OutOfMemoryError):  # other programs use its memory: read as before
                self._resident_N4SS = self.pairs.copied_to(self._resident_on)
            self._resident_on = None
        return is_cached

    @property
    def is_resident(self) -> bool:
        """Whether pairs come from another device's memory, which loader processes cannot read."""
        return self._resident_N4SS is not None

    def as_input(self, photos_N3SS: Tensor) -> Tensor:
        """Return a batch of photos, uint8, normalized for the model."""
        return normalize(photos_N3SS)

    def __getitem__(self, key: tuple[int, int]) -> tuple[Tensor, Tensor]:
        _, index = key
        photo_3SS, mask_SS = self.pairs[index]
        if self.transform.is_identity:
            return photo_3SS, mask_SS
        with seeded(self._seed, *key):
            return self.transform(photo_3SS, mask_SS)

    def resident_batch(self, keys: Sequence[tuple[int, int]]) -> tuple[Tensor, Tensor]:
        """Return photos, uint8 (N, 3, S, S), and ids, uint8 (N, S, S), from the device's memory, augmented there.

        All that is drawn, here on the CPU, goes over in one copy that is not waited for.
        """
        if self._resident_N4SS is None:
            raise ValueError("the pairs do not reside on a device")
        drawn_N5 = torch.tensor([(index, *self._drawn((epoch, index))) for epoch, index in keys])
        if self._resident_N4SS.is_cuda:
            drawn_N5 = drawn_N5.pin_memory()
        drawn_N5 = drawn_N5.to(self._resident_N4SS.device, non_blocking=True)
        pixels_N4SS = self._resident_N4SS[drawn_N5[:, 0]]
        photos_N3SS, masks_NSS = pixels_N4SS[:, :3], pixels_N4SS[:, 3]
        if self.transform.is_identity:
            return photos_N3SS, masks_NSS
        return augmented_batch(photos_N3SS, masks_NSS, drawn_N5[:, 1:])

    def _drawn(self, key: tuple[int, int]) -> Augmentation:
        with seeded(self._seed, *key):
            return self.transform.draw()


class TrainingBatches:
    """The batches of an epoch, shuffled, on `device`; the last incomplete batch is left out.

    BatchNorm fails on a single photo, and a small batch would weigh too much. With fewer photos than a batch, the epoch
    is one batch of all of them. `part` is (number, count): this process reads every count-th photo of a batch, from the
    number-th on; other processes read the others.
    """

    def __init__(
        self,
        pairs: TrainingPairs,
        batch_size: int,
        num_workers: int,
        seed: int,
        part: tuple[int, int] = (0, 1),
        device: torch.device = CPU,
    ) -> None:
        num_samples = len(pairs)
        if num_samples < 2:
            raise DataError(
                f"Training needs at least 2 photos, but there is {num_samples}; add photos or raise train_fraction."
            )
        self._pairs = pairs
        self._num_samples = num_samples
        self._batch_size = min(batch_size, num_samples)
        self._num_workers = num_workers
        self._seed = seed
        self._part = part
        self._device = device
        self._is_pinned = device.type == "cuda"

    def __len__(self) -> int:
        """Return the number of steps of an epoch."""
        return self._num_samples // self._batch_size

    def epoch(self, epoch: int, *, first: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield images_N3SS (float32) and masks_NSS (int64) of an epoch, from batch number `first` on."""
        self._pairs.open_cached()
        generator = torch.Generator().manual_seed(mixed_seed(self._seed, epoch))
        order = torch.randperm(self._num_samples, generator=generator).tolist()
        keys = [(epoch, index) for index in order]
        size, (number, count) = self._batch_size, self._part
        batches = [keys[step * size : (step + 1) * size][number::count] for step in range(first, len(self))]
        try:
            for pairs in self._read(batches):
                # Bytes are a quarter of the normalized floats; the copy overlaps with the device's computation.
                photos_N3SS, masks_NSS = (each.to(self._device, non_blocking=self._is_pinned) for each in pairs)
                yield self._pairs.as_input(photos_N3SS), masks_NSS.to(torch.int64)
        except DataError as error:
            # A loader process sends its traceback as the message; the last line holds the sentence.
            last_line = str(error).strip().splitlines()[-1]
            raise DataError(last_line.removeprefix(f"{DataError.__module__}.{DataError.__name__}: ")) from error

    def _read(self, batches: list[list[tuple[int, int]]]) -> Iterable[tuple[Tensor, Tensor]]:
        if self._pairs.is_resident:
            return map(self._pairs.resident_batch, batches)
        return DataLoader(self._pairs, batch_sampler=batches, num_workers=self._num_workers, pin_memory=self._is_pinned)


class Waiting(Iterator[T], Generic[T]):
    """An iterator that measures the seconds spent waiting for another one: the time training loses to loading."""

    def __init__(self, items: Iterator[T]) -> None:
        self.seconds = 0.0
        self._items = items

    def __next__(self) -> T:
        """Return the next item."""
        began_s = time.perf_counter()
        try:
            return next(self._items)
        finally:
            self.seconds += time.perf_counter() - began_s
