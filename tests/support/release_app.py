"""An application whose code and schema must fit: two servers, and a script each for what a release
does to them.

A server's code is what `code-NAME` says, the schema what `schema` says. A request that meets a code
unlike the schema is answered 500, and 503 while its server is being deployed; each server remembers
what it answered, by code.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from support.closing import Closing

SCRIPTS = {
    # The machine is out of order for a while, as in a restart.
    "deploy": "echo none >code-$1; sleep 0.3; echo 2 >code-$1",
    "migrate": "sleep 0.3; echo 2 >schema; test ! -e broken",
    "undo": "echo 1 >schema",
}

# --- the process ----------------------------------------------------------------------


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    folder: Path
    name: str
    answered: dict[str, int] = {}
    lock = threading.Lock()

    def do_GET(self) -> None:
        if self.path == "/_answered":
            self._answer(200, json.dumps(self.answered))
            return
        code = (self.folder / f"code-{self.name}").read_text().strip()
        schema = (self.folder / "schema").read_text().strip()
        with self.lock:
            self.answered[code] = self.answered.get(code, 0) + 1
        status = 503 if code == "none" else 200 if code == schema else 500
        self._answer(status, f"code {code}, schema {schema}\n")

    def _answer(self, status: int, text: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, format: str, *arguments: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    request_queue_size = 4096

    def handle_error(self, request: Any, client_address: Any) -> None:
        """HAProxy drops connections that it keeps for nobody."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


def _main(name: str, folder: str) -> None:
    _Handler.name, _Handler.folder = name, Path(folder)
    server = _Server(("127.0.0.1", 0), _Handler)
    print(server.server_address[1], flush=True)
    server.serve_forever()


# --- what a test holds ----------------------------------------------------------------


class ReleaseApp(Closing):
    """Servers s1 and s2 with the old code and the old schema; `./deploy NAME`, `./migrate` and
    `./undo` lie in `folder`. A file `broken` there has the migration fail when it is done.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._write("schema", "1")
        for name, text in SCRIPTS.items():
            script = folder / name
            script.write_text(f"#!/bin/sh\nset -e\n{text}\n")
            script.chmod(0o755)
        self._processes = {name: self._start(name) for name in ("s1", "s2")}
        self.ports = {name: self._read_port(one) for name, one in self._processes.items()}

    def answered(self, name: str) -> dict[str, int]:
        """How often that server answered, by its code then."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.ports[name]}/_answered") as reply:
            found: dict[str, int] = json.load(reply)
        return found

    def close(self) -> None:
        for process in self._processes.values():
            process.kill()
            process.communicate()

    def _start(self, name: str) -> subprocess.Popen[str]:
        self._write(f"code-{name}", "1")
        command = [sys.executable, "-m", "support.release_app", name, str(self.folder)]
        where = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1])}
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=where)

    def _write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(f"{text}\n")

    @staticmethod
    def _read_port(process: subprocess.Popen[str]) -> int:
        assert process.stdout is not None
        return int(process.stdout.readline())


if __name__ == "__main__":
    _main(*sys.argv[1:])
