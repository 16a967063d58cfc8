"""Commands that delete, edit and watch: what they change, what they say, and what they refuse."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from rq.job import Job
from sqlalchemy import func, select, text

from flexmeasures.data.database import db, redis_connection
from flexmeasures.data.stores.beliefs import SensorBeliefs, insert_beliefs
from flexmeasures.data.stores.users import get_or_create_source
from flexmeasures.data.tables import Account, Annotation, Asset, LatestTaskRun, Sensor, User
from flexmeasures.domain.beliefs import Beliefs
from flexmeasures.jobs.queues import get_queue
from flexmeasures.services.tasks import TaskRun, record_task_run

START = datetime(2024, 3, 1, tzinfo=UTC)
HOUR = np.timedelta64(3600_000_000, "us")


@pytest.fixture
def believe(app, cast):
    """Store beliefs about a sensor: (event, horizon [h], value) each, from a source of that name."""

    def store(sensor_id: int, rows: list[tuple[int, float, float]], source: str = "meter") -> None:
        with app.app_context():
            source_id = get_or_create_source(db.session, source, "script").id
            events, horizons, values = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
            beliefs = Beliefs(
                np.datetime64("2024-03-01", "us") + (events * 900e6).astype("timedelta64[us]"),
                values,
                (horizons * 3600e6).astype("timedelta64[us]"),
                np.full(len(rows), source_id, dtype=np.int32),
            )
            insert_beliefs(db.session, [SensorBeliefs(sensor_id, beliefs)])
            db.session.commit()

    return store


def beliefs_of(app, sensor_id):
    """List (event, horizon [h], value) of a sensor."""
    query = (
        "select extract(epoch from event_start - '2024-03-01T00:00Z')::int / 900,"
        " extract(epoch from belief_horizon)::int / 3600, event_value from belief"
        " where sensor_id = :id order by event_start, belief_horizon desc"
    )
    with app.app_context():
        return [tuple(row) for row in db.session.execute(text(query), {"id": sensor_id})]


MEASURED_AND_FORECAST = [(0, 0, 1.0), (1, -1, 2.0), (1, 6, 3.0), (2, 24, 4.0)]


@pytest.mark.parametrize(
    ("words", "left"),
    [
        pytest.param(("measurements", "--force"), [(1, 6, 3.0), (2, 24, 4.0)], id="measurements"),
        pytest.param(("prognoses", "--yes"), [(0, 0, 1.0), (1, -1, 2.0)], id="prognoses"),
        pytest.param(("forecasts", "-y"), [(0, 0, 1.0), (1, -1, 2.0)], id="by its other name"),
        pytest.param(
            ("measurements", "--asset-type", "Market", "--force"), MEASURED_AND_FORECAST, id="of markets"
        ),
    ],
)
def test_measurements_and_prognoses_are_told_apart_by_horizon(app, cast, command, believe, words, left):
    """Measurements are held when their event has ended (horizon ≤ 0) or later, prognoses before."""
    battery = cast.assets["battery"]
    believe(battery, MEASURED_AND_FORECAST)
    said = command("delete", *words)
    expected = sorted(left, key=lambda row: (row[0], -row[1]))
    assert beliefs_of(app, battery) == expected
    gone = len(MEASURED_AND_FORECAST) - len(left)
    if "Market" not in words:
        assert f"Deleted {gone} Power" in said


def test_a_deletion_asks_first(app, cast, command, believe):
    """Without --yes a deletion asks, names what goes, and leaves everything as it is if the answer is no."""
    battery = cast.assets["battery"]
    believe(battery, MEASURED_AND_FORECAST)
    said = command("delete", "measurements", typed="n\n", exit_code=1)
    assert "Do you want to continue? [y/N]" in said
    assert "Aborted" in said
    assert "password" not in said
    assert len(beliefs_of(app, battery)) == 4
    command("delete", "measurements", typed="y\n")
    assert len(beliefs_of(app, battery)) == 2


def test_a_deletion_by_id_needs_a_type(app, cast, command, believe):
    """An id without a type is explained, and nothing is deleted."""
    believe(cast.assets["battery"], MEASURED_AND_FORECAST)
    said = command("delete", "measurements", "--asset-id", "1", "--force")
    assert said.startswith("If you specify --asset-id, please also specify --asset-type")
    assert len(beliefs_of(app, cast.assets["battery"])) == 4


def test_one_asset_keeps_the_jobs_of_others(app, cast, command, believe):
    """Deleting the forecasts of one asset leaves other assets and the queues alone."""
    battery, solar = cast.assets["battery"], cast.assets["solar"]
    for sensor in (battery, solar):
        believe(sensor, MEASURED_AND_FORECAST)
    with app.app_context():
        get_queue(app, "forecasting").enqueue_call("time.sleep", (0,))
    command("delete", "prognoses", "--asset-type", "Asset", "--asset-id", str(battery), "--yes")
    assert (len(beliefs_of(app, battery)), len(beliefs_of(app, solar))) == (2, 4)
    assert get_queue(app, "forecasting").count == 1
    assert "Deleted 1 Forecast Jobs" in command("delete", "prognoses", "--yes")
    assert get_queue(app, "forecasting").count == 0


def test_unchanged_beliefs_go_and_changes_stay(app, cast, command, believe):
    """A belief that repeats what its source said of the event before goes; one that returns to a value stays."""
    battery = cast.assets["battery"]
    believe(battery, [(0, 24, 5.0), (0, 6, 5.0), (0, 1, 7.0), (0, 0, 5.0), (1, 6, 5.0)])
    believe(battery, [(0, 3, 7.0)], "another")
    assert "Deleted 1 unchanged beliefs." in command(
        "delete", "unchanged-beliefs", "--sensor", str(battery), "--yes"
    )
    assert beliefs_of(app, battery) == [(0, 24, 5.0), (0, 3, 7.0), (0, 1, 7.0), (0, 0, 5.0), (1, 6, 5.0)]


def test_unchanged_measurements_can_be_kept(app, cast, command, believe):
    """With --keep-measurements only forecasts are looked at."""
    battery = cast.assets["battery"]
    believe(battery, [(0, 6, 5.0), (0, 1, 5.0), (0, 0, 5.0)])
    command("delete", "unchanged-beliefs", "--sensor", str(battery), "--keep-measurements", "--yes")
    assert beliefs_of(app, battery) == [(0, 6, 5.0), (0, 0, 5.0)]


def test_beliefs_of_a_source_or_a_period_go(app, cast, command, believe):
    """Beliefs are chosen by sensor, source and period; those without a number by a command of their own."""
    battery = cast.assets["battery"]
    believe(battery, [(n, 0, float(n)) for n in range(4)])
    believe(battery, [(3, 1, float("nan"))], "broken meter")
    assert "Deleted 1 NaN beliefs." in command("delete", "nan-beliefs", "--yes")
    period = ("--start", "2024-03-01T00:15Z", "--end", "2024-03-01T00:45Z")
    command("delete", "beliefs", "--asset", str(battery), *period, "--yes")
    assert beliefs_of(app, battery) == [(0, 0, 0.0), (3, 0, 3.0)]
    assert "Deleted 0 beliefs." in command(
        "delete", "beliefs", "--sensor", str(battery), "--source", "999", "--yes"
    )


def test_a_user_goes_with_their_assets(app, cast, command, believe):
    """A user goes with their assets and what is believed about these; sources and others stay."""
    believe(cast.assets["battery"], MEASURED_AND_FORECAST)
    command("delete", "user", "--email", cast.owner_email, typed="n\n", exit_code=1)
    assert "Deleted user" in command("delete", "user", "--email", cast.owner_email)  # as scripts of 0.4.0 do
    with app.app_context():
        assert db.session.scalar(select(func.count()).where(User.email == cast.owner_email)) == 0
        assert db.session.get(Asset, cast.assets["battery"]) is None
        assert db.session.scalar(select(func.count()).where(User.email == cast.stranger_email)) == 1
    assert beliefs_of(app, cast.assets["battery"]) == []
    refused = command("delete", "user", "--email", "nobody@example.com", "--yes", exit_code=1)
    assert "Could not find user with email address 'nobody@example.com' ..." in refused


def test_structure_goes_as_a_whole(app, cast, command, believe):
    """All structure goes, with counts; adding it again works."""
    believe(cast.assets["battery"], MEASURED_AND_FORECAST)
    assert "Aborted" in command("delete", "structure", typed="n\n", exit_code=1)
    said = command("delete", "structure", "--force")
    for counted in (
        "MarketTypes",
        "Markets",
        "WeatherSensorTypes",
        "AssetTypes",
        "Assets",
        "DataSources",
        "Roles",
    ):
        assert counted in said
    with app.app_context():
        for kind in (User, Asset, Sensor, Account):
            assert db.session.scalar(select(func.count()).select_from(kind)) == 0
        assert db.session.scalar(text("select count(*) from belief")) == 0
    assert "DB now has" in command("add", "structure")


def test_assets_sensors_and_accounts_go(app, cast, command):
    """An asset goes with its parts, a sensor alone, an account with everything in it."""
    command("add", "account", "--name", "Street")
    site = command("add", "asset", "--name", "site", "--asset-type-name", "building", "--account", "Street")
    site_id = site.split()[-1]
    part = command("add", "asset", "--name", "part", "--asset-type-name", "battery", "--parent", site_id)
    part_id = part.split()[-1]
    sensor = command(
        *(
            "add",
            "sensor",
            "--name",
            "temperature",
            "--asset",
            part_id,
            "--unit",
            "°C",
            "--event-resolution",
            "15",
        )
    )
    sensor_id = sensor.split()[-1]
    assert "with 0 beliefs" in command("delete", "sensor", "--id", sensor_id, "--yes")
    command("delete", "asset", "--id", site_id, "--yes")
    with app.app_context():
        assert db.session.get(Asset, int(part_id)) is None
    command("delete", "account", "--name", "Street", "--yes")
    assert "There is no account 'Street'" in command(
        "delete", "account", "--name", "Street", "--yes", exit_code=1
    )
    power = command("delete", "sensor", "--id", str(cast.assets["battery"]), "--yes", exit_code=1)
    assert "is the power sensor of asset" in power


def test_an_asset_is_edited_and_moved(app, cast, command):
    """What is mentioned changes, the asset moves below another one and back, and never below itself."""
    battery, building = cast.assets["battery"], cast.assets["building"]
    command(
        "edit",
        "asset",
        "--id",
        str(battery),
        "--name",
        "powerwall",
        "--max-soc-in-MWh",
        "7",
        "--parent",
        str(building),
    )
    with app.app_context():
        row = db.session.get_one(Asset, battery)
        assert (row.name, row.max_soc_in_mwh, row.parent_id) == ("powerwall", 7, building)
    loop = command("edit", "asset", "--id", str(building), "--parent", str(battery), exit_code=1)
    assert f"Asset {building} cannot be a part of asset {battery}" in loop
    command("edit", "asset", "--id", str(battery), "--no-parent")
    with app.app_context():
        assert db.session.get_one(Asset, battery).parent_id is None
    wrong = command("edit", "asset", "--id", str(battery), "--name", "other", "--latitude", "91", exit_code=1)
    assert "latitude: Latitude must be between -90 and 90 degrees." in wrong
    with app.app_context():
        assert db.session.get_one(Asset, battery).name == "powerwall"


def test_a_plain_asset_and_its_sensor_are_edited(app, cast, command):
    """An asset without an owner is edited as well; options of connections are refused for it."""
    command("add", "account", "--name", "Street")
    site = command(
        "add", "asset", "--name", "site", "--asset-type-name", "building", "--account", "Street"
    ).split()[-1]
    command("edit", "asset", "--id", site, "--name", "home", "--latitude", "52", "--longitude", "5")
    refused = command("edit", "asset", "--id", site, "--market-id", "1", exit_code=2)
    assert "market_id: only for an asset with an owner" in refused
    sensor = command(
        *("add", "sensor", "--name", "a", "--asset", site, "--unit", "kW", "--event-resolution", "15")
    )
    number = sensor.split()[-1]
    command("edit", "sensor", "--id", number, "--name", "power", "--unit", "MW", "--event-resolution", "60")
    with app.app_context():
        assert (db.session.get_one(Asset, int(site)).name, db.session.get_one(Asset, int(site)).latitude) == (
            "home",
            52,
        )
        row = db.session.get_one(Sensor, int(number))
        assert (row.name, row.unit, row.event_resolution) == ("power", "MW", timedelta(hours=1))


def test_values_keep_the_unit_of_a_sensor(app, cast, command, believe):
    """The unit of a sensor with values stays: they would no longer be what they were."""
    sensor = command(
        *("add", "sensor", "--name", "t", "--asset", str(cast.assets["building"])),
        *("--unit", "°C", "--event-resolution", "15"),
    )
    number = sensor.split()[-1]
    believe(int(number), [(0, 0, 20.0)])
    assert "its unit stays" in command("edit", "sensor", "--id", number, "--unit", "K", exit_code=1)


@pytest.mark.parametrize(
    ("words", "value"),
    [
        (("--value", '{"a": [1, 2.5]}'), {"a": [1, 2.5]}),
        (("--str", "NL"), "NL"),
        (("--float", "2.5"), 2.5),
        (("--int", "3"), 3),
        (("--bool", "false"), False),
        (("--list", "[1, 2]"), [1, 2]),
        (("--dict", '{"b": 1}'), {"b": 1}),
        (("--null",), None),
    ],
)
def test_attributes_are_edited(app, cast, command, words, value):
    """An attribute takes any JSON value, and can be taken away."""
    battery = str(cast.assets["battery"])
    command("edit", "attribute", "--asset", battery, "--attribute", "country", *words)
    with app.app_context():
        assert db.session.get_one(Asset, int(battery)).attributes == {"country": value}
    command("edit", "attribute", "--asset", battery, "--attribute", "country", "--delete")
    with app.app_context():
        assert db.session.get_one(Asset, int(battery)).attributes == {}
    gone = command("edit", "attribute", "--asset", battery, "--attribute", "country", "--delete", exit_code=1)
    assert "There is no attribute 'country'" in gone


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "Give the value once"),
        (("--value", "1", "--str", "a"), "Give the value once"),
        (("--value", "{"), "it is not JSON"),
        (("--value", "NaN"), "it is not JSON"),
        (("--float", "inf"), "not a finite number"),
        (("--list", "{}"), "it is not a JSON array"),
    ],
)
def test_a_wrong_value_is_refused(cast, command, words, told):
    """A value is given once and is JSON."""
    battery = str(cast.assets["battery"])
    assert told in command("edit", "attribute", "--asset", battery, "--attribute", "x", *words, exit_code=2)


def test_annotations_and_holidays(app, cast, command):
    """A day is a local one, also if the clocks change; holidays come from the calendar of a country, once."""
    battery = str(cast.assets["battery"])
    command(
        *("add", "annotation", "--content", "outage", "--at", "2024-03-31", "--type", "alert"),
        *("--asset", battery, "--timezone", "Europe/Amsterdam"),
    )
    [note] = json.loads(command("show", "annotations", "--json"))
    # The clocks go forward on 31 March 2024: from 23:00Z on, 23 hours.
    assert (note["start"], note["end"]) == ("2024-03-30T23:00:00Z", "2024-03-31T22:00:00Z")
    holidays = (
        "add",
        "holidays",
        "--year",
        "2024",
        "--country",
        "NL",
        "--asset",
        battery,
        "--timezone",
        "UTC",
    )
    first = command(*holidays)
    with app.app_context():
        kings_day = db.session.scalars(
            select(Annotation).where(Annotation.start == datetime(2024, 4, 27, tzinfo=UTC))
        ).one()
        assert kings_day.type == "holiday"
        count = db.session.scalar(select(func.count()).where(Annotation.type == "holiday"))
    assert f"Successfully added {count} holidays of NL." in first
    assert "Successfully added 0 holidays" in command(*holidays)
    assert "No holidays are known of 'XX'" in command(*holidays[:5], "XX", *holidays[6:], exit_code=1)
    command("delete", "annotation", "--id", str(note["id"]), "--yes")
    assert "There is no annotation" in command(
        "delete", "annotation", "--id", str(note["id"]), "--yes", exit_code=1
    )


def _fail() -> None:
    raise ValueError("the solver is missing")


def test_jobs_are_shown_inspected_and_retried(app, cast, command, work):
    """Queues are counted, a failed job says why, and waits again when it is retried."""
    with app.app_context():
        job = get_queue(app, "scheduling").enqueue_call(f"{__name__}._fail", description="plan battery 5")
    work()
    counted = {row["name"]: row for row in json.loads(command("jobs", "show", "--json"))}
    assert counted["scheduling"]["failed"] == 1
    [listed] = json.loads(command("jobs", "show", "--queue", "scheduling", "--json"))
    assert (listed["id"], listed["description"]) == (job.id, "plan battery 5")
    shown = json.loads(command("jobs", "inspect", job.id, "--json"))
    assert shown["status"] == "failed"
    assert shown["reason"]
    assert "1 jobs were placed again." in command("jobs", "retry", job.id)
    assert Job.fetch(job.id, connection=redis_connection(app)).get_status() == "queued"
    assert "Only jobs that have failed" in command("jobs", "retry", job.id, exit_code=1)
    work()
    assert "1 jobs were placed again." in command("jobs", "retry", "--queue", "scheduling")
    assert "There is no job 'x' any more" in command("jobs", "inspect", "x", exit_code=1)


def test_tasks_are_watched(app, command):
    """A task that failed, ran too long ago or never ran is told, and makes the command end with status 1."""
    now = datetime.now(UTC)
    with app.app_context():
        record_task_run(db.session, TaskRun("good", now, True))
        record_task_run(db.session, TaskRun("bad", now, False))
        record_task_run(db.session, TaskRun("old", now - timedelta(hours=3), True))
        db.session.commit()
        assert db.session.scalar(select(func.count()).select_from(LatestTaskRun)) == 3
    assert "good" in command("monitor", "tasks", "--task", "good:60")
    assert "Task bad: Its last run failed." in command("monitor", "tasks", "--task", "bad:60", exit_code=1)
    assert "Task old: It last ran 3 h 0 min ago." in command(
        "monitor", "latest-run", "--task", "old:60", exit_code=1
    )
    assert "Task none: It has never run." in command("monitor", "tasks", "--task", "none", exit_code=1)
    assert "old" in command("monitor", "tasks", "--max-age", "PT2H", exit_code=1)


def test_latest_data_are_watched(app, cast, command, believe):
    """The age of the latest measurement is counted from the end of its event; forecasts do not count."""
    battery = cast.assets["battery"]
    believe(battery, MEASURED_AND_FORECAST)
    rows = json.loads(command("monitor", "latest-data", "--sensor", str(battery), "--json"))
    assert rows[0]["latest_event_end"] == "2024-03-01T00:30:00Z"
    assert rows[0]["stale"] is False
    stale = command("monitor", "latest-data", "--max-age", "PT2H", "--sensor", str(battery), exit_code=1)
    assert f"Sensor {battery} " in stale
    never = command(
        "monitor", "latest-data", "--max-age", "PT2H", "--sensor", str(cast.assets["solar"]), exit_code=1
    )
    assert "has no recent data" in never


def test_alerts_name_what_deserves_attention(app, cast, command, believe):
    """Stale data, failed tasks and jobs without workers are alerts; without any the command ends with status 0."""
    assert "All is well." in command("monitor", "alerts", "--max-age", "P36500D")
    believe(cast.assets["battery"], MEASURED_AND_FORECAST)
    with app.app_context():
        record_task_run(db.session, TaskRun("weather", datetime.now(UTC), False))
        db.session.commit()
        get_queue(app, "forecasting").enqueue_call("time.sleep", (0,))
    said = command("monitor", "alerts", exit_code=1)
    for about in ("task weather", "queue forecasting", "sensor 2 (epex_da)", "4 alerts."):
        assert about in said


def test_silent_users_are_told(app, cast, command):
    """Users who were not seen lately are told, by role of the user."""
    said = command("monitor", "last-seen", "--max-minutes", "60", "--user-role", "Prosumer", exit_code=1)
    assert "was not seen for 60 minutes" in said
    with app.app_context():
        for user in db.session.scalars(select(User)):
            user.last_seen_at = datetime.now(UTC)
        db.session.commit()
    assert "All users were seen lately." in command("monitor", "last-seen", "--max-minutes", "60")
