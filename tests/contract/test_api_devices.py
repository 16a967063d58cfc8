"""UDI events and device messages through the API."""

import re
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from sqlalchemy import text

from flexmeasures.data.database import db, redis_connection
from flexmeasures.data.tables import Asset
from flexmeasures.jobs.schedules import find_job
from flexmeasures.services.schedules.gather import Planning
from flexmeasures.services.schedules.reschedule import PortfolioOrder, reschedule

VERSIONS = ["v1_3", "v2_0"]


def udi(event, **changes):
    """A state of charge of 2.5 MWh at midnight of the second day."""
    message = {
        "type": "PostUdiEventRequest",
        "event": event,
        "value": 2.5,
        "unit": "MWh",
        "datetime": "2015-01-02T00:00:00+00:00",
    }
    return {key: value for key, value in (message | changes).items() if value is not None}


def ask(caller, event, version="v2_0", **more):
    """Ask for the schedule of an event."""
    return caller.get("getDeviceMessage", version, type="GetDeviceMessageRequest", event=event, **more)


def state_of(app, asset_id):
    """Look up the state of charge that is known of an asset."""
    with app.app_context():
        asset = db.session.get(Asset, asset_id)
        return asset.soc_in_mwh, asset.soc_udi_event_id


@pytest.mark.parametrize("version", VERSIONS)
def test_a_target_is_met(owner, cast, work, version):
    """A charging station reaches its target in time, in the cheap hours before it."""
    event = cast.address("station", "5:soc-with-targets")
    targets = [{"value": 25, "datetime": "2015-01-02T16:00:00+00:00"}]
    posted = owner.post("postUdiEvent", udi(event, value=12.1, unit="kWh", targets=targets), version)
    assert posted.status_code == 200, posted.json
    work()
    answer = ask(owner, event, version, duration="PT24H").json
    soc = 0.0121 + np.cumsum(answer["values"]) / 4
    assert answer["event"] == event
    assert answer["start"] == "2015-01-02T00:00:00Z"
    assert soc[63] == pytest.approx(0.025)
    # the price is 90 instead of 100 from eight o'clock on
    assert set(np.flatnonzero(np.array(answer["values"]) > 1e-9)) <= set(range(32, 64))


def test_the_answer_covers_what_was_asked(owner, cast, work):
    """Six hours by default, no more than there is, and at least one slot."""
    event = cast.address("battery", "1:soc")
    owner.post("postUdiEvent", udi(event, datetime="2015-01-01T00:00:00Z"))
    work()
    whole = ask(owner, event, duration="PT1000H").json
    assert (len(whole["values"]), whole["duration"], whole["unit"]) == (192, "P2D", "MW")
    default = ask(owner, event).json
    assert (default["values"], default["duration"]) == (whole["values"][:24], "PT6H")
    slot = ask(owner, event, duration="PT5M").json
    assert (slot["values"], slot["duration"]) == (whole["values"][:1], "PT5M")


def test_each_event_has_its_own_plan(owner, cast, work):
    """An event is answered with the schedule that was made for it, also after a later event for the same time."""
    first, second = (cast.address("battery", f"{n}:soc") for n in (1, 2))
    owner.post("postUdiEvent", udi(first, value=5))
    work()
    before = ask(owner, first, duration="PT24H").json["values"]
    owner.post("postUdiEvent", udi(second, value=0))
    work()
    after = ask(owner, second, duration="PT24H").json["values"]
    assert 0 + np.cumsum(after)[31] / 4 == pytest.approx(0)
    assert after != before
    assert ask(owner, first, duration="PT24H").json["values"] == before
    # 5 MWh are sold in the first 8 hours at 100 EUR/MWh
    assert 5 + np.cumsum(before)[31] / 4 == pytest.approx(0)


def test_plans_with_one_time_of_recording_stay_apart(owner, cast, work):
    """Two events that were recorded at the same instant have a plan each."""
    first, second = (cast.address("battery", f"{n}:soc") for n in (1, 2))
    for event, value in ((first, 5), (second, 0)):
        owner.post("postUdiEvent", udi(event, value=value, prior="2015-01-01T23:00:00Z"))
    work()
    sold = [np.sum(ask(owner, event, duration="PT8H").json["values"]) / 4 for event in (first, second)]
    assert sold == [pytest.approx(-5), pytest.approx(0)]


