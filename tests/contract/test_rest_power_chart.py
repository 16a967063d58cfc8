"""The power chart: who gets one, what it asks for, and what it shows."""

from __future__ import annotations

import base64
import gzip
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from sqlalchemy import event

from flexmeasures.data.database import db
from flexmeasures.data.stores.beliefs import SensorBeliefs, insert_beliefs
from flexmeasures.data.stores.users import get_or_create_source
from flexmeasures.data.tables import User
from flexmeasures.domain.beliefs import Beliefs
from flexmeasures.domain.time import event_grid
from flexmeasures.services.assets import visible_assets
from flexmeasures.services.resources import find_resource, list_groups

DAY = datetime(2015, 1, 1, tzinfo=UTC)
HOUR = {
    "start_time": "2015-01-01T00:00:00+00:00",
    "end_time": "2015-01-01T01:00:00+00:00",
    "resolution": "PT15M",
}


def believe(asset_id: int, values: list[float], horizon: timedelta, source_type: str = "script") -> None:
    """Store beliefs about the first quarter hours of the day; needs an app context."""
    source = get_or_create_source(db.session, "FlexMeasures", source_type)
    starts = event_grid(DAY, timedelta(minutes=15), len(values))
    beliefs = Beliefs(
        starts,
        np.array(values),
        np.full(len(values), np.timedelta64(horizon, "us")),
        np.full(len(values), source.id, dtype=np.int32),
    )
    insert_beliefs(db.session, [SensorBeliefs(asset_id, beliefs)])
    db.session.commit()


@pytest.fixture
def battery_data(app: Any, cast: Any) -> None:
    """An hour of measurements, forecasts and a schedule of the battery."""
    with app.app_context():
        battery = cast.assets["battery"]
        believe(battery, [1.0, 2.0, 3.0, 4.0], timedelta(0))
        believe(battery, [0.0, 0.0, 0.0, 0.0], timedelta(hours=1), "forecaster")
        believe(battery, [1.5, 1.5, 1.5, 1.5], timedelta(hours=6), "forecaster")
        believe(battery, [2.0, 2.0, -2.0, -2.0], timedelta(hours=3), "scheduler")


def find(item: Any, name: str) -> list[dict[str, Any]]:
    """Find the models of a Bokeh item by what they are."""
    if isinstance(item, dict):
        found = [item] if item.get("type") == "object" and item.get("name") == name else []
        return found + [model for value in item.values() for model in find(value, name)]
    if isinstance(item, list):
        return [model for value in item for model in find(value, name)]
    return []


def lines(item: dict[str, Any]) -> dict[str, list[float]]:
    """Read the lines of a chart, by name."""
    labels = [legend["attributes"]["label"]["value"] for legend in find(item, "LegendItem")]
    columns = [
        read_column(dict(source["attributes"]["data"]["entries"])["power"]).tolist()
        for source in find(item["doc"], "ColumnDataSource")
    ]
    # Two sources a line: its steps with the last value once more, and its dots.
    return dict(zip(labels, columns[1::2], strict=True))


def read_column(value: dict[str, Any]) -> np.ndarray:
    """Decode a column."""
    payload = base64.b64decode(value["array"]["data"])
    if payload.startswith(b"\x1f\x8b"):
        payload = gzip.decompress(payload)
    return np.frombuffer(payload, dtype=value["dtype"])


def title(item: dict[str, Any]) -> str:
    """Read the title of a chart."""
    return find(item, "Title")[0]["attributes"]["text"]


@pytest.mark.usefixtures("battery_data")
def test_owner_gets_power_forecast_and_schedule(owner):
    """An item holds what was measured, forecast at least six hours before, and planned, in MW."""
    answer = owner.get("charts/power", resource="Test battery", **HOUR)
    assert answer.status_code == 200, answer.json
    assert answer.json["status"] == 200
    assert {"target_id", "root_id", "doc"} <= answer.json.keys()
    assert title(answer.json) == "Electricity consumption of Test battery"
    assert lines(answer.json) == {
        "Actual": [1, 2, 3, 4],
        "Forecast (made 6 hours or more before)": [1.5, 1.5, 1.5, 1.5],
        "Schedule": [2, 2, -2, -2],
    }
    labels = {axis["attributes"]["axis_label"] for axis in find(answer.json, "LinearAxis")}
    assert labels == {"Power [MW]", "Time (Asia/Seoul, resolution of 15 minutes)"}


