"""ssh's side of the bench: `echo 'show info' | ssh HOST socat` for each endpoint, 16 at a time.

`ssh` lets the two ends agree on a key exchange as they like; `curve25519` takes the one that
libssh2 takes, too.
"""

from __future__ import annotations

import resource
import subprocess
import time

from bench.rounds import Round, cpu_us, obey
from bench.ssh_urls import parse

# xargs hands in host and socket: $0 and $1, so that nothing of them is read as shell.
ASK = 'echo "show info" | ssh -o BatchMode=yes {options} "$0" "socat -t5 - UNIX-CONNECT:$1"'


def ask(endpoints: list[str], options: str = "") -> Round:
    urls = [parse(endpoint) for endpoint in endpoints]
    script = ASK.format(options=f"-F {urls[0].config} {options}")
    cpu, begun = cpu_us(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(
        ["xargs", "-P16", "-n2", "sh", "-c", script],
        input="\n".join(f"{url.host} {url.path}" for url in urls).encode(),
        stdout=subprocess.PIPE,
        check=False,
    )
    total = 1e3 * (time.perf_counter() - begun)
    used = cpu_us(resource.RUSAGE_CHILDREN) - cpu
    return Round(total, total, used, done.stdout.count(b"\nPid: "))


if __name__ == "__main__":
    obey(
        {
            "ssh": ask,
            "curve25519": lambda endpoints: ask(endpoints, "-o KexAlgorithms=curve25519-sha256"),
        }
    )