def test_a_plan_that_was_deleted_is_not_known(app, owner, cast, work):
    """Where only one schedule is kept, that of the earlier event is not found; it is not taken for the later one."""
    app.config["FLEXMEASURES_SCHEDULES_KEPT"] = 1
    first, second = (cast.address("battery", f"{n}:soc") for n in (1, 2))
    for event, value in ((first, 5), (second, 0)):
        owner.post("postUdiEvent", udi(event, value=value))
    work()
    assert ask(owner, first).json["status"] == "UNKNOWN_SCHEDULE"
    assert ask(owner, second).status_code == 200


def test_the_plan_of_the_latest_event_outlasts_rolling_ones(app, owner, cast, work):
    """However often a device is planned again, the plan of its latest event is the one that was made for it."""
    event = cast.address("battery", "1:soc")
    owner.post("postUdiEvent", udi(event, value=5))
    work()
    before = ask(owner, event, duration="PT24H").json
    with app.app_context():
        for hour in range(1, 4):
            start = datetime(2015, 1, 2, hour, tzinfo=UTC)
            later = datetime.now(UTC) + timedelta(minutes=hour)
            order = PortfolioOrder((cast.assets["battery"],), start, timedelta(hours=6), later)
            assert reschedule(db.session, order, Planning(kept=1)).made == 1
        db.session.commit()
        assert db.session.scalar(text("select count(*) from plan")) == 2
    assert ask(owner, event, duration="PT24H").json == before


def test_a_rolling_schedule_does_not_take_the_place_of_an_event_s(app, owner, cast, work):
    """Planned again three hours later, the schedule of the event is still the one that was made for it."""
    event = cast.address("battery", "1:soc")
    owner.post("postUdiEvent", udi(event, value=5))
    work()
    before = ask(owner, event, duration="PT24H").json
    with app.app_context():
        start = datetime(2015, 1, 2, 3, tzinfo=UTC)
        order = PortfolioOrder((cast.assets["battery"],), start, timedelta(hours=6), start)
        assert reschedule(db.session, order, Planning()).made == 1
        db.session.commit()
    assert ask(owner, event, duration="PT24H").json == before


def test_a_battery_of_unknown_size_is_scheduled(app, owner, cast, work):
    """Without a maximum state of charge an hour at its 2 MW is taken: 2 MWh are bought at 90 to be sold at 100."""
    with app.app_context():
        asset = db.session.get(Asset, cast.assets["battery"])
        asset.min_soc_in_mwh = asset.max_soc_in_mwh = None
        db.session.commit()
    event = cast.address("battery", "1:soc")
    owner.post("postUdiEvent", udi(event, value=0))
    work()
    answer = ask(owner, event, duration="PT24H").json
    assert np.cumsum(answer["values"]).max() / 4 == pytest.approx(2)
    assert "2 MWh was taken" in answer["message"]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        pytest.param({"scheduler": "nobody's"}, "nobody's", id="an unknown scheduler"),
        pytest.param({"soc_min_mwh": 6.0}, "above its highest", id="limits that contradict each other"),
        pytest.param({"kind": "curtailable"}, "not forecast", id="no forecast"),
    ],
)
def test_answers_show_no_class_names(app, owner, cast, work, fields, words):
    """A schedule that cannot be made is told in words; what our errors are called inside is in no answer."""
    with app.app_context():
        db.session.get(Asset, cast.assets["battery"]).flex_model = fields
        db.session.commit()
    event = cast.address("battery", "1:soc")
    owner.post("postUdiEvent", udi(event))
    work()
    message = ask(owner, event).json["message"]
    assert words in message
    assert not re.search(r"[a-z][A-Z]\w+:", message)


