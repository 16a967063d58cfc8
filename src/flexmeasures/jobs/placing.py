"""Orders of forecasts on their way to the job store: those of many posts at once, beside the requests."""

from __future__ import annotations

import logging
from functools import partial

from flask import Flask
from redis.exceptions import RedisError
from sqlalchemy import Engine

from flexmeasures.data.database import db, redis_connection
from flexmeasures.jobs.forecasts import place_forecasts
from flexmeasures.jobs.queues import bound_queues
from flexmeasures.soon import Soon

__all__ = ["place_and_watch", "place_soon"]

log = logging.getLogger(__name__)


def place_soon(app: Flask) -> None:
    """Have orders placed that were stored with a request, without making its client or the next one wait."""
    with app.app_context():
        place = partial(place_and_watch, app, db.engine)
    if app.testing:
        place()
        return
    placer: Soon = app.extensions.setdefault("placer", Soon(place))
    placer.wake()


def place_and_watch(app: Flask, engine: Engine) -> int:
    """Place orders that wait, and look whether the queues have grown too long.

    Returns:
        How many orders were placed.
    """
    connection, config = redis_connection(app), app.config
    placed = place_forecasts(engine, connection)
    if placed:
        try:
            bound_queues(connection, config["FLEXMEASURES_QUEUE_WARNING"], config["FLEXMEASURES_QUEUE_LIMIT"])
        except RedisError as error:
            log.warning("Nobody knows how many jobs wait, because the job store does not answer: %s", error)
    return placed
