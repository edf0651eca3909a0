"""Configurations as people run them: the gate's lines in by `gate --patch`, checked, held under
load, resumed. Nobody fails and nobody passes, on the oldest and the newest HAProxy that takes each.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from stillgate import Fleet
from support.app import App
from support.clients.gated import Http1
from support.clients.load import Load
from support.haproxy.configurations import CASES, Case, lay, text_of
from support.haproxy.gate import certificate
from support.haproxy.gate_options import GATE
from support.haproxy.holds import findings, verdicts
from support.haproxy.server import HAProxy
from support.haproxy.versions import LABELS, branch_of
from support.ports import Reserved
from support.process import wait_until

if TYPE_CHECKING:
    from conftest import Binary, Start

pytestmark = pytest.mark.usefixtures("state")
Ports = Callable[[], int]
SERVERS = re.compile(r"(server [a-z]\d \S+):\d+")


@pytest.fixture
def free_port() -> Iterator[Ports]:
    reserved: list[Reserved] = []

    def reserve() -> int:
        reserved.append(Reserved())
        return reserved[-1].port

    yield reserve
    for one in reserved:
        one.close()


def supported() -> list[object]:
    found: list[object] = []
    for case in CASES:
        there = [label for label in LABELS if branch_of(label) >= case.since]
        for label in (there[0], there[-1]):
            found.append(pytest.param(case, label, id=f"{case.name}-{label}"))
    return found


def here(case: Case, folder: Path, port: int, server: int, others: Ports) -> str:
    """With ports of this test's own, and servers that are there."""
    lay(folder)
    text = SERVERS.sub(rf"\1:{server}", text_of(case, folder))
    text = text.replace("chroot /var/lib/haproxy", f"chroot {folder}/root")
    text = text.replace("maxconn 20000", "maxconn 2000")  # a machine may have fewer files
    public = re.search(rf"(?:frontend|listen) {case.frontend}\b.*?bind \S+:(\d+)", text, re.S)
    assert public is not None
    text = text.replace(f":{public[1]}", f":{port}")
    for other in set(re.findall(r"127\.0\.0\.1:(7\d\d\d)\b", text)):
        text = text.replace(f":{other}", f":{others()}")
    return text


def patched(text: str, case: Case, haproxy: str, folder: Path) -> list[str]:
    config = folder / "haproxy.cfg"
    config.write_text(text)
    (folder / "root" / "state").mkdir(parents=True)
    for path in (folder, folder / "root", folder / "root" / "state"):
        path.chmod(0o777)
    line = [sys.executable, "-m", "stillgate", "gate", "--patch", str(config), "--write"]
    line += ["--haproxy", haproxy, "--lua", str(GATE), "--state", f"{folder}/root/state"]
    line += ["--probe", f"sg-{os.getpid()}-{time.monotonic_ns()}", case.frontend]
    done = subprocess.run(line, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return config.read_text().splitlines()


def started(
    start: Start, binary: Binary, case: Case, app: App, folder: Path, free_port: Ports
) -> tuple[HAProxy, int]:
    """With the gate's lines in; and the port of the frontend."""
    port, ends, tls = free_port(), [], case.name == "sni_passthrough"
    server = free_port() if tls else app.port
    if tls:
        ends = ["listen tls_end", "mode http", f"bind 127.0.0.1:{server} ssl crt"]
        ends[-1] += f" {certificate(folder)} ssl-min-ver TLSv1.2"
        ends.append(f"server app 127.0.0.1:{app.port}")
    lines = patched(here(case, folder, port, server, free_port), case, binary.path, folder)
    return start(binary, frontends=[], whole=[*lines, *ends]), port


@pytest.mark.parametrize("case, label", supported())
def test_under_load_nobody_fails_and_nobody_passes(
    case: Case,
    label: str,
    haproxy: Start,
    haproxy_binaries: dict[str, Binary],
    app: App,
    load: Callable[..., Load],
    tmp_path: Path,
    free_port: Ports,
) -> None:
    proxy, port = started(haproxy, haproxy_binaries[label], case, app, tmp_path, free_port)
    fleet = Fleet(proxy.endpoints)
    running = load(port, rate=50, kind="tls" if case.name == "sni_passthrough" else "new")
    running.wait_for(5)
    report = fleet.check(case.frontend, method="gate")
    assert report.ok and "gate_unproven" not in findings(report), report.switches[0].error
    with fleet.suspended(case.frontend, method="gate", max_hold=30) as hold:
        assert verdicts(hold.report) == ["held"]
        began = time.monotonic()
        wait_until(
            lambda: (fleet.status(case.frontend).switches[0].waiting or 0) >= 10, "some that wait"
        )
        told = fleet.status(case.frontend).switches[0]
        ended = time.monotonic()
        assert (told.leaked, told.gate and told.gate.rejected) == (0, 0)
    answered = len(running.records())
    running.wait_for(answered + 5)
    assert [record for record in running.stop() if not record.ok] == []
    assert app.arrived_between(began, ended) == []


@pytest.mark.parametrize("label", [LABELS[0], "sid"])
def test_a_rate_limit_counts_requests_as_they_come_not_as_they_are_let_go(
    label: str,
    haproxy: Start,
    haproxy_binaries: dict[str, Binary],
    app: App,
    tmp_path: Path,
    free_port: Ports,
) -> None:
    case = next(one for one in CASES if one.name == "peers_and_tables")
    text = case.text.replace("(10s)", "(1s)").replace("gt 1000", "gt 60")
    case = Case(case.name, case.frontend, text)
    proxy, port = started(haproxy, haproxy_binaries[label], case, app, tmp_path, free_port)
    fleet = Fleet(proxy.endpoints)

    def wait_waiting(count: int) -> None:
        name = case.frontend
        wait_until(lambda: fleet.status(name).switches[0].waiting == count, f"{count} that wait")

    def rate() -> int:
        found = re.search(r"http_req_rate\(\d+\)=(\d+)", proxy.cli("show table per_address"))
        return int(found[1]) if found else 0

    clients: list[Http1] = []
    with fleet.suspended(case.frontend, method="gate", max_hold=60):
        for count in (40, 20):
            wait_until(lambda: rate() < 10, "a rate that is over")
            clients += [Http1(port).send("held") for _ in range(count)]
            wait_waiting(len(clients))
    assert Counter(client.answer().status for client in clients) == {200: 60}
    for client in clients:
        client.close()