def test_schedules_from_other_instants_do_not_mix(owner, cast, work):
    """A plan that starts five minutes later has slots of its own."""
    first, second = (cast.address("battery", f"{n}:soc") for n in (1, 2))
    owner.post("postUdiEvent", udi(first))
    owner.post("postUdiEvent", udi(second, datetime="2015-01-02T00:05:00Z"))
    work()
    answer = ask(owner, second, duration="PT24H").json
    assert answer["start"] == "2015-01-02T00:05:00Z"
    # prices end at midnight, so the last whole slot starts at 23:35
    assert len(answer["values"]) == 95
    assert len(ask(owner, first, duration="PT24H").json["values"]) == 96


def test_several_events_at_once(owner, cast, work):
    """Schedules of several events are told apart by group."""
    events = [cast.address("battery", "1:soc"), cast.address("station", "1:soc")]
    for event in events:
        owner.post("postUdiEvent", udi(event))
    work()
    answer = ask(owner, events, duration="PT24H")
    assert [group["event"] for group in answer.json["groups"]] == events


def test_what_cannot_be_reached_is_said(owner, cast, work):
    """An impossible target gives the best that can be done, and says what was missed."""
    event = cast.address("station", "1:soc-with-targets")
    targets = [{"value": 9, "datetime": "2015-01-02T01:00:00Z"}]
    owner.post("postUdiEvent", udi(event, targets=targets))
    work()
    answer = ask(owner, event).json
    # full power towards the target, and then nothing
    assert answer["values"] == pytest.approx([2] * 4 + [0] * 20, abs=1e-6)
    assert "at 2015-01-02T01:00:00Z: wanted 9 MWh, reached 4.5 MWh" in answer["message"]
    assert "maximum consumption" in answer["message"]


def test_an_unfinished_job_is_said_to_wait(owner, cast):
    """Until a worker has made it, the schedule is unknown and the client is told why."""
    event = cast.address("battery", "1:soc")
    owner.post("postUdiEvent", udi(event))
    answer = ask(owner, event)
    assert (answer.status_code, answer.json["status"]) == (400, "UNKNOWN_SCHEDULE")
    assert "waits to be processed" in answer.json["message"]


@pytest.mark.parametrize(
    ("configured", "kept"), [({}, 7 * 24 * 3600), ({"FLEXMEASURES_PLANNING_TTL": timedelta(seconds=90)}, 90)]
)
def test_outcomes_of_events_are_kept_as_configured(app, owner, cast, work, configured, kept):
    """A schedule can be asked for under the id of its event for a week, if not configured otherwise."""
    app.config |= configured
    owner.post("postUdiEvent", udi(cast.address("battery", "1:soc")))
    work()
    job = find_job(redis_connection(app), cast.assets["battery"], 1)
    assert kept - 5 <= redis_connection(app).ttl(job.key) <= kept


@pytest.mark.parametrize("version", VERSIONS)
def test_unknown_prices_are_told(owner, cast, work, version):
    """Without prices there is no schedule, and the answer says so."""
    event = cast.address("battery", "1:soc")
    owner.post("postUdiEvent", udi(event, datetime="2040-01-01T00:00:00Z"), version)
    work()
    answer = ask(owner, event, version)
    assert (answer.status_code, answer.json["status"]) == (400, "UNKNOWN_SCHEDULE")
    assert "prices unknown" in answer.json["message"].lower()


