"""Forecasts, their accuracy and external weather on the command line."""

import json
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from click.testing import CliRunner
from flask.cli import ScriptInfo
from sqlalchemy import text

from flexmeasures.cli.add import add
from flexmeasures.cli.show import show
from flexmeasures.data.database import db
from flexmeasures.data.stores.beliefs import SensorBeliefs, insert_beliefs
from flexmeasures.data.stores.users import get_or_create_source
from flexmeasures.domain.addresses import WeatherSensorAddress
from flexmeasures.domain.beliefs import Beliefs
from flexmeasures.domain.errors import InvalidInput
from flexmeasures.domain.time import event_grid
from flexmeasures.jobs.queues import get_queue
from flexmeasures.jobs.workers import make_worker
from flexmeasures.services.forecasts.external_weather import grid_of_places
from flexmeasures.services.weather import find_or_make_weather_sensor

START = datetime(2024, 1, 1, tzinfo=UTC)
HOUR, QUARTER = timedelta(hours=1), timedelta(minutes=15)


@pytest.fixture
def run(app):
    """Run a command in the app, and give its outcome."""
    app.config["FLEXMEASURES_TIMEZONE"] = "UTC"

    def call(group, *words):
        return CliRunner().invoke(group, [str(word) for word in words], obj=app_of(app))

    return call


def app_of(app):
    """Give a command the app."""
    return ScriptInfo(create_app=lambda: app)


@pytest.fixture
def measured(app, cast):
    """Two weeks of the building's power; the number of its sensor."""
    quarters = np.arange(14 * 96)
    values = 0.2 + 0.1 * np.sin(2 * np.pi * quarters / 96)
    sensor_id = cast.assets["building"]
    with app.app_context():
        source = get_or_create_source(db.session, "meter", "script")
        beliefs = Beliefs(
            event_grid(START, QUARTER, len(values)),
            values,
            np.zeros(len(values), "timedelta64[us]"),
            np.full(len(values), source.id, np.int32),
        )
        insert_beliefs(db.session, [SensorBeliefs(sensor_id, beliefs)])
        db.session.commit()
    return sensor_id


def forecasts(*words):
    """Ask for forecasts of the building from 10 to 12 January."""
    period = ("--from-date", "2024-01-10", "--to-date", "2024-01-12")
    return ("forecasts", "--asset-type", "Asset", *period, *words)


def test_a_batch_forecasts_a_period(app, run, cast, measured):
    """Two days of quarter-hours at two horizons are 384 forecasts, and the outcome counts them."""
    outcome = run(add, *forecasts("--asset-id", measured, "--horizon", 1, "--horizon", 24))
    assert outcome.exit_code == 0, outcome.output
    assert "384 Power Forecasts were made" in outcome.output
    assert "0 Price Forecasts were made" in outcome.output
    with app.app_context():
        rows = db.session.execute(
            text(
                "select belief_horizon, min(event_start), max(event_start), count(*) from belief"
                " join data_source on data_source.id = source_id where type = 'forecaster'"
                " and cumulative_probability = 0.5 group by 1 order by 1"
            )
        ).all()
    first, last = datetime(2024, 1, 10, tzinfo=UTC), datetime(2024, 1, 11, 23, 45, tzinfo=UTC)
    assert rows == [(HOUR, first, last, 192), (24 * HOUR, first, last, 192)]


def test_a_batch_as_jobs(app, run, measured):
    """Jobs wait until workers run them; then the same events are forecast."""
    outcome = run(add, *forecasts("--asset-id", measured, "--horizon", 6, "--as-job"))
    assert "1 jobs wait" in outcome.output
    assert len(get_queue(app, "forecasting").jobs) == 1
    make_worker(app, ["forecasting"]).work(burst=True)
    with app.app_context():
        count = (
            "select count(*) from belief where belief_horizon = '6 hours' and cumulative_probability = 0.5"
        )
        assert db.session.scalar(text(count)) == 192


def test_what_cannot_be_forecast_is_skipped(run, cast, measured):
    """Assets without measurements are named, and the others are forecast."""
    outcome = run(add, *forecasts("--horizon", 1, "--model", "naive"))
    assert outcome.exit_code == 0
    assert f"Skipping sensor {cast.assets['solar']}, 1 h ahead: No data available at all" in outcome.output
    assert "192 Power Forecasts were made" in outcome.output


