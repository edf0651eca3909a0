"""The tests' own support works: real HAProxies, the application, the load and the misbehaving
peers.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from support.app import App
from support.clients.load import Load
from support.haproxy.faulty_peer import (
    FaultyPeer,
    close,
    cut_after,
    endless,
    garbage,
    reset,
    serve,
    slow,
)
from support.haproxy.server import Frontend, HAProxy
from support.process import wait_until

if TYPE_CHECKING:
    from conftest import Binary, Start


def talk(endpoint: str, sent: bytes) -> bytes:
    """What an endpoint answers to these bytes until it closes."""
    scheme, _, address = endpoint.partition("://")
    if scheme == "unix":
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.connect(address)
    else:
        host, _, port = address.rpartition(":")
        connection = socket.create_connection((host, int(port)))
    received = b""
    with connection:
        connection.settimeout(10)
        connection.sendall(sent)
        while piece := connection.recv(65536):
            received += piece
    return received


def test_each_version_starts_and_answers(haproxy_version: Binary, haproxy: Start) -> None:
    proxy = haproxy(haproxy_version, unix_sockets=3, tcp_socket=True, nbthread=2, stats_maxconn=50)
    assert proxy.info()["Version"].startswith(haproxy_version.version)
    assert len(proxy.endpoints) == 4
    for endpoint in proxy.endpoints:
        assert b"\nPid: %d\n" % proxy.pid in talk(endpoint, b"prompt\nshow info\nquit\n")


def test_the_options_reach_haproxy(haproxy_version: Binary, haproxy: Start) -> None:
    frontends = [Frontend("a", 7), Frontend("b", 9, backlog=5), Frontend("c", None, mode="tcp")]
    proxy = haproxy(haproxy_version, frontends=frontends, level="operator", global_maxconn=333)
    assert [proxy.limit(name) for name in "abc"] == [7, 9, 333]
    assert proxy.cli("set maxconn frontend a 5") == "Permission denied\n"


def test_master_worker_reloads(haproxy_version: Binary, haproxy: Start) -> None:
    proxy = haproxy(haproxy_version, master_worker=True)
    before = proxy.worker_pid
    assert before != proxy.pid
    proxy.reload()
    assert proxy.worker_pid != before


def test_a_killed_one_is_gone_and_comes_back_on_its_ports(
    haproxy_version: Binary, haproxy: Start
) -> None:
    proxy = haproxy(haproxy_version, master_worker=True)
    proxy.kill()
    assert not proxy.alive() and not proxy.left_running()
    ports = dict(proxy.ports)
    proxy.restart()
    assert proxy.ports == ports
    socket.create_connection(("127.0.0.1", ports["balanced"]), 5).close()


def test_load_reaches_the_application_and_is_answered(
    haproxy_version: Binary, haproxy: Start, app: App, load: Callable[..., Load]
) -> None:
    proxy: HAProxy = haproxy(haproxy_version, servers=[app.port])
    running = load(proxy.ports["balanced"], rate=300)
    running.wait_for(150)
    records = running.stop()
    assert len(records) >= 150
    assert [record for record in records if not record.ok] == []
    sent = {record.id: record for record in records}
    arrivals = app.arrivals()
    assert {arrival.id for arrival in arrivals} == set(sent)
    assert all(sent[a.id].sent_at <= a.at <= sent[a.id].finished_at for a in arrivals)
    assert len(app.arrived_between(records[0].sent_at, records[-1].finished_at)) == len(records)
    assert proxy.served("balanced") == len(records)


@pytest.mark.parametrize(
    "kind, clients, at_once", [("new", 1, 1), ("keep-alive", 6, 1), ("http2", 2, 5)]
)
def test_clients_of_each_kind_keep_to_their_connections(
    haproxy_version: Binary, app: App, haproxy: Start, kind: str, clients: int, at_once: int
) -> None:
    proxy: HAProxy = haproxy(haproxy_version, servers=[app.port])
    running = Load(
        proxy.ports["balanced"],
        rate=200,
        seconds=0.3,
        method="POST",
        kind=kind,
        clients=clients,
        at_once=at_once,
    )
    with running:
        records = running.finish()
    assert records and [record for record in records if not record.ok] == []
    assert {arrival.id for arrival in app.arrivals()} == {record.id for record in records}
    connections = int(next(row for row in proxy.stat() if row["svname"] == "FRONTEND")["conn_tot"])
    assert connections == (len(records) if kind == "new" else clients)


@pytest.mark.parametrize("kind", ["keep-alive", "http2"])
def test_requests_on_a_connection_that_is_lost_have_failed(
    haproxy: Start, app: App, kind: str
) -> None:
    proxy: HAProxy = haproxy("2.6", servers=[app.port])
    waiting = Load(
        proxy.ports["balanced"], rate=50, seconds=0.2, path="/?ms=30000", kind=kind, clients=5
    )
    with waiting:
        wait_until(lambda: len(app.arrivals()) >= 5, "five requests at the application")
        proxy.kill()
        failed = [record for record in waiting.finish() if not record.ok]
    assert {"0", "1", "2", "3", "4"} <= {record.id for record in failed}
    assert all(record.error for record in failed)


def test_load_says_what_failed(load: Callable[..., Load]) -> None:
    with FaultyPeer([close()], tcp=True) as peer:
        port = int(peer.endpoint.rpartition(":")[2])
        records = load(port, rate=50, seconds=0.1).finish()
    assert len(records) == 5
    assert not any(record.ok for record in records) and all(record.error for record in records)


@pytest.mark.parametrize("tcp", [False, True], ids=["unix", "tcp"])
class TestFaultyPeer:
    answers = {"show info": "Name: HAProxy\n"}
    question = b"prompt\nshow info\nquit\n"
    whole = b"\n> Name: HAProxy\n\n> "

    def test_serves_as_haproxy_does(self, tcp: bool) -> None:
        with FaultyPeer(answers=self.answers, tcp=tcp) as peer:
            assert talk(peer.endpoint, self.question) == self.whole
            assert talk(peer.endpoint, b"show info\n") == b"Name: HAProxy\n\n"
            assert peer.lines == ["prompt", "show info", "quit", "show info"]

    def test_slowly(self, tcp: bool) -> None:
        with FaultyPeer([slow(1)], answers=self.answers, tcp=tcp) as peer:
            assert talk(peer.endpoint, self.question) == self.whole

    def test_cut_at_every_byte(self, tcp: bool) -> None:
        for size in range(len(self.whole)):
            with FaultyPeer([cut_after(size)], answers=self.answers, tcp=tcp) as peer:
                assert talk(peer.endpoint, b"prompt\nshow info\n") == self.whole[:size]

    def test_garbage_and_endless(self, tcp: bool) -> None:
        with FaultyPeer([garbage(b"\0\xff")], [endless(300_000)], tcp=tcp) as peer:
            assert talk(peer.endpoint, b"prompt\n") == b"\0\xff"
            assert len(talk(peer.endpoint, b"prompt\n")) == 300_000

    def test_reset_first_and_well_after(self, tcp: bool) -> None:
        with FaultyPeer([reset()], [serve()], answers=self.answers, tcp=tcp) as peer:
            with pytest.raises(ConnectionResetError):
                talk(peer.endpoint, self.question)
            assert talk(peer.endpoint, self.question) == self.whole
