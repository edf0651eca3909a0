"""Runs a command inside a hold, and ends it with all that it started before the hold's deadline."""

from __future__ import annotations

import errno
import os
import select
import signal
import stat
import subprocess
import threading
import time
from dataclasses import dataclass
from types import FrameType, TracebackType
from typing import IO, Any, Callable, Dict, List, Optional, Sequence, Type, Union

NOT_EXECUTABLE = 126
NOT_FOUND = 127
ENDED_BY_DEADLINE = 124
MARGIN = 0.2  # seconds before the deadline at which SIGKILL comes, so that a resume still fits
REAPING = 0.1  # seconds for a killed command to end; half the margin
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
# A shell, because this process is dead when it is needed. It reads the group's number, then a line
# when it is no longer needed; end of file means that this process has died.
LEASH = """
read -r group || exit
read -r over && exit
kill -s TERM -- "-$group"
sleep "$1"
kill -s KILL -- "-$group"
"""

_Handler = Callable[[int, Optional[FrameType]], Any]


@dataclass(frozen=True)
class CommandResult:
    """`status` is the command's own, 128 + N if signal N ended it, 126 if it cannot be executed,
    127 if it is not found, and 124 if the deadline ended it.
    """

    status: int
    ended_by_deadline: bool


def check_runnable(argv: Sequence[str]) -> Optional[int]:
    """126 or 127 if `argv` certainly cannot be run, else None. Call it before anything is held. It
    searches the command as execvp does; only running it shows whether the kernel can load the
    file.
    """
    name = argv[0] if argv else ""
    if not name:
        return NOT_FOUND
    found = NOT_FOUND
    searched = "/" not in name
    for folder in os.get_exec_path() if searched else [""]:
        path = os.path.join(folder, name)
        try:
            mode = os.stat(path).st_mode
        except OSError as error:
            vain = (errno.ENOENT, errno.ENOTDIR) if searched else (errno.ENOENT,)
            found = found if error.errno in vain else NOT_EXECUTABLE
            continue
        if stat.S_ISREG(mode) and os.access(path, os.X_OK):
            return None
        # As execvp: 126 only if no later folder of the PATH has a file that can be run.
        found = NOT_EXECUTABLE
    return found


def run_until(
    argv: Sequence[str],
    seconds: float,
    *,
    grace: float = 2.0,
    stdout: Union[None, int, IO[Any]] = None,
    over: int = -1,
) -> CommandResult:
    """Runs `argv` for at most `seconds`, in its own session; does not run it if no time is left.

    `grace` seconds before the time is over its whole process group gets SIGTERM, and shortly
    before the end SIGKILL. When the command itself has ended, the rest of its group is killed:
    nothing of it must work after the hold. A process that moved to another session, or runs as
    another user, cannot be reached; the call returns in time nevertheless.

    Standard input and error are ours; so is standard output, unless `stdout` is given (as for
    subprocess.Popen).

    `over` is a descriptor that is readable if the hold ends early: then SIGTERM comes at once, and
    SIGKILL `grace` seconds later. If this process is killed, the group is ended in the same way.

    SIGINT, SIGTERM, SIGHUP and SIGQUIT with a Python handler are handled here at any time. If the
    handler raises, as that of Ctrl-C does, the group gets SIGINT, at most `grace` seconds to end,
    then SIGKILL; then the exception is raised in the caller.

    Errors: OSError if this process may open no more files.
    """
    deadline = time.monotonic() + seconds
    if seconds <= 0:
        return CommandResult(ENDED_BY_DEADLINE, True)
    with _Signals() as signals, _Leash(grace) as leash:
        try:
            process = subprocess.Popen(list(argv), stdout=stdout, start_new_session=True)
            leash.tie(process.pid)
        except OSError as error:
            missing = isinstance(error, FileNotFoundError)
            unknown = NOT_FOUND if missing else NOT_EXECUTABLE
            return CommandResult(check_runnable(argv) or unknown, False)
        return _Running(process, signals, deadline, grace, over).finish()


