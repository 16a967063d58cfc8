"""The first pages: the login page is Flask-Security's, the start page lists the user's assets."""

from __future__ import annotations

from datetime import UTC, datetime

from flask import Blueprint, Response, current_app, redirect, request, url_for
from flask_login import current_user
from flask_security import auth_required
from werkzeug.wrappers import Response as BaseResponse

from flexmeasures.data.database import db
from flexmeasures.domain.addresses import ConnectionAddress, NamingAuthority
from flexmeasures.domain.errors import BadAddress
from flexmeasures.services.assets import visible_assets
from flexmeasures.ui.utils.view_utils import render_flexmeasures_template

__all__ = ["blueprint"]

blueprint = Blueprint(
    "flexmeasures_ui",
    __name__,
    template_folder="templates",
    static_folder="static",
    static_url_path="/ui/static",
)


@blueprint.get("/")
@auth_required("session")
def home() -> str | Response:
    """Show what the user owns."""
    ownership = current_app.config["FLEXMEASURES_HOSTS_AND_AUTH_START"]
    authority, missing = None, None
    try:
        authority = NamingAuthority.of_host(request.host, ownership, datetime.now(UTC).date())
    except BadAddress as error:
        missing = str(error)
    assets = [
        (asset, ConnectionAddress(asset.id, asset.owner_id).build(authority) if authority else asset.id)
        for asset in visible_assets(db.session, current_user)
    ]
    return render_flexmeasures_template("home.html", assets=assets, missing=missing)


@blueprint.get("/logout")
def show_logout() -> str | BaseResponse:
    """Ask whether to log out: any page may have linked here, and only the form of ours does it."""
    if not current_user.is_authenticated:
        return redirect(url_for("flexmeasures_ui.home"))
    return render_flexmeasures_template("auth/logout.html")
