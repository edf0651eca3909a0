"""The demo: a release with a migration that the old code cannot live with, under load, by one
command, and nobody sees an error.

Three real HAProxies with the gate in front of a real application with a real PostgreSQL; `fab
release` of docs/examples; then a picture of latency over time and of who answered, what the same
kinds of clients see of the method maxconn, and the verdict. Ends with 1 if that is not clean.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from demo.contrast import contrast  # noqa: E402
from demo.kinds import KINDS, Contrast, Kind, beside  # noqa: E402
from demo.own import fetched, for_maxconn, on_path  # noqa: E402
from demo.payments import ApplicationFailed  # noqa: E402
from demo.picture import terminal  # noqa: E402
from demo.stage import HAPROXIES, HISTORY, NEW, OLD, RATE, DemoFailed, Stage  # noqa: E402
from demo.verdict import Course, Times, Verdict  # noqa: E402
from stillgate.console.picture_svg import svg  # noqa: E402
from support.haproxy.fetch import CannotFetch  # noqa: E402
from support.haproxy.server import HAProxyFailed  # noqa: E402
from support.postgres import PostgresFailed, PostgresMissing  # noqa: E402

BEFORE, AFTER = 2.5, 2.0  # seconds of load on both sides of the hold
GATE_ON = "2.6"  # where the PATH has none
STOPPED = 130
LEGEND = (
    "held: sent while held. leaked: reached a server while held, by the application's own record.\n"
    "By maxconn, clients with an open keep-alive or HTTP/2 connection pass the hold."
)
EXPECTED = (
    ApplicationFailed,
    CannotFetch,
    DemoFailed,
    HAProxyFailed,
    PostgresFailed,
    PostgresMissing,
    TimeoutError,
)


def operate(stage: Stage) -> Times:
    """What an operator does."""
    print("$ fab release", flush=True)
    done = stage.release()
    if done.returncode != 0:
        raise DemoFailed(f"fab release ended with {done.returncode}\n{done.stderr.strip()}")
    told = stage.told
    times = Times(told["deploy s2"], told["held"], told["migrated"], told["deploy s1"])
    print("  the new code is on s2, where no traffic goes")
    print(f"  held, drained, {HISTORY} payments rewritten in {times.migrated - times.held:.2f} s")
    print("  traffic to s2 only, and then the new code on s1 too")
    return times


def run(haproxy: str, version: str) -> Course:
    print("starting PostgreSQL, the application and the HAProxies", flush=True)
    with Stage([(haproxy, version)] * HAPROXIES) as stage:
        print(f"load: {HAPROXIES} x {RATE} requests per second by each kind of clients:")
        for kind in KINDS:
            print(f"  {kind.words}: {described(kind)}")
        stage.start_load()
        stage.wait_for_load(time.monotonic() + BEFORE)
        times = operate(stage)
        stage.wait_for_load(time.monotonic() + AFTER)
        records = [record for load in stage.loads for record in load.stop()]
        gates = stage.gates()
        for application in stage.applications.values():
            application.stop()
        written = stage.written()
        old_code, words = stage.ask(OLD)
        print(f"the old code, asked once more: {old_code} {words}")
        old, new = (
            [one for server in stage.applications.values() for one in server.arrivals(version)]
            for version in (OLD, NEW)
        )
        hold = stage.last_hold()
    return Course(times, records, old, new, written, old_code, hold, gates)


def described(kind: Kind) -> str:
    if kind.clients == 1:
        return "each request on its own"
    streams = f", {kind.at_once} streams at once" if kind.at_once > 1 else ""
    return f"{kind.clients} connections at each HAProxy{streams}, open before the hold"


def show(verdict: Verdict, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(svg(verdict.picture()), "utf-8")
    print(f"\n{terminal(verdict.picture())}\n")
    for name, value in verdict.rows():
        print(f"  {name:45} {value}")
    for record in verdict.failed[:5]:
        print(f"  failed: {record}")


def conclude(gate: tuple[str, Verdict], maxconn: tuple[str, Contrast]) -> bool:
    """Whether it is clean. Both come with their HAProxy's version."""
    tables = [
        (f"gate on {gate[0]}", gate[1].kinds),
        (f"maxconn on {maxconn[0]}", maxconn[1].seen()),
    ]
    print("", *beside(*tables), LEGEND, sep="\n")
    wrong = gate[1].wrong() + maxconn[1].wrong()
    print(f"\n{'NOT CLEAN: ' + '; '.join(wrong) if wrong else 'CLEAN'}")
    return not wrong


def both_parts(target: Path) -> bool:
    """Whether it is clean."""
    with_gate, without = on_path() or fetched(GATE_ON), for_maxconn()
    print(f"HAProxy {with_gate.version}, with the gate")
    verdict = Verdict(run(with_gate.path, with_gate.version))
    show(verdict, target)
    print(f"\nfor comparison, HAProxy {without.version} by maxconn:", flush=True)
    other = contrast(without.path)
    clean = conclude((with_gate.version, verdict), (without.version, other))
    print(f"The picture: {target}")
    return clean


def stop(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--svg", type=Path, default=ROOT / "build" / "demo.svg")
    options = parser.parse_args()
    # Whoever starts the demo in the background may have it ignore Ctrl-C.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)
    started = time.monotonic()
    try:
        clean = both_parts(options.svg)
    except KeyboardInterrupt:
        print("stopped; nothing is left behind", file=sys.stderr)
        return STOPPED
    except EXPECTED as error:
        print(f"the demo failed: {error}", file=sys.stderr)
        return 1
    print(f"{time.monotonic() - started:.0f} s in all")
    return 0 if clean else 1


if __name__ == "__main__":
    sys.exit(main())