@pytest.mark.usefixtures("battery_data")
def test_request_as_in_the_documentation(owner):
    """The documentation's example is understood: its names, its way of writing times, and its second resolution."""
    answer = owner.client.get(
        "/api/v2_0/charts/power?resource=Test+battery&start_time=2015-01-01:00:00:00UTC"
        "&end_time=2015-01-01:01:00:00UTC&resolution=PT30M&consumption_as_positive=false&resolution=PT1H"
        "&show_individual_traces_for=none",
        headers=owner.headers,
    )
    assert answer.status_code == 200, answer.json
    assert title(answer.json) == "Electricity production from Test battery"
    shown = lines(answer.json)
    assert shown["Actual"] == [-1.5, -3.5]
    assert shown["Forecast (made 1 hour or more before)"] == [0, 0]


@pytest.mark.usefixtures("battery_data")
@pytest.mark.parametrize("time", ["20150101T000000Z", "2015-01-01T09:00:00+09:00", "2015-01-01 00:00:00Z"])
def test_times_can_be_written_in_other_ways(owner, time):
    """Times without colons, in other zones, and with a plus sign that became a space, mean what they say."""
    query = f"start_time={time}&end_time=2015-01-01T01:00:00Z&resolution=PT15M&resource=Test battery"
    answer = owner.client.get(f"/api/v2_0/charts/power?{query}", headers=owner.headers)
    assert answer.status_code == 200, answer.json
    assert lines(answer.json)["Actual"] == [1, 2, 3, 4]


@pytest.mark.usefixtures("battery_data")
def test_group_adds_up_what_is_known(app, owner, cast):
    """The power of a group is the sum of what is known of its assets, at most as fine as asked."""
    with app.app_context():
        believe(cast.assets["station"], [1.0, 1.0], timedelta(0))
        believe(cast.assets["two_way"], [0.5, 0.5, -0.5], timedelta(0))
    shown = lines(owner.get("charts/power", resource="EVSE", **HOUR).json)
    assert np.array_equal(shown["Actual"], [1.5, 1.5, -0.5, np.nan], equal_nan=True)
    finer = {**HOUR, "resolution": "PT5M", "end_time": "2015-01-01T00:30:00Z"}
    assert lines(owner.get("charts/power", resource="EVSE", **finer).json)["Actual"] == [1.5] * 6


@pytest.mark.usefixtures("battery_data")
def test_assets_of_a_group_can_have_their_own_lines(app, owner, cast):
    """Individual traces take the place of the sum, and forecasts are left out."""
    with app.app_context():
        believe(cast.assets["station"], [1.0], timedelta(0))
        believe(cast.assets["two_way"], [0.5], timedelta(0))
        believe(cast.assets["two_way"], [0.7], timedelta(hours=7), "forecaster")
    hour = {**HOUR, "end_time": "2015-01-01T00:15:00Z"}
    answer = owner.get("charts/power", resource="EVSE", show_individual_traces_for="power", **hour)
    assert lines(answer.json) == {
        "Actual: Test charging station": [1.0],
        "Actual: Test charging station (bidirectional)": [0.5],
    }


def test_group_takes_as_many_queries_as_an_asset(app, owner, cast):
    """A chart of several assets is read with as many queries as a chart of one."""
    with app.app_context():
        engine = db.engine
        believe(cast.assets["station"], [1.0], timedelta(0))
        believe(cast.assets["two_way"], [0.5], timedelta(0))
    counts = []
    for resource in ("Test charging station", "EVSE"):
        statements: list[str] = []
        listen = lambda *args, log=statements: log.append(args[2])  # noqa: E731 - a listener
        event.listen(engine, "before_cursor_execute", listen)
        assert owner.get("charts/power", resource=resource, **HOUR).status_code == 200
        event.remove(engine, "before_cursor_execute", listen)
        counts.append(len(statements))
    assert counts[1] <= counts[0]


def test_empty_chart_says_so(owner):
    """Where nothing is known the chart says so in words."""
    answer = owner.get("charts/power", resource="Test roof", **HOUR)
    assert answer.status_code == 200
    (label,) = find(answer.json, "Label")
    assert label["attributes"]["text"] == "No power of Test roof is known for this period yet."
    assert find(answer.json, "LegendItem") == []


@pytest.mark.parametrize("resource", ["Foreign battery", "No such battery", "wind turbines", "EVSE"])
def test_unknown_and_foreign_resources_are_not_found(stranger, owner, resource):
    """What belongs to others looks like what does not exist: an asset, and a group of which one has nothing."""
    asker = owner if resource == "Foreign battery" else stranger
    answer = asker.get("charts/power", resource=resource, **HOUR)
    assert (answer.status_code, answer.json["status"]) == (404, 404)
    assert answer.json["message"].startswith(f"Resource {resource!r} not found.")


