"""What the grid asks of assets is part of their plans: limits at every instant, price differences, shares."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from sqlalchemy import select

from flexmeasures.data.database import db
from flexmeasures.data.tables import Asset, GridSignal, PlanDevice, PlanRecord
from flexmeasures.services.schedules.gather import Planning
from flexmeasures.services.schedules.reschedule import PortfolioOrder, reschedule

START = datetime(2015, 1, 2, tzinfo=UTC)
HOUR, QUARTER = timedelta(hours=1), timedelta(minutes=15)


@pytest.fixture
def ask(app, cast):
    """Write down what a source asks of an asset: from and until which hour of the second day."""

    def write(kind, value, begins, ends, asset="battery", **fields):
        row = {"source": "grid", "event_id": "e1", "version": START, "received_at": START} | fields
        begins, ends = (None if at is None else START + at * HOUR for at in (begins, ends))
        asset_id = cast.assets[asset] if isinstance(asset, str) else asset
        db.session.add(
            GridSignal(asset_id=asset_id, kind=kind, value=value, starts_at=begins, ends_at=ends, **row)
        )
        db.session.commit()

    with app.app_context():
        yield write


@pytest.fixture
def plan(cast):
    """Plan the battery for the second day, and give the power of each quarter hour [MW]."""

    def run(*names, at_once=False, start=START):
        ids = tuple(cast.assets[name] for name in names or ("battery",))
        order = PortfolioOrder(ids, start, 24 * HOUR, start, at_once)
        outcome = reschedule(db.session, order, Planning())
        db.session.commit()
        assert not outcome.failures
        query = select(PlanDevice).join(PlanDevice.plan).order_by(PlanRecord.number.desc()).limit(1)
        powers = [
            np.array(db.session.scalars(query.where(PlanRecord.asset_id == one)).one().power_mw)
            for one in ids
        ]
        return powers if names else powers[0]

    return run


def slots(power, begins, ends):
    """The quarter hours between two hours."""
    return power[int(begins * 4) : int(ends * 4)]


def test_an_import_limit_holds_in_every_slot_that_it_touches(ask, plan):
    """Without a limit the battery charges with 2 MW from 8:00 on; with 0.5 MW from 8:05 on, no faster."""
    assert slots(plan(), 8, 9).max() == pytest.approx(2)
    ask("import_limit", 0.5, 8 + 5 / 60, 12)
    power = plan()
    assert slots(power, 8, 12).max() == pytest.approx(0.5)
    # It sells its 2.5 MWh in the night and fills its 5 MWh at noon: 4 h · 0.5 MW, and the rest in the cheap hours left.
    assert slots(power, 8, 12).sum() / 4 == pytest.approx(2)
    assert slots(power, 12, 16).sum() / 4 == pytest.approx(3)


def test_an_export_limit_holds_likewise(ask, plan):
    """With 1 MW of export at most, no slot has more."""
    assert plan().min() == pytest.approx(-2)
    ask("export_limit", 1, 0, None)
    assert plan().min() == pytest.approx(-1)


def test_of_several_sources_the_strictest_limit_holds(ask, plan):
    """A source's priorities order its own events alone: another source's stricter limit holds as well."""
    ask("import_limit", 0.75, 8, 16, priority=0)
    ask("import_limit", 0.25, 8, 16, event_id="e2", priority=5)
    assert slots(plan(), 8, 16).max() == pytest.approx(0.75)
    ask("import_limit", 0.5, 8, 16, source="other")
    assert slots(plan(), 8, 16).max() == pytest.approx(0.5)


def test_a_released_limit_does_not_hold(ask, plan):
    """What was withdrawn is a record only."""
    ask("import_limit", 0, 0, None, released_at=START)
    assert plan().max() == pytest.approx(2)


def test_a_limit_that_starts_now_changes_the_slot_that_runs(ask, plan):
    """At 8:10 a limit comes: the quarter hour from 8:00 on is planned anew, not only the next one."""
    plan()
    at = START + 8 * HOUR + timedelta(minutes=10)
    ask("import_limit", 0, 8 + 10 / 60, 9)
    power = plan(at_once=True, start=at)
    record = db.session.scalars(select(PlanRecord).order_by(PlanRecord.number.desc())).first()
    assert record.start == START + 8 * HOUR
    assert power[:4].max() == pytest.approx(0)


def test_a_limit_of_the_whole_is_shared_by_its_flexible_parts(app, cast, ask, plan):
    """1 MW for a house with a battery and a charging station of 2 MW each is half a megawatt for each of them."""
    house = Asset(name="House", asset_type_name="building", account_id=None)
    db.session.add(house)
    db.session.flush()
    for name in ("battery", "two_way", "building"):
        asset = db.session.get(Asset, cast.assets[name])
        house.account_id = asset.account_id
        db.session.flush()
        asset.parent_id = house.id
    db.session.get(Asset, cast.assets["two_way"]).soc_in_mwh = 0.0
    db.session.commit()
    ask("import_limit", 1, 0, 24, asset=house.id)
    battery, car = plan("battery", "two_way")
    assert battery.max() == pytest.approx(0.5)
    assert (battery + car).max() <= 1 + 1e-9


def test_a_price_difference_moves_energy(ask, plan):
    """Prices of 100 in the night and 90 at noon: 30 less from 2 to 4 makes these hours the cheapest, at 70 EUR/MWh."""
    assert slots(plan(), 2, 4).max() <= 1e-9
    ask("price_delta", -30, 2, 4)
    # sold before at 100, it takes 2 MW for both hours
    assert slots(plan(), 2, 4).sum() / 4 == pytest.approx(4)


def test_price_differences_of_several_events_add_up(ask, plan):
    """-30 and +30 EUR/MWh for the same hours are as none."""
    without = plan()
    ask("price_delta", -30, 2, 4)
    ask("price_delta", 30, 2, 4, event_id="e2")
    assert plan() == pytest.approx(without)
