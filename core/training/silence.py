"""A leg that was silent for long, since the machine slept or the process was stopped: noticed once it goes on."""

import time
from collections.abc import Iterator

from core.training.records import Warned

LONG_GAP_S = 600.0
"""Nothing for so long, and for ten times a step, is worth a word: the machine slept, or the process was stopped."""


class Silence:
    """Notices that a leg was silent for long: it counts the machine's sleep, and no change of the time of day.

    A gap is long above `LONG_GAP_S` and above `usual_s`, seconds.
    """

    def __init__(self, usual_s: float) -> None:
        self._long_s = max(LONG_GAP_S, usual_s)
        self.go_on()

    def go_on(self) -> None:
        """Count from now."""
        self._since_s = seconds_awake_and_asleep()

    def told_gap(self) -> Iterator[Warned]:
        """Yield a warning if the time since `go_on` is long."""
        gap_s = seconds_awake_and_asleep() - self._since_s
        if gap_s > self._long_s:
            minutes = round(gap_s / 60)
            words = f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"
            yield Warned(message=f"No progress for {words}: the machine slept or was stopped; the training goes on.")


def seconds_awake_and_asleep() -> float:
    """Return a count of seconds that goes on while the machine sleeps, where the system has one."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)
