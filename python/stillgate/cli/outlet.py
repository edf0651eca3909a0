"""How a call without a report comes out: a sentence for people, a document for programs."""

from __future__ import annotations

import sys
from typing import List, Optional

import click

from stillgate.errors import InputError, StillgateError
from stillgate.serialize import failure_document, to_json

VERBS = ("exec", "check", "suspend", "resume")


def show_failure(action: str, error: StillgateError, as_json: bool) -> int:
    """Returns the exit status."""
    if as_json:
        print(to_json(failure_document(action, error)))
    else:
        print(f"stillgate: {error.message}", file=sys.stderr)
    return error.exit_status


def json_verb(arguments: List[str]) -> Optional[str]:
    """The verb whose caller waits for a JSON document, looked up in the bare arguments: wrong usage
    ends the parsing before any option is known.
    """
    before = arguments[: arguments.index("--")] if "--" in arguments else arguments
    if "--json" not in before:
        return None
    return before[0] if before[0] in VERBS else None


def show_usage(error: click.ClickException, verb: Optional[str]) -> int:
    """Wrong usage, for people always; returns the exit status."""
    error.show()
    if verb is not None:
        parameter = getattr(error, "param", None)
        field = getattr(parameter, "name", None) or getattr(error, "option_name", None) or ""
        wrong = InputError("bad_option", error.format_message(), field.lstrip("-"))
        print(to_json(failure_document(verb, wrong)))
    return error.exit_code


def show_stopped(verb: Optional[str]) -> None:
    """Ctrl-C, SIGTERM or SIGHUP ended the call."""
    print("stopped", file=sys.stderr)
    if verb is not None:
        print(to_json(failure_document(verb, StillgateError("cancelled", "stopped by a signal"))))
