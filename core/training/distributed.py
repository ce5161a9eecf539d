"""Training in several processes under torchrun: the ranks, and their communication.

All ranks take the same steps in the same order and share every decision. Rank 0 has the run: it alone reads and writes
the run folder. Decisions and counts travel over gloo, and so do gradients on a CPU; GPU gradients travel over nccl.
Without torchrun there is one process, and every method returns its argument.
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
from core.training.settings.fitting import LEAST_BATCH_SIZE

LONGEST_WAIT = datetime.timedelta(days=1)
"""Other ranks wait while rank 0 reads every pair; the end of a process closes its connection, which shows at once."""

WHY = "why"
"""Key in the store: the reason of the process that ended first."""

LOST_TEXTS = ("Connection closed by peer", "Connection reset by peer", "Broken pipe", "gloo/transport")

T = TypeVar("T")


class Order(StrEnum):
    """Rank 0's order to the other ranks."""

    TRY = "try"
    TRAIN = "train"
    END = "end"


@dataclass(frozen=True)
class World:
    """The processes of a training, seen from one of them.

    rank, size              its number, from 0, and the number of processes
    local_rank, local_size  the same on its machine
    store                   torch's key-value store, shared by all once they are `joined`
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1
    store: Any = None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "World":
        """Return the world in torchrun's environment variables; an incomplete set raises `RunError`."""
        if int(environment.get("WORLD_SIZE", "1")) == 1:
            return cls()
        try:
            names = {"rank": "RANK", "size": "WORLD_SIZE", "local_rank": "LOCAL_RANK", "local_size": "LOCAL_WORLD_SIZE"}
            return cls(**{name: int(environment[variable]) for name, variable in names.items()})
        except KeyError as error:
            raise RunError(f"WORLD_SIZE is set, but not {error}; let torchrun start the processes.") from None

    @property
    def is_rank_0(self) -> bool:
        """Whether this process has the run."""
        return self.rank == 0

    def share_of(self, batch_size: int) -> int:
        """Return this process's number of photos in a batch; a batch that cannot be shared raises `ConfigError`."""
        share = batch_size // self.size
        if self.size > 1 and (batch_size % self.size or share < LEAST_BATCH_SIZE):
            raise ConfigError(
                f"A batch of {batch_size} photos cannot be shared by {self.size} processes; the batch size must be a "
                f"multiple of {self.size}, and at least {LEAST_BATCH_SIZE * self.size}."
            )
        return share

    def take_gpu(self) -> None:
        """Make this process use its own GPU; raises `RunError` if the machine has fewer than processes."""
        count = torch.cuda.device_count()
        if self.local_size > count:
            raise RunError(
                f"{self.local_size} processes were started on a machine with {count} GPU{'s'[: count != 1]}; start one "
                "for each, or train on the CPU with device=cpu."
            )
        torch.cuda.set_device(self.local_rank)

    def any_of(self, flag: bool) -> bool:  # noqa: FBT001 (the flag is the value)
        """Return whether the flag is set in any process."""
        return bool(self.summed(torch.tensor(int(flag))))

    def summed(self, value: Tensor) -> Tensor:
        """Return the sum of all processes' values, on the value's own device."""
        if self.size == 1:
            return value
        # In CPU memory, over gloo: it notices an ended process, where nccl would wait for it.
        total = value.detach().to("cpu", copy=True)
        dist.all_reduce(total)
        return total.to(value.device)

    def gathered(self, items: Sequence[T]) -> list[T]:
        """Return the items of all processes, in the order of their ranks."""
        if self.size == 1:
            return list(items)
        parts: list[Any] = [None] * self.size
        dist.all_gather_object(parts, list(items))
        return [item for part in parts for item in part]

    def from_rank_0(self, thing: T | None = None) -> T:
        """Broadcast rank 0's `thing` and return it; the other ranks give none. Tensors are in CPU memory."""
        things: list[Any] = [thing]
        if self.size > 1:
            dist.broadcast_object_list(things, src=0)
        only: T = things[0]
        return only

    def order(self, order: Order) -> None:
        """Send an order to the other ranks, which wait in `from_rank_0`; does nothing on another rank."""
        if self.is_rank_0:
            self.from_rank_0(order)

    def align_statistics(self, model: nn.Module) -> None:
        """Copy rank 0's BatchNorm statistics to all ranks."""
        if self.size > 1:
            for buffer in model.buffers():
                dist.broadcast(buffer, src=0)

    def with_shared_batchnorm(self, model: T, device: torch.device) -> T:
        """Make BatchNorm count over the whole batch; across processes PyTorch supports that on GPUs only."""
        if self.size == 1 or device.type != "cuda":
            return model
        shared: T = nn.SyncBatchNorm.convert_sync_batchnorm(model)  # type: ignore[no-untyped-call]
        return shared

    def notes(self, batch_size: int, device: torch.device) -> list[str]:
        """Return sentences about differences from training in one process."""
        if self.size == 1 or device.type == "cuda":
            return []
        note = (
            f"BatchNorm counts over the {self.share_of(batch_size)} photos of each process, not over the whole batch; "
            "the statistics of the first process are validated and saved"
        )
        return [note]

    def parallel(self, model: nn.Module, device: torch.device) -> nn.Module:
        """Wrap a model so that its gradients are the mean over all processes."""
        if self.size == 1:
            return model
        device_ids = [torch.cuda.current_device()] if device.type == "cuda" else None
        return DistributedDataParallel(model, device_ids=device_ids, gradient_as_bucket_view=True)


