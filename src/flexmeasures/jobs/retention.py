"""The job that thins out, in small steps beside other work, what programs said and had superseded."""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime, timedelta

import redis
from flask import current_app
from redis.exceptions import RedisError

from flexmeasures.data.database import db, redis_connection
from flexmeasures.jobs.queues import get_queue
from flexmeasures.services.operations.retention import thin_beliefs

__all__ = ["place_due_thinning", "thin_a_step"]

log = logging.getLogger(__name__)

QUEUE = "forecasting"
STEP = 20.0
"""So long one job works [s]; then others have their turn, and another job goes on."""

_TIMEOUT = 600
_NEXT = "flexmeasures:thinning:next"
_KNOWN = "flexmeasures:thinning:known"


def place_due_thinning(connection: redis.Redis, every: timedelta | None) -> None:
    """Have a worker thin out once in an interval, whoever asks, the first time after one interval; None: never."""
    if every is None:
        return
    try:
        is_due = connection.set(_NEXT, "1", nx=True, ex=max(int(every.total_seconds()), 1))
        if is_due and not connection.set(_KNOWN, "1", nx=True):
            _place(connection, 0)
    except RedisError as error:
        log.warning("Nothing is thinned out, because the job store does not answer: %s", error)


def thin_a_step(after: int) -> int:
    """Thin out for some seconds, and leave the rest to another job; runs in a worker, within an app context.

    Args:
        after: Only sensors with a higher number than this are looked at.

    Returns:
        How many beliefs were deleted.
    """
    instant = datetime.now(UTC) - current_app.config["FLEXMEASURES_SUPERSEDED_KEPT"]
    thinned = thin_beliefs(db.session(), instant, after=after, deadline=time.monotonic() + STEP)
    if thinned.reached is not None:
        _place(redis_connection(current_app), thinned.reached)
    return thinned.beliefs


def _place(connection: redis.Redis, after: int) -> None:
    get_queue(connection, QUEUE).enqueue(thin_a_step, after, job_timeout=_TIMEOUT, description="thin beliefs")
