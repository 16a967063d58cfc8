"""The list of assets, and the form for a new one."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from flask import abort, current_app, flash, redirect, request, url_for
from flask_login import current_user
from werkzeug.wrappers import Response as BaseResponse

from flexmeasures.data.database import db
from flexmeasures.data.transactional import as_transaction
from flexmeasures.domain.addresses import ConnectionAddress, NamingAuthority
from flexmeasures.domain.errors import BadAddress, Conflict, FlexError
from flexmeasures.domain.rights import Action
from flexmeasures.services.analytics import list_markets
from flexmeasures.services.assets import (
    FieldErrors,
    NewAsset,
    create_asset,
    list_asset_types,
    list_assets_of,
    visible_assets,
)
from flexmeasures.services.rights import may_everywhere
from flexmeasures.services.users import has_role, list_users
from flexmeasures.ui.blueprint import blueprint, needs_login
from flexmeasures.ui.csrf import csrf_fault
from flexmeasures.ui.forms import FormState, keeps_typed, read_minutes, read_number
from flexmeasures.ui.utils.view_utils import render_flexmeasures_template

__all__ = ["entity_address", "form_choices", "take_errors"]


@blueprint.get("/assets/", strict_slashes=False)
@needs_login
def list_assets() -> str:
    """List what the user may see."""
    return _show_list(visible_assets(db.session, current_user), "All assets")


@blueprint.get("/assets/owned_by/<int:owner_id>/", strict_slashes=False)
@needs_login
def list_assets_of_owner(owner_id: int) -> str:
    """List the assets of one owner."""
    return _show_list(list_assets_of(db.session, current_user, owner_id), f"Assets of user {owner_id}")


def _show_list(assets: list[Any], heading: str) -> str:
    authority, missing = _authority_and_fault()
    rows = [(asset, _address(asset, authority)) for asset in assets]
    return render_flexmeasures_template("pages/assets.html", rows=rows, heading=heading, missing=missing)


def _authority_and_fault() -> tuple[NamingAuthority | None, str]:
    """Find the naming authority of the host that is asked, or say why there is none."""
    ownership = current_app.config["FLEXMEASURES_HOSTS_AND_AUTH_START"]
    try:
        return NamingAuthority.of_host(request.host, ownership, datetime.now(UTC).date()), ""
    except BadAddress as error:
        return None, str(error)


def entity_address(asset: Any) -> str:
    """Write the address by which messages of the API name an asset; the end of it, where this host has none."""
    return _address(asset, _authority_and_fault()[0])


def _address(asset: Any, authority: NamingAuthority | None) -> str:
    if authority is None:
        return f"{asset.owner_id}:{asset.id}"
    return ConnectionAddress(asset.id, asset.owner_id).build(authority)


@blueprint.get("/assets/new/", strict_slashes=False)
@needs_login
def new_asset() -> str:
    """Show the form for a new asset; for admins."""
    if not may_everywhere(current_user, Action.CREATE_CHILDREN):
        abort(403)
    return _show_new(FormState({"event_resolution": "15", "unit": "MW", "asset_type_name": "battery"}))


def _show_new(form: FormState) -> str:
    return render_flexmeasures_template("pages/asset_new.html", form=form, **form_choices())


def form_choices() -> dict[str, Any]:
    """List what can be chosen in the forms of assets."""
    owners = [user for user in list_users(db.session) if has_role(user, "Prosumer", "admin")]
    return {
        "types": [(one.name, one.display_name) for one in list_asset_types(db.session)],
        "markets": [(one.id, one.display_name) for one in list_markets(db.session)],
        "owners": [(one.id, one.username) for one in owners],
    }


@blueprint.post("/assets/create/")
@keeps_typed
@needs_login
def create_new_asset() -> str | BaseResponse | tuple[str, int]:
    """Make the asset that was described; for admins."""
    if not may_everywhere(current_user, Action.CREATE_CHILDREN):
        abort(403)
    form = FormState(dict(request.form))
    new = _read_new(form)
    asset = None
    if new is not None and not form.errors:
        try:
            asset = as_transaction(create_asset)(db.session, new, current_user)
        except FlexError as error:
            take_errors(form, error)
    if asset is None:
        flash("Cannot create asset. " + "; ".join(form.errors.get("", ["See the fields below."])), "error")
        return _show_new(form), 400
    flash("Creation was successful.")
    return redirect(url_for("flexmeasures_ui.show_asset", asset_id=asset.id))


def _read_new(form: FormState) -> NewAsset | None:
    typed = request.form
    fault = csrf_fault()
    if fault:
        form.add("", fault)
    type_name = typed.get("asset_type_name", "")
    if not type_name:
        form.add("asset_type_name", "Pick an asset type.")
    ids: dict[str, Any] = {}
    for name, what in (("owner_id", "owner"), ("market_id", "market")):
        text = typed.get(name, "")
        if text.isascii() and text.isdigit() and len(text) < 10:
            ids[name] = int(text)
        else:
            form.add(name, f"Pick an existing {what}.")
    display_name = typed.get("display_name", "")
    if not display_name.strip():
        form.add("display_name", "Give a name.")
    numbers: dict[str, Any] = {
        name: read_number(form, typed, name) for name in ("capacity_in_mw", "latitude", "longitude")
    }
    resolution = read_minutes(form, typed, "event_resolution")
    sizes: dict[str, Any] = {
        name: read_number(form, typed, name, required=False) for name in ("min_soc_in_mwh", "max_soc_in_mwh")
    }
    if form.errors or resolution is None:
        return None
    return NewAsset(
        name=display_name,
        display_name=display_name,
        asset_type_name=type_name,
        event_resolution=resolution,
        timezone=current_app.config["FLEXMEASURES_TIMEZONE"],
        **ids,
        **numbers,
        **sizes,
    )


def take_errors(form: FormState, error: FlexError) -> None:
    """Put what a service complains of beside its fields."""
    if isinstance(error, FieldErrors):
        for name, texts in error.errors.items():
            for text in texts if isinstance(texts, list) else [texts]:
                form.add("display_name" if name == "name" else name, str(text))
    elif isinstance(error, Conflict):
        form.add("display_name", str(error))
    else:
        form.add("", str(error))
