"""Making schedules for UDI events, alone or with their site, and reading them back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from sqlalchemy.orm import Session

from flexmeasures.data.stores.flexibility import agreed_powers
from flexmeasures.data.stores.plans import find_device_plan_of_event
from flexmeasures.data.stores.sites import site_ids
from flexmeasures.data.tables import Asset, DeviceState, PlanRecord
from flexmeasures.domain.errors import FlexError, NotFound
from flexmeasures.domain.scheduling.planning.assets import Plan
from flexmeasures.services.schedules.gather import Planning, PlanWish, read_plan_inputs
from flexmeasures.services.schedules.request import ScheduleRequest
from flexmeasures.services.schedules.schedulers import plan_with_scheduler
from flexmeasures.services.schedules.site_facts import SiteParts, parts_of_site
from flexmeasures.services.schedules.sites import FindRequest, make_site_schedule
from flexmeasures.services.schedules.store import store_plans

__all__ = [
    "EventSchedule",
    "MadeSchedule",
    "is_stored",
    "make_schedule",
    "plan_schedule",
    "read_schedule_of_event",
]

Values = np.ndarray[Any, np.dtype[np.float64]]


def is_stored(session: Session, request: ScheduleRequest) -> bool:
    """Wait for the transaction that ordered a schedule to end, and tell whether it succeeded."""
    state = session.get(DeviceState, request.asset_id, with_for_update={"key_share": True})
    if state is None:
        return False
    return not request.in_order or (state.soc_udi_event_id or 0) >= request.event_id


@dataclass(frozen=True)
class MadeSchedule:
    """What came of an order for the schedule of a device.

    Attributes:
        slots: How many slots were planned.
        notes: What the owner should know about the plan.
        missed: What it does not keep, ready for JSON.
    """

    slots: int
    notes: tuple[str, ...]
    missed: tuple[dict[str, Any], ...]


def make_schedule(
    session: Session,
    request: ScheduleRequest,
    planning: Planning | None = None,
    find_request: FindRequest = lambda asset_id, event_id: None,
) -> MadeSchedule:
    """Plan a device from its state of charge on, with its site if it has one, and store the plan.

    Args:
        session: Within its transaction; the caller commits.
        request: The state of charge and the targets.
        planning: How to plan, and with which solver.
        find_request: Finds what other events of the site ask for, by asset and number of the event.

    Raises:
        NotFound: If the device does not exist any more.
        UnknownPrices: If it has no market, or no price is known for any part of the planning window.
        BadFlexModel: If it has no flex model, or one that contradicts itself.
        BadFlexContext: The same for the flex context of its site.
        NotEnoughData: If what it needs of forecasts is not known.
    """
    planning = planning or Planning()
    asset = session.get(Asset, request.asset_id)
    if asset is None:
        raise NotFound(f"There is no asset with id {request.asset_id} any more.")
    parts = _site_of(session, asset)
    if parts is not None:
        return _of_device(asset, make_site_schedule(session, parts, request, planning, find_request))
    plan = plan_schedule(session, asset, request, planning)
    store_plans(session, [(asset, plan)], request.recorded_at, planning.kept, request.event_id)
    return MadeSchedule(len(plan.power_mw), plan.notes, tuple(plan.missed_as_data))


def _site_of(session: Session, asset: Asset) -> SiteParts | None:
    """Find the site with which an asset is planned; None: it is planned alone."""
    site_id = site_ids(session, [asset.id]).get(asset.id)
    if site_id is None:
        return None
    try:
        parts = parts_of_site(session, site_id)
    except NotFound:
        return None
    return parts if any(one.id == asset.id for one, _ in parts.devices) else None


def _of_device(asset: Asset, plan: PlanRecord) -> MadeSchedule:
    device = next(one for one in plan.devices if one.sensor_id == asset.sensor.id)
    return MadeSchedule(len(device.power_mw), tuple(plan.notes), tuple(device.missed))


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
