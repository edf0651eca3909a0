"""The gate: the Lua file that HAProxy loads, and the lines that go with it in haproxy.cfg."""

from __future__ import annotations

import re
from pathlib import Path
from typing import List, NamedTuple, Optional, Tuple

FOLDER = "/var/lib/haproxy/stillgate"
LUA_SOURCE = Path(__file__).parent / "gate.lua"
LUA_FILE = "/etc/haproxy/stillgate-gate.lua"
PROBE = "stillgate"
HEALTH_PATH = "/health"
INSPECT_DELAY_S = 60
MODES = ("http", "tcp")

_NAME = re.compile(r"[A-Za-z0-9_.:-]+")
# A word of haproxy.cfg that needs no quoting, and contains no syntax.
_WORD = re.compile(r"[A-Za-z0-9_.:/@%+=-]+")
_VARIABLES = (2, 4)  # from 2.4 on the switch is a process variable
_LUA_BOOLEANS = (3, 1, 1)  # from then on HAProxy warns where Lua's booleans are not settled
_PROBE_BY_PATH = (3, 1)  # 3.1.0 cannot connect to an abstract socket
# Where `option abortonclose` has a held HTTP/1 client that left noticed; from, to before. As the
# finding given_up_unnoticed has it: docs/haproxy-versions.md.
_NOTICING = (((2, 4, 0), (2, 5, 0)), ((2, 6, 0), (2, 6, 13)), ((3, 2, 0), (99, 0, 0)))
_BROKEN_PER_THREAD = ((2, 4), (2, 9))  # one Lua context for all actions of a request
_ABORTING = ((2, 4), (2, 8))  # seen with 2.6.12; assumed for the neighbouring branches
_WAKING = (2, 8)  # below, those that wait look for themselves, and all go on at once
_TCP = (2, 6)  # below, the first timer ends a wait in tcp mode
_MARKED, _EXEMPT = 2047, 2046  # priority classes; gate.lua knows them
_ABSTRACT_NAME = 100  # a unix address has 107 bytes
_PATH = 90  # HAProxy binds under a longer name, and renames


class Lines(NamedTuple):
    """What to add to haproxy.cfg, by section; comments among them."""

    global_: List[str]  #: of the section `global`
    defaults: List[str]  #: of the `defaults` in effect for the frontend
    frontend: List[str]  #: of the frontend, before all other rules
    backend: List[str]  #: a section of its own, its first line included; empty from 2.4 on
    backends: List[str]  #: of each backend and `listen` that has the same `defaults`


def lua() -> str:
    """The Lua file, one for all versions."""
    return LUA_SOURCE.read_text(encoding="utf-8")


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
    if found.defaults:
        text += ["defaults", *_indented(found.defaults), ""]
    text += [f"frontend {frontend}", *_indented(found.frontend)]
    if found.backend:
        text += ["", found.backend[0], *_indented(found.backend[1:])]
    if found.backends:
        text += ["", "# in each backend and listen that has these defaults:"]
        text += [f"#     {line}" for line in found.backends]
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
    if mode == "tcp" and release[:2] < _TCP:
        raise ValueError("HAProxy below 2.6 cannot hold in tcp mode")
    for word in (folder, lua_file, probe, *([exempt] if exempt else [])):
        if not _WORD.fullmatch(word):
            raise ValueError(f"{word!r} has a character that is not allowed there in haproxy.cfg")
    if len(f"{probe}-{frontend}") > _ABSTRACT_NAME:
        raise ValueError(
            f"{probe}-{frontend} is too long for the name of a socket; use a shorter probe"
        )
    if release[:2] == _PROBE_BY_PATH and len(_probe_path(folder, frontend)) > _PATH:
        raise ValueError(f"{folder} is too long for the path of a socket; use a shorter state")
    if inspect_delay < 1:
        raise ValueError("inspect-delay: must be at least one second")
    frontend_lines = (
        _http_lines(frontend, exempt) if mode == "http" else _tcp_lines(frontend, inspect_delay)
    )
    noticing = mode == "http" and any(first <= release < end for first, end in _NOTICING)
    return Lines(
        _global_lines(release, folder, lua_file, probe),
        list(_ABORT) if noticing else [],
        _probe_lines(frontend, release) + frontend_lines,
        [] if release[:2] >= _VARIABLES else _table_lines(),
        list(_NO_ABORT) if noticing else [],
    )


def breaks_scripts_per_thread(version: str) -> bool:
    """Where the gate's Lua action breaks scripts by lua-load-per-thread (docs/haproxy-facts.md)."""
    return _BROKEN_PER_THREAD[0] <= _release(version)[:2] < _BROKEN_PER_THREAD[1]


