"""From HTTP to the views of coordination and back: who asks, scopes, one transaction, problem objects."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

import orjson
from flask import Response, current_app, g, request
from redis.exceptions import RedisError
from sqlalchemy.orm import Session

from flexmeasures.api.bodies import loads
from flexmeasures.api.door import Refused, read_clock, work_in_transaction
from flexmeasures.api.problem_details import problem_response
from flexmeasures.data.database import db, redis_connection
from flexmeasures.domain.coordination.faults import InvalidReport
from flexmeasures.domain.errors import (
    Conflict,
    FlexError,
    InvalidInput,
    NotAllowed,
    NotFound,
)
from flexmeasures.jobs.coordination import wake
from flexmeasures.services.coordination.clients import BadToken, Caller, read_token

__all__ = ["UnsupportedMediaType", "caller", "client_view", "is_signed_request", "read_object"]

log = logging.getLogger(__name__)

View = Callable[..., Response]

_WRITING = ("POST", "PUT", "PATCH", "DELETE")


class UnsupportedMediaType(FlexError):
    """A body of another kind than the service takes."""

    code = "unsupported-media-type"


# The first that fits holds.
_STATUSES: tuple[tuple[type[FlexError], int], ...] = (
    (BadToken, 401),
    (UnsupportedMediaType, 415),
    (NotFound, 404),
    (NotAllowed, 403),
    (Conflict, 409),
    (InvalidInput, 400),
)


def client_view(*scopes: str) -> Callable[[View], View]:
    """Let a view answer clients with a token, in one transaction: all that it does is stored, or nothing.

    The view is called with the session and the caller before its own arguments. Afterwards notifications are sent.

    Args:
        scopes: One of which the token must have.
    """

    def decorate(view: View) -> View:
        @functools.wraps(view)
        def answer(*args: Any, **kwargs: Any) -> Response:
            def work(session: Session) -> Response:
                asker = caller()
                if not asker.scopes.intersection(scopes):
                    raise NotAllowed(
                        f"The token lacks the scope {' or '.join(scopes)}. Ask for a token that has it."
                    )
                return view(session, asker, *args, **kwargs)

            response = work_in_transaction(work, refuse)
            if request.method in _WRITING and response.status_code < HTTPStatus.BAD_REQUEST:
                wake_deliveries()
            return response

        return answer

    return decorate


def wake_deliveries() -> None:
    """Have notifications sent now; if the job store is away, a worker finds them later."""
    try:
        wake(redis_connection(current_app))
    except RedisError as error:
        log.warning("Notifications wait, because the job store does not answer: %s", error)


def refuse(error: FlexError | Refused) -> Response:
    """Say what is wrong; faults of several fields each with its path."""
    status = next((status for kind, status in _STATUSES if isinstance(error, kind)), 500)
    more = {"errors": error.details["errors"]} if isinstance(error, InvalidReport) else {}
    if isinstance(error, InvalidReport):
        status = error.details.get("status", 400)
    if status == 500:
        log.error("Something that we depend on failed: %s", error, exc_info=error)
        return problem_response(500, "Something went wrong on our side.")
    return problem_response(status, str(error), **more)


def caller() -> Caller:
    """Find out which client sends the request.

    Raises:
        BadToken: If there is no valid token.
    """
    found: Caller = read_token(
        db.session, _bearer_token(), key=current_app.config["SECRET_KEY"], now=read_clock()
    )
    g.coordination_client = found.client_id
    return found


def is_signed_request() -> bool:
    """Tell whether a request has a valid token, so that a large body may be read."""
    try:
        caller()
    except BadToken:
        return False
    return True


def _bearer_token() -> str:
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() != "bearer" or not token.strip():
        raise BadToken("There is no access token. Send the header Authorization: Bearer and a token.")
    return token.strip()


def read_object(*, empty: bool = False) -> dict[str, Any]:
    """Read the body as a JSON object.

    Args:
        empty: Whether there may be no body; then it is an empty object.

    Raises:
        UnsupportedMediaType: If it is of another kind.
        InvalidInput: If it is not a JSON object, or holds NUL characters.
    """
    payload = request.get_data()
    if empty and not payload.strip():
        return {}
    if not request.is_json:
        raise UnsupportedMediaType(
            f"The body is {request.mimetype[:60] or 'of no kind'}; send application/json."
        )
    try:
        body = loads(payload)
    except (orjson.JSONDecodeError, ValueError) as error:
        raise InvalidInput("The body is not JSON.") from error
    if not isinstance(body, Mapping):
        raise InvalidInput("The body is not a JSON object.")
    if b"\\u0000" in payload and _has_nul(body):
        raise InvalidInput("A text holds the character U+0000, which cannot be stored.")
    return dict(body)


def _has_nul(value: Any) -> bool:
    if isinstance(value, str):
        return "\x00" in value
    if isinstance(value, Mapping):
        return any(_has_nul(name) or _has_nul(part) for name, part in value.items())
    return isinstance(value, list) and any(_has_nul(part) for part in value)
