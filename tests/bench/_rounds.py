"""Timing several things in one process, in turn, so that drift reaches all of them, and printing the figures."""

import json
import statistics
import time
from collections.abc import Callable, Mapping

import torch

from core.model.device import choose_device, device_name

Act = Callable[[], object]


def median_seconds(acts: Mapping[str, Act], rounds: int, *, warm_up: bool = True) -> dict[str, float]:
    """Return the median seconds of each, over rounds in which all take their turn; prints a line for each turn."""
    if warm_up:
        for act in acts.values():
            act()
    times_s: dict[str, list[float]] = {name: [] for name in acts}
    for _ in range(rounds):
        for name, act in acts.items():
            times_s[name].append(seconds_of(act))
            print(f"{name:<28}{times_s[name][-1]:9.3f} s", flush=True)
    return {name: statistics.median(values) for name, values in times_s.items()}


def seconds_of(act: Act) -> float:
    """Return the seconds that something takes, a GPU's own work included."""
    began_s = time.perf_counter()
    act()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - began_s


def print_figures(name: str, figures: Mapping[str, float], ratios: Mapping[str, float]) -> None:
    """Print a table for people, then the JSON document on the last line."""
    for label, values in (("figures", figures), ("ratios", ratios)):
        for key, value in values.items():
            print(f"{label:<8} {key:<44}{value:12.4g}")
    device = device_name(choose_device())
    print(json.dumps({"name": name, "device": device, "figures": dict(figures), "ratios": dict(ratios)}))
