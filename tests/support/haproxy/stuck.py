"""A real HAProxy from which a hold cannot be taken, until the test lets it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Optional

from support.command import run
from support.haproxy.holds import F
from support.haproxy.server import HAProxy
from support.haproxy.tap import Tap

RELEASE = f"set maxconn frontend {F} 100"
TO_END = "; to end it: "


class Stuck:
    """A real HAProxy; until assert_ended_by() its limit cannot be restored."""

    def __init__(self, proxy: HAProxy, tap: Tap) -> None:
        self.proxy = proxy
        self.endpoint = tap.endpoint
        self._tap = tap
        self._mended = False
        tap.hook(RELEASE, self._instead)

    def _instead(self) -> str:
        self._tap.hook(RELEASE, self._instead)
        return RELEASE if self._mended else f"set maxconn frontend {F} 0"

    def is_held(self) -> bool:
        return self.proxy.limit(F) == 0

    def assert_ended_by(
        self, message: str, environment: Optional[Mapping[str, str]] = None
    ) -> None:
        """The command of the message ends it."""
        assert self.is_held() and self.endpoint in message
        self._mended = True
        words = shlex.split(message.rpartition(TO_END)[2])[1:]
        done = run(*words, environment=environment)
        assert (done.returncode, self.is_held()) == (0, False), done.stdout + done.stderr
