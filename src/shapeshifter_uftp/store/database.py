"""One seam to SQL databases: the SQLite of the standard library, or whatever SQLAlchemy reaches.

Statements use ``:name`` parameters, which both understand. SQLAlchemy is loaded only when a URL needs it.
"""

from __future__ import annotations

import re
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Protocol

from shapeshifter_uftp.store.claims import Claim, FileClaim, NoClaim, ServerClaim

__all__ = ["Database", "DuplicateRow", "Run", "ensure_table", "open_database"]

Rows = list[Mapping[str, Any]]
_MEMORY = ":memory:"


class DuplicateRow(Exception):
    """A row with the same key exists."""


class Run(Protocol):
    """Runs one statement in a transaction and gives its rows."""

    def __call__(self, statement: str, /, **values: Any) -> Rows:
        """Run the statement."""
        ...


class Database(Protocol):
    """A database with transactions."""

    dialect: str
    place: str
    """Where it is, for people: without a password."""
    faults: tuple[type[Exception], ...]
    """The errors that mean that it is away, or cannot do what it should."""

    def claim(self, owner: str) -> Claim:
        """Make the claim, not taken yet, on the messages of an owner."""
        ...

    def read(self, statement: str, /, **values: Any) -> Rows:
        """Run one statement that changes nothing."""
        ...

    def add(self, statement: str, values: Mapping[str, Any]) -> bool:
        """Run one INSERT, lasting; False when a row with its key exists."""
        ...

    def transaction(self, *, lasting: bool = True) -> AbstractContextManager[Run]:
        """Run a block in one transaction: all of it is kept, or nothing.

        Args:
            lasting: Whether it must survive a loss of power too. Without it, it survives the death of the process, and
                a loss of power only when a later lasting transaction has been kept.

        Raises:
            DuplicateRow: A key existed.
        """
        ...

    def close(self) -> None:
        """Close all connections."""
        ...


class _Insert:
    """A row that waits to be committed, and what became of it."""

    __slots__ = ("added", "error", "statement", "values")

    def __init__(self, statement: str, values: Mapping[str, Any]) -> None:
        self.statement, self.values = statement.replace("INSERT", "INSERT OR IGNORE", 1), values
        self.added: bool | None = None
        self.error: sqlite3.Error | None = None


class _Sqlite:
    """SQLite with one writing connection, which threads take in turn.

    Rows that threads add at the same time are committed together: waiting for the disk is most of the work.
    With the write-ahead log every commit survives ``kill -9``, and with ``synchronous=FULL`` a loss of power.
    """

    dialect = "sqlite"
    faults: tuple[type[Exception], ...] = (sqlite3.Error,)

    def __init__(self, path: str) -> None:
        self.place = path
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(
            path, isolation_level=None, check_same_thread=False, timeout=30, cached_statements=256
        )
        self._connection.row_factory = sqlite3.Row
        try:
            for setting in ("journal_mode=WAL", "synchronous=FULL", "wal_autocheckpoint=4000"):
                self._connection.execute(f"PRAGMA {setting}")
        except sqlite3.Error:
            self._connection.close()
            raise
        self._lasting = True
        self._queue: list[_Insert] = []
        self._queue_lock = threading.Lock()

    def claim(self, owner: str) -> Claim:
        if self.place == _MEMORY:
            return NoClaim()
        return FileClaim(f"{self.place}.{re.sub('[^A-Za-z0-9.-]', '_', owner)}.lock")

    def read(self, statement: str, /, **values: Any) -> Rows:
        with self._lock:
            return list(self._connection.execute(statement, values))

    @contextmanager
    def transaction(self, *, lasting: bool = True) -> Iterator[Run]:
        with self._lock:
            self._sync(lasting=lasting)
            execute = self._connection.execute

            def run(statement: str, /, **values: Any) -> Rows:
                cursor = execute(statement, values)
                return cursor.fetchall() if cursor.description else []

            execute("BEGIN IMMEDIATE")
            try:
                yield run
            except sqlite3.IntegrityError as error:
                execute("ROLLBACK")
                raise DuplicateRow(str(error)) from error
            except BaseException:
                execute("ROLLBACK")
                raise
            execute("COMMIT")

    def add(self, statement: str, values: Mapping[str, Any]) -> bool:
        job = _Insert(statement, values)
        with self._queue_lock:
            self._queue.append(job)
        # Whoever comes first commits for all who have queued up meanwhile.
        with self._lock:
            if job.added is None and job.error is None:
                self._add_all()
        if job.error is not None:
            raise job.error
        return bool(job.added)

    def _add_all(self) -> None:
        with self._queue_lock:
            jobs, self._queue = self._queue, []
        execute = self._connection.execute
        added = []
        try:
            self._sync(lasting=True)
            execute("BEGIN IMMEDIATE")
            added = [execute(job.statement, job.values).rowcount == 1 for job in jobs]
            execute("COMMIT")
        except sqlite3.Error as error:
            if self._connection.in_transaction:
                execute("ROLLBACK")
            for job in jobs:
                job.error = error
            return
        for job, is_new in zip(jobs, added, strict=True):
            job.added = is_new

    def _sync(self, *, lasting: bool) -> None:
        if lasting is not self._lasting:
            self._lasting = lasting
            self._connection.execute(f"PRAGMA synchronous={'FULL' if lasting else 'NORMAL'}")

    def close(self) -> None:
        with self._lock:
            self._connection.close()


