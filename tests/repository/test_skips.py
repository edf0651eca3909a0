"""In CI a skipped test is an error, whoever has skipped it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
SKIPPING = """
import pytest

def test_skips():
    pytest.skip("{reason}")

@pytest.mark.skipif(True, reason="{reason}")
def test_is_skipped():
    pass
"""


@pytest.mark.parametrize("place", ["true", "false"])
@pytest.mark.parametrize("reason", ["no control group can be made here", "only root can mount"])
def test_ci_refuses_a_skip(reason: str, place: str, tmp_path: Path) -> None:
    (tmp_path / "test_skipping.py").write_text(SKIPPING.format(reason=reason))
    command = [sys.executable, "-m", "pytest", "-p", "conftest", "--rootdir", str(tmp_path)]
    done = subprocess.run(
        [*command, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "CI": place, "PYTHONPATH": str(TESTS)},
        cwd=tmp_path,
    )
    refused = place == "true" and ("only root" not in reason or os.geteuid() == 0)
    assert done.returncode == int(refused), done.stdout
    assert ("1 failed, 1 error" if refused else "2 skipped") in done.stdout
