"""The blueprint of all pages, and what goes wrong on them: the one table from errors to pages."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, abort, current_app, make_response, request
from flask_login import current_user
from flask_security import auth_required

from flexmeasures.data.database import db
from flexmeasures.domain.errors import (
    Conflict,
    FlexError,
    InvalidInput,
    NotAllowed,
    NotFound,
    UpstreamFailure,
)
from flexmeasures.domain.rights import Action
from flexmeasures.services.rights import may_everywhere
from flexmeasures.services.users import has_role
from flexmeasures.ui.utils.view_utils import render_flexmeasures_template

__all__ = ["OWNER_ROLES", "blueprint", "needs_login", "needs_roles"]

blueprint = Blueprint("flexmeasures_ui", __name__, template_folder="templates")

OWNER_ROLES = ("admin", "Prosumer")
"""Whose pages the portfolio and the analytics are."""

View = Callable[..., Any]

_CODES: dict[type[FlexError], int] = {NotFound: 404, NotAllowed: 403, Conflict: 409, InvalidInput: 400}
"""Kinds of errors and the codes of their pages; the first that fits counts."""


def needs_login(view: View) -> View:
    """Send visitors who are not logged in to the login page, which leads back."""
    guarded: View = auth_required("session")(view)
    return guarded


def needs_roles(*roles: str) -> Callable[[View], View]:
    """Show a page only to users with one of these roles; to others a page with the code 403."""

    def guard(view: View) -> View:
        @functools.wraps(view)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            if not current_user.is_authenticated or not has_role(current_user, *roles):
                abort(403)
            return view(*args, **kwargs)

        return guarded

    return guard


def may_see_queues() -> bool:
    """Tell whether the user may look at the job queues: admins, and anybody who is logged in at a demonstration."""
    if not current_user.is_authenticated:
        return False
    return may_everywhere(current_user, Action.READ) or current_app.config["FLEXMEASURES_MODE"] == "demo"


@blueprint.errorhandler(FlexError)
def _show_error(error: FlexError) -> Response:
    """Show what went wrong as a page, or as JSON to programs that send it."""
    db.session.rollback()
    if isinstance(error, UpstreamFailure):
        raise error
    code = next((code for kind, code in _CODES.items() if isinstance(error, kind)), 400)
    if request.is_json:
        return make_response({"message": str(error), "status": code}, code)
    return make_response(render_flexmeasures_template("error.html", code=code, message=str(error)), code)