class _Sqlalchemy:
    """Any database that SQLAlchemy reaches."""

    def __init__(self, url: str) -> None:
        import sqlalchemy  # noqa: PLC0415  loaded only when a URL asks for it

        self._sqlalchemy = sqlalchemy
        self._engine = sqlalchemy.create_engine(url, pool_pre_ping=True)
        self.dialect = self._engine.dialect.name
        self.place = str(self._engine.url.render_as_string(hide_password=True))
        self.faults: tuple[type[Exception], ...] = (sqlalchemy.exc.SQLAlchemyError,)

    def claim(self, owner: str) -> Claim:
        if self.dialect in {"postgresql", "mysql"}:
            return ServerClaim(self._sqlalchemy, self._engine, owner)
        return NoClaim()

    def read(self, statement: str, /, **values: Any) -> Rows:
        with self._engine.connect() as connection:
            rows = connection.execute(self._sqlalchemy.text(statement), values).mappings()
            return [dict(row) for row in rows]

    @contextmanager
    def transaction(self, *, lasting: bool = True) -> Iterator[Run]:
        text = self._sqlalchemy.text
        try:
            with self._engine.begin() as connection:

                def run(statement: str, /, **values: Any) -> Rows:
                    outcome = connection.execute(text(statement), values)
                    return [dict(row) for row in outcome.mappings()] if outcome.returns_rows else []

                yield run
        except self._sqlalchemy.exc.IntegrityError as error:
            raise DuplicateRow(str(error)) from error

    def add(self, statement: str, values: Mapping[str, Any]) -> bool:
        try:
            with self.transaction() as run:
                run(statement, **values)
        except DuplicateRow:
            return False
        return True

    def close(self) -> None:
        self._engine.dispose()


def open_database(url: str | Path) -> Database:
    """Open a database.

    Args:
        url: ``memory`` (kept nowhere), a path or ``sqlite:///path`` (made when absent), or any SQLAlchemy URL; one of
            PostgreSQL that names no driver is for psycopg.
    """
    text = str(url)
    if text == "memory":
        return _Sqlite(_MEMORY)
    if text.startswith("sqlite:///"):
        text = text.removeprefix("sqlite:///")
    elif "://" in text:
        scheme, rest = text.split("://", 1)
        return _Sqlalchemy(f"postgresql+psycopg://{rest}" if scheme in {"postgresql", "postgres"} else text)
    Path(text).parent.mkdir(parents=True, exist_ok=True)
    return _Sqlite(text)


def ensure_table(database: Database, name: str, statements: Iterable[str]) -> None:
    """Make a table, and what belongs to it, where it is not there yet.

    Args:
        database: Where.
        name: Of the table.
        statements: Which make it.
    """
    listed = list(statements)
    for tries_left in (2, 1, 0):
        try:
            database.read(f"SELECT 1 FROM {name} WHERE 1 = 0")  # noqa: S608  a name of ours
        except Exception:  # noqa: BLE001  every driver has its own error for a table that is not there
            try:
                with database.transaction() as run:
                    for statement in listed:
                        run(statement)
            except Exception:
                # Another process may have been quicker: then the table is there at the next look.
                if not tries_left:
                    raise
                continue
        return
