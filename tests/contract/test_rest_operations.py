"""Ping, the latest runs of tasks, and the developers' endpoints."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from flexmeasures.data.database import db
from flexmeasures.data.stores.beliefs import SensorBeliefs, insert_beliefs
from flexmeasures.data.stores.users import get_or_create_source
from flexmeasures.data.tables import LatestTaskRun
from flexmeasures.domain.beliefs import Beliefs
from flexmeasures.domain.time import event_grid
from flexmeasures.services.users import create_user

TASK_TOKEN = "a token for monitors"


@pytest.fixture
def monitor(app: Any, client: Any) -> Any:
    """Ask for the last run of a task, as a monitor does."""
    app.config["FLEXMEASURES_TASK_CHECK_AUTH_TOKEN"] = TASK_TOKEN

    def ask(name: str | None = None, token: str | None = TASK_TOKEN) -> Any:
        headers = {} if token is None else {"Authorization": token}
        query = {} if name is None else {"name": name}
        return client.get("/api/ops/getLatestTaskRun", query_string=query, headers=headers)

    return ask


@pytest.fixture
def runner(app: Any, client: Any, cast: Any) -> Any:
    """Post the last run of a task, as a user with the role task-runner."""
    with app.app_context():
        user = create_user(db.session, email="cron@seita.nl", password_hash="none", roles=["task-runner"])
        db.session.flush()
        token = user.get_auth_token()
        db.session.commit()
    return lambda **fields: client.post(
        "/api/ops/postLatestTaskRun", data=fields, headers={"Authorization": token}
    )


def test_ping(client):
    """The server says that it answers, to anybody."""
    answer = client.get("/api/ops/ping")
    assert (answer.status_code, answer.json) == (200, {"message": "ok", "status": 200})


def test_task_run_is_posted_and_told(monitor, runner, app):
    """A run is kept, and told to a monitor with all that it wants to know; a later one takes its place."""
    assert runner(name="task-A", datetime="2015-01-01T12:00:00+01:00").json == {"status": "OK"}
    answer = monitor("task-A")
    assert answer.status_code == 200
    assert datetime.fromisoformat(answer.json.pop("lastrun")) == datetime(2015, 1, 1, 11, tzinfo=UTC)
    assert answer.json == {
        "status": "OK",
        "reason": "",
        "lastrun": answer.json["lastrun"],
        "frequency": 10,
        "process": "FlexMeasures",
        "server": "test",
    }
    app.config["MONITOR_FREQUENCY_TASK-A"] = 60
    assert runner(name="task-A", status="False").status_code == 200
    answer = monitor("task-A")
    assert (answer.status_code, answer.json["status"], answer.json["frequency"]) == (200, "ERROR", 60)
    assert datetime.now(UTC) - datetime.fromisoformat(answer.json["lastrun"]) < timedelta(minutes=1)


@pytest.mark.parametrize(
    ("name", "token", "code"),
    [
        ("task-A", None, 401),
        ("task-A", "wrong", 403),
        ("task-A", "wröng", 403),
        (None, TASK_TOKEN, 400),
        ("task-B", TASK_TOKEN, 404),
    ],
)
def test_monitors_must_know_the_token_and_the_task(monitor, runner, name, token, code):
    """Without the right token, or for an unknown task, nothing is told, in the form that a monitor reads."""
    runner(name="task-A")
    answer = monitor(name, token)
    assert answer.status_code == code
    assert (answer.json["status"], answer.json["lastrun"]) == ("ERROR", "1970-01-01T00:00:00")
    assert answer.json["reason"]


def test_without_a_setting_no_token_is_right(monitor, app):
    """An installation without a token for monitors tells them nothing."""
    app.config["FLEXMEASURES_TASK_CHECK_AUTH_TOKEN"] = None
    for token in ("", "None"):
        assert monitor("task-A", token).status_code == 403


@pytest.mark.parametrize("fields", [{}, {"name": "x" * 81}, {"name": "a", "datetime": "2015-01-01T00:00:00"}])
def test_wrong_task_runs_are_refused(runner, app, fields):
    """A run without a name, or at no instant, is refused with a reason, and not kept."""
    answer = runner(**fields)
    assert (answer.status_code, answer.json["status"]) == (400, "ERROR")
    assert answer.json["reason"]
    with app.app_context():
        assert db.session.query(LatestTaskRun).count() == 0


def test_only_task_runners_post_runs(owner, client):
    """Another role is forbidden to post, and nobody may without a token."""
    answer = client.post("/api/ops/postLatestTaskRun", data={"name": "task-A"}, headers=owner.headers)
    assert (answer.status_code, answer.json["status"]) == (403, "FORBIDDEN")
    assert client.post("/api/ops/postLatestTaskRun", data={"name": "task-A"}).status_code == 401


@pytest.fixture
def beliefs(app: Any, cast: Any) -> int:
    """Two beliefs about each of two quarter hours of the roof."""
    sensor_id = cast.assets["solar"]
    with app.app_context():
        source = get_or_create_source(db.session, "Clouds & sons", "forecaster")
        starts = np.repeat(event_grid(datetime(2015, 1, 1, tzinfo=UTC), timedelta(minutes=15), 2), 2)
        horizons = np.array([60, 0, 60, 0], dtype="timedelta64[m]").astype("timedelta64[us]")
        made = Beliefs(starts, np.array([1.0, 2, 3, 4]), horizons, np.full(4, source.id, dtype=np.int32))
        insert_beliefs(db.session, [SensorBeliefs(sensor_id, made)])
        db.session.commit()
    return sensor_id


def ask(caller: Any, path: str, **query: Any) -> Any:
    """Ask a developers' endpoint."""
    return caller.client.get(f"/api/dev/sensor/{path}", query_string=query, headers=caller.headers)


