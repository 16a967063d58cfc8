"""The connections to PostgreSQL and Redis, and the schema: made when first needed, not when the app is created."""

from __future__ import annotations

import selectors
import threading
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import psycopg
import redis
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import MetaData, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, scoped_session

from flexmeasures.data.embedded import EmbeddedServices
from flexmeasures.domain.errors import Conflict

__all__ = [
    "HEAD",
    "MIGRATIONS",
    "check_schema_age",
    "database_uri",
    "db",
    "init_app",
    "keep_schema",
    "plain_connection",
    "prepare",
    "redis_connection",
    "schema_is_newest",
    "schema_revision",
    "store_states",
]

MIGRATIONS = Path(__file__).parent / "migrations"

HEAD = "0013"
"""The newest revision in ``migrations/versions``; a constant, because asking Alembic takes half a second."""

PATIENCE = 5
"""Longest wait for a store before it counts as away [s]."""

_Selector = getattr(
    selectors, "PollSelector", selectors.SelectSelector
)  # the cheapest that needs no clearing up

_UPGRADE_LOCK = 4_040_000_001  # an arbitrary number: the advisory lock of those who upgrade the schema

if TYPE_CHECKING:

    class _RequestSession(scoped_session[Session], Session):  # type: ignore[misc]
        """Session of the current request or job, which passes everything on to it."""


class _Database(SQLAlchemy):
    """Flask-SQLAlchemy's database; its session can be handed to whoever works with a session."""

    if TYPE_CHECKING:
        session: _RequestSession  # type: ignore[assignment]


db = _Database(
    metadata=MetaData(
        naming_convention={
            "ix": "%(column_0_label)s_idx",
            "uq": "%(table_name)s_%(column_0_name)s_key",
            "fk": "%(table_name)s_%(column_0_name)s_%(referred_table_name)s_fkey",
            "pk": "%(table_name)s_pkey",
        }
    )
)


@dataclass
class _Embedded:
    """The embedded servers of one app, and whether the schema has been looked at."""

    services: EmbeddedServices
    upgrade: bool = True
    lock: threading.RLock = field(default_factory=threading.RLock)
    schema_checked: bool = False


class _Migrations:
    """Flask-Migrate's configuration of an app, made when it is looked at: Alembic is large, and seldom needed."""

    def __init__(self, app: Flask) -> None:
        self._app = app

    def __getattr__(self, name: str) -> Any:
        from flask_migrate import Migrate  # noqa: PLC0415 - the reason for this class

        Migrate(self._app, db, directory=str(MIGRATIONS))
        return getattr(self._app.extensions["migrate"], name)


def database_uri(uri: str) -> str:
    """Name the driver in a documented address such as ``postgresql://user:password@host/db``."""
    url = make_url(uri)
    if url.drivername in ("postgresql", "postgres"):
        url = url.set(drivername="postgresql+psycopg")
    return url.render_as_string(hide_password=False)


def init_app(app: Flask, instance_path: Path, fast: bool = False) -> None:
    """Give an app its database and Redis: the configured servers, or the embedded ones where none are.

    Args:
        app: With its settings loaded.
        instance_path: Where embedded servers keep their data.
        fast: Whether embedded servers may lose data when the machine fails; for tests.
    """
    needs_postgres = not app.config["SQLALCHEMY_DATABASE_URI"]
    needs_redis = not app.config["FLEXMEASURES_REDIS_URL"]
    embedded = None
    if needs_postgres or needs_redis:
        embedded = _Embedded(EmbeddedServices(instance_path, fast=fast))
        app.extensions["embedded"] = embedded
    uri = (
        embedded.services.database_uri
        if embedded and needs_postgres
        else app.config["SQLALCHEMY_DATABASE_URI"]
    )
    app.config["SQLALCHEMY_DATABASE_URI"] = database_uri(uri)
    options = _with_patience(app.config["SQLALCHEMY_ENGINE_OPTIONS"], uri)
    # Values of a failing statement belong into no message: hashes of passwords are among them.
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = {
        "hide_parameters": True,
        "json_deserializer": orjson.loads,
        **options,
    }
    db.init_app(app)
    app.extensions["migrate"] = _Migrations(app)
    app.extensions["redis"] = _make_redis(app, embedded if needs_redis else None)
    with app.app_context():
        db.engine.dialect.do_ping = _is_alive  # type: ignore[method-assign, assignment]
        if embedded and needs_postgres:
            event.listen(db.engine, "do_connect", lambda *_: _ready_embedded_database(app, embedded))


def _with_patience(options: Mapping[str, Any], uri: str) -> dict[str, Any]:
    """Limit how long a connection to the database is waited for, unless somebody has said so already."""
    if "connect_timeout" in make_url(uri).query:
        return dict(options)
    arguments = {"connect_timeout": PATIENCE, **options.get("connect_args", {})}
    return {**options, "connect_args": arguments}


def store_states(app: Flask) -> dict[str, bool]:
    """Ask each store whether it answers, the database also whether its schema is the newest: by name of the store."""
    return {"database": _database_answers(app), "job_store": _job_store_answers(app)}


def _database_answers(app: Flask) -> bool:
    try:
        with app.app_context(), db.engine.connect() as connection:
            return bool(connection.scalar(text("select version_num from alembic_version")) == HEAD)
    except (SQLAlchemyError, psycopg.Error):
        return False


