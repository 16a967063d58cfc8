"""Monitoring: what is stored raises alerts, people see and acknowledge them, and owners are told by mail."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from sqlalchemy import event

from flexmeasures.data.database import db, redis_connection
from flexmeasures.data.stores.users import get_or_create_role
from flexmeasures.data.tables import Asset, User
from flexmeasures.domain.errors import Conflict, InvalidInput, NotAllowed, NotFound
from flexmeasures.domain.monitoring import AlertKind
from flexmeasures.jobs.monitoring import mail_alerts, place_due_check, watch
from flexmeasures.jobs.queues import get_queue
from flexmeasures.jobs.workers import make_worker
from flexmeasures.services.assets import NewAsset, create_asset
from flexmeasures.services.checks import FieldErrors
from flexmeasures.services.monitoring.alerts import acknowledge_alert, acknowledge_all, list_alerts
from flexmeasures.services.monitoring.check import check_alerts
from flexmeasures.services.monitoring.rules import OwnRule, read_own_rule, set_own_rule
from flexmeasures.services.tasks import find_task_run
from flexmeasures.testing import store_values

NOW = datetime(2024, 5, 20, 12, tzinfo=UTC)
QUARTER = timedelta(minutes=15)


def measure(asset_id, values, end=NOW):
    """Store quarter-hours that end at an instant, in MW."""
    asset = db.session.get(Asset, asset_id)
    store_values(db.session, asset, end - len(values) * QUARTER, np.asarray(values, dtype=float))
    db.session.commit()


def check(now=NOW):
    """Run a check, and store what it finds."""
    outcome = check_alerts(db.session(), now)
    db.session.commit()
    return outcome


def user_of(email):
    """Find a user by address."""
    return db.session.query(User).filter_by(email=email).one()


@pytest.fixture
def building(app, cast):
    """Give the id of a building (1 MW) with three hours of measurements, the last hour of them beyond its capacity."""
    with app.app_context():
        measure(cast.assets["building"], [0.4] * 8 + [1.2, 1.3, 1.2, 1.2])
        yield cast.assets["building"]


@pytest.fixture
def breach(app, cast):
    """Raise the alert of the building, and give its id; without a context, as browsers need one each."""
    with app.app_context():
        measure(cast.assets["building"], [0.4] * 8 + [1.2, 1.3, 1.2, 1.2])
        check()
    return cast.assets["building"]


def kept_rule(app, asset_id):
    """Read what is kept of the power of an asset."""
    with app.app_context():
        return read_own_rule(db.session.get(Asset, asset_id).sensor)


def test_a_breach_is_raised_once_followed_and_ended(building, cast):
    """A power beyond the capacity and 5 % is one alert however often it is looked at, and ends with the breach."""
    assert check().raised == 1
    assert check().raised == 0
    (alert,) = list_alerts(db.session, user_of(cast.owner_email))
    assert (alert.kind, alert.asset_id, alert.value, alert.limit) == (
        AlertKind.THRESHOLD,
        building,
        pytest.approx(1.3),
        pytest.approx(1.05),
    )
    assert (alert.started_at, alert.is_ongoing) == (NOW - timedelta(hours=1), True)
    assert alert.words == "1.3 MW, beyond 1.05 MW"
    measure(building, [0.4], end=NOW + QUARTER)
    check(NOW + QUARTER)
    (alert,) = list_alerts(db.session, user_of(cast.owner_email))
    assert (alert.started_at, alert.ended_at) == (NOW - timedelta(hours=1), NOW)


def test_silence_is_missed_and_ends_when_values_come(building, cast):
    """After a day without values there is an alert; when values come again, it ends where they begin."""
    measure(building, [0.4] * 4, end=NOW + timedelta(hours=1))
    later = NOW + timedelta(hours=30)
    check(later)
    owner = user_of(cast.owner_email)
    gaps = list_alerts(db.session, owner, kind="gap")
    assert [(one.started_at, one.ended_at) for one in gaps] == [(NOW + timedelta(hours=1), None)]
    measure(building, [0.4], end=later + QUARTER)
    check(later + QUARTER)
    gaps = list_alerts(db.session, owner, kind="gap")
    assert [(one.started_at, one.ended_at) for one in gaps] == [(NOW + timedelta(hours=1), later)]


def test_forecasts_and_schedules_raise_nothing(app, cast):
    """Only what was measured counts: a forecast beyond the capacity is none of it."""
    with app.app_context():
        measure(cast.assets["solar"], [0.0] * 4)
        asset = db.session.get(Asset, cast.assets["solar"])
        start = NOW - timedelta(hours=1)
        db.session.execute(
            db.text(
                "insert into belief (sensor_id, event_start, belief_horizon, source_id, event_value,"
                " cumulative_probability) select :sensor, :start, interval '1 hour', min(id), 9, 0.5 from data_source"
            ),
            {"sensor": asset.sensor.id, "start": start},
        )
        db.session.commit()
        assert check().raised == 0


def test_alerts_are_of_their_owner_and_of_admins(building, cast):
    """The owner and an admin see and acknowledge an alert; a stranger does not learn that there is one."""
    check()
    owner, stranger, admin = (
        user_of(one) for one in (cast.owner_email, cast.stranger_email, cast.admin_email)
    )
    (alert,) = list_alerts(db.session, owner)
    assert list_alerts(db.session, stranger) == []
    assert [one.id for one in list_alerts(db.session, admin)] == [alert.id]
    with pytest.raises(NotFound, match="There is no alert"):
        acknowledge_alert(db.session, stranger, alert.id, NOW)
    acknowledge_alert(db.session, owner, alert.id, NOW, " seen by the electrician ")
    with pytest.raises(Conflict, match="acknowledged already"):
        acknowledge_alert(db.session, admin, alert.id, NOW)
    db.session.commit()
    assert list_alerts(db.session, owner) == []
    (kept,) = list_alerts(db.session, owner, "all")
    assert (kept.acknowledged_at, kept.note) == (NOW, "seen by the electrician")


def test_an_admin_reader_may_look_only(building, cast, app):
    """Somebody who may read everything does not acknowledge what others own."""
    check()
    reader = user_of(cast.roleless_email)
    reader.roles = [get_or_create_role(db.session, "admin-reader")]
    db.session.commit()
    (alert,) = list_alerts(db.session, reader)
    with pytest.raises(NotAllowed):
        acknowledge_alert(db.session, reader, alert.id, NOW)
    assert acknowledge_all(db.session, reader, NOW) == 0


def test_unknown_states_kinds_and_long_notes_are_refused(building, cast):
    """The message names what there is."""
    check()
    owner = user_of(cast.owner_email)
    with pytest.raises(InvalidInput, match="waiting, ongoing, all"):
        list_alerts(db.session, owner, "open")
    with pytest.raises(InvalidInput, match="threshold, gap, outlier, idle, leak"):
        list_alerts(db.session, owner, kind="fire")
    (alert,) = list_alerts(db.session, owner)
    with pytest.raises(InvalidInput, match="501 characters"):
        acknowledge_alert(db.session, owner, alert.id, NOW, "x" * 501)


def test_what_an_owner_says_wins(building, cast):
    """A higher threshold raises nothing; no watching, neither; a contradiction is refused."""
    sensor = db.session.get(Asset, building).sensor
    set_own_rule(db.session, sensor, OwnRule(highest=1.5))
    assert check().raised == 0
    set_own_rule(db.session, sensor, OwnRule(highest=0.3))
    assert check().raised == 1
    set_own_rule(db.session, sensor, OwnRule(is_off=True, gap_after=timedelta(hours=3)))
    assert read_own_rule(sensor) == OwnRule(is_off=True, gap_after=timedelta(hours=3))
    assert check().ended == 1
    with pytest.raises(FieldErrors, match="above the lowest"):
        set_own_rule(db.session, sensor, OwnRule(lowest=1, highest=0))
    with pytest.raises(FieldErrors, match="longer than the resolution"):
        set_own_rule(db.session, sensor, OwnRule(gap_after=QUARTER))


@pytest.mark.parametrize(
    "said", ["x", 3, {"lowest": "low", "gap_after": "soon"}, {"gap_after": "-PT3H"}, None]
)
def test_attributes_that_are_not_understood_count_as_not_said(building, said):
    """Whatever a client wrote into the attribute does not stop the check of all others."""
    db.session.get(Asset, building).sensor.attributes = {"monitoring": said}
    db.session.commit()
    assert check().raised == 1


def test_one_mail_tells_an_owner_of_all_that_is_new(app, building, cast, postbox):
    """Two alerts are one mail, sent once; it names assets, times on the owner's clock and values."""
    measure(cast.assets["solar"], [-2.0])
    check()
    assert mail_alerts(app.config, NOW + QUARTER) == 1
    assert mail_alerts(app.config, NOW + QUARTER) == 0
    (mail,) = postbox.mails
    assert mail["To"] == cast.owner_email
    assert "2 alerts about your assets" in mail["Subject"]
    text = mail.get_content()
    assert "Test building, since 2024-05-20T13:00:00+02:00: 1.3 MW, beyond 1.05 MW" in text
    assert "Test roof" in text


