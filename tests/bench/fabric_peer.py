"""Fabric's side of the bench: one command on a ThreadingGroup of all hosts, cold."""

from __future__ import annotations

import time

from bench.rounds import Round, cpu_us, obey
from bench.ssh_urls import parse
from fabric import Config, ThreadingGroup


def cold(endpoints: list[str]) -> Round:
    urls = [parse(endpoint) for endpoint in endpoints]
    # A group has one command for all: the first one's socket is everybody's.
    command = f'echo "show info" | socat -t5 - UNIX-CONNECT:{urls[0].path}'
    config = Config(runtime_ssh_path=urls[0].config)
    cpu, begun = cpu_us(), time.perf_counter()
    group = ThreadingGroup(*(url.host for url in urls), config=config)
    results = group.run(command, hide=True, warn=True)
    total = 1e3 * (time.perf_counter() - begun)
    used = cpu_us() - cpu
    group.close()
    return Round(total, total, used, sum("\nPid: " in one.stdout for one in results.values()))


if __name__ == "__main__":
    obey({"cold": cold})
