"""How many bytes of main memory can still be had: the machine's or, if that is less, its container's."""

from pathlib import Path

import psutil

CGROUP = Path("/sys/fs/cgroup")
CGROUP_FILES = (("memory.max", "memory.current"), ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"))
"""Limit and use of a container's memory below `CGROUP`, version 2 and version 1."""


def free_bytes(cgroup: Path = CGROUP) -> int:
    """Return the bytes that a program can still take; what files are cached in counts as free."""
    available = int(psutil.virtual_memory().available)
    for limit_file, use_file in CGROUP_FILES:
        limit, use = _number_in(cgroup / limit_file), _number_in(cgroup / use_file)
        if limit is not None and use is not None:
            # What files are cached in counts as used, and is given back when asked for.
            cached = _inactive_file_bytes((cgroup / use_file).with_name("memory.stat"))
            available = min(available, max(0, limit - max(0, use - cached)))
    return available


def free_share() -> float:
    """Return the share of the machine's memory that can still be had, of its container if that has less."""
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
