"""What an HAProxy says of itself: `show info` and `show stat`, typed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Dict, List, Optional

import stillgate._core as _core

__all__ = ["Info", "StatRow"]


@dataclass(frozen=True)
class Info:
    """`show info`. `fields` holds all of it, as HAProxy wrote it; what a release does not say is
    None: 2.2 and older tell nothing of `stopping`.
    """

    version: str
    pid: int
    uptime_s: int
    node: str
    name: str
    stopping: Optional[bool]
    maxconn: Optional[int]
    curr_conns: Optional[int]
    fields: Dict[str, str] = field(repr=False)

    @staticmethod
    def parse(text: str) -> Info:
        """InputError (malformed_reply) where the text is not one."""
        fields = _core.parse_info(text)
        stopping = _number(fields.get("Stopping"))
        return Info(
            version=fields["Version"],
            pid=int(fields["Pid"]),
            uptime_s=int(fields["Uptime_sec"]),
            node=fields.get("node", ""),
            name=fields.get("Name", ""),
            stopping=None if stopping is None else stopping != 0,
            maxconn=_number(fields.get("Maxconn")),
            curr_conns=_number(fields.get("CurrConns")),
            fields=fields,
        )


@dataclass(frozen=True)
class StatRow:
    """One row of `show stat`. `fields` holds all columns; a number that is not there is None."""

    pxname: str
    svname: str
    status: str
    fields: Dict[str, str] = field(repr=False)

    @staticmethod
    def parse(text: str) -> List[StatRow]:
        """InputError (malformed_reply) where the text is not one."""
        return [
            StatRow(row["pxname"], row["svname"], row.get("status", ""), row)
            for row in _core.parse_stat(text)
        ]

    def number(self, column: str) -> Optional[int]:
        """None where the column is missing, empty or no number."""
        return _number(self.fields.get(column))

    @property
    def type(self) -> Optional[int]:
        """0 frontend, 1 backend, 2 server, 3 listener."""
        return self.number("type")

    @property
    def slim(self) -> Optional[int]:
        """The limit of connections, as it is now."""
        return self.number("slim")

    @property
    def scur(self) -> Optional[int]:
        """Sessions now."""
        return self.number("scur")

    @property
    def qcur(self) -> Optional[int]:
        """Requests queued now."""
        return self.number("qcur")

    @property
    def stot(self) -> Optional[int]:
        """Sessions so far."""
        return self.number("stot")


def _number(text: Optional[str]) -> Optional[int]:
    try:
        return int(text or "")
    except ValueError:
        return None
