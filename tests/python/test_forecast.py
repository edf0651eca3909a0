"""The forecast of a hold, from numbers alone."""

from __future__ import annotations

from typing import Any, Optional

import pytest

import stillgate.tables  # noqa: F401  (by which it prints)
from stillgate.forecast import Bound, Look, Seen, forecast
from stillgate.results.haproxy import StatRow
from stillgate.results.rehearsal import Cut, Rehearsal, RehearsedHaproxy
from stillgate.results.report import Report, Switch

F = "balanced"


def check_of(*switches: Switch, exit_status: int = 0) -> Report:
    return Report(
        "check", not exit_status, exit_status, [], [*switches], None, None, None, None, None
    )


def switch(method: Optional[str] = "gate", name: str = "lb1") -> Switch:
    return Switch(
        endpoint=name,
        frontend=F,
        hold_id=None,
        verdict="unchanged",
        method=method,
        lease=None,
        limit_before=None,
        limit_now=None,
        waiting=None,
        gate=None,
        in_flight=None,
        leaked=None,
        version=None,
        rtt_ms=None,
        findings=[],
        error=None,
    )


def row(pxname: str, svname: str, kind: int, **columns: object) -> StatRow:
    fields = {"type": str(kind), "mode": "http", **{k: str(v) for k, v in columns.items()}}
    return StatRow(pxname, svname, "UP", fields)


def looks(
    *,
    requests: int = 1000,
    connections: int = 1000,
    scur: int = 0,
    slim: int = 2000,
    h2: Optional[int] = 0,
    slots: int = 0,
    flying: int = 0,
    answer_ms: int = 0,
    longest_ms: int = 0,
) -> list[Look]:
    """Of ten seconds; the numbers are what came meanwhile."""
    told = []
    for at_s, part in ((0.0, 0), (10.0, 1)):
        multiplexed = {} if h2 is None else {"h2_total_connections": h2 * part}
        told.append(
            Look(
                at_s,
                [
                    row(
                        F,
                        "FRONTEND",
                        0,
                        req_tot=5 + requests * part,
                        conn_tot=5 + connections * part,
                        scur=scur,
                        slim=slim,
                        **multiplexed,
                    ),
                    row("app", "s1", 2, slim=slots, scur=flying),
                    row(
                        "app",
                        "BACKEND",
                        1,
                        stot=requests * part,
                        scur=flying,
                        qcur=0,
                        rtime=answer_ms,
                        ttime_max=longest_ms,
                    ),
                ],
            )
        )
    return told


def of(seen: Seen, max_hold: float = 15, **options: Any) -> tuple[Rehearsal, RehearsedHaproxy]:
    told = forecast(check_of(*seen.switches), [seen], [F], max_hold, **options)
    return told, told.haproxies[0]


def waits(one: RehearsedHaproxy) -> list[Optional[int]]:
    return [wait.waiting for wait in one.waits]


def test_what_comes_piles_up() -> None:
    told, one = of(Seen("unix:///a", "lb1", [switch()], looks()))
    assert [wait.after_s for wait in one.waits] == [5, 10, 15]
    assert waits(one) == [500, 1000, 1500] and one.arrivals_per_s == 100
    assert (told.herd, told.arrivals_per_s) == (1500, 100)


def test_a_client_that_waits_on_its_only_connection_sends_no_more() -> None:
    busy = looks(requests=1000, connections=0, scur=40)
    assert waits(of(Seen("a", "lb1", [switch()], busy))[1]) == [40, 40, 40]


@pytest.mark.parametrize("h2", [3, None])
def test_over_one_connection_of_http2_many_may_wait(h2: Optional[int]) -> None:
    """So may they where HAProxy does not count these connections."""
    busy = looks(requests=1000, connections=0, scur=40, h2=h2)
    assert waits(of(Seen("a", "lb1", [switch()], busy))[1]) == [500, 1000, 1500]


def test_by_maxconn_new_connections_wait_and_requests_on_open_ones_pass() -> None:
    told, one = of(Seen("a", "lb1", [switch("maxconn")], looks(requests=1000, connections=200)))
    assert waits(one) == [100, 200, 300] and one.passing_per_s == 80
    assert any("80.0 requests per second come on open connections" in note for note in told.notes)


def test_the_kernels_queue_is_full_and_limits_the_hold() -> None:
    seen = Seen("a", "lb1", [switch("maxconn")], looks(), depths={F: 513})
    told, one = of(seen)
    assert waits(one) == [500, 513, 513]
    assert [(fill.what, round(fill.at_s, 1), fill.fails) for fill in one.fills] == [
        ("kernel", 5.1, True)
    ]
    assert told.advised_s == 4.1 and not told.fits
    assert told.reason.startswith("lb1: after 5.1 s the kernel's queue of 513 of 'balanced' is")


def test_what_nobody_knows_of_the_backlog_is_taken_from_maxconn() -> None:
    (fill,) = of(Seen("a", "lb1", [switch("maxconn")], looks(slim=100)))[1].fills
    assert "queue of 101 (from maxconn: the backlog is unknown)" in fill.words


def test_the_gates_bound_is_reached_and_the_rest_gets_503() -> None:
    seen = Seen("a", "lb1", [switch()], looks(), bounds={F: Bound(750, "maxconn")})
    told, one = of(seen)
    assert waits(one) == [500, 750, 750]
    assert (one.fills[0].what, round(one.fills[0].at_s, 1)) == ("gate", 7.5)
    assert told.advised_s == 6 and "further requests get 503" in told.reason
    # Those that are refused use up no connections.
    assert all(fill.what != "maxconn" for fill in one.fills)


