"""The acting user and failed logins, for the audit log."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime

from flask import Flask, g, has_request_context
from flask_security.signals import user_failed_authn
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from flexmeasures.data.database import db, redis_connection
from flexmeasures.data.stores.users import find_user
from flexmeasures.data.tables import ACTING_USER, User
from flexmeasures.services.audit import note_failed_login, note_locked_login

__all__ = ["note_lock", "register"]

log = logging.getLogger(__name__)


def register(app: Flask) -> None:
    """Let an app note who changes what, and which logins fail."""
    app.extensions[ACTING_USER] = _find_acting_user
    user_failed_authn.connect(_note_failure, app)


def _find_acting_user() -> User | None:
    """Find the user of the request, if that was looked up: looking up who sends a request is not for the log to do."""
    user = g.get("_login_user") if has_request_context() else None
    return user if isinstance(user, User) else None


def _note_failure(_app: Flask, user: User, **_about: object) -> None:
    _note(note_failed_login, user.id)


def note_lock(app: Flask, account: str, seconds: int) -> None:
    """Note that nobody may try to log in to an account for a while; once for each such time.

    Args:
        app: The app.
        account: Address of the account, as somebody has sent it; nothing is noted if there is no such account.
        seconds: How long it lasts.
    """
    try:
        user = find_user(db.session, email=account)
        if user is None:
            return
        key = f"flexmeasures:lock-noted:{user.id}"
        if redis_connection(app).set(key, 1, nx=True, ex=max(1, seconds)):
            _note(note_locked_login, user.id)
    except SQLAlchemyError as error:
        log.warning("A locked login was not noted: %s", error)


def _note(how: Callable[[Session, int, datetime], None], user_id: int) -> None:
    """Write an entry in a transaction of its own: that of the request ends with a refusal."""
    with Session(db.engine) as session, session.begin():
        how(session, user_id, datetime.now(UTC))
