"""The gate's own lock, which decides between two suspends below HAProxy 2.6."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Optional

from support.haproxy.gate import F, Gated
from support.process import wait_until

if TYPE_CHECKING:
    from conftest import Binary

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