def _job_store_answers(app: Flask) -> bool:
    try:
        return bool(redis_connection(app).ping())
    except redis.RedisError:
        return False


def _is_alive(connection: psycopg.Connection[Any]) -> bool:
    """Tell whether the server still keeps an idle connection open, before each use of one.

    A server that goes away, or is made to, says so on the line. Listening for that costs a tenth of asking.
    """
    with _Selector() as selector:
        selector.register(connection.fileno(), selectors.EVENT_READ)
        return not selector.select(0)


def _ready_embedded_database(app: Flask, embedded: _Embedded) -> None:
    """Start the server and bring its schema up to date before the first connection is made."""
    with embedded.lock:
        embedded.services.ensure_postgres()
        if embedded.upgrade and not embedded.schema_checked:
            embedded.schema_checked = True  # first, because upgrading connects as well
            _upgrade_schema(app)


def _upgrade_schema(app: Flask) -> None:
    with closing(plain_connection(app)) as connection:
        if _revision(connection) == HEAD:
            return
        _check_age(_revision(connection))
        # Only one of several processes upgrades; the others find it done.
        connection.execute("select pg_advisory_lock(%s)", (_UPGRADE_LOCK,))
        if _revision(connection) != HEAD:
            from flask_migrate import upgrade  # noqa: PLC0415 - see _Migrations

            with app.app_context():
                upgrade()


def _check_age(revision: str | None) -> None:
    """Make sure that a schema is not newer than this version.

    Raises:
        Conflict: If it is: its rows may mean what this version does not know.
    """
    if revision is not None and not list((MIGRATIONS / "versions").glob(f"{revision}_*.py")):
        raise Conflict(
            f"The database has revision {revision} of the schema, but this version of FlexMeasures knows revisions up "
            f"to {HEAD}. Install the newer version again, or bring the database back with it: flexmeasures db downgrade"
        )


def check_schema_age(app: Flask) -> None:
    """Make sure that the schema of a database is not newer than this version.

    Raises:
        Conflict: If it is.
    """
    embedded: _Embedded | None = app.extensions.get("embedded")
    if embedded is not None:
        embedded.services.ensure_postgres()
    with closing(plain_connection(app)) as connection:
        _check_age(_revision(connection))


def plain_connection(app: Flask) -> psycopg.Connection[Any]:
    """Connect to the database past all sessions, in autocommit mode."""
    url = make_url(app.config["SQLALCHEMY_DATABASE_URI"]).set(drivername="postgresql")
    return psycopg.connect(url.render_as_string(hide_password=False), autocommit=True)


def schema_is_newest(app: Flask) -> bool:
    """Tell whether the schema of the database is that of this version."""
    embedded: _Embedded | None = app.extensions.get("embedded")
    if embedded is not None:
        embedded.services.ensure_postgres()
    with closing(plain_connection(app)) as connection:
        return _revision(connection) == HEAD


def _revision(connection: psycopg.Connection[Any]) -> str | None:
    if connection.execute("select to_regclass('alembic_version')").fetchone() == (None,):
        return None
    row = connection.execute("select version_num from alembic_version").fetchone()
    return row[0] if row else None


def schema_revision() -> str | None:
    """Find out the revision of the schema of the app's database; None if it has no tables of ours."""
    with db.engine.connect() as connection:
        return _revision(connection.connection.driver_connection)  # type: ignore[arg-type]


def prepare(app: Flask) -> None:
    """Start the embedded servers, where the app uses them, and bring the schema of its database up to date."""
    embedded: _Embedded | None = app.extensions.get("embedded")
    if embedded is None:
        return
    with app.app_context():
        db.engine.connect().close()
    redis_connection(app).ping()


def keep_schema(app: Flask) -> None:
    """Leave the schema of the embedded database as it is; for the commands that change it on request."""
    embedded: _Embedded | None = app.extensions.get("embedded")
    if embedded is not None:
        embedded.upgrade = False


def _make_redis(app: Flask, embedded: _Embedded | None) -> redis.Redis:
    if embedded is not None:
        services = embedded.services

        class EmbeddedConnection(redis.UnixDomainSocketConnection):
            """Starts the server before the first connection is made."""

            def connect(self, *args: Any, **kwargs: Any) -> Any:
                # The pool says so before each use of a connection.
                if self._sock is None:
                    services.ensure_valkey()
                return super().connect(*args, **kwargs)  # type: ignore[no-untyped-call]

        path = services.redis_url.removeprefix("unix://")
        return redis.Redis(
            connection_pool=redis.ConnectionPool(connection_class=EmbeddedConnection, path=path)
        )
    config = app.config
    url = config["FLEXMEASURES_REDIS_URL"]
    # Workers, which wait for jobs, set a longer time themselves.
    patience: dict[str, Any] = {"socket_connect_timeout": PATIENCE, "socket_timeout": PATIENCE}
    if "://" in url:
        return redis.Redis.from_url(url, **patience)
    return redis.Redis(
        host=url,
        port=config["FLEXMEASURES_REDIS_PORT"],
        db=config["FLEXMEASURES_REDIS_DB_NR"],
        password=config["FLEXMEASURES_REDIS_PASSWORD"],
        **patience,
    )


def redis_connection(app: Flask) -> redis.Redis:
    """Get the app's connection to Redis."""
    connection: redis.Redis = app.extensions["redis"]
    return connection
