"""The partner API: registration, eligibility, events, reports, compensation, simulation."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from flexmeasures.data.database import db
from flexmeasures.data.tables import DrEvent, DrProgram, DrReport, DrUsage
from flexmeasures.services.coordination.areas import NewArea, add_area
from flexmeasures.services.coordination.curves import Curve, Point, send_curve, send_daily_curves
from flexmeasures.services.coordination.operations import list_late_acknowledgements

NOW = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
# Two hours in which using more is rewarded with 0.40 NOK/kWh, and one in which it is not.
HOURS = [NOW, NOW + timedelta(hours=1), NOW + timedelta(hours=3)]
PRICES = [-0.40, -0.40, 0.30]
SQUARE = [[15, 78], [16, 78], [16, 79], [15, 79]]


def stamp(hour):
    """A timestamp as the guide has it."""
    return hour.strftime("%Y-%m-%dT%H:%M:%S.000Z")


@pytest.fixture
def area(app, clients):
    """A test area around 78.5° N, 15.5° E under the programme "incentives"."""
    with app.app_context():
        made = add_area(db.session, NewArea(name="town", program="incentives", corners=SQUARE), NOW)
        target = made.target
        db.session.commit()
    return target


@pytest.fixture
def partner(as_partner, area):
    """A partner with an enrolled user with a water tank and a battery in the area, and a meter point."""
    one = as_partner()
    one.made("/users", {"userId": "u1"})
    place = {
        "locationId": "home",
        "coordinates": {"latitude": 78.5, "longitude": 15.5},
        "meterPointIds": ["707"],
    }
    one.made("/users/u1/locations", place)
    for name, kind in (("tank", "HotWaterTank"), ("store", "Battery")):
        one.made("/users/u1/locations/home/resources", {"resourceId": name, "resourceType": kind})
    assert one.ask("PUT", "/users/u1/enrollment", {"program": "incentives"}).status_code == 204
    return one


@pytest.fixture
def event_id(app, partner, area):
    """A price curve for the area."""
    with app.app_context():
        program = db.session.query(DrProgram).filter_by(name="incentives").one()
        points = [Point(hour, price) for hour, price in zip(HOURS, PRICES, strict=True)]
        made = send_curve(db.session, program, [area], Curve(points, price_area="NO1"), NOW).id
        db.session.commit()
    return made


def usage(*energies, resource="tank", **more):
    """A payload of energy used in the first hours."""
    points = [
        {"kiloWattHours": energy, "timestamp": stamp(hour)}
        for energy, hour in zip(energies, HOURS, strict=False)
    ]
    return {
        "payloadType": "EnergyUsage",
        "resourceId": resource,
        "locationId": "home",
        "resolution": "01:00:00",
        "curvePoints": points,
        **more,
    }


def report(event_id, *payloads):
    """A report."""
    return {"eventId": event_id, "payloads": list(payloads)}


def stored(app):
    """What is stored of usage, and how many reports."""
    with app.app_context():
        rows = db.session.query(DrUsage).order_by(DrUsage.id)
        return [(row.resource_id, row.kilowatt_hours) for row in rows], db.session.query(DrReport).count()


def test_users_locations_resources_and_vehicles(partner):
    """What was registered is listed and found; ids are the partner's own, and each is taken once."""
    assert partner.get("/users") == {"users": [{"userId": "u1"}]}
    assert partner.ask("POST", "/users", {"userId": "u1"}).status_code == 409
    assert partner.get("/users/u1/locations")["locations"][0]["meterPointIds"] == ["707"]
    assert partner.get("/resources/tank") == {
        "resourceId": "tank",
        "resourceType": "HotWaterTank",
        "locationId": "home",
    }
    partner.made("/users/u1/vehicles", {"resourceId": "car", "resourceType": "Vehicle"})
    assert [v["resourceId"] for v in partner.get("/users/u1/vehicles")["vehicles"]] == ["car"]
    assert partner.ask("DELETE", "/resources/car").status_code == 204
    assert partner.ask("GET", "/resources/car").status_code == 404
    assert partner.ask("DELETE", "/users/u1").status_code == 204
    assert partner.ask("GET", "/resources/tank").status_code == 404


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/users", {}, "userId"),
        ("/users", {"userId": 7}, "userId"),
        ("/users", {"userId": "x" * 200}, "userId"),
        (
            "/users/u1/locations",
            {"locationId": "l", "coordinates": {"latitude": 91, "longitude": 0}},
            "coordinates.latitude",
        ),
        ("/users/u1/locations", {"locationId": "l", "meterPointIds": "707"}, "meterPointIds"),
        ("/users/u1/locations/home/resources", {"resourceId": "r"}, "resourceType"),
        (
            "/webhooks",
            {"webhookUrl": "https://example.com", "notificationTypes": ["Nothing"]},
            "notificationTypes",
        ),
    ],
)
def test_faults_are_named_by_field(partner, path, body, field):
    """A problem object lists each fault under the path of its field."""
    answer = partner.ask("POST", path, body)
    assert answer.status_code == 400
    assert answer.mimetype == "application/problem+json"
    assert list(answer.json["errors"]) == [field]


