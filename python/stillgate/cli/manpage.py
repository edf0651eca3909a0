"""Writes the man page from the commands themselves: python -m stillgate.cli.manpage."""

from __future__ import annotations

from typing import List

import click

from stillgate.cli.main import cli
from stillgate.options import OPTIONS

EXIT_STATUS = [
    ("0", "Done."),
    ("1", "An endpoint failed. After a suspend, all others were rolled back."),
    ("2", "Wrong usage or input. Nothing was sent."),
    ("3", "Refused by the check. Nothing was changed anywhere."),
    ("4", "A hold is already in effect."),
    ("5", "resume: the hold had ended before, and requests have passed. All is open. Told once."),
    ("124", "hold: the deadline ended COMMAND."),
    ("125", "hold: Stillgate failed or refused."),
    ("126, 127", "hold: COMMAND could not be run, or was not found. Nothing was held."),
    ("130", "Stopped. A suspend was rolled back."),
]
ENVIRONMENT = [
    *((one.variable, f"In place of --{one.word}.") for one in OPTIONS if one.variable),
    ("STILLGATE_STATE_DIR", "The folder of the journal of holds."),
]


def escape(text: str) -> str:
    return text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq")


def _pairs(title: str, pairs: List[tuple[str, str]]) -> List[str]:
    lines = [f".SH {title}"]
    for name, text in pairs:
        lines += [".TP", f".B {escape(name)}", escape(text)]
    return lines


def _command(name: str, command: click.Command) -> List[str]:
    context = click.Context(command, info_name=name)
    usage = " ".join(command.collect_usage_pieces(context))
    lines = [f".SS stillgate {escape(name)} {escape(usage)}", escape(command.help or "")]
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None and parameter.name != "help":
            lines += [".TP", f".B {escape(record[0])}", escape(record[1])]
    return lines


def page() -> str:
    lines = [
        '.\\" Written by python -m stillgate.cli.manpage; not by hand.',
        ".TH STILLGATE 1",
        ".SH NAME",
        "stillgate \\- hold all requests at every HAProxy of a fleet, and release them",
        ".SH SYNOPSIS",
        ".B stillgate",
        ".I VERB",
        "[\\fIOPTION\\fR]... [\\fIARGUMENT\\fR]...",
        ".SH COMMANDS",
    ]
    for name, command in sorted(cli.commands.items()):
        lines += _command(name, command)
    lines += _pairs("EXIT STATUS", EXIT_STATUS)
    lines += _pairs("ENVIRONMENT", ENVIRONMENT)
    files = "./stillgate.toml, ~/.config/stillgate/stillgate.toml, /etc/stillgate/stillgate.toml"
    # \\& keeps the leading dot from being read as a macro.
    lines += [".SH FILES", "\\&" + escape(files)]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(page(), end="")
