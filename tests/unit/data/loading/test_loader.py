"""Batches: a function of seed and epoch alone, whoever reads the photos."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from core.data.dataset import Sample, open_dataset
from core.data.loading.decoded_pairs import SquarePairs
from core.data.loading.loader import TrainingBatches, TrainingPairs, Waiting
from core.data.loading.transforms import TrainingTransform
from core.data.seeding import fraction_of, mixed_seed
from core.errors import DataError
from core.voc import IMAGE_STD
from tests.small_data import write_voc

Check = Callable[[object, Path], str]
Batch = tuple[Tensor, Tensor]


@pytest.fixture
def samples(tmp_path: Path) -> tuple[Sample, ...]:
    return open_dataset(write_voc(tmp_path / "seven", num_train=7)).split("train")


def batches(samples: tuple[Sample, ...], *, size: int = 2, workers: int = 0, seed: int = 0) -> TrainingBatches:
    transform = TrainingTransform(32, flip=True, scale_min=0.5, scale_max=2.0)
    pairs = TrainingPairs(SquarePairs(samples, 21, 32), transform, seed)
    return TrainingBatches(pairs, size, num_workers=workers, seed=seed)


def is_same(first: list[Batch], second: list[Batch]) -> bool:
    return all(
        torch.equal(one[0], other[0]) and torch.equal(one[1], other[1])
        for one, other in zip(first, second, strict=True)
    )


def test_a_batch_holds_normalized_photos_and_ids(samples: tuple[Sample, ...]) -> None:
    images, masks = next(batches(samples).epoch(1))
    assert (images.shape, images.dtype) == ((2, 3, 32, 32), torch.float32)
    assert (masks.shape, masks.dtype) == ((2, 32, 32), torch.int64)


def test_the_same_batches_come_from_any_number_of_processes(samples: tuple[Sample, ...]) -> None:
    torch.manual_seed(1)
    alone = list(batches(samples).epoch(3))
    torch.manual_seed(2)
    torch.rand(5)
    assert is_same(alone, list(batches(samples).epoch(3)))
    assert is_same(alone, list(batches(samples, workers=2).epoch(3)))


def test_pairs_that_reside_on_a_device_make_the_same_batches(
    samples: tuple[Sample, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is done on a GPU, done on the CPU: drawn from the same numbers, in the same order, and read no more once
    it is there. Scaled photos may differ by a grey level, masks not.
    """
    resized = SquarePairs(samples, 21, 32)
    list(resized.cache())
    transform = TrainingTransform(32, flip=True, scale_min=0.5, scale_max=2.0)
    pairs = TrainingPairs(resized, transform, 0, resident_on=torch.device("cpu"))
    assert not pairs.is_resident
    resident = TrainingBatches(pairs, 2, num_workers=2, seed=0)
    first = list(resident.epoch(1))
    assert pairs.is_resident
    for (images, masks), (others, other_masks) in zip(first, batches(samples).epoch(1), strict=True):
        assert torch.equal(masks, other_masks)
        torch.testing.assert_close(images, others, rtol=0, atol=1.001 / 255 / min(IMAGE_STD))
    plain = TrainingPairs(resized, TrainingTransform(32), 0, resident_on=torch.device("cpu"))
    unscaled = [
        TrainingBatches(each, 2, num_workers=0, seed=0)
        for each in (plain, TrainingPairs(resized, TrainingTransform(32), 0))
    ]
    assert is_same(*(list(each.epoch(1)) for each in unscaled))
    assert plain.is_resident
    monkeypatch.delattr(SquarePairs, "__getitem__")
    assert is_same(first, list(resident.epoch(1)))


def test_epochs_and_seeds_differ(samples: tuple[Sample, ...]) -> None:
    first = list(batches(samples).epoch(1))
    assert not is_same(first, list(batches(samples).epoch(2)))
    assert not is_same(first, list(batches(samples, seed=1).epoch(1)))


def test_an_epoch_shows_every_photo_once_but_those_of_the_incomplete_batch(samples: tuple[Sample, ...]) -> None:
    class Names(TrainingPairs):
        def __getitem__(self, key: tuple[int, int]) -> Batch:
            return torch.zeros((3, 1, 1), dtype=torch.uint8), torch.tensor(key[1])

    pairs = Names(SquarePairs(samples, 21, 32), TrainingTransform(32), 0)
    loader = TrainingBatches(pairs, 2, num_workers=0, seed=0)
    seen = [index for _, indices in loader.epoch(4) for index in indices.tolist()]
    assert len(loader) == 3
    assert len(seen) == len(set(seen)) == 6
    assert set(seen) < set(range(7))
    in_epoch = [frozenset(torch.cat([part for _, part in loader.epoch(epoch)]).tolist()) for epoch in range(9)]
    assert len(set(in_epoch)) > 1, "not always the same photo is left out"


