"""Schedules as they are made, kept and explained: every kind of device through the queue, with prices of a market."""

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import event, select
from sqlalchemy.orm import contains_eager, joinedload

from flexmeasures.app import create
from flexmeasures.data.database import db
from flexmeasures.data.stores.beliefs import SensorBeliefs, insert_beliefs
from flexmeasures.data.stores.portfolio import PortfolioWindow, read_series
from flexmeasures.data.stores.users import get_or_create_source
from flexmeasures.data.tables import Asset, Market, PlanDevice, PlanRecord, Sensor
from flexmeasures.domain.beliefs import Beliefs
from flexmeasures.domain.scheduling.planning.assets import plan_asset
from flexmeasures.domain.scheduling.rolling import AgreedPower
from flexmeasures.domain.time import event_grid
from flexmeasures.jobs.schedules import enqueue_portfolio
from flexmeasures.services.flex_models import NewAssetType, create_asset_type, set_flex_model_of_asset
from flexmeasures.services.schedules.gather import Planning, PlanWish, read_plan_inputs
from flexmeasures.services.schedules.reschedule import PortfolioOrder, reschedule
from flexmeasures.testing import make_sensor, store_values

DAY_TWO = datetime(2015, 1, 2, tzinfo=UTC)
"""Its prices: 8 hours at 100, 8 hours at 90 and 8 hours at 100 EUR/MWh."""

HOUR = timedelta(hours=1)
ROOT = Path(__file__).parents[2]


@pytest.fixture
def flexible(app, cast):
    """Give assets of the cast flex models, and states of charge."""

    def change(name, fields, soc=None, at=DAY_TWO):
        with app.app_context():
            asset = set_flex_model_of_asset(db.session, fields, cast.assets[name])
            asset.soc_in_mwh, asset.soc_datetime = soc, at
            db.session.commit()
        return cast.assets[name]

    return change


@pytest.fixture
def schedule(app, work):
    """Let a worker schedule assets, and give the record of each."""

    def run(*asset_ids, start=DAY_TWO, hours=24):
        order = PortfolioOrder(asset_ids, start, hours * HOUR, start - HOUR / 4)
        jobs = enqueue_portfolio(app.extensions["redis"], order, timedelta(days=1))
        work()
        for job in jobs:
            assert job.get_status(refresh=True) == "finished", job.get_meta()
            assert not job.return_value().failures, job.return_value().failures
        with app.app_context():
            newest = select(PlanDevice).join(PlanDevice.plan).order_by(PlanRecord.number)
            found = db.session.scalars(newest.options(contains_eager(PlanDevice.plan)))
            return {one.plan.asset_id: one for one in found if one.plan.asset_id in asset_ids}

    return run


def planned_power(sensor_id):
    """Read the beliefs of schedulers about the second day, the newest about each event."""
    window = PortfolioWindow(DAY_TWO, DAY_TWO + 24 * HOUR, scheduled=True)
    return read_series(db.session, [db.session.get(Sensor, sensor_id)], window)[sensor_id].values


def store_forecast(app, sensor_id, start, values, ahead=timedelta(days=1)):
    """Store what somebody expects of consecutive events, a day ahead."""
    with app.app_context():
        sensor = db.session.get(Sensor, sensor_id)
        source = get_or_create_source(db.session, "FlexMeasures", "forecaster", "naive", "1")
        starts = event_grid(start, sensor.event_resolution, len(values))
        horizons = np.full(len(values), np.timedelta64(ahead))
        beliefs = Beliefs(
            starts, np.asarray(values, float), horizons, np.full(len(values), source.id, np.int32)
        )
        insert_beliefs(db.session, [SensorBeliefs(sensor_id, beliefs)])
        db.session.commit()


