"""``flexmeasures coordination`` and ``flexmeasures add openadr-client``: the operator's tools."""

import csv
import io
import json

import pytest
from click.testing import CliRunner

from flexmeasures import cli


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
    from datetime import timedelta  # noqa: PLC0415

    from flexmeasures.data.database import db  # noqa: PLC0415
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
