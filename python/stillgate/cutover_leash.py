"""Has the leash continue a cutover, should this process be killed in it."""

from __future__ import annotations

import os
import sys
import time
from contextlib import suppress
from types import TracebackType
from typing import Any, Mapping, Optional, Type

from stillgate.clock import boot_time
from stillgate.continuing import CONTINUES, undo_argv, will
from stillgate.errors import StillgateError
from stillgate.run_until import Leash

LONGEST = 3600.0  # seconds, where the hold has no deadline


class CutoverLeash:
    """Entered before anything is changed or held, with what is known by then: the fleet and the
    cutover. The engine calls begins() and ended(), on a thread of its own; after that it is left.
    """

    def __init__(self, told: Mapping[str, Any]) -> None:
        self._told = told
        self._leash: Optional[Leash] = None
        self.ended_at: Optional[float] = None
        """The time at which the last cutover was over; None where none has changed anything."""

    def __enter__(self) -> CutoverLeash:
        """Errors: StillgateError, where the leash cannot be started."""
        if not sys.executable:
            raise _not_started("this process does not know its Python (sys.executable)")
        leash = Leash(undo_argv(""))
        try:
            leash.start()
        except OSError as error:
            leash.__exit__(None, None, None)
            why = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
            raise _not_started(str(why)) from error
        self._leash = leash
        return self

    def begins(self, begun: Mapping[str, Any]) -> None:
        """From now on a change may be on its way. Where the leash cannot hear of it, the cutover
        continues nevertheless: whoever asks for it has migrated, and without it the old code would
        meet that for certain.
        """
        if self._leash is None:
            return
        known = {name: begun[name] for name in ("hold", "frontends", "retry_for")}
        left: float = LONGEST if begun["left"] is None else begun["left"]
        deadline = boot_time() + left
        with suppress(OSError):
            testament = will({**self._told, **known}, left, 0.0, None)
            try:
                # A process that is stopped may still write, so it is continued in place of that:
                # no share. Up to the deadline it is worth going on: no grace.
                self._leash.arm(
                    lambda: deadline - boot_time(),
                    share=0.0,
                    grace=0.0,
                    environment={CONTINUES: "1"},
                    stdin=testament,
                    awake=True,
                )
            finally:
                os.close(testament)

    def ended(self) -> None:
        """Nothing of it is on its way any more."""
        self.ended_at = time.time()
        if self._leash is not None:
            self._leash.disarm()

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        leash, self._leash = self._leash, None
        if leash is not None:
            leash.__exit__(kind, error, trace)


def _not_started(why: str) -> StillgateError:
    words = (
        "the leash (it continues the cutover, should this process be killed in it) could not be "
        f"started: {why}; nothing was changed"
    )
    return StillgateError("leash_failed", words)
