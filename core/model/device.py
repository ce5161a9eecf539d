"""The device and the number format in which a model runs."""

import functools
import time
from contextlib import AbstractContextManager

import torch
import torch.nn.functional as F
from torch import Tensor

from core.errors import ConfigError
from core.wording import count

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}

PROBE_REPEATS = 3


def choose_device() -> torch.device:
    """Return the GPU if there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def device_name(device: torch.device) -> str:
    """Return the device's name for people."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
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


def computed_in(images_NCHW: Tensor) -> torch.dtype:
    """Return the number format in which a convolution of these images computes: on a CPU autocast's.

    On a GPU it is always fp16, which no workaround for a CPU's slow convolutions is for.
    """
    if images_NCHW.device.type != "cpu":
        return torch.float16
    return torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else images_NCHW.dtype
