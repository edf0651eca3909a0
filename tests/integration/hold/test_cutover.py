"""The cutover on real HAProxies of all versions: by itself, and behind a hold."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from stillgate import CheckRefused, Cutover, EndpointFailed, Fleet, InputError, StillHeld
from support.app import App
from support.command import run
from support.haproxy.holds import F, verdicts
from support.haproxy.server import HAProxy
from support.haproxy.tap import Tap
from support.haproxy.versions import SAFE
from support.patience import patient
from support.process import wait_until

if TYPE_CHECKING:
    from conftest import Start

pytestmark = pytest.mark.usefixtures("state")
BACKEND = """\
backend app
    mode http
    server blue.1 127.0.0.1:9
    server green-1 127.0.0.1:9 weight 5 disabled
    server-template t 1-2 127.0.0.1:9 disabled
backend app_green
    mode http
    server s1 127.0.0.1:9
"""


@pytest.fixture(name="release_map")
def made_map(tmp_path: Path) -> Path:
    path = tmp_path / "release.map"
    path.write_text("active app\nother two words\n")
    return path


def started(haproxy: Start, label: str, release_map: Path) -> HAProxy:
    use = f"http-request set-var(txn.b) str(active),map({release_map})"
    return haproxy(label, extra=[*BACKEND.splitlines(), "frontend maps", "mode http", use])


def green(release_map: Path) -> Cutover:
    return Cutover(
        "green",
        servers={"app/green-1": "ready", "app/blue.1": "maint", "app/t2": "drain"},
        weights={"app/green-1": 7},
        maps={str(release_map): {"active": "app_green", "other": "x"}},
    )


def servers(proxy: HAProxy) -> list[str]:
    return [
        f"{row['svname']} {row['status']} {row['weight']}"
        for row in proxy.stat()
        if row["pxname"] == "app" and row["svname"] != "BACKEND"
    ]


def standing(proxy: HAProxy, release_map: Path) -> list[str]:
    """States as HAProxy itself shows them, weights and the map."""
    entries = proxy.cli(f"show map {release_map}").split("\n")
    return servers(proxy) + sorted(
        line.partition(" ")[2] for line in entries if line.startswith("0x")
    )


def test_it_stands_on_all_versions_at_once_and_goes_back(haproxy: Start, release_map: Path) -> None:
    proxies = [started(haproxy, label, release_map) for label in ("2.2", "2.6", "3.0", "sid")]
    before = [standing(proxy, release_map) for proxy in proxies]
    fleet = Fleet([proxy.endpoints[0] for proxy in proxies], cutovers=[green(release_map)])
    tried = fleet.cutover("green", dry_run=True)
    assert tried.cutover is not None and tried.cutover.state == "possible"
    assert [standing(proxy, release_map) for proxy in proxies] == before

    done = fleet.cutover("green")
    assert done.cutover is not None and done.cutover.state == "applied"
    for proxy in proxies:
        assert standing(proxy, release_map) == [
            "blue.1 MAINT 1",
            "green-1 no check 7",
            "t1 MAINT 1",
            "t2 DRAIN 1",
            "active app_green",
            "other x",
        ]

    fleet.cutover("green", back=True)
    assert [standing(proxy, release_map) for proxy in proxies] == before
    with pytest.raises(CheckRefused) as refused:
        fleet.cutover("green", back=True)
    assert refused.value.code == "cutover_no_record"


@pytest.mark.parametrize("label", SAFE)
def test_behind_a_hold_it_stands_before_anything_is_released(
    label: str, haproxy: Start, release_map: Path
) -> None:
    proxy = started(haproxy, label, release_map)
    fleet = Fleet(proxy.endpoints, cutovers=[green(release_map)])
    before = standing(proxy, release_map)
    with pytest.raises(RuntimeError, match="migration"):
        with fleet.suspended(F, cutover="green"):
            raise RuntimeError("the migration failed")
    assert standing(proxy, release_map) == before

    with fleet.suspended(F, cutover="green") as hold:
        assert standing(proxy, release_map) == before
    assert hold.resumed is not None and verdicts(hold.resumed) == ["resumed"]
    assert hold.resumed.cutover is not None and hold.resumed.cutover.state == "applied"
    assert "active app_green" in standing(proxy, release_map)


def test_what_is_missing_on_one_is_named_and_nothing_is_held(
    haproxy: Start, release_map: Path
) -> None:
    proxies = [started(haproxy, "3.0", release_map), haproxy("2.6")]
    fleet = Fleet([proxy.endpoints[0] for proxy in proxies], cutovers=[green(release_map)])
    with pytest.raises(CheckRefused) as refused:
        with fleet.suspended(F, cutover="green", method="maxconn", accept_hazard=True):
            raise AssertionError("nothing is held")
    assert refused.value.code == "cutover_unknown"
    assert f"has no backend 'app' with servers; it has: {F}_servers" in str(refused.value)
    assert f"has no map '{release_map}' loaded; it has: none" in str(refused.value)
    assert [proxy.limit(F) for proxy in proxies] == [100, 100]


def test_a_resume_whose_cutover_cannot_be_had_releases_nothing(
    haproxy: Start, release_map: Path
) -> None:
    proxy = started(haproxy, "3.0", release_map)
    fleet = Fleet(proxy.endpoints, cutovers=[green(release_map)])
    with pytest.raises(CheckRefused) as open_already:
        fleet.resume(F, cutover="green")
    assert open_already.value.code == "not_held"
    fleet.suspend(F, max_hold=600)
    with pytest.raises(CheckRefused) as refused:
        fleet.resume(F, cutover=Cutover("x", {"app/none": "ready"}))
    assert refused.value.code == "cutover_unknown" and proxy.limit(F) == 0
    assert fleet.resume(F, cutover="green").ok and proxy.limit(F) == 100
    assert "active app_green" in standing(proxy, release_map)


def test_haproxys_refusal_undoes_it_and_what_served_before_goes_on(
    haproxy: Start, release_map: Path
) -> None:
    """A static algorithm takes no such weight."""
    static = ["backend fixed", "mode http", "balance static-rr", "server s1 127.0.0.1:9"]
    use = f"http-request set-var(txn.b) str(active),map({release_map})"
    plain = ["backend fixed", "mode http", "server s1 127.0.0.1:9"]
    proxies = [
        haproxy("3.0", extra=[*lines, *BACKEND.splitlines(), "frontend maps", "mode http", use])
        for lines in (plain, static)
    ]
    before = [standing(proxy, release_map) for proxy in proxies]
    wanted = Cutover("w", weights={"fixed/s1": 9}, maps={str(release_map): {"active": "x"}})
    fleet = Fleet([proxy.endpoints[0] for proxy in proxies])
    with pytest.raises(EndpointFailed) as undone:
        with fleet.suspended(F, cutover=wanted) as hold:
            pass
    assert undone.value.code == "cutover_undone"
    report = undone.value.report
    assert report.cutover is not None and report.cutover.state == "undone"
    assert [standing(proxy, release_map) for proxy in proxies] == before
    # The block has changed the schema, so the old code must not meet it unasked.
    assert [proxy.limit(F) for proxy in proxies] == [0, 0]
    left = StillHeld.of(undone.value)
    assert left is not None and f"--hold {hold.holds[0].id}" in str(left)
    assert verdicts(fleet.resume(F)) == ["resumed", "resumed"]
    assert [proxy.limit(F) for proxy in proxies] == [100, 100]


def test_what_a_block_leaves_held_ends_at_its_deadline(haproxy: Start, release_map: Path) -> None:
    proxy = started(haproxy, "3.0", release_map)
    fleet = Fleet(proxy.endpoints)
    missing = Cutover("w", servers={"app/blue.1": "maint", "app/green-1": "ready"})
    with pytest.raises(CheckRefused) as refused:
        with fleet.suspended(F, cutover=missing, max_hold=3.0):
            # The cutover was possible when the hold began.
            proxy.cli("set server app/green-1 weight 0")
    assert refused.value.code == "cutover_none_up" and proxy.limit(F) == 0
    wait_until(lambda: proxy.limit(F) == 100, "the deadline")
    assert "active app" in standing(proxy, release_map)


def test_a_second_cutover_at_the_same_moment_is_refused(
    haproxy: Start, release_map: Path, state: Path
) -> None:
    """By its name or by its HAProxies, whoever the other one is; what it has on record stays."""
    proxy = started(haproxy, "3.0", release_map)
    (state / "cutovers").mkdir(mode=0o700, parents=True)
    holder = subprocess.Popen(
        [sys.executable, "-c", LOCKING, str(state / "cutovers" / "lock"), "cutover green"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with holder:
        assert holder.stdout is not None and holder.stdout.readline() == b"locked\n"
        fleet = Fleet(proxy.endpoints, cutovers=[green(release_map)])
        before = standing(proxy, release_map)
        with pytest.raises(CheckRefused) as refused:
            fleet.cutover("green")
        assert refused.value.code == "cutover_busy" and standing(proxy, release_map) == before
        # Another name at HAProxies that nobody cuts over.
        fleet.cutover(Cutover("w", weights={"app/green-1": 9}))
        holder.kill()
    assert fleet.cutover("green").ok


# Takes the lock of a cutover, as the engine does: FNV-1a says which byte of the file it is.
LOCKING = """
import fcntl, struct, sys
place = 0xcbf29ce484222325
for byte in sys.argv[2].encode():
    place = ((place ^ byte) * 0x100000001b3) % 2**64
