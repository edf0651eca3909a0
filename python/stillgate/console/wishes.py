"""What `hold` gets for its command, and what of it cannot be."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, fields
from typing import Optional, Tuple

from stillgate.console.keyboard import is_terminal
from stillgate.errors import InputError
from stillgate.options import Progress, Signal
from stillgate.postgres import OPTIONS as PG_OPTIONS
from stillgate.postgres import too_long


@dataclass(frozen=True)
class Wishes:
    """What `hold` gets for its command: options of stillgate.options, by their names."""

    grace: Optional[float] = None
    signal: Signal = "TERM"
    postgres: bool = False
    on_failure: Optional[str] = None
    undo_time: Optional[float] = None
    keep_on_failure: bool = False
    keys: bool = False
    progress: Optional[Progress] = None

    @classmethod
    def names(cls) -> Tuple[str, ...]:
        return tuple(one.name for one in fields(cls))

    def check(self, max_hold: float) -> None:
        """Errors: InputError, if no time would be left for the command."""
        if self.grace is not None and self.grace >= max_hold:
            words = f"grace: {self.grace:g} s must be less than max_hold, {max_hold:g} s"
            raise InputError("bad_option", words, "grace")
        if self.progress == "screen" and not is_terminal(sys.stderr):
            raise InputError("bad_option", "progress: standard error is no terminal", "progress")
        if self.keys and (self.progress or "screen") != "screen":
            words = "keys: go with the screen, not with another progress"
            raise InputError("bad_option", words, "keys")
        if self.keys and not is_terminal(sys.stderr):
            raise InputError("bad_option", "keys: standard error must be a terminal", "keys")
        if self.on_failure is not None and not self.on_failure.strip():
            raise InputError("bad_option", "on_failure: is empty", "on_failure")
        if self.undo_time is not None:
            if self.on_failure is None:
                raise InputError("bad_option", "undo_time: goes with on_failure", "undo_time")
            left = max_hold - self.undo_time
            if left <= (self.grace or 0.0):
                words = (
                    f"undo_time: {self.undo_time:g} s leave the command no time of {max_hold:g} s"
                )
                raise InputError("bad_option", words, "undo_time")
        if self.postgres and too_long(os.environ):
            raise InputError("bad_option", f"postgres: {PG_OPTIONS} is too long", "postgres")
