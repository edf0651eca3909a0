"""Whether an HAProxy that answers is the one that has answered before."""

from __future__ import annotations

from typing import Optional

import pytest

from stillgate.look_after import Process

BEFORE = Process(pid=7, uptime_s=5, asked_at=100.0, told_at=100.2)


@pytest.mark.parametrize(
    ("now", "is_still"),
    [
        (Process(7, 25, 120.0, 120.1), True),
        # Whole seconds, and the time on the way.
        (Process(7, 24, 120.1, 120.2), True),
        (Process(8, 25, 120.0, 120.1), False),
        (Process(7, 2, 120.0, 120.1), False),
        # In a container the successor has the same pid, and may be older than the first was.
        (Process(7, 15, 120.0, 120.1), False),
        (None, False),
    ],
)
def test_a_process_is_known_by_its_pid_and_its_start(
    now: Optional[Process], is_still: bool
) -> None:
    assert BEFORE.is_still(now) is is_still
