"""The portfolio: energy and money by asset type, the power profile, and what schedules change about it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
from flask import Response, abort, current_app, request
from flask_login import current_user

from flexmeasures.data.database import db
from flexmeasures.services.assets import visible_assets
from flexmeasures.services.flexibility.order import list_orders
from flexmeasures.services.flexibility.settle import settle_orders, sum_up
from flexmeasures.services.portfolio_overview import PortfolioOverview, PortfolioQuestion, read_portfolio
from flexmeasures.services.rights import owner_scope
from flexmeasures.services.users import has_role
from flexmeasures.ui.blueprint import OWNER_ROLES, blueprint, needs_roles
from flexmeasures.ui.charts import Chart, Line
from flexmeasures.ui.utils.view_utils import render_flexmeasures_template
from flexmeasures.ui.views.asset import answer_charts
from flexmeasures.ui.window import TimeWindow, page_window, presets

_COLOURS = ("solar", "wind", "battery", "evse", "building", "other")


def _read(window: TimeWindow, now: datetime) -> PortfolioOverview:
    question = PortfolioQuestion(window.start, window.end, window.resolution, window.zone, now)
    return read_portfolio(db.session, visible_assets(db.session, current_user), question)


def _side() -> str:
    """Say which side is stacked."""
    return "consumption" if request.values.get("show_stacked") == "consumption" else "production"


@blueprint.route("/portfolio", methods=["GET", "POST"])
@needs_roles(*OWNER_ROLES)
def show_portfolio() -> str:
    """Show the portfolio in a window."""
    window, now = page_window(), datetime.now(UTC)
    found = _read(window, now)
    owner = owner_scope(current_user)
    orders = list_orders(db.session, owner_id=owner, start=window.start, end=window.end)
    return render_flexmeasures_template(
        "pages/portfolio.html",
        found=found,
        window=window,
        presets=presets(window, now),
        side=_side(),
        flexibility=sum_up(settle_orders(db.session, orders)),
        has_money=any(one.totals.profit is not None for one in found.types),
        is_demo=current_app.config["FLEXMEASURES_MODE"] == "demo",
    )


@blueprint.get("/portfolio/charts")
@needs_roles(*OWNER_ROLES)
def get_portfolio_charts() -> Response:
    """Get what the charts of the portfolio show; with ``chart`` and ``format``, one of them as a file."""
    if request.args.get("format") and has_role(current_user, "anonymous"):
        abort(403)
    window, now = page_window(), datetime.now(UTC)
    found = _read(window, now)
    return answer_charts([_profile(found, window, now), _change(found, window, now)], "portfolio")


def _profile(found: PortfolioOverview, window: TimeWindow, now: datetime) -> Chart:
    """Draw the asset types of one side upon each other, and the sum of the other side as a line."""
    side = _side()
    sign = 1 if side == "consumption" else -1
    layers: list[Line] = []
    total = np.zeros(len(found.edges) - 1)
    other = np.zeros_like(total)
    for number, one in enumerate(found.types):
        known = np.nan_to_num(one.power)
        part = np.clip(sign * known, 0, None)
        other += np.clip(-sign * known, 0, None)
        if not part.any():
            continue
        total = total + part
        colour = (
            one.type_name if one.type_name in _COLOURS else "evse" if "evse" in one.type_name else "other"
        )
        label = (
            one.display_name
            if len({t.currency for t in found.types}) < 2
            else f"{one.display_name} ({number})"
        )
        layers.append(Line(label, total.copy(), "area", colour))
    lines = layers[::-1]  # the highest first, so that the lower ones are drawn over it
    if other.any():
        name = "consumption" if side == "production" else "production"
        lines.append(Line(f"All {name}", other, "forecast", "price"))
    opposite = "consumption" if side == "production" else "production"
    title = f"Stacked {side} vs aggregated {opposite}"
    none = f"There is no {side} and no {opposite} in this window."
    return Chart("profile", title, "MW", found.edges, lines, window.zone, now, none)


def _change(found: PortfolioOverview, window: TimeWindow, now: datetime) -> Chart:
    lines: list[Any] = []
    if found.change is not None:
        lines = [Line("Change by schedules", -found.change, "schedule", "schedule")]
    return Chart(
        "change",
        "Change by flexible schedules (positive: more production or less consumption)",
        "MW",
        found.edges,
        lines,
        window.zone,
        now,
        "There are no schedules in this window.",
    )
