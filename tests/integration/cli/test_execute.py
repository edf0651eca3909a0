"""One command to a fleet: real HAProxies of each version, and peers that misbehave."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from stillgate import Fleet, Outcome
from support.command import run, to_fleet
from support.haproxy.faulty_peer import (
    FaultyPeer,
    close,
    dead_unix_socket,
    endless,
    garbage,
    reset,
    say,
    silence,
    slow,
)
from support.haproxy.server import Frontend, HAProxy
from support.patience import HANG_S, patient
from support.process import wait_until

if TYPE_CHECKING:
    from conftest import Binary, Start

ANSWER = {"show info": "Name: fake\n"}


def one_error(endpoint: str, **options: float) -> str:
    (outcome,) = Fleet([endpoint], **options).execute("show info")  # type: ignore[arg-type]
    assert outcome.error is not None and outcome.reply is None
    return outcome.error.code


def test_unix_and_tcp_on_each_version(haproxy_version: Binary, haproxy: Start) -> None:
    proxy = haproxy(haproxy_version, tcp_socket=True)
    fleet = Fleet([*reversed(proxy.endpoints)])
    answers = fleet.info()
    assert [answer.endpoint for answer in answers] == fleet.endpoints
    for answer in answers:
        assert answer.value is not None
        assert answer.value.version.startswith(haproxy_version.version)
        assert answer.value.pid == proxy.pid
    (rows, _) = fleet.stat()
    assert rows.value is not None
    limits = {row.pxname: row.slim for row in rows.value if row.svname == "FRONTEND"}
    assert limits == {"balanced": 100}


def test_an_answer_is_named_by_its_haproxys_node(haproxy: Start) -> None:
    """As by every other verb, on the connection of the command itself."""
    proxies = [haproxy("3.0", extra_global=[f"node lb{number}"]) for number in (7, 8)]
    urls = [proxy.endpoints[0] for proxy in proxies]
    before = int(proxies[0].info()["CumConns"])
    told = Fleet(urls).execute("show stat 1 1 1")
    assert [one.endpoint_name for one in told] == ["lb7", "lb8"]
    assert all(one.reply is not None and one.reply.startswith("# pxname") for one in told)
    # This one, and that of the count itself.
    assert int(proxies[0].info()["CumConns"]) == before + 2
    fleet = Fleet([f"mine={urls[0]}", urls[1]])
    assert [one.endpoint_name for one in fleet.execute("bogus")] == ["mine", "lb8"]
    shown = run("exec", "show info", *to_fleet(*urls)).stdout
    assert [line for line in shown.splitlines() if line.startswith("# ")] == ["# lb7", "# lb8"]


def test_refusals_on_each_version(haproxy_version: Binary, haproxy: Start) -> None:
    proxy = haproxy(haproxy_version)
    fleet = Fleet(proxy.endpoints)
    for command, code, words in [
        ("foo", "unknown_command", "Unknown command"),
        ("set maxconn frontend nosuch 5", "no_such_frontend", "No such frontend."),
        ("disable server nosuch/s", "command_failed", "No such backend."),
    ]:
        (outcome,) = fleet.execute(command)
        assert outcome.error is not None
        assert outcome.error.code == code
        assert (outcome.error.haproxy or "").startswith(words)
    (done,) = fleet.execute("clear counters")
    assert (done.reply, done.error) == ("", None)


def test_the_levels_on_each_version(haproxy_version: Binary, haproxy: Start) -> None:
    proxy = haproxy(haproxy_version, level="user")
    (outcome,) = Fleet(proxy.endpoints).execute("set maxconn frontend balanced 5")
    assert outcome.error is not None and outcome.error.code == "permission_denied"
    assert proxy.limit("balanced") == 100


def test_payloads_on_each_version(haproxy_version: Binary, haproxy: Start, tmp_path: Path) -> None:
    table = tmp_path / "a.map"
    table.write_text("old 1\n")
    rule = f"http-request set-header X-A %[path,map({table})]"
    proxy = haproxy(haproxy_version, frontends=[Frontend("balanced", lines=(rule,))])
    fleet = Fleet(proxy.endpoints)
    (added,) = fleet.execute(f"add map {table}", "first 2\nsecond 3")
    assert (added.reply, added.error) == ("", None)
    (shown,) = fleet.execute(f"show map {table}")
    lines = [line.split()[1:] for line in (shown.reply or "").splitlines()]
    assert lines == [["old", "1"], ["first", "2"], ["second", "3"]]
    (refused,) = fleet.execute("set ssl cert /nosuch.pem", "first\nsecond\n")
    assert refused.error is not None and refused.error.code == "command_failed"
    assert (refused.error.haproxy or "").startswith("Can't replace a certificate")


@pytest.mark.parametrize("form", [[], ["--json"]], ids=["table", "json"])
def test_a_payload_is_in_nothing_that_is_said(
    form: list[str], haproxy: Start, tmp_path: Path
) -> None:
    """Neither where it was taken nor where HAProxy refused it or nobody answered."""
    secret = "BEGIN-PRIVATE-KEY-4711"
    table, payload = tmp_path / "a.map", tmp_path / "payload"
    table.write_text("old 1\n")
    payload.write_text(f"name {secret}\n")
    rule = f"http-request set-header X-A %[path,map({table})]"
    proxy = haproxy("3.0", frontends=[Frontend("balanced", lines=(rule,))])
    taken, refused = f"add map {table}", "set ssl cert /nosuch.pem"
    places = ["-e", *proxy.endpoints, "-e", f"unix://{tmp_path}/none.sock"]
    for line in (taken, refused):
        done = run("exec", line, "--payload", str(payload), *form, *places)
        assert done.returncode == 1
        assert secret not in done.stdout + done.stderr
    (shown,) = Fleet(proxy.endpoints).execute(f"show map {table}")
    assert secret in (shown.reply or "")


def test_a_reply_may_hold_what_looks_like_a_prompt(
    haproxy_version: Binary, haproxy: Start, tmp_path: Path
) -> None:
    proxy = haproxy(haproxy_version, extra_global=["description a > b"])
    (outcome,) = Fleet(proxy.endpoints).execute("show info")
    assert "description: a > b" in (outcome.reply or "")


@pytest.mark.parametrize("tcp", [False, True])
@pytest.mark.parametrize(
    "step, code",
    [
        (silence(), "no_greeting"),
        (close(), "early_eof"),
        (garbage(), "not_haproxy"),
        (say(b"SSH-2.0-OpenSSH_9.2\r\n"), "not_haproxy"),
        (say(b"master> "), "master_socket"),
    ],
    ids=["silent", "closed", "garbage", "ssh", "master"],
)
def test_peers_that_do_not_greet(step: object, code: str, tcp: bool) -> None:
    with FaultyPeer([step], tcp=tcp) as peer:  # type: ignore[list-item]
        assert one_error(peer.endpoint, greeting_timeout=patient(0.3)) == code


@pytest.mark.parametrize("tcp", [False, True])
def test_a_reset_is_told(tcp: bool) -> None:
    with FaultyPeer([reset()], tcp=tcp) as peer:
        assert one_error(peer.endpoint) == "connection_reset"


def test_a_reply_cut_at_any_byte_is_never_success() -> None:
    whole = b"\n> \n> Name: fake\n\n> "
    with FaultyPeer(*[[say(whole[:cut]), close()] for cut in range(len(whole))]) as peer:
        for cut in range(len(whole)):
            (outcome,) = Fleet([peer.endpoint]).execute("show info")
            assert outcome.error is not None, f"cut after {cut} bytes"
            assert outcome.error.code == "early_eof"
            if cut > 7:
                assert outcome.error.partial == whole[6:cut].decode()


def test_a_reply_in_single_bytes_is_whole() -> None:
    with FaultyPeer([slow(1, 0.0)], answers=ANSWER) as peer:
        (outcome,) = Fleet([peer.endpoint]).execute("show info")
    assert outcome.reply == "Name: fake"


def test_a_silent_peer_in_the_middle_times_out_with_what_came() -> None:
    with FaultyPeer([say(b"\n> \n> Name: fa"), silence()]) as peer:
        (outcome,) = Fleet([peer.endpoint], reply_timeout=patient(0.3)).execute("show info")
    assert outcome.error is not None
    assert (outcome.error.code, outcome.error.partial) == ("reply_timeout", "Name: fa")


def test_an_endless_reply_is_capped_and_the_cap_named() -> None:
    with FaultyPeer([say(b"\n> \n> "), endless(100_000_000)]) as peer:
        (outcome,) = Fleet([peer.endpoint], max_reply_bytes=5_000_000).execute("show info")
    assert outcome.error is not None and outcome.error.code == "reply_too_large"
    assert "5000000 bytes" in outcome.error.message
    assert len(outcome.error.partial or "") <= 5_000_000


def test_paths_that_are_no_listening_socket(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.write_text("")
    assert one_error(str(plain)) == "not_a_socket"
    assert one_error(str(tmp_path / "none")) == "no_such_socket"
    assert one_error(str(dead_unix_socket(tmp_path))) == "connection_refused"
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        assert one_error(f"tcp://127.0.0.1:{bound.getsockname()[1]}") == "connection_refused"


def test_a_name_that_does_not_resolve() -> None:
    assert one_error("tcp://name.invalid:9999") == "name_not_found"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody without rights")
def test_no_permission_on_the_socket(haproxy: Start) -> None:
    proxy = haproxy("3.0")
    os.chmod(proxy.sockets[0], 0o600)
    code = "import os, sys, stillgate; f = stillgate.Fleet([sys.argv[1]]); os.setuid(65534);"
    code += "print(f.execute('show info')[0].error.code)"
    os.chmod(proxy.folder, 0o755)
    done = subprocess.run(
        [sys.executable, "-c", code, str(proxy.sockets[0])], stdout=subprocess.PIPE, check=True
    )
    assert done.stdout == b"socket_denied\n"


def test_forty_endpoints_of_one_haproxy_are_served_all_the_same(haproxy: Start) -> None:
    proxy = haproxy("3.0", unix_sockets=40)
    assert all(outcome.ok for outcome in Fleet(proxy.endpoints).execute("show info"))


def test_stats_maxconn_is_named_as_what_it_is(haproxy_version: Binary, haproxy: Start) -> None:
    proxy = haproxy(haproxy_version, unix_sockets=40)
    fleet = Fleet(proxy.endpoints, greeting_timeout=patient(0.5))
    report = fleet.check("balanced")
    codes = [finding.code for switch in report.switches for finding in switch.findings]
    assert report.exit_status == 3
    assert codes.count("stats_maxconn") == 30
    assert codes.count("same_haproxy") == 9


def test_a_full_listen_queue_is_waited_for(haproxy: Start) -> None:
    proxy = haproxy("3.0", stats_maxconn=1)
    held = [proxy.connect()]
    held[0].sendall(b"prompt\n")
    held[0].recv(100)
    others = []
    while True:
        other = socket.socket(socket.AF_UNIX)
        other.setblocking(False)
        try:
            other.connect(str(proxy.sockets[0]))
        except BlockingIOError:
            other.close()
            break
        others.append(other)
    assert one_error(proxy.endpoints[0], connect_timeout=0.3) == "backlog_full"
    results: list[Outcome] = []
    fleet = Fleet(proxy.endpoints, connect_timeout=60, greeting_timeout=60)
    asking = threading.Thread(target=lambda: results.extend(fleet.execute("show info")))
    asking.start()
    wait_until(lambda: fleet.progress()[0] == "asking", "the call")
    for one in held + others:
        one.close()
    asking.join(HANG_S)
    assert [outcome.error for outcome in results] == [None]


def test_one_bad_endpoint_does_not_hurt_the_others(haproxy: Start) -> None:
    proxy = haproxy("3.0")
    with FaultyPeer([silence()]) as peer:
        fleet = Fleet([peer.endpoint, *proxy.endpoints, "/nowhere"], greeting_timeout=patient(0.3))
        outcomes = fleet.execute("show info")
    codes = [outcome.error.code if outcome.error else None for outcome in outcomes]
    assert codes == ["no_greeting", None, "no_such_socket"]
    assert [outcome.endpoint for outcome in outcomes] == fleet.endpoints


def test_an_haproxy_killed_in_the_middle(haproxy: Start) -> None:
    proxy = haproxy("3.0")
    proxy.may_end = True
    os.kill(proxy.pid, signal.SIGSTOP)
    results: list[Outcome] = []
    fleet = Fleet(proxy.endpoints)
    asking = threading.Thread(target=lambda: results.extend(fleet.execute("show info")))
    asking.start()
    wait_until(lambda: fleet.progress()[1] == 1, "the connection")
    os.kill(proxy.pid, signal.SIGKILL)
    asking.join(HANG_S)
    assert results[0].error is not None
    assert results[0].error.code in ("early_eof", "connection_reset")


INTERRUPTED = """
import signal, stillgate, sys, threading, time
fleet = stillgate.Fleet([sys.argv[1]], greeting_timeout=300)
def interrupt():
    while fleet.progress()[1] == 0:
        time.sleep(0.001)
    global at
    at = time.monotonic()
    signal.raise_signal(signal.SIGINT)
