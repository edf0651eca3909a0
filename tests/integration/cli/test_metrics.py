"""`status --format prometheus` and `--exit-code` on real HAProxies, read by a real Prometheus."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import threading
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from stillgate import Fleet
from support.app import App
from support.clients.gated import Http1
from support.command import COMMAND, F, run, to_fleet
from support.haproxy.gate import Gated
from support.haproxy.guards import active, standby
from support.ports import Reserved
from support.process import wait_until

if TYPE_CHECKING:
    from conftest import Binary, Start

pytestmark = pytest.mark.usefixtures("state")
ALERTS = Path(__file__).resolve().parents[3] / "docs" / "alerts.yml"
NOBODY = "unix:///nowhere/a.sock"
HELD, UNKNOWN, OVERDUE = 10, 11, 12


@contextmanager
def serving(text: str) -> Iterator[int]:
    """An HTTP server with these metrics, as OpenMetrics; its port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # noqa: N802
            self.send_response(200)
            kind = "application/openmetrics-text; version=1.0.0; charset=utf-8"
            self.send_header("Content-Type", kind)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


class Prometheus:
    """Scrapes one port, with the rules of docs/alerts.yml."""

    def __init__(self, folder: Path, scraped: int, port: int) -> None:
        self._api = f"http://127.0.0.1:{port}/api/v1"
        configuration = {
            "global": {"scrape_interval": "200ms", "evaluation_interval": "200ms"},
            "rule_files": [str(ALERTS)],
            "scrape_configs": [
                {
                    "job_name": "stillgate",
                    "scrape_timeout": "200ms",
                    "static_configs": [{"targets": [f"127.0.0.1:{scraped}"]}],
                }
            ],
        }
        folder.mkdir()
        (folder / "prometheus.yml").write_text(json.dumps(configuration))
        self._log = (folder / "log").open("wb")
        self._process = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )

    def close(self) -> None:
        self._process.terminate()
        self._process.wait()
        self._log.close()

    def ask(self, path: str, **query: str) -> Any:
        """None where it does not answer yet."""
        assert self._process.poll() is None, "Prometheus ended by itself"
        try:
            address = f"{self._api}/{path}?{urllib.parse.urlencode(query)}"
            with urllib.request.urlopen(address, timeout=60) as reply:
                return json.load(reply)["data"]
        except OSError:
            return None

    def values(self, name: str) -> dict[str, float]:
        """By endpoint."""
        found = self.ask("query", query=name)
        rows = found["result"] if found else []
        return {row["metric"]["endpoint"]: float(row["value"][1]) for row in rows}

    def firing(self) -> set[str]:
        found = self.ask("alerts")
        rows = found["alerts"] if found else []
        return {row["labels"]["alertname"] for row in rows if row["state"] == "firing"}


def metrics_of(*urls: str) -> str:
    """As `promtool check metrics` finds nothing to say about."""
    done = run("status", F, "--format", "prometheus", *to_fleet(*urls))
    assert (done.returncode, done.stderr) == (0, "")
    checked = subprocess.run(
        ["promtool", "check", "metrics"],
        input=done.stdout,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert (checked.returncode, checked.stdout) == (0, "")
    return done.stdout


def exit_code(*urls: str) -> int:
    return run("status", F, "--exit-code", *to_fleet(*urls)).returncode


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Callable[[str], Prometheus]]:
    """Starts a Prometheus that scrapes this text."""
    with ExitStack() as stack:

        def start(text: str) -> Prometheus:
            reserved = Reserved()
            stack.callback(reserved.close)
            scraped = stack.enter_context(serving(text))
            prometheus = Prometheus(tmp_path / "prometheus", scraped, reserved.port)
            stack.callback(prometheus.close)
            return prometheus

        yield start


def test_prometheus_reads_holds_by_both_methods(
    haproxy_binaries: dict[str, Binary],
    haproxy: Start,
    gated: Callable[..., Gated],
    app: App,
    watched: Callable[[str], Prometheus],
) -> None:
    gate = gated(haproxy_binaries["3.0"], servers=[app.port])
    bare = haproxy("3.0", servers=[app.port])
    by_gate, by_maxconn = gate.proxy.endpoints[0], bare.endpoints[0]
    fleet = Fleet([by_gate, by_maxconn])
    assert exit_code(by_gate, by_maxconn) == 0
    assert exit_code(by_gate, by_maxconn, NOBODY) == UNKNOWN
    fleet.suspend(F, max_hold=600)
    with Http1(gate.port).send("held") as client:
        gate.wait_waiting(1)
        text = metrics_of(by_gate, by_maxconn, NOBODY)
        assert exit_code(by_gate, by_maxconn) == HELD
        fleet.resume(F)
        assert client.answer().status == 200
    prometheus = watched(text)
    up = {by_gate: 1, by_maxconn: 1, NOBODY: 0}
    wait_until(lambda: prometheus.values("stillgate_up") == up, "the scrape")
    assert prometheus.values("stillgate_held") == {by_gate: 1, by_maxconn: 1}
    assert prometheus.values("stillgate_overdue") == {by_gate: 0, by_maxconn: 0}
    assert prometheus.values("stillgate_waiting_requests") == {by_gate: 1}
    assert prometheus.values("stillgate_hold_held_requests") == {by_gate: 1}
    left = prometheus.values("stillgate_hold_remaining_seconds")
    assert set(left) == {by_gate, by_maxconn} and all(0 < one <= 600 for one in left.values())
    # The older text format has no units: it was read as OpenMetrics.
    units = {row["metric"]: row["unit"] for row in prometheus.ask("targets/metadata")}
    assert units["stillgate_hold_remaining_seconds"] == "seconds"
    assert exit_code(by_gate, by_maxconn) == 0


