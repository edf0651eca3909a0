"""What the gate costs: with nothing held, while it holds thousands, and from the release to the
first byte. On real HAProxies of several versions, with a second HAProxy as the application.
"""

from __future__ import annotations

import re
import selectors
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from bench.crowd import release_crowd

from stillgate import Fleet, TooLate
from support.haproxy.fetch import ensure
from support.haproxy.gate_options import gate_options
from support.haproxy.server import Frontend, HAProxy
from support.process import wait_until

F = "balanced"
REQUEST = b"GET / HTTP/1.1\r\nHost: bench\r\n\r\n"
LONG = 60.0  # seconds; each hold is ended by the bench itself
CLIENTS = 8
CROWDS = 20_000, 100_000  # held; others may be stopped for 50 ms at most by their release
# Instructions of a request with the lines of commit 5f4e077 and none held, against none of them:
# what the gate cost before it had its bound, its counts and its mark by priority class.
COST_BEFORE = {"2.6": 1.097, "3.0": 1.096, "sid": 1.092}
SCATTER = 1.01  # of the same figure from run to run, and of what the mark costs on sid
ROOM = 9500  # connections, under the file limit that most machines have


@dataclass
class GateFigures:
    """By HAProxy's label, and where it is asked by its threads. Times and CPU are HAProxy's."""

    idle_us: dict[tuple[str, int], float] = field(default_factory=dict)  # per request, added
    release_ms: dict[str, float] = field(default_factory=dict)  # to the first byte, one waits
    holding_percent: dict[tuple[str, int], float] = field(default_factory=dict)  # of a core
    # From the release to the last answer, where HAProxy answers itself, so that no server counts.
    answered_ms: dict[tuple[str, int], float] = field(default_factory=dict)
    # The same through an application, against as many requests at once that were never held.
    burst_ratio: dict[tuple[str, int], float] = field(default_factory=dict)
    held_kb: dict[tuple[str, int], float] = field(default_factory=dict)  # per held request
    # Of a request with nothing held, against one without the gate; where there is a valgrind.
    instructions: dict[str, float] = field(default_factory=dict)
    # While very many are let go: HAProxy's own CPU from another frontend's request to its answer;
    # and when the last of them, over HTTP/2, had its answer.
    stop_ms: dict[tuple[str, int], float] = field(default_factory=dict)
    crowd_ms: dict[tuple[str, int], float] = field(default_factory=dict)

    def rows(self) -> list[tuple[str, float, float, str]]:
        """What, how much, at most, and the unit; against the design's budget."""
        found = []
        for (label, threads), added in self.idle_us.items():
            what = (
                f"gate, {label}, {threads} thread{'s' * (threads > 1)}: CPU per request, none held"
            )
            found.append((what, added, 1.5, "us"))
        for label, ratio in self.instructions.items():
            what = f"gate, {label}: instructions per request, none held, against no gate"
            found.append((what, ratio, COST_BEFORE[label] * SCATTER, "x"))
        for (label, many), taken in self.stop_ms.items():
            what = f"gate, {label}: {many:,} released, the longest stop of others"
            found.append((what, taken, 50.0, "ms"))
        for (label, many), taken in self.crowd_ms.items():
            what = f"gate, {label}: {many:,} released over HTTP/2, all answered"
            found.append((what, taken, 0.2 * many, "ms"))  # much of it is the client's
        for label, taken in self.release_ms.items():
            limit = 6.0 if label == "2.6" else 1.0
            found.append((f"gate, {label}: release to the first byte", taken, limit, "ms"))
        for (label, many), percent in self.holding_percent.items():
            limit = 15.0 if label == "2.6" else 2.0
            found.append((f"gate, {label}: a core's share, {many:,} held", percent, limit, "%"))
        for (label, many), taken in self.answered_ms.items():
            found.append((f"gate, {label}: {many:,} released, all answered", taken, 150.0, "ms"))
        for (label, many), ratio in self.burst_ratio.items():
            what = f"gate, {label}: {many:,} released to an application, against never held"
            found.append((what, ratio, 1.25, "x"))
        for (label, many), kilobytes in self.held_kb.items():
            found.append((f"gate, {label}: memory per held request", kilobytes, 18.0, "kB"))
        return found


