"""Splitting photos 80/20, at random or stratified by class; and setting a test split aside.

Stratified as in Sechidis, Tsoumakas and Vlahavas, *On the stratification of multi-label data* (ECML PKDD 2011): the
class with the fewest photos left is served first, each of its photos goes to the part that lacks most of that class.
Three additions: the sizes are those of a random split; every class of two photos or more first gets one photo in each
part where possible, classes of five or more before rarer ones, which could otherwise use up their photos; and a class
that is in val alone, where no model can learn it, changes places with photos of train. That costs no class of five
photos or more its place in val; one of two to four may lose it, as it can be learned all the same.
"""

import shutil
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.data.dataset import (
    LISTS,
    TEST,
    TRAIN_SHARE,
    Sample,
    in_random_order,
    num_to_train,
    open_dataset,
    random_splits,
)
from core.data.doctor.set_checks import is_to_train_on
from core.data.pair_names import composed
from core.data.split_view import data_of, is_view
from core.errors import DataError
from core.files import new_folder, read_lines, replacing_folder, unused

MIN_PHOTOS = 5
"""Least photos of a class for an 80/20 split."""
PARTS = ("train", "val")
TRAIN, VAL = range(2)


@dataclass(frozen=True, kw_only=True)
class SplitShares:
    """The photos of each class in train and val, by class id.

    `largest_deviation` is the largest distance of a class's share in val from 0.2, over the classes with five photos or
    more; None without such a class.
    """

    train: tuple[int, ...]
    val: tuple[int, ...]
    largest_deviation: float | None


@dataclass(frozen=True, kw_only=True)
class SplitPreview:
    """The same photos split both ways with one seed."""

    random: SplitShares
    stratified: SplitShares


def preview_splits(
    samples: Sequence[Sample], class_ids: Mapping[str, Collection[int]], num_classes: int, seed: int
) -> SplitPreview:
    """Return the class counts of both ways to split; `class_ids` holds the classes in each photo, by name."""
    return SplitPreview(
        random=split_shares(random_splits(list(samples), seed), class_ids, num_classes),
        stratified=split_shares(stratified_splits(samples, class_ids, seed), class_ids, num_classes),
    )


def split_shares(
    splits: Mapping[str, Sequence[Sample]], class_ids: Mapping[str, Collection[int]], num_classes: int
) -> SplitShares:
    """Count the photos of each class in train and val."""
    train_K, val_K = (_shows(splits[part], class_ids, num_classes).sum(axis=0) for part in PARTS)
    total_K = train_K + val_K
    is_common_K = total_K >= MIN_PHOTOS
    deviations = np.abs(val_K[is_common_K] / total_K[is_common_K] - (1 - TRAIN_SHARE))
    return SplitShares(
        train=tuple(train_K.tolist()),
        val=tuple(val_K.tolist()),
        largest_deviation=float(deviations.max()) if deviations.size else None,
    )


def stratified_splits(
    samples: Sequence[Sample], class_ids: Mapping[str, Collection[int]], seed: int
) -> dict[str, tuple[Sample, ...]]:
    """Split 80/20 so that the photos of every class are split 80/20; both parts are sorted by name.

    The result depends on names, classes and seed, not on the order of the samples. `class_ids` holds the classes in
    each photo, by name. Val exceeds a fifth only if it needs more photos to show every class of two photos or more.
    """
    shuffled = in_random_order(samples, seed)
    num_classes = 1 + max((class_id for sample in samples for class_id in class_ids[sample.name]), default=0)
    parts_N = _Division(_shows(shuffled, class_ids, num_classes)).parts()
    by_part = [[sample for sample, its in zip(shuffled, parts_N, strict=True) if its == part] for part in (TRAIN, VAL)]
    return {
        name: tuple(sorted(part, key=lambda sample: sample.name)) for name, part in zip(PARTS, by_part, strict=True)
    }


def _shows(samples: Sequence[Sample], class_ids: Mapping[str, Collection[int]], num_classes: int) -> NDArray[np.int64]:
    """Return 1 where a photo shows a class, else 0, shape (N, K)."""
    shows_NK = np.zeros((len(samples), num_classes), dtype=np.int64)
    for row, sample in enumerate(samples):
        shows_NK[row, list(class_ids[sample.name])] = 1
    return shows_NK


