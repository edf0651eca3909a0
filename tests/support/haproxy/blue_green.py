"""A backend with the old code and the new, neither of which is asked: what a cutover chooses of."""

from __future__ import annotations

from support.haproxy.server import HAProxy

BACKEND = """\
backend app
    mode http
    server blue 127.0.0.1:9
    server green 127.0.0.1:9 disabled
"""
SERVE = ("--serve", "app/green=ready", "--serve", "app/blue=maint")
SERVERS = {"app/green": "ready", "app/blue": "maint"}
FIRST, LAST = "set server app/green state ready", "set server app/blue state maint"
ASKS = "show servers state"
OLD_CODE, NEW_CODE = ["blue no check", "green MAINT"], ["blue MAINT", "green no check"]


def serving(proxy: HAProxy) -> list[str]:
    rows = [row for row in proxy.stat() if row["pxname"] == "app" and row["svname"] != "BACKEND"]
    return [f"{row['svname']} {row['status']}" for row in rows]
