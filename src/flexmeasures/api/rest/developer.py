"""For developers: what is known of a sensor, and a chart of it after Vega-Lite."""

from __future__ import annotations

from typing import Any

import numpy as np
from flask import Blueprint, Response, abort, current_app, redirect, request, url_for
from flask_login import current_user
from pydantic import Field
from sqlalchemy.orm import Session

from flexmeasures.api.door import json_response, read_clock
from flexmeasures.api.openapi.operation import Answer, documented
from flexmeasures.api.rest.answers import BAD_FIELDS, FORBIDDEN, NOT_FOUND, RECORDS, SENSOR
from flexmeasures.api.rest.door import in_transaction, read_arguments, sender
from flexmeasures.api.rest.forms import Form, Instant, fill_in
from flexmeasures.data.tables import Sensor
from flexmeasures.services.sensor_beliefs import (
    BeliefFilter,
    find_sensor,
    read_sensor_beliefs,
    sensor_time_range,
)

__all__ = ["ChartDataQuery", "ChartQuery", "blueprint"]

blueprint = Blueprint("flexmeasures_api_dev", __name__, url_prefix="/api/dev/sensor")

LIKELIHOOD = 0.5
"""Beliefs are kept as single values: each is the middle of what was thought likely."""


class ChartDataQuery(Form):
    """Selection of beliefs."""

    event_starts_after: Instant | None = None
    event_ends_before: Instant | None = None
    beliefs_after: Instant | None = None
    beliefs_before: Instant | None = None

    @property
    def filter(self) -> BeliefFilter:
        """The same for the service."""
        return BeliefFilter(
            self.event_starts_after, self.event_ends_before, self.beliefs_after, self.beliefs_before
        )


class ChartQuery(ChartDataQuery):
    """Content of a chart."""

    include_data: bool = Field(default=False, description="Whether the data come with the chart.")
    dataset_name: str | None = Field(
        default=None, min_length=1, description="What the data are called in it."
    )


@blueprint.before_request
def _go_to_login() -> Response | None:
    """Send browsers without a session to the login page: people look at these endpoints by hand."""
    if current_user.is_authenticated:
        return None
    if request.is_json:
        abort(401)
    return redirect(url_for("security.login", next=request.full_path))  # type: ignore[return-value]


_LOGIN = {302: Answer("To the login page: nobody is logged in.", None, {"Location": "The login page."})}


@blueprint.get("/<int:sensor_id>/")
@documented(SENSOR | FORBIDDEN | NOT_FOUND | _LOGIN)
@in_transaction
def get_sensor(session: Session, sensor_id: int) -> Response:
    """Tell what a sensor is called, its time zone, and from when to when there are data; for admins."""
    sender("admin")
    sensor = find_sensor(session, sensor_id)
    start, end = sensor_time_range(session, sensor, read_clock())
    return json_response(
        {
            "name": sensor.name,
            "timezone": sensor.timezone,
            "timerange": {"start": start.isoformat(), "end": end.isoformat()},
            "status": 200,
        }
    )


@blueprint.get("/<int:sensor_id>/chart/")
@documented(
    {200: Answer("A chart after Vega-Lite.", {"type": "object"})}
    | FORBIDDEN
    | NOT_FOUND
    | BAD_FIELDS
    | _LOGIN,
    query=ChartQuery,
)
@in_transaction
def get_chart(session: Session, sensor_id: int) -> Response:
    """Describe a chart of a sensor after Vega-Lite, with its data or without; for admins."""
    sender("admin")
    sensor = find_sensor(session, sensor_id)
    query = fill_in(ChartQuery, read_arguments(request), "query")
    name = query.dataset_name or f"sensor_{sensor.id}"
    chart = _describe_chart(sensor, sensor.unit, name)
    if query.include_data:
        chart["datasets"] = {name: _read_records(session, sensor, query.filter)}
    return json_response(chart)


@blueprint.get("/<int:sensor_id>/chart_data/")
@documented(RECORDS | FORBIDDEN | NOT_FOUND | BAD_FIELDS | _LOGIN, query=ChartDataQuery)
@in_transaction
def get_chart_data(session: Session, sensor_id: int) -> Response:
    """List beliefs about a sensor, for its chart; for admins."""
    sender("admin")
    sensor = find_sensor(session, sensor_id)
    query = fill_in(ChartDataQuery, read_arguments(request), "query")
    return json_response(_read_records(session, sensor, query.filter))


def _read_records(session: Session, sensor: Sensor, wanted: BeliefFilter) -> list[dict[str, Any]]:
    limit = current_app.config["FLEXMEASURES_MAX_VALUES_PER_REQUEST"]
    found = read_sensor_beliefs(session, sensor, wanted, limit)
    return [
        {
            "event_start": start,
            "belief_time": held,
            "source": found.source_names[source_id],
            "cumulative_probability": LIKELIHOOD,
            "event_value": value,
        }
        for start, held, source_id, value in zip(
            _milliseconds(found.beliefs.event_starts),
            _milliseconds(found.belief_times),
            found.beliefs.source_ids.tolist(),
            found.beliefs.values.tolist(),
            strict=True,
        )
    ]


def _milliseconds(instants: np.ndarray) -> list[int]:
    """Write instants as Vega reads them: milliseconds since 1970."""
    milliseconds: list[int] = instants.astype("datetime64[ms]").astype(np.int64).tolist()
    return milliseconds


def _describe_chart(sensor: Sensor, unit: str, dataset_name: str) -> dict[str, Any]:
    value = {
        "field": "event_value",
        "type": "quantitative",
        "title": f"{_capitalise(sensor.name)} ({unit or 'a.u.'})",
    }
    versions = current_app.config["FLEXMEASURES_JS_VERSIONS"]
    when = "%H:%M on %A %b %e, %Y"
    return {
        "$schema": f"https://vega.github.io/schema/vega-lite/v{versions['vegalite'].split('.')[0]}.json",
        "description": f"Values of {sensor.name} over time.",
        "width": 600,
        "height": 300,
        "mark": "bar",
        "encoding": {
            "x": {"field": "event_start", "type": "temporal", "title": None},
            "y": value,
            "tooltip": [
                {
                    "field": "event_start",
                    "type": "temporal",
                    "timeUnit": "yearmonthdatehoursminutes",
                    "format": when,
                    "title": "Time and date",
                },
                {**value, "format": ".3f"},
            ],
        },
        "data": {"name": dataset_name},
    }


def _capitalise(name: str) -> str:
    return name[:1].upper() + name[1:]
