"""The power of an asset is stored in the unit that its sensor says, and everybody reads and writes it converted."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from sqlalchemy import select

from flexmeasures.data.database import db
from flexmeasures.data.tables import Asset, FlexibilityOrder, PlanDevice
from flexmeasures.services.assets import NewAsset, create_asset
from flexmeasures.services.flexibility.settle import settle_orders
from flexmeasures.services.forecasts.make import make_forecasts
from flexmeasures.services.forecasts.orders import ForecastOrder
from flexmeasures.services.power_chart import PowerQuestion, read_power_chart
from flexmeasures.services.resources import Resource
from flexmeasures.testing import store_values

DAY_TWO = datetime(2015, 1, 2, tzinfo=UTC)
"""Its prices: 8 hours at 100, 8 hours at 90 and 8 hours at 100 EUR/MWh."""

HOUR = timedelta(hours=1)


@pytest.fixture
def kilowatts(app, cast):
    """The owner's battery and building again, with their power in kW."""
    made = {}
    with app.app_context():
        for name, type_name in (("kw_battery", "battery"), ("kw_building", "building")):
            new = NewAsset(
                name,
                type_name,
                2,
                HOUR / 4,
                52.37,
                4.9,
                cast.owner_id,
                cast.market,
                unit="kW",
                **({"min_soc_in_mwh": 0, "max_soc_in_mwh": 5} if type_name == "battery" else {}),
            )
            made[name] = create_asset(db.session, new).id
        db.session.commit()
    return made


def stored_values(sensor_id):
    """Read what stands in the database, in the order of time."""
    query = db.text("select event_value from belief where sensor_id = :id order by event_start")
    return [value for (value,) in db.session.execute(query, {"id": sensor_id})]


@pytest.mark.parametrize(("unit", "sent"), [("MW", 0.002), ("kW", 2.0), ("kWh", 0.5), ("MWh", 0.0005)])
def test_meter_data_are_stored_in_the_unit_of_the_sensor(app, owner, cast, kilowatts, unit, sent):
    """2 kW, in whatever unit it is sent, is stored as 2 in kW and 0.002 in MW, and read in any unit again."""
    ours = f"ea1.2021-01.io.flexmeasures:{cast.owner_id}:{kilowatts['kw_building']}"
    message = {
        "type": "PostMeterDataRequest",
        "connections": [ours, cast.address("building")],
        "values": [sent] * 4,
        "start": "2015-01-02T00:00:00Z",
        "duration": "PT1H",
        "horizon": "PT0H",
        "unit": unit,
    }
    assert owner.post("postMeterData", message).status_code == 200
    with app.app_context():
        assert stored_values(kilowatts["kw_building"]) == pytest.approx([2.0] * 4, rel=1e-15)
        assert stored_values(cast.assets["building"]) == pytest.approx([0.002] * 4, rel=1e-15)
    question = {k: v for k, v in message.items() if k not in ("values", "horizon", "type", "connections")}
    for asked, expected in (("MW", 0.002), ("kW", 2.0), ("kWh", 0.5)):
        query = {**question, "type": "GetMeterDataRequest", "connection": ours, "unit": asked}
        answer = owner.get("getMeterData", **query).json
        assert (answer["values"], answer["unit"]) == (pytest.approx([expected] * 4, rel=1e-14), asked)