file = open(sys.argv[1], "w")
lock = struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, place % 2**62, 1, 0)
fcntl.fcntl(file, getattr(fcntl, "F_OFD_SETLK", 37), lock)
print("locked", flush=True)
sys.stdin.read()
"""
BALANCES: tuple[list[str], ...] = ([], ["balance static-rr"])
# Whether all is held, as HAProxy shows it: what an --on-failure of the tests writes down.
LOOK = """
import socket, sys
peer = socket.socket(socket.AF_UNIX)
peer.connect(sys.argv[1])
peer.sendall(b"show stat\\n")
text = b"".join(iter(lambda: peer.recv(65536), b"")).decode()
lines = [line.split(",") for line in text.splitlines()]
slim = next(line[6] for line in lines if line[:2] == [sys.argv[2], "FRONTEND"])
open(sys.argv[3], "w").write("held" if slim == "0" else slim)
raise SystemExit(int(sys.argv[4]))
"""


@pytest.fixture(name="unfit")
def fleet_where_one_refuses(
    haproxy: Start, release_map: Path, tmp_path: Path
) -> tuple[list[HAProxy], list[str]]:
    """Two HAProxies of which one takes no such weight, which only the change itself shows; and the
    words of a command line that name them.
    """
    use = f"http-request set-var(txn.b) str(active),map({release_map})"
    proxies = [
        haproxy(
            "3.0",
            extra=["backend fixed", "mode http", *balance, "server s1 127.0.0.1:9"]
            + ["frontend maps", "mode http", use],
        )
        for balance in BALANCES
    ]
    inventory = tmp_path / "fleets.toml"
    urls = ", ".join(f'"{proxy.endpoints[0]}"' for proxy in proxies)
    inventory.write_text(
        f"""\
