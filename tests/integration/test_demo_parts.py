"""The demo's parts: a real PostgreSQL, and an application whose versions cannot live together."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from demo.stage import HERE, Application

from support.postgres import Postgres, PostgresMissing


@pytest.fixture
def database() -> Iterator[Postgres]:
    try:
        database = Postgres()
    except PostgresMissing as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(error))
    with database:
        yield database


def migrate(database: Postgres, name: str) -> None:
    done = database.psql("-f", str(HERE / name))
    assert (done.returncode, done.stderr) == (0, ""), database.log()


def test_old_code_cannot_live_with_the_new_schema_nor_new_code_with_the_old(
    database: Postgres,
) -> None:
    migrate(database, "before.sql")
    application = Application(database)
    try:
        assert application.try_code("1") == 200
        assert application.try_code("2") == 500
        migrate(database, "migrate.sql")
        assert application.try_code("1") == 500
        assert application.try_code("2") == 200
    finally:
        application.close()


def test_a_restart_keeps_the_port_and_the_arrivals(database: Postgres) -> None:
    migrate(database, "before.sql")
    application = Application(database)
    try:
        application.ask("/", "first")
        migrate(database, "migrate.sql")
        application.restart("2")
        application.ask("/", "second")
        assert [name for name, _ in application.arrivals()] == ["first", "second"]
    finally:
        application.close()


def test_a_failed_script_is_told(database: Postgres, tmp_path: Path) -> None:
    (tmp_path / "wrong.sql").write_text("SELECT nothing FROM nowhere;\n")
    done = database.psql("-f", str(tmp_path / "wrong.sql"))
    assert done.returncode != 0 and "nowhere" in done.stderr


def test_nothing_is_left_of_a_database() -> None:
    try:
        database = Postgres()
    except PostgresMissing as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(error))
    try:
        assert len(database.running()) > 1
    finally:
        database.close()
    assert database.running() == []
    assert not database.folder.exists()
