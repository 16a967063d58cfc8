"""Who opens a connection: by a token of OpenADR clients, or one of ours."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from flask import Flask, request

from flexmeasures.auth.bearer import load_by_bearer
from flexmeasures.data.database import db
from flexmeasures.domain.coordination.notifications import Viewer
from flexmeasures.services.coordination.clients import BadToken, Caller, read_token

__all__ = ["Identity", "identify"]

_READING = frozenset({"read_all", "read_targets", "read_ven_objects"})


@dataclass(frozen=True)
class Identity:
    """Who reads.

    Attributes:
        name: For counting connections.
        viewer: As whom notifications are seen; None: not at all.
        user_id: Of the user, if it is one.
    """

    name: str
    viewer: Viewer | None = None
    user_id: int | None = None


def identify(app: Flask, token: str) -> Identity | None:
    """Find out whose token it is; None if it is nobody's. For a thread: it asks the database.

    Raises:
        Exception: What the database raised.
    """
    with app.test_request_context(headers={"Authorization": f"Bearer {token}"}):
        try:
            return _as_client(app, token) or _as_user()
        finally:
            db.session.remove()


def _as_client(app: Flask, token: str) -> Identity | None:
    try:
        caller: Caller = read_token(db.session(), token, key=app.config["SECRET_KEY"], now=datetime.now(UTC))
    except BadToken:
        return None
    may_read = not caller.scopes.isdisjoint(_READING)
    return Identity(f"client {caller.client_id}", caller.viewer if may_read else None)


def _as_user() -> Identity | None:
    user = load_by_bearer(request)
    return None if user is None else Identity(f"user {user.id}", user_id=user.id)
