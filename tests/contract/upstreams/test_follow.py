"""Following an upstream: its events become limits and prices at once, and it is told what we do."""

import csv
import io
import time
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from sqlalchemy import select
from tests.contract.upstreams.conftest import HOUR

from flexmeasures.data.database import db
from flexmeasures.data.stores.plans import latest_device_plans
from flexmeasures.data.tables import Asset, GridSignal, UpstreamEvent, UpstreamReport
from flexmeasures.domain.time import next_event_start
from flexmeasures.services.upstreams.compliance import limit_report


def signals(kind):
    """What is asked now, in the order of time."""
    query = select(GridSignal).where(GridSignal.kind == kind, GridSignal.released_at.is_(None))
    return db.session.scalars(query.order_by(GridSignal.starts_at)).all()


def plan_of(asset_id):
    """The newest plan of an asset: its start, and its powers [MW]."""
    sensor = db.session.get(Asset, asset_id).sensor.id
    device = latest_device_plans(db.session, [sensor])[sensor]
    return device.plan, np.array(device.power_mw)


@pytest.mark.parametrize("kind", ["openadr-3.1.0", "openadr-3.0.1"])
def test_a_limit_is_in_force_and_acknowledged_within_seconds(operator, kind):
    """500 kW from now on for six hours: the plan keeps it from the running slot on, and the operator is told so."""
    began = time.monotonic()
    event = operator.event("IMPORT_CAPACITY_LIMIT", [500], datetime.now(UTC), "PT6H")
    operator.follow(kind)
    assert time.monotonic() - began < 5
    with operator.app.app_context():
        (limit,) = signals("import_limit")
        assert limit.value == pytest.approx(0.5)
        assert limit.received_at <= limit.applied_at
        plan, power = plan_of(operator.cast.assets["battery"])
        assert plan.start <= limit.starts_at
        assert power[:24].max() <= 0.5 + 1e-9
        assert power[:24].max() == pytest.approx(0.5)
        (report,) = db.session.scalars(select(UpstreamReport)).all()
        assert (report.kind, report.answer, report.due_at) == ("acknowledgement", None, None)
    (told,) = operator.made("/reports", None, "GET")
    assert told["eventID"] == event["id"]
    assert told["resources"][0]["resourceName"] == "battery"
    assert told["resources"][0]["intervals"][0]["payloads"] == [{"type": "ACK", "values": [True]}]


def test_a_price_difference_moves_energy(operator):
    """0.60 per kWh less from the tenth hour on for two hours, against 50 EUR/MWh before: the battery charges then."""
    operator.event("PRICE_DELTA", [-0.6, -0.6], operator.hour + 10 * HOUR, "PT1H")
    operator.follow()
    with operator.app.app_context():
        assert [one.value for one in signals("price_delta")] == [-600, -600]
        plan, power = plan_of(operator.cast.assets["battery"])
        first = (operator.hour + 10 * HOUR - plan.start) // timedelta(minutes=15)
        assert power[first : first + 8].sum() / 4 == pytest.approx(4)


def test_absolute_prices_become_beliefs_of_the_market(operator):
    """PRICE of 0.02 per kWh is 20 EUR/MWh, held by a source of the upstream's name; plans use it."""
    start = operator.hour + 10 * HOUR
    operator.event("PRICE", [0.02, 0.03], start, "PT1H")
    operator.follow()
    with operator.app.app_context():
        query = (
            "select event_value from belief join data_source on data_source.id = source_id"
            " where data_source.name = 'grid operator' order by event_start"
        )
        values = [row[0] for row in db.session.connection().exec_driver_sql(query)]
        assert values == pytest.approx([20, 30])
        plan, power = plan_of(operator.cast.assets["battery"])
        first = (start - plan.start) // timedelta(minutes=15)
        assert power[first : first + 8].sum() / 4 == pytest.approx(4)