threading.Thread(target=interrupt).start()
try:
    fleet.execute("show info")
except KeyboardInterrupt:
    print(time.monotonic() - at)
"""


def test_ctrl_c_raises_within_100_ms() -> None:
    with FaultyPeer([silence()]) as peer:
        command = [sys.executable, "-c", INTERRUPTED, peer.endpoint]
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=60)
    assert float(done.stdout) < patient(0.1)


def test_the_gil_is_released_meanwhile() -> None:
    with FaultyPeer([silence()]) as peer:
        fleet = Fleet([peer.endpoint], greeting_timeout=patient(0.5))
        asking = threading.Thread(target=lambda: fleet.execute("show info"))
        asking.start()
        turns = 0
        # Where the GIL is kept there is no turn until the call is over.
        while asking.is_alive():
            turns += 1
            time.sleep(0.001)
    assert turns > 5


FIVE_THOUSAND = """
import json, resource, stillgate, sys
soft, hard = json.loads(sys.argv[2])
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
outcomes = stillgate.Fleet(json.load(open(sys.argv[1]))).execute("show info")
print(sum(o.ok for o in outcomes), {o.error.code for o in outcomes if o.error})
"""


@pytest.mark.parametrize("hard", [10000, 1100], ids=["soft limit raised", "in waves"])
def test_five_thousand_endpoints(haproxy: Start, tmp_path: Path, hard: int) -> None:
    fleet: list[HAProxy] = [
        haproxy("3.0", unix_sockets=1000, stats_maxconn=2000, timeout=60) for _ in range(5)
    ]
    urls = tmp_path / "urls.json"
    urls.write_text(json.dumps([url for proxy in fleet for url in proxy.endpoints]))
    command = [sys.executable, "-c", FIVE_THOUSAND, str(urls), json.dumps([256, hard])]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    assert done.stdout == "5000 set()\n", done.stderr
