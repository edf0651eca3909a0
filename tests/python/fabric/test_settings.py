"""What Fabric's tasks are told: settings and flags, without Fabric and without anything sent."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from stillgate import InputError
from stillgate.fabric.settings import KEYS, PLACES, Settings, read_settings

FLEET: dict[str, Any] = {"fleet": "production"}
ALL: dict[str, Any] = {
    "endpoints": ["/a", "tcp://b:1"],
    "socket": "/run/haproxy/admin.sock",
    "auth": "password",
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
    "on_event": "logger -t stillgate",
    "event_format": "syslog",
    "connect_timeout": 0.5,
    "greeting_timeout": 1,
    "reply_timeout": 5,
}


def refusal(given: Any, **flags: Any) -> InputError:
    with pytest.raises(InputError) as caught:
        read_settings(given, flags)
    assert (caught.value.code, caught.value.exit_status) == ("bad_option", 2)
    return caught.value


def value_of(settings: Settings, key: str) -> Any:
    return getattr(settings, key) if key in PLACES else settings.options.get(key)


def test_every_setting_is_read() -> None:
    assert {*ALL, "fleet", "hosts"} <= set(KEYS)
    settings = read_settings(ALL)
    for key, value in ALL.items():
        found = value_of(settings, key)
        assert found == (tuple(value) if isinstance(value, list) else value), key
    assert isinstance(value_of(settings, "max_hold"), float)
    assert isinstance(value_of(settings, "limit"), int)


def test_what_nobody_told_is_left_to_stillgate() -> None:
    settings = read_settings({**FLEET, "max_hold": 3, "no_lease": False, "reason": None})
    assert settings == Settings(fleet="production", options={"max_hold": 3.0, "no_lease": False})
    told = settings.told("max_hold", "no_lease", "reason", "drain_timeout")
    assert told == {"max_hold": 3.0, "no_lease": False}


def test_frontends_may_be_a_text() -> None:
    assert read_settings({**FLEET, "frontends": "balanced"}).frontends == ("balanced",)
    assert read_settings({**FLEET, "frontends": "a, b"}).frontends == ("a", "b")


# --- the environment ------------------------------------------------------------------


@pytest.mark.parametrize(
    "text, key, value",
    [
        ("production", "fleet", "production"),
        ("/a tcp://b:1", "endpoints", ("/a", "tcp://b:1")),
        ("lb1,lb2", "hosts", ("lb1", "lb2")),
        ("a,b", "frontends", ("a", "b")),
        ("2.5", "max_hold", 2.5),
        ("55", "limit", 55),
        ("1", "no_lease", True),
        ("false", "no_lease", False),
        ("", "reason", None),
    ],
)
def test_a_variable_stands_for_a_key_that_stands_nowhere(text: str, key: str, value: Any) -> None:
    place = {} if key in ("fleet", "endpoints", "hosts") else FLEET
    variables = {f"FABRIC_STILLGATE_{key.upper()}": text}
    settings = read_settings({**place, "socket": "/a"}, None, variables)
    assert value_of(settings, key) == value


def test_what_fabric_has_settled_comes_before_the_variable() -> None:
    variables = {"FABRIC_STILLGATE_MAX_HOLD": "5", "FABRIC_STILLGATE_GRACE": "1"}
    # Fabric has made a number of it, or a task has changed it since.
    settings = read_settings({**FLEET, "max_hold": 7, "grace": None}, None, variables)
    assert settings.options == {"max_hold": 7.0, "grace": 1.0}
    # Fabric has taken the text as it was, because the key stood there empty.
    assert value_of(read_settings({**FLEET, "max_hold": "5"}, None, variables), "max_hold") == 5.0
    assert value_of(read_settings(FLEET, {"max_hold": "3"}, variables), "max_hold") == 3.0


def test_a_wrong_variable_is_named() -> None:
    def words(name: str, text: str) -> str:
        with pytest.raises(InputError) as caught:
            read_settings(FLEET, None, {name: text})
        return caught.value.message

    said = words("FABRIC_STILLGATE_MAX_HOLD", "long")
    assert said == "FABRIC_STILLGATE_MAX_HOLD: must be a number of seconds, not 'long'"
    said = words("FABRIC_STILLGATE_MAX_HODL", "5")
    assert said == "FABRIC_STILLGATE_MAX_HODL: unknown; did you mean 'max_hold'?"
    assert "NO_LEASE: must be true or false" in words("FABRIC_STILLGATE_NO_LEASE", "maybe")


# --- hosts ----------------------------------------------------------------------------


def test_hosts_want_a_socket_and_come_before_a_fleet() -> None:
    with pytest.raises(InputError) as caught:
        read_settings(FLEET, with_hosts=True)
    assert caught.value.field == "socket"
    assert read_settings({**FLEET, "socket": "/a"}, with_hosts=True).socket == "/a"
    assert refusal({"hosts": ["lb1"]}).field == "socket"
    several = ["lb1", {"host": "lb2", "port": 2222}]
    assert read_settings({"hosts": several, "socket": "/a"}).hosts == tuple(several)


def test_what_concerns_one_call_is_no_setting() -> None:
    for key in ("hold", "force", "seconds"):
        assert f"stillgate.{key}: unknown" in refusal({**FLEET, key: True}).message
    settings = read_settings(FLEET, {"hold": "4f2a", "force": True, "seconds": "2.5"})
    assert settings.told("hold", "force", "seconds") == {
        "hold": "4f2a",
        "force": True,
        "seconds": 2.5,
    }


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
    assert value_of(read_settings(ALL, flags), key) == value


# --- what is refused ------------------------------------------------------------------


@pytest.mark.parametrize("given", ["production", 5, ["fleet"], True])
def test_settings_that_are_no_settings(given: Any) -> None:
    assert "setting stillgate: must have keys" in refusal(given).message


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
        ("socket", "run/haproxy.sock"),
        ("socket", ["/a"]),
        ("socket", {"lb1": "/a", "lb2": "b"}),
        ("auth", "publickey"),
        ("on_event", ["logger"]),
        ("event_format", "xml"),
        ("hosts", []),
        ("hosts", [5]),
        ("hosts", [{"port": 22}]),
        ("connect_timeout", 0),
        ("greeting_timeout", 0),
        ("reply_timeout", {}),
    ],
)
def test_a_wrong_value_is_named_with_its_key(key: str, value: Any) -> None:
    base: dict[str, Any] = {} if key in ("fleet", "endpoints", "hosts") else FLEET
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
        ("frontends", [5], "--frontend: must be a list of strings"),
    ],
)
def test_a_wrong_flag_is_named(flag: str, value: Any, words: str) -> None:
    assert words in refusal(FLEET, **{flag: value}).message


@pytest.mark.parametrize(
    "given",
    [
        None,
        {},
        {"frontends": "a"},
        {**FLEET, "endpoints": ["/a"]},
        {**FLEET, "hosts": ["lb1"], "socket": "/a"},
    ],
)
def test_a_fleet_or_endpoints_must_be_named(given: Any) -> None:
    assert "name exactly one of 'fleet'" in refusal(given).message


@pytest.mark.parametrize("grace", [15, 20.0])
def test_a_grace_that_leaves_the_command_no_time(grace: float) -> None:
    assert refusal({**ALL, "grace": grace}).field == "grace"


def test_stillgate_itself_imports_no_fabric() -> None:
    code = "import stillgate, stillgate.fleet, sys\n"
    code += "print([m for m in sys.modules if m.split('.')[0] in ('fabric', 'invoke', 'paramiko')])"
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True)
    assert done.stdout == b"[]\n"
