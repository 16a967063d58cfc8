"""Sites: devices behind one connection are planned as one, for events and by the clock, within its limits."""

import json
import re
import shlex
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from sqlalchemy import select
from sqlalchemy.orm import joinedload

from flexmeasures import cli
from flexmeasures.data.database import db
from flexmeasures.data.stores.beliefs import SensorBeliefs, insert_beliefs
from flexmeasures.data.stores.users import get_or_create_source
from flexmeasures.data.tables import Asset, PlanDevice, PlanRecord, SensorReference
from flexmeasures.domain.beliefs import Beliefs
from flexmeasures.domain.time import event_grid
from flexmeasures.services.checks import FieldErrors
from flexmeasures.services.flex_contexts import set_flex_context
from flexmeasures.services.flex_models import set_flex_model_of_asset
from flexmeasures.services.flexibility.broker import Enquiry, MarketTerms, make_order_books, open_portfolio
from flexmeasures.services.flexibility.order import OrderTerms, place_orders, suggest_orders
from flexmeasures.services.numbered import add_sensor_to
from flexmeasures.services.schedules.gather import Planning
from flexmeasures.services.schedules.reschedule import PortfolioOrder, reschedule
from flexmeasures.testing import store_values

DAY_TWO = datetime(2015, 1, 2, tzinfo=UTC)
"""Its prices: 8 hours at 100, 8 hours at 90 and 8 hours at 100 EUR/MWh."""

HOUR = timedelta(hours=1)


@pytest.fixture
def house(app, cast):
    """A way to set up a house with some of the owner's assets behind one connection."""

    def make(context, *parts, **states):
        with app.app_context():
            account = db.session.get(Asset, cast.assets["battery"]).account_id
            site = Asset(name="house", asset_type_name="building", account_id=account, owner_id=cast.owner_id)
            db.session.add(site)
            db.session.flush()
            for name in parts:
                part = db.session.get(Asset, cast.assets[name])
                part.parent_id = site.id
                part.soc_in_mwh, part.soc_datetime = states.get(name, 0.0), DAY_TWO
            db.session.flush()
            set_flex_context(db.session, context, site.id)
            db.session.commit()
            return site.id

    return make


def forecast(session, sensor, values, start=DAY_TWO):
    """Store what is expected of consecutive events, a day ahead."""
    source = get_or_create_source(session, "FlexMeasures", "forecaster", "naive", "1")
    starts = event_grid(start, sensor.event_resolution, len(values))
    horizons = np.full(len(values), np.timedelta64(timedelta(days=1)))
    beliefs = Beliefs(starts, np.asarray(values, float), horizons, np.full(len(values), source.id, np.int32))
    insert_beliefs(session, [SensorBeliefs(sensor.id, beliefs)])
    session.commit()


def replan(app, *asset_ids, hours=24):
    """Plan assets by the clock, and give the outcome."""
    with app.app_context():
        order = PortfolioOrder(asset_ids, DAY_TWO, hours * HOUR, DAY_TWO)
        outcome = reschedule(db.session, order, Planning())
        db.session.commit()
        return outcome


def plans(app):
    """Read all plans, with what they say about each device, by its sensor."""
    with app.app_context():
        found = db.session.scalars(
            select(PlanRecord).options(joinedload(PlanRecord.devices)).order_by(PlanRecord.number)
        ).unique()
        return [
            (one, {device.sensor_id: np.array(device.power_mw) for device in one.devices}) for one in found
        ]


def udi(cast, asset, number, soc, at="2015-01-02T00:00:00Z", target=None):
    """A UDI event; the target is due at 16:00."""
    message = {
        "type": "PostUdiEventRequest",
        "event": cast.address(asset, f"{number}:soc" + ("" if target is None else "-with-targets")),
        "value": soc,
        "unit": "MWh",
        "datetime": at,
    }
    if target is not None:
        message["targets"] = [{"value": target, "datetime": "2015-01-02T16:00:00Z"}]
    return message