class _Division:
    """Photos being divided; `shows_NK` is 1 where a photo shows a class. Ties go to the first photo."""

    def __init__(self, shows_NK: NDArray[np.int64]) -> None:
        num_photos = len(shows_NK)
        num_train = num_to_train(num_photos)
        self._shows_NK = shows_NK
        self._part_N = np.full(num_photos, -1)
        self._room = [num_train, num_photos - num_train]
        self._wanted_2K = np.array([[TRAIN_SHARE], [1 - TRAIN_SHARE]]) * shows_NK.sum(axis=0)

    def parts(self) -> NDArray[np.int64]:
        """Return the part of each photo, shape (N,)."""
        total_K = self._shows_NK.sum(axis=0)
        for is_served_K in (total_K >= MIN_PHOTOS, total_K >= len(PARTS)):
            for class_id in np.argsort(total_K, kind="stable"):
                if is_served_K[class_id]:
                    for part in (VAL, TRAIN):
                        self._show_in(part, class_id, is_served_K)
        while (left_K := self._shows_NK[self._part_N < 0].sum(axis=0)).any():
            rarest = int(np.argmin(np.where(left_K > 0, left_K, len(self._part_N) + 1)))
            for photo in np.flatnonzero((self._part_N < 0) & (self._shows_NK[:, rarest] > 0)):
                self._put(int(photo), self._neediest(rarest))
        for photo in np.flatnonzero(self._part_N < 0):  # photos without any class
            self._put(int(photo), max((TRAIN, VAL), key=lambda part: self._room[part]))
        for class_id in np.argsort(total_K, kind="stable"):
            self._show_in_train(class_id, total_K)
        return self._part_N

    def _show_in_train(self, class_id: int, total_K: NDArray[np.int64]) -> None:
        """Exchange a photo of a class that is in val alone for one of train, if fewer classes are in val alone then.

        Of such pairs it is the first that leaves most classes of two photos or more in val, and all of five or more:
        one of two to four photos that leaves val is not scored, where the class in val alone could only score 0.
        """
        in_train = np.flatnonzero(self._part_N == TRAIN)
        in_val = np.flatnonzero((self._part_N == VAL) & (self._shows_NK[:, class_id] > 0))
        train_K = self._shows_NK[in_train].sum(axis=0)
        if train_K[class_id] or not in_val.size:
            return

        def lacks(train_MK: NDArray[np.int64]) -> NDArray[np.int64]:
            is_gone_MK = train_MK == total_K
            lacks_train_M = ((train_MK == 0) & (total_K > 0)).sum(axis=1)
            lacks_val_2M = [(is_gone_MK & (total_K >= least)).sum(axis=1) for least in (MIN_PHOTOS, len(PARTS))]
            return np.stack([lacks_train_M, *lacks_val_2M], axis=1)

        now_3 = lacks(train_K[None])[0]
        best_3, pair = now_3, None
        for photo in in_val:
            after_M3 = lacks(train_K + self._shows_NK[photo] - self._shows_NK[in_train])
            after_M3 = np.where((after_M3[:, 1] > now_3[1])[:, None], len(total_K) + 1, after_M3)
            least = int(np.lexsort(after_M3.T[::-1])[0])
            if after_M3[least][0] < now_3[0] and tuple(after_M3[least]) < tuple(best_3):
                best_3, pair = after_M3[least], (photo, in_train[least])
        if pair:
            self._part_N[[*pair]] = TRAIN, VAL

    def _show_in(self, part: int, class_id: int, is_served_K: NDArray[np.bool_]) -> None:
        """Give a part its first photo of a class: the one with most of the served classes that the part lacks.

        A photo that is the other part's last chance to show a class is taken only if there is no other.
        """
        is_free_N = self._part_N < 0
        lacks_2K = is_served_K & np.array([~self._shows_NK[self._part_N == each].any(axis=0) for each in (TRAIN, VAL)])
        candidates = np.flatnonzero(is_free_N & (self._shows_NK[:, class_id] > 0))
        if not lacks_2K[part, class_id] or not candidates.size:
            return
        is_last_K = lacks_2K[1 - part] & (self._shows_NK[is_free_N].sum(axis=0) == 1)
        worth_K = lacks_2K[part] - len(is_last_K) * is_last_K
        gains = self._shows_NK[candidates] @ (len(worth_K) * worth_K + lacks_2K[part] - 1)
        self._put(int(candidates[np.argmax(gains)]), part)

    def _neediest(self, class_id: int) -> int:
        """Return the part with room that lacks most of a class, on a tie the one with more room."""
        open_parts = [part for part in (TRAIN, VAL) if self._room[part] > 0]
        return max(open_parts, key=lambda part: (self._wanted_2K[part, class_id], self._room[part]))

    def _put(self, photo: int, part: int) -> None:
        self._part_N[photo] = part
        self._wanted_2K[part] -= self._shows_NK[photo]
        self._room[part] -= 1


