"""``flexmeasures db``: Flask-Migrate's commands, which change the schema on request and never on their own."""

from __future__ import annotations

import contextlib
import copy
from typing import Any

import click
import psycopg
from flask.cli import ScriptInfo
from flask_migrate.cli import db as migrate_group

from flexmeasures.data.database import HEAD, check_schema_age, keep_schema, schema_revision

__all__ = ["db"]


class SchemaGroup(click.Group):
    """Works on a database whose schema is left as it is until a command changes it."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command within the app's context."""
        app = ctx.ensure_object(ScriptInfo).load_app()
        with app.app_context():
            keep_schema(app)
            # Without a database some commands work all the same, and the others say that there is none.
            with contextlib.suppress(psycopg.OperationalError):
                check_schema_age(app)
            return super().invoke(ctx)


def _telling(command: click.Command) -> click.Command:
    """Let a command that changes the schema say what it has done."""
    told, work = copy.copy(command), command.callback
    assert work is not None  # noqa: S101 - it is a command of Flask-Migrate

    def run(*arguments: Any, **options: Any) -> Any:
        if options.get("sql"):
            return work(*arguments, **options)
        before = schema_revision()
        returned = work(*arguments, **options)
        after = schema_revision()
        click.echo(_describe_change(before, after))
        return returned

    told.callback = run
    return told


def _describe_change(before: str | None, after: str | None) -> str:
    """Say what has become of a schema.

    >>> _describe_change("0001", "0001")
    'The schema is at revision 0001, as before.'
    """
    newest = " (the newest)" if after == HEAD else ""
    if before == after:
        return f"The schema is at {_name(after)}{newest}, as before."
    return f"The schema was at {_name(before)} and is now at {_name(after)}{newest}."


def _name(revision: str | None) -> str:
    return "no revision, without tables of ours," if revision is None else f"revision {revision}"


db = SchemaGroup(
    name="db",
    commands={
        name: _telling(command) if name in ("upgrade", "downgrade", "stamp") else command
        for name, command in migrate_group.commands.items()
    },
    params=migrate_group.params,
    callback=migrate_group.callback,
    help="Upgrade, downgrade and inspect the database schema (by Alembic).",
)