def test_a_partner_sees_nothing_of_another(as_partner, partner, event_id):
    """Users, resources and events of another partner are not there."""
    other = as_partner("ven-2")
    assert other.get("/users") == {"users": []}
    assert other.get("/events") == {"events": []}
    for path in ("/users/u1", "/resources/tank", f"/events/{event_id}", "/user/u1/compensation"):
        assert other.ask("GET", path).status_code == 404
    assert other.ask("POST", "/reports", report(event_id, usage(1))).status_code == 404


def test_events_reach_resources_in_the_area(partner, event_id):
    """The price curve is listed with its points in UTC, and with the resources that it is about."""
    (event,) = partner.get("/events")["events"]
    assert event == partner.get(f"/events/{event_id}")
    payload = event["payload"]
    assert payload["payloadType"] == "PriceCurve"
    assert payload["priceArea"] == "NO1"
    assert payload["targets"] == [
        {"resourceId": "tank", "locationId": "home", "meterPointId": "707"},
        {"resourceId": "store", "locationId": "home", "meterPointId": "707"},
    ]
    assert payload["priceCurveDelta"] == {
        "energyUnit": "KWh",
        "currency": "NOK",
        "resolution": "01:00:00",
        "points": [{"price": p, "timestamp": stamp(h)} for p, h in zip(PRICES, HOURS, strict=True)],
    }


def test_an_event_is_seen_through_both_faces(as_client, partner, event_id):
    """The same event is there for the partner's VEN in OpenADR 3.1.0 and 3.0.1, and the report of one for the other."""
    for version in ("3.1.0", "3.0.1"):
        (event,) = as_client("ven-1", version).get("/events").json
        assert event["id"] == event_id
        assert event["intervals"][0]["payloads"][0] == {"type": "PRICE_DELTA", "values": [-0.40]}
    made = partner.made("/reports", report(event_id, usage(1.25)))
    (shown,) = as_client("bl").get("/reports").json
    assert shown["id"] == made["id"]
    assert shown["resources"][0] == {
        "resourceName": "tank",
        "intervals": [{"id": 0, "payloads": [{"type": "USAGE", "values": [1.25]}]}],
    }


def test_an_openadr_event_is_seen_by_partners(bl, as_client, partner):
    """A price difference that the business logic sends through OpenADR is a PriceCurve for the partner; per MWh too."""
    (program,) = [p for p in bl.get("/programs").json if p["programName"] == "incentives"]
    bl.made(
        "/events",
        {
            "programID": program["id"],
            "targets": ["tank"],
            "payloadDescriptors": [
                {
                    "objectType": "EVENT_PAYLOAD_DESCRIPTOR",
                    "payloadType": "PRICE_DELTA",
                    "units": "MWH",
                    "currency": "EUR",
                }
            ],
            "intervalPeriod": {"start": stamp(NOW), "duration": "PT15M"},
            "intervals": [{"id": 0, "payloads": [{"type": "PRICE_DELTA", "values": [-50]}]}],
        },
    )
    (event,) = partner.get("/events")["events"]
    assert [t["resourceId"] for t in event["payload"]["targets"]] == ["tank"]
    curve = event["payload"]["priceCurveDelta"]
    assert (curve["resolution"], curve["currency"]) == ("00:15:00", "EUR")
    assert curve["points"][0]["price"] == -0.05