def test_a_schedule_is_stored_in_the_unit_and_answered_in_mw(app, owner, cast, kilowatts, work):
    """Two equal batteries get the same plan in MW, whatever unit they keep it in; 1 MW is stored as 1000 kW."""
    for asset_id in (kilowatts["kw_battery"], cast.assets["battery"]):
        event = f"ea1.2021-01.io.flexmeasures:{cast.owner_id}:{asset_id}:204:soc-with-targets"
        message = {
            "type": "PostUdiEventRequest",
            "event": event,
            "value": 2.5,
            "unit": "MWh",
            "datetime": "2015-01-02T00:00:00Z",
            "targets": [{"value": 3.5, "unit": "MWh", "datetime": "2015-01-02T12:00:00Z"}],
        }
        assert owner.post("postUdiEvent", message).status_code == 200
    work()
    answers = []
    for asset_id in (kilowatts["kw_battery"], cast.assets["battery"]):
        event = f"ea1.2021-01.io.flexmeasures:{cast.owner_id}:{asset_id}:204:soc-with-targets"
        query = {"type": "GetDeviceMessageRequest", "event": event, "duration": "PT24H"}
        answers.append(owner.get("getDeviceMessage", **query).json)
    assert answers[0]["unit"] == answers[1]["unit"] == "MW"
    assert answers[0]["values"] == pytest.approx(answers[1]["values"], abs=1e-6)
    assert max(answers[0]["values"]) == pytest.approx(2.0)
    with app.app_context():
        stored = stored_values(kilowatts["kw_battery"])
        assert stored == pytest.approx([1000 * value for value in answers[0]["values"]])
        record = db.session.scalars(
            select(PlanDevice).where(PlanDevice.sensor_id == kilowatts["kw_battery"])
        ).one()
        assert record.power_mw == pytest.approx(answers[0]["values"])


def test_charts_and_settlement_read_mw(app, cast, kilowatts):
    """1500 kW measured for an hour is 1.5 MW in a chart, and 1.5 MWh more than a plan of nothing."""
    with app.app_context():
        asset = db.session.get(Asset, kilowatts["kw_building"])
        store_values(db.session, asset, DAY_TWO, np.full(4, 1500.0))
        question = PowerQuestion(DAY_TWO, DAY_TWO + HOUR, HOUR / 4, "UTC")
        chart = read_power_chart(db.session, Resource("x", "x", (asset,)), question)
        assert chart.traces[0].power.tolist() == [1.5] * 4
        order = FlexibilityOrder(
            asset_id=asset.id,
            regulation="down",
            start=DAY_TWO,
            resolution=HOUR / 4,
            agreed_mw=[1.0] * 4,
            planned_mw=[0.0] * 4,
            volume_mwh=1.0,
            market_price=10.0,
            cost=2.0,
            owner_share=0.5,
            fee_per_activation=0,
            fee_per_hour=0,
            owner_bears_losses=False,
        )
        settled = settle_orders(db.session, [order])[0]
        assert (settled.basis, settled.delivered_mwh, settled.revenue) == ("measured", 1.5, 10.0)
        db.session.rollback()


def test_forecasts_stay_in_the_unit_of_the_sensor(app, cast, kilowatts):
    """A forecast from measurements in kW is in kW: the day before repeats."""
    with app.app_context():
        asset = db.session.get(Asset, kilowatts["kw_building"])
        store_values(db.session, asset, DAY_TWO - 24 * HOUR, np.full(96, 1500.0))
        order = ForecastOrder(asset.sensor.id, DAY_TWO, DAY_TWO + HOUR, timedelta(hours=6))
        assert make_forecasts(db.session, order).events == 4
        assert stored_values(asset.sensor.id)[-4:] == [1500.0] * 4


def test_a_unit_that_is_changed_keeps_what_is_stored(app, owner, client, cast, kilowatts):
    """Without data, the new unit is that of the sensor; with data, the sensor keeps its unit and its values."""
    asset_id = kilowatts["kw_building"]
    path = f"/api/v2_0/asset/{asset_id}"
    assert client.patch(path, json={"unit": "MW"}, headers=owner.headers).json["unit"] == "MW"
    with app.app_context():
        asset = db.session.get(Asset, asset_id)
        assert asset.sensor.unit == "MW"
        store_values(db.session, asset, DAY_TWO, np.full(4, 1.0))
        db.session.commit()
    assert client.patch(path, json={"unit": "kW"}, headers=owner.headers).json["unit"] == "kW"
    with app.app_context():
        assert db.session.get(Asset, asset_id).sensor.unit == "MW"
        assert stored_values(asset_id) == [1.0] * 4
    assert client.patch(path, json={"unit": "°C"}, headers=owner.headers).json["unit"] == "°C"


def test_a_unit_of_something_else_keeps_power_in_mw(app, cast):
    """An asset that is shown with a unit that is not one of power keeps its power in MW."""
    with app.app_context():
        new = NewAsset("odd", "building", 1, HOUR, 52, 4, cast.owner_id, cast.market, unit="°C")
        assert create_asset(db.session, new).sensor.unit == "MW"