def _release(version: str) -> Tuple[int, int, int]:
    """A patch number that is not said is 0: what every release of the branch takes."""
    found = re.match(r"(\d+)\.(\d+)(?:\.(\d+))?", version)
    release = (int(found[1]), int(found[2]), int(found[3] or 0)) if found else (0, 0, 0)
    if release < (2, 2, 0):
        raise ValueError(f"{version!r} is not a version of HAProxy, 2.2 or later")
    return release


# In the frontend it has HAProxy notice that a client has gone, in a backend it ends requests whose
# client has only closed its half; and HAProxy knows it in `defaults` and backends alone.
_ABORT = (
    "# drop a held request whose client has gone; not for the backends, see there",
    "option abortonclose",
)
_NO_ABORT = (
    "# or else a client that closes its half after its request gets 400, held or not",
    "no option abortonclose",
)


def _indented(found: List[str]) -> List[str]:
    return [f"    {line}" for line in found]


def _global_lines(
    release: Tuple[int, int, int], folder: str, lua_file: str, probe: str
) -> List[str]:
    found = [
        "# HAProxy's user must be able to write there, inside its chroot too",
        f"setenv STILLGATE_STATE {folder}",
        "# different for each HAProxy on one machine",
        f"setenv STILLGATE_PROBE {probe}",
    ]
    if release >= _LUA_BOOLEANS:
        found += [
            "# HAProxy's default, which it wants said; the gate works with either",
            "tune.lua.bool-sample-conversion pre-3.1-bug",
        ]
    if _BROKEN_PER_THREAD[0] <= release[:2] < _BROKEN_PER_THREAD[1]:
        found += [
            "# load your own scripts by lua-load, too: those by lua-load-per-thread fail in each",
            "# request that the gate has seen",
        ]
    return [*found, "# what `stillgate gate` prints", f"lua-load {lua_file}"]


def _probe_path(folder: str, frontend: str) -> str:
    return f"{folder}/{encode(frontend)}.probe"


def _guard(frontend: str) -> str:
    """While nothing is held, requests pass without Lua; a stopping process always runs Lua."""
    guard = f"{{ var(proc.stillgate_guard_{encode(frontend)}) -m int 1 }}"
    return f"{guard} !{{ stopping }} !{{ so_name stillgate }}"


def _probe_lines(frontend: str, release: Tuple[int, int, int]) -> List[str]:
    where = f"abns@${{STILLGATE_PROBE}}-{frontend}"
    if release[:2] == _PROBE_BY_PATH:
        where = "unix@" + _probe_path("${STILLGATE_STATE}", frontend)
    found = [
        "# `stillgate check` uses this bind to prove that these lines work",
        f'bind "{where}" name stillgate' + (" mode 666" if where.startswith("unix@") else ""),
    ]
    if _ABORTING[0] <= release[:2] < _ABORTING[1]:
        found += [
            "# with such a bind this HAProxy aborts at a reload by -sf only: reload it by",
            "# master-worker mode, or with `expose-fd listeners` and -x",
        ]
    if release[:2] < _WAKING:
        found += [
            "# add `nice 1024` to your own bind lines where this HAProxy has other frontends: when",
            "# very many are released, the others' requests go first then",
        ]
    return [
        *found,
        "# before all other rules; the first line marks each request, as a priority class needs no",
        "# memory, and the last one refuses those that the gate has not let go, even if Lua fails;",
        "# counters (track-sc, sc-inc) belong above: below, all who waited count at one moment",
    ]


def _http_lines(frontend: str, exempt: Optional[str]) -> List[str]:
    exemption: List[str] = []
    if exempt:
        exemption = [
            "# never held: health checks of a balancer in front of this HAProxy; adapt, or remove",
            f"acl stillgate_exempt path {exempt}",
            f"http-request set-priority-class int({_EXEMPT}) "
            f"if {{ prio_class {_MARKED} }} stillgate_exempt",
        ]
    return [
        f"http-request set-priority-class int({_MARKED}) unless {_guard(frontend)}",
        *exemption,
        f"http-request lua.stillgate if {{ prio_class {_EXEMPT}:{_MARKED} }}",
        "http-request deny deny_status 503 hdr Retry-After 1 " f"if {{ prio_class {_MARKED} }}",
    ]


def _tcp_lines(frontend: str, inspect_delay: int) -> List[str]:
    marked = f"{{ prio_class {_MARKED} }}"
    return [
        "# no connection is held longer: keep it above the longest hold; HAProxy takes the first",
        "# inspect-delay of all, in `defaults` or above: let that be none of yours",
        f"tcp-request inspect-delay {inspect_delay}s",
        f"tcp-request content set-priority-class int({_MARKED}) unless {_guard(frontend)}",
        f"tcp-request content lua.stillgate_tcp if {marked}",
        f"tcp-request content reject if {marked}",
    ]


def _table_lines() -> List[str]:
    return [
        "backend stillgate",
        "# the switch: HAProxy below 2.4 has no process variables",
        "stick-table type string len 8000 size 100 store gpt0",
    ]
