"""Whose hold it is: by its owner, else by this machine's state folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from stillgate.ownership import is_mine
from stillgate.results.from_core import to_report
from stillgate.results.hold import Hold
from support.reports import core_report, hold_told


def hold_by(owner: str) -> Hold:
    return to_report(core_report("status", holds=[hold_told(id="a1", owner=owner)])).holds[0]


def test_a_hold_is_mine_by_its_owner_or_because_it_began_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STILLGATE_STATE_DIR", str(tmp_path))
    assert not is_mine(hold_by("anna@elsewhere"))
    (tmp_path / "holds").mkdir()
    (tmp_path / "holds" / "a1.hold").touch()
    assert is_mine(hold_by("anna@elsewhere"))
