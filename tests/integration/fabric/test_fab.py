"""Fabric's tasks as an operator types them: real `fab` processes against real HAProxies."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.fabric.fab import F, Fab, limits, one
from support.haproxy.faulty_peer import FaultyPeer
from support.process import wait_until

if TYPE_CHECKING:
    from conftest import Start


# --- check, suspend, resume, status ---------------------------------------------------


@pytest.mark.parametrize("label", ["2.2", "3.0", "sid"])
def test_suspend_and_resume(label: str, fab: Fab, haproxy: Start) -> None:
    proxies = [haproxy(label, maxconn=77), haproxy(label, maxconn=88, tcp_socket=True)]
    ends = [proxy.endpoints[-1] for proxy in proxies]
    fab.write(endpoints=ends, frontends=[F], no_lease=True, reason="migration 42")
    done = fab.run("check")
    assert (done.returncode, done.stderr) == (0, "")
    assert "ready to hold" in done.stdout
    done = fab.run("suspend")
    assert (done.returncode, limits(*proxies)) == (0, [0, 0])
    rows = done.stdout.splitlines()
    # The socket is 0.sock, and a bare number names nothing.
    assert [row.split()[0] for row in rows[1:3]] == [proxies[0].folder.name, "127.0.0.1"]
    assert rows[-2].startswith("suspend: done")
    there = f"-e {ends[0]} -e {ends[1]}"
    assert rows[-1] == (
        f"now: traffic waits, and only a resume ends that: 'stillgate resume {F} {there}'"
    )
    assert len(fab.records()) == 1
    done = fab.run("resume")
    assert (done.returncode, limits(*proxies)) == (0, [77, 88])
    assert "resume: done\nnow: nothing is held; traffic flows\n" in done.stdout


def test_a_resume_that_comes_too_late_fails_once(fab: Fab, haproxy: Start) -> None:
    proxy = haproxy("3.0", maxconn=77)
    fab.write(endpoints=proxy.endpoints, frontends=F, max_hold=0.5)
    assert fab.run("suspend").returncode == 0
    wait_until(lambda: limits(proxy) == [77], "the deadline")
    done = fab.run("resume")
    assert done.returncode == 5
    assert "TOO LATE" in done.stdout and "hold_ended: the hold had ended before" in done.stderr
    assert fab.run("resume").returncode == 0


def test_the_documents_are_those_of_the_command_line(fab: Fab, haproxy: Start) -> None:
    proxy = haproxy("3.0", maxconn=77)
    fab.write(endpoints=proxy.endpoints, frontends=F)
    assert fab.run_json("check")[0] == 0
    status, document = fab.run_json("suspend", "--no-lease", "--reason", "by hand")
    assert (status, document["action"], one(document)["verdict"]) == (0, "suspend", "held")
    assert (one(document)["limit_before"], limits(proxy)) == (77, [0])
    assert [hold["reason"] for hold in document["holds"]] == ["by hand"]
    status, document = fab.run_json("resume", "--limit", "55")
    assert (status, document["action"], limits(proxy)) == (0, "resume", [55])


def test_a_fleet_of_the_inventory_and_flags_before_settings(fab: Fab, haproxy: Start) -> None:
    proxy = haproxy("3.0", frontends=["a", "b", "c"])
    fleet = f'[fleet.production]\nfrontends = ["a"]\nendpoints = ["{proxy.endpoints[0]}"]\n'
    (fab.folder / "fleets.toml").write_text(fleet)
    fab.write(fleet="production", inventory="fleets.toml", no_lease=True)

    def held() -> list[str]:
        return [name for name in "abc" if proxy.limit(name) == 0]

    assert (fab.run("suspend").returncode, held()) == (0, ["a"])
    assert (fab.run("resume").returncode, held()) == (0, [])
    arguments = ("--frontend", "b", "--frontend", "c")
    assert (fab.run("suspend", *arguments).returncode, held()) == (0, ["b", "c"])
    assert (fab.run("resume", *arguments).returncode, held()) == (0, [])


def test_status_tells_whose_it_is_and_changes_nothing(fab: Fab, haproxy: Start) -> None:
    proxy = haproxy("3.0")
    fab.write(endpoints=proxy.endpoints, frontends=F, no_lease=True, reason="migration 42")
    assert fab.run_json("status")[1]["holds"] == []
    assert fab.run("suspend").returncode == 0
    status, document = fab.run_json("status")
    assert (status, [hold["reason"] for hold in document["holds"]]) == (0, ["migration 42"])
    assert "migration 42" in fab.run("status").stdout
    assert limits(proxy) == [0]
    assert fab.run("resume").returncode == 0


# --- refusals -------------------------------------------------------------------------


def test_what_the_check_refuses_is_3_with_the_table(fab: Fab, haproxy: Start) -> None:
    proxy = haproxy("2.6")
    fab.write(endpoints=[f"lb1={proxy.endpoints[0]}"], frontends=F, no_lease=True)
    for verb in ("check", "suspend"):
        done = fab.run(verb)
        assert (done.returncode, limits(proxy)) == (3, [100])
        assert done.stdout.splitlines()[1].startswith("lb1 ")
        assert "crash_hazard" in done.stdout
        assert done.stderr.startswith(f"stillgate: {verb}: crash_hazard: ")
    status, document = fab.run_json("suspend")
    assert (status, one(document)["error"]["code"]) == (3, "crash_hazard")
    assert fab.run("suspend", "--accept-hazard").returncode == 0
    # Nobody waits, so this release survives it.
    assert fab.run("resume", "--accept-hazard").returncode == 0
    assert limits(proxy) == [100]


def test_a_second_suspend_is_4(fab: Fab, haproxy: Start) -> None:
    proxy = haproxy("3.0")
    fab.write(endpoints=proxy.endpoints, frontends=F, no_lease=True)
    assert fab.run("suspend").returncode == 0
    done = fab.run("suspend")
    assert done.returncode == 4
    assert "already_held" in done.stdout and "already_held" in done.stderr
    # What is to be typed has the fleet, in the table and in the message.
    for told in (done.stdout, done.stderr):
        assert f"'stillgate resume {F} -e {proxy.endpoints[0]}'" in told
    assert fab.run_json("suspend")[0] == 4
    assert limits(proxy) == [0]
    assert fab.run("resume").returncode == 0


def test_an_endpoint_that_is_not_there_keeps_all_from_being_held(fab: Fab, haproxy: Start) -> None:
    proxy = haproxy("3.0")
    fab.write(endpoints=[*proxy.endpoints, "/nowhere/a.sock"], frontends=F, no_lease=True)
    done = fab.run("suspend")
    assert (done.returncode in (1, 3), limits(proxy)) == (True, [100])
    assert "no_such_socket" in done.stdout


@pytest.mark.parametrize("verb", ["check", "suspend", "resume", "status", "extend", "hold"])
@pytest.mark.parametrize(
    "wrong, words",
    [
        ({"max_hodl": 5}, "setting stillgate.max_hodl: unknown; did you mean 'max_hold'?"),
        ({"max_hold": "15"}, "setting stillgate.max_hold: must be a number of seconds"),
        ({"fleet": "production"}, "name exactly one of 'fleet'"),
    ],
)
def test_a_wrong_setting_is_named_and_nothing_is_sent(
    verb: str, wrong: dict[str, object], words: str, fab: Fab, nobody: FaultyPeer
) -> None:
    settings: dict[str, object] = {"endpoints": [nobody.endpoint], "frontends": F}
    fab.write(**{**settings, **wrong})
    words_of = {"hold": ("--run", f"touch {fab.folder}/ran"), "extend": ("5",)}
    command = words_of.get(verb, ())
    done = fab.run(verb, *command)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"stillgate: {verb}: ") and words in done.stderr
    assert not (fab.folder / "ran").exists() and not fab.journal.exists()


@pytest.mark.parametrize(
    "arguments, words",
    [
        (("-H", "lb1,lb2", "suspend"), "setting stillgate.socket: name"),
        (("-H", "lb1", "--dry", "suspend"), "setting stillgate.socket: name"),
        (("-H", "lb1,lb2", "hold", "--run", "touch ran"), "setting stillgate.socket: name"),
        (("extend", "soon"), "--seconds: must be a number of seconds, not 'soon'"),
        (("resume", "--force"), "required to overrule"),
        (("suspend", "--max-hold", "abc"), "--max-hold: must be a number of seconds, not 'abc'"),
        (("resume", "--limit", "0"), "--limit: must be a whole number from 1"),
        (
            ("hold", "--run", "touch ran", "--max-hold", "2", "--grace", "2"),
            "grace: 2 s must be less",
        ),
        (("hold", "--run", " "), "--run: name the command to run"),
        (("hold",), "--run: name the command to run"),
    ],
)
def test_wrong_usage_is_2_and_nothing_is_sent(
    arguments: tuple[str, ...], words: str, fab: Fab, nobody: FaultyPeer
) -> None:
    fab.write(endpoints=[nobody.endpoint], frontends=F, no_lease=True)
    done = fab.run(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr
    assert not (fab.folder / "ran").exists() and not fab.journal.exists()


def test_a_wrong_flag_is_a_document_too(fab: Fab, nobody: FaultyPeer) -> None:
    fab.write(endpoints=[nobody.endpoint], frontends=F)
    status, document = fab.run_json("suspend", "--max-hold", "abc")
    assert (status, document["error"]["field"]) == (2, "max_hold")


def test_no_frontend_at_all(fab: Fab, nobody: FaultyPeer) -> None:
    fab.write(endpoints=[nobody.endpoint])
    done = fab.run("suspend")
    assert (
        done.returncode == 2
        and "name at least one, in the settings or by --frontend" in done.stderr
    )


SHUT = "close the gate of a, or set maxconn frontend a 0"
OPEN = "open the gate of a, or set maxconn frontend a"

# --- dry ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments, lines",
    [
        (("suspend", "--frontend", "a"), [f"{{0}}: {SHUT}"]),
        (("suspend", "--method", "maxconn"), [f"{{0}}: set maxconn frontend {x} 0" for x in "ab"]),
        (("suspend", "--method", "gate"), [f"{{0}}: close the gate of {x}" for x in "ab"]),
        (("resume", "--limit", "9", "--frontend", "a"), [f"{{0}}: {OPEN} 9"]),
        (("resume", "--frontend", "a"), [f"{{0}}: {OPEN} <the limit on record>"]),
        (("check",), ["{0}: check a b (reads only)"]),
        (("status",), ["{0}: status a b (reads only)"]),
        (("extend", "5", "--frontend", "a"), ["{0}: extend the hold of a by 5 s"]),
        (
            ("hold", "--run", "touch ran", "--frontend", "a"),
            [
                f"{{0}}: {SHUT}",
                "run: touch ran",
                f"{{0}}: {OPEN} <the limit on record>",
            ],
        ),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_a_dry_run_tells_all_and_sends_nothing(
    arguments: tuple[str, ...], lines: list[str], fab: Fab, nobody: FaultyPeer
) -> None:
    fab.write(endpoints=[nobody.endpoint], frontends=["a", "b"], no_lease=True)
    wanted = [line.format(nobody.endpoint) for line in [*lines, "dry run: nothing was sent"]]
    done = fab.run("--dry", *arguments)
    assert (done.returncode, done.stdout.splitlines(), done.stderr) == (0, wanted, "")
    # Standard output is for a document, and there is none.
    done = fab.run("--dry", *arguments, "--json")
    assert (done.returncode, done.stdout, done.stderr.splitlines()) == (0, "", wanted)
    assert not (fab.folder / "ran").exists() and not fab.journal.exists()


def test_a_dry_run_leaves_limits_and_journal_as_they_are(fab: Fab, haproxy: Start) -> None:
    proxy = haproxy("3.0")
    fab.write(endpoints=proxy.endpoints, frontends=F, no_lease=True)
    assert fab.run("--dry", "suspend").returncode == 0
    assert (limits(proxy), fab.journal.exists()) == ([100], False)
    assert fab.run("suspend").returncode == 0
    records = fab.records()
    assert fab.run("--dry", "resume").returncode == 0
    assert (limits(proxy), fab.records()) == ([0], records)
    assert fab.run("resume").returncode == 0


# --- in a fabfile of one's own --------------------------------------------------------

OWN = """
from fabric import task
from invoke.exceptions import Exit
from stillgate import fabric as gate

@task
def migrate(c):
    report = gate.suspend(c, frontend=["balanced"], reason="mine", no_lease=True)
    print([one.verdict for one in report.switches])
    try:
        gate.suspend(c, frontend=["balanced"], no_lease=True)
    except Exit as refusal:
        print(refusal.code)
    print([one.verdict for one in gate.resume(c, frontend=["balanced"], retry_for=1.5).switches])
    print(gate.hold(c, run="true", frontend=["balanced"]).status)
"""


def test_tasks_of_ones_own_may_call_them(fab: Fab, haproxy: Start) -> None:
    proxy = haproxy("3.0")
    fab.write_fabfile(OWN)
    fab.write(endpoints=proxy.endpoints)
    done = fab.run("migrate")
    assert (done.returncode, limits(proxy)) == (0, [100])
    lines = [line for line in done.stdout.splitlines() if line[:1] in "[40"]
    assert lines == ["['held']", "4", "['resumed']", "0"]
