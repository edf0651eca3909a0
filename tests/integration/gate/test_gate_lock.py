"""The gate's own lock, which decides between two suspends below HAProxy 2.6."""

from __future__ import annotations

import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Optional

import pytest

from stillgate import Fleet, HeldByOther
from support.haproxy.gate import F, Gated
from support.haproxy.holds import verdicts
from support.haproxy.server import HAProxy
from support.haproxy.tap import Tap
from support.process import wait_until

if TYPE_CHECKING:
    from conftest import Binary

pytestmark = pytest.mark.usefixtures("state")
Start = Callable[..., Gated]


def lock(proxy: Gated, words: str) -> Optional[str]:
    told: dict[str, Any] = proxy.ask(f"stillgate {words}")
    assert told["locks"] is True
    holder: Optional[str] = told["frontends"].get(F, {}).get("lock_id")
    return holder


def test_one_has_it_until_it_is_given_back(haproxy_version: Binary, gated: Start) -> None:
    proxy = gated(haproxy_version)
    assert lock(proxy, f"status {F}") is None
    assert lock(proxy, f"lock {F} alice 60000 cmVjb3Jk") == "alice"
    assert proxy.status()["lock_record"] == "cmVjb3Jk"
    assert lock(proxy, f"lock {F} bob 60000 b3RoZXI") == "alice"
    assert lock(proxy, f"unlock {F} bob") == "alice"
    assert proxy.status()["mode"] == "open"
    assert lock(proxy, f"unlock {F} alice") is None
    assert lock(proxy, f"lock {F} bob 60000 b3RoZXI") == "bob"


def test_it_is_free_when_its_time_is_over(haproxy_version: Binary, gated: Start) -> None:
    proxy = gated(haproxy_version)
    assert lock(proxy, f"lock {F} dead 200 cmVjb3Jk") in ("dead", None)
    wait_until(lambda: lock(proxy, f"lock {F} next 60000 cmVjb3Jk") == "next", "a free lock")


def test_a_hold_has_it_until_it_ends(haproxy_version: Binary, gated: Start) -> None:
    proxy = gated(haproxy_version)
    proxy.hold(60000)
    holder = proxy.status()["id"]
    assert lock(proxy, f"lock {F} bob 60000 b3RoZXI") == holder
    proxy.open()
    assert lock(proxy, f"status {F}") is None
    assert lock(proxy, f"lock {F} bob 60000 b3RoZXI") == "bob"


def test_it_is_had_only_behind_another_one(haproxy_version: Binary, gated: Start) -> None:
    proxy = gated(haproxy_version, frontends=(F, "other"))
    assert lock(proxy, f"lock {F} bob 60000 b3RoZXI other") is None
    assert lock(proxy, f"lock {F} bob 60000 b3RoZXI nobody") is None
    assert proxy.ask("stillgate lock other alice 60000 cmVjb3Jk")["locks_behind"] is True
    assert lock(proxy, f"lock {F} bob 60000 b3RoZXI other") is None
    assert lock(proxy, f"lock {F} alice 60000 cmVjb3Jk other") == "alice"


class InOneRound(Tap):
    """Passes no answer on, from the first lock on, until so many were asked for."""

    def __init__(self, proxy: HAProxy, count: int) -> None:
        self._count = count
        super().__init__(proxy, {})

    def locks(self) -> list[str]:
        return [line for line in list(self.lines) if line.startswith("stillgate lock ")]

    def pass_back(self, client: socket.socket, piece: bytes) -> None:
        if self.locks():
            wait_until(lambda: len(self.locks()) >= self._count, "all locks in one round")
        super().pass_back(client, piece)


def test_the_locks_of_thirty_frontends_take_one_round(
    haproxy_binaries: dict[str, Binary], gated: Start
) -> None:
    names = [f"f{number:02}" for number in range(30)]
    proxy = gated(haproxy_binaries["2.2"], frontends=names, h2=False)
    with InOneRound(proxy.proxy, len(names)) as tap:
        fleet = Fleet([tap.endpoint])
        assert verdicts(fleet.suspend(*names, method="gate", drain_timeout=0)) == ["held"] * 30
        assert len(tap.locks()) == len(names)
        assert verdicts(fleet.resume(*names)) == ["resumed"] * 30


@pytest.mark.moment
def test_of_two_that_share_some_frontends_one_holds_all_of_its_own(
    haproxy_binaries: dict[str, Binary], gated: Start
) -> None:
    """On one HAProxy; their first names differ, so that each has a lock before they meet."""
    names = [f"f{number:02}" for number in range(12)]
    proxy = gated(haproxy_binaries["2.2"], frontends=names, h2=False)
    wanted = {"anna": names[:8], "bob": names[3:]}
    for _ in range(3):
        fleets = {who: Fleet(proxy.proxy.endpoints) for who in wanted}
        with ThreadPoolExecutor(2) as pool:
            done = {
                who: pool.submit(suspended, fleet, wanted[who], who)
                for who, fleet in fleets.items()
            }
        held = [who for who, result in done.items() if result.result()]
        assert len(held) == 1
        for name in names:
            assert (proxy.status(name)["mode"] == "held") == (name in wanted[held[0]])
        fleets[held[0]].resume(*wanted[held[0]], owner=held[0])


def suspended(fleet: Fleet, names: list[str], owner: str) -> bool:
    try:
        fleet.suspend(*names, method="gate", owner=owner, drain_timeout=0)
    except HeldByOther:
        return False
    return True


def test_what_is_malformed_takes_nothing(haproxy_version: Binary, gated: Start) -> None:
    proxy = gated(haproxy_version)
    for words in (
        "nobody alice 60000 cmVjb3Jk",
        f"{F} alice",
        f"{F} alice 0 cmVjb3Jk",
        f"{F} alice 86400001 cmVjb3Jk",
        f"{F} alice -1 cmVjb3Jk",
        f"{F} al.ice 60000 cmVjb3Jk",
        f"{F} alice 60000 a.b",
    ):
        assert lock(proxy, f"lock {words}") is None
        assert lock(proxy, f"status {F}") is None
