"""Jobs that make schedules: placing them, running them and asking how they are doing."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import redis
from flask import current_app
from rq import get_current_job
from rq.exceptions import NoSuchJobError
from rq.job import Job

from flexmeasures.data.database import db
from flexmeasures.data.faults import try_again
from flexmeasures.data.transactional import as_transaction
from flexmeasures.domain.scheduling import PlanOptions, SolverOptions, solver_named
from flexmeasures.jobs.queues import get_queue
from flexmeasures.services.schedules.gather import Planning
from flexmeasures.services.schedules.make import is_stored, make_schedule
from flexmeasures.services.schedules.request import ScheduleRequest
from flexmeasures.services.schedules.reschedule import PortfolioOrder, PortfolioOutcome, reschedule

__all__ = [
    "CHUNK",
    "describe_failure",
    "enqueue_portfolio",
    "enqueue_schedule",
    "find_job",
    "planning_of",
    "run_portfolio",
    "run_schedule",
]

CHUNK = 100
"""Assets in a job: enough that reading prices and writing plans in bulk pays, few enough to keep all workers busy."""

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


def planning_of(config: Mapping[str, Any]) -> Planning:
    """Read from the settings how schedules are made."""
    limits = SolverOptions(
        time_limit_s=config["FLEXMEASURES_SCHEDULING_TIME_LIMIT"].total_seconds(),
        relative_gap=config["FLEXMEASURES_SCHEDULING_GAP"],
    )
    options = PlanOptions(
        prefer_charging_sooner=config["FLEXMEASURES_PREFER_CHARGING_SOONER"],
        solver_options=limits,
        solver=solver_named(config["FLEXMEASURES_LP_SOLVER"]),
    )
    return Planning(
        options,
        config["FLEXMEASURES_REPLANNING_PRICE"],
        config["FLEXMEASURES_SCHEDULES_KEPT"],
        config["FLEXMEASURES_TRUSTED_ROLES"],
    )


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
    make = as_transaction(make_schedule)
    redis_connection: redis.Redis = current_app.extensions["redis"]

    def find_request(asset_id: int, event_id: int) -> ScheduleRequest | None:
        found = find_job(redis_connection, asset_id, event_id)
        return None if found is None else found.args[0]

    made = try_again(session, lambda: make(session, request, planning_of(current_app.config), find_request))
    job = get_current_job()
    if job is not None:
        job.meta["notes"] = list(made.notes)
        job.meta["missed"] = list(made.missed)
        job.save_meta()
    return {"slots": made.slots, "notes": list(made.notes)}


def enqueue_portfolio(connection: redis.Redis, order: PortfolioOrder, ttl: timedelta) -> list[Job]:
    """Place the order to schedule many assets: a job for each `CHUNK` of them, for all workers there are.

    Args:
        connection: To the job store.
        order: What to plan.
        ttl: How long the outcomes are kept; negative: forever.
    """
    keep = max(int(ttl.total_seconds()), -1)
    queue = get_queue(connection, "scheduling")
    return [
        queue.enqueue(
            run_portfolio,
            part,
            job_timeout=int(JOB_TIMEOUT.total_seconds()),
            result_ttl=keep,
            failure_ttl=keep,
            description=f"schedules of {len(part.asset_ids)} assets",
        )
        for part in order.split(CHUNK)
    ]


def run_portfolio(order: PortfolioOrder) -> PortfolioOutcome:
    """Schedule some assets; runs in a worker, within an app context.

    Returns:
        What was planned, and why some assets were not.
    """
    make, session = as_transaction(reschedule), db.session
    outcome: PortfolioOutcome = try_again(
        session, lambda: make(session, order, planning_of(current_app.config))
    )
    return outcome


def describe_failure(job: Job) -> str:
    """Say why a job failed, as the worker noted it."""
    noted = job.meta.get("exception")
    return f"It failed with the message: {noted['message']}" if noted else "It does not say why."
