"""Free main memory of the machine or, if less, of its container."""

from pathlib import Path

import psutil

CGROUP = Path("/sys/fs/cgroup")
CGROUP_FILES = (("memory.max", "memory.current"), ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"))
"""Limit and use of a container's memory below `CGROUP`, for cgroups version 2 and 1."""


def free_bytes(cgroup: Path = CGROUP) -> int:
    """Return the free bytes; the page cache counts as free, since the kernel gives it back on demand."""
    available = int(psutil.virtual_memory().available)
    for limit_file, use_file in CGROUP_FILES:
        limit, use = _number_in(cgroup / limit_file), _number_in(cgroup / use_file)
        if limit is not None and use is not None:
            cached = _inactive_file_bytes((cgroup / use_file).with_name("memory.stat"))
            available = min(available, max(0, limit - max(0, use - cached)))
    return available


def free_share() -> float:
    """Return the free bytes as a share of the machine's memory, in [0, 1]."""
    return free_bytes() / psutil.virtual_memory().total


def _number_in(file: Path) -> int | None:
    try:
        text = file.read_text(encoding="ascii").strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None  # "max": no limit


def _inactive_file_bytes(file: Path) -> int:
    try:
        values = dict(line.split(" ", 1) for line in file.read_text(encoding="ascii").splitlines())
    except (OSError, ValueError):
        return 0
    return int(values.get("total_inactive_file", values.get("inactive_file", 0)))
