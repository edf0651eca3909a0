"""Standard output and error that fail no call: if their disk is full, a suspend that holds must not
look like one that was rolled back.
"""

from __future__ import annotations

import errno
import io
import os
import select
import sys
from contextlib import contextmanager, suppress
from typing import Iterator, Optional, TextIO

from stillgate.results.printing import tamed

STREAMS = 3


class Unfailing(io.TextIOWrapper):
    """Output that cannot be written is dropped, and `failure` says why. After the first failure the
    descriptor leads to /dev/null, so that neither Python's exit nor a command that inherits it
    fails again.
    """

    failure: Optional[OSError] = None

    def write(self, text: str) -> int:
        try:
            return super().write(text)
        except OSError as error:
            self._fail(error)
            return len(text)
        except KeyboardInterrupt:
            # Perhaps nobody reads: the end of Python would wait for them again.
            lead_nowhere(self.fileno())
            raise

    def flush(self) -> None:
        try:
            super().flush()
        except OSError as error:
            self._fail(error)
        except KeyboardInterrupt:
            # Perhaps nobody reads: the end of Python would wait for them again.
            lead_nowhere(self.fileno())
            raise

    def _fail(self, error: OSError) -> None:
        self.failure = self.failure or error
        lead_nowhere(self.fileno())


def guard_streams() -> None:
    """Call once, before anything is opened. A closed descriptor's number would be given to the next
    socket, and our output would go to an HAProxy.
    """
    closed = [number for number in range(STREAMS) if not _is_open(number)]
    for number in closed:
        lead_nowhere(number)
    sys.stdout = _unfailing(sys.stdout, 1, 1 in closed)
    sys.stderr = _unfailing(sys.stderr, 2, 2 in closed)


def failure_of(stream: Optional[TextIO]) -> Optional[OSError]:
    """Why some output was lost; None if all was written."""
    if not isinstance(stream, Unfailing):
        return None
    stream.flush()
    return stream.failure


def say(words: str, to: Optional[TextIO] = None) -> None:
    """For people, on standard output or `to`: nobody's words steer a terminal."""
    print(tamed(words), file=to or sys.stdout)


def put(text: str, end: str = "\n") -> None:
    """For a file or a pipe, byte for byte; at a terminal it is for people."""
    out = sys.stdout
    print(tamed(text) if out is not None and out.isatty() else text, end=end)


@contextmanager
def telling() -> Iterator[None]:
    """Put around the printing of a result: reports on standard error if standard output cannot be
    written.
    """
    try:
        yield
        sys.stdout.flush()
    except OSError as error:
        # What is buffered would fail again at the end of Python.
        lead_nowhere(sys.stdout.fileno())
        say_untold(error)


def say_untold(error: OSError) -> None:
    with suppress(OSError):
        say(f"stillgate: standard output cannot be written: {error.strerror}", sys.stderr)


def lead_nowhere(number: int) -> None:
    """Whatever is written to this descriptor from now on is dropped."""
    nowhere = open_nowhere()
    if nowhere != number:
        os.dup2(nowhere, number)
        os.close(nowhere)
    os.set_inheritable(number, True)


def open_nowhere() -> int:
    """A descriptor that has nothing to read, and drops what is written."""
    return os.open(os.devnull, os.O_RDWR)


def takes_words(stream: Optional[TextIO]) -> bool:
    """Whether it can be written at all just now: a terminal may be stopped, a pipe full."""
    number = descriptor_of(stream)
    return number is None or bool(select.select([], [number], [], 0)[1])


def descriptor_of(stream: Optional[TextIO]) -> Optional[int]:
    """None where it is somebody's own object."""
    try:
        return None if stream is None else stream.fileno()
    except (AttributeError, OSError, ValueError):
        return None


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def _unfailing(stream: Optional[TextIO], number: int, closed: bool) -> TextIO:
    if stream is not None and not isinstance(stream, io.TextIOWrapper):
        # A stream of the program that has imported us.
        return stream
    if isinstance(stream, Unfailing):
        return stream
    if stream is None:
        made = Unfailing(io.FileIO(number, "w", closefd=False))
    else:
        stream.flush()
        encoding, by_line, at_once = stream.encoding, stream.line_buffering, stream.write_through
        made = Unfailing(
            stream.detach(),
            encoding,
            "backslashreplace",  # a reply may have characters that the terminal's encoding lacks
            line_buffering=by_line,
            write_through=at_once,
        )
    if closed:
        made.failure = OSError(errno.EBADF, os.strerror(errno.EBADF))
    return made
