"""Broker, trader and settlement as services, on the database: kinds of assets, wishes that stay, orders that clash."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from sqlalchemy import delete, event, func, select, update

from flexmeasures.data.database import db
from flexmeasures.data.stores.beliefs import SensorBeliefs, insert_beliefs
from flexmeasures.data.stores.flexibility import agreed_powers
from flexmeasures.data.stores.users import get_or_create_source
from flexmeasures.data.tables import Asset, FlexibilityOrder, Market, PlanDevice, PlanRecord
from flexmeasures.domain.beliefs import Beliefs
from flexmeasures.domain.errors import Conflict, NotFound
from flexmeasures.domain.flexibility import Contract, Regulation
from flexmeasures.domain.time import event_grid
from flexmeasures.services.assets import NewAsset, create_asset
from flexmeasures.services.flex_models import set_flex_model_of_asset
from flexmeasures.services.flexibility.broker import Enquiry, MarketTerms, make_order_books, open_portfolio
from flexmeasures.services.flexibility.order import (
    OrderTerms,
    list_orders,
    place_orders,
    revoke_order,
    suggest_orders,
)
from flexmeasures.services.flexibility.settle import settle_orders, sum_up
from flexmeasures.services.schedules.gather import Planning
from flexmeasures.services.schedules.reschedule import PortfolioOrder, reschedule
from flexmeasures.testing import make_sensor

HOUR = timedelta(hours=1)
DAY_TWO = datetime(2015, 1, 2, tzinfo=UTC)
"""Its prices: 8 hours at 100, 8 hours at 90 and 8 hours at 100 EUR/MWh."""
TERMS = OrderTerms(1000.0)


@pytest.fixture
def session(app, cast):
    """A session that lasts as long as the test."""
    with app.app_context():
        yield db.session()


def schedule(session, *asset_ids, start=DAY_TWO):
    """Schedule assets until the end of the second day, and give the newest record of the first one."""
    horizon = DAY_TWO + 24 * HOUR - start
    outcome = reschedule(session, PortfolioOrder(asset_ids, start, horizon, datetime.now(UTC)), Planning())
    assert not outcome.failures
    session.commit()
    query = select(PlanDevice).join(PlanDevice.plan).where(PlanRecord.asset_id == asset_ids[0])
    return session.scalars(query.order_by(PlanRecord.number.desc())).first()


def ask(session, *asset_ids, hour, hours=0.25, now=DAY_TWO, up=0.0, down=0.0, **asked):
    """Open a portfolio for a window on the second day."""
    start = DAY_TWO + hour * HOUR
    enquiry = Enquiry(
        start, start + hours * HOUR, 24 * HOUR, MarketTerms(up, down), asset_ids=asset_ids, **asked
    )
    return open_portfolio(session, enquiry, Planning(), now)


def offers_of(portfolio):
    """The offers of the only slot that is asked for."""
    (book,) = make_order_books(portfolio)
    return [one.offer for one in book.listings]


def order(session, *asset_ids, terms=TERMS, now=DAY_TWO, **asked):
    """Order whatever pays."""
    orders = place_orders(session, suggest_orders(ask(session, *asset_ids, now=now, **asked), terms), now)
    session.commit()
    return orders


def store_forecast(session, sensor, start, values):
    """Store what somebody expects of consecutive events, a day ahead."""
    source = get_or_create_source(session, "FlexMeasures", "forecaster", "naive", "1")
    starts = event_grid(start, sensor.event_resolution, len(values))
    horizons = np.full(len(values), np.timedelta64(timedelta(days=1)))
    beliefs = Beliefs(starts, np.asarray(values, float), horizons, np.full(len(values), source.id, np.int32))
    insert_beliefs(session, [SensorBeliefs(sensor.id, beliefs)])
    session.commit()


def test_a_car_keeps_its_target(owner, session, cast, work):
    """A target that was sent with an event holds when the car is asked, ordered and planned again.

    It needs 4 MWh by 16:00, for which two of the eight cheap hours are enough. In the last two hours nothing is planned
    any more; asked to wait at the beginning it goes on later, and still has its energy.
    """
    message = {
        "type": "PostUdiEventRequest",
        "event": cast.address("station", "9:soc-with-targets"),
        "value": 0.0,
        "unit": "MWh",
        "datetime": "2015-01-02T00:00:00+00:00",
        "targets": [{"value": 4.0, "datetime": "2015-01-02T16:00:00+00:00"}],
    }
    assert owner.post("postUdiEvent", message).status_code == 200
    work()
    station = cast.assets["station"]
    record = session.scalars(select(PlanDevice)).one()
    assert record.targets == {"2015-01-02T16:00:00Z": 4.0}
    assert record.power_mw[32:40] == pytest.approx([2.0] * 8)

    (offer,) = offers_of(ask(session, station, hour=8))
    assert (offer.regulation, offer.volume_mwh) == (Regulation.UP, pytest.approx(0.5))
    assert offer.cost == pytest.approx(0, abs=1e-6)
    assert offer.rebound_mwh == pytest.approx(0.5)

    order(session, station, hour=8, hours=7, up=5.0)
    planned = schedule(session, station, start=DAY_TWO + HOUR)
    assert planned.soc_mwh[-33] == pytest.approx(4.0)  # 16:00
    assert planned.targets == record.targets
    assert planned.missed == []
    later = schedule(session, station, start=DAY_TWO + 17 * HOUR)
    assert later.targets == {}


def test_a_roof_offers_to_curtail(session, cast):
    """Less production is down-regulation: all of 0.5 MW, at the price that it is not sold for; nothing comes back."""
    asset = set_flex_model_of_asset(session, {"kind": "curtailable"}, cast.assets["solar"])
    store_forecast(session, asset.sensor, DAY_TWO, np.full(96, -0.5))
    schedule(session, asset.id)
    (offer,) = offers_of(ask(session, asset.id, hour=10, hours=1, slot=HOUR))
    assert (offer.regulation, offer.volume_mwh) == (Regulation.DOWN, pytest.approx(0.5))
    assert offer.price == pytest.approx(90)
    assert offer.rebound_mwh == pytest.approx(0, abs=1e-9)
    assert offer.effect.curtailed_mwh == pytest.approx(0.5)

    assert not order(session, asset.id, hour=10, down=89.0)
    (placed,) = order(session, asset.id, hour=10, down=100.0, terms=OrderTerms(1000.0, Contract(0.5)))
    schedule(session, asset.id)
    (settled,) = settle_orders(session, [placed])
    assert (settled.basis, settled.profit) == ("scheduled", pytest.approx(0.125 * 10))
    assert (settled.shares.owner, settled.shares.aggregator) == (pytest.approx(0.625), pytest.approx(0.625))
    assert settled.payment_to_owner == pytest.approx(0.125 * 90 + 0.625)


def test_a_run_moves_as_a_whole(session, cast):
    """A load that runs for an hour from 08:00 on cannot do half of it.

    To wait, it begins a quarter later: 0.4 MW less at 08:00 and at 08:30, 0.8 MW more at 09:00, at the same price. To
    use more at 08:00 it has begun half an hour before, for 0.2 MWh at 100 instead of 90 EUR/MWh.
    """
    fields = {"kind": "shiftable_load", "profile_mw": [0.4, 0.4, 0.8, 0.8]}
    asset = set_flex_model_of_asset(session, fields, cast.assets["building"])
    schedule(session, asset.id)
    offers = {one.regulation: one for one in offers_of(ask(session, asset.id, hour=8))}
    wait, more = offers[Regulation.UP], offers[Regulation.DOWN]
    assert (wait.volume_mwh, wait.cost) == (pytest.approx(0.1), pytest.approx(0, abs=1e-9))
    assert wait.effect_mw[32:37] == pytest.approx([-0.4, 0, -0.4, 0, 0.8])
    assert (wait.rebound_mwh, wait.effect.shifted_mwh) == (pytest.approx(0.1), pytest.approx(0.2))
    assert (more.volume_mwh, more.cost) == (pytest.approx(0.1), pytest.approx(2))
    assert more.effect_mw[30:36] == pytest.approx([0.4, 0.4, 0.4, 0.4, -0.8, -0.8])
    assert offers_of(ask(session, asset.id, hour=8, volume_mwh=0.02)) == []


def test_emissions_of_an_order(session, cast):
    """Waiting from an hour with 200 kg/MWh into one with 300 emits 100 kg/MWh more; unknown emissions are None."""
    sensor = make_sensor(session, "grid mix", "kg/MWh", HOUR)
    session.commit()
    store_forecast(session, sensor, DAY_TWO, np.repeat([400.0, 200.0, 300.0], 8))
    station = cast.assets["station"]
    stay = {"arrival": "08:00", "departure": "16:15", "energy_wanted_mwh": 16.0}
    set_flex_model_of_asset(session, {"stays": [stay], "co2_sensor_id": sensor.id}, station)
    schedule(session, station)
    (placed,) = order(session, station, hour=9, up=50.0)
    assert placed.co2_kg == pytest.approx(0.5 * 100)
    assert placed.cost == pytest.approx(0.5 * (100 - 90))

    schedule(session, cast.assets["battery"])
    (other,) = order(session, cast.assets["battery"], hour=9, up=50.0)
    assert other.co2_kg is None
    sums = sum_up(settle_orders(session, [placed, other]))["EUR"]
    assert sums["co2_kg"] == pytest.approx(50)


def test_orders_not_yet_scheduled_count(session, cast):
    """Asked again before the next schedule, an asset is taken to do what was ordered of it."""
    battery = cast.assets["battery"]
    schedule(session, battery)
    before = ask(session, battery, hour=9).profile_mw
    order(session, battery, hour=9, up=50.0)
    after = ask(session, battery, hour=10).profile_mw
    assert after[36] - before[36] == pytest.approx(-4)
    assert (after - before).sum() == pytest.approx(0, abs=1e-6)
    taken, free = make_order_books(ask(session, battery, hour=9, hours=0.5))
    assert not taken.listings
    assert free.listings


def test_two_traders_at_once(session, cast):
    """Of two trades that want the same, the second is refused as a whole: its other order is not stored either."""
    battery, station = cast.assets["battery"], cast.assets["two_way"]
    stay = {"arrival": "08:00", "departure": "16:00", "energy_wanted_mwh": 4.0}
    set_flex_model_of_asset(session, {"stays": [stay]}, station)
    schedule(session, battery, station)
    first = suggest_orders(ask(session, battery, hour=9, up=50.0), TERMS)
    second = suggest_orders(ask(session, battery, station, hour=9, up=50.0), TERMS)
    assert len(second.orders) == 2
    place_orders(session, first, DAY_TWO)
    session.commit()
    with pytest.raises(Conflict, match="Test battery is ordered already from 2015-01-02T09:00:00Z"):
        place_orders(session, second, DAY_TWO)
    session.rollback()
    assert session.scalar(select(func.count()).select_from(FlexibilityOrder)) == 1


def test_an_asset_that_was_deleted(session, cast):
    """Between choosing and ordering an asset went away; with it go its orders."""
    battery = cast.assets["battery"]
    schedule(session, battery)
    order(session, battery, hour=9, up=50.0)
    trade = suggest_orders(ask(session, battery, hour=10, up=50.0), TERMS)
    session.execute(delete(Asset).where(Asset.id == battery))
    session.commit()
    with pytest.raises(NotFound, match="any more"):
        place_orders(session, trade, DAY_TWO)
    assert list_orders(session) == []


def test_what_was_agreed(session, cast):
    """Agreements are by asset and period, with one entry a run of equal power; revoked ones are none."""
    battery = cast.assets["battery"]
    schedule(session, battery)
    (placed,) = order(session, battery, hour=9, hours=1, slot=HOUR, up=50.0)
    session.execute(update(FlexibilityOrder).values(agreed_mw=[-2.0, -2.0, 0.5, 0.5]))
    session.commit()
    start = placed.start
    agreed = agreed_powers(session, [battery], DAY_TWO, DAY_TWO + 24 * HOUR)[battery]
    assert [(one.start, one.end, one.power_mw) for one in agreed] == [
        (start, start + HOUR / 2, -2.0),
        (start + HOUR / 2, start + HOUR, 0.5),
    ]
    assert agreed[0].price == 1000.0
    assert agreed_powers(session, [battery], start + HOUR, start + 2 * HOUR) == {}
    assert agreed_powers(session, [battery], start - HOUR, start) == {}
    assert agreed_powers(session, [cast.assets["station"]], DAY_TWO, DAY_TWO + 24 * HOUR) == {}
    revoke_order(session, placed.id, DAY_TWO)
    assert agreed_powers(session, [battery], DAY_TWO, DAY_TWO + 24 * HOUR) == {}


def test_assets_of_two_currencies(session, cast):
    """A book has one currency; an asset that pays in another is named."""
    battery, station = cast.assets["battery"], cast.assets["station"]
    dear = session.get(Market, session.get(Asset, station).market_id)
    schedule(session, battery, station)
    other = session.scalars(select(Market).where(Market.id != dear.id)).first()
    other.sensor.unit = "KRW/MWh"
    session.get(Asset, station).market_id = other.id
    session.commit()
    portfolio = ask(session, battery, station, hour=9)
    assert list(portfolio.positions) == ["Test battery"]
    assert "pays in KRW, and the book is in EUR" in portfolio.failures[station]


def test_many_assets_take_as_many_queries_as_few(session, cast):
    """Reading a portfolio, ordering and settling: the number of statements does not grow with the assets."""
    ids = [
        create_asset(
            session,
            NewAsset(
                f"battery {n}",
                "battery",
                1.0,
                HOUR / 4,
                52.0,
                5.0,
                cast.owner_id,
                cast.market,
                min_soc_in_mwh=0.0,
                max_soc_in_mwh=2.0,
                soc_in_mwh=1.0,
            ),
        ).id
        for n in range(12)
    ]
    session.commit()
    schedule(session, *ids)
    counts = []
    for chosen, hour in ((ids[:2], 9), (ids, 10)):
        session.expire_all()
        statements = []
        listen = lambda *seen: statements.append(seen[2])  # noqa: E731, B023
        event.listen(db.engine, "before_cursor_execute", listen)
        portfolio = ask(session, *chosen, hour=hour, up=50.0)
        placed = place_orders(session, suggest_orders(portfolio, TERMS), DAY_TWO)
        settled = settle_orders(session, list_orders(session, asset_ids=chosen, start=placed[0].start))
        event.remove(db.engine, "before_cursor_execute", listen)
        assert len(placed) == len(settled) == len(chosen)
        session.commit()
        counts.append(len(statements))
    assert counts[0] == counts[1]


def test_progress_is_told(session, cast):
    """Long work says how far it is: at the end all of it is done."""
    battery = cast.assets["battery"]
    schedule(session, battery)
    told = []
    start = DAY_TWO + 9 * HOUR
    enquiry = Enquiry(start, start + HOUR, 24 * HOUR, MarketTerms(50.0), asset_ids=(battery,))
    portfolio = open_portfolio(session, enquiry, Planning(), DAY_TWO, lambda *step: told.append(step))
    make_order_books(portfolio, lambda *step: told.append(step))
    suggest_orders(portfolio, TERMS, lambda *step: told.append(step))
    assert told == [(1, 1), *((n, 4) for n in range(1, 5)), *((n, 4) for n in range(1, 5))]
