"""What the keys of a live screen mean: each is asked once before anything is done."""

from __future__ import annotations

from typing import Optional

from stillgate.console.live_state import LiveState

KEYS = "r resume   e extend   q leave it held and quit"
OF_COMMAND = "r end the command and resume   e extend   q leave this screen"
UNHEARD = "Ctrl-C ends the command and resumes; what is typed is the command's (--keys)"
OPEN_KEYS = "q quit"
NO_HOLD = "nothing is held"
MOST_WORDS = 50


class Keys:
    """Takes one key after the other. `line` is what the bottom line says. `of_command`: the hold is
    this process's own, around a command; it lasts until that ends, and all that can be left is
    the screen. Where not `heard` no key is to come.
    """

    def __init__(self, extend_by: float, of_command: bool = False, heard: bool = True) -> None:
        self._of_command = of_command
        self._of_own = OF_COMMAND if heard else UNHEARD
        self.line = self._of_own if of_command else OPEN_KEYS
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
            self.line = NO_HOLD if self._of_command else f"{NO_HOLD}   {OPEN_KEYS}"
            return None
        self._asked = action
        self.line = self._question(action, state)
        return None

    @property
    def asking(self) -> bool:
        """Whether the line is a question."""
        return self._asked is not None

    def rest(self, state: LiveState) -> None:
        """No question is open: back to the list of keys."""
        if self._asked is not None:
            return
        if self._of_command:
            self.line = self._of_own
        else:
            self.line = KEYS if state.hold else OPEN_KEYS

    def tell(self, words: str) -> None:
        """What came of it, until the next key."""
        self.line = words
        self._asked = None

    def _question(self, action: str, state: LiveState) -> str:
        if self._of_command:
            return {
                "resume": "End the command and resume, as Ctrl-C does? y/n",
                "extend": f"Extend the hold by {self._extend_by:g} s? y/n",
                "quit": "Leave this screen? The command and the hold go on. y/n",
            }[action]
        hold = state.hold
        assert hold is not None
        what = _short(f"{', '.join(hold.frontends)}, held by {hold.owner}")
        if action == "resume":
            return f"Resume {what}? y/n"
        if action == "extend":
            return f"Extend by {self._extend_by:g} s: {what}? y/n"
        end = "" if hold.deadline else "; nothing ends it by itself"
        return f"Quit, and leave it held{end}? y/n"


def _short(words: str) -> str:
    """So that the question's end is seen on 80 columns."""
    return words if len(words) <= MOST_WORDS else f"{words[: MOST_WORDS - 3]}..."
