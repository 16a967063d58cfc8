"""What getDeviceMessage answers at each stage of the job that makes a schedule, and after it."""

import pytest
from rq.job import JobStatus

from flexmeasures.data.database import db, redis_connection
from flexmeasures.data.tables import Asset
from flexmeasures.jobs.schedules import find_job

START = "2015-01-02T00:00:00Z"
VERSIONS = ["v1_3", "v2_0"]


@pytest.fixture
def event(cast):
    """The address of a battery's event."""
    return cast.address("battery", "204:soc")


@pytest.fixture
def job(app, owner, cast, event):
    """The job that the event ordered."""
    charge = {"event": event, "value": 2.5, "unit": "MWh", "datetime": START}
    answer = owner.post("postUdiEvent", {"type": "PostUdiEventRequest"} | charge)
    assert answer.status_code == 200, answer.json
    return find_job(redis_connection(app), cast.assets["battery"], 204)


def ask(caller, event, version="v2_0", **more):
    """Ask for the schedule of an event."""
    return caller.get("getDeviceMessage", version, type="GetDeviceMessageRequest", event=event, **more)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("status", "words"),
    [
        (JobStatus.QUEUED, "waits to be processed. Ask again later"),
        (JobStatus.SCHEDULED, "waits to be processed. Ask again later"),
        (JobStatus.STARTED, "is in progress. Ask again later"),
        (JobStatus.DEFERRED, "waits for another-job. Ask again later"),
        (JobStatus.FAILED, "does not say why"),
        (JobStatus.STOPPED, "does not say why"),
        (JobStatus.CANCELED, "does not say why"),
        (JobStatus.FINISHED, "was not found in the database"),
    ],
)
def test_a_schedule_that_is_not_there_is_unknown(owner, event, job, version, status, words):
    """At each stage of its job a schedule is unknown for a reason of its own."""
    if status is JobStatus.DEFERRED:
        job.connection.sadd(job.dependencies_key, "another-job")
    job.set_status(status)
    answer = ask(owner, event, version)
    assert (answer.status_code, answer.json["status"]) == (400, "UNKNOWN_SCHEDULE")
    assert answer.json["type"] == "GetDeviceMessageResponse"
    assert words in answer.json["message"]


def test_a_job_that_failed_says_why(app, owner, cast, event, job, work):
    """The reason that a worker noted is told."""
    with app.app_context():
        db.session.get(Asset, cast.assets["battery"]).market_id = None
        db.session.commit()
    work()
    answer = ask(owner, event)
    assert answer.json["status"] == "UNKNOWN_SCHEDULE"
    assert "It failed with " in answer.json["message"]
    assert "market" in answer.json["message"]


def test_the_latest_event_is_answered_when_its_job_is_forgotten(app, owner, cast, event, job, work):
    """The schedule of the latest event is in the database, and outlives its job; an earlier event does not."""
    work()
    before = ask(owner, event).json
    assert len(before["values"]) == 24
    job.delete()
    after = ask(owner, event).json
    assert all(
        after[key] == before[key] for key in ("event", "values", "start", "duration", "unit", "status")
    )
    earlier = ask(owner, cast.address("battery", "203:soc"))
    assert (earlier.status_code, earlier.json["status"]) == (400, "UNRECOGNIZED_UDI_EVENT")


def test_nothing_is_known_of_a_latest_event_without_job_and_schedule(owner, event, job):
    """An event whose job was lost before it was done has no schedule."""
    job.delete()
    answer = ask(owner, event)
    assert (answer.status_code, answer.json["status"]) == (400, "UNKNOWN_SCHEDULE")


@pytest.mark.parametrize("version", ["v1_2", *VERSIONS])
@pytest.mark.parametrize("duration", ["PT0H", "-PT1H", "P0D"])
def test_a_schedule_lasts_some_time(owner, event, job, version, duration):
    """A duration of nothing is not a period."""
    answer = ask(owner, event, version, duration=duration)
    assert (answer.status_code, answer.json["status"]) == (400, "INVALID_PERIOD")


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({}, "UNRECOGNIZED_CONNECTION_GROUP"),
        ({"event": "204:soc"}, "INVALID_DOMAIN"),
        ({"event": "ea1.2021-01.io.flexmeasures:1:3"}, "INVALID_DOMAIN"),
        ({"type": None}, "NO_MESSAGE_TYPE"),
        ({"type": "PostUdiEventRequest"}, "INVALID_MESSAGE_TYPE"),
    ],
)
def test_questions_name_an_event(owner, cast, fields, status):
    """Who asks names an event by its address."""
    message = {"type": "GetDeviceMessageRequest"} | fields
    query = {key: value for key, value in message.items() if value is not None}
    answer = owner.get("getDeviceMessage", **query)
    assert (answer.status_code, answer.json["status"]) == (400, status)


class TestVersion12:
    """In version 1.2 there are no jobs."""

    def post(self, caller, event, **changes):
        """Post a state of charge."""
        message = {"event": event, "value": 2.5, "unit": "MWh", "datetime": START} | changes
        return caller.post("postUdiEvent", {"type": "PostUdiEventRequest"} | message, "v1_2")

    def test_no_job_is_ordered(self, app, owner, cast, event):
        """Nothing waits for a worker, and the same schedule comes out each time."""
        self.post(owner, event)
        assert find_job(redis_connection(app), cast.assets["battery"], 204) is None
        first = ask(owner, event, "v1_2").json
        assert (first["start"], first["duration"], len(first["values"])) == (START, "PT6H", 24)
        assert ask(owner, event, "v1_2").json == first
        day = ask(owner, event, "v1_2", duration="PT24H").json["values"]
        assert day[:24] == first["values"]

    def test_the_planning_horizon_is_the_most(self, owner, event):
        """No more than two days are planned, whatever is asked for."""
        self.post(owner, event, datetime="2015-01-01T00:00:00Z")
        two_days = ask(owner, event, "v1_2", duration="PT48H").json["values"]
        assert len(two_days) == 192
        assert ask(owner, event, "v1_2", duration="PT1000H").json["values"] == two_days

    def test_events_follow_each_other(self, app, owner, cast, event):
        """Numbers and times must rise, kWh are understood, and a refused event changes nothing."""
        assert self.post(owner, event, value=2500, unit="kWh").json["status"] == "PROCESSED"
        for changes, status in (
            ({"event": event, "datetime": "2015-01-02T01:00:00Z"}, "OUTDATED_UDI_EVENT"),
            ({"event": cast.address("battery", "205:soc")}, "INVALID_DATETIME"),
            ({"event": cast.address("battery", "205:soc"), "value": None}, "PTUS_INCOMPLETE"),
        ):
            answer = self.post(owner, **changes)
            assert (answer.status_code, answer.json["status"]) == (400, status)
        with app.app_context():
            battery = db.session.get(Asset, cast.assets["battery"])
            assert (battery.soc_in_mwh, battery.soc_udi_event_id) == (2.5, 204)

    def test_in_play_mode_events_may_come_again(self, app, owner, event):
        """A simulation may repeat its events."""
        app.config["FLEXMEASURES_MODE"] = "play"
        for _ in range(2):
            assert self.post(owner, event).status_code == 200
