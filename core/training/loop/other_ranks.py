"""The other ranks of a training: they take the same steps as rank 0, and write nothing.

Rank 0 sends them the start, then orders (`distributed.Order`). They need the data under the run's path, but not the run
folder.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from core.data.dataset import Dataset, fingerprint, open_dataset
from core.errors import DataError
from core.training.distributed import Order, World, ended_together
from core.training.loop.loop import TrainingLoop
from core.training.loop.preflight import cpu_copy, preflight_step
from core.training.loop.trial import training_device
from core.training.settings.config import TrainingConfig


@dataclass(frozen=True)
class SharedStart:
    """The common start of all ranks: settings, data, and the state of rank 0's loop."""

    config: TrainingConfig
    data: str
    class_names: tuple[str, ...]
    fingerprint: str
    weights: dict[str, Tensor]
    state: dict[str, Any]


def share_start(loop: TrainingLoop, dataset: Dataset) -> None:
    """Send the start to every `follow_rank_0`, and connect this loop to theirs; does nothing in a single process."""
    if loop.world.size > 1:
        weights, state = cpu_copy(loop.model.state_dict()), cpu_copy(loop.state())
        data, prints = str(dataset.root), _fingerprint(dataset)
        loop.world.from_rank_0(SharedStart(loop.config, data, dataset.class_names, prints, weights, state))
        loop.connect()


def follow_rank_0(world: World, was_ended: Callable[[], bool]) -> None:
    """Train with the other ranks until rank 0 ends it; once `was_ended` returns True here, all ranks save and leave.

    Data that differs from rank 0's raises `DataError`; the end of another process raises `RunError`.
    """
    with ended_together(world):
        loop = _loop_from(world.from_rank_0(), world)
        while (order := Order(world.from_rank_0())) is not Order.END:
            if order is Order.TRY:
                preflight_step(loop)
            else:
                for _ in loop.epochs(was_ended):
                    pass


def _loop_from(start: SharedStart, world: World) -> TrainingLoop:
    dataset = open_dataset(start.data)
    if not dataset.is_of(start.class_names) or _fingerprint(dataset) != start.fingerprint:
        raise DataError(
            f"{start.data} holds other data for process {world.rank} than for process 0; copy it from there."
        )
    train, val = dataset.split("train"), dataset.split("val")
    device, _ = training_device(start.config.device, world)
    loop = TrainingLoop(start.config, train, val, dataset.classes, device, is_resumed=True, world=world)
    loop.load_state(start.weights, start.state)

    loop.connect()
    return loop


def _fingerprint(dataset: Dataset) -> str:
    return fingerprint((*dataset.split("train"), *dataset.split("val")))
