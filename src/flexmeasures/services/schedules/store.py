"""Storing plans: as beliefs about the power of devices, and with their value and reasons."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np
from sqlalchemy.orm import Session

from flexmeasures.data.stores.beliefs import SensorBeliefs, insert_beliefs
from flexmeasures.data.stores.plans import insert_plans
from flexmeasures.data.stores.users import get_or_create_source
from flexmeasures.data.tables import Asset, PlanDevice, PlanRecord, Sensor
from flexmeasures.domain.beliefs import Beliefs, InsertPolicy, belief_horizons, belief_times
from flexmeasures.domain.flexibility.activation import ActivationValue
from flexmeasures.domain.scheduling.planning.assets import Plan
from flexmeasures.domain.scheduling.planning.facts import SlotGrid
from flexmeasures.domain.scheduling.planning.schedulers import BUILT_IN
from flexmeasures.domain.scheduling.planning.sites import SitePlanned
from flexmeasures.domain.time import event_grid, format_instant
from flexmeasures.services.power import power_as_stored
from flexmeasures.services.schedules.site_facts import SiteParts

__all__ = ["plan_id", "store_plans", "store_site_plan"]

Values = np.ndarray[Any, np.dtype[np.float64]]


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
    device = PlanDevice(
        sensor_id=asset.sensor.id,
        udi_event_id=event_id,
        power_mw=plan.power_mw,
        soc_mwh=plan.soc_mwh,
        targets={format_instant(at): soc for at, soc in plan.targets.items()},
        missed=plan.missed_as_data,
    )
    return PlanRecord(
        id=plan_id(asset.id, recorded_at, [(asset.id, event_id)]),
        asset_id=asset.id,
        source_id=source_id,
        recorded_at=recorded_at,
        start=plan.start,
        end=plan.start + len(plan.power_mw) * plan.resolution,
        resolution=plan.resolution,
        outcome=plan.outcome,
        gap=plan.gap,
        currency=plan.currency,
        baseline=plan.baseline,
        net_mw=None,
        missed=[],
        notes=list(plan.notes),
        explanation=dict(plan.explanation),
        devices=[device],
        **_value_columns(plan.value, plan.has_co2),
    )


_PLANS = uuid.UUID("0f0e5c2b-6d1c-4c4e-9a43-6f6c65786d73")
"""Namespace of the ids of plans."""


def plan_id(asset_id: int, recorded_at: datetime, events: Sequence[tuple[int, int | None]]) -> uuid.UUID:
    """Name a plan by what it is made for: a job that runs once more makes the same plan, not another one.

    Args:
        asset_id: What is planned.
        recorded_at: The belief time of the plan.
        events: The devices whose UDI events ask for it, and the numbers of these.
    """
    asked = ",".join(f"{device}:{number}" for device, number in events if number is not None)
    return uuid.uuid5(_PLANS, f"{asset_id} {format_instant(recorded_at)} {asked}")


def store_site_plan(
    session: Session,
    parts: SiteParts,
    planned: SitePlanned,
    recorded_at: datetime,
    event_ids: Mapping[int, int],
    kept: int,
) -> PlanRecord:
    """Store the plan of a site: as beliefs about the power of its devices, and with its value and reasons.

    Args:
        session: Within its transaction; the caller commits.
        parts: The site.
        planned: Its plan.
        recorded_at: The belief time of the plan.
        event_ids: Numbers of the UDI events that asked for it, by device.
        kept: How many plans the site keeps.

    Returns:
        The plan as it is stored; not part of the session.
    """
    source = get_or_create_source(session, "FlexMeasures", "scheduler", *BUILT_IN)
    sensors = {asset.id: asset.sensor for asset, _ in parts.devices}
    batches = [
        SensorBeliefs(
            sensors[one.asset_id].id,
            _device_beliefs(sensors[one.asset_id], one.power_mw, planned.grid, recorded_at, source.id),
        )
        for one in planned.devices
    ]
    insert_beliefs(session, batches, InsertPolicy.REPLACE)
    grid, value = planned.grid, planned.value
    devices = [
        PlanDevice(
            sensor_id=sensors[one.asset_id].id,
            udi_event_id=event_ids.get(one.asset_id),
            power_mw=one.power_mw,
            soc_mwh=one.soc_mwh,
            targets={format_instant(at): soc for at, soc in one.targets.items()},
            missed=one.missed_as_data,
        )
        for one in planned.devices
    ]
    record = PlanRecord(
        id=plan_id(parts.root.id, recorded_at, sorted(event_ids.items())),
        asset_id=parts.root.id,
        source_id=source.id,
        recorded_at=recorded_at,
        start=grid.start,
        end=grid.end,
        resolution=grid.resolution,
        outcome=planned.outcome,
        gap=planned.gap,
        currency=planned.currency,
        baseline=planned.baseline,
        net_mw=planned.net_mw,
        missed=list(planned.missed),
        notes=list(planned.notes),
        explanation=dict(planned.explanation),
        devices=devices,
        **_value_columns(value, planned.has_co2),
    )
    insert_plans(session, [record], kept)
    return record


def _device_beliefs(
    sensor: Sensor, power_mw: Values, grid: SlotGrid, recorded_at: datetime, source_id: int
) -> Beliefs:
    """Write the power of slots as beliefs about the events of a sensor, which may last several slots."""
    resolution = sensor.event_resolution
    width = resolution // grid.resolution
    whole = len(power_mw) // width * width
    means = power_as_stored(power_mw[:whole].reshape(-1, width).mean(axis=1), sensor)
    starts = event_grid(grid.start, resolution, len(means))
    times = belief_times(starts, resolution, recorded_at)
    horizons = belief_horizons(sensor.knowledge_rule, starts, resolution, times)
    return Beliefs(starts, means, horizons, np.full(len(means), source_id, dtype=np.int32))


def _value_columns(value: ActivationValue, has_co2: bool) -> dict[str, float | None]:
    return {
        "cost": value.cost,
        "baseline_cost": value.baseline_cost,
        "co2_kg": value.co2_kg if has_co2 else None,
        "baseline_co2_kg": value.baseline_co2_kg if has_co2 else None,
        "shifted_mwh": value.effect.shifted_mwh,
        "shifted_mwh_h": value.effect.shifted_mwh_h,
        "curtailed_mwh": value.effect.curtailed_mwh,
        "added_mwh": value.effect.added_mwh,
    }
