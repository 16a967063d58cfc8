"""Planning sites: all devices behind one connection in one plan, for a UDI event of one of them or by the clock."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from flexmeasures.data.stores.plans import find_device_plan_of_event
from flexmeasures.data.stores.sites import lock_site
from flexmeasures.data.tables import Asset, PlanRecord
from flexmeasures.domain.errors import FlexError
from flexmeasures.domain.scheduling.planning.sites import SitePlanned, plan_whole_site
from flexmeasures.services.schedules.gather import Planning
from flexmeasures.services.schedules.request import ScheduleRequest
from flexmeasures.services.schedules.site_facts import DeviceEvent, SiteParts, floor_to, gather_site
from flexmeasures.services.schedules.store import plan_id, store_site_plan

__all__ = ["FindRequest", "make_site_schedule", "replan_site"]

FindRequest = Callable[[int, int], ScheduleRequest | None]
"""Finds what an event of an asset asks for, by the asset and the number of the event; None: that is not known."""


def make_site_schedule(
    session: Session,
    parts: SiteParts,
    request: ScheduleRequest,
    planning: Planning,
    find_request: FindRequest,
) -> PlanRecord:
    """Plan the site of a device for a UDI event, together with what other devices have reported for the same slot.

    All devices share slots: the plan starts with the slot in which the event happens. An event that was planned for
    together with another one is not planned for again.

    Raises:
        FlexError: If the site, or the device of the event, cannot be planned.
    """
    lock_site(session, parts.root.id)
    asset = next(one for one, _ in parts.devices if one.id == request.asset_id)
    known = (
        find_device_plan_of_event(session, asset.sensor.id, request.event_id) if request.in_order else None
    )
    if known is not None:
        return known.plan
    _, longest = parts.resolutions
    start = floor_to(request.at, longest)
    requests = {asset.id: request}
    for other, _ in parts.devices:
        found = None if other.id == asset.id else _waiting(session, other, start, longest, find_request)
        if found is not None:
            requests[other.id] = found
    events = {number: _as_event(one) for number, one in requests.items()}
    planned = _plan(session, parts, (start, request.horizon), events, planning)
    if all(one.asset_id != asset.id for one in planned.devices):
        reason = next((note for note in planned.notes if note.startswith(f"{asset.name} is left out")), "")
        raise FlexError(reason or f"{asset.name} cannot be planned.")
    kept = {one.asset_id for one in planned.devices}
    event_ids = {number: one.event_id for number, one in events.items() if number in kept}
    return store_site_plan(session, parts, planned, request.recorded_at, event_ids, planning.kept)


def _waiting(
    session: Session, asset: Asset, start: datetime, slot: timedelta, find_request: FindRequest
) -> ScheduleRequest | None:
    """Find the last event of a device, if it is about the same slot and no plan was made for it."""
    number, at = asset.soc_udi_event_id, asset.soc_datetime
    if number is None or at is None or floor_to(at, slot) != start:
        return None
    if find_device_plan_of_event(session, asset.sensor.id, number) is not None:
        return None
    return find_request(asset.id, number)


def _as_event(request: ScheduleRequest) -> DeviceEvent:
    targets = {target.at: target.soc_mwh for target in request.targets}
    return DeviceEvent(request.event_id, request.soc_mwh, targets)


def replan_site(
    session: Session,
    parts: SiteParts,
    window: tuple[datetime, timedelta],
    recorded_at: datetime,
    planning: Planning,
) -> SitePlanned | None:
    """Plan a site from its known states of charge on, and store the plan.

    Args:
        session: Within its transaction; the caller commits.
        parts: The site.
        window: From when on; the plan starts with the first slot from then on. And how far ahead.
        recorded_at: The belief time of the plan.
        planning: How to plan.

    Returns:
        The plan; None if the site was planned with the same belief time before.

    Raises:
        FlexError: If it cannot be planned.
    """
    lock_site(session, parts.root.id)
    if session.get(PlanRecord, plan_id(parts.root.id, recorded_at, [])) is not None:
        return None
    _, longest = parts.resolutions
    start, horizon = window
    first = floor_to(start, longest)
    if first < start:
        first += longest
    planned = _plan(session, parts, (first, horizon), {}, planning)
    store_site_plan(session, parts, planned, recorded_at, {}, planning.kept)
    return planned


def _plan(
    session: Session,
    parts: SiteParts,
    window: tuple[datetime, timedelta],
    events: dict[int, DeviceEvent],
    planning: Planning,
) -> SitePlanned:
    facts = gather_site(session, parts, window, events, planning)
    return plan_whole_site(facts, planning.options, planning.replanning_price)