def test_a_limit_of_the_whole_holds_in_every_slot(app, owner, cast, house, work):
    """A car that needs 4 MWh and a battery that may trade share a connection of 1 MW, less 0.3 MW for the building.

    The cheap hours, 8:00 to 16:00, have room for 8 · 0.7 = 5.6 MWh: 4 MWh go into the car, the rest is cheap enough for
    the battery only if it sells that later at 100. Alone, the car would draw 2 MW.
    """
    site = house({"site-power-capacity": "1000 kW"}, "battery", "station", "building", battery=0.0)
    with app.app_context():
        forecast(db.session, db.session.get(Asset, cast.assets["building"]).sensor, np.full(96, 0.3))
    event = udi(cast, "station", 1, 0.0, target=4.0)
    assert owner.post("postUdiEvent", event).status_code == 200
    work()
    [(plan, powers)] = plans(app)
    assert plan.asset_id == site
    assert set(powers) == {cast.assets["battery"], cast.assets["station"]}
    net = np.array(plan.net_mw)
    assert net == pytest.approx(sum(powers.values()) + 0.3)
    assert net.max() <= 1 + 1e-6
    assert net.min() >= -1 - 1e-6
    car = powers[cast.assets["station"]]
    assert car[:64].sum() / 4 == pytest.approx(4.0, abs=1e-6)
    # 4 MWh for the car and 1.6 MWh for the battery at 90, of which the latter is sold at 100; 0.3 MW all day.
    building = 0.3 * 8 * (100 + 90 + 100)
    assert plan.cost == pytest.approx(building + 4 * 90 + 1.6 * (90 - 100), abs=0.01)
    answer = owner.get(
        "getDeviceMessage", type="GetDeviceMessageRequest", event=event["event"], duration="PT24H"
    ).json
    assert answer["values"] == pytest.approx(car.tolist())


def test_events_close_together_lead_to_one_plan(app, owner, cast, house, work):
    """Events of two devices for one slot are planned for once; each gets its own schedule from that plan."""
    house({"site-power-capacity": "1 MW"}, "battery", "station")
    events = [udi(cast, "station", 1, 0.0, target=4.0), udi(cast, "battery", 7, 2.0, "2015-01-02T00:03:00Z")]
    for event in events:
        assert owner.post("postUdiEvent", event).status_code == 200
    work()
    [(_, powers)] = plans(app)
    with app.app_context():
        numbers = dict(db.session.execute(select(PlanDevice.sensor_id, PlanDevice.udi_event_id)).all())
    assert numbers == {cast.assets["station"]: 1, cast.assets["battery"]: 7}
    for event, asset in zip(events, ("station", "battery"), strict=True):
        answer = owner.get(
            "getDeviceMessage", type="GetDeviceMessageRequest", event=event["event"], duration="PT24H"
        ).json
        assert answer["values"] == pytest.approx(powers[cast.assets[asset]].tolist())
        assert answer["start"] == "2015-01-02T00:00:00Z"
    # A later event makes a plan of its own, with what the other device was told before.
    assert owner.post("postUdiEvent", udi(cast, "battery", 8, 0.5, "2015-01-02T01:00:00Z")).status_code == 200
    work()
    (_, _), (later, again) = plans(app)
    assert later.start == DAY_TWO + HOUR
    assert again[cast.assets["station"]][:60].sum() / 4 == pytest.approx(4.0, abs=1e-6)


def test_an_asset_without_a_site_is_planned_alone(app, cast, house):
    """Of two assets of an order only that below the site is planned with it; the other has a plan of its own."""
    site = house({}, "battery", battery=1.0)
    with app.app_context():
        station = db.session.get(Asset, cast.assets["two_way"])
        station.soc_in_mwh, station.soc_datetime = 1.0, DAY_TWO
        db.session.commit()
    outcome = replan(app, cast.assets["battery"], cast.assets["two_way"])
    assert (outcome.made, outcome.failures) == (2, {})
    assert sorted(plan.asset_id for plan, _ in plans(app)) == sorted([site, cast.assets["two_way"]])


def test_a_site_whose_whole_is_asked_for_twice_is_planned_once(app, cast, house):
    """Several devices of one site in an order make one plan, and the order again makes no other."""
    house({}, "battery", "two_way", battery=1.0)
    for _ in range(2):
        outcome = replan(app, cast.assets["battery"], cast.assets["two_way"])
        assert (outcome.made, outcome.failures) == (2, {})
        assert len(plans(app)) == 1


