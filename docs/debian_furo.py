"""Mends what Debian 12's package of the theme furo breaks, in the pages that were built.

There, the theme asks for a style sheet that no page brings along, does not follow a reader who
likes it dark, and loads a script that no browser runs. In furo as its makers ship it none of this
is found, and nothing is changed.
"""

from __future__ import annotations

import re
from pathlib import Path

NORMALIZE = Path("/usr/share/javascript/normalize.css/normalize.css")
ELSEWHERE = re.compile(r"@import url\(/javascript/normalize\.css/[^)]*\);")
DARK = re.compile(r"@media not print \{\s*body\[data-theme=\"?dark\"?\] \{(?P<colours>[^}]*)\}")
IMPORTED = re.compile(r"^import Gumshoe from .*$", re.MULTILINE)


def mend(pages: Path) -> None:
    """In the folder of the built pages."""
    style = pages / "_static" / "styles" / "furo.css"
    if style.is_file():
        style.write_text(mended_style(style.read_text("utf-8")), "utf-8")
    script = pages / "_static" / "scripts" / "furo.js"
    spy = script.with_name("gumshoe-patched.js")
    if spy.is_file():
        script.write_text(mended_script(script.read_text("utf-8"), spy.read_text("utf-8")), "utf-8")


def mended_style(text: str) -> str:
    if not ELSEWHERE.search(text):
        return text
    text = ELSEWHERE.sub(lambda _: NORMALIZE.read_text("utf-8"), text)
    dark = DARK.search(text)
    if dark is None:
        return text
    follows = (
        "@media not print { @media (prefers-color-scheme: dark) {\n"
        f'  body:not([data-theme="light"]) {{{dark["colours"]}}}\n'
        '  html body:not([data-theme="light"]) .only-light { display: none !important; }\n'
        '  body:not([data-theme="light"]) .only-dark { display: block !important; } } }\n'
    )
    return f"{text}\n{follows}"


def mended_script(text: str, spy: str) -> str:
    """One script that runs from a file, too, where a module may not be loaded."""
    if not IMPORTED.search(text):
        return text
    return f"{spy}\n(function () {{\n{IMPORTED.sub('', text)}\n}})();\n"
