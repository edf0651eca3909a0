"""What a signal does to the command: up to the last moment it raises, and from then on nothing."""

from __future__ import annotations

import signal
from types import FrameType
from typing import List, Optional

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


def raise_at_signals() -> None:
    """As Ctrl-C: a suspend that gets SIGTERM, or whose terminal closes, rolls back first."""
    for number in STOPPING[1:]:
        # A command started under nohup must outlive its terminal.
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _stop)


def let_go() -> None:
    """The last look: the exit status is decided, and a signal that comes later changes nothing.
    Errors: KeyboardInterrupt, where one came before.
    """
    ours = _not_ignored()
    signal.pthread_sigmask(signal.SIG_BLOCK, ours)
    if signal.sigpending() & set(ours):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ours)
        raise KeyboardInterrupt
    # Python gives handlers of its own back to the system when it ends.
    for number in ours:
        signal.signal(number, signal.SIG_IGN)


def _not_ignored() -> List[signal.Signals]:
    return [one for one in STOPPING if signal.getsignal(one) != signal.SIG_IGN]


def _stop(number: int, frame: Optional[FrameType]) -> None:
    raise KeyboardInterrupt
