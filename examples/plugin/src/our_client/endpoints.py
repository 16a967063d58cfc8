"""Endpoints: programs log in with a token, as for the platform's own."""

from flask import jsonify
from flask_security import auth_token_required, current_user

from flexmeasures.data.database import db
from flexmeasures.services.listings import list_asset_rows
from our_client import our_client_bp


@our_client_bp.get("/api/our_client/assets")
@auth_token_required
def list_assets():
    """List the names of the assets of the account that asks."""
    # Rights are yours to check: the account comes from the token, not from the request.
    rows = list_asset_rows(db.session, current_user.account_id)
    return jsonify(assets=[row["name"] for row in rows])
