"""Stubs of the compiled module: what cpp/bindings exports. Times are seconds, timings milliseconds."""

from typing import Callable, Optional, Sequence

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

class Report:
    @property
    def exit_status(self) -> int: ...
    @property
    def json(self) -> str:
        """docs/schema.json, `report`."""

class Fleet:
    def __init__(self, endpoints: Sequence[str], **options: object) -> None: ...
    @property
    def endpoints(self) -> list[str]:
        """Canonical URLs, in input order."""
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
    def status(self, frontends: Sequence[str]) -> Report: ...
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

def parse_stat(text: str) -> list[dict[str, str]]:
    """Rows of `show stat` (CSV) by column name; raises the input error class on a malformed text."""

def error_codes() -> list[str]: ...
def state_directory() -> str: ...
def event_lines(text: bytes, frontends: Sequence[str], format: str) -> tuple[list[str], int]:
    """The events in `text`, one line each, that are of these frontends, or all; and how many lines
    are no events. In the format json a line stays as it is. Raises the input error class for
    another format than json, syslog and journald.
    """

def set_input_error(factory: Callable[[str, str, str], BaseException]) -> None:
    """The exception that wrong input raises: called with code, message, field."""
