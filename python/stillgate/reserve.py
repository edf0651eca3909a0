"""What the end of a hold needs, had as long as it lasts: the work inside may use up all else."""

from __future__ import annotations

import mmap
import os
import resource
from typing import List, Optional

# Beside the connections: what the engine keeps free, the journal, the loop.
DESCRIPTORS = 48
BYTES = 64 << 20
BYTES_EACH = 256 << 10  # of an HAProxy's answers


class Reserve:
    """Descriptors for so many connections, and address space for what they answer. It costs no
    memory as long as it is not used.
    """

    def __init__(self, connections: int) -> None:
        """Errors: OSError, where there are not so many to be had."""
        self._descriptors: List[int] = []
        self._memory: Optional[mmap.mmap] = None
        try:
            self._memory = mmap.mmap(-1, BYTES + connections * BYTES_EACH, mmap.MAP_PRIVATE)
            self._take(connections + DESCRIPTORS)
        except BaseException:
            self.use()
            raise

    def use(self) -> None:
        """It is free for whoever needs it now."""
        if self._memory is not None:
            self._memory.close()
        while self._descriptors:
            os.close(self._descriptors.pop())

    def _take(self, count: int) -> None:
        self._descriptors.append(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
        try:
            self._fill(count)
        except OSError:
            # As the engine does it for its connections.
            soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
            if soft == hard:
                raise
            wanted = soft + count
            most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
            self._fill(count)

    def _fill(self, count: int) -> None:
        while len(self._descriptors) < count:
            self._descriptors.append(os.dup(self._descriptors[0]))
