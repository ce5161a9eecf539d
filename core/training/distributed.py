"""Training by several processes that torchrun started: who this one is among them, and what they tell each other.

All of them take the same steps in the same order and come to the same decisions, since whatever decides is told to
all. The first, the chief, has the run: it alone reads and writes its folder. Decisions and counts travel over gloo,
and so do gradients on a CPU; those of GPUs travel over nccl. Without torchrun there is one process, for which every
method here gives back what it was given.
"""

import atexit
import datetime
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.rendezvous import rendezvous
from torch.nn.parallel import DistributedDataParallel

from core.errors import ConfigError, RunError
from core.training.settings.config import LEAST_BATCH_SIZE

LONGEST_WAIT = datetime.timedelta(days=1)
"""Others wait while the chief reads every pair; of a process that ends they hear at once, by its connection."""

WHY = "why"
"""Where a process that ends early leaves the reason for the others."""

LOST_TEXTS = ("Connection closed by peer", "Connection reset by peer", "Broken pipe", "gloo/transport")

T = TypeVar("T")


class Order(StrEnum):
    """What the chief lets all others do with it."""

    TRY = "try"
    TRAIN = "train"
    END = "end"


@dataclass(frozen=True)
class World:
    """All processes of a training, as one of them sees it.

    rank, size              which one it is, from 0, of how many
    local_rank, local_size  the same among those on its own machine
    store                   torch's store, which all can read and write once they have met
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1
    store: Any = None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "World":
        """Read what torchrun tells each of its processes; a part of it alone raises `RunError`."""
        if int(environment.get("WORLD_SIZE", "1")) == 1:
            return cls()
        try:
            names = {"rank": "RANK", "size": "WORLD_SIZE", "local_rank": "LOCAL_RANK", "local_size": "LOCAL_WORLD_SIZE"}
            return cls(**{name: int(environment[told]) for name, told in names.items()})
        except KeyError as error:
            raise RunError(f"WORLD_SIZE is set, but not {error}; let torchrun start the processes.") from None

    @property
    def is_chief(self) -> bool:
        """Whether this is the one that has the run."""
        return self.rank == 0

    def share_of(self, batch_size: int) -> int:
        """Return how many photos of a batch are this process's; a batch that cannot be shared raises `ConfigError`."""
        share = batch_size // self.size
        if self.size > 1 and (batch_size % self.size or share < LEAST_BATCH_SIZE):
            raise ConfigError(
                f"A batch of {batch_size} photos cannot be shared by {self.size} processes; the batch size must be a "
                f"multiple of {self.size}, and at least {LEAST_BATCH_SIZE * self.size}."
            )
        return share

    # --- what they tell each other ------------------------------------------------------------------------------------

    def any_of(self, flag: bool) -> bool:  # noqa: FBT001 (the flag is what is asked about)
        """Tell whether the flag is set in any process."""
        return bool(self.summed(torch.tensor(int(flag))))

    def summed(self, value: Tensor) -> Tensor:
        """Return the sum of all processes' values, on the value's own device."""
        if self.size == 1:
            return value
        # Over the machine's memory: a process that has ended is noticed there, where nccl would wait for it.
        total = value.detach().to("cpu", copy=True)
        dist.all_reduce(total)
        return total.to(value.device)

    def gathered(self, items: Sequence[T]) -> list[T]:
        """Return the items of all processes, those of the first process first."""
        if self.size == 1:
            return list(items)
        parts: list[Any] = [None] * self.size
        dist.all_gather_object(parts, list(items))
        return [item for part in parts for item in part]

    def from_chief(self, thing: T | None = None) -> T:
        """Return what the chief gives; the others give nothing. Tensors lie in the machine's memory."""
        things: list[Any] = [thing]
        if self.size > 1:
            dist.broadcast_object_list(things, src=0)
        only: T = things[0]
        return only

    def order(self, order: Order) -> None:
        """Let the others, which wait in `from_chief`, do something; of no effect in any but the chief."""
        if self.is_chief:
            self.from_chief(order)

    def align_statistics(self, model: nn.Module) -> None:
        """Give all processes the chief's statistics of BatchNorm."""
        if self.size > 1:
            for buffer in model.buffers():
                dist.broadcast(buffer, src=0)

    # --- the model ----------------------------------------------------------------------------------------------------

    def with_shared_batchnorm(self, model: T, device: torch.device) -> T:
        """Let BatchNorm count over the whole batch; over several processes PyTorch can do so on GPUs alone."""
        if self.size == 1 or device.type != "cuda":
            return model
        shared: T = nn.SyncBatchNorm.convert_sync_batchnorm(model)  # type: ignore[no-untyped-call]
        return shared

    def notes(self, batch_size: int, device: torch.device) -> list[str]:
        """Tell in words what is not as in one process."""
        if self.size == 1 or device.type == "cuda":
            return []
        note = (
            f"BatchNorm counts over the {self.share_of(batch_size)} photos of each process, not over the whole batch; "
            "the statistics of the first process are judged and saved"
        )
        return [note]

    def parallel(self, model: nn.Module, device: torch.device) -> nn.Module:
        """Return what trains a model with the others: its gradients are the mean over all processes."""
        if self.size == 1:
            return model
        device_ids = [torch.cuda.current_device()] if device.type == "cuda" else None
        return DistributedDataParallel(model, device_ids=device_ids, gradient_as_bucket_view=True)


