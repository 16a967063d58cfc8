"""Services about devices: their state in, their schedules out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from rq.job import Job

from flexmeasures.api.usef import messages, statuses
from flexmeasures.api.usef.call import Body, Call, refuse_the_future, word_groups
from flexmeasures.api.usef.fields import parse_event_address
from flexmeasures.data.tables import Asset
from flexmeasures.domain.addresses import EventAddress
from flexmeasures.domain.quoting import quote
from flexmeasures.domain.time import add_duration, format_duration, format_instant
from flexmeasures.domain.units import conversion_factor
from flexmeasures.jobs.schedules import describe_failure, enqueue_schedule, find_job, planning_of
from flexmeasures.services.schedules.make import plan_schedule, read_schedule_of_event
from flexmeasures.services.schedules.request import (
    SCHEDULED_TYPES,
    ScheduleRequest,
    SocTarget,
    find_device,
    request_schedule,
)

__all__ = ["get_device_message", "post_udi_event"]

SHORTEST_PLAN = timedelta(hours=24)
"""Shortest planning horizon where a schedule is made while the client waits, so that its end weighs little."""


def post_udi_event(call: Call, raw: Mapping[str, Any]) -> Body:
    """Take note of a device's state of charge and order its schedule."""
    message = messages.PostUdiEvent.read(raw)
    address, jobs = message.events, call.version.plans_in_jobs
    kinds = ("soc", "soc-with-targets") if jobs else ("soc",)
    if address.event_type not in kinds:
        raise statuses.UNRECOGNIZED_UDI_EVENT(
            f"Event {address.event_id} has the type {quote(address.event_type)}; it must be {' or '.join(kinds)}."
        )
    targets = message.targets if address.event_type == "soc-with-targets" else ()
    if not targets and address.event_type == "soc-with-targets":
        raise statuses.INCOMPLETE_UDI_EVENT("Add 'targets', a list of values with their datetime.")
    _check_times(call, message.datetime, message.prior)
    asset = find_device(call.session, call.user, address.asset_id, lock=True, types=_devices_of(call))
    to_mwh = conversion_factor(message.unit, "MWh")
    request = ScheduleRequest(
        asset_id=asset.id,
        event_id=address.event_id,
        at=message.datetime,
        soc_mwh=message.values * to_mwh,
        targets=tuple(SocTarget(t.at, t.value * to_mwh) for t in targets),
        recorded_at=message.prior or call.now,
        horizon=call.config["FLEXMEASURES_PLANNING_HORIZON"],
        in_order=not call.plays,
        strictly_later=not jobs,
    )
    ttl = call.config["FLEXMEASURES_PLANNING_TTL"]
    request_schedule(
        call.session,
        asset,
        request,
        enqueue=lambda order: enqueue_schedule(call.redis, order, ttl) if jobs else None,
        latest=call.clock_limit + request.horizon,
    )
    return {}


def _check_times(call: Call, at: datetime, prior: datetime | None) -> None:
    """Refuse states of charge that nobody can know yet."""
    refuse_the_future(call, prior)
    most: timedelta = call.config["FLEXMEASURES_UDI_EVENT_AHEAD"]
    if at - call.now > most and not call.plays:
        raise statuses.INVALID_DATETIME(
            f"{format_instant(at)} lies more than {format_duration(most)} ahead. Send the state of charge when it is "
            "known."
        )


def _devices_of(call: Call) -> tuple[str, ...]:
    return SCHEDULED_TYPES if call.version.plans_in_jobs else ("battery",)


def get_device_message(call: Call, raw: Mapping[str, Any]) -> Body:
    """Hand out the schedules that were made for UDI events."""
    message = messages.GetDeviceMessage.read(raw)
    values, notes, start, duration = {}, [], call.now, timedelta(0)
    for name in (name for group in message.groups for name in group.addresses):
        address = parse_event_address(name)
        asset = find_device(call.session, call.user, address.asset_id, types=_devices_of(call))
        answer = _planned_by_job if call.version.plans_in_jobs else _planned_now
        start, power, noted = answer(call, asset, address, message.duration)
        notes += noted
        asked = add_duration(start, message.duration) - start
        values[name], duration = power, min(asked, len(power) * asset.sensor.event_resolution)
    return {
        **word_groups("event", values),
        "start": format_instant(start),
        "duration": format_duration(duration),
        "unit": "MW",
        "notes": notes,
    }


def _planned_by_job(
    call: Call, asset: Asset, address: EventAddress, duration: Any
) -> tuple[datetime, np.ndarray[Any, Any], list[str]]:
    """Read the schedule that a worker made.

    Returns:
        Where it starts, its power [MW], and what the scheduler noted about it.
    """
    _await_job(call, asset, address)
    found = read_schedule_of_event(call.session, asset, address.event_id)
    if found is None:
        raise statuses.UNKNOWN_SCHEDULE("The schedule was not found in the database.")
    asked = add_duration(found.start, duration) - found.start
    return found.start, found.power_mw[: max(1, asked // found.resolution)], list(found.notes)


def _planned_now(
    call: Call, asset: Asset, address: EventAddress, duration: Any
) -> tuple[datetime, np.ndarray[Any, Any], list[str]]:
    """Make a schedule while the client waits, and forget it."""
    start = asset.soc_datetime
    is_latest = address.event_type == "soc" and asset.soc_udi_event_id == address.event_id
    if not is_latest or start is None or asset.soc_in_mwh is None:
        raise statuses.UNRECOGNIZED_UDI_EVENT(
            f"Event {address.event_id} of type {address.event_type} is not the latest one of asset {asset.id}. "
            "Ask for that one."
        )
    if asset.market is None:
        raise statuses.INVALID_MARKET(f"Asset {asset.id} needs one.")
    asked = add_duration(start, duration) - start
    horizon = min(max(SHORTEST_PLAN, asked), call.config["FLEXMEASURES_PLANNING_HORIZON"])
    request = ScheduleRequest(asset.id, address.event_id, start, asset.soc_in_mwh, (), call.now, horizon)
    planning = planning_of(call.config)
    planning = replace(planning, options=replace(planning.options, prefer_charging_sooner=False))
    plan = plan_schedule(call.session, asset, request, planning)
    wanted = max(1, asked // plan.resolution)
    return start, plan.power_mw[:wanted], list(plan.notes)


def _await_job(call: Call, asset: Asset, address: EventAddress) -> Job | None:
    """Make sure that an event's schedule was made.

    Returns:
        The job that made it; None if it was forgotten since.
    """
    job = find_job(call.redis, asset.id, address.event_id)
    if job is None:
        if asset.soc_udi_event_id != address.event_id or asset.soc_datetime is None:
            raise statuses.UNRECOGNIZED_UDI_EVENT(
                f"Event {address.event_id} of asset {asset.id} has no schedule. Post it first."
            )
        return None
    status = job.get_status()
    name = getattr(status, "value", status)
    if name != "finished":
        waits_for = ", ".join(job.dependency_ids) if name == "deferred" else ""
        explanations = {
            "queued": "The job waits to be processed. Ask again later.",
            "scheduled": "The job waits to be processed. Ask again later.",
            "started": "The job is in progress. Ask again later.",
            "deferred": f"The job waits for {waits_for}. Ask again later.",
        }
        failed = name in ("failed", "stopped", "canceled")
        text = (
            describe_failure(job)
            if failed
            else explanations.get(name, f"The job has the unknown status {name}.")
        )
        raise statuses.UNKNOWN_SCHEDULE(text)
    return job
