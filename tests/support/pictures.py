"""Makes docs/_static/hold.svg: `stillgate report --svg` of a real hold at three real HAProxies.

    .venv/bin/python tests/support/pictures.py
"""

from __future__ import annotations

import os
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support.app import App  # noqa: E402
from support.clients.load import Load  # noqa: E402
from support.command import run  # noqa: E402
from support.haproxy.fetch import ensure  # noqa: E402
from support.haproxy.gate_options import gate_options  # noqa: E402
from support.haproxy.server import HAProxy  # noqa: E402

F = "balanced"
TARGET = Path(__file__).resolve().parents[2] / "docs" / "_static" / "hold.svg"


def main() -> None:
    found = ensure(["3.0"])["3.0"]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.chmod(0o755)
        os.environ["STILLGATE_STATE_DIR"] = str(folder / "state")
        app = stack.enter_context(App())
        proxies = [
            stack.enter_context(
                HAProxy(
                    found["path"],
                    **gate_options(F, folder / name, found["version"], servers=[app.port]),
                )
            )
            for name in ("lb1", "lb2", "lb3")
        ]
        loads = [stack.enter_context(Load(one.ports[F], rate=20)) for one in proxies]
        for load in loads:
            load.wait_for(20)
        urls = [
            word for n, one in enumerate(proxies, 1) for word in ("-e", f"lb{n}={one.endpoints[0]}")
        ]
        words = ["--max-hold", "15", "--reason", "migration 42", "--", "sleep", "3"]
        done = run("hold", F, *urls, *words)
        assert done.returncode == 0, done.stderr
        for load in loads:
            load.stop()
        done = run("report", "--svg", str(TARGET))
        assert done.returncode == 0, done.stderr


if __name__ == "__main__":
    main()
