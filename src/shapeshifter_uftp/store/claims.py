"""The claim to handle the messages of a journal: one service at a time, in whichever process.

A claim ends with the process that has it, so nothing has to be cleaned up after a crash. While a file or a server holds
the claim, receiving and queueing messages is open to every process; handling and delivering is the holder's.
"""

from __future__ import annotations

import hashlib
import logging
import sqlite3
import threading
import time
from typing import Any, Protocol

__all__ = ["Claim", "FileClaim", "NoClaim", "ServerClaim"]

_log = logging.getLogger("shapeshifter_uftp.store")
_PATIENCE = 2.0
"""Longest wait for a claim [s]: a service that is being restarted may still be ending."""
_LOOK_AGAIN = 1.0
"""Interval at which a server is asked whether it still knows the claim [s]."""


class Claim(Protocol):
    """The right to handle the messages of one owner."""

    def take(self) -> bool:
        """Take it, waiting a moment; tell whether it is ours."""
        ...

    def holds(self) -> bool:
        """Tell whether it is still ours, taking it again where a restarted server has forgotten it."""
        ...

    def release(self) -> None:
        """Give it up; harmless when it is not ours."""
        ...


class NoClaim:
    """For databases that no other process can see, or that have no locks."""

    def take(self) -> bool:
        """Take it, see `Claim.take`."""
        return True

    def holds(self) -> bool:
        """Tell whether it is ours, see `Claim.holds`."""
        return True

    def release(self) -> None:
        """Give it up."""


class FileClaim:
    """A lock on a file beside a journal, by SQLite, which knows how to lock files on every system."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None

    def take(self) -> bool:
        """Take it, see `Claim.take`."""
        if self._connection is not None:
            return False  # by another service on the same open journal
        connection = sqlite3.connect(
            self._path, timeout=_PATIENCE, isolation_level=None, check_same_thread=False
        )
        try:
            connection.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            connection.close()
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                raise
            return False
        self._connection = connection
        return True

    def holds(self) -> bool:
        """Tell whether it is ours, see `Claim.holds`."""
        return self._connection is not None

    def release(self) -> None:
        """Give it up."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class ServerClaim:
    """An advisory lock of PostgreSQL or MySQL, held by a connection of its own.

    Args:
        sqlalchemy: The module.
        engine: Gives connections.
        name: What is claimed.
    """

    def __init__(self, sqlalchemy: Any, engine: Any, name: str) -> None:
        self._sqlalchemy, self._engine = sqlalchemy, engine
        self._key = hashlib.sha256(f"uftp {name}".encode()).digest()[:8]
        self._connection: Any = None
        self._wanted, self._asked_at = False, 0.0
        self._lock = threading.Lock()

    def _run(self, connection: Any, statement: str, **values: Any) -> Any:
        return connection.execute(self._sqlalchemy.text(statement), values).scalar()

    def _acquire(self, connection: Any) -> bool:
        if self._engine.dialect.name == "mysql":
            return bool(
                self._run(connection, "SELECT GET_LOCK(:key, :wait)", key=self._key.hex(), wait=_PATIENCE)
            )
        key = int.from_bytes(self._key, signed=True)
        self._run(connection, "SELECT set_config('lock_timeout', :wait, false)", wait=f"{_PATIENCE}s")
        try:
            self._run(connection, "SELECT pg_advisory_lock(:key)", key=key)
        except self._sqlalchemy.exc.OperationalError as error:
            if getattr(error.orig, "sqlstate", None) == "55P03":  # lock_not_available
                return False
            raise
        return True

    def take(self) -> bool:
        """Take it, see `Claim.take`."""
        with self._lock:
            return not self._wanted and self._take()

    def _take(self) -> bool:
        connection = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        taken = False
        try:
            taken = self._acquire(connection)
        finally:
            if not taken:
                connection.invalidate()
                connection.close()
        if taken:
            self._connection, self._wanted, self._asked_at = connection, True, time.monotonic()
        return taken

    def holds(self) -> bool:
        """Tell whether it is ours, see `Claim.holds`."""
        with self._lock:
            if not self._wanted:
                return False
            if time.monotonic() - self._asked_at < _LOOK_AGAIN:
                return self._connection is not None
            self._asked_at = time.monotonic()
            if self._connection is not None:
                try:
                    self._run(self._connection, "SELECT 1")
                except self._sqlalchemy.exc.SQLAlchemyError:
                    self._drop()
            if self._connection is None and not self._take():
                _log.error("Another service has taken the journal while the database was away")
            return self._connection is not None

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.invalidate()
            connection.close()

    def release(self) -> None:
        """Give it up."""
        with self._lock:
            self._wanted = False
            self._drop()
