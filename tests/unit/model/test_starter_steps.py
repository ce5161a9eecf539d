"""The trial of a GPU with the starter itself, whole, and the CPU as the device."""

from typing import Any

import pytest
from torch import Tensor

from core.home import PROJECT_ROOT
from core.model.device import CPU
from core.model.fast import depthwise
from core.model.weights import starter
from core.training.loop import trial
from core.training.loop.trial import TOLERANCES, StarterSteps, judge

pytestmark = pytest.mark.slow


class Told:
    """Steps whose numbers are known already."""

    def __init__(self, losses: list[float], numbers: dict[str, Tensor]) -> None:
        self._losses, self._numbers = list(losses), numbers

    def step(self) -> float:
        return self._losses.pop(0)

    def speed_step(self) -> None:
        pass

    def numbers(self) -> dict[str, Tensor]:
        return dict(self._numbers)


def test_the_cpu_passes_and_with_a_wrong_gradient_it_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """In bf16, which is nearer to the tolerance; the layer that is wrong has its kernel's gradient mirrored."""
    monkeypatch.setattr(trial, "REPEATS", 1)
    monkeypatch.setattr(starter, "FOLDER", PROJECT_ROOT / "checkpoints" / "starter")
    truth = StarterSteps(CPU, "fp32")
    losses, numbers = [truth.step()], truth.numbers()
    losses.append(truth.step())

    def difference() -> str:
        ticks = iter((0.0, 1.0, 0.0, 2.0))
        told = lambda: Told(losses, numbers)  # noqa: E731
        return judge(lambda: StarterSteps(CPU, "bf16"), told, told, TOLERANCES["bf16"], lambda: next(ticks)).reason

    assert difference() == ""
    kernel_gradient = depthwise.kernel_gradient

    def wrong(gradient: Tensor, images: Tensor, kernel: Any, rate: Any) -> Tensor:
        found = kernel_gradient(gradient, images, kernel, rate)
        return found.flip(-1) if rate == (2, 2) else found

    monkeypatch.setattr(depthwise, "kernel_gradient", wrong)
    assert "depthwise" in difference()
