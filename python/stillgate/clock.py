"""The clock of deadlines: it is never stepped, and runs on while the machine sleeps. And the words
for a time of the day.
"""

from __future__ import annotations

import time

# Seconds that a wait lasts at most: the kernel's waits stand still while the machine sleeps.
LOOK = 0.5


def boot_time() -> float:
    """Seconds since the machine was started, the same in all its processes."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def wall(seconds: float) -> str:
    """A time of the day, since the epoch, as people read it: in the local zone, with the zone."""
    return time.strftime("%H:%M:%S %Z", time.localtime(seconds))
