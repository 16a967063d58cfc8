"""Rights on a community: staff and members see it, members only their own supply points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from flexmeasures.data.stores.communities import tables_in_force
from flexmeasures.data.tables import (
    Community,
    CommunityInvoice,
    CommunityMember,
    CommunityService,
    Inscription,
    SupplyPoint,
    User,
)
from flexmeasures.domain.communities.allocation import WHOLE
from flexmeasures.domain.communities.life_cycle import ServiceStatus
from flexmeasures.domain.errors import NotAllowed, NotFound
from flexmeasures.domain.ids import is_id
from flexmeasures.domain.rights import Action, Kind, Thing, may
from flexmeasures.services.communities.blocks import read_coefficients_of, takes_part
from flexmeasures.services.rights import actor_of, may_everywhere
from flexmeasures.services.users import has_role

__all__ = [
    "MemberView",
    "ProjectMember",
    "find_community_of",
    "find_invoice",
    "find_landing",
    "find_member_service",
    "find_project",
    "find_service",
    "list_communities",
    "list_invoices",
    "list_memberships",
    "list_project_members",
    "list_projects",
    "list_services",
    "own_inscriptions",
]

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
    """Get a community whose figures a user may read: with a role in it, or by rights on its account.

    Those who may read its account are its own people, its consultants and admins.

    Raises:
        NotAllowed: If the user may not, or there is no such community: indistinguishable to the caller.
    """
    community = session.get(Community, community_id) if is_id(community_id) else None
    if community is None or not (
        _may_read_account(user, community) or _has_role_in(session, user, community, today, roles)
    ):
        raise NotAllowed("You have no role in this community. Ask its staff.")
    return community


def _may_read_account(user: User, community: Community) -> bool:
    return may(actor_of(user), Action.READ, Thing(Kind.ACCOUNT, account_id=community.account_id))


def _has_role_in(
    session: Session, user: User, community: Community, today: date, roles: Sequence[str]
) -> bool:
    """Tell whether a user has one of some roles in a community today; an anonymous user has none."""
    if has_role(user, "anonymous"):
        return False
    query = select(CommunityMember.id).where(
        CommunityMember.community_id == community.id,
        CommunityMember.user_id == user.id,
        CommunityMember.role.in_(roles),
        CommunityMember.joined_on <= today,
        or_(CommunityMember.left_on.is_(None), CommunityMember.left_on >= today),
    )
    return session.scalar(query.limit(1)) is not None


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
    service = session.get(CommunityService, service_id) if is_id(service_id) else None
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
    views = own_inscriptions(session, user, service_id) if is_id(service_id) else []
    if not views:
        raise NotFound(f"You take no part in a service {service_id}.")
    return views[0]


def list_communities(session: Session, user: User) -> list[Community]:
    """List the communities that a user belongs or belonged to, by id."""
    query = (
        select(Community)
        .where(
            Community.id.in_(select(CommunityMember.community_id).where(CommunityMember.user_id == user.id))
        )
        .order_by(Community.id)
    )
    return list(session.scalars(query))


def list_invoices(session: Session, user: User) -> list[CommunityInvoice]:
    """List the invoices of a user, the newest first."""
    query = (
        select(CommunityInvoice)
        .join(CommunityMember, CommunityInvoice.member_id == CommunityMember.id)
        .where(CommunityMember.user_id == user.id)
        .order_by(CommunityInvoice.issued_on.desc(), CommunityInvoice.id.desc())
    )
    return list(session.scalars(query))


def find_invoice(session: Session, user: User, invoice_id: int) -> CommunityInvoice:
    """Get an invoice of a user.

    Raises:
        NotFound: If there is none, or it is somebody else's.
    """
    for invoice in list_invoices(session, user):
        if invoice.id == invoice_id:
            return invoice
    raise NotFound(f"You have no invoice {invoice_id}.")


@dataclass(frozen=True)
class ProjectMember:
    """A supply point of a project, as its monitoring company sees it."""

    point: SupplyPoint
    member: CommunityMember
    coefficient: float | None


def list_projects(session: Session, user: User, today: date) -> list[CommunityService]:
    """List the projects of the communities for which a user works as a provider.

    Raises:
        NotAllowed: If the user is nobody's provider.
    """
    query = (
        select(CommunityService)
        .where(CommunityService.cau.is_not(None), CommunityService.status != ServiceStatus.DRAFT)
        .order_by(CommunityService.cau)
    )
    # They name members with their tax numbers: reading everything else is not enough.
    if not may_everywhere(user, Action.CREATE_CHILDREN):
        providing = select(CommunityMember.community_id).where(
            CommunityMember.user_id == user.id,
            CommunityMember.role == "provider",
            CommunityMember.joined_on <= today,
            or_(CommunityMember.left_on.is_(None), CommunityMember.left_on >= today),
        )
        if session.scalar(providing.limit(1)) is None:
            raise NotAllowed("Only providers of a community may see its projects.")
        query = query.where(CommunityService.community_id.in_(providing))
    return list(session.scalars(query))


def find_project(session: Session, user: User, code: str, today: date) -> CommunityService:
    """Get a project by the CAU of its self-consumption group.

    Raises:
        NotAllowed: If the user is nobody's provider.
        NotFound: If there is none, or it is in a community for which the user does not work.
    """
    for service in list_projects(session, user, today):
        if service.cau == code:
            return service
    raise NotFound(f"There is no project {code[:40]!r} among yours.")


def list_project_members(session: Session, service: CommunityService, today: date) -> list[ProjectMember]:
    """List who takes part in a project today, with coefficients: the mean of hourly ones."""
    query = (
        select(Inscription, SupplyPoint, CommunityMember)
        .join(SupplyPoint, Inscription.supply_point_id == SupplyPoint.id)
        .join(CommunityMember, Inscription.member_id == CommunityMember.id)
        .where(Inscription.service_id == service.id)
        .order_by(SupplyPoint.cups)
    )
    rows = [row for row in session.execute(query) if takes_part(row[0], today)]
    tables = [t for t in tables_in_force(session, service.id) if t.starts_on and t.starts_on <= today]
    shares: list[float | None] = [None] * len(rows)
    if tables:
        keys = read_coefficients_of(tables[-1]).keys([point.cups for _, point, _ in rows])
        shares = [round(float(k) / WHOLE, 6) for k in (keys.mean(axis=0) if keys.ndim == 2 else keys)]
    return [
        ProjectMember(point, member, share) for (_, point, member), share in zip(rows, shares, strict=True)
    ]


def find_landing(session: Session, community_id: str) -> Community:
    """Get a community that shows itself to the public.

    Raises:
        NotFound: If there is none, or it does not.
    """
    is_number = community_id.isascii() and community_id.isdigit() and len(community_id) <= 10
    number = int(community_id) if is_number else 0
    community = session.get(Community, number) if is_id(number) else None
    if community is None or not community.in_open_data:
        raise NotFound(f"There is no community {community_id[:40]!r}.")
    return community
