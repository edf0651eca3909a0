"""What has PostgreSQL itself end the statements of a command: libpq's environment for it.

libpq's clients (psql, psycopg, Rails' pg, Perl's DBD::Pg) hand PGOPTIONS to the server when they
connect.
"""

from __future__ import annotations

import os
import subprocess
from typing import Dict, Mapping, Tuple

OPTIONS = "PGOPTIONS"
LONGEST = 8000  # bytes; a server reads 10,000 of a client's first packet
SHARE = 0.9  # of the time is for a statement: the client starts and connects in the rest
CHECK_INTERVAL = "client_connection_check_interval"
CHECK_MS = 100  # a client that was killed is missed before the hold ends (run_until.MARGIN)
PATIENCE = 5.0  # seconds for the server's answer, before anything is held
QUESTION = f"SELECT count(*) FROM pg_catalog.pg_settings WHERE name = '{CHECK_INTERVAL}'"


def knows_check_interval(environment: Mapping[str, str]) -> Tuple[bool, str]:
    """Whether the server that this environment names knows client_connection_check_interval (14
    and later do, on Linux). Where it cannot be asked: False, and why. It is asked before anything
    is held.
    """
    command = ["psql", "-XAtqw", "-c", QUESTION]
    # What waits for nobody: neither a lock nor a password.
    patient = {**environment, "PGCONNECT_TIMEOUT": str(round(PATIENCE))}
    try:
        done = subprocess.run(
            command,
            env=patient,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PATIENCE,
            check=False,
        )
    except (OSError, subprocess.SubprocessError) as error:
        return False, str(error)
    if done.returncode != 0:
        return False, " ".join(done.stderr.decode(errors="replace").split())
    return done.stdout.strip() == b"1", ""


def libpq_environment(seconds: float, own: str, check_interval: bool) -> Dict[str, str]:
    """For a command that gets its first signal in `seconds`: by then a statement is over. `own`:
    the PGOPTIONS so far, which are kept, and come last: a setting that they have too is theirs.
    """
    statement = max(round(seconds * SHARE * 1000), 1)
    settings = {
        "statement_timeout": statement,
        # Whoever waits for a lock makes all others wait behind it.
        "lock_timeout": max(statement // 3, 1),
    }
    if check_interval:
        settings[CHECK_INTERVAL] = CHECK_MS
    words = [f"-c {name}={value}" for name, value in settings.items()]
    return {OPTIONS: " ".join([*words, *filter(None, [own])])}


def too_long(environment: Mapping[str, str]) -> bool:
    """Whether no server would read its PGOPTIONS with ours."""
    return len(os.fsencode(environment.get(OPTIONS, ""))) > LONGEST
