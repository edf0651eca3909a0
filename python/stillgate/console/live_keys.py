"""What the keys of a live screen mean: each is asked once before anything is done."""

from __future__ import annotations

import os
import select
import signal
import sys
import termios
import time
import tty
from contextlib import contextmanager
from typing import Iterator, List, Optional, Union

from stillgate.console.live_state import LiveState
from stillgate.console.streams import descriptor_of

KEYS = "r resume   e extend   q leave it held and quit"
OF_COMMAND = "r end the command and resume   e extend"
OPEN_KEYS = "q quit"
NO_HOLD = "nothing is held"


class Keys:
    """Takes one key after the other. `line` is what the bottom line says. `of_command`: the hold is
    this process's own, around a command; it cannot be left held, because the command ends with
    this process.
    """

    def __init__(self, extend_by: float, of_command: bool = False) -> None:
        self._of_command = of_command
        self.line = OF_COMMAND if of_command else OPEN_KEYS
        self._extend_by = extend_by
        self._asked: Optional[str] = None

    def press(self, key: str, state: LiveState) -> Optional[str]:
        """What is to be done now: resume, extend or quit; mostly nothing."""
        if self._asked is not None:
            asked, self._asked = self._asked, None
            self.rest(state)
            return asked if key in ("y", "Y") else None
        action = {"r": "resume", "e": "extend", "q": "quit"}.get(key.lower())
        if action is None or (action == "quit" and self._of_command):
            return None
        if state.hold is None:
            if action == "quit":
                return action
            self.line = NO_HOLD if self._of_command else f"{NO_HOLD}   {OPEN_KEYS}"
            return None
        self._asked = action
        self.line = self._question(action, state)
        return None

    def rest(self, state: LiveState) -> None:
        """No question is open: back to the list of keys."""
        if self._asked is not None:
            return
        if self._of_command:
            self.line = OF_COMMAND
        else:
            self.line = KEYS if state.hold else OPEN_KEYS

    def tell(self, words: str) -> None:
        """What came of it, until the next key."""
        self.line = words
        self._asked = None

    def _question(self, action: str, state: LiveState) -> str:
        hold = state.hold
        assert hold is not None
        what = f"{', '.join(hold.frontends)}, held by {hold.owner}"
        if action == "resume":
            return f"{'End the command, and resume' if self._of_command else 'Resume'} {what}? y/n"
        if action == "extend":
            return f"Extend by {self._extend_by:g} s: {what}? y/n"
        end = "" if hold.deadline else "; nothing ends it by itself"
        return f"Quit, and leave it held{end}? y/n"


def can_hear_keys() -> bool:
    """Standard input is a terminal, and this process is not in its background, where it would be
    stopped.
    """
    number = descriptor_of(sys.stdin)
    if number is None or not os.isatty(number):
        return False
    try:
        return os.tcgetpgrp(number) == os.getpgrp()
    except OSError:
        # It is not the one that has its jobs here.
        return True


@contextmanager
def single_keys() -> Iterator[Optional[int]]:
    """The descriptor from which each key comes at once; None where there is no terminal."""
    number = descriptor_of(sys.stdin)
    if number is None or not os.isatty(number):
        yield None
        return
    before: List[Union[int, List[Union[bytes, int]]]] = termios.tcgetattr(number)
    try:
        tty.setcbreak(number)
        yield number
    finally:
        # Whoever was put into the background meanwhile would be stopped here.
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTTOU])
        try:
            termios.tcsetattr(number, termios.TCSADRAIN, before)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


def read_key(keys: Optional[int], seconds: float) -> Optional[str]:
    """Empty: none came. None: none will come any more."""
    if keys is None:
        time.sleep(seconds)
        return ""
    try:
        if not select.select([keys], [], [], seconds)[0]:
            return ""
        told = os.read(keys, 1)
    except OSError:
        return None
    return told.decode("ascii", "ignore") if told else None
