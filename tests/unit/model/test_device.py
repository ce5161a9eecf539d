"""Devices and number formats."""

import pytest
import torch

from core.errors import ConfigError
from core.model.device import (
    _has_fast_bf16,
    autocast,
    choose_device,
    choose_precision,
    convolution_time,
    device_name,
)

CPU = torch.device("cpu")


def test_a_precision_that_is_asked_for_is_kept_and_auto_takes_the_faster_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """A processor that emulates bf16 takes hundreds of times as long: what is timed settles it, not its name."""
    assert [choose_precision(wanted, CPU) for wanted in ("fp32", "bf16")] == ["fp32", "bf16"]
    for bf16_s, expected in ((0.5, "bf16"), (20.0, "fp32")):
        times_s = {torch.float32: 1.0, torch.bfloat16: bf16_s}
        monkeypatch.setattr("core.model.device.convolution_time", times_s.__getitem__)
        _has_fast_bf16.cache_clear()
        assert choose_precision("auto", CPU) == expected
    _has_fast_bf16.cache_clear()


def test_the_processor_is_tried_once(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []
    monkeypatch.setattr("core.model.device.convolution_time", lambda dtype: tried.append(dtype) or len(tried))
    _has_fast_bf16.cache_clear()
    assert choose_precision("auto", CPU) == choose_precision("auto", CPU)
    assert tried == [torch.bfloat16, torch.float32]
    _has_fast_bf16.cache_clear()


def test_a_convolution_takes_time() -> None:
    assert 0 < convolution_time(torch.float32) < 10


@pytest.mark.parametrize(("precision", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16)])
def test_matrix_products_run_in_the_precision(precision: str, dtype: torch.dtype) -> None:
    with autocast(CPU, precision):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == dtype


def test_an_unknown_precision_is_refused() -> None:
    with pytest.raises(ConfigError, match="fp32 or bf16"):
        autocast(CPU, "fp16")


def test_there_is_a_device_with_a_name() -> None:
    device = choose_device()
    assert device.type in ("cpu", "cuda")
    assert device_name(device)
