"""Accounts: organisations and households with their users and assets."""

from __future__ import annotations

from flask import abort
from flask_login import current_user

from flexmeasures.data.database import db
from flexmeasures.services.accounts import find_readable_account
from flexmeasures.services.listings import list_asset_rows, list_readable_account_rows, list_user_rows
from flexmeasures.services.users import has_role
from flexmeasures.ui.blueprint import blueprint, needs_login
from flexmeasures.ui.utils.view_utils import render_flexmeasures_template


@blueprint.get("/accounts", strict_slashes=False)
@needs_login
def show_accounts() -> str:
    """List the accounts that the user may read: one's own, those of clients, or all."""
    if has_role(current_user, "anonymous"):
        abort(403)
    rows = list_readable_account_rows(db.session, current_user)
    return render_flexmeasures_template("pages/accounts.html", rows=rows)


@blueprint.get("/accounts/<int:account_id>", strict_slashes=False)
@needs_login
def show_one_account(account_id: int) -> str:
    """Show an account with its users and assets."""
    account = find_readable_account(db.session, current_user, account_id)
    return render_flexmeasures_template(
        "pages/account_of_tenant.html",
        account=account,
        users=list_user_rows(db.session, account.id),
        assets=list_asset_rows(db.session, account.id),
    )
