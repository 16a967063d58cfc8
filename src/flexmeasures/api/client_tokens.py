"""Tokens by OAuth 2 client credentials, for clients of coordination.

Source: RFC 6749 sections 2.3.1, 4.4 and 5; RFC 7617.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote_plus

from flask import Response, current_app, request
from redis.exceptions import RedisError

from flexmeasures.api import rates
from flexmeasures.api.door import json_response, read_clock
from flexmeasures.data.database import db, redis_connection
from flexmeasures.data.faults import try_again
from flexmeasures.services.coordination.clients import BadCredentials, IssuedToken, authenticate, issue_token

__all__ = ["answer_token_request"]

log = logging.getLogger(__name__)

_FORM = "application/x-www-form-urlencoded"
_LONGEST = 4096


class _Refused(Exception):
    """A request for a token that is refused, with an error code of RFC 6749."""

    def __init__(self, error: str, description: str, status: int = 400) -> None:
        super().__init__(description)
        self.error = error
        self.status = status


@dataclass(frozen=True, slots=True)
class _Credentials:
    client_id: str
    secret: str


def answer_token_request() -> Response:
    """Issue a token, or say with an OAuth error why not; secrets are sent in a form or by HTTP Basic."""
    try:
        credentials = _read_credentials()
        if request.form.get("grant_type") != "client_credentials":
            raise _Refused("unsupported_grant_type", "grant_type must be client_credentials.")
        return _token_answer(_issue(credentials))
    except _Refused as refusal:
        db.session.rollback()
        body = {"error": refusal.error, "error_description": str(refusal)}
        response = json_response(body, refusal.status)
        if refusal.status == 401:
            response.headers["WWW-Authenticate"] = 'Basic realm="coordination"'
        return _uncached(response)


def _read_credentials() -> _Credentials:
    if request.mimetype != _FORM:
        raise _Refused(
            "invalid_request", f"Send a form ({_FORM}), not {request.mimetype[:60] or 'nothing'}.", 415
        )
    header = request.headers.get("Authorization", "")
    kind, _, text = header.partition(" ")
    if kind.lower() == "basic":
        return _read_basic(text)
    client_id, secret = request.form.get("client_id", ""), request.form.get("client_secret", "")
    if not client_id or not secret:
        raise _Refused("invalid_request", "Send client_id and client_secret, in the form or by HTTP Basic.")
    return _Credentials(client_id[:_LONGEST], secret[: _LONGEST + 1])


def _read_basic(text: str) -> _Credentials:
    """Read HTTP Basic; client id and secret are percent-encoded (RFC 6749 section 2.3.1)."""
    try:
        user, colon, password = base64.b64decode(text, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise _Refused("invalid_request", "The header Authorization is not HTTP Basic.") from error
    if not colon:
        raise _Refused("invalid_request", "The header Authorization is not HTTP Basic.")
    return _Credentials(unquote_plus(user)[:_LONGEST], unquote_plus(password)[: _LONGEST + 1])


def _issue(credentials: _Credentials) -> IssuedToken:
    presets: Mapping[str, Mapping[str, object]] = current_app.config["FLEXMEASURES_OPENADR_CLIENTS"]
    reservation = _reserve(credentials.client_id)

    def work() -> IssuedToken:
        client = authenticate(db.session, credentials.client_id, credentials.secret, presets)
        token = issue_token(
            client,
            request.form.get("scope", "").split(),
            key=current_app.config["SECRET_KEY"],
            now=read_clock(),
        )
        db.session.commit()
        return token

    try:
        token = try_again(db.session, work)
    except BadCredentials as error:
        raise _Refused("invalid_client", str(error), 401) from error
    if not token.scopes:
        raise _Refused("invalid_scope", "The client may have none of these scopes.")
    if reservation is not None:
        rates.release(redis_connection(current_app), reservation)
    return token


def _reserve(client_id: str) -> rates.Reservation | None:
    """Count an attempt before the secret is looked at; who has failed too often has to wait."""
    rate = rates.Rate.parse(current_app.config["FLEXMEASURES_LOGIN_RATE_LIMIT"])
    if rate is None:
        return None
    digest = hashlib.sha256(client_id.encode("utf-8", "replace")).hexdigest()[:20]
    name = f"token:{request.remote_addr}:{digest}"
    try:
        reservation = rates.reserve(redis_connection(current_app), [(rate, name)])
    except RedisError as error:
        log.warning("Requests for tokens are not limited, because Redis does not answer: %s", error)
        return None
    if reservation.wait:
        raise _Refused("invalid_client", f"Too many attempts failed. Try again in {reservation.wait} s.", 429)
    return reservation


def _token_answer(token: IssuedToken) -> Response:
    return _uncached(
        json_response(
            {
                "access_token": token.text,
                "token_type": "Bearer",
                "expires_in": int(token.lifetime.total_seconds()),
                "scope": " ".join(token.scopes),
            }
        )
    )


def _uncached(response: Response) -> Response:
    response.headers["Cache-Control"] = "no-store"
    response.headers["Pragma"] = "no-cache"
    return response
