"""Areas of the grid: which users are eligible, and telling partners when that changes."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from sqlalchemy import select, text, update
from sqlalchemy.orm import Session

from flexmeasures.data.tables import (
    DrArea,
    DrClient,
    DrEligibilityChange,
    DrEventTarget,
    DrLocation,
    DrProgram,
    DrResource,
    DrUser,
)
from flexmeasures.domain.coordination.areas import Polygon
from flexmeasures.domain.errors import Conflict, InvalidInput
from flexmeasures.domain.quoting import quote
from flexmeasures.domain.time import find_zone
from flexmeasures.services.coordination.clients import Caller
from flexmeasures.services.coordination.events import create_event
from flexmeasures.services.coordination.objects import Sent, new_metadata

__all__ = [
    "ELIGIBILITY_PROGRAM",
    "NewArea",
    "add_area",
    "eligible_users",
    "operator_of",
    "program_named",
    "refresh_eligibility",
    "tell_eligibility",
]

ELIGIBILITY_PROGRAM = "user eligibility"
"""The programme of the events that tell which users are eligible."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewArea:
    """An area to be made: by its corners (longitude and latitude [degrees]) or by its meter points."""

    name: str
    program: str
    environment: str = "sandbox"
    corners: Sequence[Sequence[float]] | None = None
    meter_point_ids: tuple[str, ...] = ()
    price_area: str = "NO1"
    currency: str = "NOK"
    timezone: str = "Europe/Oslo"
    daily_at: str | None = None


def operator_of(environment: str) -> Caller:
    """Act as the operator, for what the platform does by itself."""
    return Caller(0, "operator", is_business_logic=True, environment=environment, scopes=frozenset())


def program_named(session: Session, environment: str, name: str, now: datetime) -> DrProgram:
    """Find a programme by name, or make it."""
    program: DrProgram | None = session.scalar(
        select(DrProgram).where(
            DrProgram.environment == environment, DrProgram.name == name, DrProgram.deleted_at.is_(None)
        )
    )
    if program is None:
        sent = Sent({"programName": name})
        program = DrProgram(**new_metadata(operator_of(environment), sent, now), name=name)
        session.add(program)
        session.flush()
    return program


def add_area(session: Session, new: NewArea, now: datetime) -> DrArea:
    """Make an area, and find out who is eligible there.

    Raises:
        InvalidInput: If its border, zone or time of day is not possible.
        Conflict: If there is one of that name.
    """
    if (new.corners is None) == (not new.meter_point_ids):
        raise InvalidInput("Give either the corners of an area or its meter points.")
    if new.corners is not None:
        Polygon(np.asarray(new.corners, float))
    find_zone(new.timezone)
    taken = select(DrArea.id).where(DrArea.environment == new.environment, DrArea.name == new.name)
    if session.scalar(taken) is not None:
        raise Conflict(f"There is an area {quote(new.name)} already.")
    area = DrArea(
        environment=new.environment,
        name=new.name,
        target=f"area-{uuid.uuid4()}",
        program_id=program_named(session, new.environment, new.program, now).id,
        corners=None if new.corners is None else [list(corner) for corner in new.corners],
        meter_point_ids=list(new.meter_point_ids),
        price_area=new.price_area,
        currency=new.currency,
        timezone=new.timezone,
        daily_at=new.daily_at,
    )
    session.add(area)
    session.flush()
    refresh_eligibility(session, new.environment, now)
    return area


def refresh_eligibility(
    session: Session, environment: str, now: datetime, user_id: int | None = None
) -> None:
    """Find out anew who is eligible, after a location or an area has changed.

    Resources in an area are granted its target; users who enter or leave are noted, to be told of later.

    Args:
        session: Of the transaction.
        environment: Whose areas and users.
        now: When.
        user_id: Of one user's locations; None: of all.
    """
    query = (
        select(DrLocation, DrUser)
        .join(DrUser, DrUser.id == DrLocation.user_id)
        .join(DrClient, DrClient.id == DrUser.client_id)
        .where(DrClient.environment == environment)
    )
    if user_id is not None:
        query = query.where(DrUser.id == user_id)
    rows = session.execute(query).all()
    for area in session.scalars(select(DrArea).where(DrArea.environment == environment)).all():
        inside = _inside(area, [location for location, _ in rows])
        users = {user.id: user for _, user in rows}
        eligible = {user.id for (_, user), is_in in zip(rows, inside, strict=True) if is_in}
        _grant(
            session,
            area,
            [location.id for location, _ in rows],
            {location.id for (location, _), is_in in zip(rows, inside, strict=True) if is_in},
        )
        _note_changes(session, area, users, eligible, now)


