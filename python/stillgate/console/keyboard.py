"""Where the keys of a live screen come from: a terminal that gives each key at once, and that
others use, too.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import termios
import threading
import time
import tty
from contextlib import contextmanager, suppress
from typing import Iterator, List, Optional, TextIO, Union

from stillgate.console.streams import descriptor_of

LOCAL_FLAGS = 3  # where termios.tcgetattr() has them
CONTROLLING = "/dev/tty"

State = List[Union[int, List[Union[bytes, int]]]]


class Keyboard:
    """A terminal whose keys come at once, between begin() and end(), for as long as nobody else has
    it: a job in its foreground, or a program that drives it itself (a pager). It is then as it was
    before. `owned`: the descriptor is closed at the end.
    """

    def __init__(self, number: int, owned: bool = False) -> None:
        self.number = number
        self._owned = owned
        self._before: Optional[State] = None
        self._ours: Optional[State] = None
        # The end may come from another thread than the keys are read by, and from a signal's
        # handler.
        self._changing = threading.RLock()
        self._over = False

    def is_ours(self) -> bool:
        """Takes it where nobody has it: also again, after a shell that had it meanwhile."""
        with self._changing:
            if self._over or not in_foreground(self.number):
                return False
            with suppress(termios.error):
                now = termios.tcgetattr(self.number)
                if self._ours is not None and now == self._ours:
                    return True
                again = self._before is not None
                if not _by_lines(now) or (again and not _echoes(now)):
                    return False
                self._before = self._before or now
                # What was typed before was meant for somebody else. Nothing here waits for a
                # terminal that is stopped.
                with _unstopped():
                    tty.setcbreak(self.number, termios.TCSANOW)
                    termios.tcflush(self.number, termios.TCIFLUSH)
                self._ours = termios.tcgetattr(self.number)
                return True
            return False

    def give_back(self) -> None:
        """Until is_ours() takes it again."""
        with self._changing:
            ours, self._ours = self._ours, None
            with suppress(termios.error):
                before = self._before
                if before and ours is not None and termios.tcgetattr(self.number) == ours:
                    with _unstopped():
                        termios.tcsetattr(self.number, termios.TCSANOW, before)

    def end(self) -> None:
        """For good; safe to call again."""
        with self._changing:
            self.give_back()
            if not self._over and self._owned:
                os.close(self.number)
            self._over = True

    def read(self, seconds: float) -> str:
        """Empty where none came."""
        with _unstopped():
            told = read_key(self.number, seconds)
        if told is None:
            # It hangs up, or another job has got it.
            time.sleep(seconds)
        return told or ""


def own_keyboard() -> Optional[Keyboard]:
    """Standard input; where that is something else, the terminal that this process was started at.
    None where there is neither, or another job has it.
    """
    number = descriptor_of(sys.stdin)
    if number is not None and os.isatty(number):
        return Keyboard(number) if in_foreground(number) else None
    return controlling_keyboard()


def controlling_keyboard() -> Optional[Keyboard]:
    """None where there is none, or another job has it."""
    try:
        number = os.open(CONTROLLING, os.O_RDWR | os.O_CLOEXEC | os.O_NOCTTY)
    except OSError:
        return None
    if in_foreground(number):
        return Keyboard(number, owned=True)
    os.close(number)
    return None


def is_terminal(stream: Optional[TextIO]) -> bool:
    number = descriptor_of(stream)
    return number is not None and os.isatty(number)


def in_foreground(number: int) -> bool:
    """Else this process would be stopped where it reads from this terminal."""
    try:
        return os.tcgetpgrp(number) == os.getpgrp()
    except OSError:
        # It is not the one that has its jobs here.
        return True


def goes_by_lines(number: int) -> bool:
    """Whether nobody drives this terminal: what is typed comes line by line."""
    try:
        return _by_lines(termios.tcgetattr(number))
    except termios.error:
        return True


def _by_lines(state: State) -> bool:
    return _has(state, termios.ICANON)


def _echoes(state: State) -> bool:
    return _has(state, termios.ECHO)


def _has(state: State, flag: int) -> bool:
    flags = state[LOCAL_FLAGS]
    return isinstance(flags, int) and bool(flags & flag)


@contextmanager
def _unstopped() -> Iterator[None]:
    """Whoever was put into the background meanwhile is not stopped by the terminal."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTTOU, signal.SIGTTIN])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def single_keys() -> Iterator[Optional[int]]:
    """The descriptor of standard input, from which each key comes at once; None where that is no
    terminal.
    """
    number = descriptor_of(sys.stdin)
    if number is None or not os.isatty(number):
        yield None
        return
    before: State = termios.tcgetattr(number)
    try:
        tty.setcbreak(number)
        yield number
    finally:
        with _unstopped():
            termios.tcsetattr(number, termios.TCSADRAIN, before)


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
