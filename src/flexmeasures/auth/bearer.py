"""Tokens behind the word Bearer (RFC 6750): ours, or JWTs of the configured issuer."""

from __future__ import annotations

from typing import Any

from flask import Request, current_app, g
from flask_security.core import _request_loader as load_by_token
from werkzeug.datastructures import MultiDict

from flexmeasures.auth.oidc import find_user_of_jwt
from flexmeasures.data.tables import User

__all__ = ["load_by_bearer"]


class _WithToken(Request):
    """A request whose token is known already, and whose body nobody looks at."""

    is_json = False

    def __init__(self, environ: dict[str, Any], token: str) -> None:
        super().__init__(environ, populate_request=False)
        self.args = MultiDict({current_app.config["SECURITY_TOKEN_AUTHENTICATION_KEY"]: token})


def load_by_bearer(request: Request) -> User | None:
    """Find the user of a bearer token; None if there is none or it is not valid.

    Raises:
        Exception: What the database raised, if the user could not be looked up.
        StoreUnavailable: If the keys of the issuer cannot be fetched.
    """
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token:
        return None
    user: User | None = load_by_token(_WithToken(request.environ, token))
    failure = g.pop("failed_identification", None)
    if failure is not None:
        raise failure
    return user or find_user_of_jwt(token)
