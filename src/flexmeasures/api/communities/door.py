"""From HTTP to the views of communities and back: who asks, for which community, which days, and what went wrong."""

from __future__ import annotations

import functools
import logging
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from flask import Blueprint, Response, current_app, request
from flask_login import current_user
from sqlalchemy.orm import Session
from werkzeug.exceptions import BadRequest, Forbidden, HTTPException, Unauthorized
from werkzeug.exceptions import NotFound as NoPage

from flexmeasures.api.door import Refused, json_response, work_in_transaction
from flexmeasures.data.database import db
from flexmeasures.domain.errors import (
    Conflict,
    FlexError,
    InvalidInput,
    NotAllowed,
    NotEnoughData,
    NotFound,
)
from flexmeasures.domain.time import find_zone
from flexmeasures.services.communities.access import find_community_of

__all__ = [
    "Days",
    "community_of_request",
    "in_transaction",
    "read_days",
    "read_id",
    "register_errors",
    "sender",
]

log = logging.getLogger(__name__)

View = Callable[..., Response]

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_ID = re.compile(r"\d{1,10}", re.ASCII)
_HEADERS = ("CompanyID", "CommunityId")
_NAMES = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    409: "Conflict",
    500: "Internal Server Error",
}


@dataclass(frozen=True)
class Days:
    """A range of local days, both ends included; None where the range was left open."""

    first: date | None
    last: date | None


def in_transaction(view: View) -> View:
    """Let a view work in the transaction of its request; it is called with the session before its own arguments."""

    @functools.wraps(view)
    def answer(*args: Any, **kwargs: Any) -> Response:
        return work_in_transaction(lambda session: view(session, *args, **kwargs), _refuse)

    return answer


def sender() -> Any:
    """Get the user who asks.

    Raises:
        Unauthorized: If there is no valid token.
    """
    if not current_user.is_authenticated:
        raise Unauthorized("Send an access token: Authorization: Bearer <token>.")
    return current_user


def community_of_request(session: Session, now: datetime) -> Any:
    """Get the community that the request is about.

    Raises:
        Unauthorized: If there is no valid token.
        InvalidInput: If the header is missing, or is not a whole number.
        NotAllowed: If the user has no role in that community.
    """
    user = sender()
    given = {text.strip() for name in _HEADERS for text in request.headers.getlist(name)}
    if not given:
        raise InvalidInput("The header CompanyID is missing. Write the id of the community in it.")
    if len(given) > 1:
        raise InvalidInput("The headers CompanyID and CommunityId differ. Send one of them.")
    text = given.pop()
    if not _ID.fullmatch(text):
        raise InvalidInput(f"The header CompanyID is {text[:40]!r}, which is not the id of a community.")
    return find_community_of(session, user, int(text), now.date())


def read_id(text: str) -> int:
    """Read the id of something in a path.

    Raises:
        NotFound: If it is not a whole number: there is nothing of that id.
    """
    if not _ID.fullmatch(text):
        raise NotFound(f"There is nothing with the id {text[:40]!r}.")
    return int(text)


def read_days(zone: str, now: datetime) -> Days:
    """Read the range of days of a request.

    Raises:
        InvalidInput: If one is not a date, or the first comes after the last.
    """
    first, last = (_read_date(name) for name in ("from_date", "to_date"))
    today = now.astimezone(find_zone(zone)).date()
    if first is not None and first > (last or today):
        raise InvalidInput(f"from_date {first} is after to_date {last or today}. Exchange them.")
    return Days(first, last)


def _read_date(name: str) -> date | None:
    text = request.args.get(name)
    if text is None:
        return None
    try:
        if not _DATE.fullmatch(text):
            raise ValueError
        return date.fromisoformat(text)
    except ValueError:
        raise InvalidInput(
            f"{name} is {text[:40]!r}, which is not a date. Write it like 2024-01-31."
        ) from None


def register_errors(blueprint: Blueprint) -> None:
    """Let the endpoints of a blueprint say what went wrong in the words of this door."""
    blueprint.register_error_handler(HTTPException, _http_error)
    blueprint.register_error_handler(FlexError, _flex_error)
    blueprint.register_error_handler(Exception, _bug)


def _answer(code: int, description: str | None = None) -> Response:
    body: dict[str, Any] = {"code": code, "name": _NAMES[code]}
    if description is not None:
        body["description"] = description
    return json_response(body, code)


def _http_error(error: HTTPException) -> Response:
    db.session.rollback()
    if isinstance(error, BadRequest | Unauthorized | NoPage):
        return _answer(error.code, error.description)
    if isinstance(error, Forbidden):
        return _answer(403)
    return _as_elsewhere(error) or error.get_response()  # type: ignore[return-value]


def _flex_error(error: FlexError) -> Response:
    db.session.rollback()
    return _refuse(error)


def _refuse(error: FlexError | Refused) -> Response:
    """Say what is wrong in the words of this door."""
    if isinstance(error, NotAllowed):
        return _answer(403)
    if isinstance(error, NotFound):
        return _answer(404)
    if isinstance(error, InvalidInput):
        return _answer(400, str(error))
    if isinstance(error, NotEnoughData | Conflict):
        return _answer(409, str(error))
    return _bug(error)


def _as_elsewhere(error: Exception) -> Response | None:
    """Answer as the rest of the platform does, where it has an answer of its own: when a store is away, say."""
    handlers = current_app.error_handler_spec[None][None]
    for kind in type(error).__mro__:
        if kind in handlers and kind is not Exception:
            answer: Response = handlers[kind](error)  # type: ignore[assignment]
            return answer
    return None


def _bug(error: Exception) -> Response:
    """Answer for a bug of ours: its number is in the log, beside what happened, and in no answer."""
    db.session.rollback()
    answer = _as_elsewhere(error)
    if answer is not None:
        return answer
    log.error("Unexpected error %s at %s", uuid.uuid4().hex[:12], request.path, exc_info=error)
    return _answer(500)
