"""A real HAProxy with an application behind it, to try Stillgate on: the one on the PATH where a
hold cannot crash it, otherwise Debian's 3.0.

Prints shell assignments of SOCKET and PLAYGROUND; the HAProxy runs until PLAYGROUND is ended, an
hour at most.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from demo.own import for_maxconn  # noqa: E402
from support.app import App  # noqa: E402
from support.haproxy.fetch import CannotFetch  # noqa: E402
from support.haproxy.server import HAProxy  # noqa: E402

AT_MOST = 3600  # seconds


def serve() -> None:
    def end(number: int, frame: object) -> None:
        raise SystemExit(0)

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGALRM, end)
    signal.alarm(AT_MOST)
    try:
        program = for_maxconn()
    except CannotFetch as error:
        raise SystemExit(
            f"no HAProxy for it: {error}; install one of 2.4 or later that a resume does not crash "
            "(3.0.6 or later, 2.8.12 or later)"
        ) from error
    with App() as app, HAProxy(program.path, servers=[app.port]) as proxy:
        print(proxy.endpoints[0], flush=True)
        while True:
            signal.pause()


def main() -> None:
    server = subprocess.Popen(
        [sys.executable, __file__, "serve"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert server.stdout is not None
    endpoint = server.stdout.readline().strip()
    if not endpoint:
        raise SystemExit("the HAProxy did not start")
    print(f"export SOCKET={endpoint} PLAYGROUND={server.pid}")


if __name__ == "__main__":
    if sys.argv[1:] == ["serve"]:
        serve()
    else:
        main()
