"""`stillgate report --html` in a real browser: light and dark, on a telephone and on a desk."""

from __future__ import annotations

import threading
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from stillgate import Fleet
from support.browser import Browser
from support.command import run
from support.haproxy.gate_options import gate_options
from support.haproxy.holds import F
from support.process import wait_until
from support.readable import WIDTHS, contrast, cut_off, paper_is_dark

if TYPE_CHECKING:
    from conftest import Binary, Start

    from support.app import App

pytestmark = pytest.mark.usefixtures("state")
# Whatever a person may write, and what no line can be broken in.
REASON = "<script>alert(1)</script> " + "/srv/shop/" * 12 + " \x1b[31m migration 42"
LINES = ("h1", "th", "td", "svg text", "svg polyline")


def test_a_report_is_readable_in_a_browser(
    haproxy: Start,
    haproxy_binaries: dict[str, Binary],
    app: App,
    browser: Browser,
    tmp_path: Path,
) -> None:
    version = haproxy_binaries["3.0"].version
    proxies = [
        haproxy("3.0", **gate_options(F, tmp_path / f"gate{number}", version, servers=[app.port]))
        for number in range(3)
    ]
    fleet = Fleet([f"edge-{n}.example={one.endpoints[0]}" for n, one in enumerate(proxies)])

    def ask(port: int) -> None:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/").read()

    clients = [threading.Thread(target=ask, args=(one.ports[F],)) for one in proxies * 2]
    with fleet.suspended(F, max_hold=600, reason=REASON):
        for client in clients:
            client.start()
        wait_until(
            lambda: sum(one.waiting or 0 for one in fleet.look(F).switches) == len(clients),
            "the clients",
        )
    for client in clients:
        client.join()
    path = tmp_path / "hold.html"
    assert run("report", "--html", str(path)).returncode == 0
    for dark in (False, True):
        page = browser.open(path.as_uri(), WIDTHS[0], dark)
        assert page.requested == [path.as_uri()]
        assert page.trouble == []
        assert paper_is_dark(page) == dark
        for part in LINES:
            assert contrast(page, part) >= 4, f"{part}, {'dark' if dark else 'light'}"
        for width in WIDTHS:
            page.resize(width)
            assert cut_off(page) == [], f"at {width}"
    assert page.evaluate("document.querySelectorAll('svg').length") == 1 + len(proxies)
    words = page.evaluate("document.body.innerText")
    assert "edge-2.example" in words and "alert(1)" in words and "\x1b" not in words
