"""Jobs whose worker died: they are put back, so that nothing that was asked for is lost.

rq waits for a worker's heartbeats to cease before it calls its job failed. Here each worker leaves a note of its
process, and each job a note of the worker that runs it: others see that the worker is dead, and run the job again.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import cast

import redis
from rq.executions import Execution
from rq.job import Job, JobStatus

from flexmeasures.domain.errors import Conflict, UpstreamFailure
from flexmeasures.jobs.processes import identify_process, is_dead, is_elsewhere
from flexmeasures.jobs.queues import JobQueue

__all__ = [
    "BEAT",
    "MAX_WORKER_DEATHS",
    "Recovery",
    "WorkerDied",
    "WorkerNote",
    "check_deaths",
    "do_alone",
    "is_alone",
    "note_companions",
    "note_failure",
    "note_run",
]

MAX_WORKER_DEATHS = 3
"""Number of workers that may die over a job before it counts as failed."""

BEAT = 15.0
"""Seconds between two signs of life of a worker, and between two looks for jobs of dead ones."""

_MISSED_BEATS = 3  # a worker of another machine counts as dead after so many without a sign
_KEPT = 24 * 60 * 60  # how long it is remembered that a worker ended in order [s]
_DEATHS = "worker_deaths"  # the field of a job's meta data that counts them
_ALONE = "alone"  # the field that says that it is not done along with others any more
_LONGEST_RUN = 30 * 60  # a process that has taken jobs of others counts as alive for so long [s]
_IN_BETWEEN = 2.0  # longer than any worker needs from taking a job to noting that it has it [s]
_PATIENCE_WITH_HORSE = (
    1.0  # how long the process of a job may outlive its worker, from which it learns that [s]
)


class WorkerDied(UpstreamFailure):
    """The process of a job, or several workers that ran it, died."""


def note_failure(job: Job, kind: str, message: str) -> None:
    """Store in a job why it failed, for those who ask for its outcome."""
    job.meta["exception"] = {"class": kind, "message": message}
    job.save_meta()


def check_deaths(job: Job) -> None:
    """Check that a job may be run once more.

    Raises:
        WorkerDied: If too many workers died over it already: it would kill the next one, too.
    """
    deaths = job.meta.get(_DEATHS, 0)
    if deaths >= MAX_WORKER_DEATHS:
        raise WorkerDied(f"The worker died {deaths} times while it ran this job; it is not tried again.")


def do_alone(job: Job) -> None:
    """Have a job run by itself from now on: what it was done with may have killed its process. The caller saves it."""
    job.meta[_ALONE] = True


def is_alone(job: Job) -> bool:
    """Tell whether a job must not be done along with others."""
    return bool(job.meta.get(_ALONE))


class WorkerNote:
    """Note of a worker about itself in the job store, under its name."""

    def __init__(self, connection: redis.Redis, name: str) -> None:
        self._connection = connection
        self._name = name
        self._key = f"flexmeasures:worker:{name}"
        self._identity = identify_process(os.getpid())

    def claim(self) -> bool:
        """Take the name over from a dead worker.

        Returns:
            Whether a worker that has ended without a word had it.

        Raises:
            Conflict: If a living worker has it.
        """
        said = cast("bytes | None", self._connection.get(self._key))
        if said is not None and not _has_ended(self._connection, said.decode()):
            raise Conflict(f'There is a worker named "{self._name}" already. Choose another name.')
        return said is not None

    def beat(self) -> None:
        """Say that the worker lives."""
        self._connection.set(self._key, self._identity, ex=_KEPT)
        self._connection.set(_process_key(self._identity), "lives", ex=int(BEAT * _MISSED_BEATS))

    def leave(self) -> None:
        """Say that the worker ends in order: what it drops is not a death."""
        self._connection.delete(self._key)
        self._connection.set(_process_key(self._identity), "left", ex=_KEPT)


@dataclass(frozen=True)
class _Run:
    """One run of a job.

    Attributes:
        worker: Identity of the worker's process.
        horse: Identity of the process that runs the job.
    """

    worker: str
    horse: str


def note_run(queue: JobQueue, job: Job) -> None:
    """Note that the worker which forked this process has the job; from then on it cannot get lost."""
    run = _Run(identify_process(os.getppid()), identify_process(os.getpid()))
    with queue.connection.pipeline() as pipeline:
        pipeline.hset(queue.running_key, job.id, json.dumps(asdict(run)))
        pipeline.srem(queue.waiting_key, job.id)
        pipeline.execute()


def note_companions(queue: JobQueue, jobs: Iterable[Job]) -> None:
    """Note that this process does these jobs along with its own; if it dies, they are put back, each to run alone."""
    identity = identify_process(os.getpid())
    note = json.dumps(asdict(_Run(identity, identity)))
    with queue.connection.pipeline() as pipeline:
        # Workers of other machines cannot see whether it lives.
        pipeline.set(_process_key(identity), "lives", ex=_LONGEST_RUN)
        for job in jobs:
            pipeline.hset(queue.running_key, job.id, note)
            pipeline.srem(queue.waiting_key, job.id)
            job.set_status(JobStatus.STARTED, pipeline=pipeline)
        pipeline.execute()


class Recovery:
    """Puts back jobs whose worker died, at the front of their queue.

    A job over which a worker has died for the third time fails instead, see `check_deaths`.
    """

    def __init__(self, queues: Iterable[JobQueue]) -> None:
        self._queues = tuple(queues)
        self._suspects: set[str] = set()

    def run(self, thorough: bool = False) -> list[str]:
        """Put back what can be put back by now.

        Args:
            thorough: Whether to wait a little, if there are jobs between queue and worker, to tell whether
                they are lost. Otherwise the next run will tell.

        Returns:
            The ids of the jobs that were put back.
        """
        recovered = []
        for queue in self._queues:
            running = cast("dict[bytes, bytes]", queue.connection.hgetall(queue.running_key))
            for job_id, note in running.items():
                if _put_back_started(queue, job_id.decode(), note):
                    recovered.append(job_id.decode())
        recovered += self._put_back_lost()
        if thorough and self._suspects:
            time.sleep(_IN_BETWEEN)
            recovered += self._put_back_lost()
        return recovered

    def _put_back_lost(self) -> list[str]:
        """Put back the jobs that a worker took from the queue without living to note it.

        A living worker may be between the two: only those count that are found by two runs.
        """
        found = {job_id: queue for queue in self._queues for job_id in _find_lost(queue)}
        lost = [
            job_id for job_id in found if job_id in self._suspects and _put_back_one(found[job_id], job_id)
        ]
        self._suspects = set(found) - set(lost)
        return lost


def _put_back_started(queue: JobQueue, job_id: str, note: bytes) -> bool:
    run = _Run(**json.loads(note))
    job = queue.fetch_job(job_id)
    if job is None or job.get_status() != JobStatus.STARTED:
        _forget_run(queue, job_id, note)
        return False
    if not _has_ended(queue.connection, run.worker) or not _horse_is_gone(run.horse):
        return False
    in_order = queue.connection.get(_process_key(run.worker)) == b"left"
    if run.worker == run.horse:
        do_alone(job)  # whichever of them was to blame
    else:
        job.meta[_DEATHS] = job.meta.get(_DEATHS, 0) + (not in_order)
    return _put_back(queue, job, note)


def _forget_run(queue: JobQueue, job_id: str, note: bytes) -> None:
    """Remove the note of a run that has ended, unless the job has begun once more."""
    with queue.connection.pipeline() as pipeline, suppress(redis.WatchError):
        pipeline.watch(queue.running_key)
        if pipeline.hget(queue.running_key, job_id) == note:
            pipeline.multi()
            pipeline.hdel(queue.running_key, job_id)
            pipeline.execute()


def _put_back_one(queue: JobQueue, job_id: str) -> bool:
    job = queue.fetch_job(job_id)
    return job is not None and _put_back(queue, job, None)


def _put_back(queue: JobQueue, job: Job, note: bytes | None) -> bool:
    """Put a job at the front of its queue, unless somebody else has done so."""
    registry = queue.started_job_registry
    with queue.connection.pipeline() as pipeline:
        try:
            # Several workers may start at once: whoever is first changes what is watched, the others give up.
            pipeline.watch(queue.running_key, queue.key)
            if (
                pipeline.hget(queue.running_key, job.id) != note
                or pipeline.lpos(queue.key, job.id) is not None
            ):
                return False
            started = registry.get_job_and_execution_ids(cleanup=False)
            pipeline.multi()
            pipeline.hdel(queue.running_key, job.id)
            for job_id, execution_id in started:
                if job_id == job.id:
                    execution = Execution(execution_id, job_id, queue.connection)
                    registry.remove_execution(execution, pipeline=pipeline)
            pipeline.lrem(queue.intermediate_queue_key, 0, job.id)
            job.started_at = job.ended_at = None
            queue.enqueue_job(job, pipeline=pipeline, at_front=True)
            pipeline.execute()
        except redis.WatchError:
            return False
    return True


def _process_key(identity: str) -> str:
    return f"flexmeasures:process:{identity}"


def _has_ended(connection: redis.Redis, worker: str) -> bool:
    """Tell whether a worker has ended, from its process, or by its silence if that is on another machine."""
    if is_elsewhere(worker):
        return connection.get(_process_key(worker)) != b"lives"
    return is_dead(worker)


def _horse_is_gone(identity: str) -> bool:
    """Wait a little for the process that runs the job of a dead worker; it ends by itself."""
    deadline = time.monotonic() + _PATIENCE_WITH_HORSE
    while not is_elsewhere(identity) and not is_dead(identity):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _find_lost(queue: JobQueue) -> list[str]:
    """Find jobs that are said to wait but wait nowhere."""
    connection = queue.connection
    if connection.scard(queue.waiting_key) <= connection.llen(queue.key):
        return []
    members = cast("set[bytes]", connection.smembers(queue.waiting_key))
    noted = {member.decode() for member in members}
    lost = []
    for job_id in sorted(noted - set(queue.job_ids)):
        status = connection.hget(Job.key_for(job_id), "status")
        if status in (JobStatus.QUEUED.value.encode(), JobStatus.STARTED.value.encode()):
            lost.append(job_id)
        else:
            connection.srem(queue.waiting_key, job_id)  # cancelled, deleted or expired
    return lost