@pytest.mark.parametrize(
    ("event", "changes", "status"),
    [
        pytest.param("1:soc", {"type": None}, "NO_MESSAGE_TYPE", id="no type"),
        pytest.param("1:soc", {"unit": "MW"}, "INVALID_UNIT", id="power as energy"),
        pytest.param("1:soc", {"datetime": None}, "INVALID_DATETIME", id="no datetime"),
        pytest.param("1:soc", {"datetime": "midnight"}, "INVALID_DATETIME", id="no ISO time"),
        pytest.param("1:soc", {"datetime": "2015-01-02T00:00:00"}, "INVALID_TIMEZONE", id="naive datetime"),
        pytest.param("1:soc", {"event": None}, "INVALID_DOMAIN", id="no event"),
        pytest.param("1:soc", {"event": "1:soc"}, "INVALID_DOMAIN", id="no address"),
        pytest.param("1:charge", {}, "UNRECOGNIZED_UDI_EVENT", id="unknown type of event"),
        pytest.param("1:soc", {"value": None}, "PTUS_INCOMPLETE", id="no value"),
        pytest.param("1:soc", {"value": "full"}, "PTUS_INCOMPLETE", id="text as value"),
        pytest.param("1:soc", {"value": True}, "PTUS_INCOMPLETE", id="true as value"),
        pytest.param("1:soc", {"value": -1}, "PTUS_INCOMPLETE", id="less than empty"),
        pytest.param("1:soc-with-targets", {}, "INCOMPLETE_UDI_EVENT", id="no targets"),
        pytest.param("1:soc-with-targets", {"targets": []}, "INCOMPLETE_UDI_EVENT", id="empty targets"),
        pytest.param("1:soc-with-targets", {"targets": [3]}, "PTUS_INCOMPLETE", id="target is not an object"),
        pytest.param(
            "1:soc-with-targets",
            {"targets": [{"datetime": "2015-01-02T06:00:00Z"}]},
            "PTUS_INCOMPLETE",
            id="target without value",
        ),
        pytest.param(
            "1:soc-with-targets",
            {"targets": [{"value": 3, "datetime": "2015-01-02T06:00:00"}]},
            "INVALID_TIMEZONE",
            id="target without zone",
        ),
        pytest.param(
            "1:soc-with-targets",
            {"targets": [{"value": 3, "datetime": "2015-01-09T06:00:00Z"}]},
            "INVALID_DATETIME",
            id="target beyond the horizon",
        ),
        pytest.param(
            "1:soc-with-targets",
            {"targets": [{"value": 3, "datetime": "2015-01-01T06:00:00Z"}]},
            "INVALID_DATETIME",
            id="target in the past",
        ),
    ],
)
def test_bad_events_are_refused_and_nothing_is_stored(app, owner, cast, event, changes, status):
    """Each mistake has its documented status, and leaves the device's state as it was."""
    before = state_of(app, cast.assets["battery"])
    answer = owner.post("postUdiEvent", udi(**({"event": cast.address("battery", event)} | changes)))
    assert (answer.status_code, answer.json["status"]) == (400, status), answer.json
    assert state_of(app, cast.assets["battery"]) == before


def test_events_follow_each_other(app, owner, cast):
    """An event with a number that is not higher is outdated, one with an earlier time has an invalid time."""
    assert owner.post("postUdiEvent", udi(cast.address("battery", "204:soc"))).status_code == 200
    again = owner.post("postUdiEvent", udi(cast.address("battery", "204:soc")))
    assert again.json["status"] == "OUTDATED_UDI_EVENT"
    earlier = owner.post(
        "postUdiEvent", udi(cast.address("battery", "205:soc"), datetime="2015-01-01T00:00:00Z")
    )
    assert earlier.json["status"] == "INVALID_DATETIME"
    later = owner.post("postUdiEvent", udi(cast.address("battery", "207:soc"), value=1200, unit="kWh"))
    assert later.status_code == 200
    assert state_of(app, cast.assets["battery"]) == (1.2, 207)


def test_in_play_mode_events_may_come_in_any_order(app, owner, cast, work):
    """A simulation may repeat and reorder its events, and gets the schedule of the last one."""
    app.config["FLEXMEASURES_MODE"] = "play"
    event = cast.address("battery", "204:soc")
    owner.post("postUdiEvent", udi(event, value=5))
    owner.post("postUdiEvent", udi(event, value=0))
    assert owner.post("postUdiEvent", udi(cast.address("station", "3:soc"))).status_code == 200
    work()
    values = ask(owner, event, duration="PT24H").json["values"]
    assert min(np.cumsum(values)) >= -1e-9


@pytest.mark.parametrize("event", ["999:soc", "0:soc"])
def test_unknown_events_are_refused(owner, cast, work, event):
    """An event that was never posted is not recognized."""
    answer = ask(owner, cast.address("battery", event))
    assert (answer.status_code, answer.json["status"]) == (400, "UNRECOGNIZED_UDI_EVENT")


