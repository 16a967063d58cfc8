"""The audit log: who did what to accounts, users, assets and sensors, and when."""

from __future__ import annotations

from flask import abort, request
from flask_login import current_user
from werkzeug.exceptions import BadRequest

from flexmeasures.data.database import db
from flexmeasures.domain.ids import MAX_ID
from flexmeasures.domain.quoting import quote
from flexmeasures.services.audit import AuditQuestion, list_readable_audit_entries
from flexmeasures.services.users import has_role
from flexmeasures.ui.blueprint import blueprint, needs_login
from flexmeasures.ui.utils.view_utils import render_flexmeasures_template

_AT_ONCE = 100
_LAST_PAGE = 10_000


def _number(name: str, usual: int | None, most: int) -> int | None:
    """Read a number of the address."""
    text = request.args.get(name)
    if not text:
        return usual
    if not (text.isascii() and text.isdigit() and len(text) < 11 and int(text) <= most):
        raise BadRequest(f"{name} is {quote(text)}, which is not a whole number of at most {most}.")
    return int(text)


@blueprint.get("/audit", strict_slashes=False)
@needs_login
def show_audit_log() -> str:
    """List entries that the user may read, the newest first, page by page."""
    if has_role(current_user, "anonymous"):
        abort(403)
    question = AuditQuestion(
        account_id=_number("account", None, MAX_ID),
        user_id=_number("user", None, MAX_ID),
        asset_id=_number("asset", None, MAX_ID),
    )
    number = _number("page", 1, _LAST_PAGE) or 1
    entries = list_readable_audit_entries(
        db.session, current_user, question, _AT_ONCE + 1, (number - 1) * _AT_ONCE
    )
    return render_flexmeasures_template(
        "pages/audit.html",
        entries=entries[:_AT_ONCE],
        number=number,
        has_more=len(entries) > _AT_ONCE,
        question=question,
    )