def test_a_report_is_stored_and_answered(app, partner, event_id):
    """The answer has id, eventId and createdAt; all resources of one report are stored."""
    answer = partner.made("/reports", report(event_id, usage(1.25, 2), usage(-3.5, resource="store")))
    assert answer.keys() == {"id", "eventId", "createdAt"}
    assert answer["eventId"] == event_id
    assert stored(app) == (
        [("tank", Decimal("1.25")), ("tank", Decimal(2)), ("store", Decimal("-3.5"))],
        1,
    )


def test_timestamps_of_the_guide_are_taken(app, partner, event_id):
    """An offset instead of Z, and no milliseconds, mean the same hour; hours outside the event are ignored."""
    points = [
        {"kiloWattHours": 1, "timestamp": HOURS[0].strftime("%Y-%m-%dT%H:%M:%S+00:00")},
        {"kiloWattHours": 2, "timestamp": (NOW + timedelta(hours=2)).isoformat()},
        {"kiloWattHours": 3, "timestamp": (NOW - timedelta(days=2)).isoformat()},
    ]
    partner.made("/reports", report(event_id, usage(curvePoints=points, resolution="PT1H")))
    assert stored(app)[0] == [("tank", Decimal(1))]


@pytest.mark.parametrize(
    ("change", "status", "path"),
    [
        ({"eventId": "unknown"}, 404, None),
        ({"eventId": None}, 400, "eventId"),
        ({"payloads": []}, 400, "payloads"),
        ({"payloads": {}}, 400, "payloads"),
        ({"payloads": [1]}, 400, "payloads[0]"),
        ({"payloads": [{}]}, 400, "payloads[0].payloadType"),
        ({"payloads": [usage(1) | {"payloadType": "Magic"}]}, 400, "payloads[0].payloadType"),
        ({"payloads": [usage(1) | {"resourceId": None}]}, 400, "payloads[0].resourceId"),
        ({"payloads": [usage(1) | {"curvePoints": []}]}, 400, "payloads[0].curvePoints"),
        ({"payloads": [usage(1) | {"resolution": "often"}]}, 400, "payloads[0].resolution"),
        ({"payloads": [usage("1")]}, 400, "payloads[0].curvePoints[0].kiloWattHours"),
        ({"payloads": [usage(True)]}, 400, "payloads[0].curvePoints[0].kiloWattHours"),
        (
            {"payloads": [usage(curvePoints=[{"kiloWattHours": 1, "timestamp": "2026-03-01T11:00:00"}])]},
            400,
            "payloads[0].curvePoints[0].timestamp",
        ),
        ({"payloads": [usage(1), usage(1, resource="toaster")]}, 422, "payloads[1]"),
        ({"payloads": [usage(1) | {"locationId": "elsewhere"}]}, 422, "payloads[0]"),
        ({"payloads": [usage(1) | {"resolution": "00:15:00"}]}, 422, "payloads[0].resolution"),
        ({"payloads": [usage(1), usage(-1)]}, 422, "payloads[1].curvePoints[0]"),
        (
            {
                "payloads": [
                    {
                        "payloadType": "LocationLPCAcknowledged",
                        "acknowledgedTargets": [{"locationId": "home"}],
                    }
                ]
            },
            422,
            "payloads[0].payloadType",
        ),
    ],
)
def test_bad_reports_store_nothing(app, partner, event_id, change, status, path):
    """A fault anywhere refuses the report as a whole, with the path of the fault."""
    answer = partner.ask("POST", "/reports", report(event_id, usage(1)) | change)
    assert answer.status_code == status, answer.json
    if path is not None:
        assert path in answer.json["errors"]
    assert stored(app) == ([], 0)


