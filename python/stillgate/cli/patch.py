"""`stillgate gate --patch`: shows, checks and writes haproxy.cfg with the gate's lines."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import List, NamedTuple, Optional, Sequence

from stillgate.console.streams import put, say
from stillgate.files import read_plain
from stillgate.gate.haproxy_cfg import NotUnderstood
from stillgate.gate.patch import Patched, Wanted, patch, unified_diff

CHECK_S = 120  # it may resolve names
KEPT = "before-stillgate"
MOST = 64 << 20  # bytes; far more than any haproxy.cfg has


class Failed(Exception):
    """Says what to do. `exit_status` is 2 where what was typed or the file is refused."""

    def __init__(self, message: str, exit_status: int = 1) -> None:
        super().__init__(message)
        self.exit_status = exit_status


class _File(NamedTuple):
    name: str  # as it was typed
    path: Path  # what a symbolic link leads to
    before: bytes
    after: bytes

    @property
    def changed(self) -> bool:
        return self.before != self.after


def patch_files(names: Sequence[str], program: Optional[str], write: bool, **wanted: object) -> int:
    """Returns the exit status."""
    try:
        haproxy = _find(program or "haproxy")
        paths = [_plain_file(name) for name in names]
        if len(set(paths)) < len(paths):
            raise Failed("the same file twice", 2)
        contents = [read_plain(path, MOST).data for path in paths]
        texts = [one.decode("utf-8", "surrogateescape") for one in contents]
        asked = Wanted(_version_of(haproxy), **wanted)  # type: ignore[arg-type]
        found = patch(list(zip(names, texts)), asked)
        files = [
            _File(name, path, before, after.encode("utf-8", "surrogateescape"))
            for name, path, before, after in zip(names, paths, contents, found.texts)
        ]
        _carry_out(haproxy, files, found, write)
        return 0
    except (NotUnderstood, Failed, ValueError, OSError) as error:
        _say(str(error))
        if isinstance(error, OSError):
            return 1
        return error.exit_status if isinstance(error, Failed) else 2


def _carry_out(haproxy: str, files: List[_File], found: Patched, write: bool) -> None:
    if not any(one.changed for one in files):
        _say("nothing to do: the gate's lines are there")
        return
    for one in files:
        before, after = (part.decode("utf-8", "surrogateescape") for part in one[2:])
        _show(unified_diff(one.name, before, after))
    for note in found.notes:
        _say(note)
    with ExitStack() as stack:
        copies = [_copy(one, stack, write) if one.changed else one.path for one in files]
        _check(haproxy, files, copies, found.lua_file)
        if write:
            _write([(one, copy) for one, copy in zip(files, copies) if one.changed])
        else:
            _say("checked by HAProxy, and not written: --write writes it")


# --- HAProxy --------------------------------------------------------------------------------


def _find(program: str) -> str:
    found = shutil.which(program)
    if found is None:
        raise Failed(f"{program} is no program here: name HAProxy's by --haproxy", 2)
    return found


def _version_of(haproxy: str) -> str:
    said = _run([haproxy, "-v"])
    found = re.search(r"version (\d+\.\d+\S*)", said.stdout)
    if found is None:
        raise Failed(f"{haproxy} does not tell HAProxy's version", 2)
    return found[1]


def _run(words: Sequence[str]) -> "subprocess.CompletedProcess[str]":
    try:
        return subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            timeout=CHECK_S,
        )
    except subprocess.TimeoutExpired as error:
        raise Failed(f"`{' '.join(words)}` took longer than {CHECK_S} s") from error


def _check(haproxy: str, files: List[_File], copies: Sequence[Path], lua_file: str) -> None:
    """HAProxy has to accept the files unchanged, and then the copies with the gate's lines."""
    before = _checked(haproxy, [one.name for one in files])
    if before.returncode != 0:
        raise Failed(f"HAProxy refuses the configuration even unchanged:\n{before.stdout}")
    if not os.path.exists(lua_file):
        raise Failed(f"{lua_file} is missing: `stillgate gate >{lua_file}` first")
    after = _checked(haproxy, [str(copy) for copy in copies])
    words = after.stdout
    for one, copy in zip(files, copies):
        words = words.replace(str(copy), one.name)
    if after.returncode != 0:
        raise Failed(f"HAProxy refuses the configuration with the gate's lines:\n{words}")
    if words.count("[WARNING]") > before.stdout.count("[WARNING]"):
        _say(f"HAProxy warns of more than before:\n{words}")


