"""Sessions of browsers: each login is one, and when it has ended its cookies are void, wherever they were copied to.

Cookies hold ``<identity of the user>.<id of the session>.<second of the login>``, signed. Logging out notes the id in
the table ``ended_session``. Tokens of the API are not part of any session: they hold the identity alone, and go on.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from flask import Flask, current_app, g, session
from flask_login import user_logged_in, user_logged_out
from flask_security.core import UserMixin
from flask_security.utils import set_request_attr

from flexmeasures.data.database import db
from flexmeasures.data.faults import STORE_ERRORS
from flexmeasures.data.stores.users import end_session, find_user_by_uniquifier, session_has_ended
from flexmeasures.data.tables import User

__all__ = ["register"]

LIFETIME = timedelta(days=365)
"""Longest duration of a login, with "Keep me logged in"."""


@dataclass(frozen=True)
class _Login:
    """Content of a login cookie."""

    uniquifier: str
    session_id: str
    began: int

    @classmethod
    def read(cls, text: str) -> _Login | None:
        uniquifier, _, rest = text.partition(".")
        session_id, _, began = rest.partition(".")
        if not session_id or not began.isascii() or not began.isdigit():
            return None
        return cls(uniquifier, session_id, int(began))


def register(app: Flask) -> None:
    """Give an app sessions that end with a logout; after Flask-Security has been set up."""
    # _remember_ is signed without a time; the second of the login in the cookie bounds it on our side, too.
    app.config.setdefault("REMEMBER_COOKIE_DURATION", LIFETIME)
    app.login_manager.user_loader(_load_user)  # type: ignore[attr-defined]
    user_logged_in.connect(_begin, app)
    user_logged_out.connect(_end, app)


def _begin(_app: Flask, user: UserMixin) -> None:
    session["_user_id"] = f"{user.fs_uniquifier}.{secrets.token_urlsafe(12)}.{int(time.time())}"


def _load_user(text: str) -> User | None:
    """Find the user of a cookie, if its session has not ended."""
    login = _Login.read(str(text))
    if login is None or time.time() - login.began > LIFETIME.total_seconds():
        return None
    try:
        user = find_user_by_uniquifier(db.session, login.uniquifier)
        if user is None or not user.active or session_has_ended(db.session, login.session_id):
            return None
    except STORE_ERRORS:
        # The page that says so is one for nobody in particular; else it would ask again.
        current_app.login_manager._update_request_context_with_user()  # type: ignore[attr-defined]
        raise
    g.login = login
    set_request_attr("fs_authn_via", "session")
    set_request_attr("fs_paa", session.get("fs_paa", 0))
    return user


def _end(_app: Flask, user: UserMixin) -> None:
    login: _Login | None = g.pop("login", None)
    if login is None:
        return
    now = datetime.now(UTC)
    end_session(db.session, login.session_id, datetime.fromtimestamp(login.began, UTC) + LIFETIME, now)
    db.session.commit()
    current_app.logger.debug("The session of user %s has ended", getattr(user, "id", None))
