"""Plain files alone are opened, in time, and what others can write is told."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from stillgate.files import open_plain, read_plain, written_by_others
from support.odd_files import AS_ROOT, KINDS, NOBODY, make


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_plain_file_is_refused(tmp_path: Path, kind: str) -> None:
    path = make(tmp_path / "file", kind)
    with pytest.raises(OSError) as caught:
        read_plain(path, 1000)
    assert caught.value.filename == str(path)
    words = "larger than 1000 bytes" if kind == "huge" else f"a {kind}, not a plain file"
    assert caught.value.strerror == words


def test_a_plain_file_is_read_up_to_its_bound(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"four")
    assert read_plain(tmp_path / "file", 4).data == b"four"
    with pytest.raises(OSError, match="larger than 3 bytes"):
        read_plain(tmp_path / "file", 3)
    with open_plain("/dev/null") as file:
        assert file.read() == b""
    with pytest.raises(FileNotFoundError):
        open_plain(tmp_path / "none")


def distrust(path: Path) -> str:
    return written_by_others(path, path.stat())


@pytest.mark.parametrize("mode", [0o602, 0o646, 0o777])
def test_what_others_can_write(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "it's one"
    path.touch()
    path.chmod(0o644)
    assert distrust(path) == ""
    path.chmod(mode)
    words = distrust(path)
    assert words.startswith("others can write it (owner ")
    assert f", mode {mode:04o}); if you trust what is in it: chmod go-w " in words
    assert os.system(words.partition("in it: ")[2]) == 0, "it can be typed"
    assert distrust(path) == "" and stat.S_IMODE(path.stat().st_mode) == mode & 0o755


def test_in_a_folder_with_the_sticky_bit_others_replace_nothing(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    assert "chmod go-w" in distrust(tmp_path)
    tmp_path.chmod(0o1777)
    assert distrust(tmp_path) == ""
    tmp_path.chmod(0o700)


@AS_ROOT
def test_its_owner_is_the_user_or_root(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    os.chown(path, NOBODY, NOBODY)
    assert distrust(path).endswith(f"if you trust what is in it: chown root {path}")
    path.chmod(0o666)
    assert distrust(path).endswith(f"chown root {path} && chmod go-w {path}")


@AS_ROOT
def test_its_group_may_write_where_it_is_the_users_own(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    path.chmod(0o664)
    assert distrust(path) == "", "root:root"
    os.chown(path, 0, 1)
    assert "mode 0664" in distrust(path)
