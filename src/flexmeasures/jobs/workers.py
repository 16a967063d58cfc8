"""Workers: they take jobs from the queues and run each in a process of its own.

That process is a fork of the worker, in which everything is imported already: it is there in milliseconds,
and whatever a job does to it (memory, crashes) ends with it.

Only what rq promises is used of its worker: its arguments, a class of jobs, a class of queues and `Worker.work`.
"""

from __future__ import annotations

import gc
import importlib
import logging
import os
import pkgutil
import signal
import threading
import time
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import redis
from flask import Flask
from rq import Worker
from rq.job import Job
from sqlalchemy import Engine

import flexmeasures.jobs
from flexmeasures.data.database import db, prepare
from flexmeasures.domain.errors import FlexError
from flexmeasures.jobs.companions import COMPANIONS
from flexmeasures.jobs.coordination import look_for_due
from flexmeasures.jobs.forecasts import place_forecasts
from flexmeasures.jobs.monitoring import place_due_check
from flexmeasures.jobs.queues import JobQueue, get_queue
from flexmeasures.jobs.recovery import (
    BEAT,
    Recovery,
    WorkerDied,
    WorkerNote,
    check_deaths,
    do_alone,
    is_alone,
    note_failure,
    note_run,
)
from flexmeasures.jobs.rehearsal import rehearse
from flexmeasures.jobs.retention import place_due_thinning
from flexmeasures.jobs.upstreams import place_due_upstreams
from flexmeasures.log_context import job_id, request_id
from flexmeasures.metrics import JOB_SECONDS, JOBS, Metrics
from flexmeasures.telemetry import trace_job

__all__ = ["FlexWorker", "WorkerCrashed", "make_worker"]

WORKER_TTL = 75
"""Seconds for which rq believes that a worker lives without a sign of it; it waits 15 s less for a job."""

log = logging.getLogger(__name__)

# A fork has one thread: a lock that another one held would be held in it for ever.
_not_while_forking = threading.RLock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_not_while_forking.acquire,
        after_in_parent=_not_while_forking.release,
        after_in_child=_not_while_forking.release,
    )


class WorkerCrashed(FlexError):
    """A worker ended though nobody asked it to."""


@dataclass(frozen=True)
class _Home:
    """Inheritance of a job's process from the worker that forked it.

    Attributes:
        app: The app whose context the job runs in.
        lifeline: A pipe, reading and writing end: the worker alone keeps the latter open, as long as it lives.
    """

    app: Flask
    lifeline: tuple[int, int]

    def enter(self) -> None:
        """Make a fork a process of its own."""
        os.close(self.lifeline[1])
        threading.Thread(target=_end_with_parent, args=(self.lifeline[0],), daemon=True).start()
        self.app.app_context().push()
        for engine in db.engines.values():
            # These connections are the parent's; closing would end them for it, too.
            engine.dispose(close=False)


class FlexJob(Job):
    """A job as a worker runs it: in a fork, within the app's context.

    Of a job that failed, ``job.meta["exception"]`` says why (``class`` and ``message``).
    """

    home: ClassVar[_Home]

    def perform(self) -> Any:
        """Run the job; here the part of the forked process that is ours begins."""
        self.home.enter()
        note_run(JobQueue(self.origin, connection=self.connection), self)
        job_id.set(self.id)
        request_id.set(self.meta.get("request_id", "-"))
        with _counted(self.home.app, self.origin), trace_job(self.home.app, self.origin, self.id):
            return self._perform_or_note()

    def _perform_or_note(self) -> Any:
        try:
            check_deaths(self)
            return super().perform()
        except Exception as error:
            # Clients will read it, so the text of a bug stays in the log.
            text = (
                error.message
                if isinstance(error, FlexError)
                else "an unexpected error; the worker's log has more."
            )
            note_failure(self, type(error).__name__, text)
            raise


@contextmanager
def _counted(app: Flask, queue: str) -> Iterator[None]:
    """Count a job for monitors, and write it down before its process ends."""
    metrics: Metrics | None = app.extensions.get("metrics")
    began, outcome = time.monotonic(), "failed"
    try:
        yield
        outcome = "done"
    finally:
        if metrics is not None:
            metrics.count(JOBS, queue, outcome)
            metrics.observe(JOB_SECONDS, time.monotonic() - began, queue)
            metrics.flush()


