"""Events of holds: passes a line to a caller's function."""

from __future__ import annotations

import json
import logging
from typing import Any, Callable, Dict, Optional

Listener = Callable[[Dict[str, Any]], object]
log = logging.getLogger("stillgate")


def to_listener(listener: Optional[Listener]) -> Optional[Callable[[str], None]]:
    """What the engine calls with each line. An exception of the listener is logged; it ends no
    hold.
    """
    if listener is None:
        return None
    given = listener

    def told(line: str) -> None:
        try:
            given(json.loads(line))
        except Exception:
            log.exception("on_event raised; the hold continues")

    return told
