"""What Fabric's tasks are told: settings and flags, without Fabric and without anything sent."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from stillgate import InputError
from stillgate.fabric_settings import KEYS, Settings, read_settings

FLEET: dict[str, Any] = {"fleet": "production"}
ALL: dict[str, Any] = {
    "endpoints": ["/a", "tcp://b:1"],
    "inventory": "fleets.toml",
    "frontends": ["balanced", "api"],
    "method": "gate",
    "accept_unproven": True,
    "on_expiry": "reject",
    "max_waiting": 0,
    "max_hold": 15,
    "drain_timeout": 5.5,
    "no_lease": True,
    "accept_hazard": False,
    "reason": "migration 42",
    "ramp": 0,
    "limit": 2000,
    "wait_up": False,
    "retry_for": 0,
    "grace": 2,
    "connect_timeout": 0.5,
    "greeting_timeout": 1,
    "reply_timeout": 5,
}


def refusal(given: Any, **flags: Any) -> InputError:
    with pytest.raises(InputError) as caught:
        read_settings(given, flags)
    assert (caught.value.code, caught.value.exit_status) == ("bad_option", 2)
    return caught.value


def test_every_setting_is_read() -> None:
    assert {*ALL, "fleet"} == set(KEYS)
    settings = read_settings(ALL)
    for key, value in ALL.items():
        found = getattr(settings, key)
        assert found == (tuple(value) if isinstance(value, list) else value), key
    assert isinstance(settings.max_hold, float) and isinstance(settings.limit, int)


def test_what_nobody_told_is_left_to_stillgate() -> None:
    settings = read_settings({**FLEET, "max_hold": 3, "no_lease": False, "reason": None})
    assert settings == Settings(fleet="production", max_hold=3.0, no_lease=False)
    told = settings.told("max_hold", "no_lease", "reason", "drain_timeout")
    assert told == {"max_hold": 3.0, "no_lease": False}


def test_one_frontend_may_be_a_text() -> None:
    assert read_settings({**FLEET, "frontends": "balanced"}).frontends == ("balanced",)


@pytest.mark.parametrize(
    "flags, key, value",
    [
        ({"max_hold": "2.5"}, "max_hold", 2.5),
        ({"max_hold": 2.5}, "max_hold", 2.5),
        ({"limit": "55"}, "limit", 55),
        ({"frontends": ["a", "b"]}, "frontends", ("a", "b")),
        ({"frontends": []}, "frontends", ("balanced", "api")),
        ({"wait_up": True}, "wait_up", True),
        ({"no_lease": False}, "no_lease", True),
        ({"reason": None}, "reason", "migration 42"),
        ({"retry_for": "3"}, "retry_for", 3.0),
        ({"method": "auto"}, "method", "auto"),
        ({"max_waiting": "500"}, "max_waiting", 500),
    ],
)
def test_flags_come_before_settings(flags: dict[str, Any], key: str, value: object) -> None:
    assert getattr(read_settings(ALL, flags), key) == value


# --- what is refused ------------------------------------------------------------------


@pytest.mark.parametrize("given", ["production", 5, ["fleet"], True])
def test_settings_that_are_no_settings(given: Any) -> None:
    assert "setting stillgate: must hold keys" in refusal(given).message


@pytest.mark.parametrize(
    "key, near", [("max_hodl", "max_hold"), ("max-hold", "max_hold"), ("frontend", "frontends")]
)
def test_an_unknown_key_is_named_with_the_one_that_was_meant(key: str, near: str) -> None:
    error = refusal({**FLEET, key: 1})
    assert error.message == f"setting stillgate.{key}: unknown; did you mean '{near}'?"
    assert error.field == key


def test_an_unknown_key_like_no_other_gets_the_whole_list() -> None:
    message = refusal({**FLEET, "zzz": 1}).message
    assert all(key in message for key in ("zzz", *KEYS))


@pytest.mark.parametrize(
    "key, value",
    [
        ("fleet", 5),
        ("fleet", ""),
        ("method", "lock"),
        ("on_expiry", True),
        ("max_waiting", -1),
        ("endpoints", "/a"),
        ("endpoints", []),
        ("endpoints", ["/a", 5]),
        ("endpoints", {"a": 1}),
        ("inventory", ["fleets.toml"]),
        ("frontends", 5),
        ("frontends", []),
        ("frontends", ""),
        ("frontends", ["a", ""]),
        ("max_hold", "15"),
        ("max_hold", True),
        ("max_hold", 0),
        ("max_hold", -1),
        ("max_hold", 3601),
        ("max_hold", float("nan")),
        ("max_hold", float("inf")),
        ("max_hold", [15]),
        ("drain_timeout", -0.1),
        ("no_lease", "yes"),
        ("no_lease", 1),
        ("accept_hazard", 0),
        ("reason", 42),
        ("ramp", "fast"),
        ("limit", 0),
        ("limit", 2**31),
        ("limit", 1.5),
        ("limit", True),
        ("wait_up", "true"),
        ("retry_for", 3601),
        ("grace", "2"),
        ("connect_timeout", 0),
        ("greeting_timeout", 0),
        ("reply_timeout", {}),
    ],
)
def test_a_wrong_value_is_named_with_its_key(key: str, value: Any) -> None:
    base: dict[str, Any] = {} if key in ("fleet", "endpoints") else FLEET
    error = refusal({**base, key: value})
    assert f"setting stillgate.{key}: must be " in error.message
    assert (repr(value) in error.message, error.field) == (True, key)


@pytest.mark.parametrize(
    "flag, value, words",
    [
        ("max_hold", "abc", "--max-hold: must be a number of seconds, not 'abc'"),
        ("max_hold", "nan", "--max-hold: must be a number of seconds"),
        ("max_hold", "0", "--max-hold: must be from 0.1 to 3600 seconds"),
        ("limit", "12abc", "--limit: must be a whole number"),
        ("limit", "0", "--limit: must be a whole number"),
        ("frontends", [5], "--frontend: must be a list of texts"),
    ],
)
def test_a_wrong_flag_is_named(flag: str, value: Any, words: str) -> None:
    assert words in refusal(FLEET, **{flag: value}).message


@pytest.mark.parametrize("given", [None, {}, {"frontends": "a"}, {**FLEET, "endpoints": ["/a"]}])
def test_a_fleet_or_endpoints_must_be_named(given: Any) -> None:
    assert "'fleet' of the inventory or 'endpoints', and not both" in refusal(given).message


@pytest.mark.parametrize("grace", [15, 20.0])
def test_a_grace_that_leaves_the_command_no_time(grace: float) -> None:
    assert refusal({**ALL, "grace": grace}).field == "grace"


def test_neither_stillgate_nor_the_settings_import_fabric() -> None:
    code = "import stillgate, stillgate.fleet, stillgate.fabric_settings, sys\n"
    code += "print([m for m in sys.modules if m.split('.')[0] in ('fabric', 'invoke', 'paramiko')])"
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True)
    assert done.stdout == b"[]\n"
