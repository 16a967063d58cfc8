"""Nothing is recorded in the future: it would win against all that is said until then."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from flexmeasures.data.database import db
from flexmeasures.data.tables import Asset

NOW = datetime.now(UTC)
YEAR_9998 = "9998-01-01T00:00:00Z"

POSTS = {
    "MeterData": ("connection", "MW", 0.5),
    "Prognosis": ("connection", "MW", 0.5),
    "PriceData": ("market", "EUR/MWh", 50),
}


def message_of(cast, kind, **more):
    """An hour of values."""
    key, unit, value = POSTS[kind]
    address = cast.address("building") if key == "connection" else "ea1.2021-01.io.flexmeasures:epex_da"
    return {
        "type": f"Post{kind}Request",
        key: address,
        "value": value,
        "unit": unit,
        "start": "2015-01-03T00:00:00Z",
        "duration": "PT1H",
    } | more


def state_of_charge(cast, number, at):
    """A UDI event of the battery."""
    event = cast.address("battery", f"{number}:soc")
    return {"type": "PostUdiEventRequest", "event": event, "value": 1, "unit": "MWh", "datetime": at}


def count(app):
    """How many beliefs there are."""
    with app.app_context():
        return db.session.scalar(text("select count(*) from belief"))


@pytest.mark.parametrize("kind", POSTS)
@pytest.mark.parametrize("ahead", [None, timedelta(hours=1)], ids=["year-9998", "in-an-hour"])
@pytest.mark.parametrize("horizon", [None, "PT0H"])
def test_a_prior_in_the_future_is_refused(app, owner, cast, kind, ahead, horizon):
    """A prior later than now is INVALID_HORIZON, with a horizon or without, and nothing is stored."""
    before = count(app)
    prior = YEAR_9998 if ahead is None else (datetime.now(UTC) + ahead).isoformat()
    more = {"prior": prior} | ({} if horizon is None else {"horizon": horizon})
    answer = owner.post(f"post{kind}", message_of(cast, kind, **more))
    assert (answer.status_code, answer.json["status"]) == (400, "INVALID_HORIZON")
    assert "future" in answer.json["message"]
    assert count(app) == before


@pytest.mark.parametrize("kind", ["MeterData", "PriceData"])
@pytest.mark.parametrize("version", ["v1_1", "v1_3"])
@pytest.mark.parametrize("horizon", ["-P8000D", "R/-P8000D"])
def test_a_horizon_into_the_future_is_refused(owner, cast, kind, version, horizon):
    """In version 1 a horizon of −8000 days says that values of 2015 were recorded in 2036."""
    answer = owner.post(f"post{kind}", message_of(cast, kind, horizon=horizon), version)
    assert (answer.status_code, answer.json["status"]) == (400, "INVALID_HORIZON")


def test_what_version_1_says_without_a_time_of_recording_stands(owner, cast):
    """Prices of tomorrow without a horizon count as recorded at the end of each hour, as version 1 documents."""
    tomorrow = (NOW + timedelta(days=1)).replace(minute=0, second=0, microsecond=0)
    answer = owner.post("postPriceData", message_of(cast, "PriceData", start=tomorrow.isoformat()), "v1_1")
    assert answer.status_code == 200, answer.json


@pytest.mark.parametrize(("ahead", "status"), [(50, "PROCESSED"), (3600, "INVALID_HORIZON")])
def test_clocks_may_differ_a_little(owner, cast, ahead, status):
    """The clock of a sender may be a minute ahead, as configured by default."""
    prior = (datetime.now(UTC) + timedelta(seconds=ahead)).isoformat()
    assert owner.post("postMeterData", message_of(cast, "MeterData", prior=prior)).json["status"] == status


def test_the_tolerance_is_a_setting(app, owner, cast):
    """With FLEXMEASURES_CLOCK_TOLERANCE of two hours an hour ahead is accepted."""
    app.config["FLEXMEASURES_CLOCK_TOLERANCE"] = timedelta(hours=2)
    prior = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    assert (
        owner.post("postMeterData", message_of(cast, "MeterData", prior=prior)).json["status"] == "PROCESSED"
    )


@pytest.mark.parametrize("version", ["v1_2", "v1_3", "v2_0"])
@pytest.mark.parametrize("at", [YEAR_9998, "2060-01-01T00:00:00Z"])
def test_a_state_of_charge_far_ahead_is_refused(app, owner, cast, version, at):
    """A UDI event of the year 9998, or more than twenty years ahead, is INVALID_DATETIME and changes nothing."""
    answer = owner.post("postUdiEvent", state_of_charge(cast, 1, at), version)
    assert (answer.status_code, answer.json["status"]) == (400, "INVALID_DATETIME")
    with app.app_context():
        assert db.session.get(Asset, cast.assets["battery"]).soc_udi_event_id is None


@pytest.mark.parametrize("version", ["v1_2", "v1_3", "v2_0"])
def test_an_event_ahead_of_all_plans_does_not_block_its_device(owner, cast, version):
    """Plans reach 48 hours ahead: an event beyond that does not make one of now outdated; one of tomorrow does."""
    days = [datetime.now(UTC) + timedelta(days=n) for n in (3, 0, 1, 0)]
    statuses = [
        owner.post("postUdiEvent", state_of_charge(cast, number, at.isoformat()), version).json["status"]
        for number, at in enumerate(days, start=1)
    ]
    assert statuses == ["PROCESSED", "PROCESSED", "PROCESSED", "INVALID_DATETIME"]


def test_a_prior_of_a_udi_event_is_not_in_the_future(owner, cast):
    """The belief time of a schedule is bounded as that of any other belief."""
    message = state_of_charge(cast, 1, "2015-01-02T00:00:00Z") | {"prior": YEAR_9998}
    assert owner.post("postUdiEvent", message).json["status"] == "INVALID_HORIZON"


def test_simulations_have_clocks_of_their_own(app, owner, cast):
    """In play mode the simulated time may lie ahead."""
    app.config["FLEXMEASURES_MODE"] = "play"
    future = {"start": "2090-01-03T00:00:00Z", "prior": "2090-01-03T01:00:00Z"}
    assert owner.post("postMeterData", message_of(cast, "MeterData", **future)).json["status"] == "PROCESSED"
