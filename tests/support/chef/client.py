"""A real chef-client in local mode, with both cookbooks, in a folder of its own."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

ROOT = Path(__file__).resolve().parents[3]
BUNDLE = ROOT / "tests" / "chef" / "bundle.sh"
COOKBOOKS = [ROOT / "recipes", ROOT / "tests" / "chef" / "cookbooks"]
STILLGATE = ROOT / ".venv" / "bin" / "stillgate"


def missing() -> Optional[str]:
    """Why there is no Chef, or None."""
    done = subprocess.run([str(BUNDLE), "check"], capture_output=True, text=True, check=False)
    return None if done.returncode == 0 else "Chef is not installed (make chef-gems)"


def version() -> str:
    done = subprocess.run(
        [str(BUNDLE), "exec", "chef-client", "--version"],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


@dataclass(frozen=True)
class Converged:
    """What came of a run. `updated` and `of` are as Chef counts them; None where it failed."""

    status: int
    text: str

    def _counted(self, number: int) -> Optional[int]:
        found = re.search(r"(\d+)/(\d+) resources (?:would have been )?updated", self.text)
        return int(found[number]) if found else None

    @property
    def updated(self) -> Optional[int]:
        return self._counted(1)

    @property
    def of(self) -> Optional[int]:
        return self._counted(2)


class Chef:
    """chef-client -z -o 'recipe[stillgate_test::RECIPE]', again and again on one node."""

    def __init__(self, folder: Path, fleet: Sequence[str] = ()) -> None:
        self.folder = folder
        self.fleet: Any = list(fleet)
        self.inside = folder / "inside"
        self.over = folder / "over"
        folder.mkdir(exist_ok=True)
        folder.chmod(0o755)
        (folder / "client.rb").write_text(
            f"cookbook_path {[str(path) for path in COOKBOOKS]}\n"
            f"chef_repo_path '{folder}'\ncache_path '{folder}/cache'\n"
            # What the cookbook asks of the machine is the platform alone.
            "node_name 'here'\nminimal_ohai true\n"
        )

    def write_node(self, name: str, **attributes: Any) -> None:
        """A node that a search may find."""
        nodes = self.folder / "nodes"
        nodes.mkdir(exist_ok=True)
        (nodes / f"{name}.json").write_text(json.dumps({"name": name, **attributes}))

    def words(
        self, recipe: str, *flags: str, stillgate: Mapping[str, Any] = {}, **test: Any
    ) -> list[str]:
        """Of the command line; writes the file of attributes."""
        given = {"fleet": self.fleet, "program": str(STILLGATE), **stillgate}
        attributes = {"stillgate": given, "stillgate_test": {"folder": str(self.folder), **test}}
        file = self.folder / "attributes.json"
        file.write_text(json.dumps(attributes))
        words = ["-z", "-c", str(self.folder / "client.rb"), "-j", str(file), "--no-color"]
        return [*words, "-o", f"recipe[stillgate_test::{recipe}]", *flags]

    @contextmanager
    def start(
        self, recipe: str, *flags: str, stillgate: Mapping[str, Any] = {}, **test: Any
    ) -> Iterator[subprocess.Popen[str]]:
        """`test` and `stillgate` are attributes. One that a test has left is ended."""
        words = self.words(recipe, *flags, stillgate=stillgate, **test)
        with subprocess.Popen(
            [str(BUNDLE), "exec", "chef-client", *words],
            env={
                **os.environ,
                "HOME": str(self.folder),
                "STILLGATE_STATE_DIR": str(self.folder / "state"),
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        ) as process:
            try:
                yield process
            finally:
                self.over.touch()
                self.kill(process)

    def run(self, recipe: str, *flags: str, **attributes: Any) -> Converged:
        with self.start(recipe, *flags, **attributes) as process:
            return self.ended(process)

    def ended(self, process: subprocess.Popen[str]) -> Converged:
        text, _ = process.communicate(timeout=120)
        # For whoever reads the log of a test that failed.
        sys.stdout.write(text)
        return Converged(process.returncode, text)

    def kill(self, process: subprocess.Popen[str]) -> None:
        """Chef and what it forked of itself; not what it started in sessions of its own."""
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