def test_repeats_are_the_same_report(app, partner, event_id):
    """The same body, or the same Idempotency-Key, answers the same and counts once; a key is for one report."""
    first = partner.made("/reports", report(event_id, usage(1)))
    assert partner.made("/reports", report(event_id, usage(1))) == first
    keyed = partner.ask("POST", "/reports", report(event_id, usage(2)), **{"Idempotency-Key": "k"}).json
    partner.made("/reports", report(event_id, usage(3)))
    again = partner.ask("POST", "/reports", report(event_id, usage(2)), **{"Idempotency-Key": "k"})
    assert (again.status_code, again.json) == (201, keyed)
    clash = partner.ask("POST", "/reports", report(event_id, usage(4)), **{"Idempotency-Key": "k"})
    assert clash.status_code == 409
    assert stored(app)[1] == 3


def test_later_reports_replace_earlier_ones_and_compensation_counts_each_hour_once(partner, event_id):
    """0.40 NOK/kWh × (2 + 1.5) kWh; the hour that the first report had wrong counts with the second's value."""
    partner.made("/reports", report(event_id, usage(9, 1.5, 4)))
    partner.made("/reports", report(event_id, usage(2)))
    shown = partner.get("/user/u1/compensation")
    assert (shown["activeAmount"], shown["blockedAmount"], shown["currency"]) == (1.40, 0, "NOK")
    assert shown["problems"] == []


def test_compensation_waits_for_a_meter_point(partner, event_id):
    """Without a meter point it is blocked with problem 1; setting one frees it without another report."""
    assert partner.ask("PATCH", "/users/u1/locations/home", {"meterPointIds": []}).status_code == 200
    partner.made("/simulation/events/priceCurve", {})  # another event that has no reports
    location = partner.get("/users/u1/locations")["locations"][0]
    assert location["meterPointIds"] == []
    partner.made("/reports", report(event_id, usage(2)))
    # The event was about the meter point that the location had, so its usage has one.
    assert partner.get("/user/u1/compensation")["activeAmount"] == 0.80


def test_a_blocked_amount_is_freed_by_a_meter_point(app, as_partner, area):
    """A location without a meter point from the start: blocked, then active."""
    one = as_partner()
    one.made("/users", {"userId": "u2"})
    one.made(
        "/users/u2/locations", {"locationId": "flat", "coordinates": {"latitude": 78.5, "longitude": 15.5}}
    )
    one.made("/users/u2/locations/flat/resources", {"resourceId": "pump", "resourceType": "HeatPump"})
    one.ask("PUT", "/users/u2/enrollment", {"program": "incentives"})
    with app.app_context():
        program = db.session.query(DrProgram).filter_by(name="incentives").one()
        event = send_curve(db.session, program, [area], Curve([Point(HOURS[0], -0.40)]), NOW).id
        db.session.commit()
    one.made("/reports", report(event, usage(2, resource="pump", locationId="flat")))
    shown = one.get("/users/u2/compensation")
    assert (shown["activeAmount"], shown["blockedAmount"]) == (0, 0.80)
    assert shown["problems"][0]["problemType"] == 1
    one.ask("PATCH", "/users/u2/locations/flat", {"meterPointIds": ["708"]})
    shown = one.get("/users/u2/compensation")
    assert (shown["activeAmount"], shown["blockedAmount"]) == (0.80, 0)


def test_power_limits_are_acknowledged_not_reported_with_a_curve(partner):
    """LocationLPCAcknowledged fits a LocationLPC; a target in both lists is refused."""
    event = partner.made(
        "/simulation/events/locationLPC", {"targets": [{"resourceId": "tank", "locationId": "home"}]}
    )
    assert event["payload"]["payloadType"] == "LocationLPC"
    assert [point["maxPowerInKiloWatts"] for point in event["payload"]["points"]] == [0, 0]
    about = {"locationId": "home", "resourceId": "tank"}
    both = {
        "payloadType": "LocationLPCAcknowledged",
        "acknowledgedTargets": [about],
        "declinedTargets": [about],
    }
    assert partner.ask("POST", "/reports", report(event["id"], both)).status_code == 422
    partner.made("/reports", report(event["id"], both | {"declinedTargets": []}))


