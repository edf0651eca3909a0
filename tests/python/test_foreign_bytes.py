"""What Python reads of others' making, changed at random: it is understood, or refused as it should
be. The seeds are fixed, so that each run is the same.
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from stillgate import InventoryError
from stillgate.inventory import fleet_names, load_fleet
from stillgate.past_holds import fold, read_events

ROOT = Path(__file__).resolve().parents[2]
ROUNDS = 1500
INVENTORY = b"""[fleet.production]
frontends = ["balanced"]
max_hold = 15.0
on_event = 'logger "$STILLGATE_EVENT"'
endpoints = ["unix:///run/a.sock", "tcp://lb2:9999", "ssh://deploy@lb/run/b.sock?config=c"]
[fleet."a b"]
endpoints = ['/c']
event_format = "json"
[fleet.production.cutover.green]
servers = { "app/green.1" = "ready", "app/blue-1" = "maint" }
weights = { "app/green.1" = 100 }
maps = { "/etc/release.map" = { active = "app_green" } }
"""
EVENT = ROOT / "tests" / "fuzz" / "corpus" / "event" / "held"
PIECES = (
    *(b"", b"\0", b"\xff", b"\x1b", b"\n", b'"', b"'", b"\\", b"=", b"{", b"}", b"[", b"]", b"-1"),
    *(b"1e999", b"null", b"true", b"NaN", b"Infinity", b"[[[[", b'{"a":', b"\xe2\x80\xae"),
    *(b"99999999999999999999", b"9999-99-99T99:99:99Z", b"\\ud800", b"fleet", b"[fleet.x]"),
)


def mutated(good: bytes, seed: int) -> bytes:
    """Up to six changes: a piece in another's place, a cut, a part twice."""
    dice = random.Random(seed)
    data = bytearray(good)
    for _ in range(dice.choice((1, 1, 2, 6))):
        start = dice.randint(0, len(data))
        end = min(len(data), start + dice.choice((0, 1, 1, 2, 8, 40)))
        change = dice.randrange(4)
        if change == 0:
            del data[start:end]
        elif change == 1:
            data[start:start] = data[start:end]
        else:
            data[start:end] = dice.choice(PIECES)
    return bytes(data)


def test_an_inventory(tmp_path: Path) -> None:
    path = tmp_path / "stillgate.toml"
    understood = 0
    for seed in range(ROUNDS):
        path.write_bytes(mutated(INVENTORY, seed))
        try:
            for name in fleet_names(str(path)):
                entry = load_fleet(name, str(path))
                assert entry.endpoints and all(isinstance(one, str) for one in entry.endpoints)
                understood += 1
        except InventoryError as error:
            assert error.message.startswith(str(path)), seed
            assert str(error).isprintable() or "\n" in str(error), seed
    assert understood > ROUNDS / 10, "the changes are too many to reach what lies behind the first"


def test_the_lines_of_a_history(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    good = EVENT.read_bytes().strip() + b"\n"
    path.write_bytes(good)
    assert len(read_events(str(tmp_path)).events) == 1, "the seed is a line of ours"
    understood = 0
    for seed in range(ROUNDS):
        path.write_bytes(good + mutated(good, seed) + b"\n" + good)
        read = read_events(str(tmp_path))
        assert len(read.events) >= 2 or read.skipped, seed
        understood += len(read.events) - 2
        for hold in fold(read.events):
            assert str(hold.id)
    assert understood > ROUNDS / 20


@pytest.mark.parametrize("seed", range(20))
def test_bytes_without_any_sense(tmp_path: Path, seed: int) -> None:
    data = random.Random(seed).randbytes(4096)
    (tmp_path / "stillgate.toml").write_bytes(data)
    (tmp_path / "history.jsonl").write_bytes(data)
    with pytest.raises(InventoryError):
        fleet_names(str(tmp_path / "stillgate.toml"))
    assert read_events(str(tmp_path)).events == []
