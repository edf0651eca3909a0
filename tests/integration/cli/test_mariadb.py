"""The deadline and a real MariaDB, as docs/database.md says: which ways end an ALTER in the server,
and that a killed client does not.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from support.haproxy.holds import F
from support.mariadb import Mariadb, MariadbMissing
from support.patience import HANG_S, patient
from support.process import wait_until

if TYPE_CHECKING:
    from conftest import Start

pytestmark = pytest.mark.usefixtures("state")
ROWS = 1_000_000
ALTERING = (
    "SELECT count(*) FROM information_schema.processlist "
    "WHERE info LIKE 'ALTER%' AND id <> connection_id()"
)
COLUMNS = (
    "SELECT group_concat(column_name ORDER BY ordinal_position) "
    "FROM information_schema.columns WHERE table_schema = 'shop' AND table_name = 'payments'"
)
PAGE = Path(__file__).resolve().parents[3] / "docs" / "database.md"


@pytest.fixture(scope="module")
def database() -> Iterator[Mariadb]:
    """Whose table takes some seconds to be copied."""
    try:
        server = Mariadb()
    except MariadbMissing as missing:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(missing))
    with server:
        server.sql(
            "CREATE TABLE payments ENGINE=InnoDB AS "
            f"SELECT seq AS id, seq AS amount, repeat('x', 150) AS memo FROM seq_1_to_{ROWS}",
            "shop",
        )
        yield server


def adding(column: str) -> str:
    return f"ALTER TABLE payments ADD {column} int, ALGORITHM=COPY"


def computing(column: str) -> str:
    """A quarter of a minute of one core: it does not end by itself before somebody ends it."""
    value = "AS (crc32(repeat(memo, 1000))) STORED"
    return f"ALTER TABLE payments ADD {column} bigint {value}, ALGORITHM=COPY"


def held(proxy: Any, argv: list[str], *options: str) -> tuple[dict[str, Any], str]:
    command = [sys.executable, "-m", "stillgate", "hold", "--json", F, *options]
    done = subprocess.run(
        [*command, "-e", proxy.endpoints[0], "--", *argv],
        capture_output=True,
        text=True,
        check=False,
        timeout=HANG_S,
    )
    return json.loads(done.stdout), done.stderr


def assert_untouched(database: Mariadb, column: str) -> None:
    """By an ALTER that has ended: it is listed until its last step, which adds the column."""
    wait_until(lambda: database.sql(ALTERING) == "0", "the ALTER's end", HANG_S)
    assert column not in database.sql(COLUMNS).split(",")


@pytest.fixture(autouse=True)
def nobody_alters(database: Mariadb) -> Iterator[None]:
    """What a test has left would keep the table from the next one."""
    yield
    wait_until(lambda: database.sql(ALTERING) == "0", "the end of every ALTER", HANG_S)


def test_an_alter_goes_on_when_its_client_is_killed_and_changes_the_schema(
    database: Mariadb, haproxy: Start
) -> None:
    argv = database.command("-e", adding("survives"), "shop")
    told, talk = held(haproxy("3.0"), argv, "--max-hold", str(patient(1)), "--grace", "0")
    assert (told["migration"], told["traffic"]) == ("ended", "released"), talk
    assert database.sql(ALTERING) == "1"
    wait_until(lambda: "survives" in database.sql(COLUMNS).split(","), "the ALTER", HANG_S)


def test_sigint_to_its_client_ends_it_in_the_server(database: Mariadb, haproxy: Start) -> None:
    argv = database.command("-e", computing("by_signal"), "shop")
    # The client connects anew to say so, and SIGTERM comes half-way through.
    grace = patient(2)
    options = ("--max-hold", f"{grace + patient(1)}", "--grace", f"{grace}", "--signal", "INT")
    with ThreadPoolExecutor(1) as pool:
        holding = pool.submit(held, haproxy("3.0"), argv, *options)
        wait_until(lambda: database.sql(ALTERING) == "1" or holding.done(), "the ALTER", HANG_S)
        assert not holding.done(), holding.result()
        told, talk = holding.result()
    assert (told["migration"], told["traffic"]) == ("ended", "released"), talk
    assert_untouched(database, "by_signal")


def test_the_session_ends_it_by_an_error_as_the_page_has_it_typed(
    database: Mariadb, haproxy: Start, tmp_path: Path
) -> None:
    found = re.search(r'mariadb (--init-command=".+?") shop <migrate\.sql', PAGE.read_text("utf-8"))
    assert found is not None
    (tmp_path / "migrate.sql").write_text(computing("by_limit"))
    client = shlex.join(database.command())
    line = f"{client} {found.group(1)} shop <{tmp_path / 'migrate.sql'}"
    # Three of them are kept, as the page says.
    options = ("--max-hold", str(3.6 + patient(0.4)), "--grace", "2")
    told, talk = held(haproxy("3.0"), ["sh", "-c", line], *options)
    assert (told["migration"], told["traffic"]) == ("failed", "released"), talk
    assert "ERROR 1969" in talk and "max_statement_time exceeded" in talk
    assert_untouched(database, "by_limit")


def test_one_that_waits_for_a_lock_gives_up_before_the_deadline(
    database: Mariadb, haproxy: Start
) -> None:
    sql = "START TRANSACTION; SELECT 1 FROM payments LIMIT 1; DO sleep(600)"
    reading = database.command("-e", sql, "shop")
    asleep = "SELECT id FROM information_schema.processlist WHERE info LIKE 'DO sleep%'"
    with subprocess.Popen(reading, stdout=subprocess.DEVNULL) as reader:
        try:
            wait_until(lambda: database.sql(asleep) != "", "the reader")
            # Nothing to copy: it wants the lock at once.
            waits = "SET lock_wait_timeout=1; ALTER TABLE payments ADD by_lock int"
            argv = database.command("-e", waits, "shop")
            told, talk = held(haproxy("3.0"), argv, "--max-hold", str(patient(5)))
            assert (told["migration"], told["traffic"]) == ("failed", "released"), talk
            assert "ERROR 1205" in talk
        finally:
            database.sql(f"KILL {database.sql(asleep)}")
            reader.wait(HANG_S)
    assert_untouched(database, "by_lock")
