"""A switch of the gate that comes late: a release ends its own hold and no other, and the commit
that comes behind it begins nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from support.haproxy.gate import F, Gated

if TYPE_CHECKING:
    from conftest import Binary

Start = Callable[..., Gated]


def release(proxy: Gated, token: str, ramp_ms: int = 0) -> None:
    """As Stillgate sends it: by the hold's id, and below 2.4 by its token."""
    by_name = proxy.version >= (2, 4)
    word = f"open.{ramp_ms}.{token.split('.')[1]}" if by_name else token
    proxy.proxy.cli(*proxy.switching(word, number=ramp_ms))


def test_a_release_ends_its_hold_and_no_other(haproxy_version: Binary, gated: Start) -> None:
    proxy = gated(haproxy_version)
    assert proxy.whole_status()["names"] is True
    first = proxy.hold()
    release(proxy, first)
    assert proxy.status()["mode"] == "open"
    second = proxy.hold()
    # A resume of the first hold that was frozen.
    release(proxy, first)
    assert (proxy.status()["mode"], proxy.status()["token"]) == ("held", second)
    release(proxy, second)
    assert proxy.status()["mode"] == "open"


def test_a_commit_behind_its_release_begins_nothing(haproxy_version: Binary, gated: Start) -> None:
    proxy = gated(haproxy_version)
    token = proxy.token(60_000)
    release(proxy, token)
    proxy.proxy.cli(*proxy.switching(token))
    assert proxy.status()["mode"] == "open"
    proxy.proxy.cli(f"stillgate sync {F}")
    assert proxy.status()["mode"] == "open"
    assert proxy.hold() == proxy.status()["token"]


def test_a_hold_replaces_no_other(haproxy_version: Binary, gated: Start) -> None:
    """Around a reload two may have had the lock, each in its process."""
    proxy = gated(haproxy_version)
    first = proxy.hold()
    second = proxy.hold()
    assert proxy.status()["token"] == first
    release(proxy, first)
    proxy.proxy.cli(f"stillgate sync {F}")
    assert proxy.status()["mode"] == "open"
    proxy.proxy.cli(*proxy.switching(second))
    assert proxy.status()["mode"] == "open"
