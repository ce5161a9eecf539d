"""Photos that look the same, found without comparing all pairs.

Two photos are similar if their hashes differ in at most 2 bits and their thumbnails by at most 8 grey levels in the
mean. Of three blocks of the hash one is equal then (two bits lie in two blocks at most), and the sums of grey lie
near: so photos are sorted by each block and the sum within it, and only the few between two bounds are compared.

Pictures of one hash that differ, as of stripes, can all lie between two bounds. A photo is compared with those nearest
in brightness alone then, and one that is similar all the same may be overlooked.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from core.data.doctor.pair_checks import PhotoFacts

MAX_HASH_DISTANCE = 2
MAX_GREY_DIFFERENCE = 8.0
"""Largest distance of similar photos: in bits of the hash, and in mean grey levels of the 9 x 8 thumbnail."""
PIXELS = 9 * 8
MAX_SUM = int(MAX_GREY_DIFFERENCE * PIXELS)
BLOCKS = ((0, 21), (21, 21), (42, 22))
"""First bit and number of bits: one block more than bits that may differ."""
MOST = 500
"""Number of darker, and of brighter, photos that are compared in each block: so time grows with the photos alone."""
AT_ONCE = 128
"""Number of photos that are compared at a time: in a scene, one of the first is similar already."""


class _Looks:
    """Hashes, thumbnails and their sums of photos as arrays."""

    def __init__(self, photos: Sequence[PhotoFacts]) -> None:
        self.hash_N = np.array([photo.hash for photo in photos], dtype=np.uint64)
        self.grey_NP = np.array([photo.grey_89.ravel() for photo in photos], dtype=np.int16).reshape(-1, PIXELS)
        self.sum_N = self.grey_NP.sum(axis=1, dtype=np.int64)

    def keys(self, block: tuple[int, int]) -> NDArray[np.int64]:
        """Return numbers that sort photos by a block of the hash, then by their sum of grey, (N,)."""
        first, num_bits = block
        bits_N = (self.hash_N >> np.uint64(first)) & np.uint64(2**num_bits - 1)
        keys_N: NDArray[np.int64] = bits_N.astype(np.int64) * 2**16 + self.sum_N
        return keys_N


def first_similar(photos: Sequence[PhotoFacts], others: Sequence[PhotoFacts]) -> list[int | None]:
    """Return, for each photo, the index of the first other that looks the same and is no copy; None without one."""
    firsts: dict[bytes, int] = {}
    for at, other in enumerate(others):
        firsts.setdefault(other.digest, at)
    numbers, places = {digest: number for number, digest in enumerate(firsts)}, list(firsts.values())
    search = _Search(_Looks(photos), _Looks([others[at] for at in places]))
    found = [search.first(number, numbers.get(photo.digest, -1)) for number, photo in enumerate(photos)]
    return [None if number is None else places[number] for number in found]


class _Search:
    """The others sorted by each block of the hash, and the range in which the candidates of each photo lie."""

    def __init__(self, photos: _Looks, others: _Looks) -> None:
        self._photos, self._others = photos, others
        self._sorted: list[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]] = []
        for block in BLOCKS:
            keys_N, keys_M = photos.keys(block), others.keys(block)
            order_M = np.argsort(keys_M, kind="stable")
            bounds = (-MAX_SUM, 0, MAX_SUM + 1)
            first_N, own_N, end_N = (np.searchsorted(keys_M, keys_N + bound, sorter=order_M) for bound in bounds)
            self._sorted.append((order_M, np.maximum(first_N, own_N - MOST), np.minimum(end_N, own_N + MOST)))

    def first(self, photo: int, copy: int) -> int | None:
        """Return the index of the first candidate that looks like a photo, its copy left out; None without one."""
        others_M = np.concatenate([order_M[first_N[photo] : end_N[photo]] for order_M, first_N, end_N in self._sorted])
        ours, theirs = self._photos, self._others
        near_M = np.bitwise_count(theirs.hash_N[others_M] ^ ours.hash_N[photo]) <= MAX_HASH_DISTANCE
        others_M = np.unique(others_M[near_M & (others_M != copy)])
        for begin in range(0, others_M.size, AT_ONCE):
            some_M = others_M[begin : begin + AT_ONCE]
            apart_M = np.abs(theirs.grey_NP[some_M] - ours.grey_NP[photo]).sum(axis=1, dtype=np.int32)
            if (alike_M := some_M[apart_M <= MAX_SUM]).size:
                return int(alike_M[0])
        return None
