"""The partner dialect of the client: limits are acknowledged, usage is reported, and corrected when readings are."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import numpy as np
import pytest
from sqlalchemy import select
from tests.contract.upstreams.conftest import HOUR, SECRET, Operator
from tests.contract.upstreams.test_follow import measure, plan_of, signals

from flexmeasures.data.database import db
from flexmeasures.data.tables import DrAcknowledgement, DrReport, UpstreamReport
from flexmeasures.services.upstreams.set_up import NewTarget


class Partner:
    """We at the operator's partner API, with a user, a location and the battery."""

    BASE = "/energy-coordination/v1"

    def __init__(self, operator: Operator) -> None:
        self.operator = operator
        form = {"grant_type": "client_credentials", "client_id": "us", "client_secret": SECRET}
        token = operator.client.post("/connect/token", data=form).json["access_token"]
        self.headers = {"Authorization": f"Bearer {token}"}
        self.send("POST", "/users", {"userId": "u"})
        self.send("POST", "/users/u/locations", {"locationId": "home", "meterPointIds": ["707"]})
        battery = {"resourceId": "battery", "resourceType": "Battery"}
        self.send("POST", "/users/u/locations/home/resources", battery)

    def send(self, method: str, path: str, body: Any = None) -> Any:
        """Send something that is taken."""
        answer = self.operator.client.open(
            self.BASE + path, method=method, json=body, headers=self.headers, buffered=True
        )
        assert answer.status_code < 300, answer.json
        return answer.json

    def follow(self) -> int:
        """Follow the operator with the battery."""
        target = NewTarget(
            asset_id=self.operator.cast.assets["battery"],
            resource_name="battery",
            location_id="home",
            meter_point_id="707",
        )
        tokens = f"http://127.0.0.1:{self.operator.port}/connect/token"
        return self.operator.follow("partner", targets=(target,), token_address=tokens)


@pytest.fixture
def partner(operator: Operator) -> Partner:
    """We as a partner of the operator."""
    return Partner(operator)


def curve(partner: Partner, hours: list[datetime], price: float) -> Any:
    """Have a price curve simulated."""
    points = [{"price": price, "timestamp": hour.isoformat()} for hour in hours]
    delta = {"currency": "EUR", "resolution": "01:00:00", "points": points}
    return partner.send("POST", "/simulation/events/priceCurve", {"priceCurveDelta": delta})


def test_a_limit_is_kept_and_acknowledged(operator, partner):
    """0 kW for this and the next hour: the plan keeps it from the running slot on, and the operator is told so."""
    partner.send("POST", "/simulation/events/locationLPC", {})
    partner.follow()
    with operator.app.app_context():
        assert {one.value for one in signals("import_limit")} == {0}
        _, power = plan_of(operator.cast.assets["battery"])
        assert power[:4].max() <= 1e-9
        (told,) = db.session.scalars(select(DrAcknowledgement)).all()
        assert (told.resource_id, told.is_accepted) == ("battery", True)


def test_a_price_curve_moves_energy(operator, partner):
    """0.60 per kWh less from the tenth hour on for two hours: the battery takes 4 MWh of its 5 then."""
    first = operator.hour + 10 * HOUR
    curve(partner, [first, first + HOUR], -0.6)
    partner.follow()
    with operator.app.app_context():
        plan, power = plan_of(operator.cast.assets["battery"])
        slot = int((first - plan.start) / (HOUR / 4))
        assert np.sum(power[slot : slot + 8]) / 4 == pytest.approx(4)


def test_usage_is_paid_as_it_was_corrected(operator, partner):
    """4 quarters of 1 MW are 1,000 kWh at 0.10; a correction to 0.5 MW is reported again and pays half."""
    start = operator.hour - 2 * HOUR
    event = curve(partner, [start], -0.1)
    measure(operator, start, [1, 1, 1, 1])
    number = partner.follow()
    assert operator.ask(number)["sent"] == 0
    paid = partner.send("GET", "/user/u/compensation")
    assert (paid["activeAmount"], paid["currency"]) == (100, "EUR")
    measure(operator, start, [0.5, 0.5, 0.5, 0.5], recorded=operator.now)
    assert operator.ask(number)["sent"] == 1
    assert partner.send("GET", "/user/u/compensation")["activeAmount"] == 50
    with operator.app.app_context():
        reports = db.session.scalars(select(DrReport).where(DrReport.event_id == event["id"])).all()
        assert len(reports) == 2
        assert db.session.scalars(select(UpstreamReport)).one().due_at is None
