"""The entrance of the API: which versions there are, and a token for using them."""

from __future__ import annotations

from flask import Blueprint, Response, request
from flask_login import current_user

from flexmeasures._version import __version__
from flexmeasures.api.door import NotJson, json_response, read_body
from flexmeasures.api.openapi.operation import Answer, documented
from flexmeasures.api.openapi.shapes import INTEGER, STRING, an_object
from flexmeasures.api.rest.answers import TOKEN_REFUSED, VERSIONS_LIST, with_status
from flexmeasures.api.usef.versions import VERSIONS
from flexmeasures.auth.setup import password_is_right
from flexmeasures.data.database import db
from flexmeasures.data.stores.users import find_user
from flexmeasures.domain.quoting import LONGEST_QUOTE

__all__ = ["blueprint"]

blueprint = Blueprint("flexmeasures_api", __name__, url_prefix="/api")


@blueprint.get("/")
@documented(VERSIONS_LIST, public=True)
def get_versions() -> Response:
    """List the versions of the API."""
    return json_response(
        {
            "message": "For these API versions a public endpoint is available, listing its service. For example: "
            "/api/v2_0/getService. An authentication token can be requested at: /api/requestAuthToken",
            "versions": list(VERSIONS),
            "flexmeasures_version": __version__,
            "status": 200,
        }
    )


@blueprint.post("/requestAuthToken")
@documented(
    TOKEN_REFUSED | {200: Answer("The token.", with_status(200, auth_token=STRING, user_id=INTEGER))},
    public=True,
    body=an_object(email=STRING, password={**STRING, "format": "password"}),
    examples={"A user": {"email": "user@example.com", "password": "<password>"}},
)
def request_auth_token() -> Response:
    """Hand out a token for an email address and a password."""
    if not request.is_json:
        return _refuse(400, "The content type of the request must be application/json.")
    try:
        body = read_body(request)
    except NotJson:
        return _refuse(400, "The request is not a JSON object.")
    email, password = body.get("email"), body.get("password")
    if not isinstance(email, str) or not email:
        return _refuse(400, "Please provide the 'email' parameter.")
    user = find_user(db.session, email=email)
    if user is None:
        return _refuse(404, f"User with email '{email[:LONGEST_QUOTE]}' does not exist.")
    is_logged_in = current_user.is_authenticated and current_user.id == user.id
    if not is_logged_in:
        if not isinstance(password, str) or not password:
            return _refuse(400, "Please provide the 'password' parameter.")
        if not password_is_right(password, user):
            user.track_failed_authn("password")
            return _refuse(401, "User password does not match.")
    if not user.active:
        return _refuse(401, "This account is not active. Ask an administrator.")
    token = user.get_auth_token()
    db.session.commit()
    return json_response({"auth_token": token, "user_id": user.id, "status": 200})


def _refuse(status: int, text: str) -> Response:
    return json_response({"errors": [text], "status": status}, status)