def test_eligibility_follows_the_place_and_is_told_once(as_partner, area):
    """Moving out and in changes who is eligible; one event tells all changes of a partner; it takes no report."""
    one = as_partner()
    one.made("/users", {"userId": "u1"})
    one.made("/users/u1/locations", {"locationId": "home", "coordinates": {"latitude": 60, "longitude": 10}})
    assert one.get("/users/eligible") == {"users": []}
    inside = {"coordinates": {"latitude": 78.5, "longitude": 15.5}}
    one.ask("PATCH", "/users/u1/locations/home", inside)
    assert one.get("/users/eligible") == {"users": [{"userId": "u1"}]}
    assert one.get("/users/u1")["isEligible"] is True
    assert one.ask("POST", "/simulation/events/userEligibility").status_code == 204
    (event,) = one.get("/events")["events"]
    assert event["payload"]["payloadType"] == "UserEligibility"
    assert (event["payload"]["addedUsers"], event["payload"]["removedUsers"]) == (["u1"], [])
    answer = one.ask("POST", "/reports", report(event["id"], usage(1)))
    assert answer.status_code == 422
    assert "take no reports" in answer.json["detail"]


def test_simulation_is_for_the_sandbox(as_partner):
    """In production every simulation is 403 and makes nothing; in the sandbox users and a random curve are made."""
    real, sandbox = as_partner("ven-prod"), as_partner()
    for path in ("/events/priceCurve", "/events/locationLPC", "/events/userEligibility", "/partner"):
        assert real.ask("POST", f"/simulation{path}", {}).status_code == 403
    assert real.get("/events") == {"events": []}
    assert len(sandbox.made("/simulation/partner", {})["users"]) == 5
    event = sandbox.made("/simulation/events/priceCurve", {})
    assert len(event["payload"]["targets"]) == 5
    assert sandbox.get("/events") == {"events": [event]}


def test_a_simulated_curve_is_as_asked(partner):
    """Targets, prices, area and currency are those of the request."""
    points = [{"price": -0.25, "timestamp": stamp(NOW)}]
    curve = {"energyUnit": "KWh", "currency": "SEK", "resolution": "01:00:00", "points": points}
    body = {
        "targets": [{"resourceId": "tank", "locationId": "home"}],
        "priceArea": "SE3",
        "priceCurveDelta": curve,
    }
    payload = partner.made("/simulation/events/priceCurve", body)["payload"]
    assert payload["priceCurveDelta"] == curve
    assert payload["priceArea"] == "SE3"
    assert [target["resourceId"] for target in payload["targets"]] == ["tank"]


def test_test_areas_get_a_curve_every_day(app, partner):
    """At the local time of day one curve for the next local day is sent, and no second one."""
    with app.app_context():
        new = NewArea(name="daily", program="incentives", corners=SQUARE, daily_at="14:00")
        add_area(db.session, new, NOW)
        early, late = (datetime(2026, 3, 1, hour, 30, tzinfo=UTC) for hour in (12, 13))
        assert [send_daily_curves(db.session, at) for at in (early, late, late)] == [0, 1, 0]
        (event,) = db.session.query(DrEvent).all()
        assert event.starts_at >= datetime(2026, 3, 1, 23, tzinfo=UTC)
        assert event.ends_at <= datetime(2026, 3, 2, 23, tzinfo=UTC)
        db.session.rollback()


def openadr_report(event_id, *payloads, **more):
    """A report of the tank through OpenADR, with an interval for each of some payloads."""
    intervals = [
        {"id": number, "payloads": [{"type": kind, "values": [value]} for kind, value in values.items()]}
        for number, values in enumerate(payloads)
    ]
    resources = [{"resourceName": "tank", "intervals": intervals}]
    return {"eventID": event_id, "clientName": "me", "resources": resources, **more}