def test_limits_of_a_sensor_hold_slot_by_slot(app, owner, cast, house):
    """A sensor allows 500 kW until noon and 250 kW later: a battery fills and empties no faster than that."""
    site = house({}, "battery", battery=0.0)
    with app.app_context():
        root = db.session.get(Asset, site)
        limit = add_sensor_to(db.session, root, "limit", "kW", HOUR, "UTC")
        source = get_or_create_source(db.session, "FlexMeasures", "script")
        starts = event_grid(DAY_TWO, HOUR, 24)
        values = np.repeat([500.0, 250.0], 12)
        beliefs = Beliefs(
            starts, values, np.full(24, np.timedelta64(0, "us")), np.full(24, source.id, np.int32)
        )
        insert_beliefs(db.session, [SensorBeliefs(limit.id, beliefs)])
        set_flex_context(db.session, {"site-power-capacity": {"sensor": limit.id}}, site)
        db.session.commit()
        assert db.session.scalars(select(SensorReference.field)).all() == ["flex_context.site-power-capacity"]
    assert replan(app, cast.assets["battery"]).failures == {}
    [(_, powers)] = plans(app)
    power = powers[cast.assets["battery"]]
    assert np.abs(power[:48]).max() == pytest.approx(0.5)
    assert np.abs(power[48:]).max() == pytest.approx(0.25)
    # It takes up to 3 MWh from 8:00 to 16:00, of which 8 h · 0.25 MW = 2 MWh can go out again.
    assert power[64:].sum() / 4 == pytest.approx(-2.0)


def test_a_feed_in_tariff_and_surcharges(app, cast, house):
    """Bought at 90 + 50 in the cheap hours and sold at a tariff of 60 at any time, nothing is worth trading."""
    context = {"production-price": "60 EUR/MWh", "consumption-surcharge": "0.05 EUR/kWh"}
    house(context, "battery", battery=2.0)
    assert replan(app, cast.assets["battery"]).failures == {}
    [(plan, powers)] = plans(app)
    # What is in it is sold, at 60.
    assert powers[cast.assets["battery"]].sum() / 4 == pytest.approx(-2.0)
    assert powers[cast.assets["battery"]].max() == pytest.approx(0.0, abs=1e-9)
    assert plan.cost == pytest.approx(-2 * 60)


def test_the_peak_costs(app, cast, house):
    """A building of 0.2 MW and a peak price: the battery is charged so slowly that the peak so far, 0.5 MW, stays."""
    context = {
        "site-peak-consumption-price": "10000 EUR/MW",
        "site-peak-consumption": "500 kW",
    }
    house(context, "battery", "building", battery=0.0)
    with app.app_context():
        forecast(db.session, db.session.get(Asset, cast.assets["building"]).sensor, np.full(96, 0.2))
    assert replan(app, cast.assets["battery"]).failures == {}
    [(plan, powers)] = plans(app)
    assert np.array(plan.net_mw).max() == pytest.approx(0.5)
    assert powers[cast.assets["battery"]].max() == pytest.approx(0.3)


def test_grid_energy_is_neither_stored_nor_sold(app, cast, house):
    """A battery charges only from the surplus of the roof, and the site exports no more than the roof makes."""
    context = {"no-charging-from-grid": True, "no-export-of-grid-energy": True}
    house(context, "battery", "building", "solar", battery=2.0)
    sun = np.zeros(96)
    sun[40:56] = -0.8
    with app.app_context():
        forecast(db.session, db.session.get(Asset, cast.assets["building"]).sensor, np.full(96, 0.3))
        forecast(db.session, db.session.get(Asset, cast.assets["solar"]).sensor, sun)
    assert replan(app, cast.assets["battery"]).failures == {}
    [(plan, powers)] = plans(app)
    power, net = powers[cast.assets["battery"]], np.array(plan.net_mw)
    assert power[sun == 0].max() <= 1e-9
    assert power.max() <= 0.5 + 1e-9
    assert (-net <= -sun + 1e-9).all()


def test_two_devices_that_exclude_each_other(app, cast, house):
    """Two stores that must not run at once never do."""
    site = house({}, "battery", "two_way", battery=0.0, two_way=0.0)
    rule = {"first": cast.assets["battery"], "second": cast.assets["two_way"]}
    with app.app_context():
        set_flex_context(db.session, {"exclusions": [rule]}, site)
        set_flex_model_of_asset(db.session, {"soc_max_mwh": 2}, cast.assets["two_way"])
        db.session.commit()
    assert replan(app, cast.assets["battery"]).failures == {}
    [(_, powers)] = plans(app)
    running = [np.abs(one) > 1e-6 for one in powers.values()]
    assert all(one.any() for one in running)
    assert not (running[0] & running[1]).any()


