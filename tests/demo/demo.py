"""The demo: three real HAProxies under load are held for two seconds, and nobody sees an error.

Prints the verdict and ends with 1 if it is not clean: a request failed, was lost, or reached the
application while held.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support.app import App  # noqa: E402
from support.fetch_haproxy import ensure  # noqa: E402
from support.haproxy import HAProxy, wait_until  # noqa: E402
from support.load import Load, Record  # noqa: E402

FRONTEND = "balanced"
RATE = 120  # requests per second at each HAProxy, every one on a new connection
WORK = 2.0  # seconds: what the migration takes
WARM_UP = 100  # answered requests at each HAProxy before the hold, and again after it


def stillgate(verb: str, fleet: list[HAProxy], *options: str) -> dict[str, Any]:
    """What an operator types; its JSON."""
    command = [str(Path(sys.executable).with_name("stillgate")), verb, FRONTEND, "--json"]
    command += options
    for proxy in fleet:
        command += ["-e", proxy.endpoints[0]]
    print("$ stillgate", " ".join(command[1:3]), *options, f"-e ... ({len(fleet)} endpoints)")
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    report: dict[str, Any] = json.loads(done.stdout)
    if done.returncode != 0 or not report["ok"]:
        print(json.dumps(report, indent=2))
        raise SystemExit(f"stillgate {verb} ended with {done.returncode}")
    return report


def drained(proxy: HAProxy) -> bool:
    """Nothing that was let in before the hold is being served any more. Held clients do not count:
    they wait in the kernel.
    """
    return all(int(row["scur"] or 0) + int(row["qcur"] or 0) == 0 for row in proxy.stat())


def hold_and_release(
    fleet: list[HAProxy], loads: list[Load]
) -> tuple[dict[str, Any], float, float]:
    for load in loads:
        load.wait_for(WARM_UP)
    report = stillgate("suspend", fleet, "--no-lease", "--reason", "the demo's migration")
    for proxy in fleet:
        wait_until(lambda proxy=proxy: drained(proxy), 5.0, "drain")  # type: ignore[misc]
    began = time.monotonic()
    time.sleep(WORK)  # stands for the migration
    ended = time.monotonic()
    stillgate("resume", fleet)
    before = [len(load.records()) for load in loads]
    for load, count in zip(loads, before):
        load.wait_for(count + WARM_UP)
    return report, began, ended


def verdict(
    records: list[Record], leaked: int, report: dict[str, Any], began: float, ended: float
) -> bool:
    failed = [record for record in records if not record.ok]
    waited = [record for record in records if began <= record.sent_at < ended]
    longest = max((r.finished_at - r.sent_at for r in records if r.finished_at), default=0.0)
    lines = [
        ("requests sent, each on a new connection", f"{len(records)}"),
        ("  of them while held", f"{len(waited)}"),
        ("failed", f"{len(failed)}"),
        ("reached the application while held", f"{leaked}"),
        ("longest wait", f"{longest:.2f} s, the work took {ended - began:.2f} s"),
        ("commit window over the fleet", f"{report['commit_window_ms']:.3f} ms"),
    ]
    print()
    for name, value in lines:
        print(f"  {name:42} {value}")
    for record in failed[:5]:
        print(f"  failed: {record}")
    # Without requests that waited, the demo would have shown nothing.
    clean = not failed and leaked == 0 and len(waited) > 0
    print(f"\n{'CLEAN' if clean else 'NOT CLEAN'}")
    print("By maxconn, clients with an open keep-alive connection would have passed the hold.")
    return clean


def main() -> int:
    binary = ensure(["3.0"])["3.0"]
    print(f"three HAProxies {binary['version']}, {RATE} requests per second at each")
    with tempfile.TemporaryDirectory(prefix="stillgate-demo-") as state, App() as app:
        os.environ["STILLGATE_STATE_DIR"] = state
        fleet: list[HAProxy] = []
        loads: list[Load] = []
        try:
            for _ in range(3):
                fleet.append(HAProxy(binary["path"], maxconn=1000, servers=[app.port]))
            loads += [Load(proxy.ports[FRONTEND], rate=RATE).start() for proxy in fleet]
            report, began, ended = hold_and_release(fleet, loads)
            records = [record for load in loads for record in load.stop()]
            leaked = len(app.arrived_between(began, ended))
        finally:
            for load in loads:
                load.kill()
            for proxy in fleet:
                proxy.stop()
                proxy.close()
    return 0 if verdict(records, leaked, report, began, ended) else 1


if __name__ == "__main__":
    sys.exit(main())
