"""Opening plain files only: a FIFO or a device would hang its reader, a huge file fill its memory.
And who else can write to a file.
"""

from __future__ import annotations

import errno
import grp
import os
import pwd
import shlex
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Union

NULL_DEVICE = os.makedev(1, 3)
_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISSOCK, "a socket"),
)


@dataclass(frozen=True)
class PlainFile:
    """What was read, and the file's owner and mode."""

    data: bytes
    status: os.stat_result


def open_plain(path: Union[str, Path]) -> BinaryIO:
    """For reading; waits for nobody. /dev/null is a file without text, as people have it in place
    of a file. Errors: OSError.
    """
    try:
        number = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError as error:
        if error.errno == errno.ENXIO:
            raise _no_plain_file(path, os.stat(path)) from error
        raise
    status = os.fstat(number)
    if stat.S_ISREG(status.st_mode) or _is_null(status):
        return os.fdopen(number, "rb")
    os.close(number)
    raise _no_plain_file(path, status)


def read_plain(path: Union[str, Path], most: int) -> PlainFile:
    """A whole file. Errors: OSError, for more than `most` bytes, too."""
    with open_plain(path) as file:
        data = file.read(most + 1)
        if len(data) > most:
            raise OSError(errno.EFBIG, f"larger than {most} bytes", str(path))
        return PlainFile(data, os.fstat(file.fileno()))


def written_by_others(path: Union[str, Path], status: os.stat_result) -> str:
    """What is wrong where somebody else than this user and root can write to it, with the command
    that mends it; empty: nothing. Its group may, where that is the user's own: named like the user,
    with nobody else in it. In a folder with the sticky bit others can add, but not replace.
    """
    user = os.geteuid()
    mode = stat.S_IMODE(status.st_mode)
    foreign = status.st_uid not in (0, user)
    shared_folder = stat.S_ISDIR(status.st_mode) and bool(mode & stat.S_ISVTX)
    by_group = bool(mode & stat.S_IWGRP) and not _is_own_group(status.st_gid, user)
    by_mode = not shared_folder and (by_group or bool(mode & stat.S_IWOTH))
    quoted = shlex.quote(str(path))
    mends = [f"chown {_user_name(user)} {quoted}"] if foreign else []
    mends += [f"chmod go-w {quoted}"] if by_mode else []
    # Anybody may write to /dev/null, and nothing is in it.
    if not mends or _is_null(status):
        return ""
    owner = _user_name(status.st_uid)
    return (
        f"others can write it (owner {owner}, mode {mode:04o}); "
        f"if you trust what is in it: {' && '.join(mends)}"
    )


def _no_plain_file(path: Union[str, Path], status: os.stat_result) -> OSError:
    kind = next((words for check, words in _KINDS if check(status.st_mode)), "a device")
    return OSError(errno.EINVAL, f"{kind}, not a plain file", str(path))


def _is_null(status: os.stat_result) -> bool:
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == NULL_DEVICE


def _user_name(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return str(user)


def _is_own_group(group: int, user: int) -> bool:
    try:
        who, which = pwd.getpwuid(user), grp.getgrgid(group)
    except KeyError:
        return False
    alone = all(member == who.pw_name for member in which.gr_mem)
    return who.pw_gid == group and which.gr_name == who.pw_name and alone


def append_line(path: Union[str, Path], line: str, most: int) -> None:
    """In one write, so that no other writer's text gets between; makes the file and its folder, for
    their owner only. Nothing, where it would grow above `most` bytes. Errors: OSError.
    """
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    number = os.open(path, flags, 0o600)
    try:
        status = os.fstat(number)
        if not stat.S_ISREG(status.st_mode):
            raise _no_plain_file(path, status)
        data = (line + "\n").encode()
        if status.st_size + len(data) <= most:
            os.write(number, data)
    finally:
        os.close(number)


def write_new(path: Union[str, Path], text: str) -> None:
    """A whole file, in place of one that is there. Errors: OSError."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOCTTY
    with os.fdopen(os.open(path, flags, 0o666), "wb") as file:
        file.write(text.encode())
