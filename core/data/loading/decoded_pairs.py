"""Pairs decoded and resized once, and kept in a file that is mapped into memory: epochs read no JPEG and no PNG.

    cache/pixels/KEY/          of some samples, their files as they are, an image size and a geometry
        pixels.npy             uint8, shape (N, 4, S, S): red, green, blue, class id; as `transforms` resizes them
        counts.npy             int64, shape (N, K): pixels of each class in the masks at their own size

A folder appears whole or not at all. A file that changes, of a photo or a mask, makes another key. Where there is no
room, everything works as well, and the files are read anew each time.
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
from core.data.loading.transforms import mask_in_square, photo_in_square
from core.data.statistics.split_stats import MAX_THREADS
from core.files import new_folder, stamp
from core.home import home

SCHEMA = 3
"""Goes up whenever the same files would be resized otherwise. 2: colour profiles. 3: `bit_depth` refuses some."""


class WholePair(NamedTuple):
    """A photo in the model's square, uint8 (3, S, S), its ids likewise (S, S), and the ids at their own size (H, W)."""

    photo_3SS: Tensor
    mask_SS: Tensor
    truth_HW: NDArray[np.uint8]


class SquarePairs:
    """Pairs by index as the model takes them before augmentation: kept ones once there are, else from their files."""

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
        """Return all pairs, which are kept, on another device: uint8, (N, 4, S, S), red, green, blue, class id."""
        pixels_N4SS = torch.empty((len(self), 4, *(self.image_size,) * 2), dtype=torch.uint8, device=device)
        for index in range(len(self)):  # one at a time: together they may not fit into this machine's memory
            photo_3SS, mask_SS = self[index]
            pixels_N4SS[index, :3], pixels_N4SS[index, 3] = photo_3SS, mask_SS
        return pixels_N4SS

    def with_truth(self, index: int) -> WholePair:
        """Return a pair with its mask at its own size; one that cannot be read raises `DataError`."""
        sample = self.samples[index]
        if self._pixels_N4SS is None:
            photo, truth_HW = read_pair(sample.photo, sample.mask, self.num_classes)
            return WholePair(*self._in_square(photo, truth_HW), truth_HW)
        return WholePair(*self[index], read_mask(sample.mask, self.num_classes))

    def __getstate__(self) -> dict[str, object]:
        """Leave a mapped file out: a loader process opens it for itself."""
        return vars(self) | ({"_pixels_N4SS": None} if self._folder else {})

    def __setstate__(self, state: dict[str, object]) -> None:
        """Open the file that the sending process had open."""
        vars(self).update(state)
        if self._folder:
            with suppress(
                FileNotFoundError, NotADirectoryError
            ):  # it had to make room meanwhile: the pairs are read from their files
                self._map(self._folder)

    @property
    def nbytes(self) -> int:
        """Bytes that all pairs take when they are kept."""
        return len(self) * 4 * self.image_size**2

    def open_kept(self) -> bool:
        """Take the pairs from where they are kept, if they are, and tell whether they come from memory now."""
        if self._pixels_N4SS is None:
            with suppress(FileNotFoundError, NotADirectoryError):
                self._map(self.place())
        return self._pixels_N4SS is not None

    def hold(self) -> None:
        """Read every pair into memory, instead of keeping it in a file."""
        self._pixels_N4SS = np.stack([pixels_4SS for pixels_4SS, _ in self._read_from(0)])

    def keep(self) -> Iterator[NDArray[np.int64]]:
        """Read every pair, keep it, and yield the pixels of each class in its mask at its own size, shape (K,).

        What is kept already is not read again. A pair that cannot be used raises `DataError`; where nothing can be
        kept, pairs are read all the same.
        """
        num_told = 0
        if self.open_kept() and self._folder:
            with suppress(FileNotFoundError):  # another process may be making room
                counts_NK = np.load(self._folder / "counts.npy", allow_pickle=False)
                num_told = len(counts_NK)
                yield from counts_NK
        elif array_cache.make_room(self.place().parent, self.nbytes):
            # The disk may fill up all the same, and another process may have kept the same pairs meanwhile.
            with suppress(OSError), new_folder(self.place()) as folder:
                for counts_K in self._write(folder):
                    num_told += 1
                    yield counts_K
            self.open_kept()
        yield from (counts_K for _, counts_K in self._read_from(num_told))

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
            for photo_3SS, mask_SS, counts_K in pool.map(self._read, range(first, len(self))):
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
        """Return the folder where these pairs, with their files as they are now, are kept or would be."""
        digest = hashlib.sha256(repr((SCHEMA, self.image_size, self.geometry, self.num_classes)).encode())
        for sample in self.samples:
            digest.update(repr((stamp(sample.photo), stamp(sample.mask))).encode())
        return home() / "cache" / "pixels" / digest.hexdigest()[:24]
