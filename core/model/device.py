"""The device and the number format in which a model runs.

NVIDIA's GPUs are `cuda`, Apple's `mps`, Intel's `xpu`. Of those one was seen at work, an H200, so a training tries a
GPU before it is used (`core.training.loop.trial`), and what came out is kept (`device_verdict`).
"""

import functools
import time
from contextlib import AbstractContextManager

import torch
import torch.nn.functional as F
from torch import Tensor

from core.errors import ConfigError
from core.model import device_verdict
from core.wording import count

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}

CPU = torch.device("cpu")
ACCELERATORS = ("cuda", "mps", "xpu")
"""PyTorch's names of the GPUs that a training tries, in this order."""

PROBE_REPEATS = 3


def accelerator() -> torch.device | None:
    """Return the GPU that PyTorch finds here, or None."""
    found = (kind for kind in ACCELERATORS if getattr(torch, kind).is_available())
    return next(map(torch.device, found), None)


def choose_device() -> torch.device:
    """Return the device for prediction: the GPU unless a training's trial was against it, else the CPU.

    Apple's and Intel's GPUs are used only after a trial that was for them: on those, more operations are missing.
    """
    found = accelerator()
    if found is None:
        return CPU
    verdict = device_verdict.read(device_name(found))
    is_used = verdict.is_used if verdict else found.type == "cuda"
    return found if is_used else CPU


def device_name(device: torch.device) -> str:
    """Return the device's name for people."""
    if device.type in ("cuda", "xpu"):
        name: str = getattr(torch, device.type).get_device_name(device)
        return name
    if device.type == "mps":
        return "Apple GPU"
    return f"{torch.cpu.get_capabilities().get('cpu_name', 'CPU')} ({count(torch.get_num_threads(), 'thread')})"


def choose_precision(wanted: str, device: torch.device) -> str:
    """Return fp32 or bf16; `auto` is bf16 where the hardware computes it (emulated bf16 is slower than fp32)."""
    if wanted != "auto":
        return wanted
    return "bf16" if _has_fast_bf16(device.type) else "fp32"


@functools.cache
def _has_fast_bf16(device_type: str) -> bool:
    """Return whether bf16 is faster than fp32 here; on a CPU by a trial, once.

    A processor may have bf16 where the library has no code for it and emulates it. In hardware bf16 is at least twice
    as fast, emulated it is far slower, so other programs running beside the trial do not change its result.
    """
    if device_type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device_type == "xpu":
        return bool(torch.xpu.is_bf16_supported())
    if device_type == "mps":  # the first of Apple's chips have none
        return False
    return convolution_time(torch.bfloat16) < convolution_time(torch.float32)


@torch.inference_mode()
def convolution_time(dtype: torch.dtype) -> float:
    """Return the seconds of a convolution typical for the models (64 channels, 3 x 3, 32 px), the best of a few."""
    images_NCHW = torch.ones((1, 64, 32, 32), dtype=dtype).contiguous(memory_format=torch.channels_last)
    weight = torch.ones((64, 64, 3, 3), dtype=dtype).contiguous(memory_format=torch.channels_last)
    times_s = []
    for _ in range(1 + PROBE_REPEATS):  # the first one warms up
        began_s = time.perf_counter()
        F.conv2d(images_NCHW, weight, padding=1)
        times_s.append(time.perf_counter() - began_s)
    return min(times_s[1:])


def dtype_of(precision: str) -> torch.dtype:
    """Return the number format of a precision; an unknown one raises `ConfigError`."""
    if precision not in DTYPES:
        raise ConfigError(f"precision is '{precision}'; choose {' or '.join(DTYPES)}.")
    return DTYPES[precision]


def autocast(device: torch.device, precision: str) -> AbstractContextManager[None]:
    """Return a context in which convolutions and matrix products run in `precision`."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=dtype_of(precision) == torch.bfloat16)


def synchronize(device: torch.device) -> None:
    """Wait until a device has done what it was given."""
    getattr(torch, device.type).synchronize()


def forget_freed_memory(device: torch.device) -> None:
    """Give a GPU's memory back that PyTorch keeps for later."""
    if device.type != "cpu":
        getattr(torch, device.type).empty_cache()


def sums_type(device: torch.device) -> torch.dtype:
    """Return the number format of long sums: float64, which Apple's GPUs do not have."""
    return torch.float32 if device.type == "mps" else torch.float64


def computed_in(images_NCHW: Tensor) -> torch.dtype:
    """Return the number format in which a convolution of these images computes: on a CPU autocast's.

    On a GPU it is always fp16, which no workaround for a CPU's slow convolutions is for.
    """
    if images_NCHW.device.type != "cpu":
        return torch.float16
    return torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else images_NCHW.dtype
