"""A terminal with a screen, which shows what somebody would see there."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Optional

import pyte

from support.closing import Closing
from support.command import COMMAND
from support.patience import HANG_S

COLUMNS, LINES = 80, 24


class _Screen(pyte.Screen):  # type: ignore[misc]
    """As terminals do, it takes a region without limits for the whole screen."""

    def set_margins(self, top: Optional[int] = None, bottom: Optional[int] = None) -> None:
        super().set_margins(top or None, bottom)


class Terminal(Closing):
    """`stillgate`, or another program, on a terminal of its own; what somebody would see there.
    `stdin` is in place of the terminal.
    """

    def __init__(
        self,
        *arguments: str,
        program: Sequence[str] = COMMAND,
        stdin: Optional[int] = None,
        size: tuple[int, int] = (COLUMNS, LINES),
        folder: Optional[Path] = None,
        environment: Optional[Mapping[str, str]] = None,
    ) -> None:
        self._ours, theirs = pty.openpty()
        columns, lines = size
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self._screen = _Screen(columns, lines)
        self._stream = pyte.ByteStream(self._screen)

        def take_terminal() -> None:
            fcntl.ioctl(theirs, termios.TIOCSCTTY, 0)

        self.process = subprocess.Popen(
            [*program, *arguments],
            stdin=theirs if stdin is None else stdin,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            preexec_fn=take_terminal,
            pass_fds=[theirs],
            cwd=folder,
            env={**(os.environ if environment is None else environment), "TERM": "xterm"},
        )
        os.close(theirs)

    def press(self, key: str) -> None:
        os.write(self._ours, key.encode())

    def goes_by_lines(self) -> bool:
        """As before a program has taken the keys."""
        flags = termios.tcgetattr(self._ours)[3]
        return bool(flags & termios.ICANON) and bool(flags & termios.ECHO)

    def lines(self) -> list[str]:
        return [line.rstrip() for line in self._screen.display]

    def wait_for(self, is_there: Callable[[list[str]], bool], what: str) -> list[str]:
        deadline = time.monotonic() + HANG_S
        while not is_there(self.lines()):
            left = deadline - time.monotonic()
            if left <= 0 or not self._read(left):
                raise AssertionError(f"not seen: {what}; but:\n" + "\n".join(self.lines()))
        return self.lines()

    def wait_for_words(self, words: str) -> list[str]:
        return self.wait_for(lambda lines: any(words in line for line in lines), words)

    def finish(self) -> int:
        while self._read(HANG_S):
            pass
        return self.process.wait(HANG_S)

    def _read(self, timeout: float) -> bool:
        if not select.select([self._ours], [], [], timeout)[0]:
            return False
        try:
            piece = os.read(self._ours, 65536)
        except OSError:  # nobody has the other end any more
            return False
        self._stream.feed(piece)
        return piece != b""

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._ours)
