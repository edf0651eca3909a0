"""`stillgate report`: how a hold went, for those who were not there."""

from __future__ import annotations

import shutil
import sys
from typing import List, Optional

import click

from stillgate.cli.outcome import show_failure
from stillgate.console.documents import report_of_hold_document, to_json
from stillgate.console.live_drawing import Signs
from stillgate.console.report_drawing import report_html, report_svg, report_text
from stillgate.console.streams import put, say
from stillgate.errors import InputError, StillgateError
from stillgate.files import write_new
from stillgate.hold_report import report_of
from stillgate.measured import read
from stillgate.past_holds import fold, read_events
from stillgate.results.hold import PastHold

WIDTH = 100


@click.command()
@click.argument("hold", metavar="[ID]", required=False)
@click.option("--html", metavar="FILE", help="Write one HTML file, with all that it needs in it.")
@click.option("--svg", metavar="FILE", help="Write the picture and no more.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document on standard output.")
def report(hold: Optional[str], html: Optional[str], svg: Optional[str], as_json: bool) -> int:
    """Show how a hold went: who waited, how long, what leaked.

    ID is a hold's, or the beginning of one; without it, the latest. Reads the history of this
    machine, and contacts no HAProxy.
    """
    try:
        found = _find(hold, fold(read_events().events))
        told = report_of(found, read(found.id))
        for file, text in ((html, report_html), (svg, report_svg)):
            if file is not None:
                write_new(file, text(told))
    except OSError as error:
        words = f"report: {error.filename}: {error.strerror}"
        return show_failure("report", StillgateError("journal_failed", words), as_json)
    except StillgateError as error:
        return show_failure("report", error, as_json)
    if as_json:
        put(to_json(report_of_hold_document(told)))
    elif html is None and svg is None:
        at_terminal = sys.stdout.isatty()
        columns = shutil.get_terminal_size().columns if at_terminal else WIDTH
        say(report_text(told, columns, Signs(sys.stdout.encoding)))
    return 0


def _find(hold: Optional[str], holds: List[PastHold]) -> PastHold:
    if not holds:
        raise InputError("bad_option", "report: the history of this machine has no hold", "hold")
    if hold is None:
        return holds[0]
    found = [one for one in holds if one.id.startswith(hold)]
    if len(found) != 1:
        many = "several holds begin with" if found else "the history of this machine has no hold"
        words = f"report: {many} '{hold}'; 'stillgate history --json' has their ids"
        raise InputError("bad_option", words, "hold")
    return found[0]
