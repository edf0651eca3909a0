"""What is still held after a hold was to be ended: the exception that says where, until when, and
what ends it.
"""

from __future__ import annotations

import shlex
from dataclasses import replace
from typing import Optional, Sequence

import stillgate._core as _core
from stillgate.errors import StillHeld
from stillgate.results.from_core import to_report
from stillgate.results.outcome import Error
from stillgate.results.report import Report, Switch
from stillgate.tables import until_words


def held_still(suspended: Report, ended: Optional[Report], why: str) -> Optional[StillHeld]:
    """Of a hold that was to be ended: `suspended` made it, `ended` is what was found at its end.
    None where nothing of it is left.
    """
    found = suspended if ended is None else ended
    left = [one for one in found.switches if one.verdict in ("held", "unknown")]
    if not left or not suspended.holds:
        return None
    error = Error("still_held", _held_words(suspended, left, why), None, None)
    told = {"action": "suspend", "ok": False, "holds": suspended.document["holds"]}
    return StillHeld(
        replace(
            found,
            action="suspend",
            ok=False,
            exit_status=StillHeld.exit_status,
            holds=suspended.holds,
            error=error,
            document={**found.document, **told, "error": vars(error)},
        )
    )


def held_behind(custody: _core.Custody) -> Optional[StillHeld]:
    """What is left of the hold that was in custody."""
    if custody.suspended is None:
        return None
    suspended = to_report(custody.suspended)
    ended = None if custody.ended is None else to_report(custody.ended)
    cause = (ended or suspended).first_error()
    return held_still(suspended, ended, custody.failure or (str(cause) if cause else "stopped"))


def tell_held(left: BaseException, held: Optional[StillHeld]) -> None:
    """Has the exception `left`, which is on its way, say what is still held."""
    if held is not None and StillHeld.of(left) is None:
        held.__cause__, left.__cause__ = left.__cause__, held


def _held_words(suspended: Report, left: Sequence[Switch], why: str) -> str:
    hold = suspended.holds[0]
    names = list(dict.fromkeys(one.frontend for one in left))
    urls = list(dict.fromkeys(one.endpoint for one in left))
    sure = "is" if all(one.verdict == "held" for one in left) else "is, or may be,"
    command = ["stillgate", "resume", *names, "--hold", hold.id]
    for url in urls:
        command += ["-e", url]
    return (
        f"the hold could not be ended ({why}); {', '.join(names)} {sure} still held at "
        f"{', '.join(urls)} {until_words(hold, suspended.switches)}; "
        f"to end it: {shlex.join(command)}"
    )
