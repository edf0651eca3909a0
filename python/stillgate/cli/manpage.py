"""Writes the man page from the commands themselves: python -m stillgate.cli.manpage."""

from __future__ import annotations

import inspect
from typing import List

import click

from stillgate.cli.main import cli
from stillgate.console.streams import put
from stillgate.options import OPTIONS

EXIT_STATUS = [
    ("0", "Done."),
    ("1", "An endpoint failed. After a suspend, all others were rolled back."),
    ("2", "Wrong usage or input. Nothing was sent."),
    ("3", "Refused by the check. Nothing was changed anywhere."),
    ("4", "A hold is already in effect."),
    ("5", "resume: the hold had ended before, and requests have passed. All is open. Told once."),
    ("10", "status --exit-code: something is held."),
    ("11", "status --exit-code: the state of something is unknown."),
    ("12", "status --exit-code: something is held, or answers 503, beyond its deadline."),
    ("124", "hold: the deadline ended COMMAND."),
    ("125", "hold: Stillgate failed or refused."),
    ("126, 127", "hold: COMMAND could not be run, or was not found. Nothing was held."),
    ("130", "Stopped. A suspend was rolled back."),
]
DESCRIPTION = [
    "Stillgate holds every request at every HAProxy of a fleet while you change the servers and "
    "their database, and then releases all of them. Clients see a slow answer and nothing else.",
    "A fleet is a name in the inventory (--fleet), or one --endpoint for each HAProxy. A hold is "
    "all or nothing: if one HAProxy cannot be held, none is. What is reported was read back. "
    "Whatever dies, a hold ends at its deadline (--max-hold).",
    "'stillgate status' says what is held, by whom, and until when; 'stillgate resume' ends your "
    "own hold, and can be repeated; 'stillgate extend' gives it more time.",
]
EXAMPLES = [
    ("stillgate check balanced --fleet production", "What would stop or endanger a hold."),
    (
        "stillgate rehearse balanced --fleet production --max-hold 15",
        "Watch the traffic, and say how many would wait, and how long a hold may be.",
    ),
    (
        "stillgate hold balanced --fleet production --max-hold 15 -- ./migrate",
        "Hold, run ./migrate, and release, however it ends.",
    ),
    (
        "stillgate hold balanced --fleet production --cutover green --wait-up --postgres "
        "--on-failure ./undo -- psql -1 -v ON_ERROR_STOP=1 -f migrate.sql",
        "A release: migrate, let the new servers serve, and undo what fails.",
    ),
    (
        "stillgate suspend balanced --endpoint /run/haproxy/admin.sock --reason 'migration 42'",
        "Hold by hand.",
    ),
    (
        "stillgate resume balanced --endpoint /run/haproxy/admin.sock",
        "End that hold. To repeat it does no harm.",
    ),
    (
        "stillgate resume balanced --fleet production --force --reason 'anna is asleep'",
        "End somebody else's hold before its deadline.",
    ),
    (
        "stillgate gate --patch /etc/haproxy/haproxy.cfg balanced",
        "Show the lines that put the gate into a configuration; --write writes them.",
    ),
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
    # Python 3.13 takes the indentation off a docstring, and those before do not.
    words = inspect.cleandoc(command.help or "")
    lines = [f".SS stillgate {escape(name)} {escape(usage)}", escape(words)]
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
        ".SH DESCRIPTION",
    ]
    for paragraph in DESCRIPTION:
        lines += [".PP", escape(paragraph)]
    lines += [".SH COMMANDS"]
    for name, command in sorted(cli.commands.items()):
        lines += _command(name, command)
    lines += _pairs("EXAMPLES", EXAMPLES)
    lines += _pairs("EXIT STATUS", EXIT_STATUS)
    lines += _pairs("ENVIRONMENT", ENVIRONMENT)
    files = "./stillgate.toml, ~/.config/stillgate/stillgate.toml, /etc/stillgate/stillgate.toml"
    # \\& keeps the leading dot from being read as a macro.
    lines += [".SH FILES", "\\&" + escape(files)]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    put(page(), end="")
