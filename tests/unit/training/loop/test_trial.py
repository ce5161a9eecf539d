"""The trial of a GPU with stand-ins that are right, wrong, slow or broken, and with the CPU itself as the device."""

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from core.data.dataset import open_dataset
from core.errors import CheckpointError, RunError
from core.model import device as devices
from core.model import device_verdict
from core.model.architectures import MOBILENET, build_model
from core.model.device import CPU, choose_device
from core.model.device_verdict import Verdict
from core.training.distributed import World
from core.training.loop import compiled, trainer, trial
from core.training.loop.compiled import compiled_trial, is_worth_compiling, with_compiled
from core.training.loop.loop import TrainingLoop
from core.training.loop.preflight import seconds_of_step
from core.training.loop.step import LESS_MEMORY, TrainingStep
from core.training.loop.trial import TOLERANCES, Judged, judge, training_device
from core.training.run.folders import Run
from core.training.settings.config import TrainingConfig
from tests.unit.training.loop.legs import SETTINGS, leg, warnings_of

GPU = "Imagined GPU"
NUMBERS = {"first": torch.linspace(-1, 1, 50), "last": torch.linspace(0, 2, 20), "logits": torch.linspace(-3, 3, 30)}


class Clock:
    """A clock that moves by what a step says it takes."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


class Steps:
    """Steps as they are told."""

    def __init__(
        self,
        clock: Clock,
        seconds: float,
        losses: tuple[float, float] = (2.0, 1.5),
        ends_with: Exception | None = None,
        **changed: Any,
    ) -> None:
        self._clock, self._seconds, self._losses, self._changed = clock, seconds, list(losses), changed
        self._ends_with, self._steps = ends_with, 0

    def step(self) -> float:
        return self._losses.pop(0)

    def speed_step(self) -> None:
        self._clock.now_s += self._seconds
        self._steps += 1
        if self._ends_with and self._steps == 3:
            raise self._ends_with

    def numbers(self) -> dict[str, Tensor]:
        changed = {name: change(NUMBERS[name]) for name, change in self._changed.items()}
        return {name: value for name, value in (NUMBERS | changed).items() if value is not None}


def broken(_clock: Clock) -> Steps:
    raise NotImplementedError("aten::_foo is not there\nuse another")


@pytest.mark.parametrize(
    ("candidate", "reason"),
    [
        (lambda clock: Steps(clock, 0.1), ""),
        (lambda clock: Steps(clock, 0.1, (2.01, 1.51), first=lambda it: 1.05 * it), ""),
        (lambda clock: Steps(clock, 0.1, (2.1, 1.5)), "loss of the first training step is 2.1 there and 2 on the CPU"),
        (lambda clock: Steps(clock, 0.1, (float("nan"), 1.5)), "loss of the first training step is nan there"),
        # PyTorch 2.3 updated no weight on Apple's GPUs whose layout was channels_last, and said nothing.
        (lambda clock: Steps(clock, 0.1, (2.0, 2.0)), "loss of the second training step is 2 there and 1.5"),
        (lambda clock: Steps(clock, 0.1, first=lambda it: 0 * it), "other gradients there than on the CPU, most of"),
        (lambda clock: Steps(clock, 0.1, first=lambda it: torch.nan * it), "most of all in first"),
        (lambda clock: Steps(clock, 0.1, last=lambda _: None), "other layers a gradient"),
        (lambda clock: Steps(clock, 0.1, logits=lambda it: it.flip(0)), "a photo gets other scores"),
        (lambda clock: Steps(clock, 0.5), "takes 0.5 s there and 0.5 s without it"),
        (broken, "ends with NotImplementedError: aten::_foo is not there"),
        (lambda clock: Steps(clock, 0.1, ends_with=RuntimeError("CUDA error")), "ends with RuntimeError: CUDA error"),
    ],
)  # fmt: skip
def test_a_device_is_used_only_if_it_is_right_and_faster(candidate: Callable[[Clock], Steps], reason: str) -> None:
    clock = Clock()
    right, usual = Steps(clock, 9.0), Steps(clock, 0.5)
    judged = judge(lambda: candidate(clock), lambda: right, lambda: usual, TOLERANCES["fp32"], clock)
    assert reason in judged.reason
    assert bool(judged.reason) == bool(reason)
    assert judged.lasting
    sentence = trial.verdict_of(GPU, judged).sentence
    assert sentence.startswith(f"{GPU} is {'not ' if reason else ''}used")
    assert "\n" not in sentence


def test_a_compiled_step_is_tried_like_a_device(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def steps(device: torch.device, precision: str, *, compiled_by: str = "") -> Steps:
        asked.append((device, precision, compiled_by))
        return Steps(Clock(), 0.0, first=lambda it: 0 * it if compiled_by else it)

    monkeypatch.setattr(compiled, "StarterSteps", steps)
    judged, seconds = compiled_trial(CPU, "bf16", "inductor")
    assert "most of all in first" in judged.reason
    assert seconds > 0
    assert asked == [(CPU, "fp32", ""), (CPU, "bf16", ""), (CPU, "bf16", "inductor")]


@pytest.mark.parametrize(
    ("judged", "compile_s", "left_s", "expected"),
    [
        (Judged("", 1.0, 1.5), 60.0, 3600.0, True),
        (Judged("", 1.0, 1.5), 60.0, 300.0, False),
        (Judged("a training step takes 2 s there", 2.0, 1.0), 1.0, 1e6, False),
        (Judged("other gradients"), 1.0, 1e6, False),
    ],
)
def test_compiling_has_to_pay(judged: Judged, compile_s: float, left_s: float, expected: bool) -> None:
    verdict = with_compiled(VERDICT, judged, compile_s)
    assert is_worth_compiling(verdict, left_s) is expected


VERDICT = Verdict(device=GPU, is_used=True, sentence="it is", created_s=1.0)


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> torch.device:
    """A GPU that is called `meta`, and on which nothing runs."""
    found = torch.device("meta")
    for module in (devices, trial):
        monkeypatch.setattr(module, "accelerator", lambda: found)
        monkeypatch.setattr(module, "device_name", lambda _device: GPU)
    return found


def ends_with(error: Exception, where: str = "meta") -> Callable[..., Steps]:
    """Stand in for the starter's steps: those on one device raise what a driver raises."""

    def steps(device: torch.device, _precision: str) -> Steps:
        if device.type == where:
            raise error
        return Steps(Clock(), 0.0)

    return steps


