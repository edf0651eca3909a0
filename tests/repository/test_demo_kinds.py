"""The demo's kinds of clients: what each saw of a hold is counted for itself, and the method that
is shown for comparison may leak, but not fail.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from demo.kinds import KINDS, Contrast, Hold, Seen, beside, is_of, prefix, seen_by_all
from support.app import Arrival
from support.clients.kinds import CLIENTS
from support.clients.load import Record

NEW, KEEP_ALIVE, HTTP2 = KINDS
HOLD = Hold(held=10.0, resuming=12.0)


def request(name: str, sent: float, finished: float, status: int = 200) -> Record:
    return Record(name, sent, finished, status, None)


def test_there_are_clients_of_each_kind_and_an_id_tells_which() -> None:
    assert [kind.key for kind in KINDS] == list(CLIENTS)
    for kind in KINDS:
        own = prefix(kind, 2) + "17"
        assert [other for other in KINDS if is_of(other, own)] == [kind]


@pytest.mark.parametrize(
    "sent, finished, held, waited",
    [
        (9.0, 9.1, False, False),
        (9.9, 12.1, True, True),  # waited before the owner of the hold heard of it
        (10.0, 10.1, True, False),  # passed
        (10.9, 12.1, True, True),
        (11.9, 12.1, True, False),  # just before the release: it may as well have passed
        (12.0, 12.1, False, False),
    ],
)
def test_who_was_held_and_who_waited(
    sent: float, finished: float, held: bool, waited: bool
) -> None:
    one = request("new/0/1", sent, finished)
    assert (HOLD.concerns(one), HOLD.kept_waiting(one)) == (held, waited)


def test_who_failed_in_the_end_did_not_merely_wait() -> None:
    assert not HOLD.kept_waiting(request("new/0/1", 10.1, 12.1, status=503))


@pytest.mark.parametrize("at, met", [(9.99, False), (10.0, True), (11.99, True), (12.0, False)])
def test_what_reaches_a_server_between_the_moments_has_leaked(at: float, met: bool) -> None:
    assert HOLD.was_met_by(Arrival("new/0/1", at)) is met


def test_each_kind_is_counted_for_itself() -> None:
    records = [
        request("new/0/1", 9.0, 9.5),
        request("new/0/2", 10.25, 12.25),
        request("keep-alive/0/1", 10.25, 10.5),
        request("keep-alive/1/2", 13.0, 13.125, status=502),
    ]
    arrivals = [Arrival("new/0/1", 9.2), Arrival("keep-alive/0/1", 10.35)]
    seen = seen_by_all(HOLD, records, arrivals)
    assert seen[NEW] == Seen(2, held=1, waited=1, failed=0, leaked=0, longest=2.0)
    assert seen[KEEP_ALIVE] == Seen(2, held=1, waited=0, failed=1, leaked=1, longest=0.25)
    assert seen[HTTP2] == Seen(0, held=0, waited=0, failed=0, leaked=0, longest=0.0)


LEAKY = Contrast(
    HOLD,
    records=[request("http2/0/1", 11.0, 11.1)],
    arrivals=[Arrival("http2/0/1", 11.05)],
    same_process=True,
)


def test_what_leaks_by_the_other_method_is_counted_and_not_held_against_it() -> None:
    assert LEAKY.wrong() == []
    assert LEAKY.seen()[HTTP2].leaked == 1


def test_the_other_method_may_neither_fail_nor_crash() -> None:
    failing = replace(LEAKY, records=[Record("new/0/1", 11.0, 11.1, None, "reset")])
    assert failing.wrong() == ["requests failed with maxconn"]
    ended = replace(LEAKY, same_process=False)
    assert ended.wrong() == ["the HAProxy with maxconn ended"]


def test_the_tables_stand_side_by_side() -> None:
    clean = Seen(sent=996, held=207, waited=200, failed=0, leaked=0, longest=2.614)
    leaky = replace(clean, leaked=45, longest=0.011)
    lines = beside(("gate", dict.fromkeys(KINDS, clean)), ("maxconn", dict.fromkeys(KINDS, leaky)))
    assert lines[0].split() == ["gate", "maxconn"]
    assert lines[1].split() == ["sent", "held", "failed", "leaked", "longest"] * 2
    assert [line.split()[-12:] for line in lines[2:]] == [
        ["996", "207", "0", "0", "2.61", "s", "996", "207", "0", "45", "0.01", "s"]
    ] * len(KINDS)
    assert lines[0].index("gate") < lines[0].index("maxconn") and len(set(map(len, lines[1:]))) <= 2