def test_a_device_of_which_too_little_is_known_is_left_out(app, cast, house):
    """A battery without a known state of charge spoils nobody's plan; it is told by its name."""
    house({}, "battery", "two_way", two_way=1.0)
    with app.app_context():
        battery = db.session.get(Asset, cast.assets["battery"])
        battery.soc_in_mwh = None
        db.session.commit()
    outcome = replan(app, cast.assets["battery"], cast.assets["two_way"])
    assert outcome.made == 1
    assert "state of charge" in outcome.failures[cast.assets["battery"]]
    [(plan, powers)] = plans(app)
    assert set(powers) == {cast.assets["two_way"]}
    assert any(note.startswith("Test battery is left out") for note in plan.notes)


def test_a_load_beyond_the_limit_is_told(app, cast, house):
    """A building of 1.5 MW behind 1 MW: the plan comes all the same, and names the limit, the time and the excess."""
    house({"site-consumption-capacity": "1 MW"}, "battery", "building", battery=0.0)
    load = np.full(96, 0.5)
    load[0] = 1.5  # when the battery is empty
    with app.app_context():
        forecast(db.session, db.session.get(Asset, cast.assets["building"]).sensor, load)
    assert replan(app, cast.assets["battery"]).failures == {}
    [(plan, powers)] = plans(app)
    assert plan.outcome == "relaxed"
    [missed] = plan.missed
    assert (missed["limit"], missed["device"], missed["unit"]) == ("import limit", "house", "MW")
    assert missed["at"] == "2015-01-02T00:00:00Z"
    assert (missed["wanted"], missed["reached"]) == (pytest.approx(1.0), pytest.approx(1.5))
    assert powers[cast.assets["battery"]][0] == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    ("context", "told"),
    [
        pytest.param({"site-power-capacity": "17 apples"}, "one like MW", id="no unit of power"),
        pytest.param({"site-power-capacity": 17}, "with its unit", id="no unit"),
        pytest.param({"consumption-price": "3 kW"}, "one like EUR/MWh", id="a price in kW"),
        pytest.param(
            {"consumption-surcharge": "3 EUR/MWh", "production-price": "3 KRW/MWh"},
            "EUR and KRW",
            id="two currencies",
        ),
        pytest.param({"teapot": 1}, "not a field", id="no field"),
        pytest.param(
            {"site-peak-consumption": "1 kW"}, "needs a site-peak-consumption-price", id="a peak alone"
        ),
        pytest.param({"exclusions": [{"first": 1, "second": 1}]}, "cannot exclude itself", id="itself"),
        pytest.param({"reserve-margin": "-1 kW"}, "0 or more", id="negative"),
    ],
)
def test_bad_flex_contexts_are_refused(app, house, context, told):
    """What is wrong is named with its rule, and nothing is stored."""
    with pytest.raises(FieldErrors) as refused:
        house(context, "battery")
    assert told in str(refused.value.details)


def test_a_sensor_of_a_stranger_is_refused(app, cast, house):
    """A flex context cannot name what belongs to another account, as if it did not exist."""
    with app.app_context():
        store_values(db.session, db.session.get(Asset, cast.foreign_asset), DAY_TWO, np.ones(4))
        db.session.commit()
    for number in (cast.foreign_asset, 99_999):
        with pytest.raises(FieldErrors, match="no such sensor"):
            house({"inflexible-consumption": [{"sensor": number}]}, "battery")


@pytest.fixture
def run(app, cast, monkeypatch):
    """Run a command as a user types it."""
    monkeypatch.setattr(cli, "_create_app", lambda *_: app)

    def invoke(*words, succeeds=True):
        done = CliRunner().invoke(cli.cli, [str(word) for word in words], env={"COLUMNS": "200"})
        assert (done.exit_code == 0) == succeeds, done.output
        return done.output

    return invoke