@pytest.mark.parametrize(
    ("words", "said", "code"),
    [
        pytest.param(["--asset-id", 3], "please also specify --asset-type", 0, id="id without type"),
        pytest.param(
            ["--asset-type", "Market", "--asset-id", 9999], "No such assets in db", 0, id="no match"
        ),
        pytest.param(["--to-date", "2015-02-08"], "must lie after", 2, id="no period"),
        pytest.param(["--horizon", 18], "18", 2, id="a horizon that there is not"),
        pytest.param(["--asset-type", "House"], "House", 2, id="a type that there is not"),
    ],
)
def test_wrong_wishes_are_explained(run, cast, words, said, code):
    """The documented messages, and a usage error for what the command does not know."""
    outcome = run(add, "forecasts", *words)
    assert said in outcome.output
    assert outcome.exit_code == code


def test_accuracy_by_source_and_horizon(app, run, measured):
    """The naive forecast of a sine an hour ahead errs by a known amount; a posted forecast stands beside it."""
    run(add, *forecasts("--asset-id", measured, "--horizon", 1, "--model", "naive"))
    with app.app_context():
        source = get_or_create_source(db.session, "somebody else", "script")
        starts = event_grid(START + timedelta(days=10), QUARTER, 96)
        beliefs = Beliefs(
            starts,
            np.full(96, 0.25),
            np.full(96, np.timedelta64(7 * HOUR, "us")),
            np.full(96, source.id, np.int32),
        )
        insert_beliefs(db.session, [SensorBeliefs(measured, beliefs)])
        db.session.commit()
    words = ("accuracy", "--sensor", measured, "--from", "2024-01-10T00:00Z", "--until", "2024-01-12T00:00Z")
    rows = json.loads(run(show, *words, "--horizon", 1, "--horizon", 6, "--json").output)
    by = {(row["source"], row["horizon"]): row for row in rows}
    naive = by["Seita (naive model v1)", "PT1H"]
    # 0.1 · |sin x − sin(x − 15°)| = 0.2 · sin 7.5° · |cos|; the sampled mean of |cos| over a period is 2/π to 0.1 %.
    assert naive["count"] == 192
    assert naive["mae"] == pytest.approx(0.2 * np.sin(np.radians(7.5)) * 2 / np.pi, rel=2e-3)
    assert naive["wape"] == pytest.approx(naive["mae"] / 0.2, rel=1e-6)
    # The other source had said 0.25 where the mean is 0.2, seven hours before: it counts at both horizons.
    for horizon in ("PT1H", "PT6H"):
        assert by["somebody else", horizon]["bias"] == pytest.approx(0.05)
    assert ("Seita (naive model v1)", "PT6H") not in by
    assert "somebody else" in run(show, *words).output


def recorded(start, hours=48):
    """Make an answer in the format of Open-Meteo: times in Unix seconds, one list a quantity."""
    first = int(start.timestamp())
    return {
        "latitude": 33.4,
        "longitude": 126.5,
        "utc_offset_seconds": 0,
        "hourly_units": {"time": "unixtime", "temperature_2m": "°C", "wind_speed_10m": "m/s"},
        "hourly": {
            "time": [first + 3600 * n for n in range(hours)],
            "temperature_2m": [20.0 + n for n in range(hours)],
            "wind_speed_10m": [5.0] * (hours - 2) + [None, None],
            "shortwave_radiation": [100.0 * n for n in range(hours)],
        },
    }


@pytest.fixture
def service(app):
    """A weather service on this machine, which keeps what it was asked and answers what it is told."""
    asked, answers = [], []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(parse_qs(urlsplit(self.path).query))
            status, body = answers[-1]
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body if isinstance(body, bytes) else json.dumps(body).encode())

        def log_message(self, *words):
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    app.config["OPEN_METEO_URL"] = f"http://127.0.0.1:{server.server_port}"
    app.config["OPEN_METEO_API_KEY"] = "s3cret"
    yield asked, answers
    server.shutdown()
    server.server_close()


WEATHER = ("external-weather-forecasts", "--location", "33.4366,126.5269")


