"""``flexmeasures db``: Flask-Migrate's commands, which change the schema on request and never on their own."""

from __future__ import annotations

from typing import Any

import click
from flask.cli import ScriptInfo
from flask_migrate.cli import db as migrate_group

from flexmeasures.data.database import keep_schema

__all__ = ["db"]


class SchemaGroup(click.Group):
    """Works on a database whose schema is left as it is until a command changes it."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command within the app's context."""
        app = ctx.ensure_object(ScriptInfo).load_app()
        with app.app_context():
            keep_schema(app)
            return super().invoke(ctx)


db = SchemaGroup(
    name="db",
    commands=migrate_group.commands,
    params=migrate_group.params,
    callback=migrate_group.callback,
    help="Upgrade, downgrade and inspect the database schema (by Alembic).",
)
