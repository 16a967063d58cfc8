"""The account of the user who looks: data, a token, and how to leave."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from flask import current_app, flash, redirect, request, url_for
from flask_login import current_user, logout_user
from werkzeug.wrappers import Response as BaseResponse

from flexmeasures.data.database import db
from flexmeasures.data.transactional import as_transaction
from flexmeasures.domain.errors import FlexError
from flexmeasures.services.assets import list_assets_of
from flexmeasures.services.users import UserChanges, edit_user, has_role, log_out_everywhere
from flexmeasures.ui.blueprint import blueprint, needs_login
from flexmeasures.ui.csrf import csrf_fault
from flexmeasures.ui.forms import FormState, keeps_typed
from flexmeasures.ui.utils.view_utils import render_flexmeasures_template
from flexmeasures.ui.views.assets import take_errors
from flexmeasures.ui.views.users import mail_new_password


@blueprint.get("/account")
@needs_login
def show_account() -> str:
    """Show one's own account."""
    return _show(FormState({"username": current_user.username, "timezone": current_user.timezone}))


def _show(form: FormState, token: str | None = None) -> str:
    age = current_app.config["SECURITY_TOKEN_MAX_AGE"]  # Flask-Security makes a duration of a number
    lifetime = age if isinstance(age, timedelta) else timedelta(seconds=age)
    return render_flexmeasures_template(
        "pages/account.html",
        form=form,
        token=token,
        expires=datetime.now(UTC) + lifetime,
        lifetime=lifetime,
        owned=len(list_assets_of(db.session, current_user, current_user.id)),
        is_anonymous=has_role(current_user, "anonymous"),
    )


@blueprint.post("/account/token")
@keeps_typed
@needs_login
def make_token() -> str | BaseResponse | tuple[str, int]:
    """Show a fresh token for the API."""
    fault = csrf_fault()
    form = FormState({"username": current_user.username, "timezone": current_user.timezone})
    if fault or has_role(current_user, "anonymous"):
        flash(fault or "An anonymous user has no tokens.", "error")
        return _show(form), 403
    return _show(form, current_user.get_auth_token())


@blueprint.post("/account")
@keeps_typed
@needs_login
def change_account() -> str | BaseResponse | tuple[str, int]:
    """Change one's own name and time zone."""
    form = FormState(dict(request.form))
    fault = csrf_fault()
    if fault:
        form.add("", fault)
    if has_role(current_user, "anonymous"):
        form.add("", "An anonymous user may not change the account.")
    if not form.errors:
        changes = UserChanges(
            username=request.form.get("username", ""), timezone=request.form.get("timezone", "")
        )
        try:
            user = current_user._get_current_object()
            as_transaction(edit_user)(db.session, user, user, changes)
        except FlexError as error:
            db.session.rollback()
            take_errors(form, error)
            form.errors["username"] = form.errors.pop("display_name", []) + form.errors.get("username", [])
    if any(form.errors.values()):
        flash("Nothing was changed. " + "; ".join(form.errors.get("", [])), "error")
        return _show(form), 400
    flash("Your account was changed.")
    return redirect(url_for("flexmeasures_ui.show_account"))


@blueprint.post("/account/reset-password")
@keeps_typed
@needs_login
def reset_own_password() -> BaseResponse:
    """Replace one's own password, and mail how to choose a new one; ends all sessions, this one included."""
    fault = csrf_fault()
    if fault or has_role(current_user, "anonymous"):
        flash(fault or "An anonymous user may not change the account.", "error")
        return redirect(url_for("flexmeasures_ui.show_account"))
    user = current_user._get_current_object()
    as_transaction(mail_new_password)(user)
    address = user.email
    logout_user()
    flash(f"Instructions for a new password were sent to {address}.")
    return redirect(url_for("security.login"))


@blueprint.post("/account/log-out-everywhere")
@keeps_typed
@needs_login
def end_all_sessions() -> BaseResponse:
    """End all sessions and tokens of the user."""
    fault = csrf_fault()
    if fault or has_role(current_user, "anonymous"):
        flash(fault or "An anonymous user may not do this.", "error")
        return redirect(url_for("flexmeasures_ui.show_account"))
    as_transaction(log_out_everywhere)(db.session, current_user._get_current_object())
    logout_user()
    flash("You are logged out everywhere; tokens of the API are void as well.")
    return redirect(url_for("security.login"))
