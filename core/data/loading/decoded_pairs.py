"""Pairs decoded and resized once, in a cache file that is mapped into memory, so that epochs decode no files.

    cache/pixels/KEY/          KEY hashes the files' stamps, image size, geometry and number of classes
        pixels.npy             uint8, shape (N, 4, S, S): red, green, blue, class id; as `transforms` resizes them
        counts.npy             int64, shape (N, K): pixels of each class in the masks at their own size

The folder appears whole or not at all. Without room on the disk the files are decoded in every epoch.
"""

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from core.data.dataset import Sample
from core.data.geometry import RESIZE
from core.data.images import read_mask, read_pair
from core.data.loading import array_cache
from core.data.loading.ahead import in_turn
from core.data.loading.transforms import mask_in_square, photo_in_square
from core.data.statistics.split_stats import MAX_THREADS
from core.files import new_folder, stamp
from core.home import home

SCHEMA = 3
"""Incremented when the same files give other pixels. 2: colour profiles. 3: `bit_depth` refuses some."""


class WholePair(NamedTuple):
    """A photo in the model's square, uint8 (3, S, S), its ids, uint8 (S, S), and the ids at their own size, (H, W)."""

    photo_3SS: Tensor
    mask_SS: Tensor
    truth_HW: NDArray[np.uint8]


class SquarePairs:
    """Pairs by index in the model's square, before augmentation: from the cache if they are in it, else from files."""

    def __init__(self, samples: Sequence[Sample], num_classes: int, image_size: int, geometry: str = RESIZE) -> None:
        self.samples = samples
        self.num_classes = num_classes
        self.image_size = image_size
        self.geometry = geometry
        self._pixels_N4SS: NDArray[np.uint8] | None = None
        self._folder: Path | None = None

    def __len__(self) -> int:
        """Return the number of pairs."""
        return len(self.samples)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        """Return a photo, uint8 (3, S, S), and its ids, uint8 (S, S); a pair that cannot be read raises `DataError`."""
        if self._pixels_N4SS is None:
            return self._read(index)[:2]
        pixels_4SS = torch.from_numpy(np.array(self._pixels_N4SS[index]))
        return pixels_4SS[:3], pixels_4SS[3]

    def copied_to(self, device: torch.device) -> Tensor:
        """Return all pairs, which must be cached, on a device: uint8, (N, 4, S, S), red, green, blue, class id."""
        pixels_N4SS = torch.empty((len(self), 4, *(self.image_size,) * 2), dtype=torch.uint8, device=device)
        for index in range(len(self)):  # one at a time: all pairs may not fit into main memory
            photo_3SS, mask_SS = self[index]
            pixels_N4SS[index, :3], pixels_N4SS[index, 3] = photo_3SS, mask_SS
        return pixels_N4SS

    def with_truth(self, index: int) -> WholePair:
        """Return a pair with its mask at its own size; an unreadable one raises `DataError`."""
        sample = self.samples[index]
        if self._pixels_N4SS is None:
            photo, truth_HW = read_pair(sample.photo, sample.mask, self.num_classes)
            return WholePair(*self._in_square(photo, truth_HW), truth_HW)
        return WholePair(*self[index], read_mask(sample.mask, self.num_classes))

    def __getstate__(self) -> dict[str, object]:
        """Leave a mapped file out: loader processes map it themselves."""
        return vars(self) | ({"_pixels_N4SS": None} if self._folder else {})

    def __setstate__(self, state: dict[str, object]) -> None:
        """Map the file that the sending process had mapped."""
        vars(self).update(state)
        if self._folder:
            # Another process may have deleted it to make room: then the pairs are read from their files.
            with suppress(FileNotFoundError, NotADirectoryError):
                self._map(self._folder)

    @property
    def nbytes(self) -> int:
        """Bytes of all pairs in the cache."""
        return len(self) * 4 * self.image_size**2

    def open_cached(self) -> bool:
        """Map the pairs from the cache, if it has them; return whether they are in memory."""
        if self._pixels_N4SS is None:
            with suppress(FileNotFoundError, NotADirectoryError):
                self._map(self.place())
        return self._pixels_N4SS is not None

    def hold(self) -> None:
        """Read every pair into memory."""
        self._pixels_N4SS = np.stack([pixels_4SS for pixels_4SS, _ in self._read_from(0)])

    def cache(self) -> Iterator[NDArray[np.int64]]:
        """Cache every pair and yield the pixels of each class in its mask at its own size, (K,).

        Cached pairs are not read again. An unusable pair raises `DataError`; without room every pair is still read.
        """
        num_counted = 0
        if self.open_cached() and self._folder:
            with suppress(FileNotFoundError):  # another process may be deleting it to make room
                counts_NK = np.load(self._folder / "counts.npy", allow_pickle=False)
                num_counted = len(counts_NK)
                yield from counts_NK
        elif array_cache.make_room(self.place().parent, self.nbytes):
            # The disk may still fill up, and another process may have written the same pairs.
            with suppress(OSError), new_folder(self.place()) as folder:
                for counts_K in self._write(folder):
                    num_counted += 1
                    yield counts_K
            self.open_cached()
        yield from (counts_K for _, counts_K in self._read_from(num_counted))

    def _write(self, folder: Path) -> Iterator[NDArray[np.int64]]:
        counts: list[NDArray[np.int64]] = []

        def pixels() -> Iterator[NDArray[np.uint8]]:
            for pixels_4SS, counts_K in self._read_from(0):
                counts.append(counts_K)
                yield pixels_4SS

        shape = (len(self), 4, self.image_size, self.image_size)
        for _ in array_cache.write_rows(folder / "pixels.npy", shape, np.uint8, pixels()):
            yield counts[-1]
        np.save(folder / "counts.npy", np.array(counts))

    def _map(self, folder: Path) -> None:
        self._pixels_N4SS = array_cache.mapped(folder / "pixels.npy").view(np.uint8)
        self._folder = folder

    def _read_from(self, first: int) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.int64]]]:
        with ThreadPoolExecutor(MAX_THREADS) as pool:
            for photo_3SS, mask_SS, counts_K in in_turn(pool, self._read, range(first, len(self)), MAX_THREADS):
                yield torch.cat([photo_3SS, mask_SS[None]]).numpy(), counts_K

    def _read(self, index: int) -> tuple[Tensor, Tensor, NDArray[np.int64]]:
        sample = self.samples[index]
        photo, mask_HW = read_pair(sample.photo, sample.mask, self.num_classes)
        counts_K: NDArray[np.int64] = np.bincount(mask_HW.ravel(), minlength=256)[: self.num_classes]
        return *self._in_square(photo, mask_HW), counts_K

    def _in_square(self, photo: Image.Image, mask_HW: NDArray[np.uint8]) -> tuple[Tensor, Tensor]:
        return (
            photo_in_square(photo, self.image_size, self.geometry),
            mask_in_square(mask_HW, self.image_size, self.geometry),
        )

    def place(self) -> Path:
        """Return the folder of these pairs in the cache, for their files as they are now."""
        digest = hashlib.sha256(repr((SCHEMA, self.image_size, self.geometry, self.num_classes)).encode())
        for sample in self.samples:
            digest.update(repr((stamp(sample.photo), stamp(sample.mask))).encode())
        return home() / "cache" / "pixels" / digest.hexdigest()[:24]
