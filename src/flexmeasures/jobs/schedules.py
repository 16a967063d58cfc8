"""Jobs that make schedules: placing them, running them and asking how they are doing."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import redis
from flask import current_app
from rq import get_current_job
from rq.exceptions import NoSuchJobError
from rq.job import Job

from flexmeasures.data.database import db
from flexmeasures.domain.scheduling import PlanOptions, solver_named
from flexmeasures.jobs.queues import get_queue
from flexmeasures.services.make_schedule import is_stored, make_schedule
from flexmeasures.services.request_schedule import ScheduleRequest

__all__ = ["describe_failure", "enqueue_schedule", "find_job", "run_schedule"]

JOB_TIMEOUT = timedelta(minutes=10)


def enqueue_schedule(connection: redis.Redis, request: ScheduleRequest, ttl: timedelta) -> None:
    """Place the order for a schedule.

    Args:
        connection: To the job store.
        request: What to plan.
        ttl: How long the outcome is kept; negative: forever.
    """
    seconds = int(ttl.total_seconds())
    keep = seconds if seconds >= 0 else -1
    # In play mode an event may be sent again, so the job has a name of its own, and the event points at it.
    job_id = f"udi-{request.asset_id}-{request.event_id}-{request.recorded_at:%Y%m%dT%H%M%S%f}"
    get_queue(connection, "scheduling").enqueue(
        run_schedule,
        request,
        job_id=job_id,
        job_timeout=int(JOB_TIMEOUT.total_seconds()),
        result_ttl=keep,
        failure_ttl=keep,
        description=f"schedule of asset {request.asset_id} for UDI event {request.event_id}",
    )
    connection.set(_pointer(request.asset_id, request.event_id), job_id, ex=keep if keep > 0 else None)


def find_job(connection: redis.Redis, asset_id: int, event_id: int) -> Job | None:
    """Find the job of a UDI event; None if there is none (any more)."""
    job_id = connection.get(_pointer(asset_id, event_id))
    if job_id is None:
        return None
    try:
        return Job.fetch(job_id.decode(), connection=connection)  # type: ignore[union-attr]
    except NoSuchJobError:
        return None


def _pointer(asset_id: int, event_id: int) -> str:
    return f"flexmeasures:udi:{asset_id}:{event_id}"


def run_schedule(request: ScheduleRequest) -> dict[str, Any]:
    """Make a schedule; runs in a worker, within an app context.

    Returns:
        How many slots were planned, and what the owner should know about the plan.
    """
    session = db.session
    stored = is_stored(session, request)
    session.rollback()  # gives back the lock
    if not stored:
        return {"slots": 0, "notes": ["The UDI event was withdrawn: its request failed."]}
    try:
        solver = solver_named(current_app.config["FLEXMEASURES_LP_SOLVER"])
        plan = make_schedule(session, request, PlanOptions(solver=solver))
        session.commit()
    except BaseException:
        session.rollback()
        raise
    job = get_current_job()
    if job is not None:
        job.meta["notes"] = list(plan.notes)
        job.save_meta()
    return {"slots": len(plan.schedule.power_mw), "notes": list(plan.notes)}


def describe_failure(job: Job) -> str:
    """Say why a job failed, as the worker noted it."""
    noted = job.meta.get("exception")
    if not noted:
        return "It does not say why."
    return f"It failed with {noted['class']}: {noted['message']}"