def test_a_gpu_that_fails_is_tried_once_and_said(gpu: torch.device, monkeypatch: Any) -> None:
    error = RuntimeError("CUDA error: no kernel image is available for execution on the device\nCompile with ...")
    monkeypatch.setattr(trial, "StarterSteps", ends_with(error))
    device, why = training_device("auto")
    assert device == CPU
    assert why == (
        f"{GPU} is not used, and the CPU is: in a trial, a training step there ends with RuntimeError: CUDA error: no "
        "kernel image is available for execution on the device"
    )
    monkeypatch.setattr(trial, "judge", None)
    assert training_device("auto") == (device, why), "nothing is tried again"
    assert device_verdict.read() == device_verdict.read(GPU)
    assert device_verdict.read("Another GPU") is None
    assert choose_device() == CPU
    for wanted, expected in (("cpu", CPU), ("meta", gpu)):
        assert training_device(wanted) == (expected, "")
    assert training_device("auto", World(rank=0, size=2)) == (CPU, ""), "only NVIDIA's can do that"
    with pytest.raises(RunError, match="device=meta trains in one process; start it without torchrun"):
        training_device("meta", World(rank=0, size=2))


@pytest.mark.parametrize(
    ("error", "where"),
    [
        (CheckpointError("starter.safetensors is damaged."), "cpu"),
        (torch.OutOfMemoryError("CUDA out of memory"), "meta"),
        (RunError(f"Even 2 photos of 96 px at once do not fit in memory; {LESS_MEMORY}."), "meta"),
    ],
)
def test_what_is_not_the_gpu_s_fault_is_not_kept(gpu: torch.device, error: Any, where: str, monkeypatch: Any) -> None:
    """Another program filled a GPU's memory for a minute, and the GPU was not used for a month."""
    monkeypatch.setattr(trial, "StarterSteps", ends_with(error, where))
    device, why = training_device("auto")
    assert device == CPU
    assert f"{GPU} could not be tried" in why
    assert str(error).split(";")[0].rstrip(".") in why
    assert device_verdict.read() is None


def test_only_processes_that_train_on_gpus_need_one_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "accelerator", lambda: torch.device("cuda"))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    two = World(size=2, local_size=2)
    assert training_device("cpu", two) == (CPU, "")
    with pytest.raises(RunError, match="2 processes were started on a machine with 1 GPU; start one for each"):
        training_device("auto", two)


def test_a_gpu_that_passed_is_used_for_training_and_prediction(gpu: torch.device, monkeypatch: Any) -> None:
    assert choose_device() == CPU, "not before a trial"
    monkeypatch.setattr(trial, "judge", lambda *_: Judged("", 0.1, 0.5))
    monkeypatch.setattr(trial, "choose_precision", lambda *_: "fp32")
    assert training_device("auto") == (gpu, "")
    assert choose_device() == gpu
    found = device_verdict.read()
    assert found
    assert "5.0 times as fast" in found.sentence
    device_verdict.store(dataclasses.replace(found, created_s=found.created_s - device_verdict.MAX_AGE_S - 1))
    assert choose_device() == CPU, "a verdict of last month counts no more"