def test_a_battery_with_losses(schedule, flexible):
    """A cycle at 81 % loses more than 90 and 100 EUR/MWh differ: only what is in it is sold, 2.25 of its 2.5 MWh."""
    asset = flexible("battery", {"roundtrip_efficiency": 0.81}, 2.5)
    record = schedule(asset)[asset]
    assert record.plan.outcome == "optimal"
    assert record.soc_mwh[-1] == pytest.approx(0.0, abs=1e-6)
    assert min(record.power_mw) == pytest.approx(-2.0)
    assert max(record.power_mw) == pytest.approx(0.0)
    assert record.plan.cost == pytest.approx(-225.0)
    assert record.plan.baseline == "doing nothing"
    assert record.plan.baseline_cost == pytest.approx(0.0)
    assert record.plan.currency == "EUR"
    assert record.plan.co2_kg is None


def test_a_charging_point_with_daily_stays(schedule, flexible):
    """A car from 02:00 to 14:00 takes its 4 MWh from 08:00 on, when it is cheap; at once it would cost 40 EUR more."""
    stay = {"arrival": "02:00", "departure": "14:00", "energy_wanted_mwh": 4.0}
    asset = flexible("station", {"stays": [stay]})
    record = schedule(asset)[asset]
    power = np.array(record.power_mw)
    assert power[:32] == pytest.approx(0.0)
    assert power[32:40] == pytest.approx(2.0)
    assert record.plan.baseline == "charging at once"
    assert (record.plan.cost, record.plan.baseline_cost) == (pytest.approx(360.0), pytest.approx(400.0))
    assert (record.plan.shifted_mwh, record.plan.shifted_mwh_h) == (pytest.approx(4.0), pytest.approx(24.0))
    assert np.isnan(record.soc_mwh[0])


def test_a_heat_pump_with_a_buffer(app, cast, schedule, flexible):
    """The 0.3 MW of heat take 0.1 MW of electricity; the buffer of 1.2 MWh moves 4 hours of it into the cheap ones."""
    with app.app_context():
        demand = make_sensor(db.session, "heat demand", "kW", HOUR)
        db.session.commit()
        sensor_id = demand.id
    store_forecast(app, sensor_id, DAY_TWO, np.full(24, 300.0))
    fields = {"kind": "heat_buffer", "gain": 3.0, "capacity_mwh": 1.2, "usage_sensor_id": sensor_id}
    asset = flexible("building", fields, 0.0)
    record = schedule(asset)[asset]
    power, soc = np.array(record.power_mw), np.array(record.soc_mwh)
    assert power[:32].sum() / 4 == pytest.approx(0.8)
    assert power[32:64].sum() / 4 == pytest.approx(0.8 + 0.4)
    assert power.sum() / 4 == pytest.approx(2.4)
    assert soc[64] == pytest.approx(1.2)
    assert soc.min() >= -1e-9


def test_a_load_runs_once_and_is_not_repeated(schedule, flexible):
    """A run of an hour waits for the cheap hours; planned again in the middle of it, only its rest is left."""
    asset = flexible("building", {"kind": "shiftable_load", "profile_mw": [0.4, 0.4, 0.8, 0.8]})
    first = schedule(asset)[asset]
    assert np.flatnonzero(first.power_mw).tolist() == [32, 33, 34, 35]
    assert first.plan.cost == pytest.approx(0.6 * 90)
    half = DAY_TWO + 8.5 * HOUR
    again = schedule(asset, start=half, hours=4)[asset]
    assert np.flatnonzero(again.power_mw).tolist() == [0, 1]
    assert again.power_mw[:2] == pytest.approx([0.8, 0.8])
    after = schedule(asset, start=half + HOUR, hours=4)[asset]
    assert not np.any(after.power_mw)
    assert after.plan.outcome == "optimal"


