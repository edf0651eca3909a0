"""The shell's side of the bench: `echo 'show info' | socat` for each endpoint, 32 at a time."""

from __future__ import annotations

import resource
import subprocess
import time

from bench.rounds import Round, cpu_us, obey

# Given as $0, so that no endpoint is read as shell. -t5: wait for the answer, not half a second.
ASK = 'echo "show info" | socat -t5 - "$0"'


def address(endpoint: str) -> str:
    scheme, _, place = endpoint.partition("://")
    return ("UNIX-CONNECT:" if scheme == "unix" else "TCP:") + place


def cold(endpoints: list[str]) -> Round:
    cpu, begun = cpu_us(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(
        ["xargs", "-P32", "-n1", "sh", "-c", ASK],
        input="\n".join(map(address, endpoints)).encode(),
        stdout=subprocess.PIPE,
        check=False,
    )
    total = 1e3 * (time.perf_counter() - begun)
    used = cpu_us(resource.RUSAGE_CHILDREN) - cpu
    return Round(total, total, used, done.stdout.count(b"\nPid: "))


if __name__ == "__main__":
    obey({"cold": cold})