ALONE = World()
"""A single process, without torchrun."""


def without_sync(model: nn.Module) -> AbstractContextManager[None]:
    """DDP's `no_sync()`, for every part of a batch but the last."""
    return model.no_sync() if isinstance(model, DistributedDataParallel) else nullcontext()


@contextmanager
def joined(world: World) -> Iterator[World]:
    """Join the process group for a `with` block; at its end rank 0 orders the other ranks to end.

    If the block raises, this process ends without waiting, and the others notice.
    """
    if world.size == 1:
        yield world
        return
    backend = "gloo"
    if torch.cuda.is_available():
        backend = "cpu:gloo,cuda:nccl"
    store, _, _ = next(rendezvous("env://", world.rank, world.size, timeout=LONGEST_WAIT))
    dist.init_process_group(backend, store=store, rank=world.rank, world_size=world.size, timeout=LONGEST_WAIT)
    yield replace(world, store=store)
    with suppress(RuntimeError):  # the training is over: a process that has already left needs no order
        world.order(Order.END)
    dist.destroy_process_group()
    # Gloo's threads outlive the group, and sometimes abort a process that exits normally.
    atexit.register(_exit_at_once)


def _exit_at_once() -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


@contextmanager
def ended_together(world: World) -> Iterator[None]:
    """Share the reason of an early end: store this process's error, or raise that of the process that ended first.

    An ended process shows here as a connection error in any communication; that becomes a `RunError` with its reason.
    """
    try:
        yield
    except Exception as error:
        is_lost = isinstance(error, dist.DistError) or any(text in str(error) for text in LOST_TEXTS)
        if isinstance(error, RuntimeError) and world.size > 1 and is_lost:
            raise RunError(_reason_of_others(world)) from error
        if world.store:
            with suppress(RuntimeError):  # the store may have ended too
                world.store.compare_set(WHY, "", str(error) or type(error).__name__)
        raise


def _reason_of_others(world: World) -> str:
    with suppress(RuntimeError):
        if world.store and world.store.check([WHY]):
            reason: bytes = world.store.get(WHY)
            return reason.decode()
    return (
        "Another process of the training ended without giving a reason; start all again: the last checkpoint is intact."
    )