def test_a_site_on_the_command_line(app, cast, house, run):
    """A site is set up, planned, shown with its parts and costs, and its plan with what bound in each slot."""
    site = house({}, "battery", "two_way", battery=0.0)
    assert "is set" in run("add", "flex-context", '{"site-power-capacity": "500 kW"}', "--asset", site)
    assert "no plan yet" in run("show", "site", "--asset", site)
    window = ("--start", "2015-01-02T00:00Z", "--horizon", "PT24H")
    assert "Scheduled 1 of 1" in run("add", "schedules", "--asset", site, *window)
    shown = run("show", "site", "--asset", cast.assets["battery"])
    assert "Test battery" in shown
    assert 'site-power-capacity: "500 kW"' in shown
    data = json.loads(run("show", "site", "--asset", site, "--json"))
    assert [part["depth"] for part in data["parts"]] == [0, 1, 1]
    # 4 MWh are bought at 90 and sold at 100 through 0.5 MW: 8 h each way.
    assert data["plan"]["cost"] == pytest.approx(-4 * 10, abs=0.01)
    assert sum(part["energy_cost"] or 0 for part in data["parts"]) == pytest.approx(-40, abs=0.01)
    explained = run("show", "schedule", "--asset", cast.assets["two_way"], "--site", "--explain")
    assert "import limit" in explained
    assert "Saving: 40.00 EUR" in explained
    plan = json.loads(run("show", "schedule", "--asset", site, "--site", "--json"))
    assert max(plan["net_mw"]) == pytest.approx(0.5)
    assert set(plan["devices"]) == {"Test battery", "Test charging station (bidirectional)"}
    assert "taken away" in run("add", "flex-context", "--none", "--asset", site)
    assert "belongs to no site" in run("show", "site", "--asset", site, succeeds=False)


def test_what_is_wrong_is_said_on_the_command_line(run, house):
    """A wrong flex context, an unknown asset and missing words are refused with what to do."""
    site = house({}, "battery")
    assert "one like MW" in run(
        "add", "flex-context", '{"site-power-capacity": "3 apples"}', "--asset", site, succeeds=False
    )
    assert "no asset with id 999" in run("add", "flex-context", "{}", "--asset", 999, succeeds=False)
    assert "either a flex context or --none" in run("add", "flex-context", "--asset", site, succeeds=False)
    assert "no plan of the site" in run("show", "schedule", "--asset", site, "--site", succeeds=False)


def asked(app, prices, *asset_ids, hour=9):
    """Open a portfolio for a quarter of an hour, at what the market pays for up and down."""
    start = DAY_TWO + hour * HOUR
    enquiry = Enquiry(start, start + HOUR / 4, 24 * HOUR, MarketTerms(*prices), asset_ids=asset_ids)
    return open_portfolio(db.session(), enquiry, Planning(), DAY_TWO)


def test_an_offer_knows_its_neighbours(app, cast, house):
    """Behind 1 MW a building of 0.3 MW leaves 0.7 MW to two stores: neither offers more, nor do both together.

    At 2:00 nothing is planned for them; then more consumption pays 500 EUR/MWh, so all of it is ordered.
    """
    site = house({"site-power-capacity": "1 MW"}, "battery", "two_way", "building", battery=0.0, two_way=0.0)
    ids = cast.assets["battery"], cast.assets["two_way"]
    with app.app_context():
        forecast(db.session, db.session.get(Asset, cast.assets["building"]).sensor, np.full(96, 0.3))
        set_flex_model_of_asset(db.session, {"soc_max_mwh": 4}, cast.assets["two_way"])
        db.session.commit()
    assert replan(app, site).failures == {}
    [(plan, _)] = plans(app)
    assert plan.net_mw[8] == pytest.approx(0.3)
    with app.app_context():
        portfolio = asked(app, (0.0, 500.0), *ids, hour=2)
        assert portfolio.failures == {}
        [book] = make_order_books(portfolio)
        down = [one.offer for one in book.listings if one.offer.regulation.value == "down"]
        assert {one.asset for one in down} == {"Test battery", "Test charging station (bidirectional)"}
        assert [one.volume_mwh for one in down] == pytest.approx([0.7 / 4] * 2)
        for offer in down:
            # Rebounds, too, leave the connection within its limit.
            assert (np.array(plan.net_mw) + offer.effect_mw).max() <= 1 + 1e-5
        trade = suggest_orders(asked(app, (0.0, 500.0), *ids, hour=2), OrderTerms(1000.0))
        total = np.array(plan.net_mw) + sum(one.offer.effect_mw for one in trade.orders)
        assert total.max() <= 1 + 1e-5
        assert total.min() >= -1 - 1e-5
        assert total[8] == pytest.approx(1.0, abs=1e-5)
        place_orders(db.session(), trade, DAY_TWO)
        db.session.commit()
    # What was ordered is kept by the next plan of the site.
    with app.app_context():
        order = PortfolioOrder((site,), DAY_TWO, 24 * HOUR, DAY_TWO + timedelta(seconds=1))
        assert reschedule(db.session, order, Planning()).failures == {}
        db.session.commit()
    (_, _), (again, _) = plans(app)
    assert again.net_mw[8] == pytest.approx(1.0, abs=1e-5)
    assert np.array(again.net_mw).max() <= 1 + 1e-5


