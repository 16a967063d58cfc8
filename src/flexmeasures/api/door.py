"""Shared parts of all HTTP doors: the transaction of a request, the user, the clock, JSON in and out.

Shapes of messages and words for what is wrong are each door's own.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import flask
import orjson
from flask import Request, Response
from flask_login import current_user
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from flexmeasures.api.bodies import loads
from flexmeasures.data.database import db
from flexmeasures.data.faults import try_again
from flexmeasures.data.tables import User
from flexmeasures.domain.errors import Conflict, FlexError, StoreUnavailable

__all__ = [
    "CLASH",
    "Clash",
    "NotJson",
    "Refused",
    "json_response",
    "logged_in_user",
    "read_body",
    "read_clock",
    "read_query",
    "work_in_transaction",
]

CLASH = "It contradicts what is stored already. Nothing was changed."

log = logging.getLogger(__name__)


class Refused(Exception):
    """Base of what a door refuses in words of its own."""


class NotJson(Refused):
    """The body of a request is not a JSON object."""


class Clash(Conflict):
    """Somebody else stored the same unique value between our look and our write."""

    def __init__(self) -> None:
        super().__init__(CLASH)


def work_in_transaction(
    work: Callable[[Session], Response], refuse: Callable[[FlexError | Refused], Response]
) -> Response:
    """Do the work of a request in one transaction: all that it does is stored, or nothing.

    Args:
        work: Is called with the session, and again if another transaction stood in the way.
        refuse: Says in the door's words what is wrong.

    Raises:
        StoreUnavailable: If a store is away; the whole app has one answer to that.
    """
    session = db.session

    def attempt() -> Response:
        response = work(session)
        session.commit()
        return response

    try:
        return try_again(session, attempt)
    except StoreUnavailable:
        raise
    except (FlexError, Refused) as error:
        session.rollback()
        return refuse(error)
    except IntegrityError:
        session.rollback()
        log.info("A request lost a race for a unique value", exc_info=True)
        return refuse(Clash())


def logged_in_user() -> User:
    """Get the user who asks.

    Raises:
        Unauthorized: If nobody is logged in and there is no valid token.
    """
    if not current_user.is_authenticated:
        flask.abort(401)
    user: User = current_user
    return user


def read_clock() -> datetime:
    """Read the clock, UTC."""
    return datetime.now(UTC)


def json_response(body: Any, status: int = 200) -> Response:
    """Write a JSON answer; arrays of numpy are written as they are."""
    payload = orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY)
    return Response(payload, status, mimetype="application/json")


def read_body(request: Request) -> dict[str, Any]:
    """Read a JSON object from the body, whatever its content type says.

    Raises:
        NotJson: If it is none; NaN and Infinity are not JSON.
    """
    try:
        body = loads(request.get_data())  # kept, because the work may be done again
    except orjson.JSONDecodeError:
        raise NotJson from None
    if not isinstance(body, dict):
        raise NotJson
    return body


def read_query(request: Request) -> dict[str, Any]:
    """Read the arguments in the path: a repeated key is a list, and a value that is a JSON list is a part of one."""
    query: dict[str, Any] = {}
    for key, texts in request.args.lists():
        items: list[Any] = []
        for text in texts:
            items += _json_list(text)
        query[key] = items[0] if len(items) == 1 else items
    return query


def _json_list(text: str) -> list[Any]:
    if text.startswith("["):
        try:
            listed = orjson.loads(text)
        except orjson.JSONDecodeError:
            return [text]
        if isinstance(listed, list):
            return listed
    return [text]
