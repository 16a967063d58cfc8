"""The page of an asset: what it does now and next, its charts, its form, its plan."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import orjson
from flask import Response, abort, current_app, flash, redirect, request, url_for
from flask_login import current_user
from werkzeug.wrappers import Response as BaseResponse

from flexmeasures.data.database import db
from flexmeasures.data.transactional import as_transaction
from flexmeasures.domain.beliefs import mean_per_bin
from flexmeasures.domain.errors import FlexError, NotFound
from flexmeasures.domain.monitoring import patience_for
from flexmeasures.domain.rights import Action
from flexmeasures.domain.scheduling.actions import list_actions
from flexmeasures.domain.time import event_grid
from flexmeasures.jobs.schedules import enqueue_portfolio
from flexmeasures.services.analytics import Analytics, AnalyticsQuestion, list_markets, read_analytics
from flexmeasures.services.assets import find_visible_asset
from flexmeasures.services.edit_assets import AssetChanges, delete_asset, edit_asset
from flexmeasures.services.latest_power import read_latest_powers
from flexmeasures.services.monitoring.rules import kw_per_value, read_own_rule
from flexmeasures.services.resources import Resource
from flexmeasures.services.rights import may_by_owner, may_everywhere
from flexmeasures.services.schedules.next_actions import is_store
from flexmeasures.services.schedules.reschedule import PortfolioOrder, flexible_asset_ids
from flexmeasures.services.schedules.show import ShownSchedule, find_shown_schedule
from flexmeasures.services.shared_links import list_links
from flexmeasures.services.show_asset import FLEX_FIELDS, count_beliefs, list_parts, list_sensors
from flexmeasures.ui.blueprint import blueprint, needs_login
from flexmeasures.ui.charts import Chart, Line, charts_response, download
from flexmeasures.ui.csrf import csrf_fault
from flexmeasures.ui.forms import FormState, keeps_typed, read_minutes, read_number
from flexmeasures.ui.utils.view_utils import render_flexmeasures_template
from flexmeasures.ui.views.assets import entity_address, form_choices, take_errors
from flexmeasures.ui.views.dashboard import look_until
from flexmeasures.ui.window import TimeWindow, page_window, presets

__all__ = ["LINK_WORDS", "describe_now", "draw_asset", "find_plan", "list_plan_actions", "power_lines"]

LINK_WORDS = {
    "page": "a page to read",
    "chart": "a chart for a frame in another page",
    "calendar": "the plan as a calendar (iCalendar)",
}
"""Parts of an asset that can be shared."""

_NUMBERS = ("capacity_in_mw", "latitude", "longitude")
_SIZES = ("min_soc_in_mwh", "max_soc_in_mwh")


@blueprint.get("/assets/<int:asset_id>/", strict_slashes=False)
@needs_login
def show_asset(asset_id: int) -> str:
    """Show an asset."""
    asset = find_visible_asset(db.session, current_user, asset_id)
    return _show(asset, FormState(_typed_of(asset)))


def _show(asset: Any, form: FormState) -> str:
    now = datetime.now(UTC)
    window = page_window()
    return render_flexmeasures_template(
        "pages/asset.html",
        asset=asset,
        form=form,
        **describe_now(asset, now),
        links=list_links(db.session, asset),
        link_words=LINK_WORDS,
        address=entity_address(asset),
        presets=presets(window, now),
        window=window,
        sensors=list_sensors(db.session, asset),
        parts=list_parts(db.session, asset),
        readings=count_beliefs(db.session, asset),
        is_flexible=asset.id
        in flexible_asset_ids(
            db.session, None if may_everywhere(current_user, Action.READ) else asset.owner_id
        ),
        flex_fields=FLEX_FIELDS,
        is_store=is_store(asset, None),
        may_change=may_by_owner(current_user, Action.UPDATE, asset),
        version=_version(asset),
        watch=_watch_form(asset),
        usual_patience=patience_for(asset.sensor.event_resolution),
        **form_choices(),
    )


def describe_now(asset: Any, now: datetime) -> dict[str, Any]:
    """Read what an asset does now and next, for its sentence."""
    plan = find_plan(asset.id)
    actions = list_plan_actions(plan, asset) if plan else []
    current = next((n for n, one in enumerate(actions) if one.start <= now < one.end), None)
    return {
        "latest": read_latest_powers(db.session, [asset], look_until(now))[asset.id],
        "plan": plan,
        "actions": actions[current : current + 6] if current is not None else [],
        "plan_is_over": bool(plan) and current is None,
    }


def _watch_form(asset: Any) -> FormState:
    """Fill the form of what is unusual for the power of an asset [kW, hours]."""
    own = read_own_rule(asset.sensor)
    hours = None if own.gap_after is None else own.gap_after / timedelta(hours=1)
    limits, kw = {"lowest": own.lowest, "highest": own.highest}, kw_per_value(asset.sensor)
    typed = {name: "" if value is None else f"{value * kw:.12g}" for name, value in limits.items()}
    return FormState({**typed, "gap_after": "" if hours is None else f"{hours:g}", "is_off": own.is_off})


def find_plan(asset_id: int) -> ShownSchedule | None:
    """Find the newest plan of an asset; None if it has none."""
    try:
        return find_shown_schedule(db.session(), asset_id)
    except NotFound:
        return None


def list_plan_actions(plan: ShownSchedule, asset: Any) -> list[Any]:
    """List what a plan has its asset do, in words."""
    slots = range(len(plan.power_mw))
    return list_actions(
        plan.power_mw,
        plan.start,
        plan.resolution,
        is_store(asset, plan.soc_mwh),
        [plan.marginal_price_at(slot) for slot in slots],
        [plan.binding_at(slot) for slot in slots],
    )


@blueprint.get("/assets/<int:asset_id>/plan")
@needs_login
def show_plan(asset_id: int) -> str:
    """Show what the newest plan of an asset says, why, and what it is compared with."""
    asset = find_visible_asset(db.session, current_user, asset_id)
    window = page_window()
    plan = find_plan(asset.id)
    if plan is not None:
        end = plan.start + len(plan.power_mw) * plan.resolution
        window = replace(window, start=plan.start, end=end)
    now = datetime.now(UTC)
    return render_flexmeasures_template(
        "pages/plan.html",
        asset=asset,
        plan=plan,
        actions=list_plan_actions(plan, asset) if plan else [],
        window=window,
        is_over=plan is not None and window.end <= now,
        now=now,
    )


@blueprint.get("/assets/<int:asset_id>/charts")
@needs_login
def get_asset_charts(asset_id: int) -> Response:
    """Get what the charts of an asset show; with ``chart`` and ``format``, one of them as a file."""
    asset = find_visible_asset(db.session, current_user, asset_id)
    return answer_charts(draw_asset(asset, page_window(), datetime.now(UTC)), asset.name)


def draw_asset(asset: Any, window: TimeWindow, now: datetime) -> list[Chart]:
    """Make the charts of an asset: power, state of charge if there is a plan with it, and prices."""
    question = AnalyticsQuestion(window.start, window.end, window.resolution, window.zone, window.horizon)
    resource = Resource(asset.name, asset.display_name, (asset,))
    found = read_analytics(db.session, resource, asset.market, (), question)
    if found.is_production:
        charts_title = f"Production of {asset.display_name}"
    else:
        charts_title = f"Power of {asset.display_name} (consumption positive)"
    charts = [Chart("power", charts_title, "MW", found.edges, power_lines(found), window.zone, now)]
    soc = _soc_line(find_plan(asset.id), found.edges)
    if soc is not None:
        charts.append(
            Chart(
                "soc",
                "State of charge, as planned",
                "MWh",
                found.edges,
                [soc],
                window.zone,
                now,
                "There is no plan in this window.",
            )
        )
    charts.append(price_chart(found, window, now))
    return charts


def answer_charts(charts: list[Chart], name: str) -> Response:
    """Answer with all charts of a page, or with one of them as a file."""
    kind = request.args.get("format")
    if kind is None:
        return charts_response(charts)
    chart = next((one for one in charts if one.name == request.args.get("chart")), None)
    if chart is None or kind not in ("csv", "json"):
        abort(404)
    return download(chart, kind, f"{name}_{chart.name}".replace(" ", "_"))


def power_lines(found: Analytics) -> list[Line]:
    """Write the lines of a chart of power."""
    lines = []
    low, high = found.power.values_of("low"), found.power.values_of("high")
    if low is not None and high is not None:
        lines.append(Line("Forecast, 10–90 %", low, "band", "forecast", high=high))
    words = {"measured": "Measured", "forecast": "Forecast", "schedule": "Schedule"}
    separate = {one.kind for one in found.power.traces if one.name}
    colours = ("measured", "solar", "schedule", "battery", "wind", "evse", "other")
    for number, one in enumerate(found.power.traces):
        if one.kind not in words or (one.kind in separate and not one.name):
            continue
        colour = one.kind if not one.name else colours[number % len(colours)]
        lines.append(Line(one.name or words[one.kind], one.values, one.kind, colour))  # type: ignore[arg-type]
    return lines


def price_chart(found: Analytics, window: TimeWindow, now: datetime) -> Chart:
    """Make the chart of the prices of a market."""
    prices = found.prices
    if prices is None:
        return Chart("prices", "Prices", "", found.edges, [], window.zone, now, "There is no market.")
    return Chart(
        "prices",
        f"Prices of {prices.name}",
        prices.unit,
        found.edges,
        lines_of(prices, "price"),
        window.zone,
        now,
        f"No prices of {prices.name} are known for this window.",
    )


def lines_of(series: Any, colour: str) -> list[Line]:
    """Write the lines of prices, weather or money."""
    lines = []
    low, high = series.values_of("low"), series.values_of("high")
    if low is not None and high is not None:
        lines.append(Line("Forecast, 10–90 %", low, "band", colour, high=high))
    for kind, word in (("measured", "Known"), ("forecast", "Forecast")):
        values = series.values_of(kind)
        if values is not None:
            lines.append(Line(word, values, kind, colour))  # type: ignore[arg-type]
    return lines


def _soc_line(plan: ShownSchedule | None, edges: Any) -> Line | None:
    """Write the planned state of charge at the starts of steps."""
    if plan is None or plan.soc_mwh is None:
        return None
    soc = np.array([np.nan if s is None else s for s in plan.soc_mwh[:-1]], dtype=float)
    starts = event_grid(plan.start, plan.resolution, len(soc))
    values = mean_per_bin(starts, soc, plan.resolution, edges)[0]
    return Line("State of charge", values, "measured", "soc", is_state=True)


def _typed_of(asset: Any) -> dict[str, Any]:
    """Write an asset as its form shows it."""
    own = asset.flex_model or {}
    typed = {
        "display_name": asset.display_name,
        "capacity_in_mw": f"{asset.capacity_in_mw:.15g}",
        "event_resolution": f"{asset.sensor.event_resolution / timedelta(minutes=1):g}",
        "latitude": f"{asset.latitude:.15g}",
        "longitude": f"{asset.longitude:.15g}",
        "market_id": asset.market_id,
        **{name: "" if getattr(asset, name) is None else f"{getattr(asset, name):.15g}" for name in _SIZES},
    }
    names = {one.name for one in FLEX_FIELDS}
    typed |= {f"flex_{name}": f"{own[name]:.15g}" for name in names & own.keys()}
    rest = {name: value for name, value in own.items() if name not in names}
    typed["flex_more"] = orjson.dumps(rest, option=orjson.OPT_INDENT_2).decode() if rest else ""
    return typed


def _version(asset: Any) -> str:
    """Name the state of an asset that a form was filled with."""
    return hashlib.sha256(repr(sorted(_typed_of(asset).items(), key=str)).encode()).hexdigest()[:16]


@blueprint.post("/assets/<int:asset_id>/", strict_slashes=False)
@keeps_typed
@needs_login
def change_asset(asset_id: int) -> str | BaseResponse | tuple[str, int]:
    """Change an asset as its form says."""
    asset = find_visible_asset(db.session, current_user, asset_id, Action.UPDATE)
    form = FormState({**_typed_of(asset), **request.form})
    seen = request.form.get("version")
    if seen and seen != _version(asset):
        db.session.rollback()
        flash(
            "Somebody else has changed this asset meanwhile. Compare, and save again to keep what you typed.",
            "error",
        )
        return _show(find_visible_asset(db.session, current_user, asset_id), form), 409
    changes = _read_changes(form)
    if not form.errors:
        try:
            as_transaction(edit_asset)(db.session, asset, changes, current_user)
        except FlexError as error:
            db.session.rollback()
            take_errors(form, error)
    if form.errors:
        db.session.rollback()
        flash("Cannot edit asset. " + "; ".join(form.errors.get("", [])), "error")
        return _show(find_visible_asset(db.session, current_user, asset_id), form), 400
    flash("Editing was successful.")
    return redirect(url_for("flexmeasures_ui.show_asset", asset_id=asset_id))


def _read_changes(form: FormState) -> AssetChanges:
    """Read what was sent; what is not in the form stays as it is."""
    typed = request.form
    changes: dict[str, Any] = {}
    fault = csrf_fault()
    if fault:
        form.add("", fault)
    if "display_name" in typed:
        changes["display_name"] = typed["display_name"]
    for name, required in (*((name, True) for name in _NUMBERS), *((name, False) for name in _SIZES)):
        if name in typed:
            changes[name] = read_number(form, typed, name, required)
    if "event_resolution" in typed:
        changes["event_resolution"] = read_minutes(form, typed, "event_resolution")
    if typed.get("market_id"):
        changes["market_id"] = _read_market(form)
    if "flex_more" in typed:
        changes["flex_model"] = _read_flex_model(form)
    return AssetChanges(**changes)


def _read_market(form: FormState) -> int:
    known = {str(market.id): market.id for market in list_markets(db.session)}
    if request.form["market_id"] not in known:
        form.add("market_id", "Pick an existing market.")
    return known.get(request.form["market_id"], 0)


def _read_flex_model(form: FormState) -> dict[str, Any] | None:
    typed = request.form
    own: Any = {}
    if typed["flex_more"].strip():
        try:
            own = orjson.loads(typed["flex_more"])
        except orjson.JSONDecodeError as error:
            form.add("flex_model", f"This is not JSON: {error}. Write an object of fields and values.")
            return None
        if not isinstance(own, dict):
            form.add("flex_model", "Write an object of fields and values.")
            return None
    for one in FLEX_FIELDS:
        number = read_number(form, typed, f"flex_{one.name}", required=False)
        if number is not None:
            own[one.name] = number
    return own or None


@blueprint.post("/assets/<int:asset_id>/plan")
@keeps_typed
@needs_login
def plan_now(asset_id: int) -> BaseResponse:
    """Have an asset planned from now on."""
    asset = find_visible_asset(db.session, current_user, asset_id, Action.CREATE_CHILDREN)
    fault = csrf_fault()
    if fault:
        flash(fault, "error")
    else:
        now = datetime.now(UTC)
        config = current_app.config
        order = PortfolioOrder((asset.id,), now, config["FLEXMEASURES_PLANNING_HORIZON"], now)
        enqueue_portfolio(current_app.extensions["redis"], order, config["FLEXMEASURES_PLANNING_TTL"])
        flash("A plan is being made; it takes a few seconds. Load the page again to see it.")
    return redirect(url_for("flexmeasures_ui.show_asset", asset_id=asset_id))


@blueprint.post("/assets/<int:asset_id>/delete")
@keeps_typed
@needs_login
def remove_asset(asset_id: int) -> BaseResponse:
    """Delete an asset with all its data."""
    asset = find_visible_asset(db.session, current_user, asset_id, Action.DELETE)
    fault = csrf_fault()
    if fault:
        db.session.rollback()
        flash(fault, "error")
        return redirect(url_for("flexmeasures_ui.show_asset", asset_id=asset_id))
    as_transaction(delete_asset)(db.session, asset)
    flash(f"Asset {asset_id} and assorted meter readings / forecasts have been deleted.")
    return redirect(url_for("flexmeasures_ui.list_assets"))


@blueprint.get("/assets/delete_with_data/<int:asset_id>/", strict_slashes=False)
@needs_login
def ask_before_deleting(asset_id: int) -> str:
    """Ask before an asset is deleted: a link, which any page may hold, must not do it."""
    asset = find_visible_asset(db.session, current_user, asset_id, Action.DELETE)
    return render_flexmeasures_template(
        "pages/asset_delete.html", asset=asset, readings=count_beliefs(db.session, asset)
    )
