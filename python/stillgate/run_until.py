"""Runs a command inside a hold, and ends it with all that it started before the hold's deadline."""

from __future__ import annotations

import errno
import os
import select
import signal
import socket
import stat
import struct
import subprocess
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType
from typing import IO, Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple, Type, Union
from weakref import WeakSet

from stillgate import _core
from stillgate.clock import LOOK, boot_time

NOT_EXECUTABLE = 126
NOT_FOUND = 127
ENDED_BY_DEADLINE = 124
MARGIN = 0.2  # seconds before the deadline at which SIGKILL comes, so that a resume still fits
REAPING = 0.1  # seconds for what was killed to end; half the margin
FROZEN = 1.0  # seconds; a leash that does not answer by then is frozen
LATE = 0.1  # seconds behind SIGKILL; a leash that has said nothing by then is frozen
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
STREAMS = 3
NAME = "stillgate-leash"
# The packets, as in cpp/src/leash/message.hpp: kind, open streams, deadline, grace, whether SIGINT
# comes first, who has to be gone before, the share of an armed one, whether this process is to be
# awake; kind, value, whether the deadline ended it.
TOLD, SAID = struct.Struct("=iiqqqqqq"), struct.Struct("=iii")
MOST_ENVIRONMENT = 16384  # bytes
START, MOVE, END, INTERRUPT, KILL, ARM, DISARM, ASK = range(8)
READY, STARTED, UNSTARTED, ENDED, DISARMED = range(5)

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


def leash_program() -> str:
    """$STILLGATE_LEASH, else the one beside this package, else the one beside the guard."""
    given = os.environ.get("STILLGATE_LEASH")
    if given:
        return given
    beside = Path(__file__).with_name(NAME)
    # A distribution's package has the programs in a folder of their own.
    return str(beside if beside.exists() else Path(_core.guard_program()).with_name(NAME))


