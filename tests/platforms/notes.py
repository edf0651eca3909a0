"""Prints the section of a version from the CHANGELOG on standard input: notes.py VERSION."""

from __future__ import annotations

import re
import sys


def section(changelog: str, version: str) -> str:
    """Its text without the heading; LookupError, if there is none."""
    heading = rf"^## {re.escape(version)}(?:,[^\n]*)?\n"
    found = re.search(heading + r"(.*?)(?=^## |\Z)", changelog, re.M | re.S)
    if found is None:
        raise LookupError(f"CHANGELOG.md has no section {version}")
    return found[1].strip() + "\n"


if __name__ == "__main__":
    sys.stdout.write(section(sys.stdin.read(), sys.argv[1]))
