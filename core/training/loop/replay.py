"""Gradients of a training step as a CUDA graph: one call starts its thousand kernels.

A fast GPU waits for Python: of a step of ResNet-50 with 16 photos of 256 px, 43 ms on an H200, kernels took 21
(dev/LOG.md). A graph replays the kernels of one step, with random numbers of the seed given last, on whatever its
inputs then hold. Not yet seen on a GPU; `ATROUS_PRIVATE_OPERATIONS=0` leaves it out.
"""

import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from core.errors import in_words
from core.training.loop.memory import available_bytes

EAGER_STEPS = 3
"""Steps of a shape that are taken as usual; the last of them is then replayed, and has to come out the same."""
WARM_UP = 2
"""Libraries choose their algorithms in the first steps on a stream, which cannot be captured."""
SAME = 0.01
"""How far loss and gradients may be from the usual ones, relative to them: the order of some sums is left to chance."""

Compute = Callable[[Tensor, Tensor], Tensor]
"""Adds the gradients of a batch to those of the model, and returns its loss."""


class GradientGraph:
    """The gradients of batches of one shape. Capturing them moves buffers and gradients: the caller restores those."""

    def __init__(self, compute: Compute, model: nn.Module, images_N3SS: Tensor, masks_NSS: Tensor) -> None:
        self._images_N3SS, self._masks_NSS = images_N3SS.clone(), masks_NSS.clone()
        self._parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        beside: torch.cuda.Stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        beside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(beside):
            for _ in range(WARM_UP):
                self._set_gradients([None] * len(self._parameters))
                compute(self._images_N3SS, self._masks_NSS)
        torch.cuda.current_stream().wait_stream(beside)
        self._set_gradients([None] * len(self._parameters))
        self._graph = torch.cuda.CUDAGraph()
        # Other threads, as one that pins photos, may go on calling CUDA.
        with torch.cuda.graph(self._graph, capture_error_mode="thread_local"):
            self._loss = compute(self._images_N3SS, self._masks_NSS)
        self._gradients = [parameter.grad for parameter in self._parameters]

    def take(self, images_N3SS: Tensor, masks_NSS: Tensor) -> float:
        """Set the gradients to those of a batch, and return its loss."""
        self._images_N3SS.copy_(images_N3SS)
        self._masks_NSS.copy_(masks_NSS)
        self._graph.replay()
        self._set_gradients(self._gradients)  # the optimizer has taken them off
        return float(self._loss)

    def _set_gradients(self, gradients: list[Tensor | None]) -> None:
        for parameter, gradient in zip(self._parameters, gradients, strict=True):
            parameter.grad = gradient


class Replay:
    """Replays training steps on an NVIDIA GPU, where a replayed step comes out the same."""

    def __init__(self, compute: Compute, model: nn.Module) -> None:
        self._compute = compute
        self._model = model
        self._graph: GradientGraph | None = None
        self._shape: torch.Size | None = None
        self._steps = 0

    def has(self, images_N3SS: Tensor) -> bool:
        """Return whether a batch of this shape can be replayed."""
        return self._graph is not None and images_N3SS.shape == self._shape

    def take(self, images_N3SS: Tensor, masks_NSS: Tensor) -> float:
        """Set the gradients to those of a batch that it `has`, and return its loss; torch's generator is seeded."""
        if self._graph is None:
            raise ValueError("nothing is captured")
        return self._graph.take(images_N3SS, masks_NSS)

    def forget(self) -> None:
        """Free the graph: the model computes otherwise from now on."""
        self._graph, self._shape = None, None

    def consider(self, images_N3SS: Tensor, masks_NSS: Tensor, loss: float, seconds: float, seed: int) -> str:
        """Capture a step that was just taken as usual, in `seconds`, if it is the one to try; gradients stay.

        Returns a sentence about what came of it, or nothing.
        """
        if images_N3SS.shape != self._shape:
            self.forget()
            self._shape, self._steps = images_N3SS.shape, 0
        self._steps += 1
        if self._steps != EAGER_STEPS or not _fits(images_N3SS.device):
            return ""
        gradients = [parameter.grad for parameter in self._model.parameters()]
        buffers = [buffer.clone() for buffer in self._model.buffers()]
        try:
            return self._try(images_N3SS, masks_NSS, loss, gradients, seconds, seed)
        except Exception as error:  # noqa: BLE001 - a driver may raise anything, and its words are kept
            _forget_capture(images_N3SS.device)
            # Where a capture failed, its end raises another error on top of the cause.
            return f"Training steps are not replayed as a CUDA graph: {in_words(error.__context__ or error)}."
        finally:
            for parameter, gradient in zip(self._model.parameters(), gradients, strict=True):
                parameter.grad = gradient
            for buffer, before in zip(self._model.buffers(), buffers, strict=True):
                buffer.copy_(before)

    def _try(
        self,
        images_N3SS: Tensor,
        masks_NSS: Tensor,
        loss: float,
        gradients: list[Tensor | None],
        seconds: float,
        seed: int,
    ) -> str:
        """Capture and replay a step, and keep the graph if it gives the same loss and gradients."""
        graph = GradientGraph(self._compute, self._model, images_N3SS, masks_NSS)
        torch.manual_seed(seed)
        began_s = time.perf_counter()
        replayed_loss = graph.take(images_N3SS, masks_NSS)
        faster = round(seconds / (time.perf_counter() - began_s), 1)
        if not self._is_same(loss, gradients, replayed_loss):
            return "Training steps are not replayed as a CUDA graph: a replayed one had other gradients."
        self._graph = graph
        # Kept even if this one measurement was slow: other programs may be the reason.
        return f"Training steps are replayed as a CUDA graph{f', {faster} times as fast' if faster > 1 else ''}."

    def _is_same(self, loss: float, gradients: list[Tensor | None], replayed_loss: float) -> bool:
        apart, norms = list[Tensor](), list[Tensor]()
        for gradient, parameter in zip(gradients, self._model.parameters(), strict=True):
            if (gradient is None) != (parameter.grad is None):
                return False
            if gradient is not None and parameter.grad is not None:
                apart.append((parameter.grad - gradient).norm())
                norms.append(gradient.norm())
        is_same_loss = abs(replayed_loss - loss) <= SAME * abs(loss)  # NaN is not the same
        return is_same_loss and bool(torch.stack(apart).norm() <= SAME * torch.stack(norms).norm())


def _fits(device: torch.device) -> bool:
    """Return whether a GPU has room for a graph, which keeps what a step needs, and for a validation beside it."""
    step_bytes = torch.cuda.max_memory_allocated(device) - torch.cuda.memory_allocated(device)
    return 2 * step_bytes <= available_bytes(device)


def _forget_capture(device: torch.device) -> None:
    """Give a GPU a new generator of random numbers: after a capture that failed, the old one takes all for captured."""
    index = torch.cuda.current_device() if device.index is None else device.index
    generator = torch.cuda.default_generators[index]
    generator.graphsafe_set_state(torch.Generator(device).graphsafe_get_state())
