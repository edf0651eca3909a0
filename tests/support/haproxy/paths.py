"""Long paths on one machine: endpoints that lead to others over the bench's relay."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def paths(
    relay: Path, targets: Sequence[str], one_way_ms: Sequence[float], folder: Path
) -> Iterator[list[str]]:
    """Endpoints that lead to the targets over paths of these delays, in both directions."""
    lines, endpoints = [], []
    for number, (target, delay) in enumerate(zip(targets, one_way_ms)):
        endpoints.append(f"unix://{folder}/{number}.sock")
        lines.append(f"{endpoints[-1]} {target} {delay} {delay}")
    (folder / "paths").write_text("\n".join(lines) + "\n")
    with subprocess.Popen([relay, folder / "paths"], stdout=subprocess.PIPE) as running:
        try:
            assert running.stdout is not None
            if running.stdout.readline() != b"ready\n":
                raise RuntimeError(f"the relay ended with status {running.wait()}")
            yield endpoints
        finally:
            running.kill()
            for number in range(len(endpoints)):
                (folder / f"{number}.sock").unlink(missing_ok=True)
