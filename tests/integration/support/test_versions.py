"""Which HAProxies the tests run on, and what is told of further ones."""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from support.haproxy.fetch import CannotFetch
from support.haproxy.versions import CRASHING, END, branch_of, has_wait, named, survives_a_resume

ROOT = Path(__file__).resolve().parents[3]


def test_a_further_binary_is_one_more_version(haproxy_binaries: Any) -> None:
    one, other = haproxy_binaries["3.0"], haproxy_binaries["2.2"]
    found = named({"STILLGATE_HAPROXY": f"{one.path}:{other.path}:{one.path}"})
    assert list(found) == [one.version, other.version, f"{one.version}+2"]
    assert named({}) == {} and named({"STILLGATE_HAPROXY": ""}) == {}


def test_what_is_no_haproxy_is_told() -> None:
    with pytest.raises(CannotFetch, match="/bin/true"):
        named({"STILLGATE_HAPROXY": "/bin/true"})


def test_the_tests_of_a_version_run_on_it_too(haproxy_binaries: Any, tmp_path: Path) -> None:
    binaries = [haproxy_binaries[label] for label in ("3.0", "2.2")]
    wanted = "tests/integration/gate/test_hold.py"
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, wanted, "tests/integration/guard/test_guard.py"],
        env={
            "PATH": "/usr/bin:/bin",
            "STILLGATE_HAPROXY": ":".join(binary.path for binary in binaries),
            "HOME": str(tmp_path),
        },
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    tests = ("gate/test_hold.py", "guard/test_guard.py")
    for test, binary in itertools.product(tests, binaries):
        assert re.search(rf"{test}.*{re.escape(binary.version)}", done.stdout)


def test_the_releases_that_crash_are_those_of_the_engine() -> None:
    source = (ROOT / "cpp/src/runtime_api/hazards.cpp").read_text()
    rows = {}
    for line in re.findall(r"^    Range\{(.*)\},$", source, re.MULTILINE):
        first, *last = re.findall(r"(\d+), (\d+)(?:, (\d+))?", line)
        fixed = last[0][2] if last and last[0][2] else END
        rows[int(first[0]), int(first[1])] = (int(first[2]), int(fixed))
    assert rows == CRASHING


@pytest.mark.parametrize(
    "version, survives, waits",
    [
        ("2.2.9", True, False),
        ("2.6.5", True, False),
        ("2.6.6", False, False),
        ("2.6.20", True, False),
        ("2.7.3", False, False),
        ("3.0-dev4", False, True),
        ("3.0.6", True, True),
        ("3.0.5+1", False, True),
        ("3.3.1", True, True),
    ],
)
def test_what_a_version_can_do(version: str, survives: bool, waits: bool) -> None:
    assert (survives_a_resume(version), has_wait(version)) == (survives, waits)
    assert branch_of(version) >= (2, 2)


def test_what_is_no_source_tree_is_not_built(tmp_path: Path) -> None:
    program = ROOT / "tests/support/haproxy/build.py"
    done = subprocess.run(
        [sys.executable, str(program), str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (1, f"{tmp_path} is no source tree of HAProxy\n")
