"""An inventory is code as its reader: by on_event, and by an ssh_config. What others could have
written is refused, and what is no plain file is not waited for.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from stillgate import InventoryError
from stillgate.inventory import MOST_BYTES, fleet_names
from support.odd_files import AS_ROOT, KINDS, NOBODY, make

GOOD = '[fleet.a]\nendpoints = ["/a"]\non_event = "id"\n'


@pytest.fixture(name="home")
def fixture_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, in which there is an inventory."""
    home = tmp_path / "home"
    home.mkdir(0o755)
    (home / "stillgate.toml").write_text(GOOD)
    (home / "stillgate.toml").chmod(0o644)
    monkeypatch.chdir(home)
    monkeypatch.delenv("STILLGATE_INVENTORY", raising=False)
    return home


def refusal(inventory: str | None = None) -> str:
    with pytest.raises(InventoryError) as caught:
        fleet_names(inventory)
    assert caught.value.code == "bad_inventory" and caught.value.exit_status == 2
    return caught.value.message


def test_a_good_one_is_read(home: Path) -> None:
    assert fleet_names() == ["a"] == fleet_names(str(home / "stillgate.toml"))


@pytest.mark.parametrize("by", ["here", "option", "environment"])
def test_a_file_that_others_can_write_is_refused(
    home: Path, by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = home / "stillgate.toml"
    path.chmod(0o666)
    if by == "environment":
        monkeypatch.setenv("STILLGATE_INVENTORY", str(path))
    named = "stillgate.toml" if by == "here" else str(path)
    words = refusal(str(path) if by == "option" else None)
    assert words.startswith(f"{named}: is refused: others can write it (owner ")
    assert words.endswith(f"mode 0666); if you trust what is in it: chmod go-w {named}")


def test_a_folder_that_others_can_write_is_refused_where_nobody_named_the_file(home: Path) -> None:
    home.chmod(0o777)
    words = refusal()
    assert words.startswith(f"stillgate.toml: its folder, {home}, is refused: others can write it")
    assert words.endswith(f"chmod go-w {home}")
    assert fleet_names("stillgate.toml") == ["a"]
    home.chmod(0o1777)
    assert fleet_names() == ["a"], "as in /tmp: nobody else can replace it there"


@AS_ROOT
def test_a_file_of_somebody_else_is_refused_to_root_too(home: Path) -> None:
    """Also where sudo says that it is the caller's: who may run one verb as root is not root."""
    os.environ["SUDO_UID"] = str(NOBODY)
    os.chown(home / "stillgate.toml", NOBODY, NOBODY)
    try:
        assert "chown root stillgate.toml" in refusal()
        os.chown(home / "stillgate.toml", 0, 0)
        os.chown(home, NOBODY, NOBODY)
        assert f"chown root {home}" in refusal()
    finally:
        del os.environ["SUDO_UID"]


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_plain_file_is_refused_in_time(home: Path, kind: str) -> None:
    (home / "stillgate.toml").unlink()
    make(home / "stillgate.toml", kind)
    words = f"larger than {MOST_BYTES} bytes" if kind == "huge" else f"a {kind}, not a plain file"
    for inventory in (None, "stillgate.toml"):
        assert refusal(inventory) == f"stillgate.toml: cannot be read: {words}"
