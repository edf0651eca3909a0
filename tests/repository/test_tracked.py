"""What is ignored is not in the repository."""

from __future__ import annotations

import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_nothing_that_is_ignored_is_tracked() -> None:
    listed = ["git", "ls-files", "--cached", "--ignored", "--exclude-standard"]
    found = subprocess.run(listed, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    assert found.stdout == ""
