"""From HTTP to the views and back: who asks, which version, one transaction a request, one shape of answer."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from flask import Blueprint, Flask, Response, current_app, request
from flask_login import current_user
from sqlalchemy.orm import Session

from flexmeasures.api.door import (
    NotJson,
    Refused,
    json_response,
    logged_in_user,
    read_body,
    read_clock,
    read_query,
    work_in_transaction,
)
from flexmeasures.api.openapi.operation import describe
from flexmeasures.api.openapi.services import describe_service
from flexmeasures.api.usef import statuses
from flexmeasures.api.usef.call import Call
from flexmeasures.api.usef.statuses import PROCESSED, PartlyRefused, refusal_of
from flexmeasures.api.usef.versions import SERVICES, VERSIONS, Service, Version
from flexmeasures.api.usef.views import VIEWS
from flexmeasures.data.database import redis_connection
from flexmeasures.domain.errors import FlexError
from flexmeasures.services.users import has_role

__all__ = ["register"]


def register(app: Flask) -> None:
    """Add a route for each service of each version, and the answer to wrong methods."""
    for version in VERSIONS.values():
        blueprint = Blueprint(
            f"flexmeasures_api_{version.prefix}", __name__, url_prefix=f"/api/{version.prefix}"
        )
        for service in SERVICES:
            if version.prefix in service.versions:
                blueprint.add_url_rule(
                    f"/{service.name}",
                    endpoint=_snake_case(service.name),
                    methods=list(service.methods),
                    view_func=_make_view(version, service),
                )
        app.register_blueprint(blueprint)


def _snake_case(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)


def _make_view(version: Version, service: Service) -> Any:
    def view() -> Response:
        return work_in_transaction(partial(_answer, version, service), partial(_refuse, service))

    view.__doc__ = service.description
    return describe(view, partial(describe_service, version, service))


def _answer(version: Version, service: Service, session: Session) -> Response:
    """Let a view work, and word its answer; what is new of a message that is refused in part is stored."""
    if not service.public:
        _check_sender(service)
    raw = read_body(request) if request.method == "POST" else read_query(request)
    call = Call(
        session=session,
        redis=redis_connection(current_app),
        user=current_user,
        version=version,
        config=current_app.config,
        host=request.host,
        now=read_clock(),
    )
    status = PROCESSED.http
    try:
        body = VIEWS[service.name](call, raw)
        body = {**body, **_outcome(body)}
    except PartlyRefused as refusal:
        body, status = refusal.body, refusal.status.http
    response = json_response({"type": service.response_type, **body}, status)
    for follow_up in call.follow_ups:
        response.call_on_close(follow_up)
    return response


def _refuse(service: Service, error: FlexError | Refused) -> Response:
    """Say what is wrong with a documented status."""
    if isinstance(error, NotJson):
        return json_response({"description": "Not a JSON.", "status": 400}, 400)
    refusal = refusal_of(error)
    return json_response({"type": service.response_type, **refusal.body}, refusal.status.http)


def _outcome(body: Mapping[str, Any]) -> dict[str, Any]:
    """Say that all went well; a view may have said so in its own way, or have more to tell."""
    notes = body.get("notes")
    message = " ".join([PROCESSED.message, *notes]) if notes else PROCESSED.message
    return {"status": body.get("status", PROCESSED.name), "message": message}


def _check_sender(service: Service) -> None:
    """Make sure that somebody asks who may.

    Raises:
        Refusal: If not; never says more than the user's own roles.
    """
    user = logged_in_user()
    if has_role(user, "anonymous"):
        raise statuses.INVALID_SENDER("You are an anonymous user.")
    if has_role(user, "admin", *service.allowed_roles):
        return
    own = " and ".join(_with_article(role.name) for role in user.roles)
    accepted = ", ".join(f"{role}s" for role in service.allowed_roles)
    raise statuses.INVALID_SENDER(
        f"You {f'are {own}' if own else 'have no role'}, but this service is for {accepted}."
    )


def _with_article(role: str) -> str:
    """Put an article before a role.

    >>> _with_article("ESCo"), _with_article("Supplier")
    ('an ESCo', 'a Supplier')
    """
    spoken_with_vowel = role[0].upper() in "AEIO" or role == "MDC"
    return f"{'an' if spoken_with_vowel else 'a'} {role}"
