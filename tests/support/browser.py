"""A real browser without a window: Chromium, driven through a pipe by its own DevTools protocol.

    with Browser() as browser:
        page = browser.open("file:///tmp/page.html", width=400, dark=True)
        assert page.trouble == [] and page.evaluate("document.title") == "..."
"""

from __future__ import annotations

import fcntl
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from typing import Any, Optional

from support.closing import Closing
from support.patience import HANG_S

PROGRAM = "chromium"
NO_BROWSER = f"there is no {PROGRAM} on the PATH: apt-get install {PROGRAM}"
HEIGHT = 900
PATIENCE_S = 5 * HANG_S  # where it is read from a disk for the first time, beside other tests
LAID_OUT = "new Promise(done => requestAnimationFrame(() => setTimeout(done, 0)))"


def browser_program() -> Optional[str]:
    return shutil.which(PROGRAM)


@dataclass
class Page:
    """A page that has been loaded, with what it asked for and what its scripts failed with."""

    browser: Browser
    requested: list[str] = field(default_factory=list)
    trouble: list[str] = field(default_factory=list)

    def resize(self, width: int) -> None:
        """As its reader does, who does not load it again."""
        self.browser.resize(width)
        self.evaluate(LAID_OUT)

    def evaluate(self, script: str) -> Any:
        answer = self.browser.call(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")


class Browser(Closing):
    """One process for all pages: it takes longer to start than they do to load."""

    def __init__(self) -> None:
        program = browser_program()
        assert program is not None, NO_BROWSER
        self._profile = tempfile.TemporaryDirectory(prefix="stillgate-browser-")
        # It reads orders from descriptor 3, and answers on 4; a shell puts them there.
        theirs_in, self._in = map(_high, os.pipe())
        self._out, theirs_out = map(_high, os.pipe())
        options = [
            *("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
            *("--no-first-run", "--disable-background-networking", "--disable-extensions"),
            *("--remote-debugging-pipe", f"--user-data-dir={self._profile.name}", "about:blank"),
        ]
        self._process = subprocess.Popen(
            ["bash", "-c", f'exec "$@" 3<&{theirs_in} 4>&{theirs_out}', "bash", program, *options],
            pass_fds=(theirs_in, theirs_out),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self._unread = b""
        self._number = 0
        self._session: Optional[str] = None
        self._page: Optional[Page] = None
        self._loaded = False
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def close(self) -> None:
        os.close(self._in)  # which ends it
        os.close(self._out)
        try:
            self._process.wait(HANG_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._profile.cleanup()

    def open(self, address: str, width: int, dark: bool = False) -> Page:
        """In a window so wide, for a reader who likes it light or dark; loaded and laid out."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.resize(width)
        self._page, self._loaded = Page(self), False
        found = self.call("Page.navigate", url=address)
        assert "errorText" not in found, found["errorText"]
        deadline = time.monotonic() + PATIENCE_S
        while not self._loaded:
            self._take(deadline)
        page = self._page
        page.evaluate(LAID_OUT)
        return page

    def resize(self, width: int) -> None:
        metrics = {"height": HEIGHT, "deviceScaleFactor": 1, "mobile": False}
        self.call("Emulation.setDeviceMetricsOverride", width=width, **metrics)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        order = {"id": self._number, "method": method, "params": parameters}
        if self._session is not None:
            order["sessionId"] = self._session
        os.write(self._in, json.dumps(order).encode() + b"\0")
        deadline = time.monotonic() + PATIENCE_S
        while True:
            message = self._take(deadline)
            if message.get("id") == self._number:
                assert "error" not in message, f"{method}: {message['error']}"
                result = message["result"]
                assert isinstance(result, dict)
                return result

    def _take(self, deadline: float) -> dict[str, Any]:
        """The next message, an event noted for the page."""
        while b"\0" not in self._unread:
            left = max(0.0, deadline - time.monotonic())
            ready, _, _ = select.select([self._out], [], [], left)
            assert ready, "the browser says nothing"
            read = os.read(self._out, 1 << 16)
            assert read, "the browser ended by itself"
            self._unread += read
        first, _, self._unread = self._unread.partition(b"\0")
        message: dict[str, Any] = json.loads(first)
        self._note(message.get("method", ""), message.get("params", {}))
        return message

    def _note(self, method: str, what: dict[str, Any]) -> None:
        if self._page is None:
            return
        if method == "Page.loadEventFired":
            self._loaded = True
        elif method == "Network.requestWillBeSent":
            self._page.requested.append(what["request"]["url"])
        elif method == "Network.loadingFailed":
            self._page.trouble.append(f"not loaded: {what['errorText']}")
        elif method == "Runtime.exceptionThrown":
            self._page.trouble.append(json.dumps(what["exceptionDetails"]))
        elif method == "Log.entryAdded" and what["entry"]["level"] == "error":
            self._page.trouble.append(what["entry"]["text"])


def _high(descriptor: int) -> int:
    """The same, out of the way of 3 and 4."""
    moved = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 10)
    os.close(descriptor)
    return moved
