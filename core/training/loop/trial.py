"""The trial of a GPU: a real training step has to give what the CPU gives, and sooner.

The step is one of the starter model on the two photos that come with Atrous, with BatchNorm statistics frozen in the
backbone, as on own photos. Its gradients hardly feel rounding: against fp32 they move by 3 % in TF32 and by 11 % in
bf16. Those of random weights, or with a backbone whose BatchNorm learns from so few photos, move by 50 % and more even
in TF32 (dev/LOG.md), so they would tell nothing about a device.
"""

import time
from collections.abc import Callable
from typing import NamedTuple, Protocol

import torch
from PIL import Image
from torch import Tensor, nn

from core.data.loading.transforms import normalize, photo_in_square
from core.errors import CoreError, RunError, in_words
from core.home import PROJECT_ROOT
from core.model import device_verdict
from core.model.architectures import EFFICIENTNET
from core.model.device import CPU, accelerator, choose_precision, device_name, synchronize
from core.model.device_verdict import Verdict
from core.model.predict.predictor import Predictor
from core.model.predict.upsampling import resolve
from core.model.weights.pretrained import open_named
from core.training.distributed import ALONE, World
from core.training.loop.memory import is_out_of_memory
from core.training.loop.step import LESS_MEMORY, TrainingStep
from core.training.settings.config import TrainingConfig
from core.voc import BACKGROUND, VOID

Clock = Callable[[], float]

SIZE_PX = 96
"""The size of the photos of the steps that are compared."""
SPEED_PX, SPEED_COPIES = 256, 2
"""A timed step is nearer to a real one, on eight larger photos: on four small ones a GPU waits for its orders."""
LEARNING_RATE = 1e-4
REPEATS = 3
"""Timed steps, after one that warms up."""
ENOUGH_S = 3.0
"""No step is timed again after this long: on a CPU one may take seconds."""

LEAST_NORM = 0.01
"""A layer's gradient is compared with at least this share of all gradients: some are zero but for rounding."""


class Stepper(Protocol):
    """What is tried: training steps on a device."""

    def step(self) -> float:
        """Take a training step, wait until it is done, and return its loss."""
        ...

    def speed_step(self) -> None:
        """Take a step on more and larger photos, and wait until it is done."""
        ...

    def numbers(self) -> dict[str, Tensor]:
        """Return, in CPU memory and fp32, the gradients of the last step by layer, and `logits` of a photo."""
        ...


class Tolerance(NamedTuple):
    """How far a number format may move the numbers, relative to the CPU's in fp32."""

    loss: float
    numbers: float
    layer: float


TOLERANCES = {"fp32": Tolerance(0.01, 0.1, 0.5), "bf16": Tolerance(0.03, 0.4, 0.8)}
"""About twice what TF32, which GPUs may use in fp32, and bf16 do on a CPU. A wrong layer differs by 1 or more."""


class Judged(NamedTuple):
    """Why the candidate is not used, empty if it is; the seconds of a step of the candidate and of the usual one.

    A reason that is not `lasting` says nothing about the candidate: memory was short, or the starter is damaged.
    """

    reason: str
    seconds: float = 0.0
    usual_seconds: float = 0.0
    lasting: bool = True


def judge(
    candidate: Callable[[], Stepper],
    exact: Callable[[], Stepper],
    usual: Callable[[], Stepper],
    tolerance: Tolerance,
    clock: Clock = time.perf_counter,
) -> Judged:
    """Return whether a candidate takes the steps that `exact` takes, and takes them faster than `usual` does.

    Whatever goes wrong in the candidate is a reason not to use it; what goes wrong before it is no lasting one.
    """
    try:
        truth, other = exact(), usual()
        expected_losses, expected = [truth.step()], truth.numbers()
        expected_losses.append(truth.step())
        other.speed_step()
    except (CoreError, OSError, RuntimeError, MemoryError) as error:
        return Judged(f"without it a training step ends with {in_words(error)}", lasting=False)
    try:
        tried = candidate()
        losses, numbers = [tried.step()], tried.numbers()
        losses.append(tried.step())
        if reason := _difference(losses, expected_losses, numbers, expected, tolerance):
            return Judged(reason)
        seconds, usual_seconds = _timed(tried, other, clock)
    except Exception as error:  # noqa: BLE001 - a driver may raise anything, and its words are kept
        lacks_memory = is_out_of_memory(error) or LESS_MEMORY in str(error)
        return Judged(f"a training step there ends with {in_words(error)}", lasting=not lacks_memory)
    slow = f"a training step takes {seconds:.3g} s there and {usual_seconds:.3g} s without it"
    return Judged(slow if seconds >= usual_seconds else "", seconds, usual_seconds)


