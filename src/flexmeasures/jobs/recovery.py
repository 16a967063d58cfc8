"""Jobs whose worker died: they are put back, so that nothing that was asked for is lost.

rq notes a running job, with its worker's name, in the registry of started jobs of its queue, and waits for
the worker's heartbeats to cease before it calls the job failed. We look whether the worker still lives, and
run the job again.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

import redis
from rq.executions import Execution
from rq.job import Job, JobStatus
from rq.utils import utcparse

from flexmeasures.jobs.queues import JobQueue

__all__ = [
    "HORSE_FIELD",
    "MAX_WORKER_DEATHS",
    "PROCESS_FIELD",
    "Recovery",
    "identify_process",
    "is_dead",
    "note_failure",
]

MAX_WORKER_DEATHS = 3
"""How many workers may die over a job before it counts as failed."""

PROCESS_FIELD = "process"
"""The field of a worker's record in Redis that says which process it is, see `identify_process`."""

HORSE_FIELD = "horse"
"""The field that says which process runs the worker's current job."""

_WORKER_KEY = "rq:worker:{}"
_IN_BETWEEN = 2.0  # longer than any worker needs from taking a job to noting that it has it [s]
_PATIENCE_WITH_HORSE = (
    1.0  # how long the process of a job may outlive its worker, from which it learns that [s]
)


def identify_process(pid: int) -> str:
    """Name a process so that no other one ever has the same name, here or elsewhere; empty if it is dead.

    Process numbers are used again, and mean something in their own machine and container only.
    """
    try:
        # The name of the program, in brackets, may contain blanks and brackets.
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        namespace = Path("/proc/self/ns/pid").readlink()
    except FileNotFoundError:
        return _identify_by_number(pid) if not Path("/proc/self/stat").exists() else ""
    except OSError:
        return ""
    return "" if state in "ZX" else f"{boot} {namespace} {pid} {fields[18]}"


def _identify_by_number(pid: int) -> str:
    """The same where the system does not say when a process began."""
    try:
        os.kill(pid, 0)
    except OSError:
        return ""
    return f"{socket.gethostname()} - {pid} -"


def is_dead(identity: str) -> bool:
    """Tell whether a process is certainly dead; of one on another machine we know nothing."""
    place, pid, _ = identity.rsplit(" ", 2)
    ours = identify_process(os.getpid()).rsplit(" ", 2)[0]
    return place == ours and identify_process(int(pid)) != identity


def note_failure(job: Job, kind: str, message: str) -> None:
    """Note in a job why it failed, for those who ask for its outcome."""
    job.meta["exception"] = {"class": kind, "message": message}


class Recovery:
    """Puts back jobs whose worker died, at the front of their queue.

    A job over which a worker has died for the third time fails instead: it would kill the next one too.
    """

    def __init__(self, queues: Iterable[JobQueue]) -> None:
        self._queues = tuple(queues)
        self._suspects: set[str] = set()

    def run(self, thorough: bool) -> list[str]:
        """Put back what can be put back by now.

        Args:
            thorough: Whether to wait a little, if there are jobs between queue and worker, to tell whether
                they are lost. Otherwise the next run will tell.

        Returns:
            The ids of the jobs that were put back.
        """
        recovered = []
        for queue in self._queues:
            for job_id, execution_id in queue.started_job_registry.get_job_and_execution_ids(cleanup=False):
                if _put_back_started(queue, job_id, execution_id):
                    recovered.append(job_id)
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
        lost = [job_id for job_id in found if job_id in self._suspects and _push_lost(found[job_id], job_id)]
        self._suspects = set(found) - set(lost)
        return lost


def _put_back_started(queue: JobQueue, job_id: str, execution_id: str) -> bool:
    worker = _find_dead_worker(queue.connection, job_id, execution_id)
    if worker is None:
        return False
    registry = queue.started_job_registry
    entry = f"{job_id}:{execution_id}"
    with queue.connection.pipeline() as pipeline:
        try:
            # Several workers may start at once: whoever is first changes the registry, the others give up.
            pipeline.watch(registry.key)
            job = queue.fetch_job(job_id)
            if pipeline.zscore(registry.key, entry) is None:
                return False
            pipeline.multi()
            pipeline.zrem(registry.key, entry)
            pipeline.delete(f"rq:execution:{entry}")
            if job is not None:
                _run_again(queue, job, pipeline, died="death" not in worker)
            pipeline.execute()
        except redis.WatchError:
            return False
    return job is not None and job.get_status() == JobStatus.QUEUED


def _run_again(queue: JobQueue, job: Job, pipeline: redis.client.Pipeline, died: bool) -> None:
    deaths = job.meta["worker_deaths"] = job.meta.get("worker_deaths", 0) + died
    if deaths < MAX_WORKER_DEATHS:
        job.started_at = job.ended_at = None
        queue._enqueue_job(job, pipeline=pipeline, at_front=True)
        return
    message = f"The worker died {deaths} times while it ran this job; it is not tried again."
    note_failure(job, "WorkerDied", message)
    job.save(pipeline=pipeline)
    job.set_status(JobStatus.FAILED, pipeline=pipeline)
    job._handle_failure(message, pipeline, worker_name="")


def _find_dead_worker(connection: redis.Redis, job_id: str, execution_id: str) -> dict[str, str] | None:
    """Read what is left of the record of an execution's worker if that is dead; None if it may live."""
    try:
        execution = Execution.fetch(execution_id, job_id, connection)
    except ValueError:
        return {}  # the record of the execution lives as long as its worker's heartbeat
    raw = connection.hgetall(_WORKER_KEY.format(execution.worker_name))
    worker = {name.decode(): value.decode(errors="replace") for name, value in raw.items()}
    if not worker or _was_born_after(worker, execution.created_at):
        return {}
    if "death" in worker:
        return worker
    if not is_dead(worker.get(PROCESS_FIELD, "- 0 -")):
        return None
    return worker if _horse_is_gone(worker.get(HORSE_FIELD, "")) else None


def _was_born_after(worker: dict[str, str], instant: datetime) -> bool:
    """Tell whether a worker took over the name of one that died."""
    birth = worker.get("birth")
    return birth is not None and utcparse(birth) > instant


def _horse_is_gone(identity: str) -> bool:
    """Wait a little for the process that runs the job of a dead worker; it ends by itself."""
    deadline = time.monotonic() + _PATIENCE_WITH_HORSE
    while identity and not is_dead(identity):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _find_lost(queue: JobQueue) -> list[str]:
    """Find jobs that are said to wait but wait nowhere."""
    connection = queue.connection
    noted = {member.decode() for member in connection.smembers(queue.waiting_key)}
    missing = noted - set(queue.job_ids) - set(queue.started_job_registry.get_job_ids(cleanup=False))
    lost = []
    for job_id in sorted(missing):
        if connection.hget(Job.key_for(job_id), "status") == JobStatus.QUEUED.value.encode():
            lost.append(job_id)
        else:
            connection.srem(queue.waiting_key, job_id)  # cancelled, deleted or expired
    return lost


def _push_lost(queue: JobQueue, job_id: str) -> bool:
    with queue.connection.pipeline() as pipeline:
        try:
            pipeline.watch(queue.key)
            if pipeline.lpos(queue.key, job_id) is not None:
                return False
            pipeline.multi()
            pipeline.lrem(queue.intermediate_queue_key, 0, job_id)
            queue.push_job_id(job_id, pipeline=pipeline, at_front=True)
            pipeline.execute()
        except redis.WatchError:
            return False
    return True
