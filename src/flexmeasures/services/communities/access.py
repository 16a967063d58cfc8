"""Who may see what of a community: staff and members see it, members only their own supply points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from flexmeasures.data.tables import (
    Community,
    CommunityMember,
    CommunityService,
    Inscription,
    User,
)
from flexmeasures.domain.communities.life_cycle import ServiceStatus
from flexmeasures.domain.errors import NotAllowed, NotFound
from flexmeasures.services.users import is_admin

__all__ = [
    "MemberView",
    "find_community_of",
    "find_member_service",
    "find_service",
    "list_memberships",
    "list_services",
    "own_inscriptions",
]

MAX_ID = 2**31 - 1

READERS = ("staff", "member")
"""Roles in a community with which its figures may be read."""


@dataclass(frozen=True)
class MemberView:
    """A service as one of its members sees it."""

    service: CommunityService
    inscriptions: tuple[Inscription, ...]


def find_community_of(
    session: Session, user: User, community_id: int, today: date, roles: Sequence[str] = READERS
) -> Community:
    """Get a community in which a user has a role.

    Raises:
        NotAllowed: If the user has none of the roles there, or there is no such community: indistinguishable to the
            caller.
    """
    community = session.get(Community, community_id) if 0 < community_id <= MAX_ID else None
    if community is not None and not is_admin(user):
        query = select(CommunityMember.id).where(
            CommunityMember.community_id == community.id,
            CommunityMember.user_id == user.id,
            CommunityMember.role.in_(roles),
            CommunityMember.joined_on <= today,
            or_(CommunityMember.left_on.is_(None), CommunityMember.left_on >= today),
        )
        if session.scalar(query.limit(1)) is None:
            community = None
    if community is None:
        raise NotAllowed("You have no role in this community. Ask its staff.")
    return community


def list_services(
    session: Session, community: Community, only_active: bool = False
) -> list[CommunityService]:
    """List the services of a community without drafts, by id."""
    query = select(CommunityService).where(CommunityService.community_id == community.id)
    if only_active:
        query = query.where(CommunityService.status == ServiceStatus.ACTIVE)
    query = query.where(CommunityService.status != ServiceStatus.DRAFT).order_by(CommunityService.id)
    return list(session.scalars(query))


def find_service(session: Session, community: Community, service_id: int) -> CommunityService:
    """Get a service of a community that is not a draft.

    Raises:
        NotFound: If there is none, or it belongs to another community.
    """
    service = session.get(CommunityService, service_id) if 0 < service_id <= MAX_ID else None
    if service is None or service.community_id != community.id or service.status == ServiceStatus.DRAFT:
        raise NotFound(f"This community has no service {service_id}.")
    return service


def list_memberships(session: Session, user: User) -> list[CommunityMember]:
    """List the memberships of a user, present and past."""
    query = select(CommunityMember).where(CommunityMember.user_id == user.id).order_by(CommunityMember.id)
    return list(session.scalars(query))


def own_inscriptions(session: Session, user: User, service_id: int | None = None) -> list[MemberView]:
    """List the active services in which a user takes part or took part, with the user's own inscriptions only."""
    query = (
        select(Inscription, CommunityService)
        .join(CommunityMember, Inscription.member_id == CommunityMember.id)
        .join(CommunityService, Inscription.service_id == CommunityService.id)
        .where(
            CommunityMember.user_id == user.id,
            CommunityService.status == ServiceStatus.ACTIVE,
            Inscription.starts_on.is_not(None),
        )
        .order_by(CommunityService.id, Inscription.id)
    )
    if service_id is not None:
        query = query.where(CommunityService.id == service_id)
    found: dict[int, tuple[CommunityService, list[Inscription]]] = {}
    for inscription, service in session.execute(query):
        found.setdefault(service.id, (service, []))[1].append(inscription)
    return [MemberView(service, tuple(own)) for service, own in found.values()]


def find_member_service(session: Session, user: User, service_id: int) -> MemberView:
    """Get an active service in which a user takes part.

    Raises:
        NotFound: If there is none, or the user takes no part in it.
    """
    views = own_inscriptions(session, user, service_id) if 0 < service_id <= MAX_ID else []
    if not views:
        raise NotFound(f"You take no part in a service {service_id}.")
    return views[0]