def test_repeats_change_nothing_and_what_is_gone_is_released(operator):
    """Asking again plans nothing; a changed event replaces what it asked, a deleted one releases it at once."""
    event = operator.event("IMPORT_CAPACITY_LIMIT", [500], datetime.now(UTC), "PT6H")
    number = operator.follow()
    assert operator.ask(number)["planned"] == 0
    body = {key: event[key] for key in ("programID", "intervalPeriod")}
    body["intervals"] = [{"id": 0, "payloads": [{"type": "IMPORT_CAPACITY_LIMIT", "values": [250]}]}]
    operator.made(f"/events/{event['id']}", body, "PUT")
    assert operator.ask(number)["planned"] == 1
    with operator.app.app_context():
        assert [one.value for one in signals("import_limit")] == [0.25]
    operator.made(f"/events/{event['id']}", None, "DELETE")
    assert operator.ask(number)["planned"] == 1
    with operator.app.app_context():
        assert signals("import_limit") == []
        assert plan_of(operator.cast.assets["battery"])[1].max() == pytest.approx(2)
        assert db.session.scalars(select(UpstreamEvent)).one().withdrawn_at is not None
        # the record stays: both versions, with when they came and went
        released = db.session.scalars(select(GridSignal).order_by(GridSignal.id)).all()
        assert [(one.value, one.released_at is not None) for one in released] == [(0.5, True), (0.25, True)]


def test_a_randomised_start_is_drawn_once(operator):
    """The shift of up to 10 minutes stays the same however often the event is read."""
    period = {"start": (operator.hour + HOUR).isoformat(), "duration": "PT1H", "randomizeStart": "PT10M"}
    operator.event("IMPORT_CAPACITY_LIMIT", [500], operator.hour, "PT1H", intervalPeriod=period)
    number = operator.follow()
    with operator.app.app_context():
        (first,) = signals("import_limit")
        starts_at = first.starts_at
        assert abs(starts_at - operator.hour - HOUR) <= timedelta(minutes=10)
        assert starts_at != operator.hour + HOUR
    operator.ask(number)
    with operator.app.app_context():
        assert [one.starts_at for one in signals("import_limit")] == [starts_at]


def measure(operator, start, values, recorded=None):
    """Post measured power of the battery, in quarter hours [MW]; a correction says when it was recorded."""
    client = operator.app.test_client()
    cast = operator.cast
    token = client.post(
        "/api/requestAuthToken", json={"email": cast.owner_email, "password": cast.password}
    ).json["auth_token"]
    message = {
        "type": "PostMeterDataRequest",
        "connection": cast.address("battery"),
        "values": values,
        "start": start.isoformat(),
        "duration": f"PT{15 * len(values)}M",
        "unit": "MW",
        **({"horizon": "PT0H"} if recorded is None else {"prior": recorded.isoformat()}),
    }
    answer = client.post(
        "/api/v2_0/postMeterData", json=message, headers={"Authorization": token}, buffered=True
    )
    assert answer.status_code == 200, answer.json


def test_usage_is_reported_with_gaps_left_out_and_again_when_corrected(operator):
    """1, 2, 3 and 4 MW in quarters of the first hour are 2,500 kWh; the second hour has a gap until it is filled."""
    start = operator.hour - 4 * HOUR
    operator.event("PRICE_DELTA", [-0.1, -0.1], start, "PT1H")
    measure(operator, start, [1, 2, 3, 4, 1, 1, 1])
    number = operator.follow()
    (told,) = operator.made("/reports", None, "GET")
    (resource,) = told["resources"]
    assert resource["intervals"] == [{"id": 0, "payloads": [{"type": "USAGE", "values": [2500]}]}]
    assert told["payloadDescriptors"][0]["units"] == "KWH"
    assert operator.ask(number)["sent"] == 0
    measure(operator, start + HOUR, [1, 1, 1, 1])
    assert operator.ask(number)["sent"] == 1
    (told,) = operator.made("/reports", None, "GET")
    assert [one["payloads"][0]["values"] for one in told["resources"][0]["intervals"]] == [[2500], [1000]]


