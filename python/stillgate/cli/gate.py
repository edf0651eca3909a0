"""`stillgate gate`: prints the gate's Lua file, or the lines for haproxy.cfg that go with it."""

from __future__ import annotations

from typing import Any, Optional

import click

import stillgate.gate as files


@click.command()
@click.option("--config", "frontend", metavar="FRONTEND", help="Print that frontend's lines.")
@click.option(
    "--haproxy",
    "version",
    metavar="VERSION",
    default="2.6",
    show_default=True,
    help="The HAProxy that the lines are for, 2.2 or later.",
)
@click.option("--mode", type=click.Choice(files.MODES), default="http", show_default=True)
@click.option(
    "--state",
    "folder",
    metavar="FOLDER",
    default=files.FOLDER,
    show_default=True,
    help="The folder of the gate's state files, which survive a reload.",
)
@click.option(
    "--lua",
    "lua_file",
    metavar="FILE",
    default=files.LUA_FILE,
    show_default=True,
    help="Where the Lua file was put.",
)
@click.option(
    "--probe",
    metavar="PREFIX",
    default=files.PROBE,
    show_default=True,
    help="Prefix of the probe's socket; different for each HAProxy on a machine.",
)
@click.option(
    "--exempt",
    metavar="PATH",
    default=files.HEALTH_PATH,
    show_default=True,
    help="A path that is never held; '' holds everything. http mode only.",
)
@click.option(
    "--inspect-delay",
    metavar="SECONDS",
    type=click.IntRange(1, 86400),
    default=files.INSPECT_DELAY_S,
    show_default=True,
    help="tcp-request inspect-delay, longer than the longest hold. tcp mode only.",
)
@click.pass_context
def gate(context: click.Context, frontend: Optional[str], **options: Any) -> None:
    """Print the gate's Lua file, or the lines for haproxy.cfg.

    Without --config it is the Lua file, which holds requests inside HAProxy.
    """
    if frontend is None:
        _refuse_options_of_config(context)
        print(files.lua(), end="")
        return
    try:
        print(files.config(frontend, **options), end="")
    except ValueError as error:
        raise click.UsageError(str(error)) from error


def _refuse_options_of_config(context: click.Context) -> None:
    """The Lua file has no options: with one, the lines were meant."""
    typed = click.core.ParameterSource.COMMANDLINE
    if any(context.get_parameter_source(name) is typed for name in context.params):
        raise click.UsageError("these options need --config FRONTEND")
