"""What a trial found out about this machine's GPU, kept for trainings, for prediction and for the page. No torch.

    cache/device-MACHINE.json     the `Verdict`; MACHINE is `machine_key`

It is valid for a month, for the same GPU, machine and torch. Deleted, it is tried again.
"""

import hashlib
import importlib.metadata
import json
import os
import platform
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from core.files import write_json
from core.home import home

SCHEMA = 1
MAX_AGE_S = 30 * 24 * 3600.0
"""Older verdicts are ignored: drivers change, and other programs may have slowed one side of the trial."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Whether the GPU called `device` is used, and why, in a sentence without its full stop.

    `compiled_ratio` says how many times as fast a compiled training step is, after `compile_seconds`; 0 if it failed,
    None before it was tried.
    """

    device: str
    is_used: bool
    sentence: str
    created_s: float
    compiled_ratio: float | None = None
    compile_seconds: float = 0.0


def machine_key() -> str:
    """Return a hash that identifies this machine and its torch, without its name."""
    facts = (
        platform.node(), platform.machine(), platform.system(), os.cpu_count(), importlib.metadata.version("torch"),
        os.environ.get("CUDA_VISIBLE_DEVICES"),
    )  # fmt: skip
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:16]


def file() -> Path:
    """Return the file of this machine's verdict, whether or not it exists."""
    return home() / "cache" / f"device-{machine_key()}.json"


def read(device: str | None = None) -> Verdict | None:
    """Return the valid verdict on the GPU called `device`, or on whichever was tried; None if there is none."""
    try:
        document = json.loads(file().read_text(encoding="utf-8"))
        if document.pop("schema") != SCHEMA:
            return None
        found = Verdict(**document)
        age_s = time.time() - found.created_s
    except (OSError, ValueError, KeyError, TypeError, AttributeError):  # none, damaged, or of another version
        return None
    return found if 0 <= age_s <= MAX_AGE_S and device in (None, found.device) else None


def store(verdict: Verdict) -> None:
    """Keep a verdict; on a full disk, do nothing: the next training tries again."""
    with suppress(OSError):
        file().parent.mkdir(parents=True, exist_ok=True)
        write_json(file(), {"schema": SCHEMA} | asdict(verdict))
