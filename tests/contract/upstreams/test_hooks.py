"""Webhooks of upstreams: they are subscribed to, they wake us, and nothing is believed of what they say."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from flexmeasures.data.database import db, redis_connection
from flexmeasures.data.tables import GridSignal, Upstream
from flexmeasures.jobs.queues import get_queue
from flexmeasures.jobs.workers import make_worker


def work(operator):
    """Let a worker send what waits, and ask whom it is told to."""
    make_worker(operator.app, ["coordination"]).work(burst=True)


def jobs(operator):
    """Descriptions of the jobs that wait."""
    return [job.description for job in get_queue(redis_connection(operator.app), "coordination").jobs]


def receiver(operator):
    """The path that the operator was told."""
    with operator.app.app_context():
        return f"/energy-coordination/hooks/{db.session.scalar(select(Upstream.receiver))}"


@pytest.mark.parametrize("kind", ["openadr-3.1.0", "openadr-3.0.1"])
def test_a_change_is_heard_of_without_asking(operator, kind):
    """A limit is in force though it is not time to ask for an hour: the operator's webhook has it asked for at once."""
    operator.app.config["FLEXMEASURES_CALLBACK_URL"] = f"http://127.0.0.1:{operator.port}"
    number = operator.follow(kind, poll_every=timedelta(hours=1))
    (told,) = operator.made("/subscriptions", None, "GET")
    assert told["objectOperations"][0]["callbackUrl"].endswith(receiver(operator))
    operator.ask(number)
    assert len(operator.made("/subscriptions", None, "GET")) == 1
    work(operator)
    operator.event("IMPORT_CAPACITY_LIMIT", [500], datetime.now(UTC), "PT6H")
    work(operator)
    with operator.app.app_context():
        limit = db.session.scalars(select(GridSignal)).one()
        assert limit.value == pytest.approx(0.5)
        assert limit.applied_at - limit.received_at < timedelta(seconds=5)


def test_the_challenge_is_answered_for_paths_that_there_are(operator):
    """The value of echo is repeated as plain text; unknown paths and overlong values are refused."""
    operator.follow()
    client, path = operator.app.test_client(), receiver(operator)
    answer = client.get(path, query_string={"echo": "<b>value"})
    assert (answer.status_code, answer.text, answer.mimetype) == (200, "<b>value", "text/plain")
    assert client.get(path, query_string={"echo": "x" * 1001}).status_code == 400
    assert client.get("/energy-coordination/hooks/nobody", query_string={"echo": "x"}).status_code == 404
    assert client.post("/energy-coordination/hooks/nobody", json={}).status_code == 404


def test_notifications_wake_once(operator):
    """However many notifications come, and whatever they hold, one job asks the operator."""
    operator.follow()
    work(operator)
    client, path = operator.app.test_client(), receiver(operator)
    for body in (b"{}", b"not JSON", b"[" * 100_000, b""):
        assert client.post(path, data=body, buffered=True).status_code == 204
    assert [one for one in jobs(operator) if one.startswith("follow")] == ["follow upstream 1"]


def test_without_an_address_nobody_is_subscribed_to(operator):
    """Unless FLEXMEASURES_CALLBACK_URL says where we are, upstreams are only asked."""
    operator.follow()
    assert operator.made("/subscriptions", None, "GET") == []