def measure_gate(quick: bool) -> GateFigures:
    figures = GateFigures()
    rounds = 3 if quick else 9
    for label in ("2.6", "3.0", "sid"):
        binary = ensure([label])[label]["path"]
        for threads in (1, 2):
            figures.idle_us[label, threads] = _idle(binary, threads, rounds)
        if shutil.which("valgrind"):
            figures.instructions[label] = _instructions(binary)
        for crowd in CROWDS if not quick else CROWDS[:1]:
            figures.stop_ms[label, crowd], figures.crowd_ms[label, crowd] = release_crowd(
                binary, _version(binary), crowd
            )
        figures.release_ms[label] = _release(binary, 10 if quick else 50)
        many = 1000 if quick or label == "2.6" else 5000
        figures.holding_percent[label, many], figures.held_kb[label, many] = _holding(binary, many)
        times = 1 if quick else 3
        figures.answered_ms[label, many] = median(_released(binary, many) for _ in range(times))
        with application() as port:
            released = median(_released(binary, many, port) for _ in range(times))
            burst = median(_burst(binary, many, port) for _ in range(times))
        figures.burst_ratio[label, many] = released / burst
    return figures


# --- the stage ------------------------------------------------------------------------


@contextmanager
def application() -> Iterator[int]:
    """Its port: an HAProxy that answers each request by itself, faster than any other could."""
    answers = Frontend(
        "app", maxconn=20_000, backlog=8192, lines=("http-request return status 200",)
    )
    with HAProxy(ensure(["3.0"])["3.0"]["path"], frontends=[answers], global_maxconn=ROOM) as proxy:
        yield proxy.ports["app"]


@contextmanager
def gated(
    binary: str,
    port: int = 0,
    gate: bool = True,
    threads: int = 1,
    answers: bool = False,
    real: str = "",
) -> Iterator[HAProxy]:
    """With `answers` it answers each request itself behind the gate, and has no application. `real`
    is what `binary` runs, if it is another.
    """
    with tempfile.TemporaryDirectory(prefix="sgg-") as folder:
        answering = ["http-request return status 200"] if answers else []
        options = gate_options(
            F,
            Path(folder) / "gate",
            _version(real or binary),
            lines=gate,
            behind=answering,
            maxconn=9000,
            backlog=8192,
            servers=[port] if port else (),
            nbthread=threads,
            global_maxconn=ROOM,
        )
        if not gate:
            options["extra_global"] = []
        with HAProxy(binary, **options) as proxy:
            if gate:
                # A young process looks at its state file at each request, and costs more.
                wait_until(lambda: _short_cut(proxy), "the gate's short cut")
            yield proxy


def _version(binary: str) -> str:
    return next(
        one["version"] for one in ensure(["2.6", "3.0", "sid"]).values() if one["path"] == binary
    )


def _short_cut(proxy: HAProxy) -> bool:
    with _connect(proxy.ports[F]) as client:
        client.sendall(REQUEST)
        client.recv(4096)
    return "<1>" in proxy.cli(f"get var proc.stillgate_guard_{F}")


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
        proxies = {
            gate: stack.enter_context(gated(binary, gate=gate, threads=threads, answers=True))
            for gate in (True, False)
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


def _instructions(binary: str) -> float:
    """A request's with the gate's lines against one's without them, in HAProxy's instructions."""
    return _counted(binary, True) / _counted(binary, False)


def _counted(binary: str, gate: bool) -> float:
    """Of a request on a kept connection, less what HAProxy does in the same time without any."""
    many = 2000
    with tempfile.TemporaryDirectory(prefix="sgv-") as folder:
        counted = Path(folder) / "haproxy"
        line = f'exec valgrind --tool=callgrind --callgrind-out-file=/dev/null {binary} "$@"\n'
        counted.write_text("#!/bin/sh\n" + line)
        counted.chmod(0o755)
        with gated(str(counted), gate=gate, answers=True, real=binary) as proxy:
            with _connect(proxy.ports[F]) as client:
                _callgrind("--zero", proxy.pid)
                begun = time.monotonic()
                for _ in range(many):
                    client.sendall(REQUEST)
                    assert client.recv(4096).startswith(b"HTTP/1.1 200")
                taken = time.monotonic() - begun
                busy = _instructions_so_far(proxy.pid)
                _callgrind("--zero", proxy.pid)
                time.sleep(taken)
                idle = _instructions_so_far(proxy.pid)
        return (busy - idle) / many


def _callgrind(what: str, pid: int) -> str:
    command = ["callgrind_control", what, str(pid)]
    return subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True
    ).stdout


