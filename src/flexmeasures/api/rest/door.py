"""From HTTP to the REST views and back: who asks, one transaction a request, one way of saying what is wrong."""

from __future__ import annotations

import functools
import logging
import re
from collections.abc import Callable
from typing import Any

import orjson
from flask import Request, Response, current_app

from flexmeasures.api.bodies import loads
from flexmeasures.api.door import CLASH, NotJson, Refused, json_response, logged_in_user, work_in_transaction
from flexmeasures.api.rest.forms import refuse
from flexmeasures.api.usef.statuses import REQUIRED_INFO_MISSING, UNEXPECTED_PARAMS, refusal_of
from flexmeasures.data.tables import User
from flexmeasures.domain.errors import (
    Conflict,
    FlexError,
    NotAllowed,
    NotFound,
    UpstreamFailure,
)
from flexmeasures.services.assets import FieldErrors
from flexmeasures.services.users import has_role

__all__ = ["in_transaction", "read_arguments", "read_id", "read_json", "sender"]

log = logging.getLogger(__name__)

# As int reads them, +0_03 and numbers in other scripts would name the same thing as 3.
_ID = re.compile(r"-?\d{1,40}", re.ASCII)

View = Callable[..., Response]


def in_transaction(view: View) -> Callable[..., Response]:
    """Let a view work in the transaction of its request: all that it does is stored, or nothing.

    The view is called with the session before its own arguments.
    """

    @functools.wraps(view)
    def answer(*args: Any, **kwargs: Any) -> Response:
        return work_in_transaction(lambda session: view(session, *args, **kwargs), _refuse)

    return answer


def _refuse(error: FlexError | Refused) -> Response:
    """Say what is wrong in the words of the REST part of the API."""
    if isinstance(error, NotJson):
        return json_response({"description": "Not a JSON.", "status": 400}, 400)
    if isinstance(error, NotFound):
        return json_response({"message": str(error), "status": 404}, 404)
    if isinstance(error, NotAllowed):
        return json_response({"message": str(error), "status": "FORBIDDEN"}, 403)
    if isinstance(error, Conflict):
        return json_response({"message": CLASH, "detail": str(error), "status": 400}, 400)
    if isinstance(error, UpstreamFailure):
        log.error("Something that we depend on failed: %s", error, exc_info=error)
    refusal = refuse("json", error.errors) if isinstance(error, FieldErrors) else refusal_of(error)
    return json_response(refusal.body, refusal.status.http)


def read_arguments(request: Request) -> dict[str, Any]:
    """Read the arguments in the path, but for the token that may stand there; of repeated ones the first counts."""
    arguments = request.args.to_dict()
    arguments.pop(current_app.config["SECURITY_TOKEN_AUTHENTICATION_KEY"], None)
    return arguments


def read_json(request: Request) -> Any:
    """Read the body as JSON, whatever its content type says; no body is an empty object.

    Raises:
        NotJson: If it is none.
    """
    payload = request.get_data()  # kept, because the view may be called again
    try:
        return loads(payload) if payload.strip() else {}
    except orjson.JSONDecodeError:
        raise NotJson from None


def sender(*roles: str) -> User:
    """Get the user who asks.

    Args:
        *roles: One of which the user must have; an admin may do everything. None: anybody with an account.

    Raises:
        Unauthorized: If nobody is logged in and there is no valid token.
        NotAllowed: If the user has none of the roles.
    """
    user = logged_in_user()
    if has_role(user, "anonymous"):
        raise NotAllowed("An anonymous user may not do this. Log in with an account of your own.")
    if roles and not has_role(user, "admin", *roles):
        raise NotAllowed(
            f"Only users with the role {' or '.join(dict.fromkeys((*roles, 'admin')))} may do this."
        )
    return user


def read_id(text: str, kind: str) -> int:
    """Read the id of an asset or user from a path.

    Raises:
        Refusal: If it is not a whole number, or more follows it.
    """
    if "/" in text:
        raise UNEXPECTED_PARAMS(f"After the id of the {kind} nothing may follow in this path.")
    if not _ID.fullmatch(text):
        raise REQUIRED_INFO_MISSING(f"Write the id of the {kind} in the path, as a whole number.")
    return int(text)