def test_mail_that_could_not_be_sent_is_sent_later(app, building, cast, postbox):
    """While the mail server is away a check goes well, and nobody counts as told."""
    away = app.config["MAIL_PORT"]
    app.config |= {"MAIL_PORT": 1, "FLEXMEASURES_MAIL_ALERTS": True}
    measure(building, [1.3] * 4, end=datetime.now(UTC).replace(minute=0, second=0, microsecond=0))
    assert watch()["raised"] >= 1
    app.config["MAIL_PORT"] = away
    assert mail_alerts(app.config, datetime.now(UTC)) == 1


def test_a_worker_checks_once_in_an_interval(app, cast):
    """However many workers ask, one check is placed; it is run by a worker, and its time is kept."""
    connection = redis_connection(app)
    place_due_check(connection, timedelta(0))
    assert len(get_queue(connection, "coordination")) == 0
    for _ in range(3):
        place_due_check(connection, timedelta(minutes=15))
    assert len(get_queue(connection, "coordination")) == 1
    make_worker(app, ["coordination"]).work(burst=True)
    with app.app_context():
        run = find_task_run(db.session, "check_alerts")
        assert run is not None
        assert run.succeeded


def test_a_check_asks_the_same_number_of_questions_however_many_assets(app, building, cast):
    """Thirty more assets are read in the statements of one."""

    def statements():
        count = [0]

        def note(*_):
            count[0] += 1

        event.listen(db.engine, "before_cursor_execute", note)
        check()
        event.remove(db.engine, "before_cursor_execute", note)
        return count[0]

    check()
    before = statements()
    for number in range(30):
        new = NewAsset(
            f"More {number}", "building", 1.0, QUARTER, owner_id=cast.owner_id, market_id=cast.market,
            latitude=52, longitude=5,
        )  # fmt: skip
        create_asset(db.session, new)
    db.session.commit()
    check()
    assert statements() <= before + 2


