"""The lines that `stillgate gate --config` prints: every version's HAProxy takes them without a
word, and what would break them is refused.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from stillgate import gate

if TYPE_CHECKING:
    from conftest import Binary

SURROUNDINGS = {
    "defaults": "mode {mode}\ntimeout client 5s\ntimeout server 5s\ntimeout connect 5s",
    "frontend my-app.1": "mode {mode}\nbind 127.0.0.1:{port}\ndefault_backend servers",
}


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "stillgate", "gate", *arguments]
    return subprocess.run(line, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("mode", ["http", "tcp"])
def test_haproxy_takes_the_lines_without_a_warning(
    haproxy_version: Binary, mode: str, tmp_path: Path
) -> None:
    if mode == "tcp" and haproxy_version.release < (2, 6):
        refused = command("--config=f", "--haproxy", haproxy_version.version, "--mode=tcp")
        assert (refused.returncode, refused.stdout) == (2, "")
        return
    (tmp_path / "gate.lua").write_text(command().stdout)
    printed = command(
        "--config=my-app.1", "--haproxy", haproxy_version.version, "--mode", mode,
        "--state", str(tmp_path), "--lua", str(tmp_path / "gate.lua"),
    )  # fmt: skip
    assert printed.returncode == 0, printed.stderr
    text = printed.stdout
    if "\ndefaults\n" not in text:  # where no release needs anything there
        text = text.replace("\nfrontend ", "\ndefaults\n\nfrontend ")
    for section, more in SURROUNDINGS.items():
        pattern = f"(?m)^{re.escape(section)}$"
        assert len(re.findall(pattern, text)) == 1
        text = re.sub(pattern, f"{section}\n" + more.format(mode=mode, port=1), text)
    text += "backend servers\nserver s 127.0.0.1:2\n"
    (tmp_path / "haproxy.cfg").write_text(text)
    checked = subprocess.run(
        [haproxy_version.path, "-c", "-f", str(tmp_path / "haproxy.cfg")],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=30,
    )
    assert checked.returncode == 0, checked.stdout
    assert not re.search("(?i)warning|alert|deprecat", checked.stdout), checked.stdout


def test_the_lua_file_is_printed_as_it_is_shipped() -> None:
    assert command().stdout == gate.lua()
    assert command("--mode", "tcp").returncode == 2, "an option that would do nothing"


@pytest.mark.parametrize(
    "arguments",
    [
        ["--config", "a b"],
        ["--config", "x", "--haproxy", "1.8"],
        ["--config", "x", "--haproxy", "three"],
        ["--config", "x", "--mode", "udp"],
        ["--config", "x", "--state", "/a b"],
        ["--config", "x", "--lua", "/a\nb"],
        ["--config", "x", "--exempt", "/a || TRUE"],
        ["--config", "x" * 120],
        ["--config", "x", "--inspect-delay", "0"],
    ],
)
def test_what_cannot_stand_in_haproxy_cfg_is_refused(arguments: list[str]) -> None:
    done = command(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Error: " in done.stderr


def test_each_part_of_a_name_tells_it_from_another() -> None:
    assert [gate.encode(name) for name in ("a-b", "a_2db", "A.b")] == ["a_2db", "a_5f2db", "A_2eb"]


def test_only_a_path_that_is_named_is_exempt() -> None:
    assert "path /ping" in gate.config("f", exempt="/ping")
    assert "exempt" not in gate.config("f", exempt=None) + gate.config("f", mode="tcp")
