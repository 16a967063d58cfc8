"""What schedules say of times: as they were asked for, in the zone of the asset."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import joinedload

from flexmeasures.data.database import db
from flexmeasures.data.tables import Asset, PlanDevice
from flexmeasures.services.schedules.show import find_shown_schedule


@pytest.fixture
def answer(app, owner, cast, work):
    """An impossible target, asked for with an offset of India and a start off the slots, of an asset in Amsterdam."""
    with app.app_context():
        db.session.get(Asset, cast.assets["station"]).sensor.timezone = "Europe/Amsterdam"
        db.session.commit()
    message = {
        "type": "PostUdiEventRequest",
        "event": cast.address("station", "1:soc-with-targets"),
        "value": 0,
        "unit": "MWh",
        "datetime": "2015-01-02T04:37:23.500000+05:30",  # seven minutes after midnight in Amsterdam
        "targets": [{"value": 9, "datetime": "2015-01-02T06:30:00+05:30"}],  # two hours after midnight
    }
    assert owner.post("postUdiEvent", message).status_code == 200
    work()
    query = {"type": "GetDeviceMessageRequest", "event": message["event"]}
    return owner.get("getDeviceMessage", **query).json


def test_times_are_those_of_the_asset(app, answer):
    """The target is for 02:00 and the last price ends at 01:00 in Amsterdam, whatever slots and offsets were used."""
    notes = " ".join(answer["notes"])
    assert "soc target of Test charging station at 2015-01-02T02:00:00+01:00: wanted 9 MWh" in notes
    assert "Prices are known until 2015-01-03T01:00:00+01:00" in notes
    assert "boundary" not in notes
    assert "+05:30" not in notes
    with app.app_context():
        [missed] = db.session.scalars(select(PlanDevice)).one().missed
    assert missed["at"] == "2015-01-02T02:00:00+01:00"
    assert missed["clashes"] == ["maximum consumption"]


def test_people_read_local_times(app, cast, answer):
    """People are told 02:00 of the day on which the schedule begins, and other days with their date."""
    with app.app_context():
        notes = " ".join(find_shown_schedule(db.session, cast.assets["station"]).notes_for_people)
    assert "at 02:00: wanted 9 MWh" in notes
    assert "known until 2015-01-03 01:00" in notes


def test_a_limit_in_the_way_is_named_with_its_time(app, owner, cast, work):
    """4 MWh at 01:00 and 0 at 01:15 are too far apart for 2 MW: what stands in the way is named with its time."""
    with app.app_context():
        db.session.get(Asset, cast.assets["two_way"]).sensor.timezone = "Europe/Amsterdam"
        db.session.commit()
    start = datetime(2015, 1, 2, tzinfo=UTC)
    message = {
        "type": "PostUdiEventRequest",
        "event": cast.address("two_way", "1:soc-with-targets"),
        "value": 4,
        "unit": "MWh",
        "datetime": start.isoformat(),
        "targets": [
            {"value": value, "datetime": (start + timedelta(minutes=minutes)).isoformat()}
            for value, minutes in ((4, 60), (0, 75))
        ],
    }
    assert owner.post("postUdiEvent", message).status_code == 200
    work()
    with app.app_context():
        record = db.session.scalars(select(PlanDevice).options(joinedload(PlanDevice.plan))).one()
    [missed] = [one for one in record.missed if one["at"] == "2015-01-02T02:15:00+01:00"] or record.missed
    assert any(
        clash.endswith(("at 2015-01-02T02:00:00+01:00", "at 2015-01-02T02:15:00+01:00"))
        for clash in missed["clashes"]
    )
    assert "boundary" not in str(record.plan.notes)