def test_usage_through_openadr_is_compensated(app, as_client, partner, event_id):
    """0.40 NOK/kWh × (2 + 1.5) kWh; a PUT replaces its report, DELETE takes it back; nothing is missing then."""
    ven = as_client("ven-1")
    made = ven.made("/reports", openadr_report(event_id, {"USAGE": 9}, {"USAGE": 9}))
    assert partner.get("/user/u1/compensation")["activeAmount"] == 7.20
    quality = {"USAGE": 99, "DATA_QUALITY": "MISSING"}
    ven.ask("PUT", f"/reports/{made['id']}", openadr_report(event_id, {"USAGE": 2}, {"USAGE": 1.5}, quality))
    assert partner.get("/user/u1/compensation")["activeAmount"] == 1.40
    units = {"objectType": "REPORT_PAYLOAD_DESCRIPTOR", "payloadType": "USAGE", "units": "WH"}
    period = {"intervalPeriod": {"start": stamp(HOURS[0]), "duration": "PT1H"}}
    at = openadr_report(event_id, {"USAGE": 1000}, payloadDescriptors=[units])
    at["resources"][0] |= period
    ven.made("/reports", at)
    assert partner.get("/user/u1/compensation")["activeAmount"] == 1.00
    ven.ask("DELETE", f"/reports/{made['id']}")
    assert partner.get("/user/u1/compensation")["activeAmount"] == 0.40


def test_using_less_is_rewarded_where_the_programme_says_so(as_client, bl, partner, event_id):
    """Third hour: 0.30 NOK/kWh × (5 − 2) kWh, if the programme has REWARD_SAVINGS; it is off without."""
    report = openadr_report(event_id, {}, {}, {"USAGE": 2, "BASELINE": 5})
    as_client("ven-1").made("/reports", report)
    assert partner.get("/user/u1/compensation")["activeAmount"] == 0
    (program,) = [p for p in bl.get("/programs").json if p["programName"] == "incentives"]
    switch = [{"type": "REWARD_SAVINGS", "values": [True]}]
    bl.ask("PUT", f"/programs/{program['id']}", {"programName": "incentives", "attributes": switch})
    assert partner.get("/user/u1/compensation")["activeAmount"] == 0.90


def test_what_a_resource_cannot_do_is_not_settled(as_client, partner, event_id):
    """A report through OpenADR is kept as it is; energy below zero of a water tank counts for nothing."""
    as_client("ven-1").made("/reports", openadr_report(event_id, {"USAGE": -5}, {"USAGE": 1}))
    assert partner.get("/user/u1/compensation")["activeAmount"] == 0.40


def test_limits_are_acknowledged_through_openadr(app, as_client, partner):
    """The private payload ACK of a report is an acknowledgement: the limit is not late any more."""
    event_id = partner.made("/simulation/events/locationLPC", {})["id"]
    later = datetime.now(UTC) + timedelta(minutes=6)
    with app.app_context():
        assert [late.event_id for late in list_late_acknowledgements(db.session(), "sandbox", later)] == [
            event_id
        ]
    as_client("ven-1").made("/reports", openadr_report(event_id, {"ACK": True}))
    with app.app_context():
        assert list_late_acknowledgements(db.session(), "sandbox", later) == []


def test_reports_about_events_without_clear_times_are_kept(bl, as_client, partner):
    """Two intervals of which the first has no end: nobody can tell the slots, so the report is stored, not settled."""
    (program,) = [p for p in bl.get("/programs").json if p["programName"] == "incentives"]
    intervals = [{"id": n, "payloads": [{"type": "PRICE_DELTA", "values": [-1]}]} for n in range(2)]
    period = {"start": stamp(NOW), "duration": "P9999Y"}
    event = {
        "programID": program["id"],
        "targets": ["tank"],
        "intervals": intervals,
        "intervalPeriod": period,
    }
    made = bl.made("/events", event)
    ven = next(one for one in bl.get("/vens").json if one["clientID"] == "ven-1")
    granted = {
        "objectType": "BL_VEN_REQUEST",
        "clientID": "ven-1",
        "venName": ven["venName"],
        "targets": ["tank"],
    }
    bl.ask("PUT", f"/vens/{ven['id']}", granted)
    as_client("ven-1").made("/reports", openadr_report(made["id"], {"USAGE": 1}))
    assert partner.get("/user/u1/compensation")["activeAmount"] == 0
