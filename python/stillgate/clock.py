"""The clock of deadlines: it is never stepped, and runs on while the machine sleeps."""

from __future__ import annotations

import time

# Seconds that a wait lasts at most: the kernel's waits stand still while the machine sleeps.
LOOK = 0.5


def boot_time() -> float:
    """Seconds since the machine was started, the same in all its processes."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
