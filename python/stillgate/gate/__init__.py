"""The gate: the Lua file that HAProxy loads, and the lines that go with it in haproxy.cfg."""

from __future__ import annotations

import re
from pathlib import Path
from typing import List, NamedTuple, Optional, Tuple

FOLDER = "/var/lib/haproxy/stillgate"
LUA_FILE = "/etc/haproxy/stillgate-gate.lua"
PROBE = "stillgate"
HEALTH_PATH = "/health"
INSPECT_DELAY_S = 60
MODES = ("http", "tcp")

_NAME = re.compile(r"[A-Za-z0-9_.:-]+")
# A word of haproxy.cfg that needs no quoting, and contains no syntax.
_WORD = re.compile(r"[A-Za-z0-9_.:/@%+=-]+")
_VARIABLES = (2, 4)  # from 2.4 on the switch is a process variable
_LUA_BOOLEANS = (3, 1)  # from 3.1 on HAProxy needs a setting for booleans in Lua
_ABORTING = ((2, 4), (2, 8))  # seen with 2.6.12; assumed for the neighbouring branches
_TCP = (2, 6)  # below, the first timer ends a wait in tcp mode
_ABSTRACT_NAME = 100  # a unix address has 107 bytes


class Lines(NamedTuple):
    """What to add to haproxy.cfg, by section; comments among them."""

    global_: List[str]  #: of the section `global`
    defaults: List[str]  #: of the `defaults` in effect for the frontend
    frontend: List[str]  #: of the frontend, before all other rules
    backend: List[str]  #: a section of its own, its first line included; empty from 2.4 on


def lua() -> str:
    """The Lua file, one for all versions."""
    return (Path(__file__).parent / "gate.lua").read_text(encoding="utf-8")


def encode(frontend: str) -> str:
    """The frontend's name as used in names of variables and files."""
    return re.sub("[^A-Za-z0-9]", lambda found: f"_{ord(found[0]):02x}", frontend)


def config(
    frontend: str,
    *,
    version: str = "2.6",
    mode: str = "http",
    folder: str = FOLDER,
    lua_file: str = LUA_FILE,
    probe: str = PROBE,
    exempt: Optional[str] = HEALTH_PATH,
    inspect_delay: int = INSPECT_DELAY_S,
) -> str:
    """The lines for haproxy.cfg, as text to be pasted section by section; options as of lines().

    ValueError if haproxy.cfg cannot have one of them.
    """
    found = lines(
        frontend,
        version=version,
        mode=mode,
        folder=folder,
        lua_file=lua_file,
        probe=probe,
        exempt=exempt,
        inspect_delay=inspect_delay,
    )
    text = [f"# Stillgate's gate for the {mode} frontend {frontend}, HAProxy {version}.", ""]
    text += ["global", *_indented(found.global_), ""]
    text += ["defaults", *_indented(found.defaults), ""]
    text += [f"frontend {frontend}", *_indented(found.frontend)]
    if found.backend:
        text += ["", found.backend[0], *_indented(found.backend[1:])]
    return "\n".join(text) + "\n"


def lines(
    frontend: str,
    *,
    version: str = "2.6",
    mode: str = "http",
    folder: str = FOLDER,
    lua_file: str = LUA_FILE,
    probe: str = PROBE,
    exempt: Optional[str] = HEALTH_PATH,
    inspect_delay: int = INSPECT_DELAY_S,
) -> Lines:
    """The lines of each section.

    `folder` is the state folder; `probe` the prefix of the proof's abstract socket (different for
    each HAProxy on a machine); `exempt` a path that is never held; `inspect_delay` the longest hold
    in tcp mode, in seconds.
    """
    release = _release(version)
    if not _NAME.fullmatch(frontend):
        raise ValueError(f"{frontend!r} is not the name of a frontend")
    if mode not in MODES:
        raise ValueError(f"mode {mode!r} must be http or tcp")
    if mode == "tcp" and release < _TCP:
        raise ValueError("HAProxy below 2.6 cannot hold in tcp mode")
    for word in (folder, lua_file, probe, *([exempt] if exempt else [])):
        if not _WORD.fullmatch(word):
            raise ValueError(f"{word!r} has a character that is not allowed there in haproxy.cfg")
    if len(f"{probe}-{frontend}") > _ABSTRACT_NAME:
        raise ValueError(
            f"{probe}-{frontend} is too long for the name of a socket; use a shorter probe"
        )
    if inspect_delay < 1:
        raise ValueError("inspect-delay: must be at least one second")
    frontend_lines = (
        _http_lines(frontend, exempt) if mode == "http" else _tcp_lines(frontend, inspect_delay)
    )
    return Lines(
        _global_lines(release, folder, lua_file, probe),
        ["# drop a held request whose client has gone", "option abortonclose"],
        _probe_lines(frontend, release) + frontend_lines,
        [] if release >= _VARIABLES else _table_lines(),
    )