[fleet.production]
endpoints = [{urls}]
frontends = ["{F}"]
[fleet.production.cutover.w]
weights = {{ "fixed/s1" = 9 }}
maps = {{ "{release_map}" = {{ active = "x" }} }}
"""
    )
    return proxies, ["-f", "production", "--inventory", str(inventory), "--cutover", "w"]


@pytest.mark.parametrize(("undone", "status"), [(0, 125), (1, 123)])
def test_a_cutover_that_cannot_be_had_has_the_command_undone_inside_the_hold(
    undone: int, status: int, unfit: tuple[list[HAProxy], list[str]], tmp_path: Path
) -> None:
    """Else the old code would meet what a command that succeeded has done."""
    proxies, words = unfit
    seen, look = tmp_path / "seen", tmp_path / "look.py"
    look.write_text(LOOK)
    socket = proxies[0].endpoints[0].partition("://")[2]
    undo = f"{sys.executable} {look} {socket} {F} {seen} {undone}"
    done = run("hold", *words, "--method", "maxconn", "--on-failure", undo, "--", "true")
    assert done.returncode == status, done.stderr
    assert seen.read_text() == "held"
    assert "the cutover could not be had; running --on-failure" in done.stderr
    word = "failed" if undone else "done"
    assert f"migration done, undo {word}, cutover undone, traffic released" in done.stderr
    assert [proxy.limit(F) for proxy in proxies] == [100, 100]


def test_without_a_way_back_it_says_what_the_old_code_meets(
    unfit: tuple[list[HAProxy], list[str]]
) -> None:
    proxies, words = unfit
    done = run("hold", *words, "--", "true")
    assert done.returncode == 125, done.stderr
    assert "the old code meets what the command has done" in done.stderr
    assert "migration done, undo none, cutover undone, traffic released" in done.stderr
    assert [proxy.limit(F) for proxy in proxies] == [100, 100]


def test_what_cannot_be_had_is_kept_held_where_that_is_asked_for(
    unfit: tuple[list[HAProxy], list[str]]
) -> None:
    proxies, words = unfit
    keep = ["--max-hold", "2", "--keep-on-failure"]
    done = run("hold", *words, *keep, "--", "true")
    assert done.returncode == 125, done.stderr
    assert "the cutover could not be had; " in done.stderr and "stays held for" in done.stderr
    assert "cutover undone, traffic expired" in done.stderr
    assert [proxy.limit(F) for proxy in proxies] == [100, 100]


def test_a_block_applies_it_and_can_undo_its_work(haproxy: Start, release_map: Path) -> None:
    proxy = started(haproxy, "3.0", release_map)
    fleet = Fleet(proxy.endpoints, cutovers=[green(release_map)])
    before = standing(proxy, release_map)
    wrong = Cutover("w", servers={"app/t2": "ready"}, weights={"app/green-1": 300})
    with pytest.raises(InputError):
        fleet.suspended(F, cutover=wrong).__enter__()
    with fleet.suspended(F) as hold:
        with pytest.raises(InputError, match="was given none"):
            hold.apply_cutover()
    with fleet.suspended(F, cutover="green", max_hold=10.0) as hold:
        report = hold.apply_cutover(keep=8.1)
        # Less than it had otherwise.
        assert hold.remaining > 10.0
        assert report.cutover is not None and report.cutover.state == "applied"
        assert proxy.limit(F) == 0 and "active app_green" in standing(proxy, release_map)
        fleet.twin().cutover("green", back=True)
    assert standing(proxy, release_map) == before
    assert hold.resumed is not None and hold.resumed.cutover is None
    assert proxy.limit(F) == 100


def test_the_command_line_has_it_from_the_inventory(
    haproxy: Start, release_map: Path, tmp_path: Path
) -> None:
    proxy = started(haproxy, "3.0", release_map)
    inventory = tmp_path / "fleets.toml"
    inventory.write_text(
        f"""\