def _timed(tried: Stepper, other: Stepper, clock: Clock) -> tuple[float, float]:
    """Return the seconds of a step of each, the least of a few."""
    tried.speed_step()
    seconds: list[float] = []
    other_seconds: list[float] = []
    while len(seconds) < REPEATS and sum(seconds) + sum(other_seconds) < ENOUGH_S:
        for stepper, taken in ((tried, seconds), (other, other_seconds)):  # in turn: other programs slow both down
            began_s = clock()
            stepper.speed_step()
            taken.append(clock() - began_s)
    return min(seconds), min(other_seconds)


def _difference(
    losses: list[float],
    expected_losses: list[float],
    numbers: dict[str, Tensor],
    expected: dict[str, Tensor],
    tolerance: Tolerance,
) -> str:
    """Return in words how numbers differ from those expected by more than the tolerance; empty if they do not."""
    for loss, wanted, when in zip(losses, expected_losses, ("first", "second"), strict=True):
        if not abs(loss - wanted) <= tolerance.loss * abs(wanted):  # NaN is caught too
            return f"the loss of the {when} training step is {loss:.4g} there and {wanted:.4g} on the CPU"
    logits, wanted_logits = numbers.pop("logits"), expected.pop("logits")
    if not _apart(logits, wanted_logits, 0.0) <= tolerance.numbers:
        return "a photo gets other scores there than on the CPU"
    whole = float(torch.stack([gradient.norm() for gradient in expected.values()]).norm())
    if expected.keys() != numbers.keys():
        return "a training step gives other layers a gradient there than on the CPU"
    apart = {name: _apart(numbers[name], wanted, LEAST_NORM * whole) for name, wanted in expected.items()}
    worst = max(apart, key=lambda name: (apart[name] != apart[name], apart[name]))
    total = float(torch.stack([(numbers[name] - wanted).norm() for name, wanted in expected.items()]).norm()) / whole
    if not (apart[worst] <= tolerance.layer and total <= tolerance.numbers):
        return f"a training step gets other gradients there than on the CPU, most of all in {worst}"
    return ""


def _apart(found: Tensor, wanted: Tensor, least: float) -> float:
    return float((found - wanted).norm()) / max(float(wanted.norm()), least)


class StarterSteps:
    """Training steps of the starter model on a device."""

    def __init__(self, device: torch.device, precision: str, *, compiled_by: str = "") -> None:
        opened = open_named("starter")
        model = opened.build().to(device, memory_format=torch.channels_last)
        config = TrainingConfig(architecture=EFFICIENTNET, output_stride=16, image_size=SIZE_PX, freeze_batchnorm=True)
        model.requires_grad_(requires_grad=True).train()
        pooling = model.classifier[0].convs[-1]  # its BatchNorm would see four numbers a channel
        for module in (*model.backbone.modules(), *pooling.modules()):
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        model.classifier[0].project[-1].p = 0.0  # dropout draws other numbers on other devices
        self._device, self._precision = device, precision
        self._step = TrainingStep(model, config, device, precision)
        if compiled_by:
            self._step.compile(compiled_by)
        self._photos, self._masks = _batch(SIZE_PX)
        self._images = normalize(self._photos.to(device))
        speed_photos, self._speed_masks = _batch(SPEED_PX, SPEED_COPIES)
        self._speed_images = normalize(speed_photos.to(device))

    def step(self) -> float:
        """Take a training step, and return its loss."""
        return self._take(self._images, self._masks)

    def speed_step(self) -> None:
        """Take a step on more and larger photos."""
        self._take(self._speed_images, self._speed_masks)

    def _take(self, images_N3SS: Tensor, masks_NSS: Tensor) -> float:
        loss = self._step.take(images_N3SS, masks_NSS, steps_done=0, learning_rate=LEARNING_RATE)
        synchronize(self._device)
        if self._step.parts > 1:
            raise MemoryError(f"{len(images_N3SS)} photos of {images_N3SS.shape[-1]} px do not fit in memory")
        return loss

    def numbers(self) -> dict[str, Tensor]:
        """Return the gradients by layer, and `logits` of a photo, whose mask is made too."""
        model = self._step.model
        predictor = Predictor(model, image_size=SIZE_PX, device=self._device, precision=self._precision)
        logits_KSS = predictor.logits_of(self._photos[:1])[0]
        resolve(logits_KSS, (SIZE_PX + 3, SIZE_PX - 3), with_confidence=True)
        gradients = {
            name: parameter.grad.detach().to("cpu", torch.float32, copy=True)
            for name, parameter in model.named_parameters()
            if parameter.grad is not None
        }
        return gradients | {"logits": logits_KSS.cpu()}