def test_a_silent_binding_upstream_leads_to_the_fail_safe(operator):
    """Heard once, then no more: after the silence the safe limit holds in plans; when it is back, it does not."""
    number = operator.follow(is_binding=True, safe_limit_mw=0.3, silence=timedelta(seconds=5))
    with operator.app.app_context():
        assert signals("import_limit") == []
        upstream = operator.upstream()
        address, upstream.address = upstream.address, "http://127.0.0.1:1"
        upstream.watch = upstream.watch | {"heard_at": (datetime.now(UTC) - timedelta(seconds=6)).isoformat()}
        db.session.commit()
    operator.ask(number)
    with operator.app.app_context():
        (limit,) = signals("import_limit")
        assert (limit.value, limit.event_id) == (0.3, "fail-safe")
        assert limit.applied_at is not None
        assert plan_of(operator.cast.assets["battery"])[1].max() <= 0.3 + 1e-9
        upstream = operator.upstream()
        assert "does not answer" in upstream.problem
        assert upstream.failures == 1
        upstream.address = address
        db.session.commit()
    operator.ask(number)
    with operator.app.app_context():
        assert signals("import_limit") == []
        assert plan_of(operator.cast.assets["battery"])[1].max() == pytest.approx(2)


def test_last_known_limits_stay_while_the_upstream_is_away(operator):
    """An upstream that is not binding and silent has its limits kept: they were not taken back."""
    operator.event("IMPORT_CAPACITY_LIMIT", [500], datetime.now(UTC), "PT6H")
    number = operator.follow()
    with operator.app.app_context():
        operator.upstream().address = "http://127.0.0.1:1"
        db.session.commit()
    operator.ask(number)
    with operator.app.app_context():
        assert [one.value for one in signals("import_limit")] == [0.5]
        upstream = operator.upstream()
        assert upstream.due_at - datetime.now(UTC) < timedelta(minutes=2, seconds=1)


def test_14a_leaves_the_least_power(operator):
    """Dimmed to 0 kW under § 14a EnWG one device keeps 4.2 kW; the report says minute by minute whether it was kept."""
    quarter = next_event_start(datetime.now(UTC), timedelta(minutes=15)) - timedelta(minutes=45)
    operator.event("IMPORT_CAPACITY_LIMIT", [0], quarter, "PT2H")
    measure(operator, quarter, [0.004, 0.005])
    operator.follow(legal_basis="§ 14a EnWG")
    with operator.app.app_context():
        (limit,) = signals("import_limit")
        assert limit.value == pytest.approx(0.0042)
        battery = operator.cast.assets["battery"]
        rows = list(
            csv.DictReader(io.StringIO(limit_report(db.session, battery, quarter, quarter + HOUR / 2)))
        )
    assert len(rows) == 30
    assert {row["limit_kw"] for row in rows} == {"4.2"}
    assert [row["kept"] for row in rows] == ["yes"] * 15 + ["no"] * 15
    assert {row["legal_basis"] for row in rows} == {"§ 14a EnWG"}
    assert all(row["received_at"] and row["applied_at"] for row in rows)


def test_an_event_that_cannot_be_read_spoils_no_other(operator):
    """An unknown unit is noted with its event, and the others hold."""
    strange = [
        {"objectType": "EVENT_PAYLOAD_DESCRIPTOR", "payloadType": "IMPORT_CAPACITY_LIMIT", "units": "HP"}
    ]
    operator.event("IMPORT_CAPACITY_LIMIT", [1], operator.hour, "PT1H", payloadDescriptors=strange)
    operator.event("IMPORT_CAPACITY_LIMIT", [500], operator.hour, "PT1H")
    operator.follow()
    with operator.app.app_context():
        assert [one.value for one in signals("import_limit")] == [0.5]
        problems = db.session.scalars(select(UpstreamEvent.problem)).all()
        assert sum("HP" in (one or "") for one in problems) == 1
