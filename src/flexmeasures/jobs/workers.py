"""Workers: they take jobs from the queues and run each in a process of its own.

That process is a fork of the worker, in which everything is imported already: it is there in milliseconds,
and whatever a job does to it (memory, crashes) ends with it.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import threading
from collections.abc import Sequence
from typing import Any

from flask import Flask
from rq import Worker
from rq.executions import Execution
from rq.job import Job
from sqlalchemy import Engine

import flexmeasures.jobs
from flexmeasures.data.database import db, prepare
from flexmeasures.domain.errors import Conflict, FlexError
from flexmeasures.jobs.forecasts import place_forecasts
from flexmeasures.jobs.queues import JobQueue, get_queue
from flexmeasures.jobs.recovery import (
    HORSE_FIELD,
    PROCESS_FIELD,
    Recovery,
    identify_process,
    is_dead,
    note_failure,
)

__all__ = ["FlexWorker", "make_worker"]

HEARTBEAT = 60
"""Seconds between two signs of life, and between two looks for jobs of dead workers."""


class FlexWorker(Worker):
    """A worker which runs jobs in forks of itself, within the app's context.

    * The outcome of a failed job says why, in ``job.meta["exception"]`` (``class`` and ``message``).
    * Orders of forecasts that were stored while the job store was away are placed.
    * Jobs of workers that died are run again, see `flexmeasures.jobs.recovery`.
    * SIGTERM or SIGINT: it finishes its job and ends. Once more: it drops the job, which is run again later.
    """

    queue_class = JobQueue
    app: Flask
    engine: Engine
    _lifeline: tuple[int, int]
    _recovery: Recovery | None = None

    def serialize(self) -> dict[str, Any]:
        """What stands in Redis about this worker: also which process it is, so that its death can be seen."""
        return {**super().serialize(), PROCESS_FIELD: identify_process(os.getpid())}

    def register_birth(self) -> None:
        """Claim the name of this worker, also from one that was killed.

        Raises:
            Conflict: If a living worker has it.
        """
        claimed = self.connection.hget(self.key, PROCESS_FIELD)
        if claimed is not None and is_dead(claimed.decode()):
            self.connection.delete(self.key)
        try:
            super().register_birth()
        except ValueError as error:
            raise Conflict(f'There is a worker named "{self.name}" already. Choose another name.') from error

    def clean_registries(self) -> None:
        """Put back jobs of dead workers before rq, which would call them failed, comes upon them."""
        starting = self._recovery is None
        if self._recovery is None:
            self._recovery = Recovery(self.queues)
        for job_id in self._recovery.run(thorough=starting):
            self.log.warning("Worker %s: the worker of job %s died; the job is run again", self.name, job_id)
        super().clean_registries()
        while place_forecasts(self.engine, self.connection):
            pass

    def prepare_execution(self, job: Job) -> Execution:
        """Note that this worker has the job; from then on it cannot get lost."""
        execution = super().prepare_execution(job)
        self.connection.srem(JobQueue(job.origin, connection=self.connection).waiting_key, job.id)
        return execution

    def fork_work_horse(self, job: Job, queue: JobQueue) -> None:
        """Fork the process that runs a job, tied to the life of this one."""
        self._lifeline = os.pipe()
        super().fork_work_horse(job, queue)
        os.close(self._lifeline[0])

    def monitor_work_horse(self, job: Job, queue: JobQueue) -> None:
        """Wait for the process that runs a job."""
        try:
            super().monitor_work_horse(job, queue)
        finally:
            os.close(self._lifeline[1])

    def main_work_horse(self, job: Job, queue: JobQueue) -> None:
        """Run a job; here the life of the forked process begins and ends."""
        os.close(self._lifeline[1])
        threading.Thread(target=_end_with_parent, args=(self._lifeline[0],), daemon=True).start()
        self.connection.hset(self.key, HORSE_FIELD, identify_process(os.getpid()))
        self.app.app_context().push()
        for engine in db.engines.values():
            engine.dispose(
                close=False
            )  # these connections are the parent's; closing would end them for it, too
        super().main_work_horse(job, queue)

    def handle_exception(self, job: Job, *exc_info: Any) -> None:
        """Note in a failed job why it failed; clients will read it, so the text of a bug stays in the log."""
        _, error, _ = exc_info
        text = (
            error.message
            if isinstance(error, FlexError)
            else "an unexpected error; the worker's log has more."
        )
        note_failure(job, type(error).__name__, text)
        job.save_meta()
        super().handle_exception(job, *exc_info)

    def handle_work_horse_killed(self, job: Job, retpid: int, ret_val: int, rusage: Any) -> None:
        """Note in a job that its process died; often there was not enough memory."""
        signal_number = os.WTERMSIG(ret_val) if os.WIFSIGNALED(ret_val) else 0
        reason = f"was killed by signal {signal_number}" if signal_number else f"ended with status {ret_val}"
        note_failure(job, "WorkerDied", f"The process that ran this job {reason}.")
        job.save_meta()
        super().handle_work_horse_killed(job, retpid, ret_val, rusage)


def make_worker(app: Flask, names: Sequence[str], name: str | None = None) -> FlexWorker:
    """Make a worker, with everything loaded that its jobs will need.

    Args:
        app: The app whose jobs it runs.
        names: Names of queues; it looks into the first ones first.
        name: Its own name; a random one if left out.

    Raises:
        NotFound: If there is no such queue.
    """
    queues = [get_queue(app, queue_name) for queue_name in names]
    for module in pkgutil.iter_modules(flexmeasures.jobs.__path__, "flexmeasures.jobs."):
        importlib.import_module(module.name)
    prepare(app)  # once here rather than before each job
    with app.app_context():
        engine = db.engine
        engine.dispose()
    worker = FlexWorker(
        queues,
        name=name,
        connection=app.extensions["redis"],
        maintenance_interval=HEARTBEAT,
        worker_ttl=HEARTBEAT + 15,  # rq waits 15 s less than this for a job, and then shows that it lives
    )
    worker.app, worker.engine = app, engine
    return worker


def _end_with_parent(lifeline: int) -> None:
    """End this process when its parent does: nobody would wait for it, and its job will be run again."""
    os.read(lifeline, 1)
    os._exit(1)
