"""The HAProxies that the tests run on: one of each suite, and those that $STILLGATE_HAPROXY names.

    STILLGATE_HAPROXY=/opt/haproxy-2.8/sbin/haproxy:/usr/sbin/haproxy pytest tests/integration/guard

Each is one more version of every test that depends on the version, as the suites' are. Its label is
its version.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from support.haproxy.fetch import SUITES, version_of

# By branch, from the first patch that crashes when a held frontend is resumed to the first that
# does not: the table of cpp/src/runtime_api/hazards.cpp, whose test compares them.
END = 10_000
CRASHING = {
    (2, 4): (19, 28),
    (2, 5): (0, END),
    (2, 6): (6, 20),
    (2, 7): (0, END),
    (2, 8): (0, 12),
    (2, 9): (0, 12),
    (3, 0): (0, 6),
    (3, 1): (0, 9),
}


def named(environment: Mapping[str, str]) -> dict[str, str]:
    """The paths of the further binaries by their labels. Errors: CannotFetch, where one of them
    does not tell its version.
    """
    found: dict[str, str] = {}
    for path in filter(None, environment.get("STILLGATE_HAPROXY", "").split(":")):
        version = version_of(Path(path))
        label = version if version not in found else f"{version}+{len(found)}"
        found[label] = str(Path(path).resolve())
    return found


FURTHER = named(os.environ)
LABELS = [*SUITES, *FURTHER]


def branch_of(label: str) -> tuple[int, int]:
    if label == "sid":
        return (99, 0)  # the newest
    major, minor = label.partition("-")[0].split(".")[:2]
    return int(major), int(minor)


def survives_a_resume(version: str) -> bool:
    """Of a hold by maxconn; a development version of a branch in the table does not."""
    first, fixed = CRASHING.get(branch_of(version), (0, 0))
    patch = version.partition("+")[0].split(".")[-1]
    return not first <= (int(patch) if patch.isdigit() else first) < fixed


# Those that survive a resume by maxconn; of these, those with process variables.
SAFE = ["2.2", "3.0", "sid", *filter(survives_a_resume, FURTHER)]
REMEMBERING = [label for label in SAFE if branch_of(label) >= (2, 4)]


def has_wait(label: str) -> bool:
    """Whether HAProxy's own `wait` backs a guard there."""
    return branch_of(label) >= (3, 0)
