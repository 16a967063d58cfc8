"""Forecasts that wait behind one another are made by one process, and each is still a job of its own."""

from __future__ import annotations

import os
import signal
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from flexmeasures.data.database import db
from flexmeasures.jobs import forecasts
from flexmeasures.jobs.companions import COMPANIONS
from flexmeasures.jobs.forecasts import enqueue_forecasts
from flexmeasures.jobs.queues import get_queue
from flexmeasures.jobs.workers import make_worker
from flexmeasures.services.forecasts import make
from flexmeasures.services.forecasts.orders import ForecastOrder, join_forecasts

START = datetime(2015, 1, 5, tzinfo=UTC)
HOUR, QUARTER = timedelta(hours=1), timedelta(minutes=15)


@pytest.fixture
def measured(owner: Any, cast: Any) -> Any:
    """Two assets with a day of quarter-hours; their forecasts wait, four of each."""
    for asset in ("building", "two_way"):
        message = {
            "type": "PostMeterDataRequest",
            "connection": cast.address(asset),
            "values": [n / 100 for n in range(96)],
            "start": START.isoformat(),
            "duration": "PT24H",
            "horizon": "PT0H",
            "unit": "MW",
        }
        assert owner.post("postMeterData", message).status_code == 200
    return cast


@pytest.fixture
def work(app: Any) -> Any:
    """Let a worker run what waits."""
    return lambda: make_worker(app, ["forecasting"]).work(burst=True)


@pytest.fixture
def queue(app: Any) -> Any:
    """The queue."""
    return get_queue(app, "forecasting")


def finished(queue: Any) -> dict[str, Any]:
    """Jobs that went well, by their ids."""
    ids = queue.finished_job_registry.get_job_ids()
    return {job_id: queue.fetch_job(job_id) for job_id in ids}


def counted(app: Any) -> dict[int, int]:
    """Medians of forecasts by sensor."""
    query = (
        "select sensor_id, count(*) from belief join data_source on data_source.id = source_id"
        " where type = 'forecaster' and cumulative_probability = 0.5 group by 1"
    )
    with app.app_context():
        return dict(db.session.execute(text(query)).all())


def test_one_process_makes_what_waits(app: Any, measured: Any, work: Any, queue: Any) -> None:
    """Of eight jobs the first one does the other seven along with it; each has its own outcome, as if run by itself."""
    ids = queue.job_ids
    work()
    done = finished(queue)
    assert sorted(done) == sorted(ids)
    assert done[ids[0]].meta[COMPANIONS] == 7
    assert all(job.return_value() == 96 for job in done.values())
    assert all(job.get_status() == "finished" and job.meta["model"] == "naive" for job in done.values())
    assert counted(app) == {measured.assets[one]: 4 * 96 for one in ("building", "two_way")}
    assert set(queue.connection.hkeys(queue.running_key)) <= {ids[0].encode()}  # as after any job
    assert queue.connection.scard(queue.waiting_key) == 0


def test_an_order_that_fails_leaves_the_others(app: Any, measured: Any, work: Any, queue: Any) -> None:
    """A sensor of which nothing was measured fails with its reason, in the middle of others that are forecast."""
    bad = ForecastOrder(measured.assets["solar"], START, START + HOUR, HOUR)
    enqueue_forecasts(queue.connection, [bad])
    work()
    (failed,) = queue.failed_job_registry.get_job_ids()
    job = queue.fetch_job(failed)
    assert job.args[0] == bad
    assert job.meta["exception"]["class"] == "NotEnoughData"
    assert "No data available at all" in job.meta["exception"]["message"]
    assert len(finished(queue)) == 8


def test_a_bug_in_one_is_its_own(
    app: Any, measured: Any, work: Any, queue: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What breaks one forecast unexpectedly does not break those that were made along with it: each is tried alone."""
    correct = make.known_measurements

    def broken(beliefs: Any, *others: Any) -> Any:
        if order.sensor_id == measured.assets["two_way"]:
            raise ZeroDivisionError
        return correct(beliefs, *others)

    def noting(task: Any, beliefs: Any) -> Any:
        nonlocal order
        order = task.order
        return history(task, beliefs)

    order: Any = None
    history = make._known_history
    monkeypatch.setattr(make, "known_measurements", broken)
    monkeypatch.setattr(make, "_known_history", noting)
    work()
    jobs = [queue.fetch_job(job_id) for job_id in queue.failed_job_registry.get_job_ids()]
    assert [job.args[0].sensor_id for job in jobs] == 4 * [measured.assets["two_way"]]
    assert {job.meta["exception"]["class"] for job in jobs} == {"ZeroDivisionError"}
    assert counted(app) == {measured.assets["building"]: 4 * 96}


def test_a_killed_process_loses_nothing(
    app: Any, measured: Any, work: Any, queue: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the process that makes many forecasts is killed, all of them are made all the same, each alone."""
    together = forecasts._make

    def deadly(orders: Any) -> Any:
        if len(orders) > 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return together(orders)

    monkeypatch.setattr(forecasts, "_make", deadly)
    work()  # the first job is tried again at once, alone
    work()  # the others when somebody looks after the queue
    assert len(finished(queue)) == 8
    assert queue.failed_job_registry.get_job_ids() == []
    assert counted(app) == {measured.assets[one]: 4 * 96 for one in ("building", "two_way")}


def test_orders_that_touch_are_one() -> None:
    """Quarter-hours that follow each other are joined, another horizon, sensor, model or grid is not."""

    def order(quarter: int, sensor: int = 1, horizon: timedelta = HOUR, **more: Any) -> ForecastOrder:
        start = START + quarter * QUARTER + more.pop("shift", timedelta(0))
        return ForecastOrder(sensor, start, start + QUARTER, horizon, **more)

    orders = [
        *(order(1), order(0), order(0), order(3)),
        *(order(2, sensor=2), order(1, horizon=6 * HOUR), order(2, model="naive")),
        order(2, shift=timedelta(minutes=-1)),
    ]
    joined = join_forecasts(orders, {1: QUARTER})
    assert {one.parts: (one.order.end - one.order.start) // QUARTER for one in joined} == {
        (1, 2, 0): 2,
        (7,): 1,
        (3,): 1,
        (5,): 1,
        (6,): 1,
        (4,): 1,
    }
