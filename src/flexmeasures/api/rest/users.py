"""Users: list them, look at one, change one, and reset a password."""

from __future__ import annotations

import secrets
from typing import Annotated, Any

from flask import Blueprint, Response, request
from flask_security.recoverable import send_password_reset_notice, send_reset_password_instructions
from pydantic import Field, field_validator
from sqlalchemy.orm import Session

from flexmeasures.api.door import json_response
from flexmeasures.api.openapi.operation import documented
from flexmeasures.api.rest.answers import (
    BAD_FIELDS,
    BAD_ID,
    DONE,
    FORBIDDEN,
    NOT_FOUND,
    NOT_JSON,
    USER,
    USERS,
)
from flexmeasures.api.rest.door import in_transaction, read_arguments, read_id, read_json, sender
from flexmeasures.api.rest.forms import Form, fill_in, not_null
from flexmeasures.auth.setup import hash_new_password
from flexmeasures.connectors import mail
from flexmeasures.data.tables import User
from flexmeasures.domain.rights import Action
from flexmeasures.services.users import (
    UserChanges,
    edit_user,
    find_visible_user,
    list_users,
    reset_password,
)

__all__ = ["UserPatch", "UserQuery", "blueprint", "describe_user"]

blueprint = Blueprint("flexmeasures_api_users", __name__, url_prefix="/api/v2_0")

Name = Annotated[str, Field(min_length=1, max_length=255)]


class UserQuery(Form):
    """Selection of users."""

    include_inactive: bool = Field(default=False, description="Whether to list those too who may not log in.")


class UserPatch(Form):
    """Changes of an account; what is left out stays as it is, and the id stays in any case."""

    id: Any = None
    email: Name | None = None
    username: Name | None = None
    timezone: Name | None = None
    active: bool | None = None
    flexmeasures_roles: list[int] | None = Field(default=None, description="Ids of all the user's roles.")

    _not_null = field_validator(
        "email", "username", "timezone", "active", "flexmeasures_roles", mode="before"
    )(not_null)


@blueprint.get("/users")
@documented(USERS | FORBIDDEN | BAD_FIELDS, query=UserQuery)
@in_transaction
def get_users(session: Session) -> Response:
    """Download the list of users; for admins."""
    sender("admin")
    query = fill_in(UserQuery, read_arguments(request), "query")
    return json_response([describe_user(user) for user in list_users(session, query.include_inactive)])


@blueprint.get("/user/<path:user_id>")
@documented(USER | BAD_ID | FORBIDDEN | NOT_FOUND)
@in_transaction
def get_user(session: Session, user_id: str) -> Response:
    """Get one's own account; for admins any."""
    user = find_visible_user(session, sender(), read_id(user_id, "user"))
    return json_response({**describe_user(user), "status": 200})


@blueprint.patch("/user/<path:user_id>")
@documented(
    USER | NOT_JSON | FORBIDDEN | NOT_FOUND | BAD_FIELDS,
    body=UserPatch,
    examples={"Another time zone": {"timezone": "Europe/Amsterdam"}},
)
@in_transaction
def patch_user(session: Session, user_id: str) -> Response:
    """Change one's own account, but for its rights; for admins any, but for their own rights."""
    editor = sender()
    user = find_visible_user(session, editor, read_id(user_id, "user"), Action.UPDATE)
    form = fill_in(UserPatch, read_json(request), "json")
    roles = form.flexmeasures_roles
    changes = UserChanges(
        form.email, form.username, form.timezone, form.active, None if roles is None else tuple(roles)
    )
    edit_user(session, editor, user, changes)
    return json_response({**describe_user(user), "status": 200})


@blueprint.patch("/user/<user_id>/password-reset")
@documented(DONE | BAD_ID | FORBIDDEN | NOT_FOUND)
@in_transaction
def reset_user_password(session: Session, user_id: str) -> Response:
    """Replace a password by a random one, log its user out everywhere, and mail how to choose a new one.

    For oneself; for admins anybody. If the mails cannot be sent, nothing is changed.
    """
    user = find_visible_user(session, sender(), read_id(user_id, "user"), Action.UPDATE)
    reset_password(session, user, hash_new_password(secrets.token_urlsafe(24)))
    with mail.together():
        send_password_reset_notice(user)
        send_reset_password_instructions(user)
    return json_response({"status": 200})


def describe_user(user: User) -> dict[str, Any]:
    """Write an account; never its password."""
    return {
        "id": user.id,
        "email": user.email,
        "username": user.username,
        "active": user.active,
        "timezone": user.timezone,
        "flexmeasures_roles": [role.id for role in user.roles],
        "last_login_at": None if user.last_login_at is None else user.last_login_at.isoformat(),
    }
