"""`stillgate gate`: prints the gate's Lua file or its lines for haproxy.cfg, or puts them there."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, Optional, Tuple

import click

import stillgate.gate as files
from stillgate.console.streams import put


@click.command()
@click.option("--config", "frontend", metavar="FRONTEND", help="Print that frontend's lines.")
@click.option(
    "--patch",
    "patched",
    metavar="FILE",
    type=click.Path(),
    multiple=True,
    help="Show the change that puts the lines into this haproxy.cfg, for each FRONTEND, or the "
    "only one. Repeatable, in HAProxy's order.",
)
@click.option("--write", is_flag=True, help="With --patch: write it, and keep the old file.")
@click.option(
    "--haproxy",
    "version",
    metavar="VERSION|PROGRAM",
    default="2.6",
    show_default=True,
    help="The HAProxy that the lines are for, 2.2 or later. With --patch its program, by default "
    "the one in PATH.",
)
@click.option(
    "--mode",
    type=click.Choice(files.MODES),
    default="http",
    show_default=True,
    help="With --patch the file's.",
)
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
@click.argument("frontends", metavar="[FRONTEND]...", nargs=-1)
@click.pass_context
def gate(
    context: click.Context,
    frontend: Optional[str],
    patched: Tuple[str, ...],
    write: bool,
    frontends: Tuple[str, ...],
    **options: Any,
) -> int:
    """Print the gate's Lua file or its lines, or patch haproxy.cfg.

    Without --config and --patch it is the Lua file, which holds requests inside HAProxy. With
    --patch, what is in the file already stays, unless an option names another value.
    """
    if patched:
        return _patch(context, patched, frontends, write)
    if frontends or write:
        raise click.UsageError("FRONTEND and --write need --patch FILE")
    if frontend is None:
        _refuse_options_of_config(context)
        put(files.lua(), end="")
        return 0
    if "/" in frontend or Path(frontend).is_file():
        raise click.UsageError(f"--config takes a frontend's name; for a file: --patch {frontend}")
    try:
        put(files.config(frontend, **options), end="")
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    return 0


def _patch(
    context: click.Context, patched: Tuple[str, ...], frontends: Tuple[str, ...], write: bool
) -> int:
    from stillgate.cli.patch import patch_files

    if _typed(context, "frontend") or _typed(context, "mode"):
        raise click.UsageError("--config and --mode do not go with --patch")
    wanted = ("folder", "lua_file", "probe", "exempt", "inspect_delay")
    options: Dict[str, Any] = {
        name: context.params[name] for name in wanted if _typed(context, name)
    }
    program = context.params["version"] if _typed(context, "version") else None
    return patch_files(patched, program, write, frontends=frontends, **options)


def _typed(context: click.Context, name: str) -> bool:
    return context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE


def _refuse_options_of_config(context: click.Context) -> None:
    """The Lua file has no options: with one, the lines were meant."""
    if any(_typed(context, name) for name in context.params if name != "frontends"):
        raise click.UsageError("these options need --config FRONTEND or --patch FILE")