def test_an_alert_fires_beyond_the_deadline(
    haproxy_binaries: dict[str, Binary],
    gated: Callable[..., Gated],
    app: App,
    watched: Callable[[str], Prometheus],
) -> None:
    gate = gated(haproxy_binaries["3.0"], servers=[app.port])
    url = gate.proxy.endpoints[0]
    Fleet([url]).suspend(F, max_hold=1, on_expiry="reject")
    wait_until(lambda: exit_code(url) == OVERDUE, "the deadline")
    prometheus = watched(metrics_of(url))
    wait_until(lambda: prometheus.firing() == {"StillgateOverdue"}, "the alert")
    Fleet([url]).resume(F)
    assert exit_code(url) == 0


@pytest.mark.parametrize("who", [active, standby], ids=["active", "standby"])
def test_an_alert_fires_when_a_guard_is_killed(
    who: Callable[[Path], int],
    haproxy: Start,
    state: Path,
    watched: Callable[[str], Prometheus],
) -> None:
    url = haproxy("3.0").endpoints[0]
    Fleet([url]).suspend(F, max_hold=600)

    def is_told(name: str, value: int) -> bool:
        line = rf"^stillgate_{name}\{{.*\}} {value}$"
        return re.search(line, metrics_of(url), re.M) is not None

    assert is_told("guard_lost", 0) and is_told("guards", 2)
    os.kill(who(state), signal.SIGKILL)
    # The other one goes on, and starts another.
    wait_until(lambda: is_told("guard_lost", 1) and is_told("guards", 2), "the other one's word")
    prometheus = watched(metrics_of(url))
    wait_until(lambda: prometheus.firing() == {"StillgateGuardLost"}, "the alert")
    Fleet([url]).resume(F)


@pytest.mark.parametrize(
    "sample, alert, before, after",
    [
        ("stillgate_overdue", "StillgateOverdue", None, "1m"),
        ("stillgate_guard_lost", "StillgateGuardLost", None, "1m"),
        ("stillgate_guards", "StillgateNoGuard", None, "1m"),
        ("stillgate_up", "StillgateUnreachable", "4m", "6m"),
        ("node_textfile_mtime_seconds", "StillgateMetricsStale", "4m", "6m"),
    ],
)
def test_an_alert_rule(
    sample: str, alert: str, before: str | None, after: str, tmp_path: Path
) -> None:
    """By promtool, which waits for no minutes."""
    values = {"stillgate_up": ("0", "1"), "stillgate_guards": ("0", "2")}
    values |= {"node_textfile_mtime_seconds": ("0", "0+60")}
    bad, good = values.get(sample, ("1", "0"))
    assert fires(sample, bad, alert, after, tmp_path)
    assert not fires(sample, good, alert, "10m", tmp_path)
    assert before is None or not fires(sample, bad, alert, before, tmp_path)


def fires(sample: str, value: str, alert: str, after: str, folder: Path) -> bool:
    labels = f'endpoint="a",frontend="{F}",file="/var/stillgate.prom"'
    series = {"series": f"{sample}{{{labels}}}", "values": f"{value}x20"}
    rule = {"eval_time": after, "alertname": alert, "exp_alerts": []}
    test = {"interval": "1m", "input_series": [series], "alert_rule_test": [rule]}
    told = {"rule_files": [str(ALERTS)], "evaluation_interval": "1m", "tests": [test]}
    (folder / "test.yml").write_text(json.dumps(told))
    command = ["promtool", "test", "rules", str(folder / "test.yml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0 or f"alertname: {alert}" in done.stderr, done.stderr
    return done.returncode != 0


def test_the_lines_for_node_exporter_write_a_whole_file(haproxy: Start, tmp_path: Path) -> None:
    """As they stand on the page; where they fail, the old file stays."""
    inventory = tmp_path / "stillgate.toml"
    inventory.write_text(f'[fleet.production]\nendpoints = ["{haproxy("3.0").endpoints[0]}"]\n')
    inventory.chmod(0o600)
    folder = tmp_path / "textfile"
    folder.mkdir()
    page = (ALERTS.parent / "metrics.md").read_text()
    (lines,) = re.findall(r"^    (cd /var/lib.*\n(?:    .*\n)+)", page, re.MULTILINE)
    script = lines.replace("/var/lib/prometheus/node-exporter", str(folder))
    script = script.replace("stillgate status", f"{shlex.join(COMMAND)} status")

    def write() -> int:
        told = {**os.environ, "STILLGATE_INVENTORY": str(inventory)}
        return subprocess.run(["sh", "-c", script], env=told, check=False).returncode

    assert write() == 0
    written = (folder / "stillgate.prom").read_text()
    assert 'stillgate_up{fleet="production"' in written and written.endswith("# EOF\n")
    assert [one.name for one in folder.iterdir()] == ["stillgate.prom"]
    inventory.write_text("[fleet.other]\n")
    assert write() != 0
    assert (folder / "stillgate.prom").read_text() == written


def test_what_does_not_go_together_is_refused() -> None:
    for options in (["--format", "prometheus", "--json"], ["--watch", "--exit-code"]):
        done = run("status", "-e", NOBODY, *options)
        assert (done.returncode, "Error: " in done.stderr) == (2, True)
