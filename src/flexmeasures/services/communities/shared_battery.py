"""Scheduling the battery that a community shares, by what its members and plants are expected to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from flexmeasures.data.stores.beliefs import SensorBeliefs, insert_beliefs
from flexmeasures.data.stores.communities import MeterWindow, read_meters
from flexmeasures.data.stores.users import get_or_create_source
from flexmeasures.data.tables import Asset, CommunityService, Sensor
from flexmeasures.domain.beliefs import Beliefs, InsertPolicy, belief_horizons, belief_times
from flexmeasures.domain.communities.allocation import to_units
from flexmeasures.domain.communities.storage import SharedBattery, plan_shared_battery
from flexmeasures.domain.errors import BadFlexModel, NotEnoughData, ResolutionMismatch
from flexmeasures.domain.time import (
    event_grid,
    find_zone,
    format_duration,
    from_datetime64,
    next_event_start,
    to_microseconds,
)
from flexmeasures.domain.units import KW_PER_MW, KWH_PER_MWH, conversion_factor
from flexmeasures.services.communities.blocks import make_blocks, profile_of
from flexmeasures.services.communities.readings import kwh_per_value

__all__ = ["BatterySchedule", "schedule_shared_battery"]

_BACK = (np.timedelta64(0, "D"), np.timedelta64(7, "D"))
"""Of now, and of a week before."""
_MODEL = ("community battery", "1")


@dataclass(frozen=True)
class BatterySchedule:
    """A schedule of a shared battery.

    Attributes:
        start: Of the first slot.
        resolution: Of a slot.
        power_mw: Shape ``(n,)``, consumption positive.
    """

    start: datetime
    resolution: timedelta
    power_mw: np.ndarray[Any, np.dtype[np.float64]]


def schedule_shared_battery(
    session: Session,
    service: CommunityService,
    asset: Asset,
    now: datetime,
    horizon: timedelta = timedelta(hours=48),
) -> BatterySchedule:
    """Plan a community's battery for self-consumption, and store the plan as beliefs about its power.

    What members and plants will do is forecast where there are forecasts, else as a week ago.

    Args:
        session: Within its transaction; the caller commits.
        service: Whose members and plants count.
        asset: The battery, with its capacity and state of charge.
        now: The present; the first slot is the next settlement interval.
        horizon: How far ahead.

    Raises:
        BadFlexModel: If the asset lacks its capacity or size.
        ResolutionMismatch: If its power sensor is coarser than a settlement interval.
        NotEnoughData: If nothing is known of the plants.
    """
    step = profile_of(service).settlement_interval(now.date())
    resolution = asset.sensor.event_resolution
    if resolution <= timedelta(0) or step % resolution:
        raise ResolutionMismatch(
            f"The battery is scheduled every {format_duration(resolution)}, which does not divide the settlement "
            f"interval of {format_duration(step)}."
        )
    if not asset.capacity_in_mw or asset.max_soc_in_mwh is None:
        raise BadFlexModel(f"Battery {asset.id} needs a capacity [MW] and a highest state of charge [MWh].")
    start = next_event_start(now, step)
    grid = event_grid(start, step, horizon // step)
    generation, consumption = _expect(session, service, grid, step, now)
    size = (asset.max_soc_in_mwh - (asset.min_soc_in_mwh or 0.0)) * KWH_PER_MWH
    stored = ((asset.soc_in_mwh or 0.0) - (asset.min_soc_in_mwh or 0.0)) * KWH_PER_MWH
    battery = SharedBattery(asset.capacity_in_mw * KW_PER_MW, size)
    power_kw = plan_shared_battery(
        to_units(generation), to_units(consumption), battery, step / timedelta(hours=1), stored_kwh=stored
    )
    power = np.repeat(power_kw / KW_PER_MW, step // resolution)
    _store(session, asset, start, power, now)
    return BatterySchedule(start, resolution, power)


def _expect(
    session: Session, service: CommunityService, grid: Any, step: timedelta, now: datetime
) -> tuple[Any, Any]:
    """Expect generation and consumption of all together [kWh] in each interval."""
    today = now.astimezone(find_zone(service.community.timezone)).date()
    block = next(make_blocks(session, service, [today]))
    plants = [(plant.sensor_id, plant.is_inverted) for plant in block.plants if plant.sensor_id]
    points = [one.supply_point for one in block.inscriptions]
    members = [(p.consumption_sensor_id, p.is_inverted) for p in points if p.consumption_sensor_id]
    expected = _Expectations(session, [number for number, _ in plants + members], grid, step)
    known = [values for meter in plants if not np.isnan(values := expected.of(*meter)).all()]
    if not known:
        raise NotEnoughData(
            f"Nothing is known of the plants of service {service.id}: no forecast, no last week."
        )
    used = [expected.of(*meter) for meter in members]
    return np.nansum(known, axis=0), np.nansum(used, axis=0) if used else np.zeros(len(grid))


class _Expectations:
    """Expected readings of meters: the newest belief about each interval, else that of a week before."""

    def __init__(self, session: Session, sensor_ids: Sequence[int], grid: Any, step: timedelta) -> None:
        self._sensors = {
            sensor.id: sensor for sensor in session.scalars(select(Sensor).where(Sensor.id.in_(sensor_ids)))
        }
        self._step, self._grid = step, grid
        width = np.timedelta64(to_microseconds(step), "us")
        self._read = [
            read_meters(
                session,
                MeterWindow(
                    tuple(self._sensors),
                    from_datetime64(grid[0] - back),
                    from_datetime64(grid[-1] + width - back),
                    with_forecasts=True,
                ),
            )
            for back in _BACK
        ]

    def of(self, sensor_id: int, is_inverted: bool) -> Any:
        """Give the energy of a meter in each interval [kWh]; NaN where nothing is known."""
        sensor = self._sensors[sensor_id]
        factor = kwh_per_value(sensor) * (self._step / sensor.event_resolution) * (-1 if is_inverted else 1)
        now, before = (
            self._means(read.get(sensor_id), self._grid - back)
            for read, back in zip(self._read, _BACK, strict=True)
        )
        return np.maximum(np.where(np.isnan(now), before, now) * factor, 0.0)

    def _means(self, series: tuple[Any, Any] | None, grid: Any) -> Any:
        """Average values over intervals; NaN where nothing is known."""
        count: Any = np.zeros(len(grid))
        total: Any = np.zeros(len(grid))
        if series is not None and len(series[0]):
            where = ((series[0] - grid[0]) // np.timedelta64(to_microseconds(self._step), "us")).astype(
                np.int64
            )
            count = np.bincount(where, minlength=len(grid))
            total = np.bincount(where, weights=series[1], minlength=len(grid))
        return np.divide(total, count, out=np.full(len(grid), np.nan), where=count > 0)


def _store(session: Session, asset: Asset, start: datetime, power: Any, now: datetime) -> None:
    """Store a plan as beliefs about the power of the battery."""
    sensor = asset.sensor
    source = get_or_create_source(session, "FlexMeasures", "scheduler", *_MODEL)
    starts = event_grid(start, sensor.event_resolution, len(power))
    times = belief_times(starts, sensor.event_resolution, now)
    horizons = belief_horizons(sensor.knowledge_rule, starts, sensor.event_resolution, times)
    values = power * conversion_factor("MW", sensor.unit)
    beliefs = Beliefs(starts, values, horizons, np.full(len(power), source.id, dtype=np.int32))
    insert_beliefs(session, [SensorBeliefs(sensor.id, beliefs)], InsertPolicy.REPLACE)
