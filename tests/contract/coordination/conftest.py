"""Clients of coordination: the business logic, and VENs."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from tests.contract.coordination.openadr3_documents import check_answer

from flexmeasures.data.database import db
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
