"""Views of an asset that need no login, by links: a page, a chart for frames, the plan as a calendar."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from flask import Response, flash, g, make_response, redirect, request, url_for
from flask_login import current_user
from werkzeug.wrappers import Response as BaseResponse

from flexmeasures.auth.browsers import FRAMED_ANYWHERE
from flexmeasures.data.database import db
from flexmeasures.data.transactional import as_transaction
from flexmeasures.domain.errors import FlexError
from flexmeasures.domain.rights import Action
from flexmeasures.domain.scheduling.actions import Action as Does
from flexmeasures.services.assets import find_visible_asset
from flexmeasures.services.shared_links import LinkKind, create_link, find_shared_asset, revoke_link
from flexmeasures.ui.blueprint import blueprint, needs_login
from flexmeasures.ui.calendar import Entry, write_calendar
from flexmeasures.ui.charts import charts_response
from flexmeasures.ui.csrf import csrf_fault
from flexmeasures.ui.filters import people_energy, people_power
from flexmeasures.ui.forms import keeps_typed
from flexmeasures.ui.utils.view_utils import render_flexmeasures_template
from flexmeasures.ui.views.asset import LINK_WORDS, describe_now, draw_asset, find_plan, list_plan_actions
from flexmeasures.ui.window import shown_window

_SHARED_CHARTS = ("power", "soc")
"""Nothing about money."""

_FRAME_POLICY = "; ".join(
    (
        "default-src 'self'",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'none'",
        FRAMED_ANYWHERE,
    )
)

_WORDS = {
    Does.CHARGE: "charges",
    Does.DISCHARGE: "discharges",
    Does.RUN: "runs",
    Does.PRODUCE: "produces",
}
"""Actions that become entries of a calendar; standing still and holding do not."""

_REASONS = {"price": "The price is good.", "target": "A target must be met.", "limit": "A limit is reached."}


def _public(answer: Any) -> Response:
    """Keep what is shown by a link out of search engines, and its address out of other sites' logs."""
    response = make_response(answer)
    response.headers["X-Robots-Tag"] = "noindex, nofollow"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


@blueprint.get("/shared/<token>")
def show_shared(token: str) -> Response:
    """Show an asset to whoever has the link."""
    asset = find_shared_asset(db.session, token, "page")
    return _public(_render("pages/shared.html", asset, token))


@blueprint.get("/embed/<token>")
def show_embedded(token: str) -> Response:
    """Show the chart of an asset in a frame of any page."""
    asset = find_shared_asset(db.session, token, "chart")
    response = _public(_render("pages/embed.html", asset, token))
    response.headers["Content-Security-Policy"] = _FRAME_POLICY
    return response


def _render(template: str, asset: Any, token: str) -> str:
    now = datetime.now(UTC)
    g.window = shown_window()  # that of a visitor's session is nobody's business here
    return render_flexmeasures_template(
        template, asset=asset, token=token, is_public=True, **describe_now(asset, now)
    )


@blueprint.get("/shared/<token>/charts", endpoint="get_shared_charts", defaults={"kind": "page"})
@blueprint.get("/embed/<token>/charts", endpoint="get_embedded_charts", defaults={"kind": "chart"})
def get_charts_by_link(token: str, kind: LinkKind) -> Response:
    """Get what the charts of a link show."""
    asset = find_shared_asset(db.session, token, kind)
    charts = draw_asset(asset, shown_window(), datetime.now(UTC))
    return _public(charts_response([one for one in charts if one.name in _SHARED_CHARTS]))


@blueprint.get("/calendar/<token>.ics")
def get_shared_calendar(token: str) -> Response:
    """Get the plan of an asset as a calendar, by a link to which calendars can subscribe."""
    return _public(_calendar(find_shared_asset(db.session, token, "calendar")))


@blueprint.get("/assets/<int:asset_id>/calendar.ics")
@needs_login
def get_asset_calendar(asset_id: int) -> Response:
    """Get the plan of an asset as a calendar file."""
    return _calendar(find_visible_asset(db.session, current_user, asset_id))


def _calendar(asset: Any) -> Response:
    plan = find_plan(asset.id)
    actions = list_plan_actions(plan, asset) if plan else []
    entries = [
        Entry(
            f"asset-{asset.id}-{one.start:%Y%m%dT%H%M%SZ}@flexmeasures",
            one.start,
            one.end,
            f"{asset.display_name} {_WORDS[one.action]} with {people_power(abs(one.power_mw))}",
            f"{people_energy(one.energy_mwh)}. {_REASONS.get(one.reason.value, '')}".strip(),
        )
        for one in actions
        if one.action in _WORDS
    ]
    text = write_calendar(f"Plan of {asset.display_name}", entries, datetime.now(UTC))
    answer = Response(text, mimetype="text/calendar")
    answer.headers.set("Content-Disposition", "attachment", filename=f"plan_{asset.id}.ics")
    return answer


@blueprint.post("/assets/<int:asset_id>/links")
@keeps_typed
@needs_login
def make_shared_link(asset_id: int) -> str | BaseResponse:
    """Make a link, and show it once."""
    asset = find_visible_asset(db.session, current_user, asset_id, Action.UPDATE)
    fault = csrf_fault()
    if fault:
        flash(fault, "error")
        return _back(asset_id)
    user, kind = current_user._get_current_object(), request.form.get("kind", "")
    made = as_transaction(create_link)(db.session(), user, asset, kind, datetime.now(UTC))
    endpoint = {"page": "show_shared", "chart": "show_embedded", "calendar": "get_shared_calendar"}[kind]
    address = url_for(f"flexmeasures_ui.{endpoint}", token=made.secret, _external=True)
    return render_flexmeasures_template(
        "pages/link_made.html", asset=asset, kind=kind, words=LINK_WORDS[kind], address=address
    )


@blueprint.post("/assets/<int:asset_id>/links/revoke")
@keeps_typed
@needs_login
def revoke_shared_link(asset_id: int) -> BaseResponse:
    """Let a link show nothing any more."""
    asset = find_visible_asset(db.session, current_user, asset_id, Action.UPDATE)
    fault, text = csrf_fault(), request.form.get("link", "")
    if fault or not (text.isascii() and text.isdigit() and len(text) < 10):
        flash(fault or "Choose a link.", "error")
        return _back(asset_id)
    return _then(asset_id, lambda: as_transaction(revoke_link)(db.session(), asset, int(text)))


def _then(asset_id: int, act: Callable[[], None]) -> BaseResponse:
    try:
        act()
        flash("The link was revoked: it shows nothing any more.")
    except FlexError as error:
        db.session.rollback()
        flash(str(error), "error")
    return _back(asset_id)


def _back(asset_id: int) -> BaseResponse:
    return redirect(url_for("flexmeasures_ui.show_asset", asset_id=asset_id, _anchor="share"))
