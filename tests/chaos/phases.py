"""Which phase of its hold a deploy process is in, told from the lines it sends to one HAProxy."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Optional

RELEASES = re.compile(r"set maxconn frontend \S+ ([1-9]\d*)$")
HOLDS = re.compile(r"set maxconn frontend \S+ 0$")
TOKEN = re.compile(r"set var proc\.stillgate_gate_\S+ str\(1\.([^.)]+)\..*\.([^.)]*)\)$")
OPENS = re.compile(r"set var proc\.stillgate_gate_\S+ str\(open")
REMEMBERS = re.compile(r"set var proc\.stillgate_maxconn_\S+ str\(([^)]+)\)$")
CUTS = re.compile(r"set server \S+ state ")
LOCKS = re.compile(r"set var proc\.stillgate_(lock|next)_")
DEADLINE = re.compile(rb"^deadline (\d+)$", re.MULTILINE)


class Course:
    """Fed with every line of the deploy process to one HAProxy, in order. `line` gives the phase
    that begins with this line, else None; `deadline_ms` is the hold's by the wall clock, once a
    record that has it has passed; the latest one counts.
    """

    def __init__(self) -> None:
        self.phase = ""
        self.deadline_ms: Optional[int] = None
        self._levels = 0
        self._token = ""  # "hold" or "open": what the next sync makes so

    def connected(self) -> Optional[str]:
        return self._enter("connecting") if self.phase == "" else None

    def holding(self) -> None:
        """The command runs: nothing of that is seen on the wire."""
        self.phase = "holding"

    def line(self, text: str) -> Optional[str]:
        self._note(text)
        if self.phase in ("", "connecting"):
            return self._enter("checking") if text == "show info" else None
        if self.phase in ("checking", "arming"):
            return self._before_commit(text)
        if self.phase == "committing":
            return self._enter("verifying") if text == "show info" else None
        if self.phase == "verifying":
            return self._enter("draining") if text == "show info" else None
        return self._release(text)

    def _note(self, text: str) -> None:
        token = TOKEN.match(text)
        record = token.group(2) if token else None
        if token:
            self._token = "hold"
        elif OPENS.match(text):
            self._token = "open"
        remembered = REMEMBERS.match(text)
        if remembered:
            record = remembered.group(1)
        told = deadline_of(record) if record else None
        if told is not None:
            # A hold that is about to end is extended for its cutover.
            self.deadline_ms = max(self.deadline_ms or 0, told)

    def _before_commit(self, text: str) -> Optional[str]:
        if HOLDS.match(text) or (self._token == "hold" and text.startswith("stillgate sync")):
            return self._enter("committing")
        if self.phase == "arming":
            return None
        self._levels += text == "show cli level"
        # The second question for the level is the round trip before a commit.
        arms = self._levels == 2 or REMEMBERS.match(text) or LOCKS.match(text)
        return self._enter("arming") if arms else None

    def _release(self, text: str) -> Optional[str]:
        if self.phase == "resuming":
            return None
        if self.phase == "holding" and text == "show servers state":
            return self._enter("proving")
        if self.phase in ("holding", "proving") and CUTS.match(text):
            return self._enter("cutting")
        by_gate = self._token == "open" and text.startswith("stillgate sync")
        return self._enter("resuming") if by_gate or RELEASES.match(text) else None

    def _enter(self, phase: str) -> str:
        self.phase = phase
        return phase


def deadline_of(packed: str) -> Optional[int]:
    """The deadline of a record as a HAProxy keeps it, in milliseconds of the wall clock."""
    try:
        text = base64.urlsafe_b64decode(packed + "=" * (-len(packed) % 4))
    except (binascii.Error, ValueError):
        return None
    found = DEADLINE.search(text)
    return int(found.group(1)) if found else None
