"""Jobs that make forecasts: placing them and running them."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import uuid4

import psycopg
import redis
from flask import current_app
from redis.exceptions import RedisError
from rq import get_current_job
from rq.job import Job
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from flexmeasures.data.database import db
from flexmeasures.data.faults import STORE_ERRORS, try_again
from flexmeasures.data.stores.forecast_orders import WaitingOrder, join_orders, take_orders
from flexmeasures.data.transactional import as_transaction
from flexmeasures.domain.errors import FlexError
from flexmeasures.jobs.companions import COMPANIONS, Companions, Done
from flexmeasures.jobs.queues import JobQueue, get_queue
from flexmeasures.jobs.recovery import is_alone
from flexmeasures.services.forecasts.make import ForecastRules, Made, make_many
from flexmeasures.services.forecasts.orders import ForecastOrder

__all__ = ["configured_rules", "enqueue_forecasts", "place_forecasts", "run_forecast"]

JOB_TIMEOUT = timedelta(minutes=30)

AT_ONCE = 100
"""The largest number of orders that are placed in one go; few enough for a request to do it when it is answered."""

FIRST = 20
"""So many orders that wait are carried out along with one at first; what that takes tells how many may follow."""

TOGETHER_FOR = 10.0
"""So long a process goes on with orders that wait behind its own [s]."""

log = logging.getLogger(__name__)


def place_forecasts(engine: Engine, connection: redis.Redis) -> int:
    """Hand stored orders of forecasts to the job store, each of them once.

    While one of the stores does not answer, orders wait: the next post or a worker places them.

    Args:
        engine: Of the database, where the orders wait.
        connection: To the job store.

    Returns:
        How many orders were placed; a limited number at a time.
    """
    try:
        with take_orders(engine, AT_ONCE) as orders:
            _enqueue(connection, orders)
            return len(orders)
    except (RedisError, SQLAlchemyError, psycopg.Error) as error:
        log.warning("Orders of forecasts wait, because a store does not answer: %s", error)
        return 0


def _enqueue(connection: redis.Redis, orders: Sequence[WaitingOrder]) -> None:
    """Place the jobs of stored orders."""
    _place(
        connection,
        {
            f"{order.name}-{int(horizon.total_seconds())}": ForecastOrder(
                order.sensor_id, order.measured_from + horizon, order.measured_until + horizon, horizon
            )
            for order in join_orders(orders)
            for horizon in order.horizons
        },
    )


def enqueue_forecasts(connection: redis.Redis, orders: Sequence[ForecastOrder]) -> int:
    """Place orders of a batch, and count them."""
    batch = uuid4().hex
    _place(connection, {f"forecast-{batch}-{number}": order for number, order in enumerate(orders)})
    return len(orders)


def _place(connection: redis.Redis, jobs: Mapping[str, ForecastOrder]) -> None:
    """Place jobs by id: all in one message to the job store, after one that asks which of them it has."""
    if not jobs:
        return
    queue = get_queue(connection, "forecasting")
    # A transaction: a job that is known waits in the queue, whatever happens to the connection.
    with connection.pipeline() as pipeline:
        for job_id in jobs:
            pipeline.exists(Job.key_for(job_id))
        known = pipeline.execute()
        for (job_id, order), is_known in zip(jobs.items(), known, strict=True):
            if is_known:
                continue
            job = queue.create_job(
                run_forecast,
                args=(order,),
                job_id=job_id,
                timeout=int(JOB_TIMEOUT.total_seconds()),
                description=f"forecast of sensor {order.sensor_id}, {order.horizon} ahead",
            )
            queue.enqueue_job(job, pipeline=pipeline)
        pipeline.execute()


def run_forecast(order: ForecastOrder) -> int:
    """Make a forecast; runs in a worker, within an app context.

    Orders that wait behind it are carried out along with it, for some seconds: see `jobs.companions`.

    Returns:
        How many events were forecast.
    """
    job = get_current_job()
    if job is None:
        return _make_alone(order).events
    companions = Companions(JobQueue(job.origin, connection=job.connection), run_forecast)
    deadline = time.monotonic() + TOGETHER_FOR
    try:
        outcome = _make_together(job, order, companions)
        job.meta.update(_meta_of(outcome))
        job.save_meta()
        while not is_alone(job) and _make_more(companions, deadline):
            pass
    except STORE_ERRORS:
        companions.give_back(alone=False)
        raise
    except Exception:
        # A bug that one of them brought to light: whose it was is seen when each runs by itself, this one right now.
        log.exception("Forecasts that were made together are made one by one.")
        companions.give_back(alone=True)
        return _make_alone(order).events
    except BaseException:
        companions.give_back(alone=True)
        raise
    if isinstance(outcome, FlexError):
        raise outcome
    return outcome.events


def _make_together(job: Job, order: ForecastOrder, companions: Companions) -> Made | FlexError:
    """Carry out an order and the first ones that wait behind it."""
    others = [] if is_alone(job) else companions.take(FIRST)
    job.meta[COMPANIONS] = len(others)
    job.save_meta()
    outcome, *rest = _make([order, *(one.args[0] for one in others)])
    companions.finish([_done(*one) for one in zip(others, rest, strict=True)])
    return outcome


def _make_more(companions: Companions, deadline: float) -> bool:
    """Carry out as many waiting orders as there is time for; tell whether there may be more."""
    count = companions.affordable(deadline)
    others = companions.take(count) if count else []
    if others:
        outcomes = _make([one.args[0] for one in others])
        companions.finish([_done(*one) for one in zip(others, outcomes, strict=True)])
    return bool(others)


def _make(orders: Sequence[ForecastOrder]) -> list[Made | FlexError]:
    rules = configured_rules(current_app.config)
    make = as_transaction(make_many)
    made: list[Made | FlexError] = try_again(db.session, lambda: make(db.session, orders, rules))
    return made


def _make_alone(order: ForecastOrder) -> Made:
    (outcome,) = _make([order])
    if isinstance(outcome, FlexError):
        raise outcome
    return outcome


def _done(job: Job, outcome: Made | FlexError) -> Done:
    return Done(job, outcome if isinstance(outcome, FlexError) else outcome.events, _meta_of(outcome))


def _meta_of(outcome: Made | FlexError) -> dict[str, Any]:
    """Tell what a job says of its forecast besides."""
    return {} if isinstance(outcome, FlexError) else {"model": outcome.model, "notes": list(outcome.notes)}


def configured_rules(config: Mapping[str, Any]) -> ForecastRules:
    """Read from the settings how the platform forecasts."""
    return ForecastRules(
        config["FLEXMEASURES_FORECASTER"],
        config["FLEXMEASURES_HOLIDAYS"],
        config["FLEXMEASURES_TRUSTED_ROLES"],
    )
