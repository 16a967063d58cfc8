"""Schedules where not all prices are known: targets are planned for, and what was assumed is said with its times."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import joinedload

from flexmeasures.data.database import db
from flexmeasures.data.tables import PlanDevice

LAST_PRICE = datetime(2015, 1, 3, tzinfo=UTC)


@pytest.fixture
def ask(app, owner, cast, work):
    """Ask for a schedule of the charging station from a start until a target; gives the notes and the record."""

    def asked(start, target_at, wanted):
        message = {
            "type": "PostUdiEventRequest",
            "event": cast.address("station", "1:soc-with-targets"),
            "value": 0,
            "unit": "MWh",
            "datetime": start.isoformat(),
            "targets": [{"value": wanted, "datetime": target_at.isoformat()}],
        }
        assert owner.post("postUdiEvent", message).status_code == 200
        work()
        with app.app_context():
            return db.session.scalars(select(PlanDevice).options(joinedload(PlanDevice.plan))).one()

    return asked


def test_a_target_after_the_last_known_price_is_planned_for(ask):
    """Prices end at midnight, the car leaves at 02:00: it is charged by then, and what was assumed is said."""
    record = ask(LAST_PRICE - timedelta(hours=4), LAST_PRICE + timedelta(hours=2), 4)

    assert len(record.power_mw) == 6 * 4
    assert sum(record.power_mw) / 4 == pytest.approx(4)
    assert not record.missed
    notes = " ".join(record.plan.notes)
    assert "so the schedule ends at 2015-01-03T02:00:00" in notes
    assert "Prices from 2015-01-03T00:00:00" in notes
    assert "to 2015-01-03T02:00:00" in notes
    assert "are not known: the last known one before was assumed." in notes


def test_without_a_later_target_the_schedule_ends_with_the_prices(ask):
    """The target is at 23:00: as documented, nothing is planned after the last known price."""
    record = ask(LAST_PRICE - timedelta(hours=4), LAST_PRICE - timedelta(hours=1), 4)

    assert len(record.power_mw) == 4 * 4
    assert "so the schedule ends there." in " ".join(record.plan.notes)
