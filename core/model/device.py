"""On what, and in which number format, a model runs."""

from contextlib import AbstractContextManager

import torch

from core.errors import ConfigError


def choose_device() -> torch.device:
    """Return the GPU if there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def device_name(device: torch.device) -> str:
    """Return what a person calls the device."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{torch.cpu.get_capabilities().get('cpu_name', 'CPU')} ({torch.get_num_threads()} threads)"


def choose_precision(wanted: str, device: torch.device) -> str:
    """Return fp32 or bf16; `auto` is bf16 where the hardware computes it (emulated bf16 is slower than fp32)."""
    if wanted != "auto":
        return wanted
    return "bf16" if _has_fast_bf16(device) else "fp32"


def _has_fast_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def autocast(device: torch.device, precision: str) -> AbstractContextManager[None]:
    """Return a context in which convolutions and matrix products run in `precision`."""
    if precision not in ("fp32", "bf16"):
        raise ConfigError(f"precision is '{precision}'; choose fp32 or bf16.")
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bf16")
