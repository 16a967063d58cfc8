"""Take note of a device's state of charge and have its schedule made."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from flexmeasures.data.stores.assets import lock_device_state
from flexmeasures.data.tables import Asset, User
from flexmeasures.domain.errors import BadAddress, BadValues, Conflict, InvalidTime, NotFound
from flexmeasures.domain.ids import MAX_ID
from flexmeasures.domain.rights import Action
from flexmeasures.domain.time import format_duration, format_instant
from flexmeasures.services.rights import may_by_owner

__all__ = [
    "SCHEDULED_TYPES",
    "OutdatedEvent",
    "ScheduleRequest",
    "SocTarget",
    "find_device",
    "request_schedule",
]

SCHEDULED_TYPES = ("battery", "one-way_evse", "two-way_evse")
"""Asset types for which schedules are made."""


class OutdatedEvent(Conflict):
    """An event that is not newer than the last one of its device."""

    code = "outdated-event"


@dataclass(frozen=True)
class SocTarget:
    """A state of charge that a device must have at an instant.

    Attributes:
        at: The instant.
        soc_mwh: The state of charge [MWh].
    """

    at: datetime
    soc_mwh: float


@dataclass(frozen=True)
class ScheduleRequest:
    """A UDI event: the state of a device, and what its owner wants of it.

    Attributes:
        asset_id: The device.
        event_id: Number of the event; later events of a device have higher numbers.
        at: When the device has this state of charge; the schedule starts here.
        soc_mwh: The state of charge [MWh].
        targets: What the owner wants.
        recorded_at: When the event was received; the schedule's belief time.
        horizon: How far ahead to plan.
        in_order: Whether events must follow each other; not in play mode.
        strictly_later: Whether an event must then be later than the one before, not only have a higher number.
    """

    asset_id: int
    event_id: int
    at: datetime
    soc_mwh: float
    targets: tuple[SocTarget, ...]
    recorded_at: datetime
    horizon: timedelta
    in_order: bool = True
    strictly_later: bool = False


def find_device(
    session: Session,
    user: User,
    asset_id: int,
    lock: bool = False,
    types: tuple[str, ...] = SCHEDULED_TYPES,
) -> Asset:
    """Get a device for which schedules can be made.

    Args:
        session: Within its transaction.
        user: Its owner, or an admin.
        asset_id: The device.
        lock: Whether to keep its state from changing until the transaction ends.
        types: Asset types that may be scheduled; with `SCHEDULED_TYPES` also others that have a flex model.

    Raises:
        NotFound: If there is none, or it belongs to somebody else.
        BadAddress: If no schedules are made for its type.
    """
    found = session.get(Asset, asset_id) if asset_id <= MAX_ID else None
    action = Action.CREATE_CHILDREN if lock else Action.READ
    asset = _check_owner(user, found, asset_id, action)
    if lock:
        # Only now, or a stranger could make the owner wait; and again, because it may have changed hands meanwhile.
        lock_device_state(session, asset_id)
        asset = _check_owner(user, session.get(Asset, asset_id, populate_existing=True), asset_id, action)
    if asset.asset_type_name not in types and not (types == SCHEDULED_TYPES and _is_flexible(asset)):
        raise BadAddress(
            f"Asset {asset_id} is a {asset.asset_type.display_name}. UDI events are understood for {', '.join(types)}."
        )
    return asset


def _check_owner(user: User, asset: Asset | None, asset_id: int, action: Action) -> Asset:
    if asset is None or not may_by_owner(user, action, asset):
        raise NotFound(f"You have no asset with id {asset_id}. Choose one of your own.")
    return asset


def _is_flexible(asset: Asset) -> bool:
    return asset.flex_model is not None or asset.asset_type.flex_model is not None


def request_schedule(
    session: Session,
    asset: Asset,
    request: ScheduleRequest,
    enqueue: Callable[[ScheduleRequest], None],
    latest: datetime | None = None,
) -> None:
    """Store a device's state of charge and order its schedule.

    The order is placed last, while the asset is still locked: its job waits for the lock, and so for the outcome of
    this transaction.

    Args:
        session: Within its transaction; the caller commits.
        asset: From `find_device`.
        request: The event.
        enqueue: Places the order.
        latest: A known state of charge of a later time than this does not make the event outdated: it was a mistake,
            which must not block the device until then.

    Raises:
        InvalidTime: If the event is older than the device's state, or a target lies outside the planning window.
        OutdatedEvent: If an event with this or a higher number was received before.
        BadValues: If a state of charge is negative or no finite number.
    """
    for soc in (request.soc_mwh, *(t.soc_mwh for t in request.targets)):
        if not math.isfinite(soc) or soc < 0:
            raise BadValues(f"A state of charge of {soc} MWh is impossible. Send a number from 0 up.")
    if request.in_order:
        _check_order(asset, request, latest)
    end = request.at + request.horizon
    for target in request.targets:
        if not request.at < target.at <= end:
            raise InvalidTime(
                f"The target at {format_instant(target.at)} does not lie within {format_duration(request.horizon)} "
                f"after {format_instant(request.at)}. Choose a later or an earlier time."
            )
    asset.soc_datetime = request.at
    asset.soc_in_mwh = request.soc_mwh
    asset.soc_udi_event_id = request.event_id
    session.flush()
    enqueue(request)


def _check_order(asset: Asset, request: ScheduleRequest, latest: datetime | None) -> None:
    known = asset.soc_datetime
    if known is not None and latest is not None and known > latest:
        known = None
    if known is not None and (request.at < known or (request.strictly_later and request.at == known)):
        raise InvalidTime(
            f"The date and time {format_instant(request.at)} do not lie after the latest known state of charge, "
            f"which is of {format_instant(known)}. Send a later one."
        )
    if asset.soc_udi_event_id is not None and request.event_id <= asset.soc_udi_event_id:
        raise OutdatedEvent(
            f"Event {request.event_id} is not newer than the latest one, {asset.soc_udi_event_id}. "
            "Use a higher number."
        )
