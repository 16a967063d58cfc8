"""Errors in the form that the page or program which asked understands. Never a stack trace, never a secret."""

from __future__ import annotations

import html
import logging
import uuid
from typing import Any

from flask import Flask, Response, current_app, g, render_template, request
from flask_security.decorators import default_unauthn_handler
from werkzeug.exceptions import HTTPException, MethodNotAllowed, RequestEntityTooLarge, Unauthorized

from flexmeasures.api.door import json_response
from flexmeasures.api.problem_details import problem_response, speaks_problems
from flexmeasures.api.usef import statuses
from flexmeasures.api.usef.versions import SERVICES, VERSIONS
from flexmeasures.data.database import db
from flexmeasures.data.faults import STORE_ERRORS, Fault, classify, give_back
from flexmeasures.domain.errors import StoreUnavailable

__all__ = ["answer", "forbidden", "register", "unauthorized"]

_TOO_LARGE = "The limit is the setting MAX_CONTENT_LENGTH. Send it in parts."

log = logging.getLogger(__name__)


def register(app: Flask) -> None:
    """Add the app's answers to errors that no view has caught."""
    app.register_error_handler(HTTPException, _http_error)
    for kind in STORE_ERRORS:
        app.register_error_handler(kind, _store_error)
    app.register_error_handler(StoreUnavailable, _store_unavailable)
    app.register_error_handler(Exception, _bug)
    # For views of plugins, which Flask-Security's decorators guard.
    app.extensions["security"].unauthn_handler(_ask_for_login)
    app.login_manager.unauthorized_callback = _ask_for_login  # type: ignore[attr-defined]


def unauthorized(*_: object) -> Response:
    """Answer a request that needs a user and has none."""
    return answer(
        401, "You could not be properly authenticated for this content.", statuses_name="UNAUTHORIZED"
    )


def _ask_for_login(mechanisms: list[str] | None = None, headers: dict[str, str] | None = None) -> Any:
    """Send people to the login page; tell programs that ask the API."""
    if request.path.startswith("/api/"):
        return unauthorized()
    return default_unauthn_handler(mechanisms, headers)


def forbidden(*_: object) -> Response:
    """Answer a user who may not do this."""
    return answer(403, "You cannot be authorized for this content.", statuses_name="FORBIDDEN")


def _http_error(error: HTTPException) -> Response:
    if isinstance(error, Unauthorized):
        return unauthorized()
    if isinstance(error, RequestEntityTooLarge):
        detail = error.description if error.description != RequestEntityTooLarge.description else _TOO_LARGE
        refusal = statuses.TOO_LARGE(detail)
        return answer(413, refusal.message, statuses_name=refusal.status.name)
    if isinstance(error, MethodNotAllowed):
        allowed = sorted(error.valid_methods or ())
        proper = [method for method in allowed if method not in ("HEAD", "OPTIONS")]
        refusal = statuses.INVALID_METHOD(f"You sent {request.method}; use {' or '.join(proper)}.")
        response = answer(
            405, refusal.message, statuses_name=refusal.status.name if _service_type() else None
        )
        response.headers["Allow"] = ", ".join(allowed)
        return response
    if error.response is not None or error.code is None or error.code < 400:
        return error.get_response()  # type: ignore[return-value]  # as Flask sends it
    return answer(error.code, error.description or error.name)


def _store_error(error: Exception) -> Response:
    """Answer for an error of the database or the job store that no view understands better."""
    fault = classify(error)
    if fault is Fault.BUG:
        return _bug(error)
    if fault in (Fault.AWAY, Fault.IN_THE_WAY):
        return _store_unavailable(error)
    give_back(db.session)
    log.info("Something cannot be stored: %s", type(error).__name__, exc_info=error)
    refusal = statuses.UNPROCESSABLE_ENTITY(_REASONS[fault])
    return answer(422, refusal.message, statuses_name=refusal.status.name)


_REASONS = {
    Fault.UNSTORABLE: (
        "It holds a value that cannot be stored, such as a NUL character, or more than can be stored at once."
    ),
    Fault.CLASH: "It contradicts what is stored already. Nothing was changed.",
    Fault.PARENT_GONE: "Something that it is about does not exist any more. Nothing was changed.",
}


def _store_unavailable(error: Exception) -> Response:
    give_back(db.session)
    log.error("A store does not answer: %s", type(error).__name__, exc_info=error)
    refusal, anonymous = statuses.UNAVAILABLE(), current_app.login_manager.anonymous_user()  # type: ignore[attr-defined]
    # The page that says so must not ask the store who reads it.
    known, g._login_user = g.get("_login_user", anonymous), anonymous
    response = answer(503, refusal.message, statuses_name=refusal.status.name)
    g._login_user = known
    response.headers["Retry-After"] = "5"
    return response


def _bug(error: Exception) -> Response:
    """Answer for a bug of ours: its number is in the log, beside what happened."""
    give_back(db.session)
    number = uuid.uuid4().hex[:12]
    plugin = current_app.extensions.get("plugins", {}).get(request.blueprint)
    where = f" in the plugin {plugin}" if plugin else ""
    log.error("Unexpected error %s at %s%s", number, request.path, where, exc_info=error)
    return answer(500, f"Something went wrong on our side. Tell the operator this number: {number}.")


def answer(code: int, message: str, statuses_name: str | None = None) -> Response:
    """Say what went wrong: as a page to who looks at pages, as JSON to programs.

    Args:
        code: The HTTP code.
        message: A sentence for whoever asked.
        statuses_name: The documented status; the code itself if left out.
    """
    if speaks_problems():
        return problem_response(code, html.unescape(message))
    if not request.path.startswith("/api") and not request.is_json:
        return Response(
            render_template("error.html", code=code, message=html.unescape(message)),
            code,
            mimetype="text/html",
        )
    body = {"message": message, "status": statuses_name or code}
    kind = _service_type()
    return json_response({"type": kind, **body} if kind and statuses_name else body, code)


def _service_type() -> str | None:
    """Find the type of answers of the service to which the request's path belongs."""
    parts = request.path.strip("/").split("/")
    if len(parts) != 3 or parts[1] not in VERSIONS:
        return None
    return next((s.response_type for s in SERVICES if s.name == parts[2] and parts[1] in s.versions), None)
