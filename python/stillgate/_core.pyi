"""Stubs of the compiled module: what cpp/bindings exports. Times are seconds, timings milliseconds."""

from typing import Callable, Optional, Sequence

from stillgate.results.hold import Event

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

class Finding:
    @property
    def code(self) -> str: ...
    @property
    def level(self) -> str: ...
    @property
    def message(self) -> str: ...

class GateCounters:
    @property
    def most_waiting(self) -> int: ...
    @property
    def held(self) -> int: ...
    @property
    def released(self) -> int: ...
    @property
    def given_up(self) -> int: ...
    @property
    def rejected(self) -> int: ...
    @property
    def longest_wait_ms(self) -> float: ...

class Switch:
    @property
    def endpoint(self) -> str: ...
    @property
    def frontend(self) -> str: ...
    @property
    def hold_id(self) -> Optional[str]: ...
    @property
    def verdict(self) -> str: ...
    @property
    def method(self) -> Optional[str]: ...
    @property
    def lease(self) -> Optional[str]: ...
    @property
    def limit_before(self) -> Optional[int]: ...
    @property
    def limit_now(self) -> Optional[int]: ...
    @property
    def waiting(self) -> Optional[int]: ...
    @property
    def gate(self) -> Optional[GateCounters]: ...
    @property
    def in_flight(self) -> Optional[int]: ...
    @property
    def leaked(self) -> Optional[int]: ...
    @property
    def version(self) -> Optional[str]: ...
    @property
    def rtt_ms(self) -> Optional[float]: ...
    @property
    def findings(self) -> list[Finding]: ...
    @property
    def error(self) -> Optional[Error]: ...

class Hold:
    @property
    def id(self) -> str: ...
    @property
    def owner(self) -> str: ...
    @property
    def reason(self) -> str: ...
    @property
    def frontends(self) -> list[str]: ...
    @property
    def started_at(self) -> float:
        """Seconds since the epoch."""
    @property
    def deadline(self) -> Optional[float]: ...
    @property
    def max_hold_s(self) -> Optional[float]: ...

class Report:
    @property
    def action(self) -> str: ...
    @property
    def ok(self) -> bool: ...
    @property
    def exit_status(self) -> int: ...
    @property
    def holds(self) -> list[Hold]: ...
    @property
    def switches(self) -> list[Switch]: ...
    @property
    def commit_window_ms(self) -> Optional[float]: ...
    @property
    def skew_ms(self) -> Optional[float]: ...
    @property
    def drained(self) -> Optional[bool]: ...
    @property
    def drain_ms(self) -> Optional[float]: ...
    @property
    def error(self) -> Optional[Error]: ...

class Fleet:
    def __init__(
        self,
        endpoints: Sequence[str],
        *,
        connect_timeout: float = ...,
        greeting_timeout: float = ...,
        reply_timeout: float = ...,
        max_reply_bytes: int = ...,
        on_event: str = ...,
        event_format: str = ...,
    ) -> None: ...
    @property
    def endpoints(self) -> list[str]:
        """Canonical URLs, in input order."""
    def execute(self, command: str, payload: Optional[str] = None) -> list[Outcome]: ...
    def check(
        self,
        frontends: Sequence[str],
        *,
        method: str,
        accept_unproven: bool,
        on_expiry: str,
        max_waiting: int,
        accept_hazard: bool,
        max_hold: float,
        drain_timeout: float,
        on_line: Optional[Callable[[str], None]],
    ) -> Report: ...
    def suspend(
        self,
        frontends: Sequence[str],
        *,
        method: str,
        accept_unproven: bool,
        on_expiry: str,
        max_waiting: int,
        no_lease: bool,
        accept_hazard: bool,
        max_hold: float,
        drain_timeout: float,
        owner: str,
        reason: str,
        on_line: Optional[Callable[[str], None]],
    ) -> Report: ...
    def resume(
        self,
        frontends: Sequence[str],
        *,
        ramp: float,
        limit: Optional[int],
        wait_up: bool,
        accept_hazard: bool,
        retry_for: float,
        hold: str,
        owner: str,
        force: bool,
        reason: str,
        at_deadline: bool,
        on_line: Optional[Callable[[str], None]],
    ) -> Report: ...
    def extend(
        self,
        frontends: Sequence[str],
        *,
        seconds: float,
        hold: str,
        owner: str,
        force: bool,
        reason: str,
        on_line: Optional[Callable[[str], None]],
    ) -> Report: ...
    def status(self, frontends: Sequence[str]) -> Report: ...
    def stop(self) -> None:
        """Ends the call under way, or the next one, early. From any thread."""
    def guard_descriptor(self) -> int:
        """Readable once the guard of the last hold says something or has died; -1: there is none."""
    def renew_guard(self) -> Optional[Error]:
        """Another guard for the hold in effect, after the first one's death."""
    def progress(self) -> tuple[str, int, int, Optional[int]]:
        """Phase, endpoints connected, endpoints answered, requests in flight. From any thread."""

def parse_info(text: str) -> dict[str, str]:
    """Fields of `show info` by name; raises the input error class on a malformed text."""

def parse_stat(text: str) -> list[dict[str, str]]:
    """Rows of `show stat` (CSV) by column name; raises the input error class on a malformed text."""

def error_codes() -> list[str]: ...
def state_directory() -> str: ...
def format_event(event: Event, format: str) -> str:
    """As json, syslog or journald; raises the input error class for another kind or format."""

def set_input_error(factory: Callable[[str, str, str], BaseException]) -> None:
    """The exception that wrong input raises: called with code, message, field."""