def test_curtailment_at_negative_prices(app, cast, schedule, flexible):
    """A solar roof produces its forecast, and only what it must while the price is negative."""
    day = DAY_TWO + timedelta(days=1)
    with app.app_context():
        store_values(db.session, db.session.get(Market, cast.market), day, np.repeat([50.0, -20.0], [12, 12]))
        db.session.commit()
    asset = flexible("solar", {"kind": "curtailable", "minimum_mw": 0.1})
    store_forecast(app, asset, day, np.full(96, -0.5))
    record = schedule(asset, start=day)[asset]
    assert record.power_mw == pytest.approx([-0.5] * 48 + [-0.1] * 48)
    assert record.plan.baseline == "forecast"
    assert record.plan.curtailed_mwh == pytest.approx(0.4 * 12)
    assert record.plan.baseline_cost - record.plan.cost == pytest.approx(0.4 * 12 * 20)


def test_the_documented_types_share_one_model(schedule, cast, flexible):
    """Without a flex model of its own an asset has that of its type: the day's plans are those worked out by hand."""
    battery, station = flexible("battery", None, 2.5), flexible("station", None)
    records = schedule(battery, station)
    assert records[battery].soc_mwh[32] == pytest.approx(0.0)
    assert records[battery].soc_mwh[64] == pytest.approx(5.0)
    assert records[battery].plan.cost == pytest.approx(-250 + 450 - 500)
    assert not np.any(records[station].power_mw)


def test_emissions_are_counted_and_priced(app, cast, schedule, flexible):
    """Where the CO₂ intensity of the grid is known, schedules can follow it, and say what they avoid."""
    with app.app_context():
        sensor = make_sensor(db.session, "grid mix", "g/kWh", HOUR)
        db.session.commit()
        sensor_id = sensor.id
    store_forecast(app, sensor_id, DAY_TWO, np.repeat([200.0, 400.0, 300.0], 8))
    fields = {"co2_sensor_id": sensor_id, "objective": "co2"}
    asset = flexible("battery", fields, 0.0)
    record = schedule(asset)[asset]
    # 5 MWh at 200 kg/MWh are sold at 400.
    assert record.plan.co2_kg == pytest.approx(5 * (200 - 400))
    assert record.plan.baseline_co2_kg == pytest.approx(0.0)
    assert record.plan.cost == pytest.approx(5 * (100 - 90))


def test_a_schedule_says_why(owner, app, cast, work):
    """The record of a UDI event knows its event, and for each slot what bound and what energy is worth."""
    message = {
        "type": "PostUdiEventRequest",
        "event": cast.address("battery", "7:soc"),
        "value": 2.5,
        "unit": "MWh",
        "datetime": "2015-01-02T00:00:00+00:00",
    }
    assert owner.post("postUdiEvent", message).status_code == 200
    work()
    with app.app_context():
        record = db.session.scalars(select(PlanDevice).options(joinedload(PlanDevice.plan))).one()
    why = record.plan.explanation
    assert record.udi_event_id == 7
    assert len(record.power_mw) == len(why["marginal_price"]) == 96
    assert len(why["stored_value"]["Test battery"]) == 96
    assert why["marginal_price"][40] == pytest.approx(90, abs=0.2)
    assert why["binding"]["Test battery"][33] == ["maximum consumption"]
    assert why["baselines"]["doing nothing"] == {"cost": 0.0, "co2_kg": 0.0, "keeps_wishes": True}


def test_what_is_missed_travels(owner, app, cast, work):
    """A target out of reach is missed by as little as possible; record, job and message say so."""
    message = {
        "type": "PostUdiEventRequest",
        "event": cast.address("station", "8:soc-with-targets"),
        "value": 0.0,
        "unit": "MWh",
        "datetime": "2015-01-02T00:00:00+00:00",
        "targets": [{"value": 5.0, "datetime": "2015-01-02T02:00:00+00:00"}],
    }
    assert owner.post("postUdiEvent", message).status_code == 200
    work()
    answer = owner.get("getDeviceMessage", type="GetDeviceMessageRequest", event=message["event"]).json
    with app.app_context():
        record = db.session.scalars(select(PlanDevice).options(joinedload(PlanDevice.plan))).one()
    assert record.plan.outcome == "relaxed"
    [missed] = record.missed
    assert (missed["limit"], missed["at"]) == ("soc target", "2015-01-02T02:00:00Z")
    assert (missed["wanted"], missed["reached"]) == (pytest.approx(5.0), pytest.approx(4.0))
    assert missed["clashes"]
    assert any("soc target" in note and "2015-01-02T02:00:00Z" in note for note in answer["notes"])


