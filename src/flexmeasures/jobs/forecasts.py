"""Jobs that make forecasts: placing them and running them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import redis

from flexmeasures.data.database import db
from flexmeasures.data.transactional import as_transaction
from flexmeasures.jobs.queues import get_queue
from flexmeasures.services.make_forecasts import ForecastOrder, make_forecasts

__all__ = ["enqueue_forecasts", "run_forecast"]

JOB_TIMEOUT = timedelta(minutes=30)


def enqueue_forecasts(connection: redis.Redis, orders: Sequence[ForecastOrder]) -> None:
    """Place orders for forecasts, all in one message to the job store.

    Args:
        connection: To the job store.
        orders: What to forecast.
    """
    queue = get_queue(connection, "forecasting")
    with connection.pipeline(transaction=False) as pipeline:
        for order in orders:
            job = queue.create_job(
                run_forecast,
                args=(order,),
                timeout=int(JOB_TIMEOUT.total_seconds()),
                description=f"forecast of sensor {order.sensor_id}, {order.horizon} ahead",
            )
            queue.enqueue_job(job, pipeline=pipeline)
        pipeline.execute()


def run_forecast(order: ForecastOrder) -> int:
    """Make a forecast; runs in a worker, within an app context.

    Returns:
        How many events were forecast.
    """
    return int(as_transaction(make_forecasts)(db.session, order))
