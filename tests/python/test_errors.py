"""The exceptions as others carry them."""

from __future__ import annotations

import copy
import pickle

import pytest

from stillgate import (
    HoldExpired,
    InputError,
    InventoryError,
    ReportError,
    StillgateError,
    StillHeld,
    TooLate,
)
from stillgate.errors import error_of
from stillgate.results.from_core import to_report
from support.reports import core_report, error_told, hold_told


def told(code: str, status: int) -> ReportError:
    report = core_report(
        "suspend", status, holds=[hold_told(deadline=None)], error=error_told(code, "words")
    )
    return error_of(to_report(report))


ERRORS = [
    StillgateError("busy", "it is", "No."),
    InputError("bad_option", "too long", "max_hold"),
    InventoryError("no", "stillgate.toml", 3, 4),
    HoldExpired(15.0),
    told("still_held", 1),
    told("permission_denied", 1),
    told("already_held", 4),
    told("too_late", 5),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: f"{type(error).__name__} {error.code}")
def test_a_pool_of_processes_hands_it_on(error: StillgateError) -> None:
    for other in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(other) is type(error) and str(other) == str(error)
        assert vars(other) == vars(error)


def test_what_they_are() -> None:
    assert [type(error) for error in ERRORS[-4::3]] == [StillHeld, TooLate]