def test_a_later_schedule_keeps_what_was_executed(app, cast, schedule, flexible):
    """Planned again at noon, the morning stays as it was planned, and the state of charge is carried on."""
    asset = flexible("battery", None, 2.5)
    first = schedule(asset)[asset]
    noon = DAY_TWO + 12 * HOUR
    again = schedule(asset, start=noon - HOUR / 60, hours=12)[asset]
    assert again.plan.start == noon
    assert again.soc_mwh[0] == pytest.approx(first.soc_mwh[48]) == pytest.approx(5.0)
    with app.app_context():
        power = planned_power(asset)
    assert power[:48] == pytest.approx(first.power_mw[:48])
    assert power[48:] == pytest.approx(again.power_mw)


def saving_of(record):
    """What a schedule saves: the lower bill and what is left."""
    return record.plan.baseline_cost - record.plan.cost + record.plan.explanation["energy_left"]["worth"]


@pytest.mark.parametrize(
    ("fields", "soc", "saving"),
    [
        # 5 MWh are bought at 90 and sold at 100; what was in it at first is sold at 100 and counted at 2320/24
        pytest.param({}, 0.0, 50.0, id="an empty battery"),
        pytest.param({}, 2.5, 50.0 + 2.5 * (100 - 2320 / 24), id="a half full one"),
        pytest.param(
            {"charge_efficiency": 0.5}, 5.0, 5 * (100 - 2320 / 24 / 0.5), id="refilling costs twice as much"
        ),
        pytest.param({"value_of_energy_left": 95.0}, 2.5, 50.0 + 2.5 * (100 - 95), id="at a stated value"),
        pytest.param(
            {"value_of_energy_left": 200.0},
            2.5,
            2.5 * (100 - 90) + 2.5 * (200 - 90),
            id="worth more than any price",
        ),
    ],
)
def test_emptying_a_battery_saves_nothing_by_itself(schedule, flexible, fields, soc, saving):
    """What is left at the end counts: at the value in the flex model, else at the average price of refilling it."""
    asset = flexible("battery", fields, soc)
    record = schedule(asset)[asset]
    assert saving_of(record) == pytest.approx(saving)
    assert record.plan.curtailed_mwh == 0


def test_a_car_out_of_reach_is_compared_with_charging_at_once(schedule, flexible):
    """A car that cannot get all that it wants is not compared with one that gets nothing: that would be no saving."""
    stay = {"arrival": "00:00", "departure": "01:00", "soc_wanted_mwh": 9.0}
    asset = flexible("station", {"stays": [stay]})
    record = schedule(asset)[asset]
    assert record.plan.baseline == "charging at once"
    # an hour at 2 MW either way, at 100 EUR/MWh
    assert (record.plan.cost, record.plan.baseline_cost) == (pytest.approx(200), pytest.approx(200))
    assert saving_of(record) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(("price", "moves"), [(20.0, False), (0.0, True)])
def test_a_stable_plan_changes_only_for_a_reason(app, cast, schedule, flexible, price, moves):
    """An hour that became 5 EUR/MWh cheaper moves the plan, unless changes have a price that is higher."""
    asset = flexible("battery", {"replanning_price": price}, 0.0)
    first = schedule(asset)[asset]
    with app.app_context():
        source = get_or_create_source(db.session, "FlexMeasures", "script")
        starts = event_grid(DAY_TWO + 13 * HOUR, HOUR, 1)
        newer = np.full(1, np.timedelta64(-HOUR))
        beliefs = Beliefs(starts, np.array([85.0]), newer, np.full(1, source.id, np.int32))
        insert_beliefs(db.session, [SensorBeliefs(cast.market, beliefs)])
        db.session.commit()
    again = schedule(asset)[asset]
    assert again.power_mw[52:56] == pytest.approx([2.0 if moves else 0.0] * 4)
    assert (again.power_mw == pytest.approx(first.power_mw)) != moves


