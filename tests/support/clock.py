"""A wall clock that a test can step, for processes that are started with it."""

from __future__ import annotations

import os
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

SOURCE = Path(__file__).with_name("step_clock.cpp")


def library(folder: Path) -> Path:
    """What is preloaded, compiled into that folder."""
    compiled = folder / "step_clock.so"
    # It must link no C++ library: an HAProxy of another Debian would find the wrong one.
    options = "-shared -fPIC -O1 -fno-exceptions -fno-threadsafe-statics -nodefaultlibs -lc"
    subprocess.run(["g++", SOURCE, *options.split(), "-o", compiled], check=True)
    return compiled


class WallClock:
    """step() sets it off from the true one; the monotonic clock stays as it is."""

    def __init__(self, folder: Path) -> None:
        self._library = library(folder)
        self._file = folder / "seconds"
        self.step(0)

    @contextmanager
    def for_what_is_started(self) -> Iterator[None]:
        with mock.patch.dict(os.environ, STEP_CLOCK=str(self._file), LD_PRELOAD=str(self._library)):
            yield

    def step(self, seconds: int) -> None:
        # In place: the file is mapped by those who read it.
        with os.fdopen(os.open(self._file, os.O_WRONLY | os.O_CREAT), "wb") as file:
            file.write(struct.pack("l", seconds))
