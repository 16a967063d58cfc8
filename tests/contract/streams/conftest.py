"""A stream door on a port of its own, clients of OpenADR with tokens, and a way to announce changes."""

from __future__ import annotations

import getpass
import secrets
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from flexmeasures.data.database import db, redis_connection
from flexmeasures.data.tables import DrClient, DrNotification, DrVen
from flexmeasures.services.coordination.clients import NewClient, create_client, issue_token
from flexmeasures.services.coordination.notifications import (
    CHANNEL,
    Notification,
    announce,
    from_row,
    write_published,
)
from flexmeasures.streams.server import StreamServer


def free_port() -> int:
    """A port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


class Stage:
    """The stream door and those who speak to it."""

    def __init__(self, app: Flask) -> None:
        self.app = app
        self.port = 0
        self.number = 0

    @property
    def address(self) -> str:
        """Where notifications are."""
        return f"ws://127.0.0.1:{self.port}/streams/notifications"

    def token(self, client_id: str, role: str = "ven", targets: tuple[str, ...] = (), **fields: Any) -> str:
        """A token of a client; a VEN with targets is made with it."""
        now = datetime.now(UTC)
        with self.app.app_context():
            create_client(db.session(), NewClient(client_id=client_id, role=role, **fields))
            if targets:
                db.session.add(
                    DrVen(
                        id=f"id-{client_id}",
                        environment="sandbox",
                        created_at=now,
                        modified_at=now,
                        content={},
                        targets=list(targets),
                        name=client_id,
                        client_id=client_id,
                    )
                )
            db.session.commit()
            client = db.session.scalar(select(DrClient).where(DrClient.client_id == client_id))
            return issue_token(client, (), key=self.app.config["SECRET_KEY"], now=now).text

    def change(
        self, kind: str = "EVENT", operation: str = "CREATE", publish: bool = True, **document: Any
    ) -> int:
        """Announce a change as a door does, in its transaction; returns the id of the notification."""
        self.number += 1
        whole = {"id": f"object-{self.number}", "objectType": kind} | document
        program = whole["id"] if kind == "PROGRAM" else whole.get("programID", "program-1")
        with self.app.app_context():
            announce(
                db.session(),
                operation,
                whole,
                environment="sandbox",
                program_id=program,
                now=datetime.now(UTC),
            )
            db.session.commit()
            row = db.session.scalars(select(DrNotification).order_by(DrNotification.id.desc())).first()
            if publish:
                redis_connection(self.app).publish(CHANNEL, write_published(from_row(row)))
            return int(row.id)

    def publish(self, number: int, **document: Any) -> None:
        """Publish a notification that is nowhere stored."""
        published = Notification(
            id=number,
            environment="sandbox",
            object_type="EVENT",
            operation="CREATE",
            object={"id": f"object-{number}", "objectType": "EVENT"} | document,
            announced_at=datetime.now(UTC),
        )
        redis_connection(self.app).publish(CHANNEL, write_published(published))

    def serve(self) -> StreamServer:
        """Start the door in a thread."""
        server = StreamServer(self.app, "127.0.0.1:0")
        ready = threading.Event()

        def note(port: int) -> None:
            self.port = port
            ready.set()

        server.thread = threading.Thread(target=server.run, args=(note,), daemon=True)
        server.thread.start()
        assert ready.wait(10)
        time.sleep(0.3)  # until the feed listens as well
        return server


@pytest.fixture
def stage(app: Flask) -> Iterator[Stage]:
    """The door, running."""
    made = Stage(app)
    server = made.serve()
    yield made
    server.stop()
    server.thread.join(10)
    assert not server.thread.is_alive()


class Broker:
    """A real mosquitto with users, and rules that keep clients apart; nobody else reads, or what is public."""

    def __init__(self, folder: Path, *, anonymous: bool = False) -> None:
        self.folder, self.port = folder, free_port()
        self.passwords = {name: secrets.token_urlsafe(9) for name in ("publisher", "bl", "ven-1", "ven-2")}
        (folder / "passwords").write_text("".join(f"{n}:{p}\n" for n, p in self.passwords.items()))
        subprocess.run(["mosquitto_passwd", "-U", str(folder / "passwords")], check=True)
        (folder / "rules").write_text(
            f"{'topic read openadr3/sandbox/public/#' if anonymous else ''}\n"
            "user publisher\ntopic write openadr3/#\nuser bl\ntopic read openadr3/#\n"
            "pattern read openadr3/sandbox/clients/%u/#\npattern read openadr3/sandbox/public/#\n"
        )
        (folder / "mosquitto.conf").write_text(
            f"user {getpass.getuser()}\n"
            f"listener {self.port} 127.0.0.1\nallow_anonymous {str(anonymous).lower()}\n"
            f"password_file {folder}/passwords\n"
            f"acl_file {folder}/rules\nmax_queued_messages 0\n"
        )
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """As the setting writes it."""
        return f"mqtt://publisher:{self.passwords['publisher']}@127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, and wait until it listens."""
        program = shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
        self._process = subprocess.Popen(
            [program, "-c", str(self.folder / "mosquitto.conf")],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        raise AssertionError("mosquitto does not listen")

    def stop(self) -> None:
        """Stop it."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
            self._process = None


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    """A broker, running."""
    if not shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin"):
        pytest.skip("mosquitto is not installed (Debian: apt-get install mosquitto)")
    made = Broker(tmp_path)
    made.start()
    yield made
    made.stop()
