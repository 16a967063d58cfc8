"""Overviews for people of communities: those that they may read, and members without data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload

from flexmeasures.data.stores.portfolio import read_newest_event
from flexmeasures.data.tables import (
    Community,
    CommunityMember,
    CommunityService,
    Generator,
    Inscription,
    Sensor,
    User,
)
from flexmeasures.domain.errors import NotAllowed
from flexmeasures.domain.monitoring import patience_for
from flexmeasures.domain.rights import Action, Kind, Thing, may
from flexmeasures.services.communities.access import READERS, find_community_of
from flexmeasures.services.communities.blocks import takes_part
from flexmeasures.services.rights import actor_of

__all__ = ["Meter", "is_staff", "list_meters", "list_readable"]

STAFF = ("staff",)


@dataclass(frozen=True)
class Meter:
    """A meter of a service.

    Attributes:
        owner: Name of the member or the plant.
        member_id: The member; None: it is that of a plant.
        point: Code of the supply point; empty for a plant.
        last_end: End of the last reading; None: there is none.
        is_late: Whether readings have stopped coming, or never came.
    """

    owner: str
    member_id: int | None
    point: str
    last_end: datetime | None
    is_late: bool


def list_readable(session: Session, user: User, today: date) -> list[Community]:
    """List the communities whose figures a user may read, by name."""
    everybody = session.scalars(select(Community).order_by(Community.name)).all()
    actor = actor_of(user)
    if "anonymous" in actor.roles:
        return []
    mine = set(
        session.scalars(
            select(CommunityMember.community_id).where(
                CommunityMember.user_id == user.id,
                CommunityMember.role.in_(READERS),
                CommunityMember.joined_on <= today,
                CommunityMember.left_on.is_(None) | (CommunityMember.left_on >= today),
            )
        )
    )
    return [
        one
        for one in everybody
        if one.id in mine or may(actor, Action.READ, Thing(Kind.ACCOUNT, account_id=one.account_id))
    ]


def is_staff(session: Session, user: User, community: Community, today: date) -> bool:
    """Tell whether a user may look at what concerns single members of a community."""
    try:
        find_community_of(session, user, community.id, today, roles=STAFF)
    except NotAllowed:
        return False
    return True


def list_meters(session: Session, service: CommunityService, now: datetime) -> list[Meter]:
    """List the meters of a service and when they were heard of last, those that are missing first; three queries."""
    plants = session.scalars(select(Generator).where(Generator.service_id == service.id)).all()
    inscriptions = session.scalars(
        select(Inscription)
        .where(Inscription.service_id == service.id)
        .options(joinedload(Inscription.member), joinedload(Inscription.supply_point))
    ).all()
    rows: list[tuple[str, int | None, str, int | None]] = [
        (one.name, None, "", one.sensor_id) for one in plants
    ]
    for one in inscriptions:
        if takes_part(one, now.date()):
            name = f"{one.member.name} {one.member.surnames}".strip()
            rows.append((name, one.member.id, one.supply_point.cups, one.supply_point.consumption_sensor_id))
    sensors = _sensors(session, [sensor_id for *_, sensor_id in rows])
    newest = read_newest_event(session, list(sensors.values()), now) if sensors else {}
    meters = []
    for name, member_id, point, sensor_id in rows:
        sensor = sensors.get(sensor_id or 0)
        last = newest.get(sensor_id or 0)
        last_end = None if last is None or sensor is None else last[0] + sensor.event_resolution
        is_late = last_end is None or sensor is None or last_end < now - patience_for(sensor.event_resolution)
        meters.append(Meter(name, member_id, point, last_end, is_late))
    return sorted(meters, key=lambda meter: (not meter.is_late, meter.member_id is not None, meter.owner))


def _sensors(session: Session, ids: Sequence[int | None]) -> dict[int, Sensor]:
    wanted = [one for one in ids if one is not None]
    return {one.id: one for one in session.scalars(select(Sensor).where(Sensor.id.in_(wanted)))}
