"""Fabric's hosts as SSH endpoints: turns a Connection into a URL.

Fabric chooses user and port by its own precedence, so the URL names them. The engine reads the rest
of ssh_config itself, from the files that Fabric has read, because it knows keywords that Paramiko
does not.
"""

from __future__ import annotations

import os
from typing import Any, Iterable, List, Optional, Sequence, Set
from urllib.parse import quote

from fabric import Connection

from stillgate.errors import InputError
from stillgate.fabric.values import Socket

# Characters that the canonical form of an endpoint leaves unescaped.
_PLAIN = "-._~/:@,[]"
# Arguments of connect_kwargs that a URL cannot carry, and that change the login if left out.
_UNFIT = ("pkey", "sock")


def urls_of(connections: Sequence[Connection], socket: Socket, auth: Optional[str]) -> List[str]:
    """One endpoint per connection, in order: its socket, or `tcp://address:port` as seen from the
    host. `auth` is what the engine asks for on the terminal. Errors: InputError.
    """
    for one in connections:
        if not isinstance(socket, str) and one.original_host not in socket:
            raise _unfit(one, "setting stillgate.socket names no socket for this host", "socket")
    everybody = [hop for one in connections for hop in (one, *_gateways(one))]
    # Fabric copies the keys that ssh_config has for one host into its settings, and so uses them
    # first for all later hosts.
    strays = {key for one in everybody for key in one.ssh_config.get("identityfile", [])}
    return [
        _url(
            one,
            socket if isinstance(socket, str) else socket[one.original_host],
            auth,
            strays - _typed_keys(one),
        )
        for one in connections
    ]


def patience_of(connections: Iterable[Connection]) -> Optional[float]:
    """The longest of Fabric's connect timeouts; None if there is none."""
    told = [one.connect_timeout or one.connect_kwargs.get("timeout") for one in connections]
    return max((float(one) for one in told if one), default=None)


def _url(c: Connection, socket: str, auth: Optional[str], strays: Set[str]) -> str:
    for name in _UNFIT:
        if c.connect_kwargs.get(name) is not None:
            raise _unfit(c, f"connect_kwargs.{name} cannot be used; name a file, as key_filename")
    config = _config_of(c)
    query = []
    if socket.startswith("tcp://"):
        query.append(("tcp", socket.partition("://")[2]))
    gateways = _gateways(c)
    keys = [key for one in (c, *gateways) for key in _key_files(one)]
    if config != "none":
        keys = [key for key in keys if key not in strays]
    query += [("identity", key) for key in dict.fromkeys(map(_absolute, keys))]
    if gateways and not (config != "none" and _jumps_as_ssh_config_says(c)):
        # Fabric counts them from the host, and a URL from here.
        query.append(("jump", ",".join(_hop(one, config) for one in reversed(gateways))))
    query += [(name, said) for name, said in (("config", config), ("auth", auth)) if said]
    _refuse_commands(c, config)
    path = "" if socket.startswith("tcp://") else socket
    words = "&".join(f"{name}={quote(said, safe=_PLAIN)}" for name, said in query)
    return f"ssh://{_hop(c, config)}{path}{'?' if words else ''}{words}"


def _hop(c: Connection, config: str) -> str:
    # By its name in ssh_config, if that is read.
    host = str(c.host if config == "none" else c.original_host)
    return f"{c.user}@{f'[{host}]' if ':' in host else host}:{c.port}"


# --- keys -----------------------------------------------------------------------------


def _key_files(c: Connection) -> List[str]:
    named = c.connect_kwargs.get("key_filename") or []
    # From 3.1 on Fabric stores them separately.
    authentication = c.config.get("authentication") or {}
    found = [named] if isinstance(named, str) else [*named]
    return [str(one) for one in [*found, *(authentication.get("identities") or [])]]


def _typed_keys(c: Connection) -> Set[str]:
    """The keys of `fab -i`."""
    told = getattr(c.config, "_overrides", {}).get("connect_kwargs", {})
    return {str(one) for one in told.get("key_filename") or []}


def _absolute(path: str) -> str:
    return os.path.abspath(os.path.expanduser(path))


# --- ssh_config -----------------------------------------------------------------------


def _config_of(c: Connection) -> str:
    """The endpoint's `config=`: a file, or nothing for the usual files. `none` if Fabric reads
    none, or if a program gave it a configuration that no URL can express: then only Fabric's own
    settings count.
    """
    config = c.config
    proxied = "proxyjump" in c.ssh_config or "proxycommand" in c.ssh_config
    if getattr(config, "_given_explicit_object", False) or (proxied and not c.gateway):
        return "none"
    file = getattr(config, "_runtime_ssh_path", None)
    if file is not None:
        return _absolute(file)
    return "" if config.load_ssh_configs else "none"


# --- gateways -------------------------------------------------------------------------


def _gateways(c: Connection) -> List[Connection]:
    """The gateways, from the host to this machine."""
    found: List[Connection] = []
    gateway: Any = c.gateway
    while isinstance(gateway, Connection):
        found.append(gateway)
        gateway = gateway.gateway
    return found


def _jumps_as_ssh_config_says(c: Connection) -> bool:
    """True if the engine finds the same hops itself. Fabric has the hops of a ProxyJump in the
    reverse order of ssh.
    """
    named = c.ssh_config.get("proxyjump")
    if named is None:
        return False
    hosts = [c.derive_shorthand(hop)["host"] for hop in named.split(",")]
    return bool(hosts == [one.original_host for one in _gateways(c)])


def _refuse_commands(c: Connection, config: str) -> None:
    """A command instead of a jump host: only ssh_config can name one."""
    for one in (c, *_gateways(c)):
        own = config != "none" and one.gateway == one.ssh_config.get("proxycommand")
        if isinstance(one.gateway, str) and not own:
            raise _unfit(
                one, "a command cannot be used as gateway; write it as ProxyCommand in ssh_config"
            )


def _unfit(c: Connection, why: str, field: str = "hosts") -> InputError:
    return InputError("bad_endpoint", f"host {c.original_host}: {why}", field)
