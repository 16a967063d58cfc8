"""Users, for administrators: the list, and a page for each with what can be done about it."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

from flask import flash, redirect, request, url_for
from flask_login import current_user
from flask_security.recoverable import send_password_reset_notice, send_reset_password_instructions
from werkzeug.wrappers import Response as BaseResponse

from flexmeasures.auth.setup import hash_new_password
from flexmeasures.connectors import mail
from flexmeasures.data.database import db
from flexmeasures.data.transactional import as_transaction
from flexmeasures.domain.errors import FlexError
from flexmeasures.domain.rights import Action
from flexmeasures.services.assets import list_assets_of
from flexmeasures.services.users import (
    UserChanges,
    edit_user,
    find_visible_user,
    list_roles,
    list_users,
    reset_password,
)
from flexmeasures.ui.blueprint import blueprint, needs_roles
from flexmeasures.ui.csrf import csrf_fault
from flexmeasures.ui.forms import keeps_typed
from flexmeasures.ui.utils.view_utils import render_flexmeasures_template

__all__ = ["mail_new_password"]


@blueprint.get("/users", strict_slashes=False)
@needs_roles("admin")
def show_users() -> str:
    """List users: the active ones, or all."""
    everybody = request.args.get("include_inactive", "") not in ("", "off", "false", "False", "0")
    users = list_users(db.session, everybody)
    return render_flexmeasures_template("pages/users.html", users=users, include_inactive=everybody)


@blueprint.get("/users/<int:user_id>", strict_slashes=False)
@needs_roles("admin")
def show_user(user_id: int) -> str:
    """Show a user."""
    user = find_visible_user(db.session, current_user, user_id)
    return render_flexmeasures_template(
        "pages/user.html",
        user=user,
        owned=len(list_assets_of(db.session, current_user, user.id)),
        all_roles=list_roles(db.session),
    )


@blueprint.route("/users/toggle_active/<int:user_id>", methods=["GET", "POST"])
@keeps_typed
@needs_roles("admin")
def toggle_active(user_id: int) -> str | BaseResponse:
    """Let a user log in, or not any more; asked with a link, which any page may hold, ask first."""
    user = find_visible_user(db.session, current_user, user_id, Action.UPDATE)
    if request.method == "GET":
        return _ask(user, "Deactivate" if user.active else "Activate")
    return _do(
        user_id,
        lambda: edit_user(db.session, current_user, user, UserChanges(active=not user.active)),
        lambda: f"User {user.username}'s new activation status is now {user.active}.",
    )


@blueprint.route("/users/reset_password_for/<int:user_id>", methods=["GET", "POST"])
@keeps_typed
@needs_roles("admin")
def reset_password_for(user_id: int) -> str | BaseResponse:
    """Replace a password by a random one, and mail how to choose a new one."""
    user = find_visible_user(db.session, current_user, user_id, Action.UPDATE)
    if request.method == "GET":
        return _ask(user, "Reset the password of")
    return _do(
        user_id,
        lambda: mail_new_password(user),
        lambda: (
            f"The password of {user.username} was changed to a random one, and instructions were sent to {user.email}."
        ),
    )


@blueprint.post("/users/roles/<int:user_id>")
@keeps_typed
@needs_roles("admin")
def change_roles(user_id: int) -> str | BaseResponse:
    """Give a user other roles."""
    user = find_visible_user(db.session, current_user, user_id, Action.UPDATE)
    ids = tuple(
        int(text)
        for text in request.form.getlist("role")
        if text.isascii() and text.isdigit() and len(text) < 10
    )
    return _do(
        user_id,
        lambda: edit_user(db.session, current_user, user, UserChanges(role_ids=ids)),
        lambda: f"The roles of {user.username} were changed.",
    )


def mail_new_password(user: Any) -> None:
    """Replace a password, and send both mails or neither; if they cannot be sent, nothing is changed."""
    reset_password(db.session, user, hash_new_password(secrets.token_urlsafe(24)))
    with mail.together():
        send_password_reset_notice(user)
        send_reset_password_instructions(user)


def _ask(user: Any, what: str) -> str:
    return render_flexmeasures_template("pages/user_sure.html", user=user, what=what)


def _do(user_id: int, work: Callable[[], Any], words: Callable[[], str]) -> BaseResponse:
    """Do something about a user in one transaction, and say so."""
    fault = csrf_fault()
    if fault:
        flash(fault, "error")
    else:
        try:
            as_transaction(work)()
            flash(words())
        except FlexError as error:
            db.session.rollback()
            flash(str(error), "error")
    return redirect(url_for("flexmeasures_ui.show_user", user_id=user_id))
