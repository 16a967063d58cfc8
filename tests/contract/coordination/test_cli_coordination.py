"""``flexmeasures coordination`` and ``flexmeasures add openadr-client``: the operator's tools."""

import csv
import io
import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from click.testing import CliRunner

from flexmeasures import cli
from flexmeasures.data.database import db
from flexmeasures.data.stores.beliefs import SensorBeliefs, insert_beliefs
from flexmeasures.data.stores.users import get_or_create_source
from flexmeasures.domain.beliefs import Beliefs
from flexmeasures.domain.time import event_grid, next_midnight
from flexmeasures.services.coordination.objects import write_instant
from flexmeasures.testing import make_sensor


@pytest.fixture
def run(app, monkeypatch):
    """Run a command on the app's database."""
    monkeypatch.setattr(cli, "_create_app", lambda *_: app)

    def run_command(*arguments, given=None, code=0):
        done = CliRunner().invoke(cli.cli, arguments, input=given)
        assert done.exit_code == code, done.output
        return done.stdout

    return run_command


SQUARE = "[[15, 78], [16, 78], [16, 79], [15, 79]]"
CURVE = "start,price\n2026-03-01T11:00:00Z,-0.40\n2026-03-01T12:00:00+00:00,-0.25\n"


def test_a_client_that_was_added_gets_tokens(run, client):
    """The secret that is made is shown, and opens the client with its scopes."""
    shown = json.loads(
        run("add", "openadr-client", "--client-id", "me", "--scopes", "read_targets", "--json")
    )
    form = {
        "grant_type": "client_credentials",
        "client_id": "me",
        "client_secret": shown["client_secret"],
    }
    answer = client.post("/openadr3/3.1.0/auth/token", data=form)
    assert answer.json["scope"] == "read_targets"
    run("add", "openadr-client", "--client-id", "me", code=1)


def test_from_a_curve_to_its_settlement(run, as_partner):
    """A curve from a CSV file reaches the partner; its report is missing until it comes, and the export names it."""
    area = run("coordination", "add-area", "--name", "town", "--program", "p", "--corners", SQUARE)
    target = area.split()[-1].rstrip(".")
    one = as_partner()
    one.made("/users", {"userId": "u"})
    place = {"coordinates": {"latitude": 78.5, "longitude": 15.5}, "meterPointIds": ["707"]}
    one.made("/users/u/locations", {"locationId": "home"} | place)
    one.made("/users/u/locations/home/resources", {"resourceId": "tank", "resourceType": "HotWaterTank"})
    one.ask("PUT", "/users/u/enrollment", {"program": "p"})
    options = ("--program", "p", "--target", target, "--currency", "NOK", "--json")
    event_id = json.loads(run("coordination", "send-curve", *options, "-", given=CURVE))["event_id"]
    (missing,) = json.loads(run("coordination", "missing-reports", "--json"))
    assert (missing["event_id"], missing["targets"], missing["answered"]) == (event_id, 1, 0)
    points = [{"kiloWattHours": 2, "timestamp": "2026-03-01T11:00:00.000Z"}]
    usage = {
        "payloadType": "EnergyUsage",
        "resourceId": "tank",
        "locationId": "home",
        "resolution": "01:00:00",
    }
    one.made("/reports", {"eventId": event_id, "payloads": [usage | {"curvePoints": points}]})
    assert json.loads(run("coordination", "missing-reports", "--json")) == []
    (line,) = csv.DictReader(io.StringIO(run("coordination", "settlement", "--month", "2026-03")))
    assert (line["kilowatt_hours"], line["price_delta"], line["resource_id"]) == ("2.000000", "-0.4", "tank")
    # Reported months after the month of delivery: stored, not paid.
    assert (line["is_in_time"], line["amount"]) == ("False", "0")


def test_late_acknowledgements_are_an_alarm(run, as_partner, app):
    """A power limit without acknowledgement for five minutes is listed, and the command ends with 1."""
    from flexmeasures.data.tables import DrEvent  # noqa: PLC0415

    one = as_partner()
    event = one.made("/simulation/events/locationLPC", {"targets": [{"locationId": "home"}]})
    assert json.loads(run("coordination", "late-acknowledgements", "--json")) == []
    with app.app_context():
        row = db.session.get(DrEvent, event["id"])
        row.created_at -= timedelta(minutes=6)
        db.session.commit()
    (late,) = json.loads(run("coordination", "late-acknowledgements", "--json", code=1))
    assert late["event_id"] == event["id"]
    about = {"payloadType": "LocationLPCAcknowledged", "acknowledgedTargets": [{"locationId": "home"}]}
    one.made("/reports", {"eventId": event["id"], "payloads": [about]})
    assert json.loads(run("coordination", "late-acknowledgements", "--json")) == []


def test_deliveries_are_shown(run, as_partner, receiver, deliver):
    """Each webhook of an event with its state and the answer of the endpoint."""
    one = as_partner()
    one.made("/webhooks", {"webhookUrl": receiver.url, "notificationTypes": ["PriceCurveCreated"]})
    event = one.made("/simulation/events/priceCurve", {})
    deliver()
    (shown,) = json.loads(run("coordination", "deliveries", "--event-id", event["id"], "--json"))
    assert (shown["client_id"], shown["state"], shown["answer"]) == ("ven-1", "delivered", "status 200")


@pytest.mark.parametrize(
    "text", ["", "start,price\n", "start,price\n2026-03-01T11:00:00Z,much\n", "a,b\n1,2\n"]
)
def test_bad_curves_are_explained(run, text):
    """An empty file, a price that is not a number and missing columns are refused with what to write."""
    options = ("coordination", "send-curve", "--program", "p", "-")
    run(*options, given=text, code=1)


def test_a_forecast_of_congestion_becomes_a_curve(run, app, as_client):
    """Of 0.9, 1.2, 0.4 and −0.7 MW an hour, the second is dear and the fourth rewarded; without congestion none."""
    start = next_midnight(datetime.now(UTC), "UTC")
    with app.app_context():
        sensor = make_sensor(db.session, "feeder 7", event_resolution=timedelta(minutes=30))
        source = get_or_create_source(db.session, "a model", "forecaster")
        starts = event_grid(start, timedelta(minutes=30), 8)
        load = np.array([0.8, 1.0, 1.4, 1.0, 0.4, 0.4, -0.7, -0.7])
        beliefs = Beliefs(
            starts, load, np.full(8, np.timedelta64(48, "h")), np.full(8, source.id, dtype=np.int32)
        )
        insert_beliefs(db.session, [SensorBeliefs(sensor.id, beliefs)])
        sensor_id = str(sensor.id)
        db.session.commit()
    command = ("coordination", "send-congestion-curve", "--program", "p", "--sensor", sensor_id, "--json")
    limits = ("--capacity-in-mw", "1", "--feed-in-capacity-in-mw", "0.5", "--reward", "0.25")
    sent = json.loads(run(*command, *limits))["event_id"]
    event = as_client("bl").get(f"/events/{sent}").json
    found = {one["intervalPeriod"]["start"]: one["payloads"][0]["values"][0] for one in event["intervals"]}
    assert found == {
        write_instant(start + timedelta(hours=1)): 0.1,
        write_instant(start + timedelta(hours=3)): -0.25,
    }
    assert json.loads(run(*command, "--capacity-in-mw", "2")) == {"event_id": None}
    late = (start + timedelta(days=30)).isoformat()
    run(*command, "--capacity-in-mw", "2", "--start", late, code=1)
