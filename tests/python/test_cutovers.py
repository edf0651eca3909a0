"""A cutover as the command line and Fabric give it on the spot."""

from __future__ import annotations

import pytest

from stillgate import Cutover, InputError
from stillgate.cutovers import cutover_of


def test_servers_weights_and_entries_of_maps() -> None:
    given = [
        "app/green1=ready",
        "app/green1=100",
        "app/blue.1=maint",
        "/etc/haproxy/release.map:active=app_green",
        "/etc/haproxy/release.map:other=two words, a=b",
    ]
    assert cutover_of("green", given) == Cutover(
        "green",
        {"app/green1": "ready", "app/blue.1": "maint"},
        {"app/green1": 100},
        {"/etc/haproxy/release.map": {"active": "app_green", "other": "two words, a=b"}},
    )


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (["app/green1"], "write BACKEND/SERVER=VALUE"),
        (["=ready"], "write BACKEND/SERVER=VALUE"),
        (["app/green1=redy"], "a server is ready, drain, maint or has a weight"),
        (["app/green1=-1"], "or has a weight"),
        (["app/green1=\u0663"], "or has a weight"),
        (["a/b=ready", "a/b=maint"], "'a/b=maint': is given twice"),
        (["m:k=x", "m:k=x"], "is given twice"),
    ],
)
def test_what_is_wrong_is_named(given: list[str], why: str) -> None:
    with pytest.raises(InputError, match=why):
        cutover_of("x", given)