ALONE = World()
"""The one process without torchrun."""


def keeping_apart(model: nn.Module) -> AbstractContextManager[None]:
    """Return a context in which gradients only add up in this process, for all parts of a batch but the last."""
    return model.no_sync() if isinstance(model, DistributedDataParallel) else nullcontext()


@contextmanager
def joined(world: World) -> Iterator[World]:
    """Meet the other processes for the length of a `with` block; at its end the chief lets them leave.

    Where the block raises, nobody is waited for: the others notice that this process ends.
    """
    if world.size == 1:
        yield world
        return
    backend = "gloo"
    if torch.cuda.is_available():
        backend = "cpu:gloo,cuda:nccl"
        _take_gpu(world)
    store, _, _ = next(rendezvous("env://", world.rank, world.size, timeout=LONGEST_WAIT))
    dist.init_process_group(backend, store=store, rank=world.rank, world_size=world.size, timeout=LONGEST_WAIT)
    yield replace(world, store=store)
    with suppress(RuntimeError):  # the training is over: somebody who has left already misses nothing
        world.order(Order.END)
    dist.destroy_process_group()
    # The threads of gloo outlive that, and now and then abort a process that has done everything and is about to exit.
    atexit.register(_leave)


def _leave() -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def _take_gpu(world: World) -> None:
    count = torch.cuda.device_count()
    if world.local_size > count:
        raise RunError(
            f"{world.local_size} processes were started on a machine with {count} GPU{'s'[: count != 1]}; start one "
            "for each, or hide the GPUs with CUDA_VISIBLE_DEVICES= and train on the CPU."
        )
    torch.cuda.set_device(world.local_rank)


@contextmanager
def ended_together(world: World) -> Iterator[None]:
    """Leave the reason for an early end where the others find it, and raise theirs, as `RunError`, where it is theirs.

    A process that has ended shows as an error of the connection to it, in the middle of whatever went on.
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, RuntimeError) and world.size > 1 and _is_lost(error):
            raise RunError(_reason_of_others(world)) from error
        if world.store:
            with suppress(RuntimeError):  # the store may have ended too
                world.store.compare_set(WHY, "", str(error) or type(error).__name__)
        raise


def _is_lost(error: RuntimeError) -> bool:
    return isinstance(error, dist.DistError) or any(text in str(error) for text in LOST_TEXTS)


def _reason_of_others(world: World) -> str:
    with suppress(RuntimeError):
        if world.store and world.store.check([WHY]):
            reason: bytes = world.store.get(WHY)
            return reason.decode()
    return "Another process of the training ended without a word; start all again: the last checkpoint is intact."