def test_what_was_agreed_is_delivered(app, cast, flexible):
    """A battery that has agreed to consume 1.5 MW at noon does so, and plans the rest around it."""
    flexible("battery", None, 0.0)
    noon = DAY_TWO + 12 * HOUR
    agreed = AgreedPower("order 1", noon, noon + HOUR / 2, 1.5, 10_000.0)
    with app.app_context():
        asset = db.session.get(Asset, cast.assets["battery"])
        wish = PlanWish(asset, DAY_TWO, 24 * HOUR, agreed=(agreed,))
        [known] = read_plan_inputs(db.session, [wish], Planning())
    plan = plan_asset(known)
    assert plan.power_mw[48:50] == pytest.approx([1.5, 1.5])
    assert plan.value.cost == pytest.approx(5 * 90 - 5 * 100)


def test_only_the_newest_records_are_kept(app, cast, flexible):
    """An asset keeps as many records as configured, the newest ones; beliefs stay."""
    asset = flexible("battery", None, 2.5)
    with app.app_context():
        for number in range(4):
            order = PortfolioOrder((asset,), DAY_TWO, 6 * HOUR, DAY_TWO - (9 - number) * HOUR)
            reschedule(db.session, order, Planning(kept=2))
        db.session.commit()
        times = db.session.scalars(select(PlanRecord.recorded_at).order_by(PlanRecord.number)).all()
    assert times == [DAY_TWO - 7 * HOUR, DAY_TWO - 6 * HOUR]


def test_a_job_that_runs_twice_keeps_one_record(app, cast, flexible):
    """A job that was interrupted after its commit runs once more, and replaces its own record."""
    asset = flexible("battery", None, 2.5)
    order = PortfolioOrder((asset,), DAY_TWO, 6 * HOUR, DAY_TWO - HOUR)
    with app.app_context():
        for _ in range(2):
            reschedule(db.session, order, Planning())
            db.session.commit()
        assert len(db.session.scalars(select(PlanRecord)).all()) == 1


def test_one_asset_does_not_spoil_the_plans_of_others(app, cast, flexible):
    """What cannot be scheduled is named with its reason; the rest is scheduled and stored."""
    battery = flexible("battery", None, 2.5)
    ids = (battery, cast.assets["solar"], cast.foreign_asset, 9999)
    with app.app_context():
        outcome = reschedule(db.session, PortfolioOrder(ids, DAY_TWO, 24 * HOUR, DAY_TWO), Planning())
        db.session.commit()
    assert outcome.made == 1
    # a bill 300 EUR lower, and 2.5 MWh less in the battery at an average of (16 · 100 + 8 · 90) / 24 EUR/MWh
    assert outcome.savings == {"EUR": pytest.approx(300.0 - 2.5 * 2320 / 24)}
    assert "has no flex model" in outcome.failures[cast.assets["solar"]]
    assert "state of charge of Foreign battery" in outcome.failures[cast.foreign_asset]
    assert "no asset with id 9999" in outcome.failures[9999]


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        pytest.param({"co2_sensor_id": 9999, "co2_price": 50}, "sensor 9999", id="unknown sensor"),
        pytest.param({"export_market_id": 9999}, "sensor 9999", id="unknown market"),
        pytest.param({"scheduler": "nobody's"}, 'no scheduler "nobody\'s"', id="unknown scheduler"),
        pytest.param({"soc_min_mwh": 6.0}, "above its highest", id="above the asset's highest"),
    ],
)
def test_a_flex_model_that_points_nowhere(app, cast, flexible, fields, told):
    """What can only be seen when it is used is told by name then."""
    asset = flexible("battery", fields, 2.5)
    with app.app_context():
        outcome = reschedule(db.session, PortfolioOrder((asset,), DAY_TWO, 24 * HOUR, DAY_TWO), Planning())
    assert told in outcome.failures[asset]


