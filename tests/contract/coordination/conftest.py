"""Clients of coordination: the business logic, and VENs."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson
import pytest
from flask import Flask
from tests.contract.coordination.openadr3_documents import check_answer

from flexmeasures.data.database import db
from flexmeasures.jobs.workers import make_worker
from flexmeasures.services.coordination.clients import NewClient, create_client

SECRET = "a secret of tests"


class OadrClient:
    """A client of OpenADR 3 that checks every answer against the OpenAPI document."""

    def __init__(self, app: Flask, client_id: str, version: str = "3.1.0", scope: str = "") -> None:
        self.http = app.test_client()
        self.version = version
        self.base = f"/openadr3/{version}"
        form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": SECRET}
        answer = self.http.post(f"{self.base}/auth/token", data=form | ({"scope": scope} if scope else {}))
        assert answer.status_code == 200, answer.json
        self.client_id = client_id
        self.headers = {"Authorization": f"Bearer {answer.json['access_token']}"}

    def ask(self, method: str, path: str, body: Any = None, query: Any = None) -> Any:
        """Send a request, and check the answer."""
        options: dict[str, Any] = {"headers": self.headers, "query_string": query, "buffered": True}
        if body is not None:
            options["json"] = body
        answer = self.http.open(self.base + path, method=method, **options)
        if "resource_groups" not in path and "/unknown" not in path:
            check_answer(self.version, method, path, answer)
        return answer

    def get(self, path: str, **query: Any) -> Any:
        """Get something."""
        return self.ask("GET", path, query=query)

    def made(self, path: str, body: Any) -> Any:
        """Make something, and return it."""
        answer = self.ask("POST", path, body)
        assert answer.status_code == 201, answer.json
        return answer.json


@pytest.fixture
def clients(app: Flask) -> None:
    """Credentials: bl, ven-1, ven-2 in the sandbox, bl-prod and ven-prod in production."""
    with app.app_context():
        for client_id, role, environment in (
            ("bl", "bl", "sandbox"),
            ("ven-1", "ven", "sandbox"),
            ("ven-2", "ven", "sandbox"),
            ("bl-prod", "bl", "production"),
            ("ven-prod", "ven", "production"),
        ):
            create_client(
                db.session,
                NewClient(client_id=client_id, secret=SECRET, role=role, environment=environment),
            )
        db.session.commit()


@pytest.fixture
def as_client(app: Flask, clients: None) -> Any:
    """Log in as a client, in a version and with a scope."""
    return lambda client_id, version="3.1.0", scope="": OadrClient(app, client_id, version, scope)


@pytest.fixture
def bl(as_client: Any) -> OadrClient:
    """The business logic."""
    return as_client("bl")


@pytest.fixture
def ven(as_client: Any) -> OadrClient:
    """The client ven-1."""
    return as_client("ven-1")


@pytest.fixture
def program(bl: OadrClient) -> Any:
    """A programme."""
    return bl.made("/programs", {"programName": "prices"})


class Partner:
    """A client of the partner API."""

    BASE = "/energy-coordination/v1"

    def __init__(self, app: Flask, client_id: str) -> None:
        self.http = app.test_client()
        form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": SECRET}
        answer = self.http.post("/connect/token", data=form)
        assert answer.status_code == 200, answer.json
        self.headers = {"Authorization": f"Bearer {answer.json['access_token']}"}

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """Send a request."""
        options: dict[str, Any] = {} if body is None else {"json": body}
        return self.http.open(
            self.BASE + path, method=method, headers=self.headers | headers, buffered=True, **options
        )

    def get(self, path: str) -> Any:
        """Get something that is there."""
        answer = self.ask("GET", path)
        assert answer.status_code == 200, answer.json
        return answer.json

    def made(self, path: str, body: Any) -> Any:
        """Make something, and return it."""
        answer = self.ask("POST", path, body)
        assert answer.status_code == 201, answer.json
        return answer.json


@pytest.fixture
def as_partner(app: Flask, clients: None) -> Any:
    """Log in at the partner API."""
    return lambda client_id="ven-1": Partner(app, client_id)


@pytest.fixture
def deliver(app: Flask) -> Any:
    """Let a worker send what waits."""
    return lambda: make_worker(app, ["coordination"]).work(burst=True)


class Receiver:
    """An endpoint on this machine that keeps what it gets."""

    def __init__(self) -> None:
        self.requests: list[tuple[dict[str, str], Any, bytes]] = []
        self.statuses: list[int] = []
        self.echoes = True
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.requests.append((dict(self.headers), orjson.loads(body), body))
                self._answer(receiver.statuses.pop(0) if receiver.statuses else 200, b"ok")

            def do_GET(self) -> None:
                query = parse_qs(urlsplit(self.path).query)
                self._answer(200, query.get("echo", [""])[0].encode() if receiver.echoes else b"hello")

            def _answer(self, status: int, body: bytes) -> None:
                self.send_response(status)
                if status in (301, 302, 307):
                    self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def messages(self) -> list[Any]:
        """What it got."""
        return [message for _, message, _ in self.requests]


@pytest.fixture
def receiver() -> Any:
    """An endpoint for webhooks."""
    made = Receiver()
    yield made
    made.server.shutdown()
    made.server.server_close()
