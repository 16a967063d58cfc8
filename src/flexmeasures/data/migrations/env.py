"""Environment of Alembic: tables and connection; run by the `flexmeasures db` commands."""

from alembic import context
from flask import current_app

import flexmeasures.data.tables  # noqa: F401 - so that the metadata knows every table

migrate = current_app.extensions["migrate"]
metadata = migrate.db.metadata


def run_offline() -> None:
    """Write the migrations as SQL instead of running them."""
    context.configure(
        url=current_app.config["SQLALCHEMY_DATABASE_URI"], target_metadata=metadata, literal_binds=True
    )
    with context.begin_transaction():
        context.run_migrations()


def run_online() -> None:
    """Run the migrations, each command in one transaction."""
    with migrate.db.engine.connect() as connection:
        context.configure(
            connection=connection, target_metadata=metadata, compare_type=True, compare_server_default=True
        )
        with context.begin_transaction():
            context.run_migrations()


if context.is_offline_mode():
    run_offline()
else:
    run_online()
