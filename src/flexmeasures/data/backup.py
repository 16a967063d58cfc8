"""Tables as files and back: one CSV file a table, as PostgreSQL writes it, and a list of what there is.

Any program can read the files. Their rows say what they are in text, so that a backup outlives the version of the
database server that wrote it.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from sqlalchemy import Table

import flexmeasures.data.tables  # noqa: F401 - so that the metadata knows every table
from flexmeasures.data.database import HEAD, db
from flexmeasures.domain.errors import InvalidInput
from flexmeasures.instance import make_private_folder, open_private_file

__all__ = [
    "BackupTables",
    "all_tables",
    "hold_beliefs",
    "is_distributed",
    "read_tables",
    "tables_of",
    "wipe_tables",
    "write_tables",
]

CONTENTS = "contents.json"

_DATA = ("belief",)
# When tasks ran, the revision of the schema, and which sessions are over say something about this installation, not
# about its users' data.
_LEFT_OUT = ("latest_task_run", "alembic_version", "ended_session")

_LOCK_TIMEOUT = "10s"
"""Longest wait for others to end what they do with a table."""


@dataclass(frozen=True)
class BackupTables:
    """Selection of tables.

    Attributes:
        structure: Users, sources, assets, markets, sensors, and whatever points at them.
        data: Beliefs.
    """

    structure: bool = True
    data: bool = False


def tables_of(kinds: BackupTables) -> list[Table]:
    """List tables, those that others point at first."""
    kept = [table for table in db.metadata.sorted_tables if table.name not in _LEFT_OUT]
    structure = [table for table in kept if table.name not in _DATA]
    # Data come last: triggers, which the metadata do not know, look for their sensors and sources.
    data = [table for table in kept if table.name in _DATA]
    return (structure if kinds.structure else []) + (data if kinds.data else [])


def is_distributed(connection: psycopg.Connection[Any]) -> bool:
    """Tell whether beliefs are spread over several servers."""
    found = connection.execute("select to_regclass('pg_dist_partition') is not null").fetchone()
    return bool(found and found[0])


def hold_beliefs(connection: psycopg.Connection[Any]) -> None:
    """Keep others from writing beliefs until the transaction ends; to be called before anything is read in it."""
    connection.execute("lock table belief in share mode")


def write_tables(
    connection: psycopg.Connection[Any], folder: Path, tables: Sequence[Table], now: datetime
) -> list[str]:
    """Write tables into a new folder: all of them, or there is no folder.

    Args:
        connection: In a transaction that sees one moment of the database.
        folder: Must not exist; only its owner may read it, because it holds the hashes of passwords.
        tables: What to write.
        now: The time to write into the list of contents.

    Returns:
        Names of the tables.
    """
    make_private_folder(folder.parent)
    draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        _fix_formats(connection)
        rows = {table.name: _write_table(connection, draft, table) for table in tables}
        contents = {"schema": HEAD, "made_at": now.isoformat(), "rows": rows}
        with open(draft / CONTENTS, "w", opener=open_private_file) as file:
            file.write(json.dumps(contents, indent=2) + "\n")
        os.rename(draft, folder)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    return list(rows)


def _write_table(connection: psycopg.Connection[Any], folder: Path, table: Table) -> int:
    """Write a table, and count its rows."""
    columns = sql.SQL(", ").join(sql.Identifier(column.name) for column in table.columns)
    # A query, because a table in parts cannot be copied, and servers of a distributed one have formats of their own.
    command = sql.SQL("copy (select {} from {}) to stdout (format csv, header)").format(
        columns, sql.Identifier(table.name)
    )
    with (
        open(folder / f"{table.name}.csv", "wb", opener=open_private_file) as file,
        connection.cursor() as cursor,
    ):
        with cursor.copy(command) as copy:
            for block in copy:
                file.write(block)
        return cursor.rowcount


def read_tables(connection: psycopg.Connection[Any], folder: Path, tables: Iterable[Table]) -> list[str]:
    """Read tables from a folder into the database; a row that is there already is replaced.

    Args:
        connection: In a transaction; the caller commits.
        folder: As `write_tables` has left it.
        tables: What to read, those that others point at first; a table without a file is passed over.

    Returns:
        Names of the tables that were read.

    Raises:
        InvalidInput: If the backup was made with another schema.
    """
    contents = json.loads((folder / CONTENTS).read_text())
    if contents.get("schema") != HEAD:
        raise InvalidInput(
            f"The backup in {folder} was made with revision {contents.get('schema')} of the schema, but the database "
            f"has {HEAD}. Bring a database of that revision up to date with it, and save it anew."
        )
    _fix_formats(connection)
    read = []
    for table in tables:
        path = folder / f"{table.name}.csv"
        if path.is_file():
            _read_table(connection, path, table)
            _reset_sequences(connection, table)
            read.append(table.name)
    return read


def _read_table(connection: psycopg.Connection[Any], path: Path, table: Table) -> None:
    name, draft = sql.Identifier(table.name), sql.Identifier(f"restored_{table.name}")
    columns = [sql.Identifier(column.name) for column in table.columns]
    keys = [sql.Identifier(column.name) for column in table.primary_key.columns]
    others = [column for column in columns if column not in keys]
    replace = sql.SQL("update set {}").format(
        sql.SQL(", ").join(sql.SQL("{0} = excluded.{0}").format(column) for column in others)
    )
    listed = sql.SQL(", ").join(columns)
    connection.execute(
        sql.SQL("create temporary table {} (like {}) on commit drop").format(draft, name), prepare=False
    )
    with connection.cursor() as cursor:
        command = sql.SQL("copy {} ({}) from stdin (format csv, header)").format(draft, listed)
        with cursor.copy(command) as copy, path.open("rb") as file:
            while block := file.read(1 << 20):
                copy.write(block)
    connection.execute(
        sql.SQL("insert into {} ({}) select {} from {} on conflict ({}) do {}").format(
            name, listed, listed, draft, sql.SQL(", ").join(keys), replace if others else sql.SQL("nothing")
        ),
        prepare=False,
    )
    connection.execute(sql.SQL("drop table {}").format(draft), prepare=False)


def _reset_sequences(connection: psycopg.Connection[Any], table: Table) -> None:
    """Let the next row get an id that no row has."""
    for column in table.primary_key.columns:
        found = connection.execute(
            "select pg_get_serial_sequence(%s, %s)", (f'"{table.name}"', column.name)
        ).fetchone()
        if found and found[0]:
            # Assets and sensors draw from one sequence, that of the sensors.
            highest = sql.SQL(", ").join(
                sql.SQL("(select max({}) from {})").format(sql.Identifier(column.name), sql.Identifier(name))
                for name in ({"asset", "sensor"} if table.name == "sensor" else {table.name})
            )
            connection.execute(
                sql.SQL("select setval({}, coalesce(greatest({}), 0) + 1, false)").format(
                    sql.Literal(found[0]), highest
                )
            )


def all_tables() -> list[Table]:
    """List all tables of ours."""
    return list(db.metadata.sorted_tables)


def wipe_tables(connection: psycopg.Connection[Any], tables: Iterable[Table], restart: bool = False) -> None:
    """Remove all rows of tables; none of the others may point at them.

    Args:
        connection: In a transaction; the caller commits.
        tables: What to empty.
        restart: Whether their numbers begin anew.
    """
    names = sql.SQL(", ").join(sql.Identifier(table.name) for table in tables)
    connection.execute(sql.SQL("set local lock_timeout = {}").format(sql.Literal(_LOCK_TIMEOUT)))
    command = "truncate {} restart identity" if restart else "truncate {}"
    connection.execute(sql.SQL(command).format(names))


def _fix_formats(connection: psycopg.Connection[Any]) -> None:
    """Write and read times and numbers in one way, whatever the server is set to."""
    for setting, value in (
        ("timezone", "UTC"),
        ("datestyle", "ISO, YMD"),
        ("intervalstyle", "iso_8601"),
        ("extra_float_digits", "1"),
    ):
        connection.execute("select set_config(%s, %s, true)", (setting, value))
