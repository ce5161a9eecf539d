"""Devices and number formats."""

import pytest
import torch

from core.errors import ConfigError
from core.model.device import autocast, choose_device, choose_precision, device_name

CPU = torch.device("cpu")


def test_a_precision_that_is_asked_for_is_kept_and_auto_takes_what_the_hardware_computes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert [choose_precision(wanted, CPU) for wanted in ("fp32", "bf16")] == ["fp32", "bf16"]
    for capabilities, expected in (({}, "fp32"), ({"avx512_bf16": True}, "bf16"), ({"amx_bf16": True}, "bf16")):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda told=capabilities: told)
        assert choose_precision("auto", CPU) == expected
        assert device_name(CPU).startswith("CPU (")


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
