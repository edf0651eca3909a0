"""What the gate costs: with nothing held, while it holds thousands, and from the release to the
first byte. On real HAProxies of several versions, with a second HAProxy as the application.
"""

from __future__ import annotations

import os
import re
import selectors
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from stillgate import Fleet
from support.fetch_haproxy import ensure
from support.haproxy import Frontend, HAProxy, wait_until

GATE = Path(__file__).resolve().parents[2] / "python" / "stillgate" / "gate" / "gate.lua"
F = "balanced"
REQUEST = b"GET / HTTP/1.1\r\nHost: bench\r\n\r\n"
LONG = 60.0  # seconds; each hold is ended by the bench itself
CLIENTS = 8


@dataclass
class GateFigures:
    """By HAProxy's label, and where it is asked by its threads. Times and CPU are HAProxy's."""

    idle_us: dict[tuple[str, int], float] = field(default_factory=dict)  # per request, added
    release_ms: dict[str, float] = field(default_factory=dict)  # to the first byte, one waits
    holding_percent: dict[tuple[str, int], float] = field(default_factory=dict)  # of a core
    answered_ms: dict[tuple[str, int], float] = field(default_factory=dict)  # to the last answer
    held_kb: dict[tuple[str, int], float] = field(default_factory=dict)  # per held request


def measure_gate(quick: bool) -> GateFigures:
    figures = GateFigures()
    rounds = 3 if quick else 9
    for label in ("2.6", "3.0", "sid"):
        binary = ensure([label])[label]["path"]
        for threads in (1, 2):
            figures.idle_us[label, threads] = _idle(binary, threads, rounds)
        figures.release_ms[label] = _release(binary, 10 if quick else 50)
        many = 1000 if quick or label == "2.6" else 5000
        percent, answered, kilobytes = _holding(binary, many)
        figures.holding_percent[label, many] = percent
        figures.answered_ms[label, many] = answered
        figures.held_kb[label, many] = kilobytes
    return figures


# --- the stage ------------------------------------------------------------------------


def gate_lines(frontend: str) -> tuple[str, ...]:
    found = "{ var(txn.stillgate) -m found }"
    return (
        f'bind "abns@${{STILLGATE_PROBE}}-{frontend}" name stillgate',
        "http-request set-var(txn.stillgate) str(wait) unless "
        f"{{ var(proc.stillgate_guard_{frontend}) -m str open }} "
        "!{ stopping } !{ so_name stillgate }",
        f"http-request lua.stillgate if {found}",
        "http-request deny deny_status 503 hdr Retry-After 1 if "
        f"{found} !{{ var(txn.stillgate) -m str go }}",
    )


@contextmanager
def application() -> Iterator[int]:
    """Its port: an HAProxy that answers each request by itself, faster than any other could."""
    answers = Frontend("app", maxconn=20_000, backlog=8192, lines=("http-request return status 200",))
    with HAProxy(ensure(["3.0"])["3.0"]["path"], frontends=[answers], **_room()) as proxy:
        yield proxy.ports["app"]


@contextmanager
def gated(binary: str, port: int, gate: bool = True, threads: int = 1) -> Iterator[HAProxy]:
    with tempfile.TemporaryDirectory(prefix="sgg-") as folder:
        os.chmod(folder, 0o777)
        probe = Path(folder).name
        frontend = Frontend(F, maxconn=9000, backlog=8192, lines=gate_lines(F) if gate else ())
        loading = [
            f"setenv STILLGATE_STATE {folder}",
            f"setenv STILLGATE_PROBE {probe}",
            f"lua-load {GATE}",
        ]
        with HAProxy(
            binary,
            frontends=[frontend],
            servers=[port],
            nbthread=threads,
            extra_global=loading if gate else (),
            extra_defaults=["option abortonclose"],
            **_room(),
        ) as proxy:
            if gate:
                # A young process looks at its state file at each request, and costs more.
                wait_until(lambda: _short_cut(proxy), 15.0, "the gate's short cut")
            yield proxy


def _room() -> dict[str, int]:
    return {"global_maxconn": 9500}


def _short_cut(proxy: HAProxy) -> bool:
    with _connect(proxy.ports[F]) as client:
        client.sendall(REQUEST)
        client.recv(4096)
    return "<open>" in proxy.cli(f"get var proc.stillgate_guard_{F}")


def _connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), 10)