class Leash:
    """Runs one command and ends it, with all that it started, before a deadline. It is a process of
    its own, the program `stillgate-leash`, which does that also when this process is stopped or
    killed. Start it before anything is held: the time of the hold is for the command.

    The command is in a session of its own. Its standard streams are those of this process at run(),
    unless `stdin` or `stdout` is given.

    What can be reached: whatever the command starts, in sessions of its own and as a daemon too.
    What has become another user's cannot be sent a signal, and work handed to a server is the
    server's.
    """

    def __init__(
        self,
        argv: Sequence[str],
        *,
        stdin: Optional[int] = None,
        stdout: Union[None, int, IO[Any]] = None,
    ) -> None:
        self._argv = list(argv)
        self._stdin = stdin
        self._stdout = stdout
        self._peer: Optional[socket.socket] = None
        self._process: Optional[subprocess.Popen[bytes]] = None
        self._inner = 0
        self._command = 0
        self._killer = -1
        self._left: Optional[Callable[[], float]] = None
        self._grace = 0.0
        self._limit = 0.0
        self._begun = False  # by the leash itself
        self._early: List[Tuple[int, int, int]] = []  # what it has said before run()
        # end() and moved() come from other threads.
        self._telling = threading.Lock()
        self._over = False

    def start(self) -> None:
        """Errors: OSError, if it cannot be started."""
        self._peer, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        _started.add(self)
        with theirs:
            # Its own session: no Ctrl-Z and no Ctrl-C at the terminal reaches it.
            self._process = subprocess.Popen(
                [NAME, *self._argv],
                executable=leash_program(),
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        kind, value, _ = self._hear()
        if kind != READY:
            error = value if kind == UNSTARTED else errno.ECONNRESET
            # Where it is not mounted, nobody can be found.
            raise OSError(error, os.strerror(error), "/proc" if error == errno.ENOENT else NAME)
        self._inner = value

    def run(
        self,
        left: Callable[[], float],
        *,
        grace: float = 2.0,
        gently: bool = False,
        environment: Optional[Mapping[str, str]] = None,
    ) -> CommandResult:
        """Runs the command for so many seconds as `left` says, at the start and when moved() is
        called; does not run it if no time is left. Its environment is this process's at start(),
        and `environment`, of at most MOST_ENVIRONMENT bytes.

        `grace` seconds before the time is over everything that it started gets SIGTERM, and shortly
        before the end SIGKILL; with `gently` SIGINT, and half-way SIGTERM. When the command itself
        has ended, the rest is killed: nothing of it must work after the hold.

        SIGINT, SIGTERM, SIGHUP and SIGQUIT with a Python handler are handled here at any time. If
        the handler raises, as that of Ctrl-C does, everything gets SIGINT, at most `grace` seconds
        to end, then SIGKILL; then the exception is raised in the caller.

        Errors: OSError if the leash has been killed before the start.
        """
        with _Signals() as signals:
            if not self._begin(left, max(grace, 0.0), gently, environment or {}):
                return CommandResult(ENDED_BY_DEADLINE, True)
            try:
                return self._finish(signals)
            except BaseException:
                self._interrupt(signals)
                raise

    def arm(
        self,
        left: Callable[[], float],
        *,
        share: float,
        grace: float = 2.0,
        gently: bool = False,
        environment: Optional[Mapping[str, str]] = None,
        after: Optional[Leash] = None,
        stdin: Optional[int] = None,
        awake: bool = False,
    ) -> None:
        """From now on the command is run where this process is killed, as run() would do it, and
        when nothing is left of what `after` runs; so it is `share` seconds before the deadline, if
        this process is stopped for so long. Not after disarm(), the end of the `with` block, or the
        deadline. If run() is called after all, what it runs does not end with this process. Armed
        again, it is the newest that counts. It reads `stdin`, if that is given. With `awake` the
        leash continues this process whenever somebody stops it meanwhile.
        """
        with self._telling:
            seconds = left()
            if self._over or self._begun or seconds <= 0:
                return
            self._left = left
            self._grace = grace
            self._limit = _limit_in(seconds)
            other = 0 if after is None or after._process is None else after._process.pid
            with suppress(BrokenPipeError, ConnectionResetError):
                added = environment or {}
                self._send(ARM, seconds, grace, gently, added, other, share, stdin, awake)

    def disarm(self) -> bool:
        """Whoever is killed, it is not run any more; only run() does. False if it has been started
        already: then run() waits for its end.
        """
        return self._has_not_begun(DISARM)

    def is_waiting(self) -> bool:
        """False if what was armed has been started already, so likewise."""
        return self._has_not_begun(ASK)

    def _has_not_begun(self, kind: int) -> bool:
        assert self._peer is not None and self._process is not None
        with self._telling:
            self._tell(kind)
        give_up_at = boot_time() + FROZEN
        while boot_time() < give_up_at:
            self._wake()
            if not _ready([self._peer.fileno()], min(give_up_at, boot_time() + LOOK)):
                continue
            said = self._hear()
            if said[0] in (DISARMED, -1):
                # It ends when its command has.
                self._begun = bool(self._early) if said[0] == -1 else not said[1]
                return not self._begun
            self._early.append(said)
        return False

    def end(self) -> None:
        """The hold is over: the first signal at once, and SIGKILL `grace` seconds later. From any
        thread, at any time.
        """
        with self._telling:
            self._over = True
            self._hasten(END)

    def moved(self) -> None:
        """The time that is left is another now. From any thread, at any time; too late once the
        first signal was sent.
        """
        with self._telling:
            if self._left is not None and not self._over:
                seconds = self._left()
                self._limit = _limit_in(seconds)
                self._tell(MOVE, seconds)

    def let_go(self) -> None:
        """It is not this process's, but of the one that this was forked from."""
        peer, self._peer = self._peer, None
        self._process = None
        if peer is not None:
            peer.close()

    def __enter__(self) -> Leash:
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        with self._telling:
            if self._peer is not None:
                self._tell(DISARM)
                self._peer.close()
                self._peer = None
        if self._process is not None:
            # The command has ended, or was never begun.
            self._process.kill()
            self._process.wait()
        if self._killer >= 0:
            _remove_group(self._killer)

    # --- from the start to the end ----------------------------------------------------

    def _begin(
        self,
        left: Callable[[], float],
        grace: float,
        gently: bool,
        environment: Mapping[str, str],
    ) -> bool:
        """False if the hold is over already. A signal's handler does not come in between."""
        with self._telling:
            seconds = left()
            if self._begun:
                return True
            if self._over or seconds <= 0:
                return False
            self._left = left
            self._grace = grace
            self._limit = _limit_in(seconds)
            self._send(START, seconds, grace, gently, environment)
            return True

    def _finish(self, signals: _Signals) -> CommandResult:
        assert self._peer is not None
        while self._early or signals.wait(self._peer.fileno(), self._until):
            kind, value, by_deadline = self._early.pop(0) if self._early else self._hear()
            if kind == STARTED:
                self._command = value
            elif kind == UNSTARTED:
                unknown = NOT_FOUND if value == errno.ENOENT else NOT_EXECUTABLE
                return CommandResult(check_runnable(self._argv) or unknown, False)
            elif kind == DISARMED:
                continue
            elif kind == ENDED:
                return CommandResult(ENDED_BY_DEADLINE if by_deadline else value, bool(by_deadline))
            else:
                # Somebody has killed the leash, and with it the command.
                self._end_all()
                return CommandResult(128 + signal.SIGKILL, False)
        # Somebody has frozen it.
        self._end_all()
        return CommandResult(ENDED_BY_DEADLINE, True)

    def _until(self) -> float:
        """Somebody may have stopped the leash: whoever waits for it wakes it."""
        self._wake()
        return self._limit

    def _wake(self) -> None:
        assert self._process is not None
        for one in (self._process.pid, self._inner):
            with suppress(ProcessLookupError, PermissionError):
                os.kill(one, signal.SIGCONT)

    def _interrupt(self, signals: _Signals) -> None:
        """As Ctrl-C at a terminal. A second Ctrl-C, or the deadline, ends the grace time."""
        try:
            with self._telling:
                self._hasten(INTERRUPT)
            self._finish(signals)
        except BaseException:  # pylint: disable=broad-except
            # The exception being raised tells the caller enough.
            with self._telling:
                self._grace = 0.0
                self._hasten(KILL)
            self._finish(_Signals())

    def _end_all(self) -> None:
        """What the leash does, as well as it can be done from here: of what has lost its parent
        only the command's own session is found, and its control group where it has one.
        """
        assert self._process is not None
        self._kill_group()
        give_up_at = boot_time() + REAPING
        while (found := _family(self._process.pid, self._command)) and (boot_time() < give_up_at):
            for one in found:
                _kill(one)
        for one in _family(self._process.pid, self._command, leashes=True):
            _kill(one)
        self._kill_group()

    def _kill_group(self) -> None:
        if self._killer >= 0:
            with suppress(OSError):
                os.write(self._killer, b"1")

    # --- packets ----------------------------------------------------------------------

    def _hasten(self, kind: int) -> None:
        """With what ends the command before its deadline."""
        self._limit = min(self._limit, boot_time() + self._grace + LATE)
        self._tell(kind)

    def _send(
        self,
        kind: int,
        seconds: float,
        grace: float,
        gently: bool,
        environment: Mapping[str, str],
        after: int = 0,
        share: float = 0.0,
        stdin: Optional[int] = None,
        awake: bool = False,
    ) -> None:
        """With the standard streams."""
        assert self._peer is not None
        streams: List[Union[int, IO[Any]]] = list(range(STREAMS))
        stdin = self._stdin if stdin is None else stdin
        if stdin is not None:
            streams[0] = stdin
        if self._stdout is not None:
            streams[1] = self._stdout
        numbers = [one if isinstance(one, int) else one.fileno() for one in streams]
        opened = [at for at in range(STREAMS) if _is_open(numbers[at])]
        bits = sum(1 << at for at in opened)
        packet = _told(kind, seconds, grace, bits, gently, after, share, awake)
        added = b"".join(
            os.fsencode(f"{name}={value}") + b"\0" for name, value in environment.items()
        )
        socket.send_fds(self._peer, [packet, added], [numbers[at] for at in opened])

    def _tell(self, kind: int, seconds: float = 0.0) -> None:
        if self._peer is not None:
            # A leash that is gone is seen by who waits for it.
            with suppress(BrokenPipeError, ConnectionResetError):
                self._peer.send(_told(kind, seconds))

    def _hear(self) -> Tuple[int, int, int]:
        """A kind of -1: nothing will come any more."""
        assert self._peer is not None
        try:
            packet, given, _, _ = socket.recv_fds(self._peer, SAID.size, 1, socket.MSG_CMSG_CLOEXEC)
        except ConnectionResetError:
            packet, given = b"", []
        if given:
            self._killer = given[0]
        if not packet:
            return -1, 0, 0
        kind, value, by_deadline = SAID.unpack(packet)
        return kind, value, by_deadline


_started: "WeakSet[Leash]" = WeakSet()


def _leave_to_parent() -> None:
    """In a child that was forked: as long as it has the socket, no leash hears of a death."""
    for leash in _started:
        leash.let_go()


os.register_at_fork(after_in_child=_leave_to_parent)


def _told(
    kind: int,
    seconds: float = 0.0,
    grace: float = 0.0,
    opened: int = 0,
    gently: bool = False,
    after: int = 0,
    share: float = 0.0,
    awake: bool = False,
) -> bytes:
    deadline = round(boot_time() * 1e9) + round(seconds * 1e9)
    times = round(grace * 1e9), int(gently), after, round(share * 1e9), int(awake)
    return TOLD.pack(kind, opened, deadline, *times)


def _limit_in(seconds: float) -> float:
    """Of boot_time(): when the leash has told the end, unless it is stopped."""
    return boot_time() + seconds - MARGIN + LATE


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def _family(leash: int, command: int, leashes: bool = False) -> List[int]:
    """What runs or is stopped below the leash, or in the command's session; the leash's own
    processes only if asked for.
    """
    rows = {}
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            with suppress(OSError):
                with open(f"/proc/{entry.name}/stat", "rb") as file:
                    before, _, behind = file.read().rpartition(b")")
                state, parent, _, session = behind.split()[:4]
                own = before.endswith(b"(" + NAME.encode()[:15])
                rows[int(entry.name)] = (state, int(parent), int(session), own)
    below, more = {leash}, True
    while more:
        found = {pid for pid, (_, parent, _, _) in rows.items() if parent in below} - below
        below, more = below | found, bool(found)
    return [
        pid
        for pid, (state, _, session, own) in rows.items()
        if state != b"Z" and (pid in below or session == command > 0) and (leashes or not own)
    ]


def _remove_group(killer: int) -> None:
    """The folder of that descriptor: the leash removes it, unless somebody has killed it."""
    with suppress(OSError):
        os.rmdir(os.path.dirname(os.readlink(f"/proc/self/fd/{killer}")))
    os.close(killer)


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGKILL)


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

    def wait(self, descriptor: int, until: Callable[[], float]) -> bool:
        """Whether it is readable by then. Raises what the handler of a signal raises. `until` may
        be another time at each call.
        """
        watched = [descriptor, *self._pipe[:1]]
        while True:
            self._handle()
            ready = _ready(watched, min(until(), boot_time() + LOOK))
            for wakeup in self._pipe[:1]:
                if wakeup in ready:
                    os.read(wakeup, 4096)
            if descriptor in ready:
                return True
            # Otherwise a signal has interrupted the wait, perhaps one that is not ours.
            if boot_time() >= until() and not self._came:
                return False

    def _note(self, number: int, frame: Optional[FrameType]) -> None:
        self._came.append(number)

    def _handle(self) -> None:
        while self._came:
            number = self._came.pop(0)
            self._handlers[number](number, None)


def _ready(watched: Sequence[int], until: float) -> List[int]:
    """Those that are readable, at the latest at that time (of boot_time())."""
    poll = select.poll()
    for descriptor in watched:
        poll.register(descriptor, select.POLLIN)
    return [found for found, _ in poll.poll(max(until - boot_time(), 0.0) * 1000)]