def _checked(haproxy: str, names: Sequence[str]) -> "subprocess.CompletedProcess[str]":
    return _run([haproxy, "-c", *(word for name in names for word in ("-f", name))])


# --- files ----------------------------------------------------------------------------------


def _plain_file(name: str) -> Path:
    path = Path(name).resolve()
    if path.is_dir():
        raise Failed(f"{name} is a folder: name its files, in the order in which HAProxy reads", 2)
    if not path.is_file():
        raise Failed(f"{name} is no file", 2)
    return path


def _copy(one: _File, stack: ExitStack, write: bool) -> Path:
    """Beside the file, where HAProxy finds what the file names by `default-path`. Its name is none
    that HAProxy would read with its folder.
    """
    prefix = f".{one.path.name}.stillgate-"
    try:
        number, name = tempfile.mkstemp(prefix=prefix, dir=one.path.parent)
    except OSError:
        if write or b"default-path" in one.before:
            raise
        number, name = tempfile.mkstemp(prefix=prefix)
    stack.callback(_remove, name)
    with os.fdopen(number, "wb") as copy:
        copy.write(one.after)
        copy.flush()
        os.fsync(copy.fileno())
    return Path(name)


def _remove(name: str) -> None:
    with suppress(FileNotFoundError):
        os.unlink(name)


def _write(changed: "List[tuple[_File, Path]]") -> None:
    """All or none: a frontend with the gate's lines needs those of another file's global."""
    kept: List[Path] = []
    try:
        for one, copy in changed:
            status = one.path.stat()
            if status.st_nlink > 1:
                raise Failed(f"{one.name} has another name, a hard link, which would keep the old")
            _be_like(copy, one.path, status)
            os.utime(copy)
            kept.append(_keep(one, status))
        for one, copy in changed:
            if read_plain(one.path, MOST).data != one.before:
                raise Failed(f"{one.name} was changed meanwhile: try again")
            os.replace(copy, one.path)
            _sync(one.path.parent)
    except BaseException:
        for (one, copy), former in zip(changed, kept):
            # What was renamed is gone from its place; a signal may come right after that.
            if copy.exists():
                former.unlink()
            else:
                os.replace(former, one.path)
        raise
    for (one, _), former in zip(changed, kept):
        _say(f"{one.name} is written, and {former} is the old one: reload HAProxy, then check")


def _be_like(path: Path, model: Path, status: os.stat_result) -> None:
    """Owner, mode and attributes."""
    shutil.copystat(model, path)
    os.chown(path, status.st_uid, status.st_gid)
    os.chmod(path, status.st_mode & 0o7777)  # chown may have cleared bits of it


def _keep(one: _File, status: os.stat_result) -> Path:
    """A copy of the former file beside it, under a name that none has."""
    number = 1
    while True:
        end = KEPT if number == 1 else f"{KEPT}-{number}"
        path = one.path.with_name(f"{one.path.name}.{end}")
        try:
            made = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(made, "wb") as kept:
                kept.write(one.before)
                kept.flush()
                os.fsync(kept.fileno())
            break
        except FileExistsError:
            number += 1
    _be_like(path, one.path, status)
    return path


def _sync(folder: Path) -> None:
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


# --- words ----------------------------------------------------------------------------------


def _show(diff: str) -> None:
    """Byte by byte, so that patch(1) takes it; a terminal gets nothing that steers it."""
    if sys.stdout.isatty():
        put(diff, end="")
        return
    sys.stdout.flush()
    sys.stdout.buffer.write(diff.encode("utf-8", "surrogateescape"))
    sys.stdout.flush()


def _say(words: str) -> None:
    say(f"stillgate: {words.rstrip()}", sys.stderr)
