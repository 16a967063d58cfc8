"""``flexmeasures db-ops``: reset, dump, restore, save and load the database."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import click
import flask_migrate
from flask import current_app
from flask.cli import AppGroup
from sqlalchemy.engine import make_url

from flexmeasures.cli.scale import distribute, partition
from flexmeasures.cli.storage import thin
from flexmeasures.data.database import db, schema_is_newest
from flexmeasures.data.server_tools import dump_database, restore_database
from flexmeasures.data.transactional import as_transaction
from flexmeasures.services.backups import (
    BackupTables,
    backup_folder,
    empty_database,
    load_backup,
    save_backup,
)

__all__ = ["db_ops"]

db_ops = AppGroup("db-ops", help="Reset, dump, restore, save, load and thin out the database.")
for _command in (thin, partition, distribute):
    db_ops.add_command(_command)


@db_ops.command("reset")
def reset() -> None:
    """Remove all data, and bring the schema up to date."""
    if not current_app.debug and not click.confirm(
        f"This deletes all data in {_shown_database()}. Continue?"
    ):
        click.echo("I did nothing.")
        return
    db.session.remove()
    if schema_is_newest(current_app):
        # Emptied, not made anew: a table of beliefs that was distributed or cut into parts stays so.
        as_transaction(empty_database)(db.session)
    else:
        flask_migrate.downgrade(revision="base")
        flask_migrate.upgrade()
    click.echo("The database is empty now, with the newest schema.")


@db_ops.command("dump")
def dump() -> None:
    """Write all data into a file in this folder, with pg_dump; restore them with: db-ops restore."""
    name = make_url(_uri()).database
    file = Path.cwd() / f"pgbackup_{name}_{_now():%Y-%m-%d-%H%M}.dump"
    click.echo(f"Backing up {name} database")
    db.session.execute(db.text("select 1"))  # starts the embedded server, where that is used
    db.session.remove()
    dump_database(_uri(), file)
    click.echo(f"db dump successful: saved to {file}")


@db_ops.command("restore")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def restore(file: Path) -> None:
    """Read all data from a file of db-ops dump into an empty database (see: db-ops reset)."""
    click.echo(f"Restoring {_shown_database()} database from file {file}")
    db.session.execute(db.text("select 1"))
    db.session.remove()
    restore_database(_uri(), file)
    click.echo("db restore successful")


def _backup_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that saving and loading have in common."""
    for option in (
        click.option(
            "--data/--no-data", default=False, show_default=True, help="Measurements, forecasts, schedules."
        ),
        click.option(
            "--structure/--no-structure", default=True, show_default=True, help="Users, assets, sensors."
        ),
        click.option(
            "--dir",
            "directory",
            type=click.Path(file_okay=False),
            help="Folder of backups; by default the setting FLEXMEASURES_DB_BACKUP_PATH.",
        ),
        click.option("--name", help="Name of the backup."),
    ):
        command = option(command)
    return command


@db_ops.command("save")
@_backup_options
def save(name: str | None, directory: str | None, structure: bool, data: bool) -> None:
    """Save a backup: one file a table, in a folder of the backup's name."""
    folder = _folder(directory)

    @as_transaction
    def in_transaction(session: Any) -> list[str]:
        return save_backup(session, folder, _named(name), BackupTables(structure, data), _now())

    for table in in_transaction(db.session):
        click.echo(f"Successfully saved {name}/{table}.")


@db_ops.command("load")
@_backup_options
def load(name: str | None, directory: str | None, structure: bool, data: bool) -> None:
    """Load a backup beside what there is; rows that are there already are replaced."""
    folder = _folder(directory)

    @as_transaction
    def in_transaction(session: Any) -> list[str]:
        return load_backup(session, folder, _named(name), BackupTables(structure, data))

    for table in in_transaction(db.session):
        click.echo(f"Successfully loaded {name}/{table}.")


def _named(name: str | None) -> str:
    if not name:
        raise click.ClickException("Please name the backup: --name <name>.")
    return name


def _folder(directory: str | None) -> Path:
    if directory:
        return Path(directory).expanduser().absolute()
    return backup_folder(current_app.config["FLEXMEASURES_DB_BACKUP_PATH"], current_app.instance_path)


def _uri() -> str:
    return str(current_app.config["SQLALCHEMY_DATABASE_URI"])


def _shown_database() -> str:
    return str(make_url(_uri()).database)


def _now() -> datetime:
    return datetime.now().astimezone()