def test_what_neighbours_need_is_not_sold(app, cast, house):
    """A battery that keeps a building of 1.2 MW behind 1 MW goes on giving 0.2 MW, whatever is paid for consumption."""
    site = house({"site-consumption-capacity": "1 MW"}, "battery", "building", battery=2.0)
    load = np.full(96, 0.3)
    load[36] = 1.2
    with app.app_context():
        forecast(db.session, db.session.get(Asset, cast.assets["building"]).sensor, load)
    assert replan(app, site).failures == {}
    [(plan, powers)] = plans(app)
    assert powers[cast.assets["battery"]][36] <= -0.2 + 1e-6
    with app.app_context():
        [book] = make_order_books(asked(app, (0.0, 5000.0), cast.assets["battery"]))
        for one in book.listings:
            assert (np.array(plan.net_mw) + one.offer.effect_mw)[36] <= 1 + 1e-5


def with_meter(app, site, values, start, horizon=timedelta(0)):
    """Give a site a meter, with what it measured or, ahead of events, is expected to measure."""
    with app.app_context():
        root = db.session.get(Asset, site)
        meter = add_sensor_to(db.session, root, "meter", "MW", HOUR / 4, "UTC")
        root.power_sensor_id = meter.id
        source = get_or_create_source(db.session, "FlexMeasures", "script")
        starts = event_grid(start, HOUR / 4, len(values))
        horizons = np.full(len(values), np.timedelta64(horizon))
        beliefs = Beliefs(starts, values, horizons, np.full(len(values), source.id, np.int32))
        insert_beliefs(db.session, [SensorBeliefs(meter.id, beliefs)])
        db.session.commit()


PEAK = {"site-peak-consumption-price": "10000 EUR/MW"}


@pytest.mark.parametrize(
    ("start", "stated", "floor"),
    [
        pytest.param(DAY_TWO - 12 * HOUR, {}, 0.4, id="measured in this month"),
        pytest.param(DAY_TWO - 48 * HOUR, {}, 0.0, id="measured in the month before"),
        pytest.param(DAY_TWO - 12 * HOUR, {"site-peak-consumption": "300 kW"}, 0.4, id="stated, and less"),
        pytest.param(DAY_TWO - 12 * HOUR, {"site-peak-consumption": "600 kW"}, 0.6, id="stated, and more"),
    ],
)
def test_the_peak_so_far_is_what_the_meter_says(app, cast, house, start, stated, floor):
    """Up to the highest consumption that was measured in this month, charging does not make the peak dearer."""
    site = house({**PEAK, **stated}, "battery", battery=0.0)
    with_meter(app, site, np.array([0.1, 0.4, 0.2]), start)
    assert replan(app, cast.assets["battery"]).failures == {}
    [(plan, powers)] = plans(app)
    assert powers[cast.assets["battery"]].max() == pytest.approx(floor, abs=1e-6)
    assert not any("has no meter" in note for note in plan.notes)


def test_a_peak_price_without_a_meter_is_told(app, cast, house):
    """Without a meter the peak so far counts as 0, and the plan says so, with the remedy."""
    house(PEAK, "battery", battery=0.0)
    assert replan(app, cast.assets["battery"]).failures == {}
    [(plan, powers)] = plans(app)
    assert powers[cast.assets["battery"]].max() == pytest.approx(0.0, abs=1e-6)
    assert any("has no meter" in note and "site-peak-consumption" in note for note in plan.notes)


def test_a_meter_that_contradicts_its_parts_is_told(app, cast, house):
    """A meter that is expected to give 0.2 MW though no part produces: told with time, difference and what to check."""
    site = house({"count-rest": True}, "battery", "two_way", battery=0.0, two_way=0.0)
    with_meter(app, site, np.full(96, -0.2), DAY_TWO, timedelta(days=1))
    assert replan(app, cast.assets["battery"]).failures == {}
    [(plan, _)] = plans(app)
    assert any("0.2 MW less than its parts" in note and "2015-01-02T00:00:00Z" in note for note in plan.notes)


