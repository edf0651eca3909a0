"""The package's face: lazy import, exceptions, input that is refused before anything is sent."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import stillgate
from stillgate import errors
from stillgate.results.outcome import Error
from stillgate.results.report import Report, Switch

ROOT = Path(__file__).resolve().parents[2]
NOBODY = "unix:///nowhere/a.sock"


def test_importing_it_imports_nothing_heavy() -> None:
    code = "import stillgate, sys; print([m for m in ('rich','click','asyncio','tomllib',"
    code += "'tomli','stillgate._core') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True)
    assert done.stdout == b"[]\n"


def test_every_public_name_is_there() -> None:
    for name in stillgate.__all__:
        assert getattr(stillgate, name) is not None
    with pytest.raises(AttributeError):
        stillgate.nothing  # noqa: B018
    assert stillgate.__version__ == (ROOT / "VERSION").read_text().strip()


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    drawn = errors.StillgateError.__doc__ or ""
    for name, value in vars(errors).items():
        if isinstance(value, type) and issubclass(value, errors.StillgateError):
            assert name in drawn


def switch(error: Error) -> Switch:
    return Switch(
        endpoint="unix:///a",
        frontend="f",
        hold_id=None,
        verdict="unchanged",
        method=None,
        lease=None,
        limit_before=None,
        limit_now=None,
        waiting=None,
        gate=None,
        in_flight=None,
        leaked=None,
        version=None,
        rtt_ms=None,
        findings=[],
        error=error,
    )


def report(status: int, *found: Error) -> Report:
    switches = [switch(error) for error in found]
    return Report("suspend", status == 0, status, [], switches, None, None, None, None, None)


@pytest.mark.parametrize(
    "status, kind",
    [
        (1, errors.EndpointFailed),
        (3, errors.CheckRefused),
        (4, errors.HeldByOther),
        (5, errors.TooLate),
    ],
)
def test_each_ending_has_its_exception(status: int, kind: type) -> None:
    consequence = Error("rolled_back", "another failed")
    cause = Error("permission_denied", "ours", "Permission denied")
    raised = errors.error_of(report(status, consequence, cause))
    assert type(raised) is kind
    assert (raised.code, raised.haproxy) == ("permission_denied", "Permission denied")
    assert raised.exit_status == status
    assert "HAProxy: Permission denied" in str(raised)


@pytest.mark.parametrize(
    "endpoints, code",
    [
        ([], "empty_fleet"),
        (["/a", "unix:///a"], "duplicate_endpoint"),
        (["http://a"], "bad_endpoint"),
        (["tcp://a:70000"], "bad_endpoint"),
        (["tcp://a:-1"], "bad_endpoint"),
        (["tcp://a b:1"], "bad_endpoint"),
        (["/a\nb"], "bad_endpoint"),
        (["/" + "a" * 200], "bad_endpoint"),
        (["ssh://lb1"], "bad_endpoint"),
        (["ssh://me:word@lb1/run/a.sock"], "bad_endpoint"),
        ("/a", "bad_endpoint"),
    ],
)
def test_wrong_endpoints(endpoints: list[str], code: str) -> None:
    with pytest.raises(stillgate.InputError) as caught:
        stillgate.Fleet(endpoints)
    assert caught.value.code == code
    assert caught.value.field in ("endpoint", "endpoints")
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize("value", [0, -1, 3601, float("nan"), float("inf"), 1e300])
@pytest.mark.parametrize("field", ["connect_timeout", "greeting_timeout", "reply_timeout"])
def test_wrong_timeouts(field: str, value: float) -> None:
    with pytest.raises(stillgate.InputError) as caught:
        stillgate.Fleet([NOBODY], **{field: value})  # type: ignore[arg-type]
    assert caught.value.field == field


@pytest.mark.parametrize(
    "command",
    ["", " ", "show info;show stat", "show\ninfo", "prompt", "quit", "@1 show info", "a <<", "a\\"],
)
def test_commands_that_would_break_the_framing(command: str) -> None:
    with pytest.raises(stillgate.InputError) as caught:
        stillgate.Fleet([NOBODY]).execute(command)
    assert (caught.value.code, caught.value.field) == ("bad_command", "command")


@pytest.mark.parametrize("name", ["", "a b", "a;b", "a\nb", "ä", "a" * 300])
def test_wrong_frontends(name: str) -> None:
    fleet = stillgate.Fleet([NOBODY])
    for verb in ("check", "suspend", "resume"):
        with pytest.raises(stillgate.InputError) as caught:
            getattr(fleet, verb)(name)
        assert (caught.value.code, caught.value.field) == ("bad_name", "frontend")


@pytest.mark.parametrize("limit", [0, -1, 2**31, 2**62])
def test_wrong_limits(limit: int) -> None:
    with pytest.raises(stillgate.InputError) as caught:
        stillgate.Fleet([NOBODY]).resume("balanced", limit=limit)
    assert (caught.value.code, caught.value.field) == ("bad_number", "limit")
    with pytest.raises(TypeError):
        stillgate.Fleet([NOBODY]).resume("balanced", limit="12abc")  # type: ignore[arg-type]


def test_no_frontend_at_all() -> None:
    with pytest.raises(stillgate.InputError, match="name at least one"):
        stillgate.Fleet([NOBODY]).suspend(no_lease=True)
