"""Orders of forecasts while a store is away: kept with the data, placed later, each of them once."""

import time
from datetime import UTC, datetime, timedelta
from threading import Thread

import pytest
import redis
from sqlalchemy import text

from flexmeasures.data.database import db, redis_connection
from flexmeasures.jobs.forecasts import place_forecasts
from flexmeasures.jobs.queues import get_queue
from flexmeasures.jobs.workers import make_worker

pytestmark = pytest.mark.faults

START = datetime(2015, 1, 5, tzinfo=UTC)
HORIZONS = [1, 6, 24, 48]  # of quarter-hourly data, as documented [h]


def meter_data(cast, asset="building", start=START, **fields):
    """A message with a quarter-hour of power."""
    return {
        "type": "PostMeterDataRequest",
        "connection": cast.address(asset),
        "values": [0.5],
        "start": start.isoformat(),
        "duration": "PT15M",
        "horizon": "PT0H",
        "unit": "MW",
    } | fields


@pytest.fixture
def away(app, monkeypatch):
    """Let the job store be away, until it is called."""
    monkeypatch.setitem(app.extensions, "redis", redis.Redis(port=1))
    return monkeypatch.undo


@pytest.fixture
def waiting(app):
    """Count the orders that wait in the database."""

    def count():
        with app.app_context():
            return db.session.scalar(text("select count(*) from forecast_order"))

    return count


def queued(app):
    """What waits in the queue: sensor and hours ahead, the oldest first."""
    jobs = get_queue(app, "forecasting").jobs
    return [(job.args[0].sensor_id, job.args[0].horizon.total_seconds() // 3600) for job in jobs]


def test_posts_are_stored_without_the_job_store(app, owner, cast, stored, away, waiting):
    """Meter data need the database alone; the orders of their forecasts wait there."""
    assert owner.post("postMeterData", meter_data(cast)).status_code == 200
    assert list(stored("building")) == [START]
    assert waiting() == 1


def test_the_next_post_places_what_waits(app, owner, cast, away, waiting):
    """Once the job store is back, the next post places its own orders and those before it."""
    owner.post("postMeterData", meter_data(cast))
    away()
    assert queued(app) == []
    owner.post("postMeterData", meter_data(cast, "solar", values=[-0.5]))
    assert queued(app) == [(cast.assets[a], h) for a in ("building", "solar") for h in HORIZONS]
    assert waiting() == 0


def test_a_worker_places_what_waits(app, owner, cast, away, waiting):
    """Without a further post a worker places the orders when it looks after its queues."""
    owner.post("postMeterData", meter_data(cast))
    away()
    make_worker(app, ["scheduling"]).work(burst=True)
    assert queued(app) == [(cast.assets["building"], h) for h in HORIZONS]
    assert waiting() == 0


def test_an_order_is_placed_once(app, owner, cast, away, waiting):
    """An order whose deletion got lost, as when the machine fails right after it was placed, is not placed again."""
    owner.post("postMeterData", meter_data(cast))
    away()
    with app.app_context():
        kept = db.session.execute(text("select * from forecast_order")).mappings().one()
        assert place_forecasts(db.engine, redis_connection(app)) == 1
        columns = ", ".join(kept)
        db.session.execute(
            text(
                f"insert into forecast_order ({columns}) overriding system value"
                f" values ({', '.join(':' + name for name in kept)})"
            ),
            dict(kept),
        )
        db.session.commit()
        assert place_forecasts(db.engine, redis_connection(app)) == 1
    assert len(queued(app)) == len(HORIZONS)
    assert waiting() == 0


def test_placing_at_once_does_not_double(app, owner, cast, away):
    """Several processes that place what waits at the same time share it."""
    for day in range(1, 31):
        owner.post("postMeterData", meter_data(cast, start=START.replace(day=day)))
    away()
    with app.app_context():
        engine = db.engine
    placers = [Thread(target=place_forecasts, args=(engine, redis_connection(app))) for _ in range(4)]
    for placer in placers:
        placer.start()
    for placer in placers:
        placer.join()
    assert (
        len(queued(app)) == 30 * len(HORIZONS) == len({job.id for job in get_queue(app, "forecasting").jobs})
    )


def test_refused_data_leave_no_order(owner, cast, away, waiting):
    """The order is part of the transaction: what is refused orders nothing."""
    message = meter_data(cast, connections=[cast.address("building")], values=[1, 2, 3])
    assert owner.post("postMeterData", message).status_code == 400
    assert waiting() == 0


def test_orders_go_with_their_sensor(app, admin, owner, cast, away, waiting):
    """Nothing is forecast of an asset that was deleted meanwhile."""
    owner.post("postMeterData", meter_data(cast))
    url = f"/api/v2_0/asset/{cast.assets['building']}"
    assert admin.client.delete(url, headers=admin.headers).status_code == 204
    assert waiting() == 0


def test_a_server_places_the_orders_of_many_posts_together(app, owner, cast, waiting, monkeypatch):
    """Outside tests orders are placed beside the requests, soon after them: fewer times than there are posts."""
    placed = []

    def place(engine, connection):
        placed.append(place_forecasts(engine, connection))
        return placed[-1]

    monkeypatch.setattr("flexmeasures.jobs.placing.place_forecasts", place)
    app.config["TESTING"] = False
    try:
        for day in range(1, 11):
            assert (
                owner.post("postMeterData", meter_data(cast, start=START.replace(day=day))).status_code == 200
            )
        deadline = time.monotonic() + 20
        while len(queued(app)) < 10 * len(HORIZONS) and time.monotonic() < deadline:
            time.sleep(0.05)
    finally:
        del app.extensions["placer"]
    assert len(queued(app)) == 10 * len(HORIZONS)
    assert waiting() == 0
    assert sum(placed) == 10
    assert len([count for count in placed if count]) < 10


def test_orders_that_wait_together_become_one(app, owner, cast, away, waiting):
    """Quarter-hours of a sensor that follow each other are forecast by one job a horizon; a gap makes another one."""
    for quarter in (2, 0, 1, 8):
        start = START + quarter * timedelta(minutes=15)
        owner.post("postMeterData", meter_data(cast, start=start))
    owner.post("postMeterData", meter_data(cast, "solar", values=[-0.5]))
    away()
    with app.app_context():
        place_forecasts(db.engine, redis_connection(app))
    placed = [job.args[0] for job in get_queue(app, "forecasting").jobs]
    periods = [
        (o.sensor_id, o.start - o.horizon, o.end - o.start) for o in placed if o.horizon == timedelta(hours=1)
    ]
    quarter = timedelta(minutes=15)
    assert periods == [
        (cast.assets["building"], START, 3 * quarter),
        (cast.assets["building"], START + 8 * quarter, quarter),
        (cast.assets["solar"], START, quarter),
    ]
    assert waiting() == 0
