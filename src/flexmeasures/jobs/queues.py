"""The job queues: what they are called, how long a job waits in one, and how many may wait."""

from __future__ import annotations

import logging
from typing import Any, cast

import redis
from flask import Flask
from redis.client import Pipeline
from rq import Queue
from rq.job import Job

from flexmeasures.domain.errors import NotFound
from flexmeasures.log_context import request_id

__all__ = ["JOB_TTL", "QUEUE_NAMES", "JobQueue", "bound_queues", "get_queue", "queue_names", "waiting_jobs"]

QUEUE_NAMES = ("coordination", "forecasting", "scheduling")

SHED = ("forecasting",)
"""Queues whose oldest jobs are dropped when they are full: newer measurements call for newer forecasts."""

WARN_EVERY = 60
"""A queue that grows is spoken of once in so many seconds."""

log = logging.getLogger(__name__)

JOB_TTL = 24 * 60 * 60
"""Longest wait of a job for a worker before it is dropped [s]."""


class JobQueue(Queue):
    """A queue whose jobs neither wait for ever nor get lost.

    rq takes a job from the queue first and notes afterwards who has it. For a worker that dies in between
    there is a second note of what waits, see `jobs.recovery`.
    """

    @property
    def waiting_key(self) -> str:
        """The name of that note in Redis."""
        return f"flexmeasures:waiting:{self.name}"

    @property
    def running_key(self) -> str:
        """The name of the note in Redis of who runs which job."""
        return f"flexmeasures:running:{self.name}"

    def push_job_id(  # type: ignore[override]  # rq passes more by name
        self, job_id: str, pipeline: Pipeline | None = None, **options: Any
    ) -> None:
        """Append a job, or prepend it."""
        (self.connection if pipeline is None else pipeline).sadd(self.waiting_key, job_id)
        super().push_job_id(job_id, pipeline=pipeline, **options)

    def create_job(self, *args: Any, **kwargs: Any) -> Job:
        """Create a job which waits for a day at most, if its creator does not say otherwise."""
        # rq passes the ttl by name, as None if nobody gave one.
        kwargs["ttl"] = kwargs.get("ttl") or JOB_TTL
        # So that the log of the job names the request that ordered it.
        if request_id.get() != "-":
            kwargs["meta"] = {"request_id": request_id.get(), **(kwargs.get("meta") or {})}
        return super().create_job(*args, **kwargs)


def queue_names() -> tuple[str, ...]:
    """List the names of the queues."""
    return QUEUE_NAMES


def get_queue(where: Flask | redis.Redis, name: str) -> JobQueue:
    """Find a queue by name.

    Args:
        where: The app, or a connection to its Redis.
        name: One of `QUEUE_NAMES`.

    Raises:
        NotFound: If there is no such queue; names those that exist.
    """
    if name not in QUEUE_NAMES:
        raise NotFound(
            f'There is no queue "{name}". The queues are: {", ".join(QUEUE_NAMES)}.', {"queue": name}
        )
    connection = where.extensions["redis"] if isinstance(where, Flask) else where
    return JobQueue(name, connection=connection)


def waiting_jobs(connection: redis.Redis) -> dict[str, int]:
    """Count the jobs that wait in each queue."""
    return {name: connection.llen(get_queue(connection, name).key) for name in QUEUE_NAMES}


def bound_queues(connection: redis.Redis, warn_at: int, limit: int) -> None:
    """Warn of queues that grow, and drop the oldest jobs of those of forecasts beyond a limit.

    Args:
        connection: To the job store.
        warn_at: How many waiting jobs are worth a warning.
        limit: How many forecasts may wait.
    """
    for name, count in waiting_jobs(connection).items():
        if name in SHED and count > limit:
            dropped = _drop_oldest(get_queue(connection, name), count - limit)
            log.warning(
                "The queue %s was full: the oldest %d of its jobs were dropped, %d are left. Start more workers "
                "(flexmeasures jobs run-worker --queue %s), or raise FLEXMEASURES_QUEUE_LIMIT.",
                *(name, dropped, count - dropped, name),
            )
        elif count >= warn_at and connection.set(f"flexmeasures:warned:{name}", 1, ex=WARN_EVERY, nx=True):
            log.warning(
                "%d jobs wait in the queue %s. Start more workers: flexmeasures jobs run-worker --queue %s",
                *(count, name, name),
            )


def _drop_oldest(queue: JobQueue, count: int) -> int:
    """Remove the jobs that have waited longest."""
    taken = cast("list[bytes]", queue.connection.lpop(queue.key, count) or [])
    with queue.connection.pipeline() as pipeline:
        for job_id in taken:
            pipeline.srem(queue.waiting_key, job_id)
            pipeline.delete(Job.key_for(job_id.decode()))
        pipeline.execute()
    return len(taken)