def _batch(size_px: int, copies: int = 1) -> tuple[Tensor, Tensor]:
    """Return the sample photos, also darker (uint8), and masks (int64) of void above and background below.

    The starter finds a cat and a person in them, so all its layers get gradients that point one way: with the photos'
    own masks, rounding would change them twice as much. Mirrored photos would hide a mirrored gradient.
    """
    photos = []
    for file in sorted((PROJECT_ROOT / "core" / "samples").glob("*.jpg")):
        with Image.open(file) as photo:
            photos.append(photo_in_square(photo.convert("RGB"), size_px))
    photos_N3SS = torch.stack([*photos, *(photo_3SS // 2 for photo_3SS in photos)] * copies)
    masks_NSS = torch.full((len(photos_N3SS), size_px, size_px), BACKGROUND)
    masks_NSS[:, : size_px // 8] = VOID
    return photos_N3SS, masks_NSS


def training_device(wanted: str, world: World = ALONE) -> tuple[torch.device, str]:
    """Return the device of a training, and why the GPU that is here is not used, without a full stop, or nothing.

    A device that is asked for and not here raises `RunError`. Several processes train on NVIDIA's GPUs, or on the CPU.
    """
    found = accelerator()
    if wanted not in ("auto", "cpu") and (found is None or found.type != wanted):
        raise RunError(f"device={wanted} asks for a GPU that PyTorch does not find on this machine; set device=auto.")
    if wanted == "cpu" or found is None:
        return CPU, ""
    if world.size > 1 and found.type == "cuda":
        world.take_gpu()
        return found, ""
    if world.size > 1 and wanted != "auto":
        raise RunError(f"device={wanted} trains in one process; start it without torchrun, or set device=cpu.")
    if wanted != "auto":
        return found, ""
    if world.size > 1:
        return CPU, ""
    verdict = device_verdict.read(device_name(found)) or _tried(found)
    return (found, "") if verdict.is_used else (CPU, verdict.sentence)


def _tried(device: torch.device) -> Verdict:
    """Try a GPU, and keep the verdict, unless it is about something else."""
    precision, name = choose_precision("auto", device), device_name(device)
    judged = judge(
        lambda: StarterSteps(device, precision),
        lambda: StarterSteps(CPU, "fp32"),
        lambda: StarterSteps(CPU, choose_precision("auto", CPU)),
        TOLERANCES[precision],
    )
    verdict = verdict_of(name, judged)
    if judged.lasting:
        device_verdict.store(verdict)
    return verdict


def verdict_of(name: str, judged: Judged) -> Verdict:
    """Return the verdict on the GPU of this name, in words."""
    if not judged.lasting:
        sentence = f"{name} could not be tried, and the CPU is used: {judged.reason}; the next training tries it again"
    elif judged.reason:
        sentence = f"{name} is not used, and the CPU is: in a trial, {judged.reason}"
    else:
        faster = judged.usual_seconds / judged.seconds
        same = "a training step gave the loss and the gradients that it gives on the CPU"
        sentence = f"{name} is used: in a trial, {same}, {faster:.1f} times as fast"
    return Verdict(device=name, is_used=not judged.reason, sentence=sentence, created_s=time.time())