def test_who_may_see_charts(app, client, cast, owner, admin):
    """Prosumers and admins may, by token or by session; others are forbidden, and strangers asked who they are."""
    path = "/api/v2_0/charts/power"
    query = {"resource": "Test battery", **HOUR}
    assert client.get(path, query_string=query).status_code == 401
    assert admin.get("charts/power", **query).status_code == 200
    token = owner.headers["Authorization"]
    assert client.get(path, query_string={**query, "auth_token": token}).status_code == 200
    for email, code in ((cast.owner_email, 200), (cast.supplier_email, 403)):
        browser = app.test_client()
        browser.post("/login", data={"email": email, "password": cast.password})
        assert browser.get(path, query_string=query).status_code == code


@pytest.mark.parametrize(
    ("changes", "field", "text"),
    [
        ({"start_time": "2015-01-01T00:00:00"}, "start_time", "time zone"),
        ({"start_time": "yesterday"}, "start_time", "ISO 8601"),
        ({"end_time": "2015-01-01T00:00:00Z"}, "end_time", "later"),
        ({"end_time": "2300-01-01T00:00:00Z", "resolution": "P100D"}, "end_time", "from 1900 to 2200"),
        ({"resource": "a\0b"}, "resource", "Null characters"),
        ({"resolution": "15T"}, "resolution", "ISO 8601"),
        ({"resolution": "PT0M"}, "resolution", "longer than zero"),
        ({"resolution": "P1M"}, "resolution", "fixed length"),
        ({"resolution": "PT0.001S"}, "resolution", "coarser"),
        ({"resolution": ["PT15M", "PT6H", "PT1H"]}, "resolution", "one"),
        ({"forecast_horizon": "soon"}, "forecast_horizon", "ISO 8601"),
        ({"show_individual_traces_for": "all"}, "show_individual_traces_for", "none"),
        ({"show_consumption_as_positive": "perhaps"}, "show_consumption_as_positive", "boolean"),
        ({"colour": "red"}, "colour", "Unknown field."),
    ],
)
def test_wrong_queries_are_explained(owner, changes, field, text):
    """A wrong argument is refused by its name."""
    answer = owner.get("charts/power", **{"resource": "Test battery", **HOUR, **changes})
    assert answer.status_code == 422
    assert answer.json["status"] == "UNPROCESSABLE_ENTITY"
    assert text in answer.json["message"]["querystring"][field][0]


def test_missing_arguments_are_named(owner):
    """All missing arguments are named at once."""
    answer = owner.get("charts/power")
    assert answer.json["message"]["querystring"].keys() == {
        "resource",
        "start_time",
        "end_time",
        "resolution",
    }


def test_days_follow_the_calendar_of_the_platform(app, owner, cast):
    """Steps of a day that start at midnight have 23 hours where the clock goes forward."""
    app.config["FLEXMEASURES_TIMEZONE"] = "Europe/Amsterdam"
    with app.app_context():
        source = get_or_create_source(db.session, "FlexMeasures", "script")
        starts = event_grid(datetime(2015, 3, 28, 23, tzinfo=UTC), timedelta(minutes=15), 92 + 96)
        values = np.concatenate([np.ones(92), np.full(96, 2.0)])
        beliefs = Beliefs(
            starts, values, np.zeros(188, dtype="timedelta64[us]"), np.full(188, source.id, dtype=np.int32)
        )
        insert_beliefs(db.session, [SensorBeliefs(cast.assets["battery"], beliefs)])
        db.session.commit()
    answer = owner.get(
        "charts/power",
        resource="Test battery",
        start_time="2015-03-29T00:00:00+01:00",
        end_time="2015-03-31T00:00:00+02:00",
        resolution="P1D",
    )
    assert lines(answer.json)["Actual"] == [1, 2]


def test_bokeh_comes_from_us(client):
    """The library that draws is served by us, in the version that wrote the charts; nothing else of it is."""
    with client.get("/ui/static/bokeh/bokeh.min.js") as answer:
        assert answer.status_code == 200
        assert answer.mimetype == "text/javascript"
        assert len(answer.data) > 100_000
    assert client.get("/ui/static/bokeh/compiler.min.js").status_code == 404


@pytest.mark.parametrize(
    ("resource", "members"),
    [
        ("renewables", {"Test roof"}),
        ("solar panels", {"Test roof"}),
        ("stationary batteries", {"Test battery"}),
        ("EVSE", {"Test charging station", "Test charging station (bidirectional)"}),
        (
            "Test charging station (Charge Point)",
            {"Test charging station", "Test charging station (bidirectional)"},
        ),
    ],
)
def test_groups_hold_ones_own_assets(app, cast, resource, members):
    """A group is found by its name, holds the asker's own assets, and is listed among their groups."""
    with app.app_context():
        owner = db.session.get(User, cast.owner_id)
        found = find_resource(db.session, owner, resource)
        assert {asset.name for asset in found.assets} == members
        listed = {group.name: group for group in list_groups(visible_assets(db.session, owner))}
        assert listed[resource] == found
