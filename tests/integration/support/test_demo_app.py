"""The demo's database and application: neither version of the code can live with the other's
schema, arrivals are on record, and nothing is left behind.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from demo.payments import Payments
from support.ports import Reserved
from support.postgres import Postgres, PostgresFailed, why_missing, working_in
from support.process import wait_until

TESTS = Path(__file__).resolve().parents[2]
HISTORY = 500
OLD, NEW = 1, 2


@pytest.fixture(scope="module", autouse=True)
def there() -> None:
    """Where PostgreSQL or its driver is missing, a skip, which CI refuses."""
    if missing := why_missing():
        pytest.skip(missing)


@pytest.fixture
def postgres() -> Iterator[Postgres]:
    """With the old schema."""
    with Postgres() as server:
        server.psql(file=TESTS / "demo" / "before.sql", variables={"history": str(HISTORY)})
        yield server
        print(server.log())  # pytest shows it where the test failed
    assert server.left_running() == [] and not server.folder.exists()


@pytest.fixture
def port() -> Iterator[int]:
    with closing(Reserved()) as reserved:
        yield reserved.port


def pay(port: int, name: str) -> tuple[int, str]:
    """The status and the text of the answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("POST", "/pay", headers={"X-Request-Id": name})
        answer = connection.getresponse()
        return answer.status, answer.read().decode().strip()
    finally:
        connection.close()


def written(postgres: Postgres) -> list[str]:
    query = "SELECT request FROM payments WHERE request NOT LIKE 'history-%' ORDER BY id"
    return postgres.psql(sql=query).split()


def migrate(postgres: Postgres) -> None:
    postgres.psql(file=TESTS / "demo" / "migrate.sql")


def test_the_old_code_works_before_the_migration_and_fails_after_it(
    postgres: Postgres, port: int
) -> None:
    with Payments(port, postgres.dsn, OLD) as application:
        assert pay(port, "a") == (200, "1250 cents")
        migrate(postgres)
        status, text = pay(port, "b")
        assert status == 500 and "amount_cents" in text
        application.stop()
    assert written(postgres) == ["a"]


def test_the_new_code_fails_before_the_migration_and_works_after_it(
    postgres: Postgres, port: int
) -> None:
    with Payments(port, postgres.dsn, NEW) as application:
        status, text = pay(port, "a")
        assert status == 500 and '"amount"' in text
        migrate(postgres)
        assert pay(port, "b") == (200, "12.50 EUR")
        application.stop()
    assert written(postgres) == ["b"]


def test_a_restart_on_the_same_port_brings_the_new_code_and_keeps_the_record(
    postgres: Postgres, port: int
) -> None:
    before = time.monotonic()
    with Payments(port, postgres.dsn, OLD) as application:
        assert pay(port, "a")[0] == 200
        migrate(postgres)
        between = time.monotonic()
        application.restart(NEW)
        assert pay(port, "b") == (200, "12.50 EUR")
        application.stop()
        first, second = application.arrivals()
    assert (first.id, second.id) == ("a", "b")
    assert before < first.at < between < second.at < time.monotonic()
    assert written(postgres) == ["a", "b"]


def test_the_migration_loses_no_payment_and_no_cent(postgres: Postgres) -> None:
    cents = postgres.psql(sql="SELECT count(*), sum(amount_cents) FROM payments")
    migrate(postgres)
    query = "SELECT count(*), sum(amount) * 100 FROM payments WHERE currency = 'EUR'"
    assert postgres.psql(sql=query).replace(".00", "") == cents
    assert cents.startswith(f"{HISTORY}|")


def test_a_migration_that_fails_says_so_and_changes_nothing(postgres: Postgres) -> None:
    migrate(postgres)
    with pytest.raises(PostgresFailed, match='"amount_cents" does not exist'):
        migrate(postgres)
    assert postgres.psql(sql="SELECT count(currency) FROM payments") == str(HISTORY)


def test_postgres_listens_on_no_port_and_runs_without_root(postgres: Postgres) -> None:
    assert postgres.psql(sql="SHOW listen_addresses") == ""
    owners = set()
    for pid in postgres.left_running():
        # The server of that query may be about to end.
        with contextlib.suppress(FileNotFoundError):
            owners.add(os.stat(f"/proc/{pid}").st_uid)
    assert len(owners) == 1 and 0 not in owners


def test_postgres_ends_even_where_its_starter_is_killed() -> None:
    code = "from support.postgres import Postgres; print(Postgres().folder, flush=True); input()"
    starter = subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(TESTS)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with starter:
        assert starter.stdout is not None
        folder = Path(starter.stdout.readline().strip())
        assert folder.is_dir()
        running = working_in(folder)
        starter.send_signal(signal.SIGKILL)
    assert running
    wait_until(lambda: not working_in(folder), "the end of an orphaned PostgreSQL")
    subprocess.run(["rm", "-r", str(folder)], check=True)