class _Running:
    """A started command, until it has ended."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        signals: _Signals,
        deadline: float,
        grace: float,
        over: int,
    ) -> None:
        self._process = process
        self._over = over
        self._signals = signals
        self._grace = max(grace, 0.0)
        self._kill_at = deadline - MARGIN
        self._term_at = min(deadline - self._grace, self._kill_at)
        try:
            self._pidfd = os.pidfd_open(process.pid)
        except OSError:
            # Out of descriptors: a command that cannot be watched must not run.
            self._send(signal.SIGKILL)
            process.wait()
            raise

    def finish(self) -> CommandResult:
        try:
            in_time = self._signals.wait(self._pidfd, self._term_at, self._over)
            if not in_time:
                self._send(signal.SIGTERM)
                patience = min(time.monotonic() + self._grace, self._kill_at)
                self._signals.wait(self._pidfd, patience)
        except BaseException:
            self._interrupt()
            raise
        finally:
            # Before it is reaped: until then no other group can have its number.
            self._send(signal.SIGKILL)
            # Only briefly: a process that survives SIGKILL must not use up the time for the resume.
            _ready([self._pidfd], time.monotonic() + REAPING)
            os.close(self._pidfd)
            status = self._process.poll()
        if not in_time or status is None:
            return CommandResult(ENDED_BY_DEADLINE, True)
        return CommandResult(128 - status if status < 0 else status, False)

    def _interrupt(self) -> None:
        """As Ctrl-C at a terminal. A second Ctrl-C, or the deadline, ends the grace time."""
        self._send(signal.SIGINT)
        try:
            patience = min(time.monotonic() + self._grace, self._kill_at)
            self._signals.wait(self._pidfd, patience)
        except BaseException:
            # The exception being raised tells the caller enough.
            return

    def _send(self, number: signal.Signals) -> None:
        try:
            os.killpg(self._process.pid, number)
        except (ProcessLookupError, PermissionError):
            # It has ended, or is another user's now.
            pass


class _Signals:
    """While entered in the main thread, the signals of STOPPING interrupt only wait(): a
    KeyboardInterrupt between the start of a process and the storing of its id would lose the
    process. In other threads Python runs no handlers, and there is nothing to do.
    """

    def __init__(self) -> None:
        self._handlers: Dict[int, _Handler] = {}
        self._came: List[int] = []
        self._pipe: List[int] = []
        self._wakeup_before = -1

    def __enter__(self) -> _Signals:
        if threading.current_thread() is not threading.main_thread():
            return self
        # A handler runs only when Python code does; the byte in the pipe ends a poll that had not
        # quite begun when the signal came.
        self._pipe = list(os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC))
        self._wakeup_before = signal.set_wakeup_fd(self._pipe[1], warn_on_full_buffer=False)
        for number in STOPPING:
            handler = signal.getsignal(number)
            # A signal that is ignored or has its default action keeps that, in the command too.
            if callable(handler):
                self._handlers[number] = handler
                signal.signal(number, self._note)
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        if self._pipe:
            signal.set_wakeup_fd(self._wakeup_before)
            for end in self._pipe:
                os.close(end)
        if error is None:
            self._handle()

    def wait(self, pidfd: int, until: float, over: int = -1) -> bool:
        """Whether the process has ended by then, and before `over` was readable. Raises what the
        handler of a signal raises.
        """
        watched = [pidfd, *self._pipe[:1], *([over] if over >= 0 else [])]
        while True:
            self._handle()
            ready = _ready(watched, until)
            for wakeup in self._pipe[:1]:
                if wakeup in ready:
                    os.read(wakeup, 4096)
            if pidfd in ready:
                return True
            # Otherwise a signal has interrupted the wait, perhaps one that is not ours.
            if over in ready or (time.monotonic() >= until and not self._came):
                return False

    def _note(self, number: int, frame: Optional[FrameType]) -> None:
        self._came.append(number)

    def _handle(self) -> None:
        while self._came:
            number = self._came.pop(0)
            self._handlers[number](number, None)


class _Leash:
    """Ends the command's group if this process dies, even by SIGKILL: a command that changes a
    database must not continue when requests are no longer held.
    """

    def __init__(self, grace: float) -> None:
        self._grace = grace
        self._end = -1
        self._shell: Optional[subprocess.Popen[bytes]] = None

    def __enter__(self) -> _Leash:
        heard, self._end = os.pipe2(os.O_CLOEXEC)
        try:
            # Its own session: a signal from the terminal that ends us must not end it.
            self._shell = subprocess.Popen(
                ["/bin/sh", "-c", LEASH, "stillgate-leash", f"{self._grace:.3f}"],
                stdin=heard,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd="/",
                start_new_session=True,
            )
        finally:
            os.close(heard)
            if self._shell is None:
                os.close(self._end)
        return self

    def tie(self, group: int) -> None:
        self._tell(f"{group}\n")

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        assert self._shell is not None
        self._tell("over\n")
        os.close(self._end)
        self._shell.wait()

    def _tell(self, words: str) -> None:
        try:
            os.write(self._end, words.encode())
        except BrokenPipeError:
            # Somebody has killed it.
            pass


def _ready(watched: Sequence[int], until: float) -> List[int]:
    """Those that are readable, at the latest at that time (of time.monotonic)."""
    poll = select.poll()
    for descriptor in watched:
        poll.register(descriptor, select.POLLIN)
    return [found for found, _ in poll.poll(max(until - time.monotonic(), 0.0) * 1000)]
