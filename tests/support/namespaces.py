"""Programs in a PID namespace of their own, as in a container, or in a unit of systemd's."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Optional

import pytest

from support.patience import HANG_S
from support.process import wait_until

AS_ROOT = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
PID_NAMESPACE = ["unshare", *AS_ROOT, "--pid", "--fork", "--mount-proc"]
MOUNT_NAMESPACE = ["unshare", *AS_ROOT, "--mount"]

# What a CI runner tells its jobs: a test that asks what is so elsewhere has none of it.
CI_VARIABLES = ("CI", "GITHUB_ACTIONS", "GITLAB_CI", "JENKINS_URL", "TF_BUILD")


def need_namespaces() -> None:
    """Where they cannot be had, an error in CI and a skip elsewhere."""
    try:
        done = subprocess.run(
            [*PID_NAMESPACE, "true"], capture_output=True, text=True, check=False, timeout=HANG_S
        )
        reason = "" if done.returncode == 0 else done.stderr.strip()
    except FileNotFoundError as error:
        reason = str(error)
    if reason:
        assert os.environ.get("CI") != "true", reason
        pytest.skip(f"no PID namespace can be made here: {reason}")


@contextmanager
def container(environment: Mapping[str, str], name: str = "cat") -> Iterator[int]:
    """A PID namespace whose first process waits for our end; gives its pid as seen from here.
    `name` is what that process is called.
    """
    script = f"printf %s {name} >/proc/self/comm; read gone"
    with subprocess.Popen(
        [*PID_NAMESPACE, "sh", "-c", script], stdin=subprocess.PIPE, env=dict(environment)
    ) as outside:
        try:
            first: list[int] = []

            def started() -> bool:
                first[:] = children_of(outside.pid)
                return bool(first) and _name(first[0]) == name

            wait_until(started, "the first process of the namespace")
            yield first[0]
        finally:
            assert outside.stdin is not None
            outside.stdin.close()
            outside.wait(HANG_S)


def children_of(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _name(pid: int) -> Optional[str]:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return None


def inside(first: int, *command: str) -> list[str]:
    """That command, entered into the namespace as `docker exec` does it."""
    as_user = [] if os.geteuid() == 0 else ["--user", "--preserve-credentials"]
    return ["nsenter", "-t", str(first), *as_user, "--pid", "--mount", *command]


def in_unit(folder: Path, cgroup: str, command: Sequence[str]) -> list[str]:
    """That command, where /proc says that it runs in that control group, and where systemd runs."""
    told = folder / "cgroup"
    told.write_text(cgroup)
    steps = [
        "mount -t tmpfs none /run",
        "mkdir -p /run/systemd/system",
        f"mount --bind {told} /proc/$$/cgroup",
        'exec "$@"',
    ]
    return [*MOUNT_NAMESPACE, "sh", "-ec", "\n".join(steps), "sh", *command]
