"""Make schedules, store them with their value and reasons, and read them back."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from sqlalchemy.orm import Session

from flexmeasures.data.stores.beliefs import SensorBeliefs, insert_beliefs
from flexmeasures.data.stores.flexibility import agreed_powers
from flexmeasures.data.stores.plans import find_device_plan_of_event, insert_plans
from flexmeasures.data.stores.users import get_or_create_source
from flexmeasures.data.tables import Asset, DeviceState, PlanDevice, PlanRecord
from flexmeasures.domain.beliefs import Beliefs, InsertPolicy, belief_horizons, belief_times
from flexmeasures.domain.errors import FlexError, NotFound
from flexmeasures.domain.scheduling.planning.assets import Plan
from flexmeasures.domain.time import event_grid, format_instant
from flexmeasures.services.power import power_as_stored
from flexmeasures.services.schedules.gather import Planning, PlanWish, read_plan_inputs
from flexmeasures.services.schedules.request import ScheduleRequest
from flexmeasures.services.schedules.schedulers import plan_with_scheduler

__all__ = [
    "EventSchedule",
    "is_stored",
    "make_schedule",
    "plan_id",
    "plan_schedule",
    "read_schedule_of_event",
    "store_plans",
]

Values = np.ndarray[Any, np.dtype[np.float64]]


def is_stored(session: Session, request: ScheduleRequest) -> bool:
    """Wait for the transaction that ordered a schedule to end, and tell whether it succeeded."""
    state = session.get(DeviceState, request.asset_id, with_for_update={"key_share": True})
    if state is None:
        return False
    return not request.in_order or (state.soc_udi_event_id or 0) >= request.event_id


def make_schedule(session: Session, request: ScheduleRequest, planning: Planning | None = None) -> Plan:
    """Plan a device from its state of charge on and store the plan, its value and its reasons.

    Args:
        session: Within its transaction; the caller commits.
        request: The state of charge and the targets.
        planning: How to plan, and with which solver.

    Raises:
        NotFound: If the device does not exist any more.
        UnknownPrices: If it has no market, or no price is known for any part of the planning window.
        BadFlexModel: If it has no flex model, or one that contradicts itself.
        NotEnoughData: If what it needs of forecasts is not known.
    """
    planning = planning or Planning()
    asset = session.get(Asset, request.asset_id)
    if asset is None:
        raise NotFound(f"There is no asset with id {request.asset_id} any more.")
    plan = plan_schedule(session, asset, request, planning)
    store_plans(session, [(asset, plan)], request.recorded_at, planning.kept, request.event_id)
    return plan


def plan_schedule(
    session: Session, asset: Asset, request: ScheduleRequest, planning: Planning | None = None
) -> Plan:
    """Plan a device from its state of charge on, without storing anything.

    Raises:
        UnknownPrices: If it has no market, or no price is known for any part of the planning window.
        BadFlexModel: If it has no flex model, or one that contradicts itself.
        NotEnoughData: If what it needs of forecasts is not known.
    """
    targets = {target.at: target.soc_mwh for target in request.targets}
    agreed = agreed_powers(session, [asset.id], request.at, request.at + request.horizon)
    wish = PlanWish(asset, request.at, request.horizon, request.soc_mwh, targets, agreed.get(asset.id, ()))
    known = read_plan_inputs(session, [wish], planning or Planning())[0]
    if isinstance(known, FlexError):
        raise known
    return plan_with_scheduler(known)


def store_plans(
    session: Session,
    plans: Sequence[tuple[Asset, Plan]],
    recorded_at: datetime,
    kept: int,
    event_id: int | None = None,
) -> None:
    """Store plans as beliefs about the power of their assets, and with their value and reasons.

    Args:
        session: Within its transaction; the caller commits.
        plans: Each with its asset.
        recorded_at: The belief time of the plans.
        kept: How many plans an asset keeps; older ones are deleted.
        event_id: Number of the UDI event that asked for them, if one did.
    """
    models = {plan.model for _, plan in plans}
    sources = {
        model: get_or_create_source(session, "FlexMeasures", "scheduler", *model).id for model in models
    }
    batches = [
        SensorBeliefs(asset.sensor.id, _as_beliefs(asset, plan, recorded_at, sources[plan.model]))
        for asset, plan in plans
    ]
    # A job that was interrupted after its commit runs once more, and then finds its own beliefs.
    insert_beliefs(session, batches, InsertPolicy.REPLACE)
    records = [_as_record(asset, plan, recorded_at, event_id, sources[plan.model]) for asset, plan in plans]
    insert_plans(session, records, kept)


def _as_beliefs(asset: Asset, plan: Plan, recorded_at: datetime, source_id: int) -> Beliefs:
    power = power_as_stored(plan.power_mw, asset.sensor)
    starts = event_grid(plan.start, plan.resolution, len(power))
    times = belief_times(starts, plan.resolution, recorded_at)
    horizons = belief_horizons(asset.sensor.knowledge_rule, starts, plan.resolution, times)
    return Beliefs(starts, power, horizons, np.full(len(power), source_id, dtype=np.int32))


def _as_record(
    asset: Asset, plan: Plan, recorded_at: datetime, event_id: int | None, source_id: int
) -> PlanRecord:
    """Write a plan as the store takes it: with profiles as arrays, and not part of a session."""
    value = plan.value
    device = PlanDevice(
        sensor_id=asset.sensor.id,
        udi_event_id=event_id,
        power_mw=plan.power_mw,
        soc_mwh=plan.soc_mwh,
        targets={format_instant(at): soc for at, soc in plan.targets.items()},
        missed=plan.missed_as_data,
    )
    return PlanRecord(
        id=plan_id(asset.id, recorded_at, [event_id]),
        asset_id=asset.id,
        source_id=source_id,
        recorded_at=recorded_at,
        start=plan.start,
        end=plan.start + len(plan.power_mw) * plan.resolution,
        resolution=plan.resolution,
        outcome=plan.outcome,
        gap=plan.gap,
        currency=plan.currency,
        cost=value.cost,
        baseline=plan.baseline,
        baseline_cost=value.baseline_cost,
        co2_kg=value.co2_kg if plan.has_co2 else None,
        baseline_co2_kg=value.baseline_co2_kg if plan.has_co2 else None,
        shifted_mwh=value.effect.shifted_mwh,
        shifted_mwh_h=value.effect.shifted_mwh_h,
        curtailed_mwh=value.effect.curtailed_mwh,
        added_mwh=value.effect.added_mwh,
        net_mw=None,
        missed=[],
        notes=list(plan.notes),
        explanation=dict(plan.explanation),
        devices=[device],
    )


_PLANS = uuid.UUID("0f0e5c2b-6d1c-4c4e-9a43-6f6c65786d73")
"""Namespace of the ids of plans."""


def plan_id(asset_id: int, recorded_at: datetime, event_ids: Sequence[int | None]) -> uuid.UUID:
    """Name a plan by what it is made for: a job that runs once more makes the same plan, not another one."""
    events = ",".join("-" if number is None else str(number) for number in event_ids)
    return uuid.uuid5(_PLANS, f"{asset_id} {format_instant(recorded_at)} {events}")


@dataclass(frozen=True)
class EventSchedule:
    """The schedule that was made for a UDI event.

    Attributes:
        start: Start of the first slot.
        resolution: Length of a slot.
        power_mw: Average power in each slot (n,) [MW, consumption positive].
        notes: What the owner should know.
    """

    start: datetime
    resolution: timedelta
    power_mw: Values
    notes: tuple[str, ...]


def read_schedule_of_event(session: Session, asset: Asset, event_id: int) -> EventSchedule | None:
    """Read the schedule that was made for a UDI event, whatever was planned since; None if it is not known.

    Plans of old events are deleted, see `store_plans`; that of the latest one is always there.
    """
    device = find_device_plan_of_event(session, asset.sensor.id, event_id)
    if device is None:
        return None
    plan = device.plan
    power = np.asarray(device.power_mw, dtype=float)
    return EventSchedule(plan.start, plan.resolution, power, tuple(plan.notes))
