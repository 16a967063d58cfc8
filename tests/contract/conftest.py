"""Real servers for the contract ring: one embedded PostgreSQL and Valkey, emptied before each test."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Iterator
from datetime import datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import flask_migrate
import pytest
from aiosmtpd.controller import Controller
from click.testing import CliRunner
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text
from tests.contract.own_servers import missing, own_servers

from flexmeasures import cli
from flexmeasures.app import create
from flexmeasures.data.database import db, prepare, redis_connection
from flexmeasures.jobs.workers import make_worker
from flexmeasures.testing import Cast, make_cast


@pytest.fixture(scope="session")
def instance_path() -> Iterator[Path]:
    """A folder for the embedded servers, with a path short enough for sockets."""
    with tempfile.TemporaryDirectory(prefix="fm-") as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def own_stores() -> Iterator[dict[str, str]]:
    """Settings of the stores: none for the embedded ones; with DB=external, servers from packages of this machine."""
    if os.environ.get("DB") != "external":
        yield {}
        return
    if missing():
        pytest.exit(missing(), 1)
    with own_servers() as servers:
        yield {
            "SQLALCHEMY_DATABASE_URI": servers.database_uri,
            "FLEXMEASURES_REDIS_URL": servers.redis_url,
        }


@pytest.fixture(scope="session")
def shared_app(instance_path: Path, own_stores: dict[str, str]) -> Iterator[Flask]:
    """The application on running servers with the newest schema."""
    app = create("testing", settings={"FLEXMEASURES_INSTANCE_PATH": str(instance_path), **own_stores})
    prepare(app)
    if own_stores:
        with app.app_context():
            flask_migrate.upgrade()
    yield app
    with app.app_context():
        db.session.remove()
        db.engine.dispose()
    redis_connection(app).connection_pool.disconnect()
    if not own_stores:
        app.extensions["embedded"].services.leave()


@pytest.fixture
def app(shared_app: Flask) -> Iterator[Flask]:
    """The application with an empty database and job store, and its settings as they were."""
    settings = dict(shared_app.config)
    with shared_app.app_context():
        names = ", ".join(table.name for table in db.metadata.sorted_tables)
        with db.engine.begin() as connection:
            connection.exec_driver_sql(f"truncate {names} restart identity cascade")
        redis_connection(shared_app).flushdb()
    yield shared_app
    shared_app.config.clear()
    shared_app.config.update(settings)


@pytest.fixture
def cast(app: Flask) -> Cast:
    """The fixed cast: people, a site with assets, and a market with prices."""
    with app.app_context():
        made = make_cast(db.session)
        db.session.commit()
    return made


@pytest.fixture
def command(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run a command in this process; nothing but a sentence and an exit code may come of what goes wrong."""
    monkeypatch.setattr(cli, "_create_app", lambda *_: app)

    def run(*words: str, typed: str = "", exit_code: int = 0) -> str:
        done = CliRunner().invoke(cli.cli, words, input=typed)
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        assert done.exit_code == exit_code, done.output
        return done.output

    return run


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """Somebody who sends HTTP requests."""
    return app.test_client()


class Caller:
    """Somebody who sends messages with a token."""

    def __init__(self, client: FlaskClient, email: str, password: str) -> None:
        answer = client.post("/api/requestAuthToken", json={"email": email, "password": password})
        assert answer.status_code == 200, answer.json
        self.client = client
        self.headers = {"Authorization": answer.json["auth_token"]}

    def get(self, service: str, version: str = "v2_0", **query: Any) -> Any:
        """Ask a service."""
        return self.client.get(f"/api/{version}/{service}", query_string=query, headers=self.headers)

    def post(self, service: str, message: Any, version: str = "v2_0") -> Any:
        """Send a message to a service."""
        # Buffered, so that the response is closed, as it is by a server.
        return self.client.post(
            f"/api/{version}/{service}", json=message, headers=self.headers, buffered=True
        )


@pytest.fixture
def owner(client: FlaskClient, cast: Cast) -> Caller:
    """The owner of the site."""
    return Caller(client, cast.owner_email, cast.password)


@pytest.fixture
def stranger(client: FlaskClient, cast: Cast) -> Caller:
    """A Prosumer with a site of their own."""
    return Caller(client, cast.stranger_email, cast.password)


@pytest.fixture
def admin(client: FlaskClient, cast: Cast) -> Caller:
    """Somebody who may do everything."""
    return Caller(client, cast.admin_email, cast.password)


@pytest.fixture
def work(app: Flask) -> Any:
    """Let a worker do all jobs that wait, each in a process of its own as always."""
    return lambda: make_worker(app, ["scheduling"]).work(burst=True)


@pytest.fixture
def stored(app: Flask, cast: Cast) -> Any:
    """Look into the store: the latest belief horizon by event start, of one of the cast's assets or of a sensor id."""

    def look(asset: str | int) -> dict[datetime, timedelta]:
        sensor_id = cast.assets[asset] if isinstance(asset, str) else asset
        query = (
            "select distinct on (event_start) event_start, belief_horizon from belief where sensor_id = :id"
            " order by event_start, belief_horizon"
        )
        with app.app_context():
            return dict(db.session.execute(text(query), {"id": sensor_id}).all())

    return look


class Postbox:
    """Keeps the mails that a local SMTP server is given."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        """Take a mail."""
        self.mails.append(message_from_bytes(envelope.content, policy=policy.default))
        return "250 OK"


@pytest.fixture
def postbox(app: Any) -> Iterator[Postbox]:
    """A mail server on this machine, named in the settings."""
    box = Postbox()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    controller = Controller(box, hostname="127.0.0.1", port=port)
    controller.start()
    app.config["MAIL_SERVER"], app.config["MAIL_PORT"] = "127.0.0.1", port
    yield box
    controller.stop()
