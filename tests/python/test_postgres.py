"""The environment that has PostgreSQL end statements, and what of the user's own stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from stillgate.postgres import knows_check_interval, libpq_environment, too_long


def test_the_settings_fit_the_time_and_come_before_the_users_own() -> None:
    assert libpq_environment(10.0, "", False) == {
        "PGOPTIONS": "-c statement_timeout=9000 -c lock_timeout=3000"
    }
    (words,) = libpq_environment(0.0, "-c lock_timeout=50", True).values()
    # 0 would be no limit.
    assert words == (
        "-c statement_timeout=1 -c lock_timeout=1 -c client_connection_check_interval=100 "
        "-c lock_timeout=50"
    )


def test_options_that_no_server_would_read_are_seen_before() -> None:
    assert not too_long({}) and not too_long({"PGOPTIONS": "x" * 8000})
    assert too_long({"PGOPTIONS": "x" * 8001})


@pytest.mark.parametrize(
    "script, known, words",
    [
        ("echo 1", True, ""),
        ("echo 0", False, ""),
        ("echo 'psql: error:'; echo 'no route' >&2; exit 2", False, "no route"),
        (None, False, "psql"),
    ],
)
def test_a_server_that_cannot_be_asked_is_one_that_does_not_know(
    script: str, known: bool, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if script is not None:
        (tmp_path / "psql").write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "psql").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    found, why = knows_check_interval({"PATH": str(tmp_path)})
    assert found is known
    assert words in why and (words != "" or why == "")
