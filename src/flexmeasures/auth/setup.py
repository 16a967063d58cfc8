"""Give an app its accounts: login page, sessions and tokens."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from flask import Flask, Request, g
from flask_login import user_logged_in
from flask_security import Security, SQLAlchemyUserDatastore, hash_password, verify_and_update_password
from flask_security.core import UserMixin
from flask_security.core import _request_loader as load_by_token

from flexmeasures.auth import oidc, sessions, watched_logins
from flexmeasures.auth.bearer import load_by_bearer
from flexmeasures.connectors.mail import SmtpMailUtil
from flexmeasures.data.database import db
from flexmeasures.data.faults import STORE_ERRORS
from flexmeasures.data.stores.users import find_user_by_uniquifier
from flexmeasures.data.tables import Role, User

__all__ = ["hash_new_password", "init_app", "password_is_right"]

LONGEST_BODY_WITH_TOKEN = 64 * 1024
"""So far a body is searched for a token [bytes]."""


class Users(SQLAlchemyUserDatastore):
    """Flask-Security's users, found quickly by what their tokens and cookies hold."""

    def find_user(self, case_insensitive: bool = False, **kwargs: Any) -> User | None:
        """Find a user by attributes."""
        if kwargs.keys() == {"fs_uniquifier"}:
            try:
                return find_user_by_uniquifier(db.session, kwargs["fs_uniquifier"])
            except STORE_ERRORS as error:
                g.failed_identification = error
                raise
        found: User | None = super().find_user(case_insensitive=case_insensitive, **kwargs)  # type: ignore[assignment]
        return found

    def deactivate_user(self, user: User) -> bool:  # type: ignore[override]  # all are ours
        """Close an account, and end its logins and tokens for good: activated again, they stay ended."""
        changed = bool(super().deactivate_user(user))
        if changed:
            self.set_uniquifier(user)
        return changed


def init_app(app: Flask) -> None:
    """Set Flask-Security up on our users and roles."""
    app.config["SECURITY_PASSWORD_SALT"] = app.config["SECURITY_PASSWORD_SALT"] or app.config["SECRET_KEY"]
    app.config.setdefault(
        "SECURITY_USER_IDENTITY_ATTRIBUTES", [{"email": {"mapper": _as_sent, "case_insensitive": True}}]
    )
    app.config.setdefault("SECURITY_LOGIN_USER_TEMPLATE", "auth/login.html")
    app.config.setdefault("SECURITY_EMAIL_VALIDATOR_ARGS", {"check_deliverability": False})
    app.config.setdefault("SECURITY_FORGOT_PASSWORD_TEMPLATE", "auth/forgot_password.html")
    app.config.setdefault("SECURITY_RESET_PASSWORD_TEMPLATE", "auth/reset_password.html")
    # Pages do not tell whether an address is known; see docs/decisions/0009.
    app.config.setdefault("SECURITY_RETURN_GENERIC_RESPONSES", True)
    app.config.setdefault("SECURITY_POST_LOGOUT_VIEW", "/")
    # Asked with GET, by links of other pages too, /logout shows a button (see the user interface).
    app.config.setdefault("SECURITY_LOGOUT_METHODS", ["POST"])
    # Flask itself sets this one, to None.
    app.config["SESSION_COOKIE_SAMESITE"] = app.config["SESSION_COOKIE_SAMESITE"] or "Lax"
    app.config.setdefault("REMEMBER_COOKIE_SAMESITE", "Lax")
    # An API is called by programs; a browser's session is protected by the cookie's SameSite rule, by the origin of
    # requests, and by the forms' own tokens.
    app.config.setdefault("WTF_CSRF_CHECK_DEFAULT", False)
    if app.testing:
        app.config.setdefault("WTF_CSRF_ENABLED", False)
        # The least that bcrypt allows: tests log in often and have nothing to hide.
        app.config.setdefault("SECURITY_PASSWORD_HASH_PASSLIB_OPTIONS", {"bcrypt__rounds": 4})
    app.extensions["user_datastore"] = Users(db, User, Role)
    Security(app, app.extensions["user_datastore"], mail_util_cls=SmtpMailUtil)
    app.login_manager.request_loader(_load_by_token)  # type: ignore[attr-defined]
    sessions.register(app)
    oidc.register(app)
    watched_logins.register(app)
    user_logged_in.connect(_note_login, app)


def _load_by_token(request: Request) -> User | None:
    """Find the user of a token in a header or in the path, as Flask-Security does.

    It would also look into the body, and for that read and unfold it before anybody knows who has sent it. A small one
    may hold the token.

    Raises:
        Exception: What the database raised, if the user could not be looked up. Flask-Security takes that for a wrong
            token, and clients throw away a token that is refused with 401.
    """
    length = request.content_length
    is_small = length is not None and length <= LONGEST_BODY_WITH_TOKEN
    if request.is_json and not is_small:
        request = _WithoutBody(request.environ, populate_request=False)
    user: User | None = load_by_token(request)
    failure = g.pop("failed_identification", None)
    if failure is not None:
        raise failure
    return user or load_by_bearer(request)


class _WithoutBody(Request):
    """A request whose body nobody looks at."""

    is_json = False


def _as_sent(identity: str) -> str:
    return identity.strip()


def _note_login(_app: Flask, user: UserMixin) -> None:
    user.last_login_at = datetime.now(UTC)
    user.login_count = (user.login_count or 0) + 1
    db.session.commit()


def hash_new_password(password: str) -> str:
    """Hash a password; needs an app context."""
    return str(hash_password(password))


def password_is_right(password: str, user: User) -> bool:
    """Compare a password with a user's; needs an app context."""
    return bool(verify_and_update_password(password, user))
