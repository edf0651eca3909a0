"""What the keys of a live screen mean: each is asked once before anything is done."""

from __future__ import annotations

from typing import Optional

from stillgate.console.live_state import LiveState

KEYS = "r resume   e extend   q leave it held and quit"
OPEN_KEYS = "q quit"
NO_HOLD = "nothing is held"


class Keys:
    """Takes one key after the other. `line` is what the bottom line says."""

    def __init__(self, extend_by: float) -> None:
        self.line = OPEN_KEYS
        self._extend_by = extend_by
        self._asked: Optional[str] = None

    def press(self, key: str, state: LiveState) -> Optional[str]:
        """What is to be done now: resume, extend or quit; mostly nothing."""
        if self._asked is not None:
            asked, self._asked = self._asked, None
            self.rest(state)
            return asked if key in ("y", "Y") else None
        action = {"r": "resume", "e": "extend", "q": "quit"}.get(key.lower())
        if action is None:
            return None
        if state.hold is None:
            if action == "quit":
                return action
            self.line = f"{NO_HOLD}   {OPEN_KEYS}"
            return None
        self._asked = action
        self.line = self._question(action, state)
        return None

    def rest(self, state: LiveState) -> None:
        """No question is open: back to the list of keys."""
        if self._asked is None:
            self.line = KEYS if state.hold else OPEN_KEYS

    def tell(self, words: str) -> None:
        """What came of it, until the next key."""
        self.line = words
        self._asked = None

    def _question(self, action: str, state: LiveState) -> str:
        hold = state.hold
        assert hold is not None
        what = f"{', '.join(hold.frontends)}, held by {hold.owner}"
        if action == "resume":
            return f"Resume {what}? y/n"
        if action == "extend":
            return f"Extend by {self._extend_by:g} s: {what}? y/n"
        end = "" if hold.deadline else "; nothing ends it by itself"
        return f"Quit, and leave it held{end}? y/n"