def _instructions_so_far(pid: int) -> int:
    threads = re.findall(r"Th \d+ +([\d,]+)", _callgrind("-e", pid))
    assert threads
    return sum(int(one.replace(",", "")) for one in threads)


def _release(binary: str, times: int) -> float:
    """From the switch's first byte to the first byte of the answer, with one request held."""
    taken = []
    with application() as port, gated(binary, port) as proxy:
        for _ in range(times):
            with held(proxy), _connect(proxy.ports[F]) as client:
                client.sendall(REQUEST)
                wait_until(lambda: _waiting(proxy) == 1, "one that waits")
                with proxy.connect() as cli:
                    begun = time.monotonic()
                    cli.sendall(_opening())
                    assert client.recv(4096).startswith(b"HTTP/1.1 200")
                    taken.append(1000 * (time.monotonic() - begun))
    return median(taken)


def _holding(binary: str, many: int) -> tuple[float, float]:
    """CPU in per cent of a core while so many are held, and memory for each in kB."""
    with gated(binary, answers=True) as proxy, ExitStack() as stack:
        clients = [stack.enter_context(_connect(proxy.ports[F])) for _ in range(many)]
        before = _memory_kb(proxy.pid)
        with held(proxy):
            _send_and_wait(proxy, clients)
            memory = (_memory_kb(proxy.pid) - before) / many
            begun, used = time.monotonic(), _cpu_us(proxy.pid)
            while time.monotonic() < begun + 3.0:
                time.sleep(0.1)
            percent = (_cpu_us(proxy.pid) - used) / (1e4 * (time.monotonic() - begun))
    return percent, memory


def _released(binary: str, many: int, port: int = 0) -> float:
    """Until the last of so many held requests is answered: by HAProxy, or by who is at `port`."""
    with gated(binary, port, answers=not port) as proxy, ExitStack() as stack:
        clients = [stack.enter_context(_connect(proxy.ports[F])) for _ in range(many)]
        with held(proxy):
            _send_and_wait(proxy, clients)
            cli = stack.enter_context(proxy.connect())
            answered = _all_answered(clients, lambda: cli.sendall(_opening()))
    return answered


def _burst(binary: str, many: int, port: int) -> float:
    """What as many requests at once take where no gate is in the way: the floor of a release."""
    with gated(binary, port, gate=False) as proxy, ExitStack() as stack:
        clients = [stack.enter_context(_connect(proxy.ports[F])) for _ in range(many)]

        def send() -> None:
            for client in clients:
                client.send(REQUEST)

        answered = _all_answered(clients, send)
    return answered


def _send_and_wait(proxy: HAProxy, clients: list[socket.socket]) -> None:
    for client in clients:
        client.sendall(REQUEST)
    wait_until(lambda: _waiting(proxy) == len(clients), "all that wait")


def _all_answered(clients: list[socket.socket], start: Callable[[], None]) -> float:
    """Milliseconds from the start to the last answer's first bytes."""
    with selectors.DefaultSelector() as selector:
        for client in clients:
            client.setblocking(False)
            selector.register(client, selectors.EVENT_READ)
        begun = time.monotonic()
        start()
        left = len(clients)
        while left > 0:
            ready = selector.select(10.0)
            assert ready, f"{left} of {len(clients)} were never answered"
            for key, _ in ready:
                answered = key.fileobj
                assert isinstance(answered, socket.socket)
                assert answered.recv(4096).startswith(b"HTTP/1.1 200")
                selector.unregister(answered)
                left -= 1
        return 1000 * (time.monotonic() - begun)


@contextmanager
def held(proxy: HAProxy) -> Iterator[None]:
    """The caller may open it by hand; what Stillgate keeps of it is closed behind that."""
    fleet = Fleet(proxy.endpoints)
    fleet.suspend(F, method="gate", max_hold=LONG, drain_timeout=0)
    try:
        yield
    finally:
        with suppress(TooLate):  # opened by hand: the hold had ended before this
            fleet.resume(F)


def _opening() -> bytes:
    return (
        f"experimental-mode on; set var proc.stillgate_gate_{F} str(open); stillgate sync {F}\n"
    ).encode()


def _waiting(proxy: HAProxy) -> int:
    return Fleet(proxy.endpoints).status(F).switches[0].waiting or 0
