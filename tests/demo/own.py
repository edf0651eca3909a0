"""The HAProxy on the PATH, which playground and demo take where it can do what they need."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from support.haproxy.fetch import ensure, version_of
from support.haproxy.versions import branch_of, survives_a_resume

LTS = "3.0"  # of which Debian has a release that survives a resume


@dataclass(frozen=True)
class Program:
    path: str
    version: str


def on_path() -> Optional[Program]:
    """2.4 or later; whether it survives a resume by maxconn is another matter."""
    path = shutil.which("haproxy", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    version = version_of(Path(path)) if path is not None else ""
    return Program(path, version) if path is not None and branch_of(version) >= (2, 4) else None


def fetched(label: str) -> Program:
    """Debian's. Error: CannotFetch."""
    found = ensure([label])[label]
    return Program(found["path"], found["version"])


def for_maxconn() -> Program:
    """One that a hold by maxconn cannot crash. Error: CannotFetch."""
    own = on_path()
    return own if own is not None and survives_a_resume(own.version) else fetched(LTS)
