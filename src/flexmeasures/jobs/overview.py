"""What the queues hold, who works on them, and what failed; and how a failed job is tried again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import redis
from rq import Worker
from rq.exceptions import NoSuchJobError
from rq.job import Job
from rq.registry import FailedJobRegistry, FinishedJobRegistry, StartedJobRegistry

from flexmeasures.domain.errors import Conflict, NotFound
from flexmeasures.domain.quoting import quote
from flexmeasures.jobs.queues import QUEUE_NAMES, get_queue

__all__ = ["JobLine", "QueueLine", "WorkerLine", "list_jobs", "list_queues", "list_workers", "retry_job"]

STATES = ("waiting", "running", "failed", "finished")


@dataclass(frozen=True)
class QueueLine:
    """A queue and how many jobs are in which state."""

    name: str
    waiting: int
    running: int
    failed: int
    finished: int


@dataclass(frozen=True)
class WorkerLine:
    """A worker: its name, what it does, and since when."""

    name: str
    state: str
    queues: str
    since: datetime | None
    last_seen: datetime | None


@dataclass(frozen=True)
class JobLine:
    """A job.

    Attributes:
        queue: Where it was placed.
        reason: Why it failed; empty if it has not.
    """

    id: str
    queue: str
    description: str
    placed_at: datetime | None
    ended_at: datetime | None
    reason: str


def list_queues(connection: redis.Redis) -> list[QueueLine]:
    """Count the jobs of each queue."""
    lines = []
    for name in QUEUE_NAMES:
        queue = get_queue(connection, name)
        lines.append(
            QueueLine(
                name,
                len(queue),
                len(StartedJobRegistry(queue=queue)),
                len(FailedJobRegistry(queue=queue)),
                len(FinishedJobRegistry(queue=queue)),
            )
        )
    return lines


def list_workers(connection: redis.Redis) -> list[WorkerLine]:
    """List the workers that are there."""
    return [
        WorkerLine(
            worker.name,
            str(worker.get_state()),
            ", ".join(worker.queue_names()),
            worker.birth_date,
            worker.last_heartbeat,
        )
        for worker in Worker.all(connection=connection)
    ]


def list_jobs(connection: redis.Redis, name: str, state: str, most: int = 50) -> list[JobLine]:
    """List the newest jobs of a queue in a state.

    Raises:
        NotFound: If there is no such queue or state.
    """
    queue = get_queue(connection, name)
    if state not in STATES:
        raise NotFound(f"Jobs are never {quote(state)}. They are {', '.join(STATES)}.")
    if state == "waiting":
        ids = queue.get_job_ids(0, most)
    else:
        registries = {
            "running": StartedJobRegistry,
            "failed": FailedJobRegistry,
            "finished": FinishedJobRegistry,
        }
        ids = registries[state](queue=queue).get_job_ids(0, most - 1, desc=True)
    jobs = Job.fetch_many(ids, connection=connection)
    return [_line(job, name) for job in jobs if job is not None]


def _line(job: Job, queue: str) -> JobLine:
    noted = job.meta.get("exception") or {}
    reason = str(noted.get("message", "")) if job.is_failed else ""
    if job.is_failed and not reason:
        last = job.latest_result()
        text = (last.exc_string or "") if last is not None else ""
        reason = text.strip().splitlines()[-1] if text.strip() else "It does not say why."
    return JobLine(job.id, queue, job.description or "", job.enqueued_at, job.ended_at, reason[:500])


def retry_job(connection: redis.Redis, job_id: str) -> None:
    """Place a failed job again.

    Raises:
        NotFound: If there is no such job.
        Conflict: If it has not failed.
    """
    try:
        job = Job.fetch(job_id, connection=connection)
    except NoSuchJobError:
        raise NotFound(f"There is no job {quote(job_id)} any more.") from None
    if not job.is_failed or job.origin not in QUEUE_NAMES:
        raise Conflict("Only jobs that have failed can be tried again.")
    queue = get_queue(connection, job.origin)
    FailedJobRegistry(queue=queue).remove(job)
    queue.enqueue_job(job)
