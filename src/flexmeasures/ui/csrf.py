"""The tokens by which forms show that they are from a page of ours, in this login."""

from __future__ import annotations

from flask import current_app, request
from flask_wtf.csrf import generate_csrf, validate_csrf
from wtforms.validators import ValidationError

__all__ = ["csrf_fault", "new_token"]


def csrf_fault() -> str | None:
    """Say why a form may not be from a page of ours; None if it is."""
    if not current_app.config.get("WTF_CSRF_ENABLED", True):
        return None
    try:
        validate_csrf(request.form.get("csrf_token"), time_limit=None)
    except ValidationError:
        return "This form was opened in an earlier login. Nothing is lost: send it once more."
    return None


def new_token() -> str:
    """Make the token of a form; empty where forms are not checked."""
    return generate_csrf() if current_app.config.get("WTF_CSRF_ENABLED", True) else ""
