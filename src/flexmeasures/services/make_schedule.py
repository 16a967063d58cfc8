"""Make the schedule of a device, store it, and read it back."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from sqlalchemy.orm import Session

from flexmeasures.data.stores.beliefs import (
    SensorBeliefs,
    SourceFilter,
    Window,
    insert_beliefs,
    read_latest,
)
from flexmeasures.data.stores.users import get_or_create_source
from flexmeasures.data.tables import Asset
from flexmeasures.domain.beliefs import Beliefs, belief_horizons, belief_times, mean_per_bin
from flexmeasures.domain.errors import NotFound, UnknownPrices
from flexmeasures.domain.scheduling import PlanOptions, Schedule, plan_storage, storage_of_asset_type
from flexmeasures.domain.time import (
    event_grid,
    format_instant,
    from_datetime64,
    to_datetime64,
    to_microseconds,
)
from flexmeasures.services.request_schedule import ScheduleRequest

__all__ = ["Plan", "is_stored", "make_schedule", "plan_schedule", "read_schedule"]

Values = np.ndarray[Any, np.dtype[np.float64]]

SCHEDULER = ("FlexMeasures", "scheduler", "storage", "1")
"""Name, type, model and version of the source of schedules."""


@dataclass(frozen=True)
class Plan:
    """A schedule with its place in time.

    Attributes:
        start: Start of the first slot.
        resolution: Length of a slot.
        schedule: What the device should do.
        notes: What the owner should know: limits that could not be kept, prices that were not known.
    """

    start: datetime
    resolution: timedelta
    schedule: Schedule
    notes: tuple[str, ...]


def is_stored(session: Session, request: ScheduleRequest) -> bool:
    """Wait for the transaction that ordered a schedule to end, and tell whether it succeeded."""
    asset = session.get(Asset, request.asset_id, with_for_update={"of": Asset, "key_share": True})
    if asset is None:
        return False
    return not request.in_order or (asset.soc_udi_event_id or 0) >= request.event_id


def make_schedule(session: Session, request: ScheduleRequest, options: PlanOptions | None = None) -> Plan:
    """Plan a device from its state of charge on and store the plan as beliefs about its power.

    Args:
        session: Within its transaction; the caller commits.
        request: The state of charge and the targets.
        options: How to plan, and with which solver.

    Raises:
        NotFound: If the device does not exist any more.
        UnknownPrices: If it has no market, or no price is known for any part of the planning window.
    """
    asset = session.get(Asset, request.asset_id)
    if asset is None:
        raise NotFound(f"There is no asset with id {request.asset_id} any more.")
    plan = plan_schedule(session, asset, request, options)
    _store(session, asset, request, plan)
    return plan


def plan_schedule(
    session: Session, asset: Asset, request: ScheduleRequest, options: PlanOptions | None = None
) -> Plan:
    """Plan a device from its state of charge on, without storing anything.

    Raises:
        UnknownPrices: If it has no market, or no price is known for any part of the planning window.
    """
    resolution = asset.sensor.event_resolution
    prices, notes = _known_prices(session, asset, request, resolution)
    schedule = _solve(asset, request, resolution, prices, options)
    # Limits are reported by time instead of by the number of a slot.
    other = set(schedule.notes) - {str(missed) for missed in schedule.missed}
    timed = [m.sentence(format_instant(request.at + m.index * resolution)) for m in schedule.missed]
    return Plan(request.at, resolution, schedule, (*notes, *sorted(other), *timed))


def _known_prices(
    session: Session, asset: Asset, request: ScheduleRequest, resolution: timedelta
) -> tuple[Values, tuple[str, ...]]:
    """Read prices exactly on the grid of the schedule.

    After the last known price nothing is planned. Before and between known prices a missing one is taken to be like
    its neighbour, the earlier one if there is one.

    Returns:
        Prices, shape ``(n_slots,)``, and what to say about them.
    """
    if asset.market is None:
        raise UnknownPrices(f"Prices unknown for planning window: {asset.name!r} has no market. Give it one.")
    market = asset.market.sensor
    count = max(1, request.horizon // resolution)
    edges = event_grid(request.at, resolution, count + 1)
    end = from_datetime64(edges[-1])
    starts, values = read_latest(session, Window(market.id, market.event_resolution, request.at, end))
    prices, covered = mean_per_bin(starts, values, market.event_resolution, edges)
    known = np.flatnonzero(covered >= 1)
    if not len(known):
        raise UnknownPrices(
            f"Prices unknown for planning window: market {asset.market.name!r} has none from "
            f"{format_instant(request.at)} to {format_instant(end)}. Post them and send a new UDI event."
        )
    prices = prices[: known[-1] + 1]
    notes = []
    if len(prices) < count:
        last = format_instant(from_datetime64(edges[len(prices)]))
        notes.append(f"Prices are known until {last}, so the schedule ends there.")
    if len(known) < len(prices):
        # For each slot the last known one up to it; before the first known slot, that one.
        nearest = known[np.maximum(np.searchsorted(known, np.arange(len(prices)), side="right") - 1, 0)]
        notes.append(f"{len(prices) - len(known)} missing prices were taken to be like the ones beside them.")
        prices = prices[nearest]
    return prices, tuple(notes)


def _solve(
    asset: Asset,
    request: ScheduleRequest,
    resolution: timedelta,
    prices: Values,
    options: PlanOptions | None,
) -> Schedule:
    hours = resolution / timedelta(hours=1)
    targets = {}
    for target in request.targets:
        # A target between two slots is met at the end of the earlier one, so that it holds at its time.
        targets[max(1, (target.at - request.at) // resolution)] = target.soc_mwh
    device = storage_of_asset_type(
        asset.asset_type_name,
        asset.name,
        asset.capacity_in_mw,
        soc_at_start_mwh=request.soc_mwh,
        targets=targets,
        min_soc_mwh=asset.min_soc_in_mwh,
        max_soc_mwh=asset.max_soc_in_mwh,
    )
    later = {boundary: soc for boundary, soc in targets.items() if boundary > len(prices)}
    if later:
        # What is wanted after the last known price must stay within reach.
        lowest = np.full(len(prices) + 1, asset.min_soc_in_mwh or 0.0)
        needed = max(soc - asset.capacity_in_mw * hours * (b - len(prices)) for b, soc in later.items())
        lowest[-1] = max(lowest[-1], needed)
        device = replace(device, soc_min_mwh=lowest)
    return plan_storage(
        device,
        prices,
        resolution_hours=hours,
        soc_at_start=request.soc_mwh,
        targets={boundary: soc for boundary, soc in targets.items() if boundary <= len(prices)},
        options=options,
    )


def _store(session: Session, asset: Asset, request: ScheduleRequest, plan: Plan) -> None:
    source = get_or_create_source(session, *SCHEDULER)
    sensor = asset.sensor
    power = plan.schedule.power_mw
    starts = event_grid(plan.start, plan.resolution, len(power))
    times = belief_times(starts, plan.resolution, request.recorded_at)
    horizons = belief_horizons(sensor.knowledge_rule, starts, plan.resolution, times)
    beliefs = Beliefs(starts, power, horizons, np.full(len(power), source.id, dtype=np.int32))
    # A job that was interrupted after its commit runs once more, and then finds its own beliefs.
    insert_beliefs(session, [SensorBeliefs(sensor.id, beliefs)], overwrite=True)


def read_schedule(session: Session, asset: Asset, start: datetime, duration: timedelta) -> Values:
    """Read the newest schedule of a device.

    Args:
        session: For reading.
        asset: The device.
        start: Start of the first slot.
        duration: How much of it is wanted; less than a slot counts as one slot.

    Returns:
        Power [MW, consumption positive] in consecutive slots from ``start``: shape ``(n,)``; empty if there is none.
    """
    resolution = asset.sensor.event_resolution
    end = start.astimezone(UTC) + max(duration, resolution)
    sources = SourceFilter(types=("scheduler",))
    window = Window(asset.id, resolution, start, end, sources=sources)
    starts, power = read_latest(session, window)
    # Schedules from other instants may lie between the slots of this one.
    offsets = starts - to_datetime64(start)
    step = np.timedelta64(to_microseconds(resolution), "us")
    on_grid = (offsets >= np.timedelta64(0, "us")) & (offsets % step == np.timedelta64(0, "us"))
    slots = (offsets[on_grid] // step).astype(np.int64)
    consecutive = slots == np.arange(len(slots))
    newest: Values = power[on_grid][consecutive]
    return newest[: max(1, duration // resolution)]
