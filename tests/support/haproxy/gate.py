"""A real HAProxy with the gate, from the very lines that `stillgate gate` prints, switched by hand.

    with ... as gated:                       # made by the fixture `gated`
        token = gated.hold(5000)             # held for five seconds
        gated.status()["waiting"]
        gated.open()
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import ssl
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Optional

from stillgate import gate
from support.haproxy.server import Frontend, HAProxy
from support.patience import HANG_S
from support.ports import Reserved
from support.process import wait_until

F = "balanced"
YOUNG_S = 5.0  # so long a process looks at its state file at each request
_numbers = itertools.count(1)


def certificate(folder: Path) -> Path:
    """A key and a certificate of its own in one file, as HAProxy wants them."""
    both = folder / "both.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2".split()
    command += ["-subj", "/CN=test", "-keyout", str(folder / "key"), "-out", str(folder / "crt")]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    both.write_text((folder / "key").read_text() + (folder / "crt").read_text())
    both.chmod(0o644)
    return both


def trusting(protocol: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols([protocol])
    return context


class Gated:
    """Started by `start` (the fixture `haproxy`), with a state folder and a probe of its own.

    Each frontend also has the ports `h2_port` (HTTP/2 in clear) and, with a certificate,
    `tls_port`; those are the first frontend's. `lua_text` stands in for the Lua file, `before` and
    `behind` are lines of the frontends around the gate's, `bare` frontends have none of the gate's.
    `first_global` comes before the gate is loaded, `more` are further sections.
    """

    def __init__(
        self,
        start: Callable[..., HAProxy],
        binary: Any,
        *,
        frontends: Sequence[str] = (F,),
        bare: Sequence[str] = (),
        mode: str = "http",
        folder: Optional[Path] = None,
        tls: bool = False,
        h2: bool = True,
        before: Sequence[str] = (),
        behind: Sequence[str] = (),
        more: Sequence[str] = (),
        lua_text: Optional[str] = None,
        chroot: bool = False,
        exempt: Optional[str] = None,
        inspect_delay: int = 60,
        written_for: Optional[str] = None,
        probe: bool = True,
        first_global: Sequence[str] = (),
        extra_global: Sequence[str] = (),
        **options: Any,
    ) -> None:
        self.version: tuple[int, ...] = binary.release
        self._own = Path(tempfile.mkdtemp(prefix="sgg-", dir="/tmp"))
        self._own.chmod(0o755)
        self.folder = folder or self._own / "root" / "state"
        if folder is None:
            self.folder.mkdir(parents=True)
            self.folder.chmod(0o777)
        lua = self._own / "gate.lua"
        lua.write_text(gate.lua() if lua_text is None else lua_text)
        # A HAProxy may take over from another without either letting go of a port.
        self._reserved = [Reserved(shared=True), Reserved(shared=True)]
        self.h2_port, self.tls_port = (one.port for one in self._reserved)
        self.mode = mode
        binds = [f"bind 127.0.0.1:{self.h2_port} proto h2"] if h2 and mode == "http" else []
        if tls:
            pem = certificate(self._own)
            binds.append(f"bind 127.0.0.1:{self.tls_port} ssl crt {pem} alpn h2,http/1.1")
        made: list[Frontend] = []
        for name in (*frontends, *bare):
            self._lines = gate.lines(
                name,
                version=written_for or binary.version,
                mode=mode,
                folder=str(self.folder),
                lua_file=str(lua),
                probe=f"{self._own.name}-{os.getpid()}",
                exempt=exempt,
                inspect_delay=inspect_delay,
            )
            own = [] if name in bare else self._lines.frontend
            own = [line for line in own if probe or not line.startswith("bind ")]
            lines = (*(binds if name == frontends[0] else []), *before, *own, *behind)
            made.append(Frontend(name, 9000, 4096, mode, lines, tuple(self._lines.backends)))
        self._options: dict[str, Any] = {"global_maxconn": 9500, "shared_ports": True, **options}
        user = [f"chroot {self._own / 'root'}", "user haproxy", "group haproxy"] if chroot else []
        defaults = [*self._lines.defaults, *self._options.pop("extra_defaults", ())]
        if tls and self.version >= (2, 2):
            user.append("ssl-default-bind-options ssl-min-ver TLSv1.2")
        self.proxy = start(
            binary,
            frontends=made,
            extra_global=[*first_global, *self._lines.global_, *user, *extra_global],
            extra_defaults=defaults,
            extra=[*self._lines.backend, *more],
            **self._options,
        )
        self.port = self.proxy.ports[frontends[0]]

    # --- the switch, by the raw commands --------------------------------------------------

    def token(
        self,
        ms: int,
        name: str = "",
        expiry: str = "release",
        bound: int = 0,
        record: str = "Zm9v",
        until: Optional[int] = None,
    ) -> str:
        lasts = f"{ms}" if until is None else f"{ms}_{until}"
        return f"1.{name or f'id{next(_numbers)}'}.{lasts}.{expiry}.{bound}.{record}"

    def switching(self, word: str, frontend: str = F, number: int = 1) -> list[str]:
        """The commands that set the switch; the last one makes it so."""
        if self.version >= (2, 4):
            variable = f"proc.stillgate_gate_{gate.encode(frontend)}"
            setting = ["experimental-mode on", f"set var {variable} str({word})"]
        else:
            setting = [f"set table stillgate key {frontend}/{word} data.gpt0 {number}"]
        return [*setting, f"stillgate sync {frontend}"]

    def hold(self, ms: int = 60_000, frontend: str = F, **options: Any) -> str:
        """Returns when it is held."""
        word = self.token(ms, **options)
        self.proxy.cli(*self.switching(word, frontend))
        return word

    def open(self, ramp_ms: int = 0, frontend: str = F) -> None:
        if self.version >= (2, 4):
            word = f"open.{ramp_ms}" if ramp_ms else "open"
            self.proxy.cli(*self.switching(word, frontend))
            return
        word = self.status(frontend)["token"]
        self.proxy.cli(*self.switching(word, frontend, ramp_ms))

    # --- what it says ---------------------------------------------------------------------

    def ask(self, command: str) -> dict[str, Any]:
        found = json.loads(self.proxy.cli(command))
        assert isinstance(found, dict) and found["format"] == 1
        return found

    def whole_status(self) -> dict[str, Any]:
        return self.ask("stillgate status")

    def status(self, frontend: str = F) -> dict[str, Any]:
        found = self.ask(f"stillgate status {frontend}")["frontends"][frontend]
        assert isinstance(found, dict)
        return found

    def prove(self, frontend: str = F) -> dict[str, Any]:
        """Whether it is proven, and why not."""
        found = self.ask(f"stillgate prove {frontend}")["frontends"][frontend]
        return {key: value for key, value in found.items() if key in ("proven", "why")}

    def wait_waiting(self, count: int, frontend: str = F, timeout: float = HANG_S) -> None:
        what = f"{count} that wait"
        try:
            wait_until(lambda: bool(self.status(frontend)["waiting"] == count), what, timeout)
        except TimeoutError as error:
            raise TimeoutError(f"{error}: {self.status(frontend)}") from None

    def state_file(self, frontend: str = F) -> Path:
        return self.folder / gate.encode(frontend)

    def close(self) -> None:
        """Behind the end of HAProxy."""
        for one in self._reserved:
            one.close()
        shutil.rmtree(self._own, ignore_errors=True)
