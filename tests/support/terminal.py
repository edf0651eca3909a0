"""`stillgate` at a terminal of its own: what it asks there, and what is typed."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence

from support.closing import Closing
from support.command import COMMAND
from support.patience import HANG_S

INTERRUPT = "\x03"


class AtTerminal(Closing):
    """The process has the terminal as its controlling one; its three standard streams are not the
    terminal unless `on_it`, as where its results are piped. `shown` is what was ever to be seen.

    `program` is what is started in place of `stillgate`: a shell, say, which has jobs.
    """

    def __init__(
        self,
        *arguments: str,
        environment: Mapping[str, str],
        on_it: bool = False,
        program: Sequence[str] = COMMAND,
    ) -> None:
        self._ours, theirs = pty.openpty()

        def take_terminal() -> None:
            fcntl.ioctl(theirs, termios.TIOCSCTTY, 0)

        out = theirs if on_it else subprocess.PIPE
        self.process = subprocess.Popen(
            [*program, *arguments],
            stdin=theirs if on_it else subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            text=True,
            env=environment,
            start_new_session=True,
            preexec_fn=take_terminal,
            pass_fds=[theirs],
        )
        os.close(theirs)
        self.shown = ""
        self._looked_to = 0  # one read may have shown more than was waited for

    def wait_for(self, text: str, timeout: float = HANG_S) -> None:
        """Until it was shown, since whatever was waited for before."""
        deadline = time.monotonic() + timeout
        while (found := self.shown.find(text, self._looked_to)) < 0:
            left = deadline - time.monotonic()
            if left <= 0 or not self._read(left):
                raise AssertionError(f"not shown: {text!r}; what was: {self.shown!r}")
        self._looked_to = found + len(text)

    def enter(self, text: str) -> None:
        os.write(self._ours, text.encode())

    def echoes(self) -> bool:
        return bool(termios.tcgetattr(self._ours)[3] & termios.ECHO)

    def finish(self, timeout: float = HANG_S) -> tuple[int, str, str]:
        """Its status, standard output and standard error."""
        out, talk = self.process.communicate(timeout=timeout)
        while self._read(0):
            pass
        return self.process.returncode, out or "", talk or ""

    def _read(self, timeout: float) -> bool:
        if not select.select([self._ours], [], [], timeout)[0]:
            return False
        try:
            piece = os.read(self._ours, 65536)
        except OSError:  # nobody has the other end any more
            return False
        self.shown += piece.decode("utf-8", "replace")
        return piece != b""

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.communicate()
        os.close(self._ours)