[fleet.production]
endpoints = ["{proxy.endpoints[0]}"]
frontends = ["{F}"]
[fleet.production.cutover.green]
servers = {{ "app/green-1" = "ready", "app/blue.1" = "maint" }}
maps = {{ "{release_map}" = {{ active = "app_green" }} }}
"""
    )
    fleet = ["-f", "production", "--inventory", str(inventory)]
    hold = ["hold", *fleet, "--cutover", "green", "--", sys.executable, "-c"]
    assert run(*hold, "raise SystemExit(3)").returncode == 3
    assert "active app" in standing(proxy, release_map)
    assert run(*hold, "pass").returncode == 0
    assert "active app_green" in standing(proxy, release_map)
    back = run("cutover", "green", "--back", *fleet)
    assert back.returncode == 0, back.stderr
    assert "active app" in standing(proxy, release_map)
    wrong = run("resume", *fleet, "--cutover", "blue")
    assert wrong.returncode == 2 and "it has: green" in wrong.stderr


def test_the_command_line_takes_one_on_the_spot(haproxy: Start, release_map: Path) -> None:
    proxy = started(haproxy, "3.0", release_map)
    before = standing(proxy, release_map)
    there = ["-e", proxy.endpoints[0]]
    serve = ["--serve", "app/green-1=ready", "--serve", "app/green-1=7"]
    serve += ["--serve", "app/blue.1=maint", "--serve", f"{release_map}:active=app_green"]
    checked = run("check", F, *there, *serve)
    assert checked.returncode == 0 and "cutover given: possible" in checked.stdout, checked.stderr
    assert standing(proxy, release_map) == before

    done = run("hold", F, *there, *serve, "--", "true")
    assert done.returncode == 0, done.stderr
    after = standing(proxy, release_map)
    assert {"green-1 no check 7", "blue.1 MAINT 1", "active app_green"} <= set(after)
    assert run("cutover", "given", "--back", *there).returncode == 0
    assert standing(proxy, release_map) == before

    assert run("suspend", F, *there, "--max-hold", "60").returncode == 0
    resumed = run("resume", F, *there, "--cutover", "now", *serve)
    assert resumed.returncode == 0 and standing(proxy, release_map) == after
    told = json.loads(run("report", "--json").stdout)["steps"]
    began, cut, released = (
        next(one["at_s"] for one in told if one["what"] == what)
        for what in ("committed", "cutover", "released")
    )
    assert began < cut < released
    assert run("cutover", "now", "--back", *there).returncode == 0
    assert run("cutover", "now", *there, *serve).returncode == 0
    assert standing(proxy, release_map) == after

    wrong = run("check", F, *there, "--serve", "app/green-1")
    assert wrong.returncode == 2 and "write BACKEND/SERVER=VALUE" in wrong.stderr


@pytest.mark.parametrize("label", ["2.6", "3.0", "sid"])
def test_a_server_that_was_added_at_run_time_is_one_like_others(
    label: str, haproxy: Start, app: App
) -> None:
    proxy = haproxy(label, extra=["backend app", "mode http", "server blue 127.0.0.1:9"])
    added = f"add server app/green 127.0.0.1:{app.port} check inter 200ms rise 2 fall 3"
    answer = proxy.cli("experimental-mode on", added)
    assert "New server registered" in answer
    green_now = Cutover("green", servers={"app/green": "ready", "app/blue": "maint"})
    fleet = Fleet(proxy.endpoints)
    # Its check is off until somebody says otherwise.
    tried = fleet.cutover(green_now, dry_run=True).cutover
    assert tried is not None and "green has no health check" in tried.unshown[0]
    proxy.cli("enable health app/green")
    with pytest.raises(CheckRefused, match="green is in maint, where nothing checks it"):
        fleet.cutover(green_now)
    done = fleet.cutover(green_now, ready_first=patient(30.0)).cutover
    assert done is not None and (done.state, done.unshown) == ("applied", [])
    fleet.cutover(green_now, back=True)
    proxy.cli("experimental-mode on", "del server app/green")
    with pytest.raises(CheckRefused, match="has no server 'green' in 'app'; it has: blue"):
        fleet.cutover(green_now)


@pytest.mark.parametrize("kept", [True, False])
def test_a_reload_keeps_what_a_state_file_keeps(kept: bool, haproxy: Start, tmp_path: Path) -> None:
    """As an operator's reload writes it before (`show servers state`); without it the configuration
    counts, and the same cutover stands again.
    """
    file = tmp_path / "states"
    file.write_text("1\n")
    file.chmod(0o644)
    proxy = haproxy(
        "3.0",
        master_worker=True,
        extra_global=[f"server-state-file {file}"],
        extra_defaults=["load-server-state-from-file global"],
        extra=BACKEND.splitlines(),
    )
    wanted = Cutover("w", {"app/green-1": "ready", "app/blue.1": "maint"}, {"app/green-1": 7})
    fleet = Fleet(proxy.endpoints)
    fleet.cutover(wanted)
    after = servers(proxy)
    assert {"blue.1 MAINT 1", "green-1 no check 7"} <= set(after)
    if kept:
        file.write_text(proxy.cli("show servers state"))
    proxy.reload()
    assert (servers(proxy) == after) == kept
    again = fleet.cutover(wanted).cutover
    assert again is not None and again.state == "applied" and servers(proxy) == after
    assert {one.state for one in again.changes} == ({"unchanged"} if kept else {"applied"})
    fleet.cutover(wanted, back=True)
    assert {"blue.1 no check 1", "green-1 MAINT 5"} <= set(servers(proxy))


LAST = "set server app/blue.1 state maint"


@pytest.mark.parametrize("lost", ["set server app/green-1 state ready", LAST])
def test_a_lost_answer_is_no_answer(lost: str, haproxy: Start) -> None:
    """Nothing was carried out, or half of it: what is not read back is written again."""
    proxies = [haproxy("3.0", extra=BACKEND.splitlines()) for _ in range(2)]
    with Tap(proxies[0], {}) as tap:

        def lose() -> None:
            tap.cut()
            tap.mend()

        tap.hook(lost, lose)
        fleet = Fleet([tap.endpoint, proxies[1].endpoints[0]])
        wanted = Cutover("w", {"app/green-1": "ready", "app/blue.1": "maint"})
        done = fleet.cutover(wanted).cutover
    assert done is not None and done.state == "applied"
    written = {
        one.endpoint: one.written for one in done.changes if one.what.startswith("server app/b")
    }
    assert written == {tap.endpoint: 2, proxies[1].endpoints[0]: 1}
    for proxy in proxies:
        assert {"blue.1 MAINT 1", "green-1 no check 5"} <= set(servers(proxy))


@pytest.mark.parametrize("kept", [True, False])
def test_a_reload_in_the_middle_is_seen_and_it_is_applied_again(
    kept: bool, haproxy: Start, tmp_path: Path
) -> None:
    """In the new worker. With a state file that has its first half as without one."""
    file = tmp_path / "states"
    file.write_text("1\n")
    file.chmod(0o644)
    proxy = haproxy(
        "3.0",
        master_worker=True,
        extra_global=[f"server-state-file {file}"],
        extra_defaults=["load-server-state-from-file global"],
        extra=BACKEND.splitlines(),
    )

    def reload() -> None:
        if kept:
            file.write_text(proxy.cli("show servers state"))
        proxy.reload()

    with Tap(proxy, {LAST: reload}) as tap:
        wanted = Cutover("w", {"app/green-1": "ready", "app/blue.1": "maint"})
        done = Fleet([tap.endpoint]).cutover(wanted).cutover
    assert done is not None and done.state == "applied"
    told = {one.what: one.written for one in done.changes}
    assert told["server app/blue.1 state"] == 2
    assert told["server app/green-1 state"] == (1 if kept else 2)
    assert {"blue.1 MAINT 1", "green-1 no check 5"} <= set(servers(proxy))