def test_a_start_beyond_the_limits_is_relaxed(schedule, flexible):
    """A battery that is fuller than it may be goes back inside as fast as it can, and says so."""
    asset = flexible("battery", {"soc_max_mwh": 2.0}, 2.5)
    record = schedule(asset)[asset]
    assert record.soc_mwh[1] == pytest.approx(2.0)
    assert record.plan.outcome in ("optimal", "relaxed")


def test_the_number_of_queries_does_not_grow(app, cast, flexible):
    """Three assets take as many queries as one: nothing is asked asset by asset."""
    ids = [
        flexible(name, {"kind": "storage", "soc_max_mwh": 2}, 1.0)
        for name in ("battery", "solar", "building")
    ]
    counts = []
    with app.app_context():
        reschedule(db.session, PortfolioOrder(tuple(ids), DAY_TWO, 6 * HOUR, DAY_TWO), Planning())
        db.session.commit()
        for chosen in (ids[:1], ids):
            queries = []

            def note(*args, queries=queries):
                queries.append(args[2])

            event.listen(db.engine, "before_cursor_execute", note)
            reschedule(db.session, PortfolioOrder(tuple(chosen), DAY_TWO, 6 * HOUR, DAY_TWO), Planning())
            db.session.commit()
            db.session.remove()
            event.remove(db.engine, "before_cursor_execute", note)
            counts.append(len(queries))
    assert counts[1] == counts[0]


def read_example():
    """The plugin in the documentation of schedulers."""
    page = (ROOT / "docs/how-to/write-a-scheduler.md").read_text(encoding="utf-8")
    return page.split("```python\n")[1].split("```")[0]


@pytest.fixture
def cheap_hours(app, tmp_path):
    """The plugin of the documentation, loaded as it stands there."""
    folder = tmp_path / "cheap_hours"
    folder.mkdir()
    (folder / "__init__.py").write_text(read_example(), encoding="utf-8")
    settings = {"FLEXMEASURES_INSTANCE_PATH": app.instance_path, "FLEXMEASURES_PLUGIN_PATHS": [str(folder)]}
    yield create("testing", settings=settings)
    sys.modules.pop("cheap_hours", None)


def test_the_scheduler_of_the_documentation(cheap_hours, app, cast, schedule, flexible):
    """A boiler of the plugin's type runs in the cheapest hours, by its own number of them, and is priced."""
    with app.app_context():
        fields = {"kind": "custom", "scheduler": "cheap-hours", "parameters": {"hours": 3}}
        create_asset_type(db.session, NewAssetType("boiler", "boiler", is_consumer=True, flex_model=fields))
        asset = db.session.get(Asset, cast.assets["building"])
        asset.asset_type_name = "boiler"
        db.session.commit()
    asset_id = flexible("building", {"parameters": {"hours": 4}})
    record = schedule(asset_id)[asset_id]
    assert np.flatnonzero(record.power_mw).tolist() == list(range(32, 48))
    assert (record.plan.outcome, record.plan.cost) == ("custom", pytest.approx(360.0))
    with app.app_context():
        source = db.session.get(PlanRecord, record.plan_id).source
        assert (source.type, source.model, source.version) == ("scheduler", "cheap-hours", "1")
        read = planned_power(asset_id)
    assert read == pytest.approx(record.power_mw)


def test_a_scheduler_beyond_the_limits_is_told(cheap_hours, schedule, flexible):
    """A plugin that overfills a battery of 1 MWh is not corrected, but its schedule says so."""
    asset = flexible("battery", {"scheduler": "cheap-hours", "soc_max_mwh": 1.0}, 0.0)
    record = schedule(asset)[asset]
    assert record.missed[0]["limit"] == "soc maximum"
    assert record.soc_mwh[-1] == pytest.approx(6.0)
