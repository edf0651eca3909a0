"""The bench: one command to many endpoints of a real HAProxy, by Stillgate and by others.

All peers run in turns, so that what else the machine does falls on all of them. Absolute times
mean little; the ratios against the epoll program of the same run are what the budget is about.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from bench.figures import ASYNCIO, ENGINE, LIBRARY, YARDSTICK, Case, Figures  # noqa: E402
from bench.gate import measure_gate  # noqa: E402
from bench.rounds import raise_file_limit  # noqa: E402
from bench.skew import measure_skew  # noqa: E402
from bench.ssh import measure_ssh  # noqa: E402
from bench.stage import HAPROXY, Stage  # noqa: E402
from rich.console import Console  # noqa: E402

SOCAT = "socat_peer"
PEERS = {
    "cold": [YARDSTICK, ENGINE, LIBRARY, ASYNCIO],
    "warm": [YARDSTICK, ENGINE, ASYNCIO],
    # Cold, with all connections open and greeted before the first command, as a hold does it.
    "barrier": [YARDSTICK, ENGINE],
}
RELAYED = 100


def rounds_of(size: int, quick: bool) -> int:
    if quick:
        return 3
    if size == 1:
        return 45  # a round takes half a millisecond, and one look of the scheduler as much
    return 15 if size <= 100 else 9


def run_case(stage: Stage, figures: Figures, transport: str, size: int, quick: bool) -> None:
    """All peers in turns, one kind after the other, on the same endpoints."""
    with ExitStack() as stack:
        peers = {
            name: stack.enter_context(stage.peer(name, transport, size)) for name in PEERS["cold"]
        }
        for kind, names in PEERS.items():
            for turn in range(rounds_of(size, quick)):
                first = turn % len(names)
                for name in names[first:] + names[:first]:
                    # The others have just emptied the caches, which is not the peer's own cost.
                    peers[name].round(kind)
                    measured = peers[name].round(kind)
                    figures.add(Case(transport, size, kind, name), measured)
            if kind == "cold":
                # A process per endpoint takes seconds: once is enough to see its place.
                with stage.peer(SOCAT, transport, size) as socat:
                    case = Case(transport, size, kind, SOCAT)
                    figures.add(case, socat.round(kind))


def measure_memory(stage: Stage, figures: Figures, size: int) -> None:
    for transport in ("unix", "tcp"):
        with stage.peer(ENGINE, transport, size) as peer:
            said = peer.ask("memory")
        figures.check_ok(f"{ENGINE}, memory, {transport}", int(said["ok"]), size)
        figures.memory_bytes[transport] = said["bytes_per_endpoint"]


def measure_import(turns: int) -> float:
    """What `import stillgate` adds to an interpreter that does nothing."""
    times: dict[str, list[float]] = {"pass": [], "import stillgate": []}
    for turn in range(turns + 1):
        for text, taken in times.items():
            begun = time.perf_counter()
            subprocess.run([sys.executable, "-c", text], check=True)
            if turn > 0:
                taken.append(1e3 * (time.perf_counter() - begun))
    return median(times["import stillgate"]) - median(times["pass"])


def describe_machine() -> dict[str, object]:
    """What the absolute times depend on."""
    version = subprocess.run([HAPROXY, "-v"], stdout=subprocess.PIPE, text=True, check=True).stdout
    return {
        "haproxy": version.split()[2],
        "cores": os.cpu_count(),
        "load_before": round(os.getloadavg()[0], 2),
        "python": sys.version.split()[0],
    }


def read_arguments() -> argparse.Namespace:
    tag = sys.implementation.cache_tag
    programs = ROOT / "build" / f"python-{tag}" / "tests" / "bench"
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="1 and 100 endpoints, few rounds")
    parser.add_argument("--check", action="store_true", help="end with 1 on a row not met")
    parser.add_argument("--programs", type=Path, default=programs, help="the C++ peers' folder")
    parser.add_argument("--json", type=Path, default=ROOT / "build" / "bench.json")
    arguments = parser.parse_args()
    if not (arguments.programs / YARDSTICK).exists():
        parser.error(f"no {YARDSTICK} in {arguments.programs}: `make build` makes it")
    return arguments


def main() -> int:
    arguments = read_arguments()
    raise_file_limit()
    sizes = [1, 100] if arguments.quick else [1, 10, 100, 1000]
    machine = describe_machine()
    figures = Figures()
    cases = [(transport, size) for size in sizes for transport in ("unix", "tcp")]
    with Stage(arguments.programs, max(sizes)) as stage:
        for transport, size in [*cases, ("relay", RELAYED)]:
            print(f"{transport}, {size:,} endpoints ...", file=sys.stderr, flush=True)
            run_case(stage, figures, transport, size, arguments.quick)
        measure_memory(stage, figures, max(sizes))
    print("unequal paths ...", file=sys.stderr, flush=True)
    figures.skew = measure_skew(arguments.programs / "relay", 5 if arguments.quick else 15)
    print("ssh ...", file=sys.stderr, flush=True)
    figures.take_ssh(measure_ssh(arguments.programs, arguments.quick))
    print("the gate ...", file=sys.stderr, flush=True)
    figures.gate = measure_gate(arguments.quick)
    figures.import_ms = measure_import(5 if arguments.quick else 21)

    # A pipe has no width: what the table needs, then.
    console = Console() if sys.stdout.isatty() else Console(width=120)
    for table in figures.tables():
        console.print(table)
    console.print(", ".join(f"{name} {value}" for name, value in machine.items()), highlight=False)
    report: dict[str, object] = {"machine": machine, **figures.as_json()}
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    arguments.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    for line in figures.short:
        print(line, file=sys.stderr)
    missed = any(row.met is False for row in figures.budget())
    return 1 if figures.short or (arguments.check and missed) else 0


if __name__ == "__main__":
    raise SystemExit(main())
