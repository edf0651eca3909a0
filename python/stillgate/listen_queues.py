"""How many connections may wait in the kernel of this machine, by listening port: sock_diag(7), as
ss(8) asks it.
"""

from __future__ import annotations

import re
import socket
import struct
from contextlib import suppress
from typing import Dict, Set

_SOCK_DIAG, _SOCK_DIAG_BY_FAMILY = 4, 20
_REQUEST, _DUMP = 0x1, 0x300
_DONE, _ERROR = 3, 2
_LISTENING = 10
_HEADER = struct.Struct("=IHHII")
_WANTED = struct.Struct("=BBBBI48s")
# inet_diag_msg: the port is behind the first four bytes, the depth of its queue the last but two.
_PORT, _DEPTH = struct.Struct("!4xH"), struct.Struct("=60xI")
_BUFFER = 32768
_PATIENCE_S = 0.2  # a sandbox's kernel may not answer
_LISTENER = re.compile(r"^.* l\.st=.*$", re.MULTILINE)


def listen_depths() -> Dict[int, int]:
    """Summed over the sockets that share a port; empty if the kernel does not say."""
    depths: Dict[int, int] = {}
    with suppress(OSError, AttributeError, struct.error):
        for family in (socket.AF_INET, socket.AF_INET6):
            _ask(family, depths)
    return depths


def listeners_in(text: str) -> Dict[str, Set[int]]:
    """The ports of each frontend, from `show fd`."""
    found: Dict[str, Set[int]] = {}
    for line in _LISTENER.findall(text):
        frontend = re.search(r" fe=(\S+)", line)
        port = re.search(r" lport=(\d+)", line)
        if frontend and port:
            found.setdefault(frontend[1], set()).add(int(port[1]))
    return found


def _ask(family: int, depths: Dict[int, int]) -> None:
    with socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, _SOCK_DIAG) as asking:
        asking.settimeout(_PATIENCE_S)
        wanted = _WANTED.pack(family, socket.IPPROTO_TCP, 0, 0, 1 << _LISTENING, b"")
        size = _HEADER.size + len(wanted)
        header = _HEADER.pack(size, _SOCK_DIAG_BY_FAMILY, _REQUEST | _DUMP, 1, 0)
        asking.send(header + wanted)
        while _read(asking.recv(_BUFFER), depths):
            pass


def _read(datagram: bytes, depths: Dict[int, int]) -> bool:
    """False: it was the last one."""
    at = 0
    while at + _HEADER.size <= len(datagram):
        length, kind, *_ = _HEADER.unpack_from(datagram, at)
        if kind in (_DONE, _ERROR) or length < _HEADER.size:
            return False
        (port,) = _PORT.unpack_from(datagram, at + _HEADER.size)
        (depth,) = _DEPTH.unpack_from(datagram, at + _HEADER.size)
        # One more than that gets in.
        depths[port] = depths.get(port, 0) + depth + 1
        at += (length + 3) & ~3
    return bool(datagram)
