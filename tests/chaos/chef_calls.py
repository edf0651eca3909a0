"""The resources of the cookbook as calls for tests/chaos/instants.py: a real chef-client for each.

Ruby takes seconds to load Chef. So a server loads it once, and forks for each run
(tests/chef/fork_server.rb).
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.chef.client import BUNDLE, Chef

SERVER = Path(__file__).resolve().parents[1] / "chef" / "fork_server.rb"
STOPPING = signal.SIGINT, signal.SIGTERM, signal.SIGHUP


@contextmanager
def serving(folder: Path) -> Iterator[None]:
    """A server for the calls in that folder. No signal of a terminal reaches it."""
    command = [str(BUNDLE), "exec", "ruby", str(SERVER), str(_socket(folder))]
    with subprocess.Popen(
        command,
        env={**os.environ, "HOME": str(folder)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        start_new_session=True,
    ) as server:
        try:
            assert server.stdout is not None
            if server.stdout.readline() != b"ready\n":
                raise RuntimeError(f"{' '.join(command)}: status {server.wait()}")
            yield
        finally:
            server.kill()


def converge(recipe: str, endpoint: str, folder: Path) -> int:
    """Runs it, passes on the signals that this process gets, and returns its status. What it says
    comes on standard output.
    """
    chef = Chef(folder / "chef", [endpoint])
    words = chef.words(recipe, max_hold=600)
    output = os.readlink("/proc/self/fd/1")
    # Until it is known who shall have a signal, none is lost.
    signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(_socket(folder)))
        environment = {"STILLGATE_STATE_DIR": str(folder)}
        asked = {"words": words, "output": output, "environment": environment}
        connection.sendall(json.dumps(asked).encode() + b"\n")
        with connection.makefile() as answers:
            run = int(answers.readline())
            for number in STOPPING:
                signal.signal(number, lambda number, _: _pass_on(run, number))
            signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)
            return int(answers.readline())


def _pass_on(run: int, number: int) -> None:
    try:
        os.kill(run, number)
    except ProcessLookupError:
        pass


def _socket(folder: Path) -> Path:
    return folder / "chef.sock"
