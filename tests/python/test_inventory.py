"""The inventory: where it is looked for, what it may say, and where errors point."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from stillgate import Cutover, Fleet, InputError, InventoryError
from stillgate.inventory import find_inventory, fleet_names, load_fleet

GOOD = """
[fleet.production]
frontends = ["balanced"]
max_hold = 15.0
endpoints = ["unix:///run/a.sock", "tcp://lb2:9999"]
reply_timeout = 2.5

[fleet.staging]
endpoints = ["/run/b.sock"]
"""


def write(folder: Path, text: str) -> str:
    path = folder / "stillgate.toml"
    path.write_text(text)
    return str(path)


def test_reads_a_fleet(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD)
    entry = load_fleet("production", path)
    assert entry.endpoints == ["unix:///run/a.sock", "tcp://lb2:9999"]
    assert entry.frontends == ["balanced"]
    assert entry.options == {"reply_timeout": 2.5, "max_hold": 15.0}
    assert fleet_names(path) == ["production", "staging"]
    fleet = Fleet.load("staging", path)
    assert fleet.endpoints == ["unix:///run/b.sock"]


def test_reads_the_cutovers_of_a_fleet(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        GOOD
        + """
[fleet.production.cutover.green]
servers = { "app/green.1" = "ready", "app/blue-1" = "maint" }
weights = { "app/green.1" = 100 }
maps = { "/etc/release.map" = { active = "app_green" } }
""",
    )
    assert Fleet.load("staging", path).cutovers == {}
    (green,) = Fleet.load("production", path).cutovers.values()
    assert green == Cutover(
        "green",
        {"app/green.1": "ready", "app/blue-1": "maint"},
        {"app/green.1": 100},
        {"/etc/release.map": {"active": "app_green"}},
    )


@pytest.mark.parametrize(
    "cutover, field, words",
    [
        (Cutover("g", {"b": "ready"}), "servers", "must be BACKEND/SERVER"),
        (Cutover("g", {"b/s": "up"}), "servers", "must be ready, drain or maint"),
        (Cutover("g", weights={"b/s": 257}), "weights", "from 0 to 256"),
        (Cutover("g", maps={"/m": {"k": "a;b"}}), "maps", "value 'a;b'"),
        (Cutover("../g", {"b/s": "ready"}), "cutover", "a name has"),
        (Cutover("g"), "cutover", "names no server"),
        ("blue", "cutover", "no cutover 'blue'; it has: green"),
    ],
)
def test_a_wrong_cutover_is_refused_with_its_field(
    cutover: Cutover | str, field: str, words: str
) -> None:
    fleet = Fleet(["unix:///nowhere/a.sock"], cutovers=[Cutover("green", {"b/s": "ready"})])
    calls: list[Callable[[], object]] = [
        lambda: fleet.cutover(cutover),
        lambda: fleet.resume("f", cutover=cutover),
        lambda: fleet.check("f", cutover=cutover),
    ]
    for call in calls:
        with pytest.raises(InputError, match=re.escape(words)) as refused:
            call()
        assert refused.value.field == field


@pytest.mark.parametrize(
    "text, place, words",
    [
        ("[fleet.a\n", "1:9", "Expected"),
        ('[fleet.a]\nendpoints = ["x\n', "2:", "Illegal character"),
        ("[fleet.a]\nendpoints = []\n", "2:1", "at least one"),
        ("[fleet.a]\n", None, "at least one"),
        ('[fleet.a]\nendpoints = ["/a", "/a"]\n', "2:1", "twice"),
        ("[fleet.a]\nendpoints = [1]\n", "2:1", "list of strings"),
        ('[fleet.b]\nendpoint=1\n[fleet.a]\nendpoint = ["/a"]\n', "4:1", "mean 'endpoints'"),
        ('[fleet.a]\nendpoints = ["/a"]\nreply_timeout = "2"\n', "3:1", "number of seconds"),
        ('[fleet.a]\nendpoints = ["/a"]\n  max_hold = -1\n', "3:3", "0.1 to 3600"),
        ('[fleet.a]\nendpoints = ["/a"]\nmax_hold = 0.05\n', "3:1", "0.1 to 3600"),
        ('[fleet.a]\nendpoints = ["/a"]\nreply_timeout = 0\n', "3:1", "0.001 to 3600"),
        ('[fleet.a]\nendpoints = ["/a"]\ncutover = 1\n', "3:1", "[fleet.a.cutover.NAME]"),
        (
            '[fleet.a]\nendpoints = ["/a"]\n[fleet.a.cutover.g]\nserver = { "b/s" = "ready" }\n',
            "4:1",
            "unknown key 'server' of the cutover 'g'",
        ),
        (
            '[fleet.a]\nendpoints = ["/a"]\n[fleet.a.cutover.g]\nweights = { "b/s" = "1" }\n',
            "4:",
            "'b/s' of 'weights' must be a whole number",
        ),
        (
            '[fleet.a]\nendpoints = ["/a"]\n[fleet.a.cutover.g]\nmaps = { "/m" = { k = 1 } }\n',
            "4:",
            "'k' of '/m' must be text",
        ),
        ('[fleet.a]\nendpoints = ["/a"]\n[fleet.a.cutover.g]\n', "3:", "'g' names no server"),
        ("[fleets.a]\n", "1:2", "unknown key 'fleets'"),
        ('[fleet.b]\nendpoints = ["/a"]\n', None, "no fleet 'a'; fleets there: b"),
    ],
)
def test_errors_point_at_their_place(
    tmp_path: Path, text: str, place: str | None, words: str
) -> None:
    path = write(tmp_path, text)
    with pytest.raises(InventoryError) as caught:
        load_fleet("a", path)
    assert words in caught.value.message
    assert caught.value.message.startswith(f"{path}:{place}" if place else f"{path}: ")
    assert caught.value.exit_status == 2


def test_endpoints_may_have_short_names(tmp_path: Path) -> None:
    text = '[fleet.p.endpoints]\nlb1 = "/run/a.sock"\nlb2 = "tcp://b:1"\n'
    path = write(tmp_path, text)
    assert load_fleet("p", path).endpoints == ["lb1=/run/a.sock", "lb2=tcp://b:1"]
    fleet = Fleet.load("p", path)
    assert fleet.endpoints == ["unix:///run/a.sock", "tcp://b:1"]
    assert fleet.twin().execute("show info")[0].endpoint_name == "lb1"
    with pytest.raises(InventoryError, match="NAME = URL"):
        load_fleet("p", write(tmp_path, "[fleet.p.endpoints]\nlb1 = 7\n"))


def test_missing_and_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(InventoryError, match="No such file"):
        load_fleet("a", str(tmp_path / "none.toml"))
    with pytest.raises(InventoryError, match="a folder, not a plain file"):
        load_fleet("a", str(tmp_path))
    latin = tmp_path / "latin.toml"
    latin.write_bytes(b"# \xe9\n")
    with pytest.raises(InventoryError, match="UTF-8"):
        load_fleet("a", str(latin))


def test_the_order_of_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("STILLGATE_INVENTORY", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    if not Path("/etc/stillgate/stillgate.toml").exists():
        with pytest.raises(InventoryError, match="no inventory"):
            find_inventory()
    (tmp_path / "config" / "stillgate").mkdir(parents=True)
    home = write(tmp_path / "config" / "stillgate", GOOD)
    assert find_inventory() == Path(home)
    write(tmp_path, GOOD)
    assert find_inventory() == Path("stillgate.toml")
    monkeypatch.setenv("STILLGATE_INVENTORY", "/named/in/environment")
    assert find_inventory() == Path("/named/in/environment")
    assert find_inventory("/given") == Path("/given")


def test_a_fleet_may_say_who_is_told(tmp_path: Path) -> None:
    text = '[fleet.a]\nendpoints = ["/a"]\non_event = "cat"\nevent_format = "syslog"\n'
    path = write(tmp_path, text)
    assert load_fleet("a", path).options == {"on_event": "cat", "event_format": "syslog"}
    assert Fleet.load("a", path, event_format="journald").endpoints == ["unix:///a"]
    for wrong, words in (("on_event = 1", "must be text"), ('event_format = "x"', "one of json")):
        with pytest.raises(InventoryError, match=words):
            load_fleet("a", write(tmp_path, f'[fleet.a]\nendpoints = ["/a"]\n{wrong}\n'))
