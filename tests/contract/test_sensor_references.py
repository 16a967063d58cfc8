"""Sensors that a flex model names: nobody reads others' meter data through a plan."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from sqlalchemy import select

from flexmeasures.data.database import db
from flexmeasures.data.tables import Asset, PlanDevice
from flexmeasures.services.assets import FieldErrors
from flexmeasures.services.flex_models import set_flex_model_of_asset
from flexmeasures.services.schedules.gather import Planning
from flexmeasures.services.schedules.reschedule import PortfolioOrder, reschedule
from flexmeasures.testing import store_values

DAY_TWO = datetime(2015, 1, 2, tzinfo=UTC)
BUFFER = {"kind": "heat_buffer", "gain": 1, "capacity_mwh": 1e-6}


@pytest.fixture
def secret(app, cast):
    """Meter data of the owner's building."""
    with app.app_context():
        store_values(db.session, db.session.get(Asset, cast.assets["building"]), DAY_TWO, np.full(96, 0.123))
        db.session.commit()
    return cast.assets["building"]


def patch(client, caller, asset_id, fields):
    """Change an asset."""
    return client.patch(f"/api/v2_0/asset/{asset_id}", json=fields, headers=caller.headers)


FIELDS = {
    "usage": lambda number: {**BUFFER, "usage_sensor_id": number},
    "emissions": lambda number: {"co2_sensor_id": number, "co2_price": 1},
    "export prices": lambda number: {"export_market_id": number},
}


@pytest.mark.parametrize("field", FIELDS)
def test_a_strangers_sensor_cannot_be_named(client, cast, stranger, secret, field):
    """A stranger's sensor is refused like one that does not exist, in every field, and nothing is stored."""
    answers = [
        patch(client, stranger, cast.foreign_asset, {"flex_model": FIELDS[field](number)})
        for number in (secret, 99_999)
    ]
    assert [answer.status_code for answer in answers] == [422, 422]
    texts = [
        str(answer.json).replace(str(number), "ID")
        for answer, number in zip(answers, (secret, 99_999), strict=True)
    ]
    assert texts[0] == texts[1]
    seen = client.get(f"/api/v2_0/asset/{cast.foreign_asset}", headers=stranger.headers).json
    assert "flex_model" not in seen


@pytest.mark.parametrize("field", FIELDS)
def test_a_reference_that_got_in_is_not_read(app, cast, secret, field):
    """A reference that stands in the database already makes no plan: what a stranger measured is in no answer."""
    with app.app_context():
        asset = db.session.get(Asset, cast.foreign_asset)
        asset.flex_model = FIELDS[field](secret)
        asset.soc_in_mwh, asset.soc_datetime = 0.0, DAY_TWO
        db.session.commit()
        order = PortfolioOrder((asset.id,), DAY_TWO, timedelta(days=1), DAY_TWO)
        outcome = reschedule(db.session, order, Planning())
        assert outcome.made == 0
        assert f"sensor {secret}" in outcome.failures[asset.id]
        assert db.session.scalars(select(PlanDevice)).all() == []


def test_an_asset_is_not_handed_over_with_its_references(client, cast, owner, secret):
    """A new owner's plans would read the old owner's sensor: the reference goes first."""
    mine = cast.assets["station"]
    buffer = {**BUFFER, "usage_sensor_id": secret}
    assert patch(client, owner, mine, {"flex_model": buffer}).status_code == 200
    stranger_id = cast.owner_id + 1
    answer = patch(client, owner, mine, {"owner_id": stranger_id})
    assert answer.status_code == 422
    assert "usage_sensor_id" in str(answer.json)


def test_nobody_writes_what_only_the_new_owner_may_read(client, cast, stranger, secret):
    """A sensor of somebody cannot be named by giving that person the asset in the same change."""
    change = {"owner_id": cast.owner_id, "flex_model": {**BUFFER, "usage_sensor_id": secret}}
    assert patch(client, stranger, cast.foreign_asset, change).status_code == 422


@pytest.mark.parametrize(("unit", "power_mw"), [("MW", 0.123), ("kW", 0.000123)])
def test_one_s_own_sensor_is_read(app, cast, secret, unit, power_mw):
    """The owner's boiler covers the heat that the owner's meter says: 0.123 all day, in the unit of its sensor."""
    with app.app_context():
        db.session.get(Asset, secret).sensor.unit = unit
        asset = db.session.get(Asset, cast.assets["station"])
        asset.flex_model = {**BUFFER, "usage_sensor_id": secret}
        asset.soc_in_mwh, asset.soc_datetime = 0.0, DAY_TWO
        db.session.commit()
        outcome = reschedule(
            db.session, PortfolioOrder((asset.id,), DAY_TWO, timedelta(days=1), DAY_TWO), Planning()
        )
        assert outcome.failures == {}
        assert db.session.scalars(select(PlanDevice)).one().power_mw == pytest.approx(
            [power_mw] * 96, abs=1e-5
        )


def test_an_operator_is_refused_as_well(app, cast, secret):
    """On the command line, too, a stranger's sensor is refused: plans would not read it."""
    with app.app_context(), pytest.raises(FieldErrors):
        set_flex_model_of_asset(db.session, {**BUFFER, "usage_sensor_id": secret}, cast.foreign_asset)