def test_weather_is_stored(app, run, cast, service):
    """Hours that have not begun are stored: temperature at its hour, radiation for the hour before, in our units."""
    asked, answers = service
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    answers.append((200, recorded(now - 2 * HOUR)))
    with app.app_context():
        ids = {}
        for name, unit in (("temperature", "°C"), ("radiation", "kW/m²")):
            place = WeatherSensorAddress(name, 33.4, 126.5)
            ids[name] = find_or_make_weather_sensor(db.session, place, make_with=(HOUR, unit)).id
        db.session.commit()
    outcome = run(add, *WEATHER, "--store-in-db")
    assert outcome.exit_code == 0, outcome.output
    assert asked[0]["latitude"] == ["33.436600"]
    assert asked[0]["apikey"] == ["s3cret"]
    with app.app_context():
        rows = dict(
            db.session.execute(
                text(
                    "select (sensor_id, event_start)::text, event_value from belief join data_source on id = source_id"
                    " where name = 'Open-Meteo'"
                )
            ).all()
        )
        found = {
            name: db.session.execute(
                text("select event_start, event_value from belief where sensor_id = :id order by 1"),
                {"id": number},
            ).all()
            for name, number in ids.items()
        }
    assert rows
    # The third value is of the hour that has begun; the next one is the first to come, unless an hour began meanwhile.
    begun = (datetime.now(UTC) - now) // HOUR
    passed = (found["temperature"][0][0] - now) // HOUR - 1
    assert 0 <= passed <= begun
    assert found["temperature"][0] == (now + (1 + passed) * HOUR, 23.0 + passed)
    assert len(found["temperature"]) == 45 - passed
    # Radiation at 14:00 is the mean from 13:00 to 14:00: 400 W/m² belong to the next hour.
    assert found["radiation"][0] == (now + (1 + passed) * HOUR, pytest.approx(0.4 + 0.1 * passed))


def test_weather_as_files(app, run, cast, service, tmp_path, monkeypatch):
    """A rectangle of four cells has nine corners: nine places, a file each."""
    monkeypatch.chdir(tmp_path)
    asked, answers = service
    answers.append((200, [recorded(START)] * 9))
    words = ("--location", "40,-90:30,-80", "--num_cells", 4, "--method", "square", "--region", "../texas")
    outcome = run(add, "external-weather-forecasts", *words)
    assert outcome.exit_code == 0, outcome.output
    assert len(asked[0]["latitude"][0].split(",")) == 9
    files = sorted(
        (tmp_path / "raw_data" / "weather-forecasts" / "texas").glob("*/forecast_lat_*_lng_*.json")
    )
    assert len(files) == 9
    assert json.loads(files[0].read_text())["wind_speed"]["values"] == [5.0] * 46


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        pytest.param((429, b"slow down"), "status 429", id="refused"),
        pytest.param((200, b"<html>"), "no answer", id="not JSON"),
        pytest.param((200, {"hourly": {"time": [1]}}), "cannot be read", id="another format"),
    ],
)
def test_a_faulty_weather_service_is_named(app, run, cast, service, answer, said):
    """What the service does wrong is said, without the key; the task is noted as failed."""
    service[1].append(answer)
    outcome = run(add, *WEATHER, "--store-in-db")
    assert said in str(outcome.exception)
    assert "s3cret" not in str(outcome.exception) + outcome.output
    with app.app_context():
        query = "select status from latest_task_run where name = 'get_weather_forecasts'"
        assert db.session.scalar(text(query)) is False


def test_weather_needs_a_sensor(app, run, cast, service):
    """Without any weather sensor nothing can be stored, and the error says what to do."""
    service[1].append((200, recorded(datetime.now(UTC))))
    with app.app_context():
        db.session.execute(text("delete from weather_sensor"))
        db.session.commit()
    assert "add weather-sensor" in str(run(add, *WEATHER, "--store-in-db").exception)


@pytest.mark.parametrize("location", ["33", "33,x", "100,5", "1,2:3,4:5,6", ""])
def test_malformed_locations_are_explained(run, cast, location):
    """A text that is not a place is named with the way to write one."""
    outcome = run(add, "external-weather-forecasts", "--location", location)
    assert outcome.exit_code == 2
    assert "is not a location" in outcome.output


def test_grids_cover_rectangles():
    """Ten cells are two by five, five along the longer side: 18 corners; with centres 28."""
    places = grid_of_places((52, 4), (50, 9), 10, centres=False)
    assert len(places) == 18
    assert len({latitude for latitude, _ in places}) == 3
    assert len(grid_of_places((52, 4), (50, 9), 10, centres=True)) == 28
    with pytest.raises(InvalidInput):
        grid_of_places((50, 4), (52, 9), 4, centres=False)
