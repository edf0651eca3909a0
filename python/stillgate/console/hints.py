"""Completes the commands in messages with the options by which this one was called: what is shown
can be typed.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import replace
from typing import List, Optional, Sequence

from stillgate.results.outcome import Error
from stillgate.results.report import Report

# 'stillgate resume NAME ...', but no verb alone, which is spoken of, and none that has no fleet.
_COMMAND = re.compile(
    r"'(stillgate (?:check|suspend|resume|extend|status|cutover|hold) [^']+?)( --limit N)?'"
)
MOST = 10  # endpoints that are written out


def options_of_call(
    fleet: Optional[str], endpoints: Sequence[str], inventory: Optional[str]
) -> List[str]:
    """As they were given."""
    there = [] if fleet is None else ["-f", fleet]
    if len(endpoints) > MOST:
        there += ["-e", endpoints[0], "-e", "..."]
    else:
        for one in endpoints:
            there += ["-e", one]
    return there + ([] if inventory is None else ["--inventory", inventory])


def hinted(words: str, there: Sequence[str]) -> str:
    """The message, with commands that can be typed as they are."""
    if not there:
        return words
    told = shlex.join(there).replace("'", '"')
    return _COMMAND.sub(lambda found: f"'{found[1]}{found[2] or ''} {told}'", words)


def hinted_report(report: Report, there: Sequence[str]) -> Report:
    """For people; `document` stays as it is."""
    switches = [
        replace(
            one,
            error=_hinted_error(one.error, there),
            findings=[
                replace(finding, message=hinted(finding.message, there)) for finding in one.findings
            ],
        )
        for one in report.switches
    ]
    return replace(report, switches=switches, error=_hinted_error(report.error, there))


def _hinted_error(error: Optional[Error], there: Sequence[str]) -> Optional[Error]:
    return error and replace(error, message=hinted(error.message, there))
