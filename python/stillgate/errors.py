"""The exceptions: one tree, with StillgateError at its root."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, List, Optional, Set, Tuple, Type

import stillgate._core as _core
from stillgate.results.printing import tamed

if TYPE_CHECKING:
    from stillgate.results.report import Report


__all__ = [
    "CheckRefused",
    "EndpointFailed",
    "HeldByOther",
    "HoldExpired",
    "InputError",
    "InventoryError",
    "ReportError",
    "StillHeld",
    "StillgateError",
    "TooLate",
]


class StillgateError(Exception):
    """The root of all exceptions of Stillgate.

    ::

        StillgateError
        |- InputError (also a ValueError)   wrong input; nothing was sent anywhere
        |  `- InventoryError                in an inventory file, with its line and column
        |- ReportError                      a call that failed; .report
        |  |- EndpointFailed                an endpoint failed (suspend: all rolled back)
        |  |  `- StillHeld                  a hold that should have ended, and could not be ended
        |  |- CheckRefused                  refused by the check; nothing was changed anywhere
        |  |- HeldByOther                   a hold is already in effect
        |  `- TooLate                       a resume whose hold had ended before
        `- HoldExpired                      the hold ended before the work inside it was done

    `code` is one of the codes of docs/errors.md, `message` ours, `haproxy` HAProxy's own words or
    None. `exit_status` is the command line's.
    """

    exit_status = 1

    def __init__(self, code: str, message: str, haproxy: Optional[str] = None) -> None:
        # As Python shows it to people; what programs look at stays as it came.
        words = f" (HAProxy: {haproxy})" if haproxy else ""
        super().__init__(tamed(f"{code}: {message}{words}"))
        self.code = code
        self.message = message
        self.haproxy = haproxy

    def __reduce__(self) -> Tuple[Any, ...]:
        """As it is, for a pool of processes: a constructor would not take what Exception keeps."""
        return _as_it_was, (type(self), self.args, dict(self.__dict__))


def _as_it_was(
    kind: Type[StillgateError], told: Tuple[Any, ...], state: Dict[str, Any]
) -> StillgateError:
    error = kind.__new__(kind, *told)
    error.__dict__.update(state)
    return error


class InputError(StillgateError, ValueError):
    """Wrong input, refused before anything was sent. `field` names what is wrong."""

    exit_status = 2

    def __init__(self, code: str, message: str, field: str = "") -> None:
        super().__init__(code, message)
        self.field = field


class InventoryError(InputError):
    """An inventory file that cannot be read or is wrong. `line` and `column` count from 1, and are
    None if there is no place, as for a missing file.
    """

    def __init__(
        self,
        message: str,
        file: str,
        line: Optional[int] = None,
        column: Optional[int] = None,
        field: str = "inventory",
    ) -> None:
        place = file + "".join(f":{number}" for number in (line, column) if number is not None)
        super().__init__("bad_inventory", f"{place}: {message}", field)
        self.file = file
        self.line = line
        self.column = column


class ReportError(StillgateError):
    """A call that failed; `report` has the state of each switch."""

    def __init__(self, report: Report) -> None:
        cause = report.first_error()
        super().__init__(
            cause.code if cause else "endpoint_failed",
            cause.message if cause else f"{report.action} failed",
            cause.haproxy if cause else None,
        )
        self.report = report


class EndpointFailed(ReportError):
    """An endpoint failed. After a suspend, all others were rolled back."""


class StillHeld(EndpointFailed):
    """A hold that should have ended and could not be ended: the suspend was stopped or failed
    inside Stillgate, or the end of `suspended()` failed. The message says what is held or may be,
    where and until when, and the command that ends it; `report` has the state of each switch, and
    `holds`.

    An exception that is on its way, as that of Ctrl-C or a cancellation, stays what it is, and has
    this one as its cause: `StillHeld.of(error)` finds it.
    """

    @staticmethod
    def of(error: Optional[BaseException]) -> Optional[StillHeld]:
        """What is still held after the call that raised this exception: itself, or what it was
        raised from or during.
        """
        ahead: List[Optional[BaseException]] = [error]
        seen: Set[int] = set()
        while ahead:
            one = ahead.pop(0)
            if isinstance(one, StillHeld):
                return one
            if one is not None and id(one) not in seen:
                seen.add(id(one))
                ahead += [one.__cause__, one.__context__]
        return None


class CheckRefused(ReportError):
    """The check refused; nothing was changed anywhere."""

    exit_status = 3


class HeldByOther(ReportError):
    """A hold is in effect on one of these frontends; `report.holds` says whose."""

    exit_status = 4


class TooLate(ReportError):
    """A resume whose hold had ended before: at its deadline, by somebody else, by hand. All is
    open, and requests met the work half done. `switch.ended` in `report.switches` says how and
    when. It is raised once: the next resume is well.
    """

    exit_status = 5


class HoldExpired(StillgateError):
    """The deadline, or somebody else's resume, came before the work inside the hold was done, and
    traffic flows again: from then on requests met the work half done.
    """

    def __init__(
        self,
        max_hold: float,
        unguarded: bool = False,
        by_others: bool = False,
        late: Optional[TooLate] = None,
    ) -> None:
        if late is not None and not by_others:
            words = f"the hold was over before the work inside it was done; {late.message}"
            super().__init__("hold_expired", words)
            return
        if by_others:
            how = "was ended early, by somebody else's resume or by hand"
        elif unguarded:
            how = "was ended early, because its guard died and no other could be started"
        else:
            how = f"ended at its deadline after {max_hold:g} s"
        super().__init__("hold_expired", f"the hold {how}, before the work inside it was done")


_BY_STATUS = {
    error.exit_status: error for error in (EndpointFailed, CheckRefused, HeldByOther, TooLate)
}


def error_of(report: Report) -> ReportError:
    """The exception for a report that is not ok."""
    if report.error is not None and report.error.code == "still_held":
        return StillHeld(report)
    return _BY_STATUS.get(report.exit_status, EndpointFailed)(report)


_core.set_input_error(InputError)
