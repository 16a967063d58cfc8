"""Events of the grid: what came and how it was kept, and what our own events brought."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from flask import Response, abort, current_app, request
from flask_login import current_user

from flexmeasures.data.database import db
from flexmeasures.domain.rights import OWNER_RULES, Action, Kind, Thing, may
from flexmeasures.services.assets import find_visible_asset
from flexmeasures.services.coordination.look import list_event_lines, list_paid
from flexmeasures.services.rights import actor_of
from flexmeasures.services.upstreams.compliance import limit_report
from flexmeasures.services.upstreams.look import (
    list_kept_limits,
    list_reports,
    list_signals,
    list_upstreams,
)
from flexmeasures.ui.blueprint import blueprint, needs_login
from flexmeasures.ui.utils.view_utils import render_flexmeasures_template
from flexmeasures.ui.window import page_window, presets

_LONGEST_REPORT = timedelta(days=32)
"""Longest period for which compliance is counted, minute by minute."""

ENVIRONMENTS = ("production", "sandbox")

KIND_WORDS = {
    "import_limit": "take at most",
    "export_limit": "feed in at most",
    "price_delta": "price difference",
}


def _looks_after_platform() -> bool:
    """Tell whether the user may read what concerns all of the platform."""
    return may(actor_of(current_user), Action.READ, Thing(Kind.PLATFORM), OWNER_RULES)


def _environment() -> str:
    """Read whose events are looked at: those of production, unless the sandbox is asked for."""
    environment = request.args.get("environment", ENVIRONMENTS[0])
    if environment not in ENVIRONMENTS:
        abort(404)
    return environment


@blueprint.get("/grid-events", strict_slashes=False)
@needs_login
def show_grid_events() -> str:
    """Show what came of the grid for the user's assets; to those who look after the platform, also its own events."""
    now, window = datetime.now(UTC), page_window()
    user = current_user._get_current_object()
    signals = list_signals(db.session, user, window.start, window.end)
    is_short = window.end - window.start <= _LONGEST_REPORT
    until = min(window.end.astimezone(UTC), now)
    kept = (
        list_kept_limits(db.session, user, signals, window.start, until)
        if is_short and window.start < until
        else []
    )
    everything = _looks_after_platform()
    environment = _environment()
    return render_flexmeasures_template(
        "pages/grid_events.html",
        page="grid-events",
        window=window,
        presets=presets(window, now),
        now=now,
        signals=signals,
        kept=kept,
        reports=list_reports(db.session, signals),
        kind_words=KIND_WORDS,
        upstreams=list_upstreams(db.session) if everything else [],
        events=list_event_lines(db.session, environment, window.start, window.end) if everything else [],
        environment=environment,
        environments=ENVIRONMENTS,
        everything=everything,
        limit_query=window.query if is_short else "",
    )


@blueprint.get("/grid-events/paid")
@needs_login
def show_paid() -> str:
    """Show what partners' users are paid in this month, as a part of a page."""
    environment = _environment()
    if not _looks_after_platform():
        abort(403)
    zone = current_app.config["FLEXMEASURES_TIMEZONE"]
    paid = list_paid(db.session, environment, datetime.now(UTC), zone)
    return render_flexmeasures_template("pages/grid_events_paid.html", paid=paid)


@blueprint.get("/grid-events/limits/<int:asset_id>")
@needs_login
def get_limits(asset_id: int) -> Response:
    """Get minute by minute how an asset kept its limits, as CSV."""
    asset = find_visible_asset(db.session, current_user, asset_id)
    window = page_window()
    answer = Response(limit_report(db.session(), asset.id, window.start, window.end), mimetype="text/csv")
    answer.headers.set("Content-Disposition", "attachment", filename=f"limits_{asset.id}.csv")
    return answer