def _cpu_us(pid: int) -> float:
    """What its threads have run so far."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1000


def _memory_kb(pid: int) -> int:
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1])


# --- what is measured -----------------------------------------------------------------


def _idle(binary: str, threads: int, rounds: int) -> float:
    """What the gate's lines add to a request, in turns with the same configuration without them."""
    each: dict[bool, list[float]] = {True: [], False: []}
    with ExitStack() as stack:
        port = stack.enter_context(application())
        proxies = {
            gate: stack.enter_context(gated(binary, port, gate, threads)) for gate in (True, False)
        }
        for turn in range(rounds + 1):
            for gate in (True, False) if turn % 2 else (False, True):
                cost = _requests(proxies[gate])
                if turn > 0:
                    each[gate].append(cost)
    return median(with_ - without for with_, without in zip(each[True], each[False]))


def _requests(proxy: HAProxy) -> float:
    """HAProxy's CPU per request, under as many as it can take on kept connections."""
    before = _cpu_us(proxy.pid)
    done = subprocess.run(
        ["wrk", "-t1", f"-c{CLIENTS}", "-d1s", f"http://127.0.0.1:{proxy.ports[F]}/"],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    used = _cpu_us(proxy.pid) - before
    found = re.search(r"(\d+) requests in", done.stdout)
    assert found is not None and "Non-2xx" not in done.stdout, done.stdout
    return used / int(found[1])


def _release(binary: str, times: int) -> float:
    """From the switch's first byte to the first byte of the answer, with one request held."""
    taken = []
    with application() as port, gated(binary, port) as proxy:
        for _ in range(times):
            with held(proxy), _connect(proxy.ports[F]) as client:
                client.sendall(REQUEST)
                wait_until(lambda: _waiting(proxy) == 1, 10.0, "one that waits")
                with proxy.connect() as cli:
                    begun = time.monotonic()
                    cli.sendall(_opening())
                    assert client.recv(4096).startswith(b"HTTP/1.1 200")
                    taken.append(1000 * (time.monotonic() - begun))
    return median(taken)


def _holding(binary: str, many: int) -> tuple[float, float, float]:
    """CPU in per cent of a core while so many are held, the time to the last answer, and memory."""
    with application() as port, gated(binary, port) as proxy, ExitStack() as stack:
        clients = [stack.enter_context(_connect(proxy.ports[F])) for _ in range(many)]
        before = _memory_kb(proxy.pid)
        with held(proxy):
            for client in clients:
                client.sendall(REQUEST)
            wait_until(lambda: _waiting(proxy) == many, 30.0, "all that wait")
            memory = (_memory_kb(proxy.pid) - before) / many
            begun, used = time.monotonic(), _cpu_us(proxy.pid)
            while time.monotonic() < begun + 3.0:
                time.sleep(0.1)
            percent = (_cpu_us(proxy.pid) - used) / (1e4 * (time.monotonic() - begun))
            answered = _all_answered(clients, stack.enter_context(proxy.connect()))
    return percent, answered, memory


def _all_answered(clients: list[socket.socket], cli: socket.socket) -> float:
    with selectors.DefaultSelector() as selector:
        for client in clients:
            client.setblocking(False)
            selector.register(client, selectors.EVENT_READ)
        begun = time.monotonic()
        cli.sendall(_opening())
        left = len(clients)
        while left > 0:
            ready = selector.select(10.0)
            assert ready, f"{left} of {len(clients)} were never answered"
            for key, _ in ready:
                client = key.fileobj
                assert isinstance(client, socket.socket)
                assert client.recv(4096).startswith(b"HTTP/1.1 200")
                selector.unregister(client)
                left -= 1
        return 1000 * (time.monotonic() - begun)


@contextmanager
def held(proxy: HAProxy) -> Iterator[None]:
    """The caller itself opens it; what Stillgate keeps of it is closed behind that."""
    fleet = Fleet(proxy.endpoints)
    fleet.suspend(F, method="gate", max_hold=LONG, drain_timeout=0)
    try:
        yield
    finally:
        fleet.resume(F)


def _opening() -> bytes:
    return (
        f"experimental-mode on; set var proc.stillgate_gate_{F} str(open); stillgate sync {F}\n"
    ).encode()


def _waiting(proxy: HAProxy) -> int:
    return Fleet(proxy.endpoints).status(F).switches[0].waiting or 0