@pytest.mark.parametrize("duration", ["15M", "soon", "-"])
def test_a_mistyped_duration_is_unprocessable(owner, cast, duration):
    """A duration that cannot be parsed is refused field by field."""
    answer = ask(owner, cast.address("battery", "1:soc"), duration=duration)
    assert answer.status_code == 422
    assert answer.json["status"] == "UNPROCESSABLE_ENTITY"
    assert "Cannot parse" in answer.json["message"]["args_and_json"]["duration"][0]


def test_devices_of_others_are_unknown(stranger, owner, cast, work):
    """Nobody learns of another's device, nor gives it orders."""
    event = cast.address("battery", "1:soc")
    assert stranger.post("postUdiEvent", udi(event)).json["status"] == "UNRECOGNIZED_CONNECTION_GROUP"
    owner.post("postUdiEvent", udi(event))
    work()
    assert ask(stranger, event).json["status"] == "UNRECOGNIZED_CONNECTION_GROUP"


def test_only_some_assets_are_scheduled(owner, cast):
    """A building is not a device that can be scheduled."""
    answer = owner.post("postUdiEvent", udi(cast.address("building", "1:soc")))
    assert (answer.status_code, answer.json["status"]) == (400, "INVALID_DOMAIN")
    assert "building" in answer.json["message"]


class TestVersion12:
    """In version 1.2 schedules are made while the client waits."""

    def test_the_schedule_is_made_at_once(self, owner, cast):
        """No worker is needed, and the day's plan is the one worked out by hand."""
        event = cast.address("battery", "1:soc")
        assert owner.post("postUdiEvent", udi(event), "v1_2").status_code == 200
        stock = 2.5 + np.cumsum(ask(owner, event, "v1_2", duration="PT24H").json["values"]) / 4
        assert (stock[31], stock[63], stock[95]) == pytest.approx((0, 5, 0))

    def test_only_the_latest_event_is_known(self, owner, cast):
        """The device's state belongs to its latest event."""
        owner.post("postUdiEvent", udi(cast.address("battery", "2:soc")), "v1_2")
        answer = ask(owner, cast.address("battery", "1:soc"), "v1_2")
        assert answer.json["status"] == "UNRECOGNIZED_UDI_EVENT"

    def test_events_must_be_later(self, owner, cast):
        """Each event must be later than the one before."""
        owner.post("postUdiEvent", udi(cast.address("battery", "1:soc")), "v1_2")
        answer = owner.post("postUdiEvent", udi(cast.address("battery", "2:soc")), "v1_2")
        assert answer.json["status"] == "INVALID_DATETIME"

    @pytest.mark.parametrize(
        ("event", "status"),
        [("1:soc-with-targets", "UNRECOGNIZED_UDI_EVENT"), ("1:discharge", "UNRECOGNIZED_UDI_EVENT")],
    )
    def test_only_states_are_understood(self, owner, cast, event, status):
        """Targets came later."""
        answer = owner.post("postUdiEvent", udi(cast.address("battery", event)), "v1_2")
        assert answer.json["status"] == status

    def test_only_batteries_are_scheduled(self, owner, cast):
        """Charging stations came later."""
        answer = owner.post("postUdiEvent", udi(cast.address("station", "1:soc")), "v1_2")
        assert answer.json["status"] == "INVALID_DOMAIN"

    def test_unknown_prices(self, owner, cast):
        """Without prices the answer is UNKNOWN_PRICES."""
        event = cast.address("battery", "1:soc")
        owner.post("postUdiEvent", udi(event, datetime="2040-01-01T00:00:00Z"), "v1_2")
        assert ask(owner, event, "v1_2").json["status"] == "UNKNOWN_PRICES"

    def test_no_market(self, app, owner, cast):
        """Without a market the answer is INVALID_MARKET."""
        with app.app_context():
            db.session.get(Asset, cast.assets["battery"]).market_id = None
            db.session.commit()
        event = cast.address("battery", "1:soc")
        owner.post("postUdiEvent", udi(event), "v1_2")
        assert ask(owner, event, "v1_2").json["status"] == "INVALID_MARKET"