def _release(version: str) -> Tuple[int, int]:
    found = re.match(r"(\d+)\.(\d+)", version)
    if not found or (release := (int(found[1]), int(found[2]))) < (2, 2):
        raise ValueError(f"{version!r} is not a version of HAProxy, 2.2 or later")
    return release


def _indented(found: List[str]) -> List[str]:
    return [f"    {line}" for line in found]


def _global_lines(release: Tuple[int, int], folder: str, lua_file: str, probe: str) -> List[str]:
    found = [
        "# HAProxy's user must be able to write there, inside its chroot too",
        f"setenv STILLGATE_STATE {folder}",
        "# different for each HAProxy on one machine",
        f"setenv STILLGATE_PROBE {probe}",
    ]
    if release >= _LUA_BOOLEANS:
        found.append("tune.lua.bool-sample-conversion normal")
    return [*found, "# what `stillgate gate` prints", f"lua-load {lua_file}"]


def _guard(frontend: str) -> str:
    """While nothing is held, requests pass without Lua; a stopping process always runs Lua."""
    guard = f"{{ var(proc.stillgate_guard_{encode(frontend)}) -m str open }}"
    return f"{guard} !{{ stopping }} !{{ so_name stillgate }}"


def _probe_lines(frontend: str, release: Tuple[int, int]) -> List[str]:
    found = [
        "# `stillgate check` uses this bind to prove that these lines work",
        f'bind "abns@${{STILLGATE_PROBE}}-{frontend}" name stillgate',
    ]
    if _ABORTING[0] <= release < _ABORTING[1]:
        found += [
            "# with such a bind this HAProxy aborts at a reload by -sf only: reload it by",
            "# master-worker mode, or with `expose-fd listeners` and -x",
        ]
    return [
        *found,
        "# before all other rules; the first line holds requests back even if Lua fails",
    ]


def _http_lines(frontend: str, exempt: Optional[str]) -> List[str]:
    found: List[str] = []
    exemption = ""
    if exempt:
        found += [
            "# never held: health checks of a balancer in front of this HAProxy; adapt, or remove",
            f"acl stillgate_exempt path {exempt}",
        ]
        exemption = "stillgate_exempt || "
    asked = "{ var(txn.stillgate) -m found }"
    return [
        *found,
        f"http-request set-var(txn.stillgate) str(wait) unless {exemption}{_guard(frontend)}",
        f"http-request lua.stillgate if {asked}",
        "http-request deny deny_status 503 hdr Retry-After 1 "
        f"if {asked} !{{ var(txn.stillgate) -m str go }}",
    ]


def _tcp_lines(frontend: str, inspect_delay: int) -> List[str]:
    asked = "{ var(sess.stillgate) -m found }"
    return [
        "# no connection is held longer: keep it above the longest hold",
        f"tcp-request inspect-delay {inspect_delay}s",
        f"tcp-request content set-var(sess.stillgate) str(wait) unless {_guard(frontend)}",
        f"tcp-request content lua.stillgate_tcp if {asked}",
        f"tcp-request content reject if {asked} !{{ var(sess.stillgate) -m str go }}",
    ]


def _table_lines() -> List[str]:
    return [
        "backend stillgate",
        "# the switch: HAProxy below 2.4 has no process variables",
        "stick-table type string len 8000 size 100 store gpt0",
    ]
