"""A real `fab` in a folder of the test's own, with a fabfile and settings for Stillgate's tasks."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

import jsonschema

from support.haproxy.server import HAProxy

SCHEMA = json.loads((Path(__file__).resolve().parents[3] / "docs" / "schema.json").read_text())
F = "balanced"
FABFILE = "from stillgate.fabric import check, extend, hold, resume, status, suspend\n"


Answer = Callable[[str, str], None]


@dataclass
class Fab:
    """A folder with a fabfile and a fabric.yaml, in which `fab` is run.

    `libraries` has the Fabric to run, in place of this machine's.
    """

    folder: Path
    libraries: Optional[Path] = None

    def __post_init__(self) -> None:
        self.write_fabfile(FABFILE)
        self.write()

    def write_fabfile(self, text: str) -> None:
        (self.folder / "fabfile.py").write_text(text)

    def write(self, **settings: Any) -> None:
        """The settings under stillgate:."""
        self.write_all({"stillgate": settings})

    def write_all(self, settings: dict[str, Any]) -> None:
        # JSON is YAML too.
        (self.folder / "fabric.yaml").write_text(json.dumps(settings))

    def environment(self, **more: str) -> dict[str, str]:
        """A home of its own: ~/.fabric.yaml is none of the test's."""
        found = {**os.environ, "STILLGATE_STATE_DIR": str(self.journal), "HOME": str(self.folder)}
        if self.libraries is not None:
            found["PYTHONPATH"] = str(self.libraries)
        return {**found, **more}

    @contextmanager
    def start(self, *arguments: str, **variables: str) -> Iterator[subprocess.Popen[str]]:
        """One that a failed test has left is ended as by Ctrl-C: it has a command to end."""
        with subprocess.Popen(
            [sys.executable, "-m", "fabric", *arguments],
            cwd=self.folder,
            env=self.environment(**variables),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                yield process
            finally:
                if process.poll() is None:
                    process.send_signal(signal.SIGINT)
                    stuck = threading.Timer(10, process.kill)
                    stuck.start()
                    process.communicate()
                    stuck.cancel()

    def run(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        with self.start(*arguments, **variables) as process:
            out, talk = process.communicate(timeout=60)
        assert "Traceback" not in talk, talk
        return subprocess.CompletedProcess(arguments, process.returncode, out, talk)

    def shell(self, line: str) -> subprocess.CompletedProcess[str]:
        """A line for the shell, in which `fab` and `stillgate` are those of this interpreter."""
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        done = subprocess.run(
            ["/bin/sh", "-c", line],
            cwd=self.folder,
            env=self.environment(PATH=path),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return done

    @contextmanager
    def at_terminal(self, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], Answer]]:
        """With a terminal of its own. `answer(question, text)` waits for that question and types;
        what comes later is the process's output.
        """
        line = shlex.join([sys.executable, "-m", "fabric", *arguments])
        with subprocess.Popen(
            # From util-linux: its standard input is what is typed.
            ["script", "-qefc", line, "/dev/null"],
            cwd=self.folder,
            env=self.environment(TERM="dumb"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:

            def answer(question: str, text: str) -> None:
                assert process.stdin is not None and process.stdout is not None
                shown = ""
                while not shown.endswith(question):
                    letter = process.stdout.read(1)
                    assert letter, shown
                    shown += letter
                process.stdin.write(f"{text}\n")
                process.stdin.flush()

            try:
                yield process, answer
            finally:
                process.kill()

    def run_json(self, *arguments: str) -> tuple[int, dict[str, Any]]:
        done = self.run(*arguments, "--json")
        document = json.loads(done.stdout)
        jsonschema.validate(document, SCHEMA)
        assert document["ok"] == (done.returncode == 0)
        return done.returncode, document

    @property
    def journal(self) -> Path:
        return self.folder / "state"

    def records(self) -> list[str]:
        return sorted(path.name for path in self.journal.glob("holds/*"))


def limits(*proxies: HAProxy) -> list[int]:
    """By HAProxy's own word."""
    return [proxy.limit(F) for proxy in proxies]


def one(document: dict[str, Any]) -> dict[str, Any]:
    (switch,) = document["switches"]
    assert isinstance(switch, dict)
    return switch