def test_sensor_is_described(admin, beliefs, cast, app):
    """A sensor is told with the time from its first event's start to its last one's end."""
    assert ask(admin, f"{beliefs}/").json == {
        "name": "Test roof",
        "timezone": "UTC",
        "timerange": {"start": "2015-01-01T00:00:00+00:00", "end": "2015-01-01T00:30:00+00:00"},
        "status": 200,
    }
    empty = ask(admin, f"{cast.assets['building']}/").json["timerange"]
    assert empty["start"] == empty["end"]
    with app.app_context():
        db.session.execute(
            db.text("delete from belief where sensor_id = :id and event_value > 1"), {"id": beliefs}
        )
        db.session.commit()
    assert ask(admin, f"{beliefs}/").json["timerange"]["end"] == "2015-01-01T00:15:00+00:00"


def test_chart_data_are_all_beliefs(admin, beliefs):
    """Each belief is a record, the superseded ones too, with times in milliseconds."""
    records = ask(admin, f"{beliefs}/chart_data/").json
    midnight = 1_420_070_400_000
    assert records[0] == {
        "event_start": midnight,
        "belief_time": midnight + 15 * 60_000,
        "source": "Clouds & sons",
        "cumulative_probability": 0.5,
        "event_value": 2.0,
    }
    assert [r["event_value"] for r in records] == [2, 1, 4, 3]


@pytest.mark.parametrize(
    ("query", "values"),
    [
        ({"event_starts_after": "2015-01-01T00:00:00+00:00"}, [2, 1, 4, 3]),
        ({"event_starts_after": "2015-01-01T00:01:00+00:00"}, [4, 3]),
        ({"event_ends_before": "2015-01-01T00:15:00 00:00"}, [2, 1]),
        ({"beliefs_after": "2015-01-01T00:15:00Z"}, [2, 4]),
        ({"beliefs_before": "2014-12-31T23:15:00Z"}, [1]),
    ],
)
def test_beliefs_can_be_filtered(admin, beliefs, query, values):
    """Beliefs are chosen by their events and by when they were held, both ends included."""
    assert [r["event_value"] for r in ask(admin, f"{beliefs}/chart_data/", **query).json] == values


def test_chart_is_a_vega_lite_specification(admin, beliefs):
    """A chart names its data, and brings them if asked to."""
    chart = ask(admin, f"{beliefs}/chart/").json
    assert chart["mark"] == "bar"
    assert (chart["width"], chart["height"]) == (600, 300)
    assert chart["encoding"]["x"] == {"field": "event_start", "type": "temporal", "title": None}
    assert chart["encoding"]["y"]["title"] == "Test roof (MW)"
    assert chart["data"] == {"name": f"sensor_{beliefs}"}
    assert "datasets" not in chart
    chart = ask(admin, f"{beliefs}/chart/", include_data="true", dataset_name="mine").json
    assert chart["data"] == {"name": "mine"}
    assert len(chart["datasets"]["mine"]) == 4


def test_wrong_filters_and_sensors(admin, owner, client, beliefs):
    """A naive filter is refused, an unknown sensor not found, others forbidden, visitors sent to log in."""
    answer = ask(admin, f"{beliefs}/chart_data/", beliefs_before="2015-01-01T00:00:00")
    assert answer.status_code == 422
    assert "time zone" in answer.json["message"]["query"]["beliefs_before"][0]
    answer = ask(admin, "9999/")
    assert (answer.status_code, answer.json["message"]) == (404, "Sensor 9999 not found")
    assert ask(owner, f"{beliefs}/").status_code == 403
    answer = client.get(f"/api/dev/sensor/{beliefs}/")
    assert answer.status_code == 302
    assert answer.location.startswith("/login")


def test_beliefs_are_limited(admin, beliefs, app):
    """More beliefs than one request may ask for are refused."""
    app.config["FLEXMEASURES_MAX_VALUES_PER_REQUEST"] = 3
    assert ask(admin, f"{beliefs}/chart_data/").status_code == 413
