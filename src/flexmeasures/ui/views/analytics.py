"""Client analytics: power, prices, weather and money of a resource, with forecasts and how good they were."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import numpy as np
import orjson
from flask import Response, abort, current_app, request, session
from flask_login import current_user

from flexmeasures.data.database import db
from flexmeasures.domain.errors import NotFound
from flexmeasures.domain.time import format_duration
from flexmeasures.services.analytics import Analytics, AnalyticsQuestion, list_markets, read_analytics
from flexmeasures.services.assets import visible_assets
from flexmeasures.services.resources import Resource, find_resource, list_groups
from flexmeasures.services.users import has_role
from flexmeasures.services.weather import list_weather_types, nearest_weather_sensors
from flexmeasures.ui.blueprint import OWNER_ROLES, blueprint, needs_roles
from flexmeasures.ui.charts import Chart, Line
from flexmeasures.ui.filters import hide_nan
from flexmeasures.ui.utils.view_utils import render_flexmeasures_template
from flexmeasures.ui.views.asset import answer_charts, lines_of, power_lines, price_chart
from flexmeasures.ui.window import TimeWindow, page_window, presets, word_duration

_NEAREST = 50
"""So many of the nearest weather sensors are asked for values."""

_TRACES = ("none", "power", "schedules")

_QUANTITIES = ("power", "prices", "revs_costs", "weather")


@dataclass(frozen=True)
class _Selection:
    """What is looked at."""

    resource: Resource
    market: Any
    weather_type: str
    weather_sensors: list[Any]
    individual: str
    window: TimeWindow

    @property
    def query(self) -> str:
        """The selection as a part of an address."""
        return urlencode(
            {
                "resource": self.resource.name,
                "market": self.market.name if self.market else "",
                "sensor_type": self.weather_type,
                "showing_individual_traces_for": self.individual,
                "start_time": self.window.start.isoformat(),
                "end_time": self.window.end.isoformat(),
                "forecast_horizon": format_duration(self.window.horizon),
            }
        )


def _select(assets: list[Any]) -> _Selection:
    """Read what is to be looked at: from the address, else from the session, else the first there is.

    Raises:
        NotFound: If a resource is asked for by name that the user does not have.
    """
    window = page_window()
    groups = list_groups(assets)
    asked = request.values.get("resource")
    name = asked or session.get("resource")
    resource = groups[0]
    if name:
        try:
            resource = find_resource(db.session, current_user, name)
        except NotFound:
            if asked:
                raise
    if asked:
        session["resource"] = resource.name
    first = resource.assets[0]
    markets = list_markets(db.session)
    wanted = request.values.get("market")
    market = next((one for one in markets if wanted in (one.name, one.display_name)), None) or first.market
    types = list_weather_types(db.session)
    usual = _usual_weather(first.asset_type_name)
    chosen = request.values.get("sensor_type") or (usual if usual in types else "")
    weather_type = chosen if chosen in types else next(iter(types), "")
    sensors = (
        nearest_weather_sensors(db.session, weather_type, first.latitude, first.longitude, _NEAREST)
        if weather_type
        else []
    )
    individual = request.values.get("showing_individual_traces_for", "none")
    if individual not in _TRACES or not _is_bundle(resource):
        individual = "none"
    return _Selection(resource, market, weather_type, sensors, individual, window)


def _usual_weather(type_name: str) -> str:
    """Name the weather that goes with an asset type."""
    return {"wind": "wind_speed", "solar": "radiation"}.get(type_name, "temperature")


def _is_bundle(resource: Resource) -> bool:
    """Tell whether assets can be told apart in one chart: a few meters at the same place."""
    places = {(asset.latitude, asset.longitude) for asset in resource.assets}
    return 2 <= len(resource.assets) <= 7 and len(places) < len(resource.assets)


def _read(selection: _Selection) -> Analytics:
    window = selection.window
    question = AnalyticsQuestion(
        window.start,
        window.end,
        window.resolution,
        window.zone,
        window.horizon,
        selection.individual,  # type: ignore[arg-type]
    )
    return read_analytics(
        db.session, selection.resource, selection.market, selection.weather_sensors, question
    )


@blueprint.route("/analytics", methods=["GET", "POST"])
@needs_roles(*OWNER_ROLES, "anonymous")
def show_analytics() -> str:
    """Show the analytics of a resource."""
    assets = visible_assets(db.session, current_user)
    now = datetime.now(UTC)
    if not assets:
        window = page_window()
        return render_flexmeasures_template("pages/analytics.html", selection=None, window=window)
    selection = _select(assets)
    found = _read(selection)
    window = selection.window
    return render_flexmeasures_template(
        "pages/analytics.html",
        selection=selection,
        found=found,
        groups=list_groups(assets),
        assets=sorted(assets, key=lambda asset: asset.display_name.lower()),
        markets=list_markets(db.session),
        weather_types=list_weather_types(db.session),
        horizons=[(format_duration(one), word_duration(one)) for one in window.horizons],
        presets=presets(window, now),
        window=window,
        rows=_rows(found),
        money_word=_money_word(selection.resource),
        is_bundle=_is_bundle(selection.resource),
        is_anonymous=has_role(current_user, "anonymous"),
    )


def _money_word(resource: Resource) -> str:
    """Say whether money goes or comes."""
    types = [asset.asset_type for asset in resource.assets]
    if all(one.is_consumer and not one.is_producer for one in types):
        return "Costs"
    if all(one.is_producer and not one.is_consumer for one in types):
        return "Revenues"
    return "Costs/Rev."


def _rows(found: Analytics) -> list[tuple[str, list[str]]]:
    """Write the table of metrics."""
    digits = {"power": 3, "prices": 2, "revs_costs": 2, "weather": 3}
    rows = []
    for caption, field in (("Realised", "realised"), ("Expected", "expected"), ("MAE", "mae")):
        values = [
            str(hide_nan(f"{getattr(found.metrics[name], field):,.{digits[name]}f}")) for name in _QUANTITIES
        ]
        rows.append((caption, values))
    rows.append(("WAPE", [str(hide_nan(f"{found.metrics[name].wape:.0f}%")) for name in _QUANTITIES]))
    return rows


@blueprint.get("/analytics/charts")
@needs_roles(*OWNER_ROLES, "anonymous")
def get_analytics_charts() -> Response:
    """Get what the charts of the analytics show; with ``chart`` and ``format``, one of them as a file."""
    assets = visible_assets(db.session, current_user)
    if not assets:
        raise NotFound("There are no assets yet.")
    if request.args.get("format") and has_role(current_user, "anonymous"):
        abort(403)
    selection = _select(assets)
    return answer_charts(_charts(selection, _read(selection)), selection.resource.name)


def _charts(selection: _Selection, found: Analytics) -> list[Chart]:
    now, window = datetime.now(UTC), selection.window
    name = selection.resource.display_name
    what = "production from" if found.is_production else "consumption of"
    prognosed = "Electricity" if found.power.values_of("measured") is not None else "Prognosed electricity"
    lines = power_lines(found)
    prices = price_chart(found, window, now)
    charts = [
        Chart("power", f"{prognosed} {what} {name}", "MW", found.edges, lines, window.zone, now),
        prices,
    ]
    if found.money is not None:
        title = f"{_money_word(selection.resource)} for {name} (on {found.money.name})"
        lines = lines_of(found.money, "money")
        charts.append(Chart("money", title, found.money.unit, found.edges, lines, window.zone, now))
    else:
        charts.append(Chart("money", "Costs and revenues", "", found.edges, [], window.zone, now))
    if found.weather is not None:
        title = f"{selection.weather_type.replace('_', ' ').capitalize()}: {found.weather.name}"
        lines = lines_of(found.weather, "weather")
        charts.append(Chart("weather", title, found.weather.unit, found.edges, lines, window.zone, now))
    else:
        none = "There is no weather sensor with values near this resource."
        charts.append(Chart("weather", "Weather", "", found.edges, [], window.zone, now, none))
    if current_app.config["FLEXMEASURES_MODE"] != "demo":
        return charts
    return [
        replace(chart, lines=_with_mocked_band(chart.lines)) if chart.name in _MOCKED else chart
        for chart in charts
    ]


_MOCKED = ("power", "prices", "weather")
"""Charts that show a band of uncertainty at demonstrations, also where the data have none."""


def _with_mocked_band(lines: Sequence[Line]) -> Sequence[Line]:
    """Draw a band of a tenth around the forecast, or what is known, where there is none; named as made up."""
    if any(one.style == "band" for one in lines):
        return lines
    middle = next((one for style in ("forecast", "measured") for one in lines if one.style == style), None)
    if middle is None:
        return lines
    room = np.abs(middle.values) * 0.1
    name, high = "Band (made up for the demonstration)", middle.values + room
    return [Line(name, middle.values - room, "band", middle.colour, high=high), *lines]


@blueprint.get("/analytics_data/<content>/<kind>")
@needs_roles(*OWNER_ROLES)
def get_analytics_data(content: str, kind: str) -> Response:
    """Download the metrics, or the data behind the charts, as CSV or JSON."""
    assets = visible_assets(db.session, current_user)
    if content not in ("source", "metrics") or kind not in ("csv", "json") or not assets:
        abort(404)
    selection = _select(assets)
    found = _read(selection)
    table = _metrics_table(found) if content == "metrics" else _source_table(found)
    name = f"{selection.resource.name}_analytics_{content}.{kind}"
    if kind == "json":
        rows = [dict(zip(table[0], row, strict=True)) for row in table[1:]]
        answer = Response(
            orjson.dumps(rows[0] if content == "metrics" else rows), mimetype="application/json"
        )
    else:
        text = io.StringIO()
        csv.writer(text).writerows([["" if one is None else one for one in row] for row in table])
        answer = Response(text.getvalue(), mimetype="text/csv")
    answer.headers.set("Content-Disposition", "attachment", filename=name)
    return answer


def _metrics_table(found: Analytics) -> list[list[Any]]:
    """One row of names, one of values."""
    flat = {
        f"{field}_{name}": None if math.isnan(value) else value
        for name in _QUANTITIES
        for field, value in asdict(found.metrics[name]).items()
    }
    return [list(flat), list(flat.values())]


def _source_table(found: Analytics) -> list[list[Any]]:
    """A row of names, one of units, and one for each step."""
    columns: list[tuple[str, str, Any]] = []
    for name, series in (
        ("power", found.power),
        ("weather", found.weather),
        ("price", found.prices),
        ("revenue_cost", found.money),
    ):
        for kind, ending in (("measured", ""), ("forecast", "_forecast")):
            values = None if series is None else series.values_of(kind)  # type: ignore[arg-type]
            columns.append((name + ending, series.unit if series else "", values))
    starts = [f"{one}Z" for one in np.datetime_as_string(found.edges[:-1], unit="s")]
    lists = [
        [None] * len(starts) if v is None else [None if math.isnan(x) else x for x in v.tolist()]
        for _, _, v in columns
    ]
    return [
        ["time", *(name for name, _, _ in columns)],
        ["", *(unit for _, unit, _ in columns)],
        *([time, *values] for time, *values in zip(starts, *lists, strict=True)),
    ]
