"""Backups: keep the rows of the database in files, and bring them back."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import psycopg
from sqlalchemy.orm import Session

from flexmeasures.data.backup import (
    CONTENTS,
    BackupTables,
    all_tables,
    hold_beliefs,
    is_distributed,
    read_tables,
    tables_of,
    wipe_tables,
    write_tables,
)
from flexmeasures.data.stores.driver import driver_of
from flexmeasures.domain.errors import Conflict, InvalidInput, NotFound, StoreUnavailable
from flexmeasures.domain.quoting import quote

__all__ = ["BackupTables", "backup_folder", "empty_database", "load_backup", "restore_backup", "save_backup"]

_NAME = re.compile(r"^\w[\w.-]{0,99}$")


def backup_folder(configured: str, instance_path: str) -> Path:
    """Find the folder of all backups: as configured, from the instance folder on."""
    return Path(instance_path) / Path(configured).expanduser()


def save_backup(session: Session, folder: Path, name: str, kinds: BackupTables, now: datetime) -> list[str]:
    """Write tables into a new backup, as they all were at one moment.

    Args:
        session: At the start of a transaction.
        folder: Of all backups.
        name: Of the backup.
        kinds: What is kept.
        now: When it is made.

    Returns:
        Names of the tables.

    Raises:
        InvalidInput: If the name is none.
        Conflict: If there is a backup of that name.
    """
    place = folder / _checked(name)
    if place.exists():
        raise Conflict(f"Can't save backup, because directory {place} already exists.")
    spread = is_distributed(driver_of(session))
    session.rollback()
    session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
    if spread:
        # Each server has its own view of the moment: only if nobody writes meanwhile, they are the same.
        hold_beliefs(driver_of(session))
    return write_tables(driver_of(session), place, tables_of(kinds), now)


def load_backup(session: Session, folder: Path, name: str, kinds: BackupTables) -> list[str]:
    """Read tables from a backup beside what there is; a row that is there already is replaced.

    Returns:
        Names of the tables that were read.

    Raises:
        NotFound: If there is no such backup.
        Conflict: If its rows contradict those that there are.
        InvalidInput: If it was made with another schema, or its files are damaged.
    """
    place = _find(folder, name)
    with _told_in_words(session, name):
        return read_tables(driver_of(session), place, tables_of(kinds))


def restore_backup(session: Session, folder: Path, name: str) -> list[str]:
    """Put a backup in the place of all users, assets, sensors, sources and beliefs.

    Returns:
        Names of the tables that were read.

    Raises:
        NotFound: If there is no such backup.
        InvalidInput: If it was made with another schema, or its files are damaged.
        StoreUnavailable: If others keep the tables busy.
    """
    place = _find(folder, name)
    everything = tables_of(BackupTables(structure=True, data=True))
    with _told_in_words(session, name):
        wipe_tables(driver_of(session), everything)
        return read_tables(driver_of(session), place, everything)


def empty_database(session: Session) -> None:
    """Remove all rows of all tables, and let numbers begin anew; the tables stay as they are.

    Raises:
        StoreUnavailable: If others keep the tables busy.
    """
    with _told_in_words(session, "none"):
        wipe_tables(driver_of(session), all_tables(), restart=True)


@contextmanager
def _told_in_words(session: Session, name: str) -> Iterator[None]:
    """Say in words what the database refuses, and let the session forget what it knew of the rows."""
    try:
        yield
    except psycopg.errors.LockNotAvailable as error:
        raise StoreUnavailable("Others keep the database busy. Try again.") from error
    except psycopg.IntegrityError as error:
        raise Conflict(f"Backup {name} contradicts what is stored: {error}") from error
    except psycopg.DataError as error:
        raise InvalidInput(f"The files of backup {name} cannot be read: {error}") from error
    finally:
        session.expunge_all()


def _checked(name: str) -> str:
    """Make sure that a name is that of a folder inside the folder of backups.

    Raises:
        InvalidInput: If it is not.
    """
    if not _NAME.match(name):
        raise InvalidInput(
            f"{quote(name)} is not a name for a backup. Use letters, digits, dots, dashes and underscores."
        )
    return name


def _find(folder: Path, name: str) -> Path:
    if not _NAME.match(name) or not (folder / name / CONTENTS).is_file():
        raise NotFound(f"There is no backup {quote(name)}.")
    return folder / name