def _inside(area: DrArea, locations: Sequence[DrLocation]) -> list[bool]:
    known = set(area.meter_point_ids)
    by_meter = [not known.isdisjoint(location.meter_point_ids) for location in locations]
    if area.corners is None or not locations:
        return by_meter
    places = np.array(
        [
            (np.nan if x.longitude is None else x.longitude, np.nan if x.latitude is None else x.latitude)
            for x in locations
        ],
        dtype=float,
    )
    in_polygon = Polygon(np.asarray(area.corners, float)).contains(places[:, 0], places[:, 1])
    return [bool(a or b) for a, b in zip(by_meter, in_polygon, strict=True)]


def _grant(session: Session, area: DrArea, looked_at: list[int], inside: set[int]) -> None:
    """Grant the target of an area to the resources in it, and take it from those that left."""
    resources = session.scalars(select(DrResource).where(DrResource.location_id.in_(looked_at))).all()
    for resource in resources:
        has, should = area.target in resource.targets, resource.location_id in inside
        if has == should:
            continue
        targets = [t for t in resource.targets if t != area.target] + ([area.target] if should else [])
        resource.targets = targets
        resource.content = {**resource.content, "targets": targets}
    session.flush()


_LAST = text("""
select distinct on (user_id, client_id) user_id, client_id, is_eligible from dr_eligibility_change
where area_id = :area_id and (client_id, user_id) in (select client_id, user_id from dr_user where id = any(:ids))
order by user_id, client_id, id desc
""")


def _note_changes(
    session: Session, area: DrArea, users: dict[int, DrUser], eligible: set[int], now: datetime
) -> None:
    last = {
        (client_id, user_id): is_eligible
        for user_id, client_id, is_eligible in session.execute(
            _LAST, {"area_id": area.id, "ids": list(users)}
        )
    }
    for user in users.values():
        is_eligible = user.id in eligible
        if last.get((user.client_id, user.user_id), False) != is_eligible:
            session.add(
                DrEligibilityChange(
                    client_id=user.client_id,
                    user_id=user.user_id,
                    area_id=area.id,
                    is_eligible=is_eligible,
                    changed_at=now,
                )
            )
    session.flush()


_ELIGIBLE = text("""
select distinct user_id from (
    select distinct on (user_id, area_id) user_id, is_eligible from dr_eligibility_change
    where client_id = :client_id order by user_id, area_id, id desc
) last where is_eligible and user_id in (select user_id from dr_user where client_id = :client_id) order by user_id
""")


def eligible_users(session: Session, caller: Caller) -> list[str]:
    """List the users of a partner who may take part in something."""
    return list(session.scalars(_ELIGIBLE, {"client_id": caller.id}))


def tell_eligibility(
    session: Session, now: datetime, interval: timedelta, caller: Caller | None = None
) -> int:
    """Tell partners of changes that were gathered long enough: one event for each partner.

    Args:
        session: Of the transaction.
        now: When.
        interval: For how long changes are gathered.
        caller: Tell this partner at once, also if nothing has changed; None: all whose time has come.

    Returns:
        How many events were made.
    """
    waiting = select(DrEligibilityChange).where(DrEligibilityChange.event_id.is_(None))
    if caller is not None:
        waiting = waiting.where(DrEligibilityChange.client_id == caller.id)
    by_client: dict[int, list[DrEligibilityChange]] = {} if caller is None else {caller.id: []}
    for change in session.scalars(waiting.order_by(DrEligibilityChange.id).with_for_update(skip_locked=True)):
        by_client.setdefault(change.client_id, []).append(change)
    made = 0
    for client_id, changes in by_client.items():
        if caller is None and min(change.changed_at for change in changes) + interval > now:
            continue
        _tell(session, client_id, changes, now)
        made += 1
    return made


def _tell(session: Session, client_id: int, changes: Sequence[DrEligibilityChange], now: datetime) -> None:
    client = session.get_one(DrClient, client_id)
    final = {change.user_id: change.is_eligible for change in changes}
    payloads = [
        {"type": "ADDED_USERS", "values": [user for user, is_in in final.items() if is_in]},
        {"type": "REMOVED_USERS", "values": [user for user, is_in in final.items() if not is_in]},
    ]
    program = program_named(session, client.environment, ELIGIBILITY_PROGRAM, now)
    content = {
        "programID": program.id,
        "targets": [f"partner-{client_id}"],
        "intervals": [{"id": 0, "payloads": payloads}],
    }
    event = create_event(session, operator_of(client.environment), Sent(content), now, "UserEligibility")
    session.add(DrEventTarget(event_id=event.id, client_id=client_id))
    session.execute(
        update(DrEligibilityChange)
        .where(DrEligibilityChange.id.in_([change.id for change in changes]))
        .values(event_id=event.id)
    )
    session.flush()
