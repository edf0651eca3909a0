"""The tables of codes and names in cpp/include/stillgate, as tests compare them with all else."""

from __future__ import annotations

import re
from pathlib import Path

HEADERS = Path(__file__).resolve().parents[2] / "cpp" / "include" / "stillgate"
FILES = ("error_codes.def", "event_kinds.def", "findings.def", "words.def")
ROW = r'^STILLGATE_{}\((\w+),\s*((?:[^()"]*,\s*)?)"'


def rows(table: str) -> dict[str, list[str]]:
    """Of `error`, `event`, `finding` ...: the first column, with those up to the meaning."""
    text = "\n".join((HEADERS / name).read_text() for name in FILES)
    found = re.findall(ROW.format(table.upper()), text, re.MULTILINE)
    assert found, f"there is no table of {table}"
    return {name: re.findall(r"\w+", between) for name, between in found}