def test_a_device_that_is_asked_for_and_absent_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "accelerator", lambda: None)
    assert training_device("auto") == (CPU, "")
    with pytest.raises(RunError, match="device=mps asks for a GPU that PyTorch does not find"):
        training_device("mps")


def test_the_log_says_why_a_gpu_is_not_used(make_run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch) -> None:
    why = f"{GPU} is not used, and the CPU is: it is slower"
    monkeypatch.setattr(trainer, "training_device", lambda *_: (CPU, why))
    assert f"{why}." in warnings_of(leg(make_run()))


def test_steps_are_compiled_for_long_trainings_on_cuda_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """No such GPU is here: the loop is a stand-in that says it has one."""

    class Loop:
        device, precision, world = torch.device("cuda"), "bf16", World()
        config, progress = type("Config", (), {"epochs": 50}), type("Progress", (), {"steps_done": 0})
        steps_per_epoch, is_compiled = 100, False

        def __init__(self, step_s: float, *, fails: bool) -> None:
            self.step_s, self.fails = step_s, fails
            self.notes: list[str] = []

        def compile_step(self, backend: str | None = "inductor") -> None:
            self.is_compiled = backend is not None

    def seconds_of_step(loop: Loop) -> float:
        if loop.is_compiled and loop.fails:
            raise RuntimeError("Triton is not there\nat all")
        return loop.step_s

    tried: list[int] = []
    monkeypatch.setattr(compiled, "device_name", lambda _device: GPU)
    monkeypatch.setattr(compiled, "seconds_of_step", seconds_of_step)
    monkeypatch.setattr(compiled, "compiled_trial", lambda *_: tried.append(1) or (Judged("", 1.0, 1.5), 60.0))
    device_verdict.store(dataclasses.replace(VERDICT, created_s=device_verdict.time.time()))
    good = "Training steps are compiled: in a trial they were 1.50 times as fast"
    bad = "Training steps are not compiled: the first one ended with RuntimeError: Triton is not there"
    for first_s, second_s, fails, note in (
        (0.1, 0.1, False, ""), (1.0, 0.1, False, ""), (1.0, 1.0, False, good), (1.0, 1.0, True, bad),
    ):  # fmt: skip
        loop = Loop(second_s, fails=fails)
        said = list(compiled.compile_if_worth(loop, first_s))  # type: ignore[arg-type]
        assert loop.is_compiled is (note == good)
        assert loop.notes == [note] * bool(note)
        assert [record.doing for record in said] == [compiled.COMPILING] * bool(note)
    assert tried == [1], "a short training does not ask, a second one has the answer"


def test_the_seconds_of_a_step_leave_the_loop_as_it_was(tiny_voc: Path) -> None:
    data, config = open_dataset(tiny_voc), TrainingConfig(**SETTINGS)
    loop = TrainingLoop(config, data.split("train"), data.split("val"), data.classes, CPU)
    before = {name: tensor.clone() for name, tensor in loop.model.state_dict().items()}
    loop._step.notes, notes = ["A batch does not fit in memory."], loop.notes[:]
    assert seconds_of_step(loop) > 0
    assert loop.notes == [*notes, "A batch does not fit in memory"]
    assert loop.progress.steps_done == 0
    assert all(torch.equal(tensor, before[name]) for name, tensor in loop.model.state_dict().items())


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning")  # dynamo itself asks for it
def test_a_compiled_step_takes_the_same_step() -> None:
    """By the compiler's door alone: all of it takes half a minute on a CPU, and `make bench-gpu` goes through it."""
    seen = []

    def backend(graph: Any, _inputs: Any) -> Any:
        seen.append(graph)
        return graph

    losses, gradients = [], []
    for backend_or_none in (None, backend):
        torch.manual_seed(0)
        model = build_model(MOBILENET, 3, output_stride=16)
        step = TrainingStep(model, TrainingConfig(architecture=MOBILENET, output_stride=16, image_size=32), CPU, "fp32")
        step.compile(backend_or_none)
        images, masks = torch.randn(2, 3, 32, 32), torch.randint(3, (2, 32, 32))
        losses.append(step.take(images, masks, steps_done=0, learning_rate=0.1))
        gradients.append({name: parameter.grad for name, parameter in model.named_parameters()})
        assert bool(seen) is bool(backend_or_none)
    assert math.isclose(*losses, rel_tol=1e-5)
    torch.testing.assert_close(gradients[1], gradients[0], rtol=1e-3, atol=1e-5)
    step.compile(None)
    seen.clear()
    step.take(images, masks, steps_done=1, learning_rate=0.1)
    assert not seen
