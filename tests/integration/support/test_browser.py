"""What the pages are looked at with finds what is wrong with a page."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.browser import Browser
from support.readable import contrast, cut_off, paper_is_dark

WIDE = "<td>" + "x" * 900 + "</td>"


def page_of(folder: Path, body: str) -> str:
    path = folder / "page.html"
    path.write_text(f'<!DOCTYPE html><html><meta charset="utf-8"><body>{body}</body></html>')
    return path.as_uri()


@pytest.mark.parametrize(
    "body",
    [
        f"<table><tr>{WIDE}</tr></table>",
        f'<div style="overflow: hidden"><table><tr>{WIDE}</tr></table></div>',
        f'<pre style="overflow: hidden">{"x" * 900}</pre>',
        f'<div style="overflow: auto; width: 2000px"><pre>{"x" * 900}</pre></div>',
    ],
)
def test_what_is_cut_off_is_found(body: str, tmp_path: Path, browser: Browser) -> None:
    assert cut_off(browser.open(page_of(tmp_path, body), 400)) != []


def test_what_scrolls_is_not_cut_off(tmp_path: Path, browser: Browser) -> None:
    body = f'<div style="overflow: auto"><table><tr>{WIDE}</tr></table></div>'
    page = browser.open(page_of(tmp_path, body), 400)
    assert (cut_off(page), page.trouble) == ([], [])


def test_scripts_that_fail_and_requests_are_noted(tmp_path: Path, browser: Browser) -> None:
    body = '<script>nothing.here()</script><img src="http://127.0.0.1:1/picture.png">'
    page = browser.open(page_of(tmp_path, body), 400)
    assert any("ReferenceError" in words for words in page.trouble)
    assert "http://127.0.0.1:1/picture.png" in page.requested


@pytest.mark.parametrize("dark", [False, True])
def test_colours_are_those_of_the_reader(dark: bool, tmp_path: Path, browser: Browser) -> None:
    body = (
        "<style>body { background: #fff; color: #222 } @media (prefers-color-scheme: dark) "
        "{ body { background: #111; } }</style><p>ink</p>"
    )
    page = browser.open(page_of(tmp_path, body), 400, dark)
    assert paper_is_dark(page) == dark
    assert (contrast(page, "p") < 2) == dark
    assert contrast(page, "table") == -1
