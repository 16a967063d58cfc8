"""What the queues hold, who works on them, and what failed; and how a failed job is tried again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import redis
from rq import Worker
from rq.exceptions import NoSuchJobError
from rq.job import Job
from rq.registry import FailedJobRegistry, FinishedJobRegistry, StartedJobRegistry

from flexmeasures.domain.errors import Conflict, NotFound
from flexmeasures.domain.quoting import quote
from flexmeasures.domain.time import format_instant
from flexmeasures.jobs.queues import QUEUE_NAMES, get_queue

__all__ = [
    "STATES",
    "JobLine",
    "QueueLine",
    "WorkerLine",
    "find_job",
    "list_jobs",
    "list_queues",
    "list_workers",
    "retry_failed_jobs",
    "retry_job",
]

_LONGEST_RESULT = 2000

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


def find_job(connection: redis.Redis, job_id: str) -> dict[str, Any]:
    """Describe a job: what it is to do, how far it is, what came of it.

    Raises:
        NotFound: If there is no such job.
    """
    try:
        job = Job.fetch(job_id, connection=connection)
    except NoSuchJobError:
        raise NotFound(f"There is no job {quote(job_id)} any more.") from None
    status = job.get_status(refresh=False)
    last = job.latest_result()
    return {
        "id": job.id,
        "queue": job.origin,
        "status": None if status is None else status.value,
        "description": job.description or "",
        "placed_at": _written(job.enqueued_at),
        "started_at": _written(job.started_at),
        "ended_at": _written(job.ended_at),
        "worker": job.worker_name,
        "result": None
        if job.is_failed or job.return_value() is None
        else str(job.return_value())[:_LONGEST_RESULT],
        "reason": _line(job, job.origin).reason,
        "trace": None if not job.is_failed or last is None else last.exc_string,
    }


def _written(instant: datetime | None) -> str | None:
    return None if instant is None else format_instant(instant)


def retry_failed_jobs(connection: redis.Redis, name: str) -> int:
    """Place all failed jobs of a queue again, and count them.

    Raises:
        NotFound: If there is no such queue.
    """
    queue = get_queue(connection, name)
    registry, count = FailedJobRegistry(queue=queue), 0
    for job_id in registry.get_job_ids():
        try:
            retry_job(connection, job_id)
            count += 1
        except (NotFound, Conflict):
            registry.remove(job_id)  # its data are gone, or somebody else has placed it again
    return count


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
