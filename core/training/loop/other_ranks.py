"""What the processes beside the first one do in a training: they take the same steps, and show and write nothing.

The first sends them what to train from, then what to do (`distributed.Order`). They need the data under the path that
the run names, and nothing of the run's folder.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from core.data.dataset import Dataset, fingerprint, open_dataset
from core.errors import DataError
from core.model.device import choose_device
from core.training.distributed import Order, World, ended_together
from core.training.loop.loop import TrainingLoop
from core.training.loop.preflight import kept, rehearse
from core.training.settings.config import TrainingConfig


@dataclass(frozen=True)
class Plan:
    """From what all processes start: settings, data, and the whole state of the first one's loop."""

    config: TrainingConfig
    data: str
    class_names: tuple[str, ...]
    fingerprint: str
    weights: dict[str, Tensor]
    state: dict[str, Any]


def lead(loop: TrainingLoop, dataset: Dataset) -> None:
    """Let every `follow` build the same loop, and train this one with theirs; alone, do nothing."""
    if loop.world.size > 1:
        weights, state = kept(loop.model.state_dict()), kept(loop.state())
        plan = Plan(loop.config, str(dataset.root), dataset.class_names, _fingerprint(dataset), weights, state)
        loop.world.from_chief(plan)
        loop.connect()


def follow(world: World, was_ended: Callable[[], bool]) -> None:
    """Train with the others until the first process ends it; once `was_ended` here, all of them save and leave.

    Data that is not the first one's raises `DataError`; the end of another process raises `RunError`.
    """
    with ended_together(world):
        plan: Plan = world.from_chief()
        loop = _loop_of(plan, world)
        while (order := Order(world.from_chief())) is not Order.END:
            if order is Order.TRY:
                rehearse(loop)
            else:
                for _ in loop.epochs(was_ended):
                    pass


def _loop_of(plan: Plan, world: World) -> TrainingLoop:
    dataset = open_dataset(plan.data)
    if not dataset.is_of(plan.class_names) or _fingerprint(dataset) != plan.fingerprint:
        raise DataError(
            f"{plan.data} holds other data for process {world.rank} than for process 0; copy it from there."
        )
    train, val = dataset.split("train"), dataset.split("val")
    loop = TrainingLoop(plan.config, train, val, dataset.classes, choose_device(), is_resumed=True, world=world)
    loop.load_state(plan.weights, plan.state)
    loop.connect()
    return loop


def _fingerprint(dataset: Dataset) -> str:
    return fingerprint((*dataset.split("train"), *dataset.split("val")))
