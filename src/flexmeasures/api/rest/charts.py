"""Charts that other web pages embed, and the library that draws them."""

from __future__ import annotations

import importlib.util
import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from flask import Blueprint, Response, abort, current_app, request, send_file
from pydantic import BeforeValidator, Field, ValidationInfo, field_validator
from pydantic.json_schema import WithJsonSchema
from sqlalchemy.orm import Session

from flexmeasures.api.door import json_response
from flexmeasures.api.openapi.operation import Answer, documented
from flexmeasures.api.rest.answers import BAD_FIELDS, FORBIDDEN, NOT_FOUND
from flexmeasures.api.rest.door import in_transaction, read_arguments, sender
from flexmeasures.api.rest.forms import Form, Instant, fill_in, refuse
from flexmeasures.domain.errors import FlexError
from flexmeasures.domain.time import parse_duration
from flexmeasures.services.power_chart import PowerQuestion, read_power_chart
from flexmeasures.services.resources import find_resource

__all__ = ["PowerChartQuery", "blueprint"]

blueprint = Blueprint("flexmeasures_api_charts", __name__)

MAX_STEPS = 100_000
"""More steps than any screen has pixels, by far."""

FIRST_YEAR, LAST_YEAR = 1900, 2200

_ALIASES = {"consumption_as_positive": "show_consumption_as_positive"}

# As in the example of the documentation: 2020-02-20:10:00:00UTC
_COLON_TIME = re.compile(r"^(\d{4}-\d{2}-\d{2}):(\d{2}:\d{2}(?::\d{2})?.*)$", re.ASCII)

_SCRIPTS = ("bokeh", "bokeh-api", "bokeh-gl", "bokeh-mathjax", "bokeh-tables", "bokeh-widgets")


def _documented_time(text: object) -> object:
    """Read the documentation's own way of writing a time, besides ISO 8601."""
    if not isinstance(text, str):
        return text
    text = text.strip()
    matched = _COLON_TIME.match(text)
    if matched:
        text = f"{matched[1]}T{matched[2]}"
    return re.sub(r" ?(UTC|GMT)$", "Z", text)


def _fixed_duration(text: object, field: ValidationInfo) -> object:
    try:
        duration = parse_duration(text, field.field_name or "duration")
    except FlexError as error:
        raise ValueError(str(error)) from None
    if not isinstance(duration, timedelta):
        raise ValueError("Months and years have no fixed length. Use days or hours.")  # noqa: TRY004 - for pydantic
    return duration


Time = Annotated[Instant, BeforeValidator(_documented_time)]
Duration = Annotated[
    timedelta, BeforeValidator(_fixed_duration), WithJsonSchema({"type": "string", "format": "duration"})
]


class PowerChartQuery(Form):
    """Query of a power chart."""

    resource: str = Field(min_length=1, description="Name of an asset or of a group of assets.")
    start_time: Time
    end_time: Time
    resolution: Duration
    show_consumption_as_positive: bool = True
    show_individual_traces_for: Literal["none", "schedules", "power"] = "none"
    forecast_horizon: Duration = Field(
        default=timedelta(hours=6), description="How long before the event a forecast was made, at least."
    )

    @field_validator("start_time", "end_time")
    @classmethod
    def _in_our_times(cls, time: Any) -> Any:
        if not FIRST_YEAR <= time.year < LAST_YEAR:
            raise ValueError(f"Charts show times from {FIRST_YEAR} to {LAST_YEAR}.")
        return time

    @field_validator("end_time")
    @classmethod
    def _after_the_start(cls, end: Any, info: ValidationInfo) -> Any:
        start = info.data.get("start_time")
        if start is not None and end <= start:
            raise ValueError("Must be later than start_time.")
        return end

    @field_validator("resolution")
    @classmethod
    def _not_too_fine(cls, resolution: timedelta, info: ValidationInfo) -> timedelta:
        if resolution <= timedelta(0):
            raise ValueError("Must be longer than zero.")
        start, end = info.data.get("start_time"), info.data.get("end_time")
        if start is not None and end is not None and (end - start) / resolution > MAX_STEPS:
            raise ValueError(f"A chart has at most {MAX_STEPS} steps. Ask for a coarser resolution.")
        return resolution


@blueprint.get("/api/v2_0/charts/power")
@documented(
    {200: Answer("An item for Bokeh.embed.embed_item.", {"type": "object"})}
    | FORBIDDEN
    | NOT_FOUND
    | BAD_FIELDS,
    query=PowerChartQuery,
    aliases=_ALIASES,
    query_example={
        "resource": "Test battery",
        "start_time": "2020-02-20T10:00:00Z",
        "end_time": "2020-02-20T11:00:00Z",
        "resolution": "PT15M",
        "consumption_as_positive": True,
        "forecast_horizon": "PT6H",
        "show_individual_traces_for": "none",
    },
)
@in_transaction
def get_power_chart(session: Session) -> Response:
    """Get a chart of power with forecasts and schedules, to be embedded in a web page with Bokeh."""
    user = sender("Prosumer")
    query = fill_in(PowerChartQuery, _read_query(), "querystring", _ALIASES)
    resource = find_resource(session, user, query.resource)
    question = PowerQuestion(
        query.start_time,
        query.end_time,
        query.resolution,
        zone=current_app.config["FLEXMEASURES_TIMEZONE"],
        forecast_horizon=query.forecast_horizon,
        individual=query.show_individual_traces_for,
    )
    chart = read_power_chart(session, resource, question)
    # Loading Bokeh takes half a second and 30 MB, of which a worker that draws nothing need not know.
    from flexmeasures.api.rest.power_figure import draw_power  # noqa: PLC0415 - see above

    item = draw_power(resource, question, chart, query.show_consumption_as_positive)
    return json_response({**item, "status": 200})


def _read_query() -> dict[str, Any]:
    """Read the query; a second ``resolution`` is the forecast horizon, as in the example of the documentation."""
    fields = read_arguments(request)
    given = request.args.getlist("resolution")
    if len(given) == 2:
        fields.setdefault("forecast_horizon", given[1])
    elif len(given) > 2:
        raise refuse("querystring", {"resolution": ["Give one resolution."]})
    return fields


@blueprint.get("/ui/static/bokeh/<name>.min.js")
def get_bokeh(name: str) -> Response:
    """Serve the library that draws the charts, in the version that wrote them."""
    spec = importlib.util.find_spec("bokeh") if name in _SCRIPTS else None
    if spec is None or not spec.submodule_search_locations:
        abort(404)
    folder = Path(spec.submodule_search_locations[0]) / "server" / "static" / "js"
    return send_file(folder / f"{name}.min.js", mimetype="text/javascript", max_age=3600, conditional=True)