def test_units_and_currencies_of_sensors_are_checked(app, cast, house):
    """A price from a sensor in MW is refused when it is written, prices in two currencies when it is planned."""
    with pytest.raises(FieldErrors, match="its unit is MW, but must be one like EUR/MWh"):
        house({"consumption-price": {"sensor": cast.assets["building"]}}, "battery")
    house({"production-price": "70 KRW/MWh"}, "battery", battery=1.0)
    outcome = replan(app, cast.assets["battery"])
    assert "EUR and KRW" in outcome.failures[cast.assets["battery"]]


def test_the_connection_keeps_a_margin_for_a_stated_probability(app, cast, house):
    """A building of 0.3 MW that stays below 0.5 MW with a probability of 0.9 leaves 0.5 MW of 1 MW, not 0.7 MW."""
    house({"site-power-capacity": "1 MW", "margin-probability": 0.9}, "battery", "building", battery=0.0)
    with app.app_context():
        sensor = db.session.get(Asset, cast.assets["building"]).sensor
        source = get_or_create_source(db.session, "FlexMeasures", "forecaster", "naive", "1")
        starts = np.repeat(event_grid(DAY_TWO, sensor.event_resolution, 96), 3)
        beliefs = Beliefs(
            starts,
            np.tile([0.2, 0.3, 0.5], 96),
            np.full(288, np.timedelta64(timedelta(days=1))),
            np.full(288, source.id, np.int32),
            np.tile([0.1, 0.5, 0.9], 96),
        )
        insert_beliefs(db.session, [SensorBeliefs(sensor.id, beliefs)])
        db.session.commit()
    assert replan(app, cast.assets["battery"]).failures == {}
    [(plan, powers)] = plans(app)
    power = powers[cast.assets["battery"]]
    assert power.max() == pytest.approx(0.5)
    # Exported are at most 1 MW, even if the building uses but 0.2 MW.
    assert power.min() >= -1.2 - 1e-6
    assert not any("no margin" in note for note in plan.notes)


def test_a_margin_without_quantiles_is_told(app, cast, house):
    """Where no forecast has the quantiles, there is no margin, and the plan says so."""
    house({"site-power-capacity": "1 MW", "margin-probability": 0.8}, "battery", "building", battery=0.0)
    with app.app_context():
        forecast(db.session, db.session.get(Asset, cast.assets["building"]).sensor, np.full(96, 0.3))
    assert replan(app, cast.assets["battery"]).failures == {}
    [(plan, powers)] = plans(app)
    assert powers[cast.assets["battery"]].max() == pytest.approx(0.7)
    assert any("probability of 0.8" in note and "no margin" in note for note in plan.notes)


def test_the_tutorial_of_a_home(app, owner, cast, run, work):
    """Each command and message of the tutorial "my home" does what the page says."""
    page = (Path(__file__).parents[2] / "docs/tutorials/my-home.md").read_text()
    numbers = {"12": None, "13": None, "14": None}
    waiting = list(numbers)
    for written in re.findall(r"^    (flexmeasures .+|\{.+)$", page, re.MULTILINE):
        line = written.replace("--owner-id 1", f"--owner-id {cast.owner_id}")
        line = re.sub("--market-id 1", f"--market-id {cast.market}", line)
        line = re.sub("(--asset|--parent) 12", rf"\1 {numbers['12']}", line)
        if line.startswith("{"):
            event = line.replace(":1:13:1:", f":{cast.owner_id}:{numbers['13']}:1:")
            assert owner.post("postUdiEvent", json.loads(event)).status_code == 200
            work()
            continue
        told = run(*shlex.split(line)[1:])
        if " add asset " in line:
            numbers[waiting.pop(0)] = int(re.search(r"ID (\d+)", told)[1])
    assert waiting == []
    assert "What bound" in told
    [(plan, powers)] = plans(app)
    assert set(powers) == {numbers["13"], numbers["14"]}
    # The car is there at midnight and comes again at 18:00, each time for 8 kWh.
    assert powers[numbers["14"]].sum() / 4 == pytest.approx(0.016, abs=1e-6)
    running = powers[numbers["14"]][powers[numbers["14"]] > 1e-9]
    assert running.min() >= 0.00138 - 1e-9
    assert np.array(plan.net_mw).max() <= 0.017 + 1e-9
