"""Stubs of the compiled module: what cpp/bindings exports. Times are seconds, timings milliseconds."""

from typing import Awaitable, Callable, Optional, Sequence

__version__: str

class Error:
    @property
    def code(self) -> str: ...
    @property
    def message(self) -> str: ...
    @property
    def haproxy(self) -> Optional[str]: ...
    @property
    def partial(self) -> Optional[str]: ...

class Timings:
    @property
    def connected_ms(self) -> Optional[float]: ...
    @property
    def sent_ms(self) -> Optional[float]: ...
    @property
    def answered_ms(self) -> Optional[float]: ...

class Outcome:
    @property
    def endpoint(self) -> str: ...
    @property
    def reply(self) -> Optional[str]: ...
    @property
    def error(self) -> Optional[Error]: ...
    @property
    def timings(self) -> Timings: ...
    @property
    def endpoint_name(self) -> str: ...

class Report:
    @property
    def exit_status(self) -> int: ...
    @property
    def json(self) -> str:
        """docs/schema.json, `report`."""

class Custody:
    """Has the hold of one suspend. It ends the hold on the calling thread, by its id; no signal ends
    that, and it raises nothing.
    """

    def stop(self) -> None:
        """Ends the suspend early, if it is under way. From any thread."""
    def end(self, at_deadline: bool, plain: bool, cutover: dict[str, object]) -> None:
        """Ends the hold, if there is one that has not been ended here. With `at_deadline` the event
        is `expired`; then, and with `plain`, nothing keeps it from its end. Behind that
        cutover, where an empty one is none: if it cannot be had, nothing is released.
        """
    def take_back(
        self, left: BaseException, tell: Callable[[Custody, BaseException], object]
    ) -> None:
        """Ends the hold behind the exception `left`; then `tell` says what is true, and is called
        again where a signal's exception ended it.
        """
    @property
    def suspended(self) -> Optional[Report]:
        """What came of the suspend; None if it has not come to an end."""
    @property
    def ended(self) -> Optional[Report]:
        """What was found at the end; None where it could not be tried: see `failure`."""
    @property
    def failure(self) -> str: ...

class Ending:
    """Between a `with` block and its keeper, a thread that makes the hold, keeps it and ends it."""

    def __init__(self, stop: Callable[[], object]) -> None:
        """`stop` ends a hold that is still being made."""
    @property
    def descriptor(self) -> int:
        """Readable once there is something to look at."""
    def keep(self) -> bool:
        """For the keeper: False where the block was left before there was anything to keep."""
    def made(self) -> None:
        """For the keeper: it is held."""
    def look(self) -> bool:
        """For the keeper: whether the block has been left."""
    def failed(self) -> bool:
        """For the keeper: whether the block raised, once it has been left."""
    def done(self) -> None:
        """For the keeper: nothing is held any more."""
    def wake(self) -> None:
        """Has the keeper look."""
    def tell(self, failed: bool = False) -> None:
        """Has the keeper end the hold, and does not wait for it. `failed`: the block raised."""
    def leave(self, failed: bool = False) -> None:
        """As `tell`. Returns when the keeper is done; no signal ends the waiting. In a child that was forked
        inside the block at once.
        """
    def abandon(self, left: BaseException, tell: Callable[[BaseException], object]) -> None:
        """As `leave`, of a block that was not entered because of the exception `left`; then `tell`
        says what is true, and is called again where a signal's exception ended it.
        """

class Block:
    """What ends a `with` block by `self.ending`, before any signal is looked at; then `self.left`
    is called, and raises what there is to raise.
    """

    ending: Ending
    def __init__(self) -> None: ...
    def __exit__(self, kind: object, error: object, trace: object) -> None: ...

class AsyncBlock:
    """The same for `async with`: `self.leaving` is awaited, and raises what there is to raise."""

    ending: Ending
    def __init__(self) -> None: ...
    def __aexit__(self, kind: object, error: object, trace: object) -> Awaitable[None]: ...

class Fleet:
    def __init__(self, endpoints: Sequence[str], **options: object) -> None: ...
    @property
    def endpoints(self) -> list[str]:
        """Canonical URLs, in input order."""
    def custody(self, **release: object) -> Custody:
        """Of a hold that this fleet will end, with these options of resume(); it makes no other call
        meanwhile.
        """
    def execute(self, command: str, payload: Optional[str] = None) -> list[Outcome]: ...
    # Options are those of the structs in fleet.hpp, by their names; what is not given has the
    # struct's default. TypeError for another name or type.
    def check(
        self,
        frontends: Sequence[str],
        *,
        on_line: Optional[Callable[[str], None]],
        **options: object,
    ) -> Report: ...
    def suspend(
        self,
        frontends: Sequence[str],
        *,
        custody: Custody,
        on_line: Optional[Callable[[str], None]],
        **options: object,
    ) -> Report: ...
    def resume(
        self,
        frontends: Sequence[str],
        *,
        on_line: Optional[Callable[[str], None]],
        **options: object,
    ) -> Report: ...
    def extend(
        self,
        frontends: Sequence[str],
        *,
        on_line: Optional[Callable[[str], None]],
        **options: object,
    ) -> Report: ...
    def cutover(self, **options: object) -> Report: ...
    def watch_cutovers(
        self,
        begins: Optional[Callable[[dict[str, object]], object]],
        ended: Optional[Callable[[], object]],
    ) -> None:
        """Each cutover from now on, also one before a release, calls `begins` right before its first
        change, with the id of its hold, the frontends, the seconds that are left of it (None: no
        deadline) and the seconds to retry; and `ended` when nothing of it is on its way any more.
        Whatever they raise is told as that of a destructor.
        """
    @property
    def cut(self) -> Optional[Report]: ...
    def status(self, frontends: Sequence[str]) -> Report: ...
    def look(self, frontends: Sequence[str]) -> Report:
        """A status over connections that stay open from look to look."""
    def stop(self) -> None:
        """Ends the running call, or the next one, early. From any thread."""
    def guard_descriptor(self) -> int:
        """Readable when the guard of the last hold has sent a line or has died; -1: no guard."""
    def renew_guard(self) -> Optional[Error]:
        """Starts another guard for the hold in effect, after the first one has died."""
    def progress(self) -> tuple[str, int, int, Optional[int]]:
        """Phase, endpoints connected, endpoints answered, requests in flight. From any thread."""

def parse_info(text: str) -> dict[str, str]:
    """Fields of `show info` by name; raises the input error class on a malformed text."""

def listen_depths_of(show_fd: str) -> dict[str, int]:
    """By frontend, from `show fd` of an HAProxy on this machine: how many connections may wait in
    the kernel; without what the kernel does not tell.
    """

def parse_stat(text: str) -> list[dict[str, str]]:
    """Rows of `show stat` (CSV) by column name; raises the input error class on a malformed text."""

def error_codes() -> list[str]: ...
def guard_program() -> str: ...
def state_directory() -> str: ...
def live_guards(hold_id: str) -> Optional[int]:
    """Of this machine, as far as anybody knows."""

def event_lines(text: bytes, frontends: Sequence[str], format: str) -> tuple[list[str], int]:
    """The events in `text`, one line each, that are of these frontends, or all; and how many lines
    are no events. In the format json a line stays as it is. Raises the input error class for
    another format than json, syslog and journald.
    """

def set_input_error(factory: Callable[[str, str, str], BaseException]) -> None:
    """The exception that wrong input raises: called with code, message, field."""
