"""The deadline reaches a real PostgreSQL: what a hold ends is ended in the server, too."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

import pytest

from support.app import App
from support.haproxy.holds import F
from support.patience import HANG_S, patient
from support.postgres import Postgres, PostgresMissing
from support.process import wait_until

if TYPE_CHECKING:
    from conftest import Start

pytestmark = pytest.mark.usefixtures("state")
COMMAND = [sys.executable, "-m", "stillgate"]
ROWS = 1_000_000
MIGRATION = "ALTER TABLE payments ALTER amount TYPE numeric"
BUSY = (
    "SELECT count(*) FROM pg_stat_activity WHERE pid <> pg_backend_pid() "
    "AND backend_type = 'client backend' AND state <> 'idle'"
)
LOCKED = (
    "SELECT count(*) FROM pg_locks JOIN pg_class c ON c.oid = relation "
    "WHERE relname = 'payments' AND mode = 'AccessExclusiveLock'"
)
COLUMNS = (
    "SELECT string_agg(column_name || ' ' || data_type, ', ' ORDER BY ordinal_position) "
    "FROM information_schema.columns WHERE table_name = 'payments'"
)


@pytest.fixture(scope="module")
def database() -> Iterator[Postgres]:
    """Whose table takes some seconds to be rewritten."""
    try:
        server = Postgres()
    except PostgresMissing as missing:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(missing))
    with server:
        server.psql(
            sql=f"CREATE TABLE payments AS SELECT i AS id, i AS amount, repeat('x', 100) AS memo "
            f"FROM generate_series(1, {ROWS}) i; ALTER TABLE payments ADD PRIMARY KEY (id)"
        )
        server.psql(
            sql="CREATE FUNCTION slow(i int) RETURNS int LANGUAGE plpgsql AS "
            "$$ BEGIN PERFORM pg_sleep(600); RETURN i; END $$"
        )
        yield server


class Holding:
    """A hold whose command migrates, at an endpoint or where the options say."""

    def __init__(
        self, database: Postgres, endpoint: Optional[str], argv: list[str], *options: str
    ) -> None:
        self._environment = {
            **os.environ,
            "PGHOST": str(database.folder),
            "PGUSER": "demo",
            "PGDATABASE": "postgres",
        }
        there = [] if endpoint is None else ["-e", endpoint]
        self._command = [*COMMAND, "hold", "--json", F, *options, *there, "--", *argv]
        self.document: dict[str, Any] = {}
        self.talk = ""

    def run(self, more: Optional[dict[str, str]] = None) -> Holding:
        done = subprocess.run(
            self._command,
            env={**self._environment, **(more or {})},
            capture_output=True,
            text=True,
            check=False,
            timeout=HANG_S,
        )
        self.document, self.talk = json.loads(done.stdout), done.stderr
        return self

    @property
    def words(self) -> tuple[str, str]:
        return self.document["migration"], self.document["traffic"]


def psql(sql: str) -> list[str]:
    return ["psql", "-XqAt", "-1", "-v", "ON_ERROR_STOP=1", "-c", sql]


def assert_untouched(database: Postgres) -> None:
    """Now, at the return of the hold, and not a moment later."""
    assert (database.psql(sql=BUSY), database.psql(sql=LOCKED)) == ("0", "0")
    assert database.psql(sql=COLUMNS) == "id integer, amount integer, memo text"


def test_the_server_has_the_time_and_the_users_own_options(
    database: Postgres, haproxy: Start
) -> None:
    names = ("statement_timeout", "lock_timeout", "client_connection_check_interval", "work_mem")
    shown = " || '|' || ".join(f"current_setting('{name}')" for name in names)
    argv = ["sh", "-c", f'psql -XqAtc "SELECT {shown}" >&2']
    options = ("--max-hold", "302", "--grace", "2", "--postgres")
    holding = Holding(database, haproxy("3.0").endpoints[0], argv, *options)
    holding.run({"PGOPTIONS": "-c work_mem=7MB"})
    assert holding.words == ("done", "released")
    (line,) = (one for one in holding.talk.splitlines() if "|" in one)
    statement, lock, interval, own = line.split("|")
    assert statement.endswith("ms") and 200_000 < int(statement[:-2]) <= 270_000
    assert lock.endswith("ms") and int(lock[:-2]) == int(statement[:-2]) // 3
    assert (interval, own) == ("100ms", "7MB")


def test_a_rewrite_that_does_not_fit_is_ended_in_the_server(
    database: Postgres, haproxy: Start
) -> None:
    proxy = haproxy("3.0")
    options = ("--max-hold", "1", "--grace", "0.4", "--postgres", "--signal", "INT")
    holding = Holding(database, proxy.endpoints[0], psql(MIGRATION), *options).run()
    assert_untouched(database)
    assert holding.document["migration"] in ("failed", "ended"), holding.talk
    assert (holding.document["traffic"], proxy.limit(F)) == ("released", 100)


@pytest.mark.parametrize(
    "options, words, said",
    [
        # Each statement has its time anew: the signal ends the second one.
        (["--signal", "INT", "--grace", "1"], "ended", "Cancel request sent"),
        # And the server itself misses who was killed.
        (["--grace", "0"], "ended", ""),
    ],
)
def test_a_second_statement_is_ended_with_its_client(
    options: list[str], words: str, said: str, database: Postgres, haproxy: Start
) -> None:
    script = "SET statement_timeout = 0; ALTER TABLE payments ADD more int; SELECT slow(1)"
    told = ["--max-hold", str(patient(2)), "--postgres", *options]
    holding = Holding(database, haproxy("3.0").endpoints[0], psql(script), *told).run()
    assert_untouched(database)
    assert holding.words == (words, "released"), holding.talk
    assert said in holding.talk


def test_an_alter_that_waits_for_a_lock_gives_up_before_the_deadline(
    database: Postgres, haproxy: Start
) -> None:
    sql = "BEGIN; SELECT 1 FROM payments LIMIT 1; SELECT slow(1)"
    reading = ["psql", "-Xq", database.dsn, "-c", sql]
    with subprocess.Popen(reading, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as reader:
        try:
            wait_until(lambda: database.psql(sql=BUSY) == "1", "the reader")
            options = ("--max-hold", "4", "--grace", "1", "--postgres")
            migrate = psql("ALTER TABLE payments ADD more int")
            holding = Holding(database, haproxy("3.0").endpoints[0], migrate, *options).run()
            assert holding.words == ("failed", "released"), holding.talk
            assert "canceling statement due to lock timeout" in holding.talk
        finally:
            database.psql(
                sql="SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE query LIKE '%slow(1)%' AND pid <> pg_backend_pid()"
            )
            reader.wait(HANG_S)
    wait_until(lambda: database.psql(sql=BUSY) == "0", "the reader's end")
    assert_untouched(database)


def test_the_release_in_one_command(
    database: Postgres, haproxy: Start, app: App, tmp_path: Path
) -> None:
    """Migration, cutover and undo: a statement that does not fit ends by an error of its own before
    any signal, and all is undone; what fits is there, with the new code.
    """
    checked = ["default-server check inter 100ms fall 2 rise 1"]
    proxies = [
        haproxy("3.0", servers=[app.port, app.port], extra_defaults=checked) for _ in range(2)
    ]
    for proxy in proxies:
        proxy.cli(f"set server {F}_servers/s2 state drain")
    (tmp_path / "stillgate.toml").write_text(
        f"[fleet.production]\nendpoints = {[one.endpoints[0] for one in proxies]}\n"
        "[fleet.production.cutover.green]\n"
        f'servers = {{ "{F}_servers/s2" = "ready", "{F}_servers/s1" = "maint" }}\n'
    )
    limits = "SELECT current_setting('statement_timeout') <> '0'"
    (tmp_path / "undo").write_text(f'psql -Xq -c "CREATE TABLE undone AS {limits} AS ended"\n')
    migration = tmp_path / "migrate.sql"
    options = ["-f", "production", "--inventory", str(tmp_path / "stillgate.toml")]
    options += ["--cutover", "green", "--wait-up", "--postgres", "--max-hold", str(patient(6))]
    options += ["--on-failure", f"sh {tmp_path}/undo"]
    psql_file = ["psql", "-X", "-1", "-v", "ON_ERROR_STOP=1", "-f", str(migration)]
    holding = Holding(database, None, psql_file, *options)

    def states() -> list[str]:
        rows = [row for proxy in proxies for row in proxy.stat() if row["pxname"] != F]
        return [row["status"] for row in rows if row["svname"] in ("s1", "s2")]

    migration.write_text(
        "CREATE TABLE half ();\nALTER TABLE payments ALTER amount TYPE numeric USING slow(amount);"
    )
    holding.run()
    assert_untouched(database)
    told = [holding.document[name] for name in ("migration", "undo", "cutover", "traffic")]
    assert told == ["failed", "done", "none", "released"], holding.talk
    assert "canceling statement due to statement timeout" in holding.talk
    assert database.psql(sql="SELECT to_regclass('half') IS NULL, * FROM undone") == "t|t"
    assert states() == ["UP", "DRAIN"] * 2

    migration.write_text(f"CREATE TABLE receipts AS {limits} AS ended;")
    holding.run()
    told = [holding.document[name] for name in ("migration", "undo", "cutover", "traffic")]
    assert told == ["done", "none", "applied", "released"], holding.talk
    assert (database.psql(sql="SELECT * FROM receipts"), states()) == ("t", ["MAINT", "UP"] * 2)


def test_a_server_that_cannot_be_asked_is_told_before_anything_is_held(
    database: Postgres, haproxy: Start
) -> None:
    argv = ["sh", "-c", 'echo "$PGOPTIONS" >&2']
    holding = Holding(database, haproxy("3.0").endpoints[0], argv, "--postgres")
    holding.run({"PGHOST": "/nowhere"})
    assert holding.words == ("done", "released")
    first = holding.talk.splitlines()[0]
    assert first.startswith("stillgate: postgres: client_connection_check_interval is left out")
    assert "-c client_connection_check_interval" not in holding.talk
    assert "-c statement_timeout=" in holding.talk
