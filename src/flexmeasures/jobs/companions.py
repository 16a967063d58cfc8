"""Jobs that are done along with one that runs: those of the same kind that wait behind it in its queue.

A process costs more than a simple forecast. So a process that makes forecasts takes what waits with it, as many jobs as
it can do in a few seconds, and does them together. Each is still a job of its own: it is waited for, fails and is found
again by itself, and is put back if the process that took it dies.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

import redis
from rq.job import Job, JobStatus
from rq.results import Result

from flexmeasures.domain.errors import FlexError
from flexmeasures.jobs.queues import JobQueue
from flexmeasures.jobs.recovery import do_alone, is_alone, note_companions

__all__ = ["COMPANIONS", "Companions", "Done"]

COMPANIONS = "companions"
"""The field of a job's meta data that says how many were done along with it."""

MOST = 400
"""So many are taken at once at most: their forecasts are stored in one transaction."""

_KEPT = 500
"""Time for which the result of a finished job is kept [s]; the default of rq."""


@dataclass(frozen=True)
class Done:
    """Outcome of a job.

    Attributes:
        job: The job.
        outcome: What it returns, or why it failed.
        meta: What it says besides.
    """

    job: Job
    outcome: Any
    meta: dict[str, Any]


class Companions:
    """The jobs of a queue that do the same as one that runs.

    Args:
        queue: Where they wait.
        function: What they run.
    """

    def __init__(self, queue: JobQueue, function: Callable[..., Any]) -> None:
        self._queue = queue
        self._name = f"{function.__module__}.{function.__qualname__}"
        self._taken: dict[str, Job] = {}
        self._begun, self._finished = time.monotonic(), 0

    def affordable(self, deadline: float) -> int:
        """Tell how many more can be done before an instant [s, monotonic], at the pace so far."""
        now = time.monotonic()
        pace = (now - self._begun) / (self._finished + 1)
        return max(0, min(MOST, int((deadline - now) / max(pace, 1e-6))))

    def take(self, count: int) -> list[Job]:
        """Take at most so many of the jobs that have waited longest.

        Until they are noted as running they count as waiting: another process that misses them puts them back.
        """
        connection = self._queue.connection
        taken = cast("list[bytes]", connection.lpop(self._queue.key, count) or [])
        ids = [one.decode() for one in taken]
        found = [job for job in Job.fetch_many(ids, connection) if job is not None]
        mine = [job for job in found if job.func_name == self._name and not is_alone(job)]
        of_mine = {job.id: job for job in mine}
        for job in reversed(found):
            if job.id not in of_mine:
                self._queue.push_job_id(job.id, at_front=True)
        self._taken |= of_mine
        note_companions(self._queue, mine)
        return mine

    def finish(self, done: Sequence[Done]) -> None:
        """Note what became of jobs that were taken."""
        if not done:
            return
        now = datetime.now(UTC)
        with self._queue.connection.pipeline() as pipeline:
            for one in done:
                one.job.meta.update(one.meta)
                one.job.ended_at = now
                if isinstance(one.outcome, FlexError):
                    self._fail(one.job, one.outcome, pipeline)
                else:
                    self._succeed(one.job, one.outcome, pipeline)
                pipeline.hdel(self._queue.running_key, one.job.id)
            pipeline.execute()
        for one in done:
            self._taken.pop(one.job.id, None)
        self._finished += len(done)

    def _succeed(self, job: Job, outcome: Any, pipeline: redis.client.Pipeline) -> None:
        job.set_status(JobStatus.FINISHED, pipeline=pipeline)
        job.save(pipeline=pipeline)
        Result.create(job, Result.Type.SUCCESSFUL, ttl=_KEPT, return_value=outcome, pipeline=pipeline)
        self._queue.finished_job_registry.add(job, ttl=_KEPT, pipeline=pipeline)
        job.cleanup(_KEPT, pipeline=pipeline, remove_from_queue=False)

    def _fail(self, job: Job, error: FlexError, pipeline: redis.client.Pipeline) -> None:
        job.meta["exception"] = {"class": type(error).__name__, "message": error.message}
        job.set_status(JobStatus.FAILED, pipeline=pipeline)
        job.save(pipeline=pipeline)
        text = f"{type(error).__name__}: {error.message}"
        self._queue.failed_job_registry.add(job, exc_string=text, pipeline=pipeline)

    def give_back(self, *, alone: bool) -> None:
        """Put the jobs back that were taken and not finished, in their order, at the front of the queue.

        Args:
            alone: Whether each of them is to be done alone from now on.
        """
        for job in reversed(self._taken.values()):
            if alone:
                do_alone(job)
            self._queue.enqueue_job(job, at_front=True)
            self._queue.connection.hdel(self._queue.running_key, job.id)
        self._taken.clear()