def test_the_page_lists_acknowledges_and_downloads(app, breach, cast):
    """The owner reads what is wrong, takes note, and can have it as CSV and JSON; foreign alerts do nothing."""
    browser, stranger = app.test_client(), app.test_client()
    browser.post("/login", data={"email": cast.owner_email, "password": cast.password})
    stranger.post("/login", data={"email": cast.stranger_email, "password": cast.password})
    page = browser.get("/alerts").text
    assert "1 alert needs you" in page
    assert "1.3 MW, beyond 1.05 MW" in page
    assert "1 alert needs you" in browser.get("/dashboard").text
    (row,) = browser.get("/alerts?format=json").json
    assert (row["kind"], row["value"], row["limit"]) == ("threshold", pytest.approx(1.3), pytest.approx(1.05))
    assert browser.get("/alerts?format=csv").text.count("\n") == 2
    assert browser.get("/alerts?format=xml").status_code == 404
    assert browser.get("/alerts?state=open").status_code == 400
    assert "Nothing needs you" in stranger.get("/alerts").text
    for one in (str(row["id"]), "0", "-1", "9" * 30, "x"):
        stranger.post("/alerts/acknowledge", data={"alert": one})
    stranger.post("/alerts/acknowledge", data={"alert": "all"})
    assert "1 alert needs you" in browser.get("/alerts").text
    answer = browser.post("/alerts/acknowledge", data={"alert": row["id"]}, follow_redirects=True)
    assert "The alert was acknowledged" in answer.text
    assert "Nothing needs you" in answer.text


def test_the_page_of_an_asset_says_what_is_unusual(app, breach, cast):
    """Thresholds in kW and hours are kept; a wrong number changes nothing, and a stranger may not."""
    browser, stranger = app.test_client(), app.test_client()
    browser.post("/login", data={"email": cast.owner_email, "password": cast.password})
    stranger.post("/login", data={"email": cast.stranger_email, "password": cast.password})
    path = f"/assets/{breach}/watch"
    assert stranger.post(path, data={"highest": "1"}).status_code == 404
    browser.post(path, data={"highest": "1.400,5"})
    assert kept_rule(app, breach) == OwnRule()
    browser.post(path, data={"highest": "1400,5", "lowest": "", "gap_after": "3"})
    assert kept_rule(app, breach) == OwnRule(highest=1.4005, gap_after=timedelta(hours=3))
    assert 'value="1400.5"' in browser.get(f"/assets/{breach}/").text


def test_thresholds_typed_in_kilowatts_fit_a_sensor_in_kilowatts(app, cast):
    """A sensor in kW keeps 12.5 kW as 12.5, where one in MW keeps 0.0125; the form shows 12.5 again."""
    with app.app_context():
        new = NewAsset(
            "in_kw", "building", 2, timedelta(minutes=15), 52.37, 4.9, cast.owner_id, cast.market, unit="kW"
        )
        number = create_asset(db.session, new).id
        db.session.commit()
    browser = app.test_client()
    browser.post("/login", data={"email": cast.owner_email, "password": cast.password})
    browser.post(f"/assets/{number}/watch", data={"highest": "12.5", "lowest": "", "gap_after": ""})
    assert kept_rule(app, number) == OwnRule(highest=12.5)
    assert 'value="12.5"' in browser.get(f"/assets/{number}/").text