def test_first_skips_batches_that_were_trained_before_a_stop(samples: tuple[Sample, ...]) -> None:
    loader = batches(samples)
    whole = list(loader.epoch(5))
    assert is_same(whole[2:], list(loader.epoch(5, first=2)))
    assert list(loader.epoch(5, first=3)) == []


def test_reading_a_photo_leaves_the_global_random_numbers_alone(samples: tuple[Sample, ...]) -> None:
    pairs = TrainingPairs(SquarePairs(samples, 21, 32), TrainingTransform(32, flip=True), 0)
    torch.manual_seed(3)
    expected = torch.rand(3)
    torch.manual_seed(3)
    pairs[1, 0]
    assert torch.equal(torch.rand(3), expected)


def test_fewer_photos_than_a_batch_make_one_batch(samples: tuple[Sample, ...]) -> None:
    loader = batches(samples[:3], size=16)
    assert len(loader) == 1
    assert [len(images) for images, _ in loader.epoch(1)] == [3]


@pytest.mark.parametrize("count", [0, 1])
def test_fewer_than_two_photos_cannot_be_trained_on(samples: tuple[Sample, ...], count: int) -> None:
    with pytest.raises(DataError, match=f"at least 2 photos, but there is {count}"):
        batches(samples[:count])


@pytest.mark.parametrize("workers", [0, 1])
def test_a_photo_damaged_in_mid_training_is_one_sentence(
    samples: tuple[Sample, ...], workers: int, one_sentence: Check
) -> None:
    """From a loader process it came wrapped in "Caught DataError in DataLoader worker process" and a traceback."""
    for sample in samples:
        sample.photo.write_bytes(b"no photo")
    with pytest.raises(DataError) as caught:
        list(batches(samples, workers=workers).epoch(1))
    text = str(caught.value)
    named = next(sample.photo for sample in samples if str(sample.photo) in text)
    assert one_sentence(caught.value, named).startswith("The photo ")


def test_only_the_waiting_for_the_next_item_is_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr("core.data.loading.loader.time.perf_counter", lambda: clock[0])

    def slow() -> Iterator[int]:
        for number in range(3):
            clock[0] += 2.0
            yield number
        clock[0] += 0.5

    waiting = Waiting(slow())
    seen = []
    for number in waiting:
        clock[0] += 100.0
        seen.append(number)
    assert (seen, waiting.seconds) == ([0, 1, 2], 6.5)


def test_seeds_mix_without_collision_or_order() -> None:
    seeds = {mixed_seed(seed, epoch, index) for seed in range(10) for epoch in range(10) for index in range(50)}
    assert len(seeds) == 5000
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert mixed_seed(1, 2) != mixed_seed(2, 1)


def test_a_fraction_is_a_seeded_part_in_the_split_s_order(samples: tuple[Sample, ...]) -> None:
    assert fraction_of(samples, 1.0, 0) == samples
    half = fraction_of(samples, 0.5, 0)
    assert len(half) == 4
    assert list(half) == sorted(half, key=samples.index)
    assert half == fraction_of(samples, 0.5, 0)
    assert len({fraction_of(samples, 0.5, seed) for seed in range(9)}) > 1
    assert len(fraction_of(samples, 0.0001, 0)) == 1


@pytest.mark.parametrize(("total", "seed"), [(1, 0), (2, 3), (53, 0), (160, 2**31 - 1), (1200, 2), (3000, 7)])
def test_a_fraction_is_what_torch_draws_with_that_seed(samples: tuple[Sample, ...], total: int, seed: int) -> None:
    """Runs of earlier versions drew it with torch; they must resume with the same photos."""
    many = [replace(samples[0], name=str(number)) for number in range(total)]
    generator = torch.Generator().manual_seed(mixed_seed(seed, total))
    count = max(1, round(0.33 * total))
    drawn = torch.randperm(total, generator=generator)[:count].sort().values.tolist()
    assert fraction_of(many, 0.33, seed) == tuple(many[index] for index in drawn)
