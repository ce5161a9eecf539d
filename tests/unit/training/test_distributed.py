"""One process among several, without starting any: its environment, its part of a batch, how an end is passed on."""

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import nn

from core.classes import VOC_CLASSES
from core.data.dataset import fingerprint, open_dataset
from core.data.loading.decoded_pairs import SquarePairs
from core.data.loading.loader import TrainingBatches, TrainingPairs
from core.data.loading.transforms import TrainingTransform
from core.errors import ConfigError, DataError, RunError
from core.training.distributed import ALONE, Order, World, ended_together, joined
from core.training.loop.loop import TrainingLoop
from core.training.loop.other_ranks import SharedStart, _loop_from
from core.training.settings.config import TrainingConfig
from tests.small_data import replace_quietly, with_last_bit_flipped, write_voc

CPU = torch.device("cpu")
TOLD = {"RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2"}
LOST = RuntimeError("[gloo/transport/tcp/pair.cc:547] Connection closed by peer [127.0.0.1]:31415")


@pytest.mark.parametrize("environment", [{}, {"WORLD_SIZE": "1", "RANK": "0", "LOCAL_RANK": "0"}])
def test_one_process_is_alone_with_torchrun_or_without(environment: dict[str, str]) -> None:
    world = World.from_environment(environment)
    assert world == ALONE
    model, value = nn.Linear(1, 1), torch.tensor(2)
    with joined(world):
        assert not dist.is_initialized()
        assert world.parallel(world.with_shared_batchnorm(model, CPU), CPU) is model
        assert world.summed(value) is value
        assert world.any_of(True)
        assert not world.any_of(False)
        assert world.gathered([1, 2]) == [1, 2]
        world.order(Order.TRAIN)
        assert world.share_of(3) == 3
        assert world.notes(3, CPU) == []


def test_torchrun_says_who_is_who() -> None:
    world = World.from_environment(TOLD)
    assert (world.rank, world.size, world.local_rank, world.local_size) == (3, 4, 1, 2)
    assert not world.is_rank_0
    with pytest.raises(RunError, match="WORLD_SIZE is set, but not 'RANK'; let torchrun"):
        World.from_environment({"WORLD_SIZE": "4"})


def test_a_process_whose_photo_of_the_same_name_is_another_does_not_train(tiny_voc: Path) -> None:
    """Two machines compared the names of their pairs alone, and trained one model on two sets of photos."""
    dataset = open_dataset(tiny_voc)
    pairs = (*dataset.split("train"), *dataset.split("val"))
    plan = SharedStart(TrainingConfig(), str(tiny_voc), dataset.class_names, fingerprint(pairs), {}, {})
    replace_quietly(pairs[0].photo, with_last_bit_flipped(pairs[0].photo))
    with pytest.raises(DataError, match="holds other data for process 1 than for process 0"):
        _loop_from(plan, World(rank=1, size=2))


@pytest.mark.parametrize("size", [5, 2])
def test_a_batch_that_cannot_be_shared_is_refused_in_one_sentence(tiny_voc: Path, size: int) -> None:
    """Two photos are one for each, of which BatchNorm has no variance."""
    dataset = open_dataset(write_voc(tiny_voc.parent / "six", num_train=6))
    config = TrainingConfig(
        architecture="deeplabv3_mobilenet_v3_large", output_stride=16, image_size=32, batch_size=size, precision="fp32"
    )
    with pytest.raises(ConfigError) as caught:
        TrainingLoop(config, dataset.split("train"), dataset.split("val"), VOC_CLASSES, CPU, world=World(size=2))
    assert str(caught.value) == (
        f"A batch of {size} photos cannot be shared by 2 processes; the batch size must be a multiple of 2, and at "
        "least 4."
    )


def test_the_parts_of_a_batch_are_the_batch(tmp_path: Path) -> None:
    samples = open_dataset(write_voc(tmp_path / "voc", num_train=9)).split("train")
    pairs = TrainingPairs(
        SquarePairs(samples, 21, 32), TrainingTransform(32, flip=True, scale_min=0.5, scale_max=2.0), seed=0
    )

    def batches(*part: int) -> list[Any]:
        return list(TrainingBatches(pairs, 4, num_workers=0, seed=0, part=part).epoch(2, first=1))  # type: ignore[arg-type]

    ((whole, _),), ((first, _),), ((second, _),) = batches(0, 1), batches(0, 2), batches(1, 2)
    assert torch.equal(whole[0::2], first)
    assert torch.equal(whole[1::2], second)


def test_who_ends_early_says_why_and_the_others_end_with_that() -> None:
    worlds = [World(rank=rank, size=3, store=dist.HashStore()) for rank in range(3)]
    worlds = [World(rank=world.rank, size=3, store=worlds[0].store) for world in worlds]
    for number, reason in ((2, "No memory."), (1, "A later reason.")):
        with pytest.raises(ConfigError), ended_together(worlds[number]):
            raise ConfigError(reason)
    with pytest.raises(RunError, match=r"^No memory\.$"), ended_together(worlds[0]):
        raise LOST


def test_who_was_killed_says_nothing_and_the_others_say_that() -> None:
    with (
        pytest.raises(RunError, match="ended without giving a reason"),
        ended_together(World(size=2, store=dist.HashStore())),
    ):
        raise LOST
    with pytest.raises(RuntimeError, match="shapes"), ended_together(World(size=2, store=dist.HashStore())):
        raise RuntimeError("shapes cannot be multiplied")
    with pytest.raises(RuntimeError, match="closed by peer"), ended_together(ALONE):
        raise LOST
