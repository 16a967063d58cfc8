"""A real server for benchmarks over HTTP: gunicorn on the embedded PostgreSQL and Valkey, and a client on loopback."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from pathlib import Path
from typing import Any

import psutil
from flask import Flask

from flexmeasures.app import create
from flexmeasures.data.database import db, prepare
from flexmeasures.testing import Cast, make_cast

__all__ = ["Server", "free_port", "message", "serve", "wait_for"]


class Server:
    """The server, a client with a token, and an app on the same database."""

    def __init__(self, app: Flask, cast: Cast, port: int, process: subprocess.Popen[bytes]) -> None:
        self.app = app
        self.cast = cast
        self.port = port
        self.process = process
        self.connection = http.client.HTTPConnection("127.0.0.1", port)
        self.headers: dict[str, str] = {}

    def connect(self) -> None:
        """Wait for the server and get a token."""
        wait_for(self.port)
        body = {"email": self.cast.owner_email, "password": self.cast.password}
        _, answer = self.request("POST", "/api/requestAuthToken", json.dumps(body).encode())
        self.headers["Authorization"] = json.loads(answer)["auth_token"]

    def another_client(self) -> Server:
        """Make a client of the same server with a connection of its own."""
        other = copy(self)
        other.connection = http.client.HTTPConnection("127.0.0.1", self.port)
        return other

    def request(self, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        """Send one request and read the whole answer."""
        self.connection.request(method, path, body, {"Content-Type": "application/json", **self.headers})
        answer = self.connection.getresponse()
        return answer.status, answer.read()

    def post(self, service: str, message: bytes) -> bytes:
        """Post a message that must be accepted."""
        status, answer = self.request("POST", f"/api/v2_0/{service}", message)
        if status != 200:
            raise RuntimeError(f"{service} answered {status}: {answer[:500]!r}")
        return answer

    def get(self, path: str) -> bytes:
        """Get an answer that must be all right."""
        status, answer = self.request("GET", path)
        if status != 200:
            raise RuntimeError(f"{path} answered {status}: {answer[:500]!r}")
        return answer

    def resident_megabytes(self) -> float:
        """Resident memory of the largest worker of the server [MB]."""
        workers = psutil.Process(self.process.pid).children()
        return max(worker.memory_info().rss for worker in workers) / 1e6


@contextmanager
def serve(workers: int = 1, with_job_worker: bool = False) -> Iterator[Server]:
    """Run gunicorn, with its usual workers, and with the cast of the tests in a fresh database."""
    folder = Path(tempfile.mkdtemp(prefix="fm-bench-"))
    environment = {
        **os.environ,
        "FLEXMEASURES_INSTANCE_PATH": str(folder),
        "FLASK_ENV": "production",
        "FLEXMEASURES_TIMEZONE": "Europe/Amsterdam",
    }
    app = create(
        "production", settings={"FLEXMEASURES_INSTANCE_PATH": str(folder), "SQLALCHEMY_DATABASE_URI": None}
    )
    prepare(app)
    with app.app_context():
        cast = make_cast(db.session)
        db.session.commit()
        db.session.remove()
    port = free_port()
    processes = [
        subprocess.Popen(
            [
                *(sys.executable, "-m", "gunicorn", "-w", str(workers)),
                *("-b", f"127.0.0.1:{port}", "--log-level", "warning"),
                *("--config", "python:flexmeasures.gunicorn_config"),
            ],
            env=environment,
        )
    ]
    if with_job_worker:
        command = ["jobs", "run-worker", "--queue", "scheduling|forecasting"]
        processes.append(
            subprocess.Popen(
                [sys.executable, "-m", "flexmeasures", *command], env=environment, stdout=subprocess.DEVNULL
            )
        )
    server = Server(app, cast, port, processes[0])
    try:
        server.connect()
        yield server
    finally:
        server.connection.close()
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait()
        with app.app_context():
            db.engine.dispose()
        app.extensions["embedded"].services.leave()
        shutil.rmtree(folder, ignore_errors=True)


def free_port() -> int:
    """Find a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(port: int) -> None:
    """Wait until a server on a port of this machine answers requests; for half a minute at most."""
    for _ in range(600):
        connection = http.client.HTTPConnection("127.0.0.1", port)
        try:
            connection.request("GET", "/api/")
            connection.getresponse().read()
        except (OSError, http.client.HTTPException):
            time.sleep(0.05)
        else:
            return
        finally:
            connection.close()
    raise RuntimeError(f"Nothing answers on port {port}.")


def message(kind: str, **fields: Any) -> bytes:
    """Write a message."""
    return json.dumps({"type": kind, **fields}).encode()
