"""The page of `stillgate report --html`, in a real browser: in light and dark."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from stillgate import Fleet
from support.command import run
from support.haproxy.holds import F
from support.patience import HANG_S

if TYPE_CHECKING:
    from conftest import Start

pytestmark = pytest.mark.usefixtures("state")
# Its own: the page has none.
MEASURE = """<script>
const colour = (one) => getComputedStyle(one);
const root = document.documentElement;
const outside = [...document.querySelectorAll("svg text")].filter((one) => {
  const place = one.getBoundingClientRect(), frame = one.ownerSVGElement.getBoundingClientRect();
  return place.left < frame.left || place.right > frame.right + 1;
});
document.title = JSON.stringify({
  wider: Math.max(0, root.scrollWidth - window.innerWidth),
  ink: colour(document.body).color,
  paper: colour(document.body).backgroundColor,
  words: colour(document.querySelector("svg text")).fill,
  frame: colour(document.querySelector("svg .paper")).fill,
  outside: outside.map((one) => one.textContent),
  steps: [...document.querySelectorAll("td")].map((one) => one.textContent),
});
</script>
"""
BROWSER = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]


def measured(page: Path, *options: str) -> dict[str, Any]:
    tested = page.with_name("measured.html")
    tested.write_text(page.read_text() + MEASURE)
    profile = f"--user-data-dir={page.with_name('profile')}"
    done = subprocess.run(
        [*BROWSER, profile, *options, "--dump-dom", tested.as_uri()],
        capture_output=True,
        text=True,
        timeout=2 * HANG_S,
        check=True,
    )
    told = done.stdout.partition("<title>{")[2].partition("}</title>")[0]
    found: dict[str, Any] = json.loads(f"{{{told}}}")
    return found


def brightness(colour: str) -> int:
    return sum(int(one) for one in colour.partition("(")[2].rstrip(")").split(",")[:3])


def test_the_page_is_readable_in_light_and_dark(haproxy: Start, tmp_path: Path) -> None:
    fleet = Fleet([f"lb1={haproxy('3.0').endpoints[0]}"])
    with fleet.suspended(F, max_hold=600, reason="a reason of many words " * 20):
        fleet.look(F)
    page = tmp_path / "hold.html"
    assert run("report", "--html", str(page)).returncode == 0
    light = measured(page, "--window-size=1000,800")
    dark = measured(page, "--window-size=600,800", "--force-dark-mode")
    for one in (light, dark):
        assert (one["wider"], one["outside"]) == (0, [])
        assert {"checked", "committed", "drained", "command", "released"} <= set(one["steps"])
    for ink, paper in (("ink", "paper"), ("words", "frame")):
        assert brightness(light[ink]) < 200 and brightness(light[paper]) > 700
        assert brightness(dark[ink]) > 600 and brightness(dark[paper]) < 100
