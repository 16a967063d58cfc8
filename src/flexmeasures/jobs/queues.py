"""The job queues: what they are called, and how long a job waits in one."""

from __future__ import annotations

from typing import Any

import redis
from flask import Flask
from redis.client import Pipeline
from rq import Queue
from rq.job import Job

from flexmeasures.domain.errors import NotFound

__all__ = ["JOB_TTL", "QUEUE_NAMES", "JobQueue", "get_queue", "queue_names"]

QUEUE_NAMES = ("coordination", "forecasting", "scheduling")

JOB_TTL = 24 * 60 * 60
"""How long a job waits for a worker before it is dropped [s]."""


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

    def push_job_id(self, job_id: str, pipeline: Pipeline | None = None, **options: Any) -> None:
        """Append a job, or prepend it."""
        (self.connection if pipeline is None else pipeline).sadd(self.waiting_key, job_id)
        super().push_job_id(job_id, pipeline=pipeline, **options)

    def create_job(self, *args: Any, **kwargs: Any) -> Job:
        """Create a job which waits for a day at most, if its creator does not say otherwise."""
        # rq passes the ttl by name, as None if nobody gave one.
        kwargs["ttl"] = kwargs.get("ttl") or JOB_TTL
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