def test_max_waiting_is_another_bound() -> None:
    seen = Seen("a", "lb1", [switch()], looks(), bounds={F: Bound(750, "maxconn")})
    told, one = of(seen, max_waiting=300)
    assert waits(one)[-1] == 300 and "(--max-waiting)" in told.reason


def test_held_connections_use_up_maxconn_and_then_the_kernels_queue() -> None:
    seen = Seen("a", "lb1", [switch()], looks(scur=100, slim=600), depths={F: 200})
    told, one = of(seen)
    assert [(fill.what, round(fill.at_s), fill.fails) for fill in one.fills] == [
        ("maxconn", 5, False),
        ("kernel", 7, True),
    ]
    assert waits(one)[-1] == 800 and told.advised_s == 5.6


def test_the_connections_of_the_whole_process_run_out() -> None:
    seen = Seen("a", "lb1", [switch()], looks(), maxconn=1000, connections=200)
    one = of(seen)[1]
    assert ("global", 8, True) in [(f.what, round(f.at_s), f.fails) for f in one.fills]


def test_the_herd_takes_the_servers_so_long() -> None:
    """50 at a time, 100 ms each: 500 a second, of which 100 are always new."""
    told, one = of(Seen("a", "lb1", [switch()], looks(slots=50, answer_ms=100)))
    assert one.herd is not None and one.herd.backend == "app"
    assert (one.herd.count, one.herd.slots) == (1500, 50)
    assert one.herd.last_wait_s == pytest.approx(1450 / 500)
    assert one.herd.servers_s == pytest.approx(1450 / 400)
    assert told.advised_s == 20 and "the servers of backend 'app' take (50 at a time" in told.reason
    assert ("servers", 25.5, True) in [(full.what, full.at_s, full.fails) for full in one.fills]
    assert told.fits


def test_timeout_queue_counts_where_the_gate_knows_it() -> None:
    busy = looks(slots=50, answer_ms=100)
    told, one = of(Seen("a", "lb1", [switch()], busy, queues_s={"app": 1.0, "other": 0.1}))
    assert ("servers", 5.5, True) in [(full.what, full.at_s, full.fails) for full in one.fills]
    assert told.advised_s == 4.4 and "for 1 s, where 'timeout queue' ends it" in told.reason
    assert all(
        full.what != "servers"
        for full in of(Seen("a", "l", [switch()], busy, queues_s={}))[1].fills
    )


def test_servers_without_maxconn_get_all_at_once() -> None:
    told, one = of(Seen("a", "lb1", [switch()], looks(answer_ms=100)))
    assert one.herd is not None and one.herd.servers_s is None and one.herd.slots is None
    assert any("has no maxconn: it gets all at once" in note for note in told.notes)


def test_servers_that_are_full_never_get_their_queue_empty() -> None:
    told, _ = of(Seen("a", "lb1", [switch()], looks(slots=10, answer_ms=100)))
    assert any("serve no more than comes" in note for note in told.notes)


def test_a_timeout_that_cuts_limits_the_hold() -> None:
    cut = Cut(9.0, "'timeout client' of 'balanced' ends who waits")
    told, _ = of(Seen("a", "lb1", [switch()], looks(), cuts={F: cut}))
    assert told.advised_s == 8 and told.reason.startswith("lb1: after 9.0 s 'timeout client'")


def test_the_drain_takes_as_long_as_the_last_of_those_in_flight() -> None:
    told, one = of(Seen("a", "lb1", [switch()], looks(flying=50)))
    assert one.in_flight == 50 and one.drain_s is not None and 1.5 < one.drain_s < 3
    # No longer than anything took so far.
    assert of(Seen("a", "lb1", [switch()], looks(flying=50, longest_ms=600)))[1].drain_s == 0.6
    slow = of(Seen("a", "lb1", [switch()], looks(flying=500)))[0]
    assert any("longer than --drain-timeout (5 s)" in note for note in slow.notes)
    assert not told.notes[1:]


def test_what_is_unknown_of_one_is_unknown_of_all() -> None:
    seen = [Seen("a", "lb1", [switch()], looks()), Seen("b", "lb2", [switch(None, "b")])]
    told = forecast(check_of(exit_status=3), seen, [F], 15)
    assert told.arrivals_per_s is None and told.haproxies[1].arrivals_per_s is None
    assert [wait.waiting for wait in told.waits] == [None] * 3
    assert (told.exit_status, told.ok, told.fits) == (3, False, False)


def test_without_traffic_nothing_limits_it() -> None:
    told, one = of(Seen("a", "lb1", [switch()], looks(requests=0, connections=0)))
    assert waits(one) == [0, 0, 0] and one.fills == [] and one.drain_s == 0
    assert (told.advised_s, told.fits) == (None, True)


def test_a_restart_meanwhile_counts_from_zero() -> None:
    before, now = looks()
    fewer = [
        StatRow(r.pxname, r.svname, r.status, {**r.fields, "req_tot": "400"}) for r in now.rows
    ]
    one = of(Seen("a", "lb1", [switch()], [Look(0, now.rows), Look(10, fewer)]))[1]
    assert before.rows and one.arrivals_per_s == 40


def test_it_prints_in_80_columns_with_many_haproxies() -> None:
    seen = [
        Seen(f"unix:///{n}", f"balancer-of-berlin-{n}", [switch()], looks()) for n in range(100)
    ]
    text = str(forecast(check_of(switch()), seen, [F], 15))
    lines = text.splitlines()
    assert all(len(line) <= 80 for line in lines[: 1 + 1 + 100 + 1])
    assert lines[1].split() == "HAProxy comes/s 5 s 10 s 15 s flight drain s full first".split()
    assert lines[102].split() == ["all", "10,000.0", "50,000", "100,000", "150,000", "0.0"]
    assert lines[-1] == "check: ready to hold"