class FlexWorker:
    """A worker which runs jobs in forks of itself, within the app's context.

    * Orders of forecasts that were stored while the job store was away are placed.
    * Jobs of workers that died are run again, see `flexmeasures.jobs.recovery`.
    * SIGTERM or SIGINT: it finishes its job and ends. Once more: it drops the job, which is run again later.

    Attributes:
        name: Its name.
        queues: The queues that it serves, the most urgent first.
    """

    def __init__(
        self, app: Flask, engine: Engine, queues: Sequence[JobQueue], name: str | None = None
    ) -> None:
        self.queues = list(queues)
        self._connection = app.extensions["redis"]
        self._engine = engine
        self._alert_interval = app.config["FLEXMEASURES_MONITORING_INTERVAL"]
        self._thinning_interval = app.config["FLEXMEASURES_THIN_EVERY"]
        home = _Home(app, os.pipe())
        weakref.finalize(self, _close, home.lifeline)
        self._worker = Worker(
            self.queues,
            name=name,
            connection=self._connection,
            job_class=type("FlexJob", (FlexJob,), {"home": home}),
            queue_class=JobQueue,
            work_horse_killed_handler=_note_killed,
            worker_ttl=WORKER_TTL,
        )
        self.name = str(self._worker.name)
        self._recovery = Recovery(self.queues)
        self._note = WorkerNote(self._connection, self.name)

    def work(self, burst: bool = False) -> None:
        """Run jobs until a signal comes.

        Args:
            burst: Whether to end when no job waits.

        Raises:
            Conflict: If a living worker has this name.
            WorkerCrashed: If the worker ended though nobody asked it to.
        """
        self._look_after_jobs(thorough=True)
        if self._note.claim():
            self._connection.delete(self._worker.key)
        with _noticed_signals() as noticed, self._signs_of_life():
            self._worker.work(burst=burst, logging_level="WARNING")
            # rq logs an exception of its loop and returns as if all were well.
            if not noticed() and not (burst and all(queue.is_empty() for queue in self.queues)):
                raise WorkerCrashed(f'The worker "{self.name}" crashed; its log says why.')
            self._note.leave()

    @contextmanager
    def _signs_of_life(self) -> Iterator[None]:
        """Show that this worker lives, and look for jobs of dead ones, from time to time."""
        stopping = threading.Event()
        self._note.beat()
        thread = threading.Thread(target=self._beat, args=(stopping,), daemon=True)
        thread.start()
        try:
            yield
        except SystemExit:
            self._note.leave()
            raise
        finally:
            stopping.set()
            thread.join(BEAT)

    def _beat(self, stopping: threading.Event) -> None:
        while not stopping.wait(BEAT):
            try:
                with _not_while_forking:
                    self._note.beat()
                    self._look_after_jobs()
            except redis.RedisError as error:
                log.warning("The job store does not answer: %s", error)

    def _look_after_jobs(self, thorough: bool = False) -> None:
        for put_back in self._recovery.run(thorough):
            log.warning("Worker %s: the worker of job %s died; the job is run again", self.name, put_back)
        while place_forecasts(self._engine, self._connection):
            pass
        look_for_due(self._engine, self._connection)
        place_due_upstreams(self._engine, self._connection)
        place_due_check(self._connection, self._alert_interval)
        place_due_thinning(self._connection, self._thinning_interval)


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
    rehearse(app)
    with app.app_context():
        engine = db.engine
        engine.dispose()  # no connection is shared with a fork
    # What is there by now stays: nobody looks for garbage among it again, least of all a fork, which would copy it.
    gc.collect()
    gc.freeze()
    return FlexWorker(app, engine, queues, name)


def _note_killed(job: Job, _pid: int | None, status: int | None, _usage: Any) -> None:
    """Note in a job that its process died; often there was not enough memory.

    If others were done along with it, one of those may be to blame: then it is run once more, alone.
    """
    if job.get_meta().get(COMPANIONS) and not is_alone(job):
        do_alone(job)
        job.save_meta()
        job.retries_left = 1
        return
    if status is None:  # rq killed it itself
        reason = f"was killed: the job was deaf to its time limit of {job.timeout} s"
    elif os.WIFSIGNALED(status):
        reason = f"was killed by signal {os.WTERMSIG(status)}"
    else:
        reason = f"ended with status {os.waitstatus_to_exitcode(status)}"
    note_failure(job, WorkerDied.__name__, f"The process that ran this job {reason}.")


def _close(descriptors: Sequence[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)


def _end_with_parent(lifeline: int) -> None:
    """End this process when its parent does: nobody would wait for it, and its job will be run again."""
    os.read(lifeline, 1)
    os._exit(1)


@contextmanager
def _noticed_signals() -> Iterator[Any]:
    """Notice SIGTERM and SIGINT whoever handles them; gives a function that tells whether one came."""
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    os.set_blocking(writing, False)
    before = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)

    def noticed() -> bool:
        try:
            numbers = os.read(reading, 4096)
        except BlockingIOError:
            return False
        return signal.SIGTERM in numbers or signal.SIGINT in numbers

    try:
        yield noticed
    finally:
        signal.set_wakeup_fd(before)
        os.close(reading)
        os.close(writing)
