"""Descriptions of a community, its services and its members, without metrics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy import distinct, func, select
from sqlalchemy.orm import Session

from flexmeasures.data.stores import communities as store
from flexmeasures.data.tables import (
    Community,
    CommunityMember,
    CommunityService,
    Generator,
    Inscription,
    SupplyPoint,
)
from flexmeasures.domain.communities.allocation import WHOLE
from flexmeasures.domain.communities.life_cycle import ACTION_KINDS, InscriptionState, ServiceStatus
from flexmeasures.services.communities.access import MemberView
from flexmeasures.services.communities.blocks import read_coefficients_of, takes_part

__all__ = [
    "ActionKind",
    "CommunityView",
    "NetworkView",
    "OwnShare",
    "ServiceView",
    "own_share",
    "view_community",
    "view_network",
    "view_services",
]


@dataclass(frozen=True)
class ActionKind:
    """One of the eight kinds of action, and whether a community runs it."""

    name: str
    type: str
    is_active: bool


@dataclass(frozen=True)
class CommunityView:
    """A community with the number of its members and what it runs."""

    community: Community
    members: int
    kinds: tuple[ActionKind, ...]


@dataclass(frozen=True)
class ServiceView:
    """A service with the number of people and entities attached, and whether it is measured."""

    service: CommunityService
    inscriptions: int
    has_monitoring: bool


@dataclass(frozen=True)
class OwnShare:
    """A member's own part of a service: coefficient from 0 to 1, and the day of inscription."""

    share: float | None
    since: date | None


@dataclass(frozen=True)
class NetworkView:
    """Public figures of all communities that take part in open data."""

    members: int
    active: int
    goal: int
    total: int
    in_activation: int


def view_community(session: Session, community: Community, today: date) -> CommunityView:
    """Count the members of a community, and list the kinds of action."""
    members = session.scalar(
        select(func.count(CommunityMember.id)).where(
            CommunityMember.community_id == community.id,
            CommunityMember.role != "provider",
            CommunityMember.joined_on <= today,
            CommunityMember.left_on.is_(None) | (CommunityMember.left_on >= today),
        )
    )
    kinds = tuple(ActionKind(name, kind, kind in community.action_kinds) for kind, name in ACTION_KINDS)
    return CommunityView(community, members or 0, kinds)


def view_services(session: Session, services: Sequence[CommunityService]) -> list[ServiceView]:
    """Count who is attached to services, and tell which are measured, in two queries."""
    ids = [service.id for service in services]
    counts = session.execute(
        select(Inscription.service_id, func.count(distinct(Inscription.member_id)))
        .where(Inscription.service_id.in_(ids), Inscription.state != InscriptionState.CANCELLED)
        .group_by(Inscription.service_id)
    )
    attached = {row[0]: row[1] for row in counts}
    measured = set(
        session.scalars(
            select(Generator.service_id)
            .join(Inscription, Inscription.service_id == Generator.service_id)
            .join(SupplyPoint, Inscription.supply_point_id == SupplyPoint.id)
            .where(
                Generator.service_id.in_(ids),
                Generator.sensor_id.is_not(None),
                SupplyPoint.consumption_sensor_id.is_not(None),
            )
            .distinct()
        )
    )
    return [ServiceView(one, attached.get(one.id, 0), one.id in measured) for one in services]


def own_share(session: Session, view: MemberView, today: date) -> OwnShare:
    """Find a member's coefficient today; the mean of hourly ones, None where no table is in force."""
    since = min((one.starts_on for one in view.inscriptions if one.starts_on is not None), default=None)
    tables = [
        table
        for table in store.tables_in_force(session, view.service.id)
        if table.starts_on is not None and table.starts_on <= today
    ]
    if not tables:
        return OwnShare(None, since)
    cups = [one.supply_point.cups for one in view.inscriptions if takes_part(one, today)]
    keys = read_coefficients_of(tables[-1]).keys(cups)
    return OwnShare(round(float(keys.mean(axis=0).sum() if keys.ndim == 2 else keys.sum()) / WHOLE, 6), since)


def view_network(session: Session) -> NetworkView:
    """Count communities and members for the public."""
    shown = select(Community.id).where(Community.in_open_data)
    total = session.scalar(select(func.count()).select_from(shown.subquery())) or 0
    members = session.scalar(
        select(func.count(CommunityMember.id)).where(
            CommunityMember.community_id.in_(shown),
            CommunityMember.role != "provider",
            CommunityMember.left_on.is_(None),
        )
    )

    def with_status(status: ServiceStatus) -> int:
        query = select(func.count(distinct(CommunityService.community_id))).where(
            CommunityService.status == status, CommunityService.community_id.in_(shown)
        )
        return session.scalar(query) or 0

    goal = session.scalar(select(func.sum(Community.member_goal)).where(Community.in_open_data))
    return NetworkView(
        members or 0,
        with_status(ServiceStatus.ACTIVE),
        goal or 0,
        total,
        with_status(ServiceStatus.ACTIVATION),
    )
