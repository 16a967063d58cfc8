"""The dashboard: how things stand, where the assets are, and how many there are of which type."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import Any

import orjson
from flask import Response, current_app, flash, redirect, request, session, url_for
from flask_login import current_user
from werkzeug.wrappers import Response as BaseResponse

from flexmeasures.data.database import db
from flexmeasures.domain.errors import NotFound
from flexmeasures.domain.rights import Action
from flexmeasures.services.assets import find_visible_asset, list_all_assets, visible_assets
from flexmeasures.services.latest_power import LatestPower, read_latest_powers
from flexmeasures.services.monitoring.alerts import count_waiting
from flexmeasures.services.resources import list_groups
from flexmeasures.services.rights import may_everywhere
from flexmeasures.services.schedules.next_actions import NextAction, read_next_actions
from flexmeasures.services.users import has_role
from flexmeasures.ui.blueprint import blueprint, needs_login
from flexmeasures.ui.filters import people_power
from flexmeasures.ui.utils.view_utils import render_flexmeasures_template

__all__ = ["look_until"]

_KEPT = ("_fresh", "_id", "_user_id", "csrf_token", "fs_cc", "fs_paa", "_remember")
"""What a cleared session keeps: without it, its user would be logged out."""


def look_until(now: datetime) -> datetime | None:
    """Say up to when states are looked at: the present, or in simulations without an end."""
    return None if current_app.config["FLEXMEASURES_MODE"] == "play" else now


@blueprint.get("/", endpoint="home")
@blueprint.get("/dashboard", endpoint="dashboard")
@needs_login
def show_dashboard() -> str | BaseResponse:
    """Show how things stand."""
    if "clear-session" in request.args:
        for name in [name for name in session if name not in _KEPT]:
            session.pop(name)
        flash("Your session was cleared.")
    now = datetime.now(UTC)
    assets = visible_assets(db.session, current_user)
    latest = read_latest_powers(db.session, assets, look_until(now))
    upcoming = read_next_actions(db.session, assets, now)
    is_demo = current_app.config["FLEXMEASURES_MODE"] == "demo"
    everybody = (
        list_all_assets(db.session) if is_demo and not may_everywhere(current_user, Action.READ) else assets
    )
    groups = list_groups(everybody)
    shown = {asset.id for asset in assets}
    alerts = count_waiting(db.session, current_user)
    return render_flexmeasures_template(
        "pages/dashboard.html",
        assets=assets,
        alerts=alerts,
        sentence=_sentence(list(latest.values()), upcoming, alerts, now),
        upcoming=sorted(upcoming.values(), key=lambda one: one.action.start)[:8],
        late=[one for one in latest.values() if one.is_late(now)],
        groups=[
            (group, sum(asset.id in shown for asset in group.assets), len(group.assets))
            for group in groups
            if not group.name.endswith("(Charge Point)")
        ],
        owned=len(assets),
        total=len(everybody),
        counts=Counter(asset.asset_type_name for asset in assets),
        markers=orjson.dumps([_marker(asset, latest[asset.id]) for asset in assets]).decode(),
        mapbox=current_app.config["MAPBOX_ACCESS_TOKEN"],
        is_demo=is_demo,
        for_visitors=has_role(current_user, "anonymous") and has_role(current_user, "CPO"),
    )


def _sentence(latest: list[LatestPower], upcoming: dict[int, NextAction], alerts: int, now: datetime) -> str:
    """Say in one sentence how things stand."""
    known = [one for one in latest if one.power_mw is not None and not one.is_late(now)]
    late = sum(one.is_late(now) for one in latest)
    parts = []
    if known:
        using = sum(max(one.power_mw or 0.0, 0.0) for one in known)
        giving = sum(max(-(one.power_mw or 0.0), 0.0) for one in known)
        parts.append(f"Your assets consume {people_power(using)} and produce {people_power(giving)}.")
    if late:
        parts.append(f"{late} of them {'has' if late == 1 else 'have'} stopped sending data.")
    elif latest and not alerts:
        parts.append("Nothing needs you.")
    if upcoming and not late:
        count = len(upcoming)
        parts.append(f"{count} {'asset follows its' if count == 1 else 'assets follow their'} schedule.")
    return " ".join(parts)


def _marker(asset: Any, latest: LatestPower) -> dict[str, Any]:
    return {
        "id": asset.id,
        "name": asset.display_name,
        "type": asset.asset_type_name,
        "kind": asset.asset_type.display_name,
        "at": [asset.latitude, asset.longitude],
        "resource": asset.name,
        "power": people_power(latest.power_mw),
    }


@blueprint.get("/state")
@needs_login
def show_state() -> str | Response:
    """Show the latest state of an asset, for its pop-up; whatever is asked for, a piece of a page."""
    text = request.args.get("id", "")
    now = datetime.now(UTC)
    found = None
    if text.isascii() and text.isdigit() and len(text) <= 10:
        try:
            asset = find_visible_asset(db.session, current_user, int(text))
            found = read_latest_powers(db.session, [asset], look_until(now))[asset.id]
        except NotFound:
            found = None
    return render_flexmeasures_template("pages/state.html", latest=found)


@blueprint.get("/logout")
def show_logout() -> str | BaseResponse:
    """Ask whether to log out: any page may have linked here, and only the form of ours does it."""
    if not current_user.is_authenticated:
        return redirect(url_for("flexmeasures_ui.home"))
    return render_flexmeasures_template("auth/logout.html")
