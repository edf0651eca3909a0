"""Where an error of the inventory points, in the spellings of TOML that hide a key."""

from __future__ import annotations

from pathlib import Path

import pytest

from stillgate import InventoryError
from stillgate.inventory import load_fleet


@pytest.mark.parametrize(
    "text, place",
    [
        ("[fleet.a]\n# endpoints stand here\nendpoints = []\n", "3:1"),
        ('[fleet.a]\nendpoints = ["/frontends"]\nfrontends = "x"\n', "3:1"),
        ("[fleet.a]\nendpoints = ['/max_hold'] # max_hold\nmax_hold = nan\n", "3:1"),
        ('[fleet]\na = { endpoints = ["/a"], max_hold = true }\n', "2:27"),
        ('fleet.a.endpoints = ["/a"]\nfleet.a.bogus = 1\n', "2:9"),
        ('[fleet.b]\nbogus = 1\n[fleet."a"]\nendpoints = ["/a"]\nbogus = 1\n', "5:1"),
        ('[fleet.a]\nendpoints = ["/a"]\n"bogus" = 1\n', "3:2"),
    ],
)
def test_the_key_is_found(tmp_path: Path, text: str, place: str) -> None:
    path = tmp_path / "stillgate.toml"
    path.write_text(text)
    with pytest.raises(InventoryError) as caught:
        load_fleet("a", str(path))
    assert f"{caught.value.line}:{caught.value.column}" == place
    assert caught.value.file == str(path)
