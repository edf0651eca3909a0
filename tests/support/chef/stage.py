"""Two real HAProxies under load for Chef to hold, by either method, and what must be true."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from support.app import App
from support.clients.load import Load
from support.haproxy.gate import Gated
from support.haproxy.server import HAProxy
from support.process import wait_until

F = "balanced"
# Where a resume by maxconn crashes nobody, and where the gate is the only way.
STAGES = [("gate", "2.6"), ("gate", "3.0"), ("maxconn", "3.0")]
RATE = 20.0  # a second per HAProxy; they wait for as long as chef-client runs
PATIENCE = 90.0


class ChefStage:
    """Made by a test's fixture of that name; open() starts the HAProxies."""

    def __init__(
        self,
        haproxy: Callable[..., HAProxy],
        gated: Callable[..., Gated],
        binaries: Mapping[str, Any],
        app: App,
        load: Callable[..., Load],
    ) -> None:
        self._haproxy, self._gated, self._binaries = haproxy, gated, binaries
        self._app, self._load = app, load
        self.proxies: list[HAProxy] = []
        self._ports: list[int] = []
        self._gates: list[Gated] = []
        self._loads: list[Load] = []

    def open(self, method: str, label: str) -> list[str]:
        """Starts two; their endpoints."""
        servers = [self._app.port]
        timeouts = [f"timeout {side} 120s" for side in ("client", "server")]
        self._by_gate = method == "gate"
        for _ in range(2):
            if self._by_gate:
                self._gates.append(
                    self._gated(self._binaries[label], servers=servers, extra_defaults=timeouts)
                )
                self.proxies.append(self._gates[-1].proxy)
            else:
                self.proxies.append(
                    self._haproxy(
                        label, servers=servers, maxconn=3000, backlog=4096, extra_defaults=timeouts
                    )
                )
        self._ports = [proxy.ports[F] for proxy in self.proxies]
        return [proxy.endpoints[0] for proxy in self.proxies]

    def start_load(self) -> None:
        """Returns when it flows. By maxconn, what keeps its connection is not held."""
        kinds = ["new", "keep-alive"] if self._by_gate else ["new"]
        for port in self._ports:
            for kind in kinds:
                self._loads.append(self._load(port, rate=RATE, timeout=PATIENCE, kind=kind))
        for generator in self._loads:
            generator.wait_for(10)

    def held(self) -> list[bool]:
        """By the HAProxies' own words."""
        if self._by_gate:
            return [gate.status(F)["mode"] == "held" for gate in self._gates]
        return [proxy.limit(F) == 0 for proxy in self.proxies]

    def wait_quiet(self) -> float:
        """When what was let in before is served, the time."""

        def served() -> bool:
            # Who waits in a gate counts as the frontend's, and has no backend yet.
            rows = [row for one in self.proxies for row in one.stat() if row["svname"] == "BACKEND"]
            return all(int(row["scur"] or 0) + int(row["qcur"] or 0) == 0 for row in rows)

        wait_until(served, "the end of what was let in before")
        return time.monotonic()

    def nothing_passed_since(self, began: float) -> None:
        ended = time.monotonic()
        assert self.held() == [True] * 2
        assert self._app.arrived_between(began, ended) == []

    def nothing_passed_for(self, seconds: float) -> None:
        began = self.wait_quiet()
        wait_until(lambda: time.monotonic() > began + seconds, "the load")
        self.nothing_passed_since(began)

    def arrivals_since(self, began: float) -> list[float]:
        return [one.at for one in self._app.arrived_between(began, time.monotonic())]

    def flows_again(self) -> None:
        already = [sum(record.ok for record in one.records()) for one in self._loads]
        for generator, count in zip(self._loads, already):
            generator.wait_for(count + 10)

    def nobody_failed(self) -> None:
        """Ends the load."""
        everything = [record for generator in self._loads for record in generator.stop()]
        assert len(everything) > 20
        assert [record for record in everything if not record.ok] == []