def write_lists(root: Path, splits: Mapping[str, Sequence[Sample]]) -> None:
    """Write splits as the lists of a data set; existing lists are first copied to a folder beside.

    The copy is Segmentation-before, or -before-2 and so on. Other lists stay, but training lists lose the names in val,
    and all of them the names in test.
    If the folder cannot be written, raise `DataError` and leave the lists unchanged.
    """
    if is_view(root):
        raise DataError(f"{root} is a split view of {data_of(root)}; write the lists of that data set instead.")
    folder = root / LISTS
    names = {part: [sample.name for sample in samples] for part, samples in splits.items()}
    if odd := [name for its in names.values() for name in its if name != name.strip()]:
        raise DataError(f"'{odd[0]}' begins or ends with a space, which a list cannot hold; rename photo and mask.")
    try:
        keep_lists(root)
        with replacing_folder(folder) as draft:
            if folder.exists():
                shutil.copytree(folder, draft, dirs_exist_ok=True)
            _take_off(draft, set(names["val"]), is_to_train_on)
            _take_off(draft, set(names.get(TEST, ())), lambda _: True)
            for part, its in names.items():
                (draft / f"{part}.txt").write_text("".join(f"{name}\n" for name in its), encoding="utf-8")
    except OSError as error:
        raise DataError(f"{folder} cannot be written: {error.strerror}; check whose folder it is.") from error


def keep_lists(root: Path) -> None:
    """Copy the lists of a data set, if it has any, to Segmentation-before, or -before-2 and so on."""
    folder = root / LISTS
    if folder.exists():
        with new_folder(unused(folder.with_name(f"{folder.name}-before"))) as before:
            shutil.copytree(folder, before, dirs_exist_ok=True)


def set_aside_test(root: Path, share: float, seed: int = 0) -> int:
    """Write a random share of the photos of train and of val as the list test, and take them off all other lists.

    Return the number of these photos. Where there were no lists, train and val are written too (`write_lists`). A
    `test.txt` that exists, a share outside (0, 1), or too few photos for it raise `DataError`.
    """
    data = open_dataset(root, seed=seed)
    if (list_there := data.root / LISTS / f"{TEST}.txt").exists():
        raise DataError(f"{list_there} exists already; nothing is overwritten.")
    if not 0 < share < 1:
        raise DataError(f"A test split of {share:g} of the photos is not possible; give a share between 0 and 1.")
    parts = {part: in_random_order(data.splits.get(part, ()), seed) for part in PARTS}
    in_val = {sample.name for sample in parts["val"]}  # a photo that both lists name is drawn once
    drawn_from = (parts["val"], [each for each in parts["train"] if each.name not in in_val])
    taken = [sample for samples in drawn_from for sample in samples[: round(share * len(samples))]]
    names = {sample.name for sample in taken}
    split = {part: [each for each in samples if each.name not in names] for part, samples in parts.items()}
    if not taken or not all(split.values()):
        sizes = " and ".join(f"{len(samples):,} in {part}" for part, samples in parts.items())
        raise DataError(f"{data.root} has too few photos ({sizes}) for a test split of {share:.0%}; choose another.")
    split[TEST] = taken
    write_lists(data.root, {part: sorted(samples, key=lambda each: each.name) for part, samples in split.items()})
    return len(taken)


def _take_off(folder: Path, names: Collection[str], is_of: Callable[[str], bool]) -> None:
    """Remove names from the lists that `is_of` returns true for."""
    for file in (file for file in folder.glob("*.txt") if is_of(file.stem)):
        lines = read_lines(file)
        kept = [line for line in lines if composed(line) not in names and composed(line.split()[0]) not in names]
        if kept != lines:
            file.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")
